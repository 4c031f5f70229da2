"""A pytest plugin: the paper gateway as a fixture, for the tests of anyone's Interactive Brokers code.

    def test_it_buys_the_dip(paper_gateway, market, paper_account):
        market.set_price("AAPL", 100)
        strategy = MyStrategy(host=paper_gateway.host, port=paper_gateway.port)
        ...
        market.set_price("AAPL", 95)
        paper_account.wait_for(lambda account: account.position("AAPL") == 10)

The gateway runs in a thread of its own with its own event loop, so that it answers whatever the test does:
block in synchronous code, or await in a loop of its own, with any mode of pytest-asyncio or none. Every
call here blocks until its effect has been written to the clients, which takes a few milliseconds. A client
that runs in the test's own loop reads it in the loop's next turns.

Every test has a new gateway with a new account, in memory. Time stands still on a Monday at 10:30 in New York
until the test moves it, and prices are those of a seed, so a test sees the same market each time it runs.
`@pytest.mark.paper_gateway(cash=5_000)` says otherwise: it takes `cash`, `accounts`, `seed`, `start`, `hours`
("always" or "exchange") and `pacing` (True: IB's limits apply).

Nothing of the gateway is loaded before the first test that asks for it.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import pytest

if TYPE_CHECKING:
    from trademind.gateway.faults import Step
    from trademind.gateway.server import PaperGatewayServer

__all__ = ["Execution", "Market", "Order", "PaperAccount", "PaperGateway", "Position"]

START: Final = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
"""A Monday, half past ten in New York."""
PATIENCE: Final = 10.0
"""Seconds until the gateway's thread counts as stuck."""

Price = Decimal | float | int | str
T = TypeVar("T")


class Position(NamedTuple):
    """A holding; the average cost includes commissions, as IB's does."""

    symbol: str
    quantity: Decimal
    avg_cost: Decimal


class Order(NamedTuple):
    """An order as the gateway has it; `status` is IB's word."""

    client_id: int
    order_id: int
    symbol: str
    side: str
    quantity: Decimal
    filled: Decimal
    order_type: str
    limit_price: Decimal | None
    status: str
    order_ref: str


class Execution(NamedTuple):
    """A fill."""

    order_id: int
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    commission: Decimal


class PaperGateway:
    """A paper gateway that runs in a thread of its own.

    Args:
        cash: Opening balance in US dollars; 100,000, unless given.
        accounts: Opening balances of several accounts in one login, by their ids; instead of `cash`.
        seed: Of the synthetic market.
        start: When it is at first; aware.
        hours: "always", or "exchange" for the exchanges' own.
        pacing: Whether IB's limits apply, such as 50 messages a second.

    Raises:
        ValueError: an argument cannot be meant, such as an account id that is not like IB's paper accounts'.
    """

    def __init__(
        self,
        *,
        cash: Price | None = None,
        accounts: Mapping[str, Price] | None = None,
        seed: int = 42,
        start: datetime = START,
        hours: str = "always",
        pacing: bool = False,
    ) -> None:
        from trademind.clock import ManualClock
        from trademind.gateway.calendars import market_hours
        from trademind.gateway.pacing import UNPACED, Pacing
        from trademind.gateway.server import PaperGatewayServer

        if hours not in ("always", "exchange"):
            raise ValueError(f"hours are 'always' or 'exchange', not {hours!r}")
        if cash is not None and accounts:
            raise ValueError("`accounts` have their own balances; leave `cash` out")
        self._clock = ManualClock(start)
        self._server = PaperGatewayServer(
            cash=_decimal(100_000 if cash is None else cash),
            accounts={name: _decimal(each) for name, each in (accounts or {}).items()} or None,
            seed=seed,
            clock=self._clock,
            hours=market_hours(hours),
            pacing=Pacing() if pacing else UNPACED,
        )
        self._loop = asyncio.new_event_loop()
        self._is_open = threading.Event()
        self._stop = asyncio.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="paper gateway", daemon=True)

    @property
    def host(self) -> str:
        """Where to connect to: always this machine."""
        return self._server.host

    @property
    def port(self) -> int:
        """The port to connect to, another one in each test."""
        return self._server.port

    @property
    def account_id(self) -> str:
        """The account's name, or of several the first one's."""
        return self._server.core.exchange.account_id

    def account(self, account_id: str) -> "PaperAccount":
        """One of several accounts.

        Raises:
            ValueError: there is none of that id.
        """
        return PaperAccount(self, account_id)

    @property
    def now(self) -> datetime:
        """What time it is at the gateway."""
        return self._clock.now()

    @property
    def server(self) -> "PaperGatewayServer":
        """The gateway itself. It belongs to its thread: use `run` to do anything to it."""
        return self._server

    def open(self) -> None:
        """Start, and wait until it listens."""
        self._thread.start()
        if not self._is_open.wait(PATIENCE):
            raise TimeoutError("the paper gateway did not start")
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Stop, and wait until everything is closed."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(PATIENCE)

    def run(self, work: "Callable[[PaperGatewayServer], T]") -> T:
        """Do something in the gateway's thread, and wait until clients have been told of its effects."""

        async def do() -> T:
            done = work(self._server)
            await self._server.settle()
            return done

        return self._wait_for(do())

    def advance(self, by: timedelta) -> datetime:
        """Move the clock and the market with it; returns what time it then is.

        Raises:
            ValueError: back in time.
        """

        async def move() -> datetime:
            moved = self._clock.advance(by)
            await self._server.move()
            await self._server.settle()
            return moved

        return self._wait_for(move())

    def _wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:  # noqa: BLE001 - the edge of the thread: `open` raises it
            self._failure = error
        finally:
            self._is_open.set()
            self._loop.close()

    async def _serve(self) -> None:
        async with self._server:
            self._is_open.set()
            await self._stop.wait()


class Market:
    """The hand on the gateway's market. Symbols are names, as in `AAPL` or `EUR.USD`, or contract ids."""

    def __init__(self, gateway: PaperGateway) -> None:
        self._gateway = gateway

    def set_price(
        self,
        symbol: str,
        price: Price,
        *,
        bid: Price | None = None,
        ask: Price | None = None,
        size: Price | None = None,
    ) -> None:
        """Put the market at a price, where it stays: last, bid and ask, unless these are given.

        Args:
            size: On offer on either side; more than any order asks for, unless given.

        Raises:
            ValueError: nothing is traded under that name, or that is no price of it.
        """
        from trademind.gateway.control import DEPTH

        self._gateway.run(
            lambda server: server.core.control.set_price(
                symbol,
                _decimal(price),
                bid=None if bid is None else _decimal(bid),
                ask=None if ask is None else _decimal(ask),
                size=DEPTH if size is None else _decimal(size),
            )
        )

    def release(self, symbol: str) -> None:
        """Let the price move by itself again, with the clock."""
        self._gateway.run(lambda server: server.core.control.release(symbol))

    def price(self, symbol: str) -> Decimal:
        """The last price."""

        def look(server: "PaperGatewayServer") -> Decimal:
            return server.core.refresh(server.core.control.instrument(symbol)).last

        return self._gateway.run(look)

    def halt(self, symbol: str) -> None:
        """Stop trading: orders are taken and rest, nothing fills, clients see tick 49."""
        self._gateway.run(lambda server: server.core.control.halt(symbol))

    def resume(self, symbol: str) -> None:
        """Let trading go on."""
        self._gateway.run(lambda server: server.core.control.resume(symbol))

    @property
    def now(self) -> datetime:
        """What time it is."""
        return self._gateway.now

    def advance(self, by: timedelta | float) -> datetime:
        """Let time pass, in seconds or as a duration; returns what time it then is."""
        return self._gateway.advance(by if isinstance(by, timedelta) else timedelta(seconds=by))

    def script(self, *steps: "Step | str | Path") -> list[int]:
        """Script faults: steps of `trademind.gateway.faults`, or YAML files of them. Returns their numbers.

        Raises:
            ValueError: a step cannot be meant.
        """
        from trademind.gateway.faults import Step
        from trademind.gateway.scripts import load_script

        meant: list[Step] = []
        for each in steps:
            meant += [each] if isinstance(each, Step) else load_script(Path(each))
        return self._gateway.run(lambda server: server.core.timeline.add(*meant))

    def clear_faults(self) -> None:
        """Let everything go right again."""
        self._gateway.run(lambda server: server.core.timeline.clear())


class PaperAccount:
    """An account as the gateway has it, whatever clients have been told."""

    def __init__(self, gateway: PaperGateway, account_id: str | None = None) -> None:
        self._gateway = gateway
        self.id = gateway.account_id if account_id is None else account_id
        known = gateway.run(lambda server: list(server.core.exchange.accounts))
        if self.id not in known:
            raise ValueError(f"there is no account {self.id!r}, but {', '.join(known)}")

    @property
    def cash(self) -> Decimal:
        """Cash in the base currency."""
        return self._gateway.run(lambda server: server.core.exchange.figures(self.id)).total_cash_value

    @property
    def net_liquidation(self) -> Decimal:
        """What everything is worth, in the base currency."""
        return self._gateway.run(lambda server: server.core.exchange.figures(self.id)).net_liquidation

    @property
    def positions(self) -> list[Position]:
        """What is held."""
        held = self._gateway.run(lambda server: server.core.exchange.positions(self.id))
        return [Position(each.instrument.symbol, each.quantity, each.avg_cost) for each in held]

    def position(self, symbol: str) -> Decimal:
        """How much of a symbol is held; 0 for none, below zero for a short position."""
        return sum((each.quantity for each in self.positions if each.symbol == symbol), Decimal(0))

    @property
    def orders(self) -> list[Order]:
        """Working orders, oldest first."""
        return self._orders(lambda server: server.core.exchange.orders())

    @property
    def completed_orders(self) -> list[Order]:
        """Orders that ended today, in the order in which they did."""
        return self._orders(lambda server: server.core.exchange.completed_orders())

    @property
    def executions(self) -> list[Execution]:
        """Today's fills, oldest first."""
        found = self._gateway.run(lambda server: server.core.exchange.executions())
        return [
            Execution(
                each.order_id,
                each.instrument.symbol,
                each.side.value,
                each.quantity,
                each.price,
                each.commission,
            )
            for each in found
            if each.account == self.id
        ]

    def wait_for(self, condition: "Callable[[PaperAccount], object]", timeout: float = 5.0) -> None:
        """Wait until something is true of the account: what a client has just sent takes a moment to arrive.

        It blocks: in asynchronous code, whatever the client still has to send must not need the test's loop.

        Raises:
            TimeoutError: it did not become true in `timeout` seconds.
        """
        until = time.monotonic() + timeout
        while not condition(self):
            if time.monotonic() > until:
                raise TimeoutError(f"not so within {timeout:g} seconds; {self!r}")
            time.sleep(0.002)  # the gateway is in another thread, and what is awaited has no event

    def __repr__(self) -> str:
        return f"{self.id}: positions {self.positions}, orders {self.orders}"

    def _orders(self, read: "Callable[[PaperGatewayServer], list[Any]]") -> list[Order]:
        return [
            Order(
                each.ticket.client_id,
                each.ticket.order_id,
                each.ticket.instrument.symbol,
                each.ticket.side.value,
                each.ticket.quantity,
                each.filled,
                each.ticket.order_type.value,
                each.ticket.limit_price,
                each.status.value,
                each.ticket.order_ref,
            )
            for each in self._gateway.run(read)
            if each.ticket.account == self.id
        ]


def _decimal(number: Price) -> Decimal:
    """A number as it was written: 0.1 is a tenth.

    Raises:
        ValueError: it is none.
    """
    try:
        return number if isinstance(number, Decimal) else Decimal(str(number))
    except InvalidOperation:
        raise ValueError(f"{number!r} is not a number") from None


# What pytest sees


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "paper_gateway(cash=100_000, accounts=None, seed=42, start=..., hours='always', pacing=False): "
        "what the paper gateway of this test is like (trademind.testing)",
    )


@pytest.fixture
def paper_gateway(request: pytest.FixtureRequest) -> Iterator[PaperGateway]:
    """A paper gateway with a new account, listening on a port of this machine while the test lasts."""
    marker = request.node.get_closest_marker("paper_gateway")
    if marker is not None and marker.args:
        raise ValueError(
            f"@pytest.mark.paper_gateway takes arguments by their names, as in cash=5_000; "
            f"not {marker.args[0]!r}"
        )
    gateway = PaperGateway(**(marker.kwargs if marker is not None else {}))
    try:
        gateway.open()
        yield gateway
    finally:
        gateway.close()


@pytest.fixture
def paper_account(paper_gateway: PaperGateway) -> PaperAccount:
    """The account of the test's paper gateway."""
    return PaperAccount(paper_gateway)


@pytest.fixture
def market(paper_gateway: PaperGateway) -> Market:
    """The market of the test's paper gateway: prices, time, halts, faults."""
    return Market(paper_gateway)

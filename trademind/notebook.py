"""The broker without `await`, for notebooks.

    from trademind import notebook
    tm = notebook.connect()
    tm.account()

A notebook's event loop is already running, so a plain call cannot wait for an answer; `nest_asyncio` lets
it run the loop from inside. That is done here and nowhere else: a server never needs it. `await
tm.broker.get_account()` works in a notebook as well.
"""

import asyncio
from collections.abc import Awaitable, Coroutine
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any, TypeVar

import nest_asyncio

from trademind.brokers.bars import Bars, bars_of
from trademind.brokers.base import Broker
from trademind.domain import (
    Account,
    ContractMatch,
    ContractQuery,
    Execution,
    Order,
    OrderRequest,
    PnL,
    Position,
    Quote,
    SessionState,
)
from trademind.errors import Unavailable
from trademind.runtime import open_runtime
from trademind.settings import Settings, load_settings

T = TypeVar("T")


class Notebook:
    """A broker whose methods return their values instead of awaitables."""

    def __init__(self, broker: Broker, resources: AsyncExitStack) -> None:
        self.broker = broker
        self._resources = resources

    def account(self) -> Account:
        """The account's figures."""
        return _run(self.broker.get_account())

    def positions(self) -> tuple[Position, ...]:
        """Open positions, by symbol."""
        return _run(self.broker.get_positions())

    def pnl(self) -> PnL:
        """Daily, unrealized and realized profit and loss."""
        return _run(self.broker.get_pnl())

    def orders(self, *, working: bool | None = None) -> tuple[Order, ...]:
        """Orders, newest first; `working` chooses working or done ones."""
        return _run(self.broker.get_orders(working=working))

    def executions(self) -> tuple[Execution, ...]:
        """Fills of this day, newest first."""
        return _run(self.broker.get_executions())

    def quote(self, symbol: str) -> Quote:
        """The latest quote of a stock."""
        return self.quotes(symbol)[0]

    def quotes(self, *instruments: str | ContractQuery) -> tuple[Quote, ...]:
        """The latest quotes of stocks by their symbols, or of anything, in that order."""
        queries = [ContractQuery(symbol=each) if isinstance(each, str) else each for each in instruments]
        return _run(self.broker.get_quotes(queries))

    def bars(
        self,
        instrument: str | ContractQuery,
        bar_size: str = "1 hour",
        duration: str | None = None,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        what_to_show: str | None = None,
        use_rth: bool = True,
    ) -> Bars:
        """Historical bars, oldest first: `tm.bars("AAPL", "1 day", "1 M").to_pandas()`. Five days of them
        unless `duration` or `start` say otherwise; see `trademind.brokers.bars.bars_of`."""
        return _run(
            bars_of(
                self.broker,
                instrument,
                bar_size=bar_size,
                duration=duration or (None if start else "5 D"),
                start=start,
                end=end,
                what_to_show=what_to_show,
                use_rth=use_rth,
                now=datetime.now(UTC),
            )
        )

    def search(self, text: str) -> tuple[ContractMatch, ...]:
        """Contracts whose symbol or name matches."""
        return _run(self.broker.search_contracts(text))

    def place(self, side: str, quantity: Any, symbol: str, **terms: Any) -> Order:
        """Place an order: `tm.place("BUY", 10, "AAPL", order_type="LMT", limit_price="150")`."""
        return _run(
            self.broker.place_order(OrderRequest(side=side, quantity=quantity, symbol=symbol, **terms))  # type: ignore[arg-type]
        )

    def cancel(self, order_id: str) -> Order:
        """Ask to cancel an order."""
        return _run(self.broker.cancel_order(order_id))

    def close(self) -> None:
        """Close the session and, where it is ours, the paper gateway."""
        _run(self._resources.aclose())


def connect(settings: Settings | None = None, *, timeout: float = 15.0) -> Notebook:
    """Open a session as the settings say: on a paper gateway of its own, or on a running TWS or IB Gateway.

    Args:
        settings: Read from the environment and `.env` by default.
        timeout: Seconds to wait until the session is ready.

    Raises:
        SettingsError: a setting is wrong, or the paper account is in use by a running server.
        Unavailable: not ready in time; the error says what is missing.
    """
    return _run(_open(settings or load_settings(), timeout))


async def _open(settings: Settings, timeout: float) -> Notebook:
    async with AsyncExitStack() as stack:
        runtime = await stack.enter_async_context(open_runtime(settings))
        await _until_ready(runtime.broker, timeout)
        return Notebook(runtime.broker, stack.pop_all())
    raise AssertionError("unreachable")


async def _until_ready(broker: Broker, timeout: float) -> None:
    deadline = asyncio.get_running_loop().time() + timeout
    while True:
        try:
            await broker.get_account()
            return
        except Unavailable:
            has_given_up = broker.session.state is SessionState.STOPPED
            if has_given_up or asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.05)


def _run(awaitable: Awaitable[T]) -> T:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        loop = asyncio.get_event_loop_policy().get_event_loop()
    nest_asyncio.apply(loop)
    coroutine: Coroutine[Any, Any, T] = _as_coroutine(awaitable)
    return loop.run_until_complete(coroutine)


async def _as_coroutine(awaitable: Awaitable[T]) -> T:
    return await awaitable

"""Two things at once: what is said stays true however a turn, a deadline, a stall and a loss fall together.

Strategy: real ib_async and the real gateway over TCP, with a proxy that holds messages back. A loop that is
held up comes to everything that was due in one step; `hold_up` has that happen by putting the loop's clock
forward, which takes no time, and what has been written to a socket by then is in it.
Each docstring says in its last half sentence what was taken out to see the test fail.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

import pytest

from tests.brokers.test_client import resting
from tests.brokers.test_faults import until
from tests.proxy import Proxy, withhold
from trademind import ContractQuery, IBKRBroker, Order, OrderChange, OrderStatus
from trademind.brokers.ibkr.market_data import FARM_GRACE, REFUSED_RETRY
from trademind.brokers.ibkr.pacing import WINDOW, Priority
from trademind.brokers.ibkr.supervisor import LASTED
from trademind.clock import ManualClock
from trademind.domain import Channel, SessionState, Subject
from trademind.errors import (
    CompetingSession,
    ConnectionLost,
    OrderNotWorking,
    OrderOutcomeUnknown,
    PacingViolation,
    Unavailable,
    UpstreamLost,
)
from trademind.gateway.server import PaperGatewayServer

T = TypeVar("T")

# What the client sends, and what the gateway sends.
MARKET_DATA, PLACE_ORDER, LIST_ORDERS, CONTRACT, LOG_ON, PNL = 1, 3, 5, 9, 71, 92
TICKS = (1, 2, 45, 46)
ORDER_STATUS, ERROR, OPEN_ORDER, CONTRACT_DATA, CONTRACT_END = 3, 4, 5, 10, 52
MANAGED_ACCOUNTS, OPEN_ORDERS_END, COMPLETED_ORDERS_END = 15, 53, 102

AAPL, MSFT = ContractQuery(symbol="AAPL"), ContractQuery(symbol="MSFT")
QUOTES_OF_APPLE = Subject(channel=Channel.QUOTES, query=AAPL)
DAYTIME = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
"""Not within the hour of IB's nightly restart, in which waits are shorter."""
FIRST_WAIT = 0.5
"""Seconds after the first loss of a connection, at most; half of it at least."""


def hold_up(seconds: float) -> None:
    """Hold up the loop, which is the test's own, for so long: what was due meanwhile is due in one step."""
    loop = asyncio.get_running_loop()
    before = loop.time
    loop.time = lambda: before() + seconds  # type: ignore[method-assign]


def begin(call: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
    """A call that is not awaited yet."""
    return asyncio.create_task(call)  # noqa: TID251


async def shortly(condition: Callable[[], object]) -> None:
    """Let others have their turn until `condition()` holds, which takes no more than that."""
    for _ in range(200):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it does not come")


@asynccontextmanager
async def connected(proxy: Proxy, **settings: Any) -> AsyncIterator[IBKRBroker]:
    """A broker that is ready and knows Apple."""
    async with IBKRBroker(port=proxy.port, **settings) as broker:
        await broker.qualify(AAPL)
        yield broker


def use_up(broker: IBKRBroker) -> None:
    """Send what IB allows in a second, so that orders, figures and data wait for the next one."""
    requests = broker._session().requests
    while not requests.queued["order"]:
        requests.post(Priority.ORDER, lambda: None)


async def place_later(broker: IBKRBroker, *keys: str) -> "list[asyncio.Task[Order]]":
    """Place orders that wait for their turn."""
    use_up(broker)
    placing = [begin(broker.place_order(resting(client_order_id=key))) for key in keys]

    def is_waiting(key: str) -> bool:
        order = broker._book.order(key)
        return order is not None and order.is_queued

    await shortly(lambda: all(is_waiting(key) for key in keys))
    return placing


def statuses_of(broker: IBKRBroker) -> list[OrderStatus]:
    """The statuses that the book tells of from now on."""
    statuses: list[OrderStatus] = []
    broker._book.watch_orders(lambda order: statuses.append(order.status))
    return statuses


def status_of(broker: IBKRBroker, key: str) -> OrderStatus:
    order = broker._book.order(key)
    assert order is not None
    return order.status


async def round_trip(broker: IBKRBroker) -> None:
    """What was sent has reached the gateway, and what the gateway said to it has reached the broker."""
    session = broker._session()
    await session.requests.ask_shared("currentTime", "the time", session.ib.client.reqCurrentTime)


async def in_state(broker: IBKRBroker, state: SessionState, connection: int = 0) -> None:
    """Wait until the session is in this state, and at least this connection has been made."""
    await until(lambda: broker.session.state is state and broker.session.connection_number >= connection, 5)


class Held:
    """The gateway's messages of some kinds, held back until they are let go."""

    def __init__(self, proxy: Proxy, *kinds: int) -> None:
        self._proxy = proxy
        self._kinds = kinds
        self._messages: list[list[str]] = []
        for kind in kinds:
            proxy.from_gateway[kind] = self._hold

    def _hold(self, fields: list[str]) -> None:
        self._messages.append(fields)

    def has(self, *kinds: int) -> bool:
        return {str(kind) for kind in kinds} <= {message[0] for message in self._messages}

    def let_go(self) -> None:
        """Into the broker's socket, at once."""
        for kind in self._kinds:
            del self._proxy.from_gateway[kind]
        for message in self._messages:
            self._proxy.say(*message)


# Turns and deadlines ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_timeout", "is_sent"),
    [(WINDOW - 0.2, False), (WINDOW + 0.2, False), (WINDOW + 10, True)],
    ids=["the deadline first", "the turn first", "the turn alone"],
)
async def test_an_order_that_was_held_up_is_either_refused_or_sent(
    gateway: PaperGatewayServer, proxy: Proxy, request_timeout: float, is_sent: bool
) -> None:
    """Its key is free again where it was refused; seen to fail with a time-out around the wait for the turn,
    and with a turn that does not ask whether the deadline was first."""
    async with connected(proxy, request_timeout=request_timeout) as broker:
        (placing,) = await place_later(broker, "late")
        hold_up(WINDOW + 0.5)
        if is_sent:
            assert (await placing).status is OrderStatus.SUBMITTED
        else:
            with pytest.raises(PacingViolation):
                await placing
        await round_trip(broker)
        assert proxy.count(PLACE_ORDER) == is_sent
        again = await broker.place_order(resting(client_order_id="late"))
        assert again.status is OrderStatus.SUBMITTED
        assert proxy.count(PLACE_ORDER) == len(gateway.core.exchange.orders()) == 1


@pytest.mark.parametrize(
    "request_timeout", [WINDOW - 0.2, WINDOW + 0.2], ids=["deadline first", "turn first"]
)
async def test_a_question_that_was_held_up_leaves_nothing_behind(
    proxy: Proxy, request_timeout: float
) -> None:
    """Seen to fail with a time-out around the wait, which loses a question that was just sent."""
    async with connected(proxy, request_timeout=request_timeout) as broker:
        session = broker._session()
        use_up(broker)
        asking = begin(broker.qualify(MSFT))
        await shortly(lambda: broker.session.queued["data"])
        hold_up(WINDOW + 0.5)
        with pytest.raises(PacingViolation):
            await asking
        assert session.requests._open == {}
        assert (session.ib.wrapper._futures, session.ib.wrapper._results) == ({}, {})
        await round_trip(broker)
        assert proxy.count(CONTRACT) == 1, "Microsoft was asked for"
        assert (await broker.qualify(MSFT)).contract.symbol == "MSFT"


# Deadlines and answers -------------------------------------------------------------------------


async def test_an_acknowledgement_in_the_socket_is_one_though_the_deadline_has_passed(proxy: Proxy) -> None:
    """Seen to fail with a time-out around the wait for the acknowledgement."""
    async with connected(proxy) as broker:
        statuses = statuses_of(broker)
        held = Held(proxy, OPEN_ORDER, ORDER_STATUS)
        placing = begin(broker.place_order(resting()))
        await until(lambda: held.has(OPEN_ORDER, ORDER_STATUS))
        held.let_go()
        hold_up(broker._session().options.order_timeout + 1)
        assert (await placing).status is OrderStatus.SUBMITTED
        assert set(statuses) == {OrderStatus.PENDING_SUBMIT, OrderStatus.SUBMITTED}


@pytest.mark.parametrize("what", ["cancel", "change"])
async def test_an_answer_in_the_socket_is_one_though_the_deadline_has_passed(proxy: Proxy, what: str) -> None:
    """Seen to fail with a time-out around the wait for the answer."""
    async with connected(proxy) as broker:
        await broker.place_order(resting(client_order_id="k"))
        statuses = statuses_of(broker)
        held = Held(proxy, OPEN_ORDER, ORDER_STATUS, ERROR)
        if what == "cancel":
            command = begin(broker.cancel_order("k"))
            await until(lambda: held.has(ORDER_STATUS))
        else:
            command = begin(broker.modify_order("k", OrderChange(quantity=Decimal(7))))
            await until(lambda: held.has(OPEN_ORDER))
        held.let_go()
        hold_up(broker._session().options.order_timeout + 1)
        order = await command
        assert order.status is (OrderStatus.CANCELED if what == "cancel" else OrderStatus.SUBMITTED)
        assert order.quantity == (10 if what == "cancel" else 7)
        assert OrderStatus.UNKNOWN not in statuses


async def test_what_was_asked_for_and_is_in_the_socket_counts_though_the_deadline_has_passed(
    proxy: Proxy,
) -> None:
    """Seen to fail with a time-out around the question."""
    async with connected(proxy) as broker:
        held = Held(proxy, CONTRACT_DATA, CONTRACT_END)
        asking = begin(broker.qualify(MSFT))
        await until(lambda: held.has(CONTRACT_DATA, CONTRACT_END))
        held.let_go()
        hold_up(broker._session().options.request_timeout + 1)
        assert (await asking).contract.symbol == "MSFT"


# Orders that wait for their turn ---------------------------------------------------------------


async def test_orders_that_wait_are_seen_and_can_be_withdrawn(
    gateway: PaperGatewayServer, proxy: Proxy
) -> None:
    """Seen to fail with orders that enter the book when they are sent, with a cancel that asks IB, and with a
    turn that does not look whether its order was withdrawn."""
    keys = [f"k{number}" for number in range(5)]
    async with connected(proxy) as broker:
        placing = await place_later(broker, *keys)
        assert {order.id for order in await broker.get_orders(working=True)} == set(keys)
        assert (await broker.get_order("k3")).status is OrderStatus.PENDING_SUBMIT
        assert (await broker.cancel_order("k3")).status is OrderStatus.NEVER_SENT
        withdrawn = await broker.cancel_all_orders()
        assert {order.id: order.status for order in withdrawn} == dict.fromkeys(
            {*keys} - {"k3"}, OrderStatus.NEVER_SENT
        )
        assert not any(task.done() for task in placing), "their turn has come: nothing is shown"
        hold_up(WINDOW)
        for task in placing:
            with pytest.raises(OrderNotWorking) as failure:
                await task
            assert failure.value.status == 409
        await round_trip(broker)
        assert proxy.count(PLACE_ORDER) == len(gateway.core.exchange.orders()) == 0


async def test_an_order_that_waited_when_the_connection_broke_was_never_sent(
    gateway: PaperGatewayServer, proxy: Proxy
) -> None:
    """Seen to fail with a book that takes every order without an answer for one of unknown outcome, and with
    a connection whose end is not told to those who wait for their turn."""
    async with connected(proxy) as broker:
        statuses = statuses_of(broker)
        (placing,) = await place_later(broker, "k")
        proxy.cut()
        with pytest.raises(ConnectionLost) as failure:
            await asyncio.wait_for(placing, 2)
        assert failure.value.status == 503
        assert set(statuses) == {OrderStatus.PENDING_SUBMIT, OrderStatus.NEVER_SENT}
        assert status_of(broker, "k") is OrderStatus.NEVER_SENT
        await broker.connect()
        assert proxy.count(PLACE_ORDER) == len(gateway.core.exchange.orders()) == 0
        assert (await broker.place_order(resting(client_order_id="k"))).status is OrderStatus.SUBMITTED
        assert proxy.count(PLACE_ORDER) == len(gateway.core.exchange.orders()) == 1


# Connecting ------------------------------------------------------------------------------------


async def next_wait(broker: IBKRBroker, clock: ManualClock) -> float:
    """Seconds that the supervisor waits before it connects again; then they are over."""
    await until(lambda: broker.session.next_attempt_at, 2)
    at = broker.session.next_attempt_at
    assert at is not None
    seconds = (at - clock.now()).total_seconds()
    hold_up(seconds)
    await until(lambda: broker.session.next_attempt_at != at, 2)
    return seconds


def is_first(wait: float) -> bool:
    return FIRST_WAIT / 2 <= wait <= FIRST_WAIT


async def test_a_gateway_that_hangs_up_when_the_session_is_ready_is_left_alone_for_longer_each_time(
    proxy: Proxy,
) -> None:
    """Three connections take more than a second and a half; a session that lasted starts over. Seen to fail
    with no wait after a loss, with waits that start over at each log-on, and with waits that never do."""
    clock = ManualClock(DAYTIME)
    async with connected(proxy, clock=clock) as broker:
        times = 3

        def hang_up(fields: list[str]) -> list[str]:
            nonlocal times
            if times:
                times -= 1
                proxy.cut()
            return fields

        proxy.from_client[PNL] = hang_up  # the last thing that a session asks before it is ready
        proxy.cut()
        waits = [await next_wait(broker, clock) for _ in range(4)]
        assert all(FIRST_WAIT / 2 * 2**number <= wait for number, wait in enumerate(waits)), waits
        assert is_first(waits[0])
        await in_state(broker, SessionState.READY, 5)
        hold_up(LASTED + 1)
        proxy.cut()
        assert is_first(await next_wait(broker, clock))


@pytest.mark.parametrize(
    ("missing", "state"),
    [
        (MANAGED_ACCOUNTS, SessionState.CONNECTING),
        (OPEN_ORDERS_END, SessionState.SYNCHRONISING),
    ],
)
async def test_a_new_connection_is_made_at_once_whenever_it_is_asked_for(
    proxy: Proxy, missing: int, state: SessionState
) -> None:
    """Whoever waits in `connect` gets the session that comes of it in the end. Seen to fail with an attempt
    that was given up for it counted as a failed one."""
    clock = ManualClock(DAYTIME)
    proxy.from_gateway[missing] = withhold
    broker = IBKRBroker(port=proxy.port, clock=clock)
    connecting = begin(broker.connect())
    try:
        async with asyncio.timeout(5):  # the waits after so many failures are fifteen seconds at least
            for number in range(1, 8):
                await until(lambda n=number: proxy.count(LOG_ON) == n and broker.session.state is state)
                assert not connecting.done()
                if number == 7:
                    proxy.from_gateway.clear()
                await broker.reconnect()
            assert await connecting
        assert (broker.session.state, broker.session.connection_number) == (SessionState.READY, 1)
        proxy.cut()
        assert is_first(await next_wait(broker, clock))
    finally:
        connecting.cancel()
        await broker.disconnect()


async def test_a_new_connection_is_made_at_once_while_the_old_one_is_synchronised_anew(proxy: Proxy) -> None:
    """Seen to fail with a wait after an end that was asked for."""
    clock, loop = ManualClock(DAYTIME), asyncio.get_running_loop()
    async with connected(proxy, clock=clock) as broker:
        begun = loop.time()
        for number in range(1, 6):
            proxy.from_gateway[OPEN_ORDERS_END] = withhold
            proxy.error(-1, 1102, "Connectivity between IB and TWS has been restored - data maintained.")
            await in_state(broker, SessionState.SYNCHRONISING, number)
            proxy.from_gateway.clear()
            await broker.reconnect()
            await in_state(broker, SessionState.READY, number + 1)
        assert loop.time() - begun < 5, "the waits after so many losses are seven seconds at least"
        proxy.cut()
        assert is_first(await next_wait(broker, clock))


@pytest.mark.parametrize("first", ["connect", "start"])
async def test_a_cancelled_connect_does_not_end_what_was_started(proxy: Proxy, first: str) -> None:
    """Seen to fail with a cancelled `connect` that ends whatever it began."""
    held = Held(proxy, MANAGED_ACCOUNTS)
    broker = IBKRBroker(port=proxy.port)
    if first == "start":
        await broker.start()
    connecting = begin(broker.connect())
    await until(lambda: held.has(MANAGED_ACCOUNTS))
    await broker.start()
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    held.let_go()
    await in_state(broker, SessionState.READY)
    assert (broker.session.connection_number, proxy.count(LOG_ON)) == (1, 1)
    await broker.disconnect()


@pytest.mark.parametrize("cancelled", [0, 1])
async def test_a_cancelled_connect_does_not_end_the_session_of_another(proxy: Proxy, cancelled: int) -> None:
    """Seen to fail with a cancelled `connect` that does not look for others."""
    held = Held(proxy, MANAGED_ACCOUNTS)
    broker = IBKRBroker(port=proxy.port)
    both = [begin(broker.connect()), begin(broker.connect())]
    await until(lambda: held.has(MANAGED_ACCOUNTS))
    both.pop(cancelled).cancel()
    await asyncio.sleep(0)
    held.let_go()
    assert await both[0]
    assert (broker.session.connection_number, proxy.count(LOG_ON)) == (1, 1)
    await broker.disconnect()


# What nobody foresaw ---------------------------------------------------------------------------


class Unforeseen(Exception):
    """As a defect would raise it."""


def fail_once(monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> None:
    """Have the next call of this method fail."""
    method = getattr(owner, name)
    failures = [Unforeseen()]

    def fail(*args: Any) -> Any:
        if failures:
            raise failures.pop()
        return method(*args)

    monkeypatch.setattr(owner, name, fail)


def logged_errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("when", ["lines are restored", "it is kept"])
async def test_an_exception_that_nobody_foresaw_ends_one_session_only(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, when: str
) -> None:
    """Seen to fail with the restoring of lines, or the keeping, outside of what catches it."""
    async with connected(proxy, clock=(clock := ManualClock(DAYTIME))) as broker:
        if when == "lines are restored":
            fail_once(monkeypatch, broker._supervisor, "_on_ready")
            await broker.reconnect()
        else:
            fail_once(monkeypatch, broker._session(), "feel_pulse")
            broker._session().news.set()
        number = broker.session.connection_number
        assert await next_wait(broker, clock) > 0
        await in_state(broker, SessionState.READY, number + 1)
        assert (await broker.place_order(resting())).status is OrderStatus.SUBMITTED
        assert logged_errors(caplog) == ["keeping the session failed"]


async def test_whoever_connects_is_told_of_an_exception_that_nobody_foresaw(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Seen to fail with an attempt that stays without an outcome."""
    broker = IBKRBroker(port=proxy.port, clock=(clock := ManualClock(DAYTIME)))
    fail_once(monkeypatch, broker._supervisor, "_on_ready")
    with pytest.raises(Unavailable, match="Unforeseen"):
        await asyncio.wait_for(broker.connect(), 2)
    await next_wait(broker, clock)
    await in_state(broker, SessionState.READY)
    await broker.disconnect()
    assert logged_errors(caplog) == ["keeping the session failed"]


# What becomes of orders in doubt ---------------------------------------------------------------


@asynccontextmanager
async def an_order_in_doubt(proxy: Proxy) -> AsyncIterator[tuple[IBKRBroker, list[str]]]:
    """A broker on its second connection, whose order `k` was still on its way when the first one broke."""
    on_its_way: list[list[str]] = []
    async with connected(proxy) as broker:
        proxy.from_client[PLACE_ORDER] = on_its_way.append
        placing = begin(broker.place_order(resting(client_order_id="k")))
        await until(lambda: on_its_way)
        proxy.cut()
        with pytest.raises(OrderOutcomeUnknown):
            await placing
        proxy.from_client.clear()
        await broker.connect()
        await in_state(broker, SessionState.READY, 2)
        yield broker, on_its_way[0]


async def test_an_order_is_not_said_to_be_never_sent_before_that_is_certain(proxy: Proxy) -> None:
    """Seen to fail with the first listing of a new connection taken for final, and with no listing later."""
    async with an_order_in_doubt(proxy) as (broker, _):
        statuses = statuses_of(broker)
        proxy.error(-1, 1102, "Connectivity between IB and TWS has been restored - data maintained.")
        await until(lambda: proxy.count(LIST_ORDERS) == 3)
        await in_state(broker, SessionState.READY)
        assert (status_of(broker, "k"), statuses) == (OrderStatus.UNKNOWN, [])
        hold_up(broker._session().options.settle_after)
        await until(lambda: statuses, 2)
        assert statuses == [OrderStatus.NEVER_SENT]
        assert broker.session.connection_number == 2


async def test_an_order_that_shows_up_in_between_is_believed(
    gateway: PaperGatewayServer, proxy: Proxy
) -> None:
    """Seen to fail with the first listing of a new connection taken for final."""
    async with an_order_in_doubt(proxy) as (broker, order):
        statuses = statuses_of(broker)
        # The gateway reads only now what the first connection had sent.
        client = broker._session().ib.client
        client.send(*order)
        await until(lambda: status_of(broker, "k") is OrderStatus.SUBMITTED, 2)
        hold_up(broker._session().options.settle_after)
        await round_trip(broker)
        proxy.error(-1, 1102, "Connectivity between IB and TWS has been restored - data maintained.")
        await until(lambda: proxy.count(LIST_ORDERS) == 3)
        await in_state(broker, SessionState.READY)
        assert set(statuses) == {OrderStatus.UNKNOWN, OrderStatus.SUBMITTED}
        assert len(gateway.core.exchange.orders()) == 1


# IB away while something is due ----------------------------------------------------------------


async def test_a_first_session_that_has_lost_ib_already_says_that_all_is_stale(proxy: Proxy) -> None:
    """Seen to fail with figures that are fresh until something is known to the contrary."""

    def and_lost(fields: list[str]) -> list[str]:
        proxy.error(-1, 1100, "Connectivity between IB and TWS has been lost.")
        return fields

    proxy.from_gateway[COMPLETED_ORDERS_END] = and_lost
    async with IBKRBroker(port=proxy.port) as broker:
        await in_state(broker, SessionState.UPSTREAM_LOST)
        assert (await broker.get_account()).stale
        assert (await broker.get_pnl()).stale
        assert broker._market_data._is_stale
        with pytest.raises(UpstreamLost):
            await broker.get_quote(AAPL)
        proxy.from_gateway.clear()
        proxy.error(-1, 1101, "Connectivity between IB and TWS has been restored - data lost.")
        await in_state(broker, SessionState.READY)
        assert not (await broker.get_account()).stale
        assert not (await broker.get_pnl()).stale
        assert not (await broker.get_quote(AAPL)).stale


@asynccontextmanager
async def not_ready(broker: IBKRBroker, proxy: Proxy, state: SessionState) -> AsyncIterator[None]:
    """The session is in this state meanwhile and ready afterwards, with its connection and its lines kept."""
    back = "Connectivity between IB and TWS has been restored - data maintained."
    if state is SessionState.UPSTREAM_LOST:
        proxy.error(-1, 1100, "Connectivity between IB and TWS has been lost.")
        await in_state(broker, state)
        yield
        proxy.error(-1, 1102, back)
    else:
        held = Held(proxy, OPEN_ORDERS_END)
        proxy.error(-1, 1102, back)
        await until(lambda: held.has(OPEN_ORDERS_END))
        yield
        held.let_go()
    assert broker.session.state is state
    await in_state(broker, SessionState.READY)


NOT_READY = pytest.mark.parametrize("state", [SessionState.UPSTREAM_LOST, SessionState.SYNCHRONISING])
PATIENT = {"request_timeout": 100}
"""Seconds, so that a snapshot may take longer than what is to happen meanwhile."""


@NOT_READY
async def test_a_line_that_another_session_has_taken_is_asked_for_again_when_that_can_be(
    proxy: Proxy, state: SessionState
) -> None:
    """Seen to fail with lines that are left as they are when the session is ready again."""

    def take_away(fields: list[str]) -> None:
        proxy.error(int(fields[2]), 10197, "No market data during competing live session")

    async with connected(proxy, **PATIENT) as broker, broker.market() as stream:
        proxy.from_client[MARKET_DATA] = take_away
        await stream.follow(QUOTES_OF_APPLE)
        with pytest.raises(CompetingSession):
            await broker.get_quote(AAPL)
        proxy.from_client.clear()
        (line,) = broker._market_data._lines.values()
        timer = line.timer
        async with not_ready(broker, proxy, state):
            hold_up(REFUSED_RETRY + 1)
            await shortly(lambda: line.timer is not timer)
        await round_trip(broker)
        assert proxy.count(MARKET_DATA) == 2
        assert not (await broker.get_quote(AAPL)).stale


@NOT_READY
async def test_a_line_whose_farm_was_away_is_asked_for_again_when_that_can_be(
    proxy: Proxy, state: SessionState
) -> None:
    """Seen to fail with lines that are left as they are when the session is ready again."""
    async with connected(proxy, **PATIENT) as broker, broker.market() as stream:
        # No ticks but of the line that is asked for anew.
        for kind in TICKS:
            proxy.from_gateway[kind] = lambda fields: fields if proxy.count(MARKET_DATA) > 1 else None
        await stream.follow(QUOTES_OF_APPLE)
        proxy.error(-1, 2103, "Market data farm connection is broken:usfarm")
        proxy.error(-1, 2104, "Market data farm connection is OK:usfarm")
        await until(lambda: broker._market_data._farm_timer)
        async with not_ready(broker, proxy, state):
            hold_up(FARM_GRACE + 1)
            await shortly(lambda: broker._market_data._farm_timer is None)
        await round_trip(broker)
        assert proxy.count(MARKET_DATA) == 2
        assert not (await broker.get_quote(AAPL)).stale


async def test_connect_waits_for_a_session_that_is_synchronised_anew(
    gateway: PaperGatewayServer, proxy: Proxy
) -> None:
    """Taken out: the wait for the state; `connect()` returned while nothing could be read."""
    async with IBKRBroker(port=proxy.port) as broker:
        held: list[list[str]] = []
        proxy.from_gateway[62] = lambda fields: held.append(fields)
        proxy.error(-1, 1102, "Connectivity has been restored - data maintained.")
        await until(lambda: held)
        connecting = asyncio.ensure_future(broker.connect())  # noqa: TID251
        await asyncio.sleep(0.05)
        assert not connecting.done()
        proxy.say(*held[0])
        await connecting
        await broker.get_account()


async def test_connect_after_reconnect_is_the_new_connection(proxy: Proxy) -> None:
    """Taken out: the look at the session's end; `connect()` took the old session for one."""
    async with IBKRBroker(port=proxy.port) as broker:
        await broker.reconnect()
        await broker.connect()
        assert broker.session.connection_number == 2
        await broker.get_account()

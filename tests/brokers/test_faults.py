"""A gateway that misbehaves: every call still ends, and nothing that is said is untrue.

What is known to go wrong with IB's API has a test for each fact in `test_ib_facts.py`; here is the rest.
"""

import asyncio
import random
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.brokers.test_client import order, resting
from tests.proxy import Proxy, withhold
from trademind import BarRequest, ContractQuery, IBKRBroker, OrderChange, OrderStatus
from trademind.domain import DataSource, SessionState
from trademind.errors import (
    CancelRejected,
    GatewayRefused,
    LiveAccountNotAllowed,
    LiveTradingNotAllowed,
    NoAnswer,
    NotConnected,
    NotSynchronised,
    OrderNotFound,
    OrderNotWorking,
    OrderOutcomeUnknown,
    OrderRejected,
    TradeMindError,
    UpstreamLost,
)
from trademind.gateway.faults import Step, StopAnswering
from trademind.gateway.server import PaperGatewayServer

PLACE_ORDER, ERROR, MANAGED_ACCOUNTS, HISTORY = 3, 4, 15, 17


@pytest.fixture
async def broker(proxy: Proxy) -> AsyncIterator[IBKRBroker]:
    async with IBKRBroker(
        port=proxy.port,
        max_requests_per_second=0,
        request_timeout=0.5,
        order_timeout=0.5,
        settle_after=0.3,
    ) as broker:
        yield broker


async def until(condition: object, seconds: float = 10.0) -> None:
    """Wait until `condition()` holds."""
    assert callable(condition)
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is awaited belongs to somebody else
            await asyncio.sleep(0.01)


@asynccontextmanager
async def silent_server() -> AsyncIterator[int]:
    """The port of a server that accepts connections and never says a word."""
    gone = asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.close()

    async with await asyncio.start_server(hold, "127.0.0.1", 0) as server:
        yield int(server.sockets[0].getsockname()[1])
        gone.set()


# Connecting ------------------------------------------------------------------------------------


async def test_nothing_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(GatewayRefused, match="nothing listens"):
        await IBKRBroker(port=port).connect()


async def test_a_host_that_does_not_exist() -> None:
    with pytest.raises(GatewayRefused):
        await IBKRBroker(host="no-such-host.invalid").connect()


async def test_something_else_listens_and_says_nothing() -> None:
    async with silent_server() as port:
        broker = IBKRBroker(port=port, connect_timeout=0.3)
        with pytest.raises(NotSynchronised, match="log"):
            await broker.connect()


async def test_something_listens_and_hangs_up() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as rude:
        broker = IBKRBroker(port=rude.sockets[0].getsockname()[1], connect_timeout=5)
        start = time.monotonic()
        with pytest.raises(TradeMindError):
            await broker.connect()
        assert time.monotonic() - start < 2


# Accounts --------------------------------------------------------------------------------------


def live(fields: list[str]) -> list[str]:
    return ["U1234567" if field == "DUTM00001" else field for field in fields]


def live_account(proxy: Proxy) -> None:
    """The paper account under a live one's name, in both directions."""
    for message in (MANAGED_ACCOUNTS, 6, 7, 8, 54, 61, 5, 11, 101):
        proxy.from_gateway[message] = live
    for message in (6, 92, PLACE_ORDER):
        proxy.from_client[message] = lambda fields: [
            "DUTM00001" if field == "U1234567" else field for field in fields
        ]


async def test_a_live_account_is_read_only_and_nothing_is_sent(proxy: Proxy) -> None:
    live_account(proxy)
    async with IBKRBroker(port=proxy.port) as broker:
        assert (await broker.get_account()).source is DataSource.IB_LIVE
        assert broker.session.trading_allowed is False
        for call in (broker.place_order(order()), broker.cancel_all_orders()):
            with pytest.raises(LiveTradingNotAllowed):
                await call
        assert proxy.count(PLACE_ORDER) == 0


async def test_a_live_account_trades_when_that_is_allowed(proxy: Proxy) -> None:
    live_account(proxy)
    async with IBKRBroker(port=proxy.port, allow_live=True) as broker:
        placed = await broker.place_order(order())
        assert placed.account_id == "U1234567"
        assert placed.status is OrderStatus.FILLED


async def test_a_live_account_is_refused_where_paper_is_required(proxy: Proxy) -> None:
    live_account(proxy)
    with pytest.raises(LiveAccountNotAllowed):
        await IBKRBroker(port=proxy.port, require_paper=True).connect()


# Requests --------------------------------------------------------------------------------------


async def test_no_data_is_no_bars_and_not_an_error(broker: IBKRBroker, proxy: Proxy) -> None:
    proxy.from_gateway[HISTORY] = lambda f: [
        str(ERROR), "2", f[1], "162",
        "Historical Market Data Service error message:HMDS query returned no data: SPY@SMART Trades", "",
    ]  # fmt: skip
    assert await broker.get_bars(ContractQuery(symbol="SPY"), BarRequest()) == ()


# Orders ----------------------------------------------------------------------------------------


async def test_an_order_swallowed_by_a_short_silence_is_settled_without_anyone_asking(
    gateway: PaperGatewayServer,
) -> None:
    """The gateway hangs for longer than an order may take, and for less than counts as silent."""
    async with IBKRBroker(port=gateway.port, order_timeout=0.3, heartbeat=0.2, settle_after=0.3) as broker:
        await broker.qualify(ContractQuery(symbol="AAPL"))
        gateway.core.timeline.add(Step(do=StopAnswering(), until=timedelta(seconds=0.6)))
        with pytest.raises(OrderOutcomeUnknown):
            await broker.place_order(order(client_order_id="swallowed"))
        await until(lambda: broker._book.order("swallowed").status is OrderStatus.NEVER_SENT)  # type: ignore[union-attr]
        await until(lambda: broker.session.state is SessionState.READY)
        assert not gateway.core.exchange.orders()


async def test_a_refused_cancel_leaves_the_order_as_it_was(broker: IBKRBroker, proxy: Proxy) -> None:
    placed = await broker.place_order(resting())
    proxy.from_client[4] = lambda fields: proxy.error(
        int(fields[2]), 10148, "OrderId cannot be cancelled, state: PendingCancel."
    )
    with pytest.raises(CancelRejected) as failure:
        await broker.cancel_order(placed.id)
    assert failure.value.ib_code == 10148
    assert (await broker.get_order(placed.id)).status is OrderStatus.SUBMITTED


async def test_a_cancel_without_answer_ends_at_its_deadline(broker: IBKRBroker, proxy: Proxy) -> None:
    placed = await broker.place_order(resting())
    proxy.from_client[4] = withhold
    with pytest.raises(NoAnswer):
        await broker.cancel_order(placed.id)


async def test_a_refused_change_leaves_the_order_as_it_was(broker: IBKRBroker) -> None:
    placed = await broker.place_order(resting())
    with pytest.raises(OrderRejected) as failure:
        await broker.modify_order(
            placed.id, OrderChange(limit_price=Decimal("500.00"), quantity=Decimal(1_000_000))
        )
    assert failure.value.ib_code == 201
    now = await broker.get_order(placed.id)
    assert (now.status, now.limit_price, now.quantity) == (
        OrderStatus.SUBMITTED, Decimal("1.00"), Decimal(10),
    )  # fmt: skip


async def test_an_unlisted_code_about_a_new_order_waits_for_a_sign_of_life(
    broker: IBKRBroker, proxy: Proxy
) -> None:
    await broker.qualify(ContractQuery(symbol="AAPL"))

    def warn_first(fields: list[str]) -> list[str]:
        proxy.error(int(fields[1]), 4711, "something nobody has heard of")
        return fields

    proxy.from_client[PLACE_ORDER] = warn_first
    placed = await broker.place_order(order())
    assert (placed.status, placed.notices[0].ib_code) == (OrderStatus.FILLED, 4711)


async def test_an_unlisted_code_about_a_new_order_refuses_it_if_nothing_follows(
    proxy: Proxy,
) -> None:
    async with IBKRBroker(port=proxy.port) as broker:
        proxy.from_client[PLACE_ORDER] = lambda f: proxy.error(int(f[1]), 4711, "no such thing")
        with pytest.raises(OrderRejected) as failure:
            await broker.place_order(order())
        assert failure.value.ib_code == 4711


async def test_a_rejection_after_the_deadline_still_counts(broker: IBKRBroker, proxy: Proxy) -> None:
    await broker.qualify(ContractQuery(symbol="AAPL"))
    proxy.from_client[PLACE_ORDER] = withhold
    with pytest.raises(OrderOutcomeUnknown):
        await broker.place_order(order(client_order_id="late"))
    unknown = await broker.get_order("late")
    proxy.error(unknown.ib_order_id or 0, 201, "Order rejected - reason: late")
    await until(lambda: broker._book.order("late").status is OrderStatus.REJECTED)  # type: ignore[union-attr]


async def test_two_changes_at_once_both_count(broker: IBKRBroker) -> None:
    placed = await broker.place_order(resting())
    await asyncio.gather(
        broker.modify_order(placed.id, OrderChange(quantity=Decimal(20))),
        broker.modify_order(placed.id, OrderChange(limit_price=Decimal("1.05"))),
    )
    now = await broker.get_order(placed.id)
    assert (now.quantity, now.limit_price) == (Decimal(20), Decimal("1.05"))


async def test_a_refused_change_does_not_fail_a_cancel(broker: IBKRBroker) -> None:
    placed = await broker.place_order(resting())
    await broker.modify_order(
        placed.id, OrderChange(limit_price=Decimal("1.01"))
    )  # the contract is known now
    too_big = OrderChange(limit_price=Decimal("500.00"), quantity=Decimal(1_000_000))
    changed, canceled = await asyncio.gather(
        broker.modify_order(placed.id, too_big), broker.cancel_order(placed.id), return_exceptions=True
    )
    assert isinstance(changed, OrderRejected)
    assert not isinstance(canceled, BaseException)
    assert canceled.status is OrderStatus.CANCELED


async def test_a_change_that_came_too_late_says_so(broker: IBKRBroker) -> None:
    placed = await broker.place_order(resting())
    await broker.modify_order(placed.id, OrderChange(limit_price=Decimal("1.01")))
    changes = [OrderChange(quantity=Decimal(7)), OrderChange(limit_price=Decimal("1.02"))]
    *changed, canceled = await asyncio.gather(
        *(broker.modify_order(placed.id, change) for change in changes),
        broker.cancel_order(placed.id),
        return_exceptions=True,
    )
    assert not isinstance(canceled, BaseException)
    final = await broker.get_order(placed.id)
    for change, outcome in zip(changes, changed, strict=True):
        if isinstance(outcome, OrderNotWorking):
            continue
        assert not isinstance(outcome, BaseException)
        assert change.quantity in (None, final.quantity)
        assert change.limit_price in (None, final.limit_price)
    assert any(isinstance(outcome, OrderNotWorking) for outcome in changed)


async def test_asking_for_orders_that_do_not_exist_leaves_nothing(broker: IBKRBroker) -> None:
    for number in range(20):
        with pytest.raises(OrderNotFound):
            await broker.modify_order(f"nope-{number}", OrderChange(quantity=Decimal(1)))
    assert broker._orders._changing == {}


async def test_orders_of_before_a_restart_keep_their_order_and_invent_no_times(
    gateway: PaperGatewayServer,
) -> None:
    async with IBKRBroker(port=gateway.port) as before:
        for key in ("first", "second", "third"):
            await before.place_order(
                order(client_order_id=key) if key == "second" else resting(client_order_id=key)
            )
        (fill,) = await before.get_executions()
    async with IBKRBroker(port=gateway.port) as after:
        found = await after.get_orders()
    assert [o.id for o in found] == ["third", "second", "first"]
    assert {o.id: o.created_at for o in found} == {"first": None, "second": fill.time, "third": None}


# The session -----------------------------------------------------------------------------------


async def test_it_reconnects_by_itself_with_the_same_client_id(broker: IBKRBroker, proxy: Proxy) -> None:
    await broker.get_quote(ContractQuery(symbol="AAPL"))
    lines = proxy.count(1)
    proxy.is_up = False
    proxy.cut()
    await until(lambda: broker.session.state is not SessionState.READY)
    with pytest.raises(NotConnected):
        await broker.get_account()
    with pytest.raises(NotConnected):
        await broker.place_order(order())
    proxy.is_up = True
    await until(lambda: broker.session.state is SessionState.READY)
    assert broker.session.connection_number == 2
    assert {fields[2] for fields in proxy.sent_by_client if fields[0] == "71"} == {"1"}
    assert proxy.count(1) == lines + 1, "the quote's line was not restored"
    assert (await broker.get_quote(ContractQuery(symbol="AAPL"))).stale is False


async def test_a_server_starts_without_its_gateway_and_finds_it_later(gateway: PaperGatewayServer) -> None:
    async with Proxy(gateway.port) as proxy:
        proxy.is_up = False
        broker = IBKRBroker(port=proxy.port)
        await broker.start()
        await until(lambda: broker.session.last_error is not None)
        with pytest.raises(NotConnected):
            await broker.get_account()
        proxy.is_up = True
        await until(lambda: broker.session.state is SessionState.READY)
        await broker.disconnect()
        assert broker.session.state is SessionState.STOPPED


async def test_a_failure_that_waiting_does_not_mend_ends_the_attempts(proxy: Proxy) -> None:
    broker = IBKRBroker(port=proxy.port, account="DU9")
    await broker.start()
    await until(lambda: broker.session.state is SessionState.STOPPED)
    assert "DU9" in (broker.session.last_error or "")
    with pytest.raises(NotConnected, match="DU9"):
        await broker.get_account()
    await broker.disconnect()


async def test_disconnecting_while_connecting_ends_cleanly() -> None:
    async with silent_server() as port:
        broker = IBKRBroker(port=port)
        await broker.start()
        await until(lambda: broker.session.state is SessionState.CONNECTING)
        await asyncio.wait_for(broker.disconnect(), 2)
        assert broker.session.state is SessionState.STOPPED


@pytest.mark.parametrize("codes", [(1100,), (1100, 1102, 1100)])
async def test_ib_lost_during_the_log_on_is_not_overlooked(proxy: Proxy, codes: tuple[int, ...]) -> None:
    def and_lost(fields: list[str]) -> list[str]:
        for code in codes:
            proxy.error(-1, code, "Connectivity")
        return fields

    proxy.from_gateway[MANAGED_ACCOUNTS] = and_lost
    async with IBKRBroker(port=proxy.port) as broker:
        await until(lambda: broker.session.state is SessionState.UPSTREAM_LOST)
        with pytest.raises(UpstreamLost):
            await broker.place_order(order())
    assert proxy.count(PLACE_ORDER) == 0


async def test_orders_never_move_to_another_account(broker: IBKRBroker, proxy: Proxy) -> None:
    proxy.from_gateway[MANAGED_ACCOUNTS] = lambda fields: [*fields[:2], "DU777"]
    proxy.cut()
    await until(lambda: broker.session.state is SessionState.STOPPED)
    assert "DUTM00001" in (broker.session.last_error or "")


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70000), ("a..b", 4002), ("127.0.0.1", -1)])
async def test_an_address_that_cannot_be(host: str, port: int) -> None:
    broker = IBKRBroker(host, port)
    with pytest.raises(GatewayRefused):
        await broker.connect()
    await broker.disconnect()


async def test_connecting_twice_is_connecting_once(proxy: Proxy) -> None:
    broker = IBKRBroker(port=proxy.port)
    await asyncio.gather(broker.connect(), broker.connect(), broker.start())
    await broker.start()
    assert (broker.session.state, broker.session.connection_number) == (SessionState.READY, 1)
    await broker.disconnect()
    assert await broker.connect()
    await asyncio.gather(broker.disconnect(), broker.disconnect())
    assert broker.session.state is SessionState.STOPPED


async def test_a_cancelled_disconnect_still_disconnects(proxy: Proxy, gateway: PaperGatewayServer) -> None:
    broker = IBKRBroker(port=proxy.port)
    await broker.connect()
    closing = asyncio.create_task(broker.disconnect())  # noqa: TID251
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.gather(closing, return_exceptions=True)
    await until(lambda: broker.session.state is SessionState.STOPPED and not gateway.clients)


@pytest.mark.parametrize("seed", range(12))
async def test_no_sequence_of_commands_leaves_a_connection_behind(
    gateway: PaperGatewayServer, seed: int
) -> None:
    """Connect, start, disconnect and cancellations at random moments: then the client id is free."""
    rng = random.Random(seed)
    broker = IBKRBroker(port=gateway.port, client_id=3)
    running: list[asyncio.Task[object]] = []
    for _ in range(12):
        command = rng.choice([broker.connect, broker.start, broker.disconnect])
        running.append(asyncio.create_task(command()))  # noqa: TID251
        for _ in range(rng.randrange(12)):
            await asyncio.sleep(0)
        if rng.random() < 0.4:
            rng.choice(running).cancel()
    for outcome in await asyncio.wait_for(asyncio.gather(*running, return_exceptions=True), 20):
        assert (
            outcome is None or outcome is True or isinstance(outcome, TradeMindError | asyncio.CancelledError)
        )
    await broker.disconnect()
    await until(lambda: not gateway.clients)
    assert await broker.connect()
    assert broker.session.state is SessionState.READY
    await broker.disconnect()

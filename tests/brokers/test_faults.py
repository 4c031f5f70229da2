"""A gateway that misbehaves: every call still ends, and nothing that is said is untrue."""

import asyncio
import random
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from tests.brokers.test_client import order, resting
from tests.proxy import Proxy, withhold
from trademind import BarRequest, ContractQuery, IBKRBroker, OrderChange, OrderStatus
from trademind.domain import DataSource, SessionState
from trademind.errors import (
    AccountNotFound,
    CancelRejected,
    ClientIdInUse,
    ConnectionLost,
    GatewayRefused,
    Invalid,
    LiveAccountNotAllowed,
    LiveTradingNotAllowed,
    NoAnswer,
    NotConnected,
    NotSynchronised,
    OrderNotFound,
    OrderNotWorking,
    OrderOutcomeUnknown,
    OrderRejected,
    PacingViolation,
    Refused,
    TradeMindError,
    UpstreamLost,
)
from trademind.gateway.engine.instruments import INSTRUMENTS as LISTED
from trademind.gateway.faults import Step, StopAnswering
from trademind.gateway.server import PaperGatewayServer

CONTRACT_DETAILS, CONTRACT_DETAILS_END, ERROR, OPEN_ORDER, ORDER_STATUS = 10, 52, 4, 5, 3
EXECUTION, COMMISSION, HISTORY, MANAGED_ACCOUNTS, PLACE_ORDER = 11, 59, 17, 15, 3


@pytest.fixture
async def broker(proxy: Proxy) -> AsyncIterator[IBKRBroker]:
    async with IBKRBroker(
        port=proxy.port, max_requests_per_second=0, request_timeout=0.5, order_timeout=0.5
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


async def test_a_client_id_in_use_is_said_at_once(gateway: PaperGatewayServer) -> None:
    """ib-facts 17: the peer closes at once, yet ib_async waits for its time-out."""
    async with IBKRBroker(port=gateway.port, client_id=5):
        second = IBKRBroker(port=gateway.port, client_id=5, connect_timeout=30)
        start = time.monotonic()
        with pytest.raises(ClientIdInUse) as failure:
            await second.connect()
        assert failure.value.ib_code == 326
        assert time.monotonic() - start < 2


@pytest.mark.parametrize(
    ("end_marker", "snapshot"),
    [(54, "account"), (62, "positions"), (53, "open_orders"), (102, "completed_orders"), (55, "executions")],
)
async def test_a_withheld_snapshot_is_named(proxy: Proxy, end_marker: int, snapshot: str) -> None:
    """ib-facts 18: readiness per snapshot; unknown is not empty."""
    proxy.from_gateway[end_marker] = withhold
    broker = IBKRBroker(port=proxy.port, connect_timeout=0.4)
    with pytest.raises(NotSynchronised, match=snapshot):
        await broker.connect()
    with pytest.raises(NotConnected):
        await broker.get_account()
    await broker.disconnect()


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


async def test_several_accounts_need_a_choice(proxy: Proxy) -> None:
    """ib-facts 25."""
    proxy.from_gateway[MANAGED_ACCOUNTS] = lambda fields: [*fields[:2], "DUTM00001,DU7"]
    with pytest.raises(AccountNotFound, match="several"):
        await IBKRBroker(port=proxy.port).connect()
    async with IBKRBroker(port=proxy.port, account="DUTM00001") as broker:
        assert (await broker.get_account()).account_id == "DUTM00001"
    with pytest.raises(AccountNotFound, match="DU9"):
        await IBKRBroker(port=proxy.port, account="DU9").connect()


# Requests --------------------------------------------------------------------------------------


async def test_a_warning_code_fails_the_request_it_is_about(broker: IBKRBroker, proxy: Proxy) -> None:
    """ib-facts 2: 321 counts as a warning in ib_async and never resolves the request."""
    proxy.from_gateway[CONTRACT_DETAILS] = withhold
    proxy.from_gateway[CONTRACT_DETAILS_END] = lambda f: [
        str(ERROR), "2", f[2], "321", "Error validating request", "",
    ]  # fmt: skip
    with pytest.raises(Refused) as failure:
        await broker.qualify(ContractQuery(symbol="AAPL"))
    assert failure.value.ib_code == 321


async def test_a_request_without_answer_ends_at_its_deadline_and_leaves_nothing(
    broker: IBKRBroker, proxy: Proxy
) -> None:
    """ib-facts 4."""
    proxy.from_gateway[CONTRACT_DETAILS_END] = withhold
    with pytest.raises(NoAnswer):
        await broker.qualify(ContractQuery(symbol="AAPL"))
    wrapper = broker._session().ib.wrapper
    assert wrapper._futures == {}
    assert wrapper._results == {}
    del proxy.from_gateway[CONTRACT_DETAILS_END]
    assert (await broker.qualify(ContractQuery(symbol="AAPL"))).contract.con_id == 265598


async def test_parallel_questions_of_one_kind_share_one_answer(broker: IBKRBroker, proxy: Proxy) -> None:
    """ib-facts 3: under ib_async's fixed keys the second caller would orphan the first."""
    before = proxy.count(61)
    requests, client = broker._session().requests, broker._session().ib.client
    await asyncio.gather(
        *(requests.ask_shared("positions", "positions", client.reqPositions) for _ in range(5))
    )
    assert proxy.count(61) == before + 1


@pytest.mark.parametrize("by_peer", [True, False])
async def test_whoever_waits_is_told_at_once_when_the_connection_ends(
    broker: IBKRBroker, proxy: Proxy, by_peer: bool
) -> None:
    """ib-facts 5: ib_async's own disconnect leaves its callers waiting for ever."""
    proxy.from_gateway[CONTRACT_DETAILS_END] = withhold
    proxy.from_gateway[HISTORY] = withhold
    asked = [
        asyncio.create_task(broker.qualify(ContractQuery(symbol="AAPL"))),  # noqa: TID251
        asyncio.create_task(broker.get_quote(ContractQuery(symbol="MSFT"))),  # noqa: TID251
        asyncio.create_task(broker.get_bars(ContractQuery(symbol="SPY"), BarRequest())),  # noqa: TID251
    ]
    await until(lambda: proxy.count(9) == 3)
    start = time.monotonic()
    if by_peer:
        proxy.cut()
    else:
        await broker.disconnect()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert time.monotonic() - start < 0.3
    assert {type(a) for a in answers} == {ConnectionLost if by_peer else NotConnected}


async def test_a_pacing_violation_says_when_to_come_back(broker: IBKRBroker, proxy: Proxy) -> None:
    """ib-facts 22."""
    proxy.from_gateway[HISTORY] = lambda f: [
        str(ERROR), "2", f[1], "162", "Historical Market Data Service error message:API pacing violation", "",
    ]  # fmt: skip
    with pytest.raises(PacingViolation) as failure:
        await broker.get_bars(ContractQuery(symbol="SPY"), BarRequest())
    assert failure.value.retry_after


async def test_no_data_is_no_bars_and_not_an_error(broker: IBKRBroker, proxy: Proxy) -> None:
    proxy.from_gateway[HISTORY] = lambda f: [
        str(ERROR), "2", f[1], "162",
        "Historical Market Data Service error message:HMDS query returned no data: SPY@SMART Trades", "",
    ]  # fmt: skip
    assert await broker.get_bars(ContractQuery(symbol="SPY"), BarRequest()) == ()


async def test_a_refused_quote_says_why(broker: IBKRBroker, proxy: Proxy) -> None:
    """ib-facts 20: 354 raises no ticker event."""
    details = await broker.qualify(ContractQuery(symbol="AAPL"))
    proxy.from_client[1] = lambda fields: proxy.error(int(fields[2]), 354, "not subscribed")
    start = time.monotonic()
    with pytest.raises(Refused) as failure:
        await broker.get_quote(ContractQuery(con_id=details.contract.con_id))
    assert failure.value.ib_code == 354
    assert time.monotonic() - start < 1
    proxy.from_client.clear()
    assert (await broker.get_quote(ContractQuery(symbol="AAPL"))).last is not None


# Orders ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [10349, 399, 2109, 4711])
async def test_a_code_about_a_working_order_never_cancels_it(
    broker: IBKRBroker, proxy: Proxy, code: int
) -> None:
    """ib-facts 1: ib_async marks an order Cancelled on a code it does not know, though it lives."""
    placed = await broker.place_order(resting(client_order_id="lives"))
    proxy.error(placed.ib_order_id or 0, code, "said about the order")
    await until(lambda: broker._book.order("lives").notices)  # type: ignore[union-attr]
    noted = await broker.get_order("lives")
    assert (noted.status, noted.notices[0].ib_code) == (OrderStatus.SUBMITTED, code)
    changed = await broker.modify_order("lives", OrderChange(limit_price=Decimal("2.00")))
    assert changed.status is OrderStatus.SUBMITTED
    filled = await broker.modify_order("lives", OrderChange(limit_price=Decimal("9999.00")))
    await until(lambda: broker._book.order("lives").status.is_done)  # type: ignore[union-attr]
    assert (await broker.get_order("lives")).status is OrderStatus.FILLED
    assert filled.id == "lives"


async def test_an_order_without_answer_is_unknown_and_settled_on_reconnect(
    broker: IBKRBroker, proxy: Proxy
) -> None:
    """ib-facts 7: it reached the gateway, whose answer was lost."""
    await broker.qualify(ContractQuery(symbol="AAPL"))
    for message in (OPEN_ORDER, ORDER_STATUS, EXECUTION, COMMISSION):
        proxy.from_gateway[message] = withhold
    with pytest.raises(OrderOutcomeUnknown) as failure:
        await broker.place_order(order(client_order_id="lost"))
    assert failure.value.retry_safe is False
    assert (await broker.get_order("lost")).status is OrderStatus.UNKNOWN
    assert (await broker.place_order(order(client_order_id="lost"))).status is OrderStatus.UNKNOWN
    proxy.from_gateway.clear()
    proxy.cut()
    await until(lambda: broker.session.connection_number == 2)
    settled = await broker.get_order("lost")
    assert (settled.status, settled.filled_quantity) == (OrderStatus.FILLED, Decimal(10))
    assert proxy.count(PLACE_ORDER) == 1


async def test_an_order_that_never_arrived_is_settled_as_never_sent(broker: IBKRBroker, proxy: Proxy) -> None:
    """ib-facts 7: the connection broke before it was received. Nothing is sent again by itself."""
    await broker.qualify(ContractQuery(symbol="AAPL"))
    proxy.from_client[PLACE_ORDER] = lambda fields: proxy.cut()
    with pytest.raises(OrderOutcomeUnknown):
        await broker.place_order(order(client_order_id="gone"))
    proxy.from_client.clear()
    await until(lambda: broker.session.connection_number == 2)
    assert (await broker.get_order("gone")).status is OrderStatus.NEVER_SENT
    assert await broker.get_positions() == ()
    assert proxy.count(PLACE_ORDER) == 1


async def test_an_order_swallowed_by_a_short_silence_is_settled_without_anyone_asking(
    gateway: PaperGatewayServer,
) -> None:
    """The gateway hangs for longer than an order may take, and for less than counts as silent."""
    async with IBKRBroker(port=gateway.port, order_timeout=0.3, heartbeat=0.2) as broker:
        await broker.qualify(ContractQuery(symbol="AAPL"))
        gateway.core.timeline.add(Step(do=StopAnswering(), until=timedelta(seconds=0.6)))
        with pytest.raises(OrderOutcomeUnknown):
            await broker.place_order(order(client_order_id="swallowed"))
        await until(lambda: broker._book.order("swallowed").status is OrderStatus.NEVER_SENT)  # type: ignore[union-attr]
        await until(lambda: broker.session.state is SessionState.READY)
        assert not gateway.core.exchange.orders()


async def test_what_filled_while_disconnected_is_known_afterwards(
    broker: IBKRBroker, proxy: Proxy, gateway: PaperGatewayServer
) -> None:
    """ib-facts 10: no event comes for it, only the executions snapshot has it."""
    await broker.place_order(resting(client_order_id="away"))
    proxy.is_up = False
    proxy.cut()
    await until(lambda: broker.session.state is not SessionState.READY)
    async with IBKRBroker(port=gateway.port) as same_client:
        await same_client.modify_order("away", OrderChange(limit_price=Decimal("9999.00")))
        await until(lambda: same_client._book.order("away").status.is_done)  # type: ignore[union-attr]
    proxy.is_up = True
    await until(lambda: broker.session.connection_number == 2)
    back = await broker.get_order("away")
    assert back.status is OrderStatus.FILLED
    assert len(await broker.get_executions(order_id="away")) == 1
    assert back.commission is not None


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


async def test_a_short_sale_and_an_unknown_time_zone_are_understood(broker: IBKRBroker, proxy: Proxy) -> None:
    """ib-facts 12: ib_async drops both messages with nothing but a line in its log."""
    proxy.from_gateway[OPEN_ORDER] = lambda f: ["SSHORT" if field == "SELL" else field for field in f]
    proxy.from_gateway[EXECUTION] = lambda f: [*f[:15], f"{f[15][:17]} MEZ", *f[16:]]
    sold = await broker.place_order(order(side="SELL"))
    assert (sold.side, sold.status) == ("SELL", OrderStatus.FILLED)
    (execution,) = await broker.get_executions()
    assert execution.side == "SELL"


@pytest.mark.parametrize("written", ["%Y%m%d %H:%M:%S US/Eastern", "%Y%m%d-%H:%M:%S", "%Y%m%d  %H:%M:%S"])
async def test_an_execution_has_its_time_whatever_the_host_zone(
    broker: IBKRBroker, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    """ib-facts 12: a time without a zone would be read in the zone of this machine."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        zone = ZoneInfo("US/Eastern") if "Eastern" in written else UTC
        filled_at = datetime(2026, 4, 15, 15, 37, 37, tzinfo=UTC)
        text = filled_at.astimezone(zone).strftime(written)
        proxy.from_gateway[EXECUTION] = lambda f: [*f[:15], text, *f[16:]]
        await broker.place_order(order())
        (execution,) = await broker.get_executions()
        assert execution.time == filled_at
    finally:
        monkeypatch.undo()
        time.tzset()


async def test_disconnecting_tells_whoever_waits_for_an_order(broker: IBKRBroker, proxy: Proxy) -> None:
    resting_order = await broker.place_order(resting())
    proxy.from_client[PLACE_ORDER] = proxy.from_client[4] = withhold
    sent = proxy.count(PLACE_ORDER)
    calls = [
        asyncio.create_task(broker.place_order(order())),  # noqa: TID251
        asyncio.create_task(broker.modify_order(resting_order.id, OrderChange(quantity=Decimal(5)))),  # noqa: TID251
        asyncio.create_task(broker.cancel_order(resting_order.id)),  # noqa: TID251
    ]
    await until(lambda: proxy.count(PLACE_ORDER) == sent + 2)
    await broker.disconnect()
    placed, modified, canceled = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(placed, OrderOutcomeUnknown)
    assert isinstance(modified, NotConnected)
    assert isinstance(canceled, NotConnected)


async def test_order_ids_rise_above_those_of_earlier_connections(broker: IBKRBroker, proxy: Proxy) -> None:
    """ib-facts 8. The first order is done: one that is still open would tell its id again by itself."""
    first = await broker.place_order(order())
    proxy.from_gateway[9] = lambda f: [*f[:2], "1"]
    proxy.cut()
    await until(lambda: broker.session.connection_number == 2)
    second = await broker.place_order(resting())
    assert (second.ib_order_id or 0) > (first.ib_order_id or 0)
    assert second.perm_id != first.perm_id


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


async def test_orders_are_refused_while_ib_is_lost_upstream(broker: IBKRBroker, proxy: Proxy) -> None:
    """ib-facts 14: ib_async stays connected on 1100 and does not react to it."""
    proxy.error(-1, 1100, "Connectivity between IB and TWS has been lost.")
    await until(lambda: broker.session.state is SessionState.UPSTREAM_LOST)
    with pytest.raises(UpstreamLost):
        await broker.place_order(order())
    assert (await broker.get_account()).total_cash_value == Decimal(100_000)
    assert proxy.count(PLACE_ORDER) == 0
    snapshots, subscriptions = proxy.count(61), proxy.count(62)
    proxy.error(-1, 1102, "Connectivity has been restored - data maintained.")
    await until(lambda: broker.session.state is SessionState.READY)
    assert proxy.count(61) == snapshots + 1
    assert proxy.count(62) == subscriptions, "an account summary subscription was added"
    assert (await broker.place_order(order())).status is OrderStatus.FILLED


async def test_lines_are_restored_when_ib_has_dropped_them(broker: IBKRBroker, proxy: Proxy) -> None:
    await broker.get_quote(ContractQuery(symbol="AAPL"))
    lines = proxy.count(1)
    for code in (1100, 1101):
        proxy.error(-1, code, "Connectivity")
    await until(lambda: broker.session.state is SessionState.READY and proxy.count(1) == lines + 1)


async def test_farm_notices_are_kept_by_farm(broker: IBKRBroker, proxy: Proxy) -> None:
    """ib-facts 15: 2103 is about one farm and not a lost connection."""
    proxy.error(-1, 2103, "Market data farm connection is broken:usfarm")
    await until(lambda: broker.session.farms.get("usfarm") == "broken")
    assert broker.session.state is SessionState.READY


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


async def test_more_instruments_than_lines(proxy: Proxy) -> None:
    """The line that was asked for longest ago makes room; one call never evicts its own."""
    symbols = [instrument.symbol for instrument in LISTED if instrument.sec_type == "STK"][:95]
    async with IBKRBroker(port=proxy.port, max_requests_per_second=0) as broker:
        with pytest.raises(Invalid):
            await broker.get_quotes([ContractQuery(symbol=symbol) for symbol in symbols])
        await broker.get_quotes([ContractQuery(symbol=symbol) for symbol in symbols[:90]])
        quotes = await broker.get_quotes([ContractQuery(symbol=symbol) for symbol in symbols[85:]])
    assert all(quote.bid is not None for quote in quotes)
    assert (proxy.count(1), proxy.count(2)) == (95, 5)

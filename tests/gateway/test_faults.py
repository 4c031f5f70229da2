"""Every way in which IB's API goes wrong, played by a script to real ib_async.

The rows are those of the table of IB's facts: each test makes the gateway misbehave as the row says, and
sees ib_async do what the row says it does.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import ib_async
import pytest
from ib_async import LimitOrder, MarketOrder, Stock

from tests.gateway.bench import PATIENCE, START, Bench, open_bench, until
from tests.gateway.test_gateway_core import Client, limit_order, make, message, pump
from trademind.clock import ManualClock
from trademind.gateway.connectivity import Farm, FarmState
from trademind.gateway.faults import (
    Action,
    Delay,
    Disconnect,
    Drop,
    Duplicate,
    Fail,
    Halt,
    LoseLink,
    Notify,
    RefuseClientId,
    RefuseConnections,
    Reorder,
    Replace,
    RestoreLink,
    Resume,
    RollBackIds,
    Say,
    ScriptError,
    SetFarm,
    SetPrice,
    SkewClock,
    Step,
    StopAnswering,
)
from trademind.gateway.gateway import PaperGateway
from trademind.gateway.session import Session
from trademind.gateway.store import AccountStore
from trademind.gateway.timeline import MAX_COPIES

pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning"),
    # What a row leaves hanging in ib_async is collected with it.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SECOND = timedelta(seconds=1)
AAPL = Stock("AAPL", "SMART", "USD", conId=265598)


@dataclass
class Stage:
    """A gateway that can be made to misbehave, and clients of it."""

    bench: Bench
    stack: AsyncExitStack
    waiting: list[asyncio.Future[Any]] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)

    def play(self, *steps: Step) -> None:
        self.bench.server.core.timeline.add(*steps)

    def clear(self) -> None:
        self.bench.server.core.timeline.clear()

    async def connect(self, client_id: int = 1, **kwargs: Any) -> ib_async.IB:
        ib = ib_async.IB()
        ib.errorEvent += lambda req_id, code, text, contract: self.codes.append(code)
        self.stack.callback(ib.disconnect)
        kwargs.setdefault("timeout", PATIENCE)
        await ib.connectAsync("127.0.0.1", self.bench.server.port, clientId=client_id, **kwargs)
        return ib

    def session(self, client_id: int = 1) -> Session:
        (found,) = (s for s in self.bench.server.core.sessions if s.client_id == client_id)
        return found

    def ask(self, answer: Awaitable[Any]) -> "asyncio.Future[Any]":
        """A question that may never be answered."""
        task = asyncio.ensure_future(answer)  # noqa: TID251 - cancelled with the stage
        self.waiting.append(task)
        return task

    async def told(self, code: int, times: int = 1) -> None:
        await until(lambda: self.codes.count(code) >= times)

    async def subscribed(self, summaries: int) -> None:
        await until(lambda: len(self.session().summaries) == summaries)

    async def round_trip(self, ib: ib_async.IB) -> None:
        """Everything the gateway has said so far has reached the client."""
        before = ib.wrapper.currentTime
        answered: list[int] = []
        ib.wrapper.currentTime = lambda time: answered.append(time)  # type: ignore[method-assign]
        ib.client.reqCurrentTime()
        await until(lambda: answered)
        ib.wrapper.currentTime = before  # type: ignore[method-assign]


@asynccontextmanager
async def open_stage() -> AsyncIterator[Stage]:
    async with open_bench() as bench, AsyncExitStack() as stack:
        stage = Stage(bench, stack)
        try:
            yield stage
        finally:
            stage.clear()
            for task in stage.waiting:
                task.cancel()
            await asyncio.gather(*stage.waiting, return_exceptions=True)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with open_stage() as opened:
        yield opened


async def has_lost(ib: ib_async.IB) -> None:
    await until(lambda: not ib.isConnected())


def resting(side: str = "BUY") -> LimitOrder:
    return LimitOrder(side, 10, 1.0 if side == "BUY" else 900.0)


# The rows


async def a_code_marks_a_living_order_cancelled(stage: Stage) -> None:
    stage.play(
        Step(do=Fail(10349, "TIF was set", instead=False), message="orderStatus", having=("Submitted",))
    )
    ib = await stage.connect()
    trade = ib.placeOrder(AAPL, resting())
    await until(lambda: 10349 in stage.codes)
    assert trade.orderStatus.status == "Cancelled"
    (order,) = stage.bench.server.core.exchange.orders()
    assert order.status == "Submitted"
    stage.play(Step(do=SetPrice("AAPL", Decimal(1))))
    await until(lambda: trade.fills)


async def a_warning_code_never_ends_the_wait(stage: Stage) -> None:
    ib = await stage.connect()
    stage.play(Step(do=Fail(321, "Error validating request"), request="reqContractDetails"))
    asked = stage.ask(ib.reqContractDetailsAsync(AAPL))
    await until(lambda: 321 in stage.codes)
    await stage.round_trip(ib)
    assert not asked.done()


async def a_second_call_orphans_the_first(stage: Stage) -> None:
    ib = await stage.connect()
    stage.play(Step(do=Delay(SECOND), message="positionEnd", times=None))
    first, second = stage.ask(ib.reqPositionsAsync()), stage.ask(ib.reqPositionsAsync())
    await stage.round_trip(ib)
    assert not second.done()
    stage.bench.move(1)
    await until(second.done)
    await stage.round_trip(ib)
    assert not first.done()


async def a_withheld_end_swallows_later_events(stage: Stage) -> None:
    ib = await stage.connect()
    stage.play(Step(do=Drop(), message="openOrderEnd"))
    asked = stage.ask(ib.reqOpenOrdersAsync())
    await stage.round_trip(ib)
    asked.cancel()
    seen: list[Any] = []
    ib.openOrderEvent += seen.append
    trade = ib.placeOrder(AAPL, resting())
    await until(lambda: trade.orderStatus.status == "Submitted")
    assert seen == []


async def a_disconnect_leaves_callers_waiting(stage: Stage) -> None:
    ib = await stage.connect()
    stage.play(Step(do=Drop(), message="contractDetailsEnd"))
    asked = stage.ask(ib.reqContractDetailsAsync(AAPL))
    await stage.round_trip(ib)
    ib.disconnect()
    await until(lambda: not stage.bench.server.clients)
    assert not asked.done()


async def a_cancel_waits_behind_requests_for_data(stage: Stage) -> None:
    ib = await stage.connect()
    trade = ib.placeOrder(AAPL, resting())
    await until(lambda: trade.orderStatus.status == "Submitted")
    ib.client.MaxRequests, ib.client.RequestsInterval = 45, 0  # 45 at a time, as fast as can be
    times: list[int] = []
    ib.wrapper.currentTime = lambda time: times.append(time)  # type: ignore[method-assign]
    stage.play(Step(do=Fail(2999, "there", instead=False), request="cancelOrder"))
    for _ in range(100):
        ib.client.reqCurrentTime()
    ib.cancelOrder(trade.order)
    await until(lambda: 2999 in stage.codes)
    assert len(times) == 100


async def a_drop_leaves_an_order_in_doubt(stage: Stage) -> None:
    for after in (False, True):
        ib = await stage.connect()
        stage.play(Step(do=Disconnect(after=after), request="placeOrder"))
        trade = ib.placeOrder(AAPL, resting())
        assert trade.orderStatus.status == "PendingSubmit"
        await has_lost(ib)
        assert ib.trades() == []
        assert trade.orderStatus.status == "PendingSubmit"
        assert len(stage.bench.server.core.exchange.orders()) == int(after)
        await until(lambda: not stage.bench.server.clients)


async def order_ids_start_again(stage: Stage) -> None:
    stage.play(Step(do=RollBackIds(1), times=None))
    ib = await stage.connect()
    first = ib.placeOrder(AAPL, resting())
    await until(lambda: first.orderStatus.status == "Submitted")
    ib.disconnect()
    await until(lambda: not stage.bench.server.clients)
    again = ib_async.IB()
    stage.stack.callback(again.disconnect)
    told: list[int] = []
    again.client.apiStart += lambda: told.append(again.client._reqIdSeq)
    await again.connectAsync("127.0.0.1", stage.bench.server.port, clientId=1, timeout=PATIENCE)
    assert told[0] <= first.order.orderId


async def a_repeated_order_is_a_change(stage: Stage) -> None:
    ib = await stage.connect()
    stage.play(Step(do=Duplicate(), request="placeOrder", times=None))
    trade = ib.placeOrder(AAPL, resting())
    await until(lambda: trade.orderStatus.status == "Submitted")
    await stage.round_trip(ib)
    assert len(stage.bench.server.core.exchange.orders()) == 1
    filled = ib.placeOrder(AAPL, MarketOrder("BUY", 1))
    await until(lambda: {103, 104, 201} & set(stage.codes))
    assert len(filled.fills) == 1


async def fills_while_disconnected_are_no_events(stage: Stage) -> None:
    ib = await stage.connect()
    trade = ib.placeOrder(AAPL, resting())
    await until(lambda: trade.orderStatus.status == "Submitted")
    stage.play(
        Step(do=Disconnect(), at=timedelta(0)),
        Step(do=RefuseConnections(), until=10 * SECOND, times=None),
        Step(do=SetPrice("AAPL", Decimal(1)), at=5 * SECOND),
    )
    await until(lambda: not ib.isConnected())
    refused = ib_async.IB()
    with pytest.raises((ConnectionError, TimeoutError)):
        await refused.connectAsync("127.0.0.1", stage.bench.server.port, clientId=1, timeout=0.2)
    stage.bench.move(5)
    await until(stage.bench.server.core.exchange.executions)
    stage.bench.move(5)
    await until(lambda: stage.bench.server.core.timeline.is_empty)
    again = ib_async.IB()
    stage.stack.callback(again.disconnect)
    events: list[Any] = []
    again.execDetailsEvent += lambda trade, fill: events.append(fill)
    await again.connectAsync("127.0.0.1", stage.bench.server.port, clientId=1, timeout=PATIENCE)
    assert (len(again.fills()), events) == (1, [])


async def a_commission_before_its_execution_is_lost(stage: Stage) -> None:
    ib = await stage.connect()
    stage.play(Step(do=Reorder(behind="commissionReport"), message="execDetails"))
    trade = ib.placeOrder(AAPL, MarketOrder("BUY", 10))
    await until(lambda: trade.fills)
    await stage.round_trip(ib)
    assert trade.fills[0].commissionReport.execId == ""
    assert trade.fills[0].commissionReport.commission == 0.0


async def an_unknown_time_zone_loses_the_execution(stage: Stage) -> None:
    ib = await stage.connect()
    stage.play(Step(do=Replace(r"(\d{8} +\d\d:\d\d:\d\d).*", r"\1 Mars/Phobos"), message="execDetails"))
    trade = ib.placeOrder(AAPL, MarketOrder("BUY", 10))
    await until(trade.isDone)
    await stage.round_trip(ib)
    assert trade.fills == []


async def a_status_goes_backwards(stage: Stage) -> None:
    ib = await stage.connect()
    late = Step(do=Reorder(behind="commissionReport"), message="orderStatus", having=("PreSubmitted",))
    stage.play(late)
    trade = ib.placeOrder(AAPL, MarketOrder("BUY", 10))
    await until(lambda: trade.fills)
    await stage.round_trip(ib)
    assert trade.orderStatus.status == "PreSubmitted"
    assert trade.filled() == 10


async def each_return_of_the_link_adds_a_subscription(stage: Stage) -> None:
    ib = await stage.connect()
    await ib.accountSummaryAsync()
    assert len(stage.session().summaries) == 1
    for cycle in (1, 2):
        stage.play(Step(do=LoseLink()))
        await stage.told(1100, cycle)
        assert ib.isConnected()
        stage.play(Step(do=RestoreLink()))
        await stage.told(1102, cycle)
        # The second one too many is refused: a client may have two.
        await (stage.subscribed(2) if cycle == 1 else stage.told(322))
    stage.play(Step(do=LoseLink()), Step(do=RestoreLink(data_lost=True)))
    await stage.told(1101)
    await stage.round_trip(ib)
    assert (len(stage.session().summaries), stage.codes.count(322)) == (2, 1)


async def a_farm_breaks_and_the_ticks_stop(stage: Stage) -> None:
    ib = await stage.connect()
    ticker = ib.reqMktData(AAPL)
    await until(lambda: ticker.last == ticker.last)
    stage.play(Step(do=SetFarm(Farm.MARKET, FarmState.BROKEN)))
    await until(lambda: 2103 in stage.codes)
    at = ticker.time
    for _ in range(5):
        stage.bench.move(60)
        await stage.round_trip(ib)
    assert ticker.time == at
    stage.play(Step(do=SetFarm(Farm.MARKET, FarmState.OK)))
    await until(lambda: 2104 in stage.codes)
    stage.bench.move(60)
    await until(lambda: ticker.time != at)


async def a_silent_gateway_stays_connected(stage: Stage) -> None:
    ib = await stage.connect()
    stage.play(Step(do=StopAnswering(), until=60 * SECOND))
    asked = stage.ask(ib.reqCurrentTimeAsync())
    ib.placeOrder(AAPL, resting())
    other = ib_async.IB()
    with pytest.raises(TimeoutError):
        await other.connectAsync("127.0.0.1", stage.bench.server.port, clientId=2, timeout=0.2)
    assert (ib.isConnected(), asked.done()) == (True, False)
    assert stage.bench.server.core.exchange.orders() == []
    asked.cancel()
    stage.bench.move(60)
    await until(lambda: stage.bench.server.core.timeline.is_empty)
    await stage.round_trip(ib)


async def a_client_id_is_refused(stage: Stage) -> None:
    stage.play(Step(do=RefuseClientId(), client=1, times=2))
    for _ in range(2):
        with pytest.raises((ConnectionError, TimeoutError)):
            await stage.connect(timeout=0.3)
    assert stage.codes == [326, 326]
    ib = await stage.connect()
    assert ib.isConnected()


async def a_failed_start_is_swallowed(stage: Stage) -> None:
    for end in ("positionEnd", "openOrderEnd", "completedOrdersEnd", "execDetailsEnd", "accountDownloadEnd"):
        stage.play(Step(do=Drop(), message=end))
        ib = await stage.connect(timeout=0.2)
        assert ib.isConnected()
        ib.disconnect()
        await until(lambda: not stage.bench.server.clients)
    assert stage.bench.server.core.timeline.is_empty


async def an_order_without_an_id(stage: Stage) -> None:
    owner = await stage.connect(1)
    trade = owner.placeOrder(AAPL, resting())
    await until(lambda: trade.orderStatus.status == "Submitted")
    by_hand = [
        Step(do=Replace(".*", "0", field=1), message=m, client=2, times=None)
        for m in ("openOrder", "orderStatus")
    ]
    stage.play(*by_hand)
    other = await stage.connect(2)
    (seen,) = await other.reqAllOpenOrdersAsync()
    assert seen.order.orderId == 0
    other.cancelOrder(seen.order)
    await stage.round_trip(other)
    assert len(stage.bench.server.core.exchange.orders()) == 1


async def a_refused_line_is_no_event_of_its_ticker(stage: Stage) -> None:
    ib = await stage.connect()
    for code in (101, 354, 10197, 10168):
        stage.play(Step(do=Fail(code, "refused"), request="reqMktData"))
        ticker = ib.reqMktData(AAPL)
        updates: list[Any] = []
        ticker.updateEvent += updates.append
        await stage.told(code)
        await stage.round_trip(ib)
        assert updates == []
        ib.cancelMktData(AAPL)
    stage.play(Step(do=Replace("^1$", "3", field=3), message="marketDataType"))
    stage.play(Step(do=Replace("^1$", "66", field=3), message="tickPrice", fields={3: "1"}))
    ticker = ib.reqMktData(AAPL)
    await until(lambda: ticker.marketDataType == 3)
    await until(lambda: ticker.bid == ticker.bid)


async def two_subscriptions_of_which_one_can_be_cancelled(stage: Stage) -> None:
    ib = await stage.connect()
    ib.reqMktData(AAPL)
    ib.reqMktData(AAPL)
    await until(lambda: len(stage.session().ticks) == 2)
    ib.cancelMktData(AAPL)
    await until(lambda: len(stage.session().ticks) == 1)
    ib.cancelMktData(AAPL)
    await stage.round_trip(ib)
    assert len(stage.session().ticks) == 1


async def history_is_paced(stage: Stage) -> None:
    ib = await stage.connect()
    text = "Historical Market Data Service error message:Historical data request pacing violation"
    stage.play(Step(do=Fail(162, text), request="reqHistoricalData", skip=2, times=1))
    found = []
    for _ in range(4):
        bars = await ib.reqHistoricalDataAsync(AAPL, "", "600 S", "1 min", "TRADES", False)
        found.append(len(bars) > 0)
    assert found == [True, True, False, True]
    assert stage.codes.count(162) == 1


async def sentinels_stand_for_none(stage: Stage) -> None:
    ib = await stage.connect()
    unset = "1.7976931348623157E308"
    stage.play(
        Step(do=Replace(".*", "-1", field=4), message="tickPrice", times=None),
        Step(do=Replace(r"^[\d.]+$", unset, field=3), message="position", times=None),
        Step(do=Replace(r"^\d+\.\d+$", unset), message="pnl", times=None),
    )
    ticker = ib.reqMktData(AAPL)
    await until(lambda: ticker.bid == -1)
    pnl = ib.reqPnL(ib.managedAccounts()[0])
    await until(lambda: pnl.dailyPnL == pnl.dailyPnL)


async def a_contract_that_is_ambiguous_or_unknown(stage: Stage) -> None:
    ib = await stage.connect()
    stage.play(
        Step(do=Replace("^265598$", "999"), message="contractDetails", skip=1),
        Step(do=Duplicate(), message="contractDetails"),
    )
    vague = Stock("AAPL", "SMART", "USD")
    assert await ib.qualifyContractsAsync(vague) == [None] or vague.conId == 0
    stage.play(Step(do=Fail(200, "No security definition has been found"), request="reqContractDetails"))
    assert await ib.qualifyContractsAsync(Stock("MSFT", "SMART", "USD")) == [None]
    with pytest.raises(ValueError, match="conId"):
        ib.reqMktData(Stock("MSFT", "SMART", "USD"))


async def several_accounts_and_late_positions(stage: Stage) -> None:
    stage.play(Step(do=Replace("$", ",DU7654321", field=2), message="managedAccounts"))
    ib = await stage.connect(timeout=0.5)
    assert len(ib.managedAccounts()) == 2
    assert stage.session().account is None
    stage.play(Step(do=Delay(SECOND), message="position", times=None))
    trade = ib.placeOrder(AAPL, MarketOrder("BUY", 10))
    await until(trade.isDone)
    await stage.round_trip(ib)
    assert ib.positions() == []
    stage.bench.move(1)
    await until(ib.positions)


ROWS: dict[int, Callable[[Stage], Awaitable[None]]] = dict(
    enumerate(
        (
            a_code_marks_a_living_order_cancelled,
            a_warning_code_never_ends_the_wait,
            a_second_call_orphans_the_first,
            a_withheld_end_swallows_later_events,
            a_disconnect_leaves_callers_waiting,
            a_cancel_waits_behind_requests_for_data,
            a_drop_leaves_an_order_in_doubt,
            order_ids_start_again,
            a_repeated_order_is_a_change,
            fills_while_disconnected_are_no_events,
            a_commission_before_its_execution_is_lost,
            an_unknown_time_zone_loses_the_execution,
            a_status_goes_backwards,
            each_return_of_the_link_adds_a_subscription,
            a_farm_breaks_and_the_ticks_stop,
            a_silent_gateway_stays_connected,
            a_client_id_is_refused,
            a_failed_start_is_swallowed,
            an_order_without_an_id,
            a_refused_line_is_no_event_of_its_ticker,
            two_subscriptions_of_which_one_can_be_cancelled,
            history_is_paced,
            sentinels_stand_for_none,
            a_contract_that_is_ambiguous_or_unknown,
            several_accounts_and_late_positions,
        ),
        1,
    )
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row}-{ROWS[row].__name__}")
async def test_row(stage: Stage, row: int) -> None:
    await ROWS[row](stage)


# What a step can say


def steps_of(core: PaperGateway) -> list[int]:
    return [number for number, _, _ in core.timeline.steps()]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def core(clock: ManualClock) -> PaperGateway:
    return make(clock, AccountStore(None))


TIME, ACCOUNTS = message(49, 1), message(17, 1)


def test_nothing_goes_through_the_timeline_without_steps(core: PaperGateway) -> None:
    client = Client(core, 1)
    assert client.session.filter is None
    (number,) = core.timeline.add(Step(do=Drop(), request="reqCurrentTime"))
    assert client.session.filter is not None
    assert core.timeline.clear(number) == 1
    assert client.session.filter is None


def test_skip_and_times(core: PaperGateway) -> None:
    client = Client(core, 1)
    client.heard()
    core.timeline.add(Step(do=Drop(), request="reqCurrentTime", skip=1, times=2))
    client.send(TIME * 5)
    assert client.kinds() == ["49"] * 3
    assert core.timeline.is_empty


def test_one_client_and_not_the_other(core: PaperGateway) -> None:
    first, second = Client(core, 1), Client(core, 2)
    core.timeline.add(Step(do=Drop(), message="*", client=2, times=None))
    for client in (first, second):
        client.heard()
        client.send(TIME)
    assert (first.kinds(), second.kinds()) == (["49"], [])


def test_a_stretch_of_time(core: PaperGateway, clock: ManualClock) -> None:
    client = Client(core, 1)
    client.heard()
    core.timeline.add(Step(do=Drop(), request="*", at=SECOND, until=SECOND, times=None))
    answered = []
    for _ in range(4):
        client.send(TIME)
        answered.append(len(client.kinds()))
        clock.advance(SECOND / 2)
        pump(core, clock.now())
    assert answered == [1, 1, 0, 0]
    client.send(TIME)
    assert client.kinds() == ["49"]
    assert core.timeline.is_empty


def test_a_moment_of_the_clock(core: PaperGateway, clock: ManualClock) -> None:
    client = Client(core, 1)
    client.heard()
    core.timeline.add(Step(do=Notify(1300, "TWS socket port has been reset"), at=START + SECOND))
    assert client.kinds() == []
    clock.advance(SECOND)
    assert core.is_waiting
    core.attend()
    assert [f[3] for f in client.heard()] == ["1300"]
    assert not core.is_waiting


def test_a_delayed_request_is_overtaken(core: PaperGateway, clock: ManualClock) -> None:
    client = Client(core, 1)
    client.heard()
    core.timeline.add(Step(do=Delay(SECOND), request="reqManagedAccts"))
    client.send(ACCOUNTS, TIME)
    assert client.kinds() == ["49"]
    clock.advance(SECOND)
    assert core.attend() == [client.session]
    assert client.kinds() == ["15"]


def test_everything_late_keeps_its_order(core: PaperGateway, clock: ManualClock) -> None:
    client = Client(core, 1)
    client.heard()
    core.timeline.add(Step(do=Delay(SECOND), message="*", times=None))
    client.send(ACCOUNTS, TIME)
    clock.advance(SECOND / 2)
    client.send(ACCOUNTS)
    clock.advance(SECOND / 2)
    core.attend()
    assert client.kinds() == ["15", "49"]
    core.timeline.clear()
    assert client.kinds() == ["15"]


def test_a_message_comes_after_two_others(core: PaperGateway) -> None:
    client = Client(core, 1)
    client.heard()
    core.timeline.add(Step(do=Reorder(count=2), message="managedAccounts"))
    client.send(ACCOUNTS, TIME, TIME, TIME)
    assert client.kinds() == ["49", "49", "15", "49"]


def test_messages_that_wait_for_each_other_are_let_go_when_the_script_is_cleared(core: PaperGateway) -> None:
    client = Client(core, 1)
    client.heard()
    core.timeline.add(
        Step(do=Reorder(behind="currentTime"), message="managedAccounts"),
        Step(do=Reorder(behind="managedAccounts"), message="currentTime"),
    )
    client.send(ACCOUNTS, TIME)
    assert client.kinds() == []
    core.timeline.clear()
    assert sorted(client.kinds()) == ["15", "49"]


def test_a_client_that_goes_takes_along_what_was_held_for_it(core: PaperGateway) -> None:
    client = Client(core, 1)
    core.timeline.add(Step(do=Delay(SECOND), message="*", times=1))
    client.send(TIME)
    assert not core.timeline.is_empty
    core.close(client.session)
    assert core.timeline.is_empty


def test_the_clock_is_wrong(core: PaperGateway, clock: ManualClock) -> None:
    client = Client(core, 1, version=197)
    client.heard()
    core.timeline.add(Step(do=SkewClock(-60 * SECOND)))
    client.send(TIME, message(105))
    seconds = int(clock.now().timestamp()) - 60
    assert client.heard() == [["49", "1", str(seconds)], ["109", str(seconds * 1000)]]


def test_a_message_of_ones_own(core: PaperGateway) -> None:
    client = Client(core, 1)
    client.heard()
    core.timeline.add(
        Step(do=Say(("14", "1", "7", "1", "Exchange closed", "NYSE")), request="reqCurrentTime")
    )
    client.send(TIME)
    assert client.heard()[1] == ["14", "1", "7", "1", "Exchange closed", "NYSE"]


def test_same_script_same_bytes(clock: ManualClock) -> None:
    def run() -> bytes:
        own = ManualClock(START)
        core = make(own, AccountStore(None))
        client = Client(core, 1, version=157)
        core.timeline.add(
            Step(do=Reorder(behind="commissionReport"), message="execDetails", times=None),
            Step(do=Delay(SECOND), message="orderStatus", times=None),
            Step(do=Duplicate(2), message="openOrder", skip=1),
        )
        for order_id in range(1, 4):
            client.send(limit_order(order_id, 10, "9999"))
            own.advance(SECOND)
            pump(core, own.now())
        client.settle()
        return client.session.connection.data_to_send()

    assert run() == run()


# Prices and halts


async def test_a_price_is_where_it_was_put(stage: Stage) -> None:
    ib = await stage.connect()
    ticker = ib.reqMktData(AAPL)
    stage.play(Step(do=SetPrice("AAPL", Decimal("123.45"))))
    await until(lambda: (ticker.bid, ticker.last, ticker.ask) == (123.45, 123.45, 123.45))
    trade = ib.placeOrder(AAPL, MarketOrder("BUY", 500))
    await until(trade.isDone)
    assert {fill.execution.price for fill in trade.fills} == {123.45}
    stage.play(Step(do=SetPrice("AAPL", None)))
    await until(lambda: ticker.last != 123.45)


def test_a_price_is_seen_without_waiting_for_the_market_to_move(
    core: PaperGateway, caplog: pytest.LogCaptureFixture
) -> None:
    client = Client(core, 1, version=157)
    client.send(limit_order(1, 10, "50"))
    client.heard()
    core.control.set_price("AAPL", Decimal(50))
    assert "11" in client.kinds()
    assert core.exchange.orders() == []
    assert caplog.records == []


async def test_nothing_trades_while_halted(stage: Stage) -> None:
    ib = await stage.connect()
    ticker = ib.reqMktData(AAPL)
    stage.play(Step(do=Halt("AAPL")))
    await until(lambda: ticker.halted == 1)
    await until(lambda: ticker.bidSize == 0)
    market, limit = (ib.placeOrder(AAPL, each) for each in (MarketOrder("BUY", 1), LimitOrder("BUY", 1, 999)))
    await until(lambda: limit.orderStatus.status == "Submitted")
    for _ in range(5):
        stage.bench.move(60)
        await stage.round_trip(ib)
    assert (market.fills, limit.fills) == ([], [])
    later = await stage.connect(2)
    assert (await first_halted(later)) == 1
    stage.play(Step(do=Resume("AAPL")))
    await until(lambda: ticker.halted == 0)
    await until(lambda: market.isDone() and limit.isDone())


async def first_halted(ib: ib_async.IB) -> float:
    ticker = ib.reqMktData(AAPL)
    await until(lambda: ticker.halted == ticker.halted)
    return ticker.halted


# Steps that fail


def test_a_step_that_fails_is_logged_once_and_costs_no_answer(
    core: PaperGateway, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the step's own")

    client = Client(core, 1)
    client.heard()
    core.timeline.add(
        Step(do=Replace("1", "2"), message="currentTime", times=None),
        Step(do=Replace("1", "2"), request="reqCurrentTime", times=None),
        Step(do=Halt("AAPL"), message="currentTime", times=None),
        Step(do=Halt("AAPL"), at=SECOND),
    )
    monkeypatch.setattr("trademind.gateway.timeline._replaced", fail)
    monkeypatch.setattr(core.control, "halt", fail)
    client.send(TIME, TIME)
    assert client.kinds() == ["49", "49"]
    clock.advance(SECOND)
    core.attend()
    client.send(TIME)
    assert client.kinds() == ["49"]
    assert core.timeline.steps() == []
    assert [record.getMessage().partition(",")[0] for record in caplog.records] == [
        "step 2 failed", "step 1 failed", "step 3 failed", "step 4 failed",
    ]  # fmt: skip


def test_copies_of_copies_have_an_end(core: PaperGateway) -> None:
    client = Client(core, 1)
    client.heard()
    core.timeline.add(*[Step(do=Duplicate(100), message="currentTime")] * 5)
    client.send(TIME)
    assert len(client.kinds()) == MAX_COPIES


@pytest.mark.parametrize("price", ["1e-9999999", "1e-29", "1E+9", "NaN", "1." + "0" * 40])
def test_a_price_that_nobody_can_be_sent(core: PaperGateway, price: str) -> None:
    with pytest.raises(ValueError, match="no price of AAPL"):
        core.control.set_price("AAPL", Decimal(price))
    with pytest.raises(ValueError, match="no price of AAPL"):
        core.control.set_price("AAPL", Decimal(100), bid=Decimal(price))
    with pytest.raises(ValueError, match="no price of AAPL"):
        core.timeline.add(Step(do=SetPrice("AAPL", Decimal(price))))
    assert core.control.status()["prices"] == []


@pytest.mark.parametrize("size", ["1e-9999999", "1e9999999", "0", "Infinity"])
def test_a_size_that_nobody_can_be_sent(core: PaperGateway, size: str) -> None:
    with pytest.raises(ValueError, match="size on offer"):
        core.control.set_price("AAPL", Decimal(100), size=Decimal(size))


# Steps that cannot be meant


@pytest.mark.parametrize(
    ("pattern", "by"),
    [(".", "\\9"), ("(a)|.", "\\g<zz>"), (".", "\\g<"), (".", "\\400"), ("a{9999999999}", "b"), ("(", "b")],
)
def test_a_replacement_that_cannot_be_meant(pattern: str, by: str) -> None:
    with pytest.raises(ScriptError, match=r"cannot replace|no regular expression"):
        Replace(pattern, by)


def test_a_clock_cannot_be_wrong_by_ages() -> None:
    with pytest.raises(ScriptError, match="3650 days"):
        SkewClock(timedelta(days=-4000))


@pytest.mark.parametrize(
    ("condition", "problem"),
    [
        ({"do": Drop()}, "needs a request or a message"),
        ({"do": Drop(), "request": "placeorder"}, "is 'placeOrder' meant"),
        ({"do": Drop(), "message": "order_status"}, "is 'orderStatus' meant"),
        ({"do": Drop(), "request": "placeOrder", "message": "error"}, "not for both"),
        ({"do": Reorder(), "request": "placeOrder"}, "needs a message"),
        ({"do": StopAnswering(), "request": "placeOrder"}, "waits for no request"),
        ({"do": LoseLink(), "skip": 1}, "only what waits"),
        ({"do": LoseLink(), "at": datetime(2026, 1, 1)}, "time zone"),  # noqa: DTZ001 - the point
        ({"do": LoseLink(), "at": -SECOND}, "before it was added"),
        ({"do": LoseLink(), "times": 0}, "1 or more"),
        ({"do": LoseLink(), "at": timedelta(hours=99_999_999)}, "3650 days later"),
        ({"do": LoseLink(), "until": timedelta(hours=99_999_999)}, "3650 days later"),
        ({"do": LoseLink(), "at": datetime.max.replace(tzinfo=UTC)}, "1970 to 2199"),
        ({"do": LoseLink(), "at": datetime.min.replace(tzinfo=UTC)}, "1970 to 2199"),
        ({"do": Drop(), "message": "currentTime", "fields": {-50: "x"}}, "counted from 0"),
        ({"do": Drop(), "message": "currentTime", "fields": {10**9: "x"}}, "to 100000"),
    ],
)
def test_a_step_that_cannot_be_meant(condition: dict[str, Any], problem: str) -> None:
    with pytest.raises(ScriptError, match=problem):
        Step(**condition)


@pytest.mark.parametrize(
    "action",
    [
        lambda: Delay(timedelta(0)),
        lambda: Duplicate(0),
        lambda: Reorder(behind="nothing"),
        lambda: Reorder(count=0),
        lambda: Replace("(", ""),
        lambda: Replace("x", "y", field=0),
        lambda: Say(()),
        lambda: SetFarm(Farm.CONTRACTS, FarmState.INACTIVE),
    ],
)
def test_an_action_that_cannot_be_meant(action: Callable[[], Action]) -> None:
    with pytest.raises(ScriptError):
        action()


def test_what_would_fail_later_is_refused_at_once(core: PaperGateway) -> None:
    for action in (
        SetPrice("NOPE", Decimal(1)),
        Halt("NOPE"),
        Resume("NOPE"),
        SetPrice("AAPL", Decimal("1.001")),
    ):
        with pytest.raises(ValueError, match=r"NOPE|1\.001"):
            core.timeline.add(Step(do=LoseLink()), Step(do=action, at=SECOND))
    assert core.timeline.is_empty
    assert core.connectivity.is_up
    with pytest.raises(ValueError, match="at most"):
        core.timeline.add(*[Step(do=LoseLink(), at=SECOND)] * 1001)

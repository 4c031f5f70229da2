"""What goes wrong with IB's API, fact by fact, and what TradeMind makes of it: one test for each.

Strategy: `tests/gateway/test_faults.py` shows by which steps the paper gateway plays each fact, and what bare
ib_async makes of it. Here the same steps are played to `IBKRBroker`. A test asserts what is promised, and its
docstring tells by which changes of the code that keeps the promise it was seen to fail.

Time stands still in the market and for the brokers, unless a test moves it; deadlines are of the real time.
"""

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.brokers.stage import (
    SECOND,
    Stage,
    data_in,
    open_stage,
    order_that,
    reconnected,
    round_trip,
    stands,
)
from tests.brokers.test_client import order, resting
from tests.gateway.bench import START, until
from trademind import (
    BarRequest,
    Channel,
    ContractQuery,
    Event,
    Gap,
    IBKRBroker,
    Order,
    OrderChange,
    OrderRequest,
    OrderStatus,
    Quote,
    Resumed,
    Side,
)
from trademind.aio import Backoff
from trademind.brokers.ibkr import history_pacing, liveness, market_data, orders, pacing, reconnect
from trademind.brokers.order_ids import OrderIds
from trademind.clock import SystemClock
from trademind.domain import DataType, Execution, SecType, SessionInfo, SessionState
from trademind.domain.events import StreamItem
from trademind.errors import (
    AccountNotFound,
    AmbiguousContract,
    ClientIdInUse,
    Conflict,
    ConnectionLost,
    ContractNotFound,
    DuplicateOrder,
    GatewaySilent,
    Invalid,
    NoAnswer,
    NotConnected,
    NotSubscribed,
    NotSynchronised,
    OrderNotWorking,
    OrderOutcomeUnknown,
    OrderRejected,
    PacingViolation,
    Refused,
    TooManySubscriptions,
    UpstreamLost,
)
from trademind.gateway.connectivity import Farm, FarmState
from trademind.gateway.engine.instruments import INSTRUMENTS
from trademind.gateway.faults import (
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
    SetFarm,
    SetPrice,
    Step,
    StopAnswering,
)
from trademind.gateway.pacing import Pacing
from trademind.gateway.wire.contracts import WireContract
from trademind.gateway.wire.order_terms import OrderTerms

LONG = 60.0
"""Seconds of a deadline that is not to be what ends a wait."""
SHORT = 0.3
"""Seconds of a deadline that is."""
UNSET = "1.7976931348623157E308"
"""How IB writes that there is no number."""

AAPL, MSFT, SPY, TSLA = (ContractQuery(symbol=symbol) for symbol in ("AAPL", "MSFT", "SPY", "TSLA"))
AAPL_ID = 265598


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with open_stage() as opened:
        yield opened


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """The waits between two attempts to connect are a fiftieth of what they are."""

    def quick(*, first: float, limit: float) -> Backoff:
        return Backoff(first=first / 50, limit=limit / 50)

    monkeypatch.setattr(reconnect, "Backoff", quick)


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine is in Tokyo."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


async def test_row_01_an_unknown_code_never_cancels_a_living_order(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checked by letting `Orders.on_error` take every code for a cancellation: the order is canceled."""
    monkeypatch.setattr(orders, "UNLISTED_CODE_GRACE", 0.0)
    broker = await stage.connect()
    changes = stage.read(broker.stream(Channel.ORDERS))
    for code in (10349, 10147, 10148, 161, 399, 2109, 4711):
        failure = Fail(code, "about it", instead=False)
        stage.play(Step(do=failure, message="orderStatus", having=("Submitted",)))
        key = f"order-{code}"
        await broker.place_order(resting(client_order_id=key))
        noted = await order_that(broker, key, lambda o: o.notices)
        assert (noted.status, noted.notices[0].ib_code, noted.reason) == (OrderStatus.SUBMITTED, code, None)
        changed = await broker.modify_order(key, OrderChange(limit_price=Decimal("2.00")))
        assert changed.status is OrderStatus.SUBMITTED
        await broker.modify_order(key, OrderChange(limit_price=Decimal("9999.00")))
        filled = await order_that(broker, key, lambda o: o.status.is_done)
        assert (filled.status, filled.filled_quantity) == (OrderStatus.FILLED, Decimal(10))
    await round_trip(broker)
    assert {each.status for each in data_in(changes, Order)} == {
        OrderStatus.PENDING_SUBMIT, OrderStatus.SUBMITTED, OrderStatus.FILLED,
    }  # fmt: skip


async def test_row_02_a_code_that_counts_as_a_warning_ends_the_wait(stage: Stage) -> None:
    """Checked by having `Requests.on_error` or `Orders.on_error` pass over 321 and 434: the caller waits for
    its deadline; and by leaving the deadline out of `Requests._wait`: for ever."""
    broker = await stage.connect(request_timeout=5.0, order_timeout=5.0)
    for code in (321, 434):
        stage.play(Step(do=Fail(code, "Error validating request"), request="reqContractDetails"))
        with pytest.raises(Refused) as failure:
            await broker.qualify(AAPL)
        assert failure.value.ib_code == code
    await broker.qualify(AAPL)
    stage.play(Step(do=Fail(321, "Error validating request"), request="placeOrder"))
    with pytest.raises(OrderRejected) as failure:
        await broker.place_order(order(client_order_id="refused"))
    assert failure.value.ib_code == 321
    assert (await broker.get_order("refused")).status is OrderStatus.REJECTED
    assert await broker.get_orders(working=True) == ()

    # A word in between ends nothing, and one instead of an answer does not make anybody wait for ever.
    hasty = await stage.connect(client_id=2, request_timeout=SHORT, order_timeout=SHORT)
    codes = {"MSFT": 165, "TSLA": 399, "NVDA": 404, "AMZN": 2150, "SPY": 10167}
    stage.play(
        *(
            Step(do=Fail(code, "a word"), request="reqContractDetails", having=(symbol,), client=2)
            for symbol, code in codes.items()
        ),
        Step(do=Fail(165, "a word", instead=False), message="contractDetails", having=("QQQ",), client=2),
    )
    asked = [stage.begin(hasty.qualify(ContractQuery(symbol=symbol))) for symbol in (*codes, "QQQ")]
    async with asyncio.timeout(LONG / 2):
        answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(answer) for answer in answers[:-1]] == [NoAnswer] * 5
    assert not isinstance(answers[-1], BaseException)
    await hasty.qualify(AAPL)
    stage.play(Step(do=Fail(399, "a word"), request="placeOrder", client=2))
    with pytest.raises(OrderOutcomeUnknown):
        await hasty.place_order(order(client_order_id="silence"))


async def test_row_03_parallel_questions_of_one_kind_share_one_answer(stage: Stage) -> None:
    """Checked by letting `Requests.ask_shared` ask for each caller: all but the last run into their
    deadline."""
    broker = await stage.connect(request_timeout=5.0)
    session, client = broker._session(), broker._session().ib.client

    def ask_account() -> None:
        client.reqAccountUpdates(True, session.account_id)

    def ask_completed() -> None:
        client.reqCompletedOrders(False)

    questions = (
        ("positions", client.reqPositions, "reqPositions", "positionEnd"),
        ("openOrders", client.reqOpenOrders, "reqOpenOrders", "openOrderEnd"),
        ("completedOrders", ask_completed, "reqCompletedOrders", "completedOrdersEnd"),
        ("accountValues", ask_account, "reqAccountUpdates", "accountDownloadEnd"),
        ("currentTime", client.reqCurrentTime, "reqCurrentTime", "currentTime"),
    )
    stage.play(*(Step(do=Delay(SECOND), message=end, times=None) for *_, end in questions))
    before = {name: len(stage.asked(name)) for _, _, name, _ in questions}
    asked = [
        stage.begin(session.requests.ask_shared(key, key, send))
        for _ in range(3)
        for key, send, _, _ in questions
    ]
    await until(lambda: all(len(stage.asked(name)) > count for name, count in before.items()))
    assert not any(task.done() for task in asked)
    stage.move(1)
    await asyncio.gather(*asked)
    assert all(len(stage.asked(name)) == count + 1 for name, count in before.items())


async def test_row_04_what_was_given_up_leaves_nothing_behind(stage: Stage) -> None:
    """Checked by leaving ib_async's entries alone in `Requests._end`, of all or of one of the three kinds:
    they stay."""
    broker = await stage.connect(request_timeout=SHORT)
    requests, ib = broker._session().requests, broker._session().ib
    await broker.qualify(SPY)
    ends = ("openOrderEnd", "contractDetailsEnd", "historicalData")
    stage.play(*(Step(do=Drop(), message=end) for end in ends))
    answers = await asyncio.gather(
        requests.ask_shared("openOrders", "open orders", ib.client.reqOpenOrders),
        broker.qualify(AAPL),
        broker.get_bars(SPY, BarRequest()),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [NoAnswer] * 3
    wrapper = ib.wrapper
    assert (wrapper._futures, wrapper._results, wrapper._reqId2Contract) == ({}, {}, {})
    await until(lambda: stage.asked("cancelHistoricalData"))

    # What comes later of these kinds is not swallowed.
    assert (await broker.place_order(resting())).status is OrderStatus.SUBMITTED
    await requests.ask_shared("openOrders", "open orders", ib.client.reqOpenOrders)
    assert (await broker.qualify(AAPL)).contract.con_id == AAPL_ID
    assert await broker.get_bars(SPY, BarRequest())


async def test_row_05_whoever_waits_is_told_when_the_connection_ends(stage: Stage) -> None:
    """Checked by leaving out `fail_waiting` in `Requests.close`, what `Orders.interrupted` or
    `Quotes.interrupted` do, or `Book.connection_lost` in `Session._end`: those concerned wait on, or are told
    something else."""
    for by_peer, client_id in ((True, 1), (False, 2)):
        broker = await stage.connect(client_id=client_id, request_timeout=LONG, order_timeout=LONG)
        await broker.qualify(SPY)
        working = await broker.place_order(resting())
        await broker.modify_order(working.id, OrderChange(limit_price=Decimal("1.01")))
        begun = len(stage.timeline.heard)
        lost = Drop()
        for message in ("contractDetailsEnd", "historicalData", "tickPrice"):
            stage.play(Step(do=lost, message=message, times=None))
        for request in ("placeOrder", "cancelOrder"):
            stage.play(Step(do=lost, request=request, times=None))
        calls = [
            stage.begin(call)
            for call in (
                broker.qualify(MSFT),
                broker.get_quote(SPY),
                broker.get_bars(SPY, BarRequest()),
                broker.modify_order(working.id, OrderChange(quantity=Decimal(5))),
                broker.cancel_order(working.id),
                broker.place_order(order()),
            )
        ]
        await until(partial(stage.has_heard, begun + len(calls)))
        if by_peer:
            stage.play(Step(do=Disconnect(), client=client_id))
        else:
            await broker.disconnect()
        async with asyncio.timeout(LONG / 2):
            answers = await asyncio.gather(*calls, return_exceptions=True)
        gone = ConnectionLost if by_peer else NotConnected
        assert [type(answer) for answer in answers] == [gone] * 5 + [OrderOutcomeUnknown]
        stage.timeline.clear()


async def test_row_06_a_cancel_overtakes_the_requests_for_data_that_wait() -> None:
    """By the order on the wire, with IB's limit of 50 messages a second in force.

    Checked by putting all messages into one queue in `Pacer.post`: the data goes first; and by giving data a
    whole second's messages: nothing else is sent in the first one."""
    async with open_stage(clock=SystemClock(), pacing=Pacing()) as stage:
        broker = await stage.connect(max_requests_per_second=45, request_timeout=LONG, order_timeout=LONG)
        for number in range(6):
            await broker.place_order(resting(client_order_id=f"old-{number}"))
        begun = len(stage.timeline.heard)
        for con_id in range(1, 226):
            stage.begin(broker.qualify(ContractQuery(con_id=con_id)))
        commands = [
            *(stage.begin(broker.place_order(resting(client_order_id=f"new-{n}"))) for n in range(12)),
            *(stage.begin(broker.cancel_order(f"old-{n}")) for n in range(6)),
        ]
        done = await asyncio.gather(*commands)
        assert broker.session.queued["data"] > 0
        assert not broker._session().ib.client._msgQ
        assert [each.status for each in done] == [OrderStatus.SUBMITTED] * 12 + [OrderStatus.CANCELED] * 6
        kinds = {"reqContractDetails": "D", "placeOrder": "O", "cancelOrder": "C"}
        sent = "".join(kinds.get(heard.name, "") for heard in stage.timeline.heard[begun:])
        # As much of each as a second has room for, as it came; of what has to wait cancels, orders, data.
        assert re.fullmatch("D+O+C+O+D*", sent), sent
        assert 100 not in stage.timeline.told


async def settle_after_a_drop(
    stage: Stage, client_id: int, request: OrderRequest, *, is_received: bool, settled: OrderStatus
) -> None:
    """The connection breaks before an order is received, or right after."""
    broker = await stage.connect(client_id=client_id, settle_after=0.5)
    items = stage.read(broker.stream(Channel.ORDERS))
    stage.play(
        Step(do=Disconnect(after=is_received), request="placeOrder"),
        Step(do=RefuseConnections(), until=SECOND, times=None),
    )
    with pytest.raises(OrderOutcomeUnknown) as failure:
        await broker.place_order(request)
    assert failure.value.retry_safe is False
    # To ask again under the same key is safe, and sends nothing.
    for _ in range(2):
        assert (await broker.get_order("doubt")).status is OrderStatus.UNKNOWN
        assert (await broker.place_order(request)).status is OrderStatus.UNKNOWN
    stage.move(1)
    await order_that(broker, "doubt", lambda o: o.status is settled)
    await reconnected(broker)
    await round_trip(broker)
    (known,) = [each for each in await broker.get_orders() if not each.external]
    assert (known.id, known.status, known.perm_id is not None) == ("doubt", settled, is_received)
    assert len(stage.asked("placeOrder", client_id=client_id)) == 1
    # What IB lists is known with the first lists; what it does not list might still be on its way then.
    (back,) = [number for number, item in enumerate(items) if isinstance(item, Resumed)][:1]
    assert any(each.status is settled for each in data_in(items[:back], Order)) is is_received


async def test_row_07_an_order_in_doubt_is_settled_and_never_sent_again(
    stage: Stage, quick_retries: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checked by leaving out what `Book.connection_lost` does, or `Book.synchronised`, or `Session.doubt`, or
    the look for the order's reference in `Book.report_order`, or UNKNOWN at the deadline in `Orders._place`:
    an order is not in doubt, or stays so; by taking the first list in `Session.synchronise` for final, or
    none; by sending an unknown order again in `Orders.place`; and by giving an order its id before its turn:
    it looks as if it was sent."""
    request = resting(client_order_id="doubt")
    await settle_after_a_drop(stage, 1, request, is_received=False, settled=OrderStatus.NEVER_SENT)
    await settle_after_a_drop(stage, 2, request, is_received=True, settled=OrderStatus.SUBMITTED)
    # One that has ended meanwhile IB lists without its id and client.
    at_once = resting(client_order_id="doubt", tif="IOC")
    await settle_after_a_drop(stage, 5, at_once, is_received=True, settled=OrderStatus.CANCELED)

    # The connection stays, and the answer is lost: IB's lists settle it without anybody asking.
    broker = await stage.connect(client_id=3, order_timeout=SHORT, heartbeat=LONG, silent_after=2 * LONG)
    await broker.qualify(AAPL)
    stage.play(
        *(Step(do=Drop(), message=message, times=None) for message in ("openOrder", "orderStatus")),
        Step(do=Drop(), message="execDetails", fields={1: "-1"}, times=None),
    )
    with pytest.raises(OrderOutcomeUnknown):
        await broker.place_order(order(client_order_id="lost"))
    assert (await broker.get_order("lost")).status is OrderStatus.UNKNOWN
    await order_that(broker, "lost", lambda o: o.status is OrderStatus.FILLED and o.filled_quantity == 10)
    assert len(stage.asked("placeOrder", client_id=3)) == 1
    stage.timeline.clear()

    # An order that still waits for its turn was not sent, and is not said to be.
    monkeypatch.setattr(pacing, "WINDOW", LONG)
    broker = await stage.connect(client_id=4, max_requests_per_second=12)
    keys = [f"turn-{number}" for number in range(12)]
    calls = {key: stage.begin(broker.place_order(resting(client_order_id=key))) for key in keys}
    await until(lambda: broker.session.queued["order"])
    waiting = {each.id for each in await broker.get_orders() if each.is_queued}
    await until(lambda: all(calls[key].done() or key in waiting for key in keys))
    sent = {key for key in keys if stage.asked("placeOrder", key)}
    assert waiting
    assert sent == set(keys) - waiting
    stage.play(Step(do=Disconnect(), client=4))
    answers = dict(zip(calls, await asyncio.gather(*calls.values(), return_exceptions=True), strict=True))
    assert {type(answers[key]) for key in waiting} == {ConnectionLost}
    await reconnected(broker)
    own = {each.id for each in await broker.get_orders(working=True) if not each.external}
    assert own == sent
    assert {(await broker.get_order(key)).status for key in waiting} == {OrderStatus.NEVER_SENT}
    assert len(stage.asked("placeOrder", client_id=4)) == len(sent)


async def test_row_08_order_ids_rise_over_reconnects_and_restarts(
    stage: Stage, tmp_path: Path, quick_retries: None
) -> None:
    """Checked by not raising ib_async's sequence in `Session._choose_account`, and by writing nothing in
    `OrderIds.use`: ids come again; and by looking for an order by its id alone in `Book.order_of`: the other
    client's fill is taken for ours."""
    stage.play(Step(do=RollBackIds(1), times=None))
    used = []
    for run in range(2):
        broker = await stage.connect(order_ids=OrderIds(tmp_path / "order-ids.json"))
        for connection in (1, 2):
            await reconnected(broker, connection)
            # Orders that are done: the id of one that is open would be told again by itself.
            placed = await broker.place_order(order(client_order_id=f"{run}-{connection}"))
            assert placed.status is OrderStatus.FILLED
            used.append(placed.ib_order_id or 0)
            if connection == 1:
                stage.play(Step(do=Disconnect()))
        await stage.leave(broker)
    assert used == sorted(set(used))
    assert len({each.perm_id for each in stage.server.core.exchange.completed_orders()}) == 4

    # Two clients with the same ids, of whom one sees the orders of both.
    zero, other = await stage.connect(client_id=0), await stage.connect(client_id=3)
    mine = await zero.place_order(resting(client_order_id="mine"))
    theirs = await other.place_order(order(client_order_id="theirs"))
    assert theirs.ib_order_id == mine.ib_order_id
    seen = await order_that(zero, f"ib-{theirs.perm_id}", lambda o: o.status is OrderStatus.FILLED)
    assert (seen.external, seen.order_ref) == (True, "theirs")
    assert await zero.get_order("mine") == mine


async def change_what_fills_meanwhile(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """An order fills while its change waits for its turn: the change is not sent."""
    monkeypatch.setattr(pacing, "WINDOW", LONG)
    broker = await stage.connect(client_id=2, max_requests_per_second=20)
    await broker.place_order(resting(client_order_id="late"))
    await broker.qualify(ContractQuery(con_id=AAPL_ID, exchange="SMART"))
    others = [stage.begin(broker.place_order(resting())) for _ in range(20)]
    await until(lambda: broker.session.queued["order"])
    queued = broker.session.queued["order"]
    changing = stage.begin(broker.modify_order("late", OrderChange(quantity=Decimal(20))))
    await until(lambda: broker.session.queued["order"] == queued + 1)
    stage.play(Step(do=SetPrice("AAPL", Decimal(1))))
    await order_that(broker, "late", lambda o: o.status is OrderStatus.FILLED)
    monkeypatch.setattr(pacing, "WINDOW", 0.0)
    await round_trip(broker)
    with pytest.raises(OrderNotWorking):
        await changing
    await asyncio.gather(*others)
    assert len(stage.asked("placeOrder", "late")) == 1


async def test_row_09_an_order_is_never_sent_over_another(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checked by placing without a look at what the key was used for; by changing an order whatever its
    status, at once, after its contract was looked up, or at its turn; and by giving out the session while IB
    is lost: each time something is sent."""
    broker = await stage.connect()
    twice = [broker.place_order(resting(client_order_id="key")) for _ in range(2)]
    first, second = await asyncio.gather(*twice)
    for other in (order(client_order_id="key"), resting(client_order_id="key", side="SELL")):
        with pytest.raises(DuplicateOrder):
            await broker.place_order(other)
    await stage.leave(broker)
    broker = await stage.connect()
    third = await broker.place_order(resting(client_order_id="key"))
    assert first.perm_id == second.perm_id == third.perm_id
    assert len(stage.asked("placeOrder")) == 1

    # The gateway gets it twice, which is a change of what it has: of one that has filled it is refused.
    stage.play(Step(do=Duplicate(), request="placeOrder", times=None))
    await broker.place_order(resting(client_order_id="twice"))
    await broker.place_order(order(client_order_id="filled"))
    noted = await order_that(broker, "filled", lambda o: o.notices)
    assert (noted.status, noted.filled_quantity) == (OrderStatus.FILLED, Decimal(10))
    assert len(stage.server.core.exchange.orders()) == 2
    stage.timeline.clear()
    sent = len(stage.asked("placeOrder"))

    # A change of an order that is done, of one that fills while its contract is looked up, and without IB.
    change = OrderChange(quantity=Decimal(20))
    with pytest.raises(OrderNotWorking):
        await broker.modify_order("filled", change)
    stage.play(Step(do=Delay(SECOND), message="contractDetailsEnd"))
    changing = stage.begin(broker.modify_order("twice", change))
    await until(lambda: not stage.timeline.steps())
    stage.play(Step(do=SetPrice("AAPL", Decimal(1))))
    await order_that(broker, "twice", lambda o: o.status is OrderStatus.FILLED)
    stage.move(1)
    with pytest.raises(OrderNotWorking):
        await changing
    stage.play(Step(do=SetPrice("AAPL", None)))
    await broker.place_order(resting(client_order_id="resting"))
    stage.play(Step(do=LoseLink()))
    await stands(broker, SessionState.UPSTREAM_LOST)
    for call in (partial(broker.place_order, order()), partial(broker.modify_order, "resting", change)):
        with pytest.raises(UpstreamLost):
            await call()
    assert len(stage.asked("placeOrder")) == sent + 1
    stage.play(Step(do=RestoreLink()))
    await change_what_fills_meanwhile(stage, monkeypatch)


async def test_row_10_what_filled_while_disconnected_is_known_afterwards(
    stage: Stage, quick_retries: None
) -> None:
    """Checked by leaving executions out of `Snapshots.bring_in`, by synchronising on neither 1101 nor 1102 in
    `Supervisor._see_to`: the fill stays unknown; and by recording a known exec id again in
    `Book.add_execution`."""
    broker = await stage.connect()
    events = stage.read(broker.stream(Channel.EXECUTIONS))
    await broker.place_order(resting(client_order_id="away"))
    stage.play(
        Step(do=Disconnect()),
        Step(do=RefuseConnections(), until=2 * SECOND, times=None),
        Step(do=SetPrice("AAPL", Decimal(1)), at=SECOND),
    )
    await until(lambda: broker.session.state is not SessionState.READY)
    stage.move(1)
    await until(stage.server.core.exchange.executions)
    stage.move(1)
    await reconnected(broker)
    back = await broker.get_order("away")
    assert (back.status, back.filled_quantity) == (OrderStatus.FILLED, Decimal(10))
    assert back.commission is not None
    assert len(await broker.get_executions(order_id="away")) == 1

    # Nothing is said of a fill when IB is back, and only the list of executions has it.
    for key, data_lost in (("1102", False), ("1101", True)):
        stage.play(Step(do=SetPrice("AAPL", None)))
        await broker.place_order(resting(client_order_id=key))
        asked = len(stage.asked("reqExecutions"))
        stage.play(
            Step(do=Drop(), message="execDetails", fields={1: "-1"}, times=None),
            Step(do=Drop(), message="orderStatus", having=("Filled",), times=None),
            Step(do=Drop(), message="completedOrder", times=None),
            Step(do=LoseLink()),
            Step(do=SetPrice("AAPL", Decimal(1))),
        )
        await stands(broker, SessionState.UPSTREAM_LOST)
        await until(lambda: not stage.server.core.exchange.orders())
        stage.play(Step(do=RestoreLink(data_lost=data_lost)))
        filled = await order_that(broker, key, lambda o: o.commission is not None)
        assert (filled.status, filled.filled_quantity) == (OrderStatus.FILLED, Decimal(10))
        await stands(broker, SessionState.READY)
        assert len(stage.asked("reqExecutions")) == asked + 1
        stage.timeline.clear()

    # Whatever is told again is no news.
    stage.play(Step(do=Disconnect()))
    await reconnected(broker, 3)
    await round_trip(broker)
    fills = data_in(events, Execution)
    assert len({fill.exec_id for fill in fills}) == 3
    assert [fills.count(fill) for fill in fills] == [1] * len(fills)
    assert len([fill for fill in fills if fill.commission is None]) <= 3


async def test_row_11_a_commission_is_unknown_until_its_report_has_come(stage: Stage) -> None:
    """Checked by dropping early reports in `Book.report_commission`, by summing up those that are there in
    `Book._settle`, and by leaving executions out of `Snapshots.bring_in`: a lost report is never made up
    for."""
    broker = await stage.connect()
    fills = stage.read(broker.stream(Channel.EXECUTIONS))
    # The report, then the execution, then the order itself.
    stage.play(
        Step(do=Reorder(behind="commissionReport"), message="execDetails"),
        Step(do=Reorder(behind="execDetails"), message="openOrder", times=2),
    )
    await broker.place_order(order(client_order_id="early"))
    await order_that(broker, "early", lambda o: o.commission == Decimal("1.00"))
    await round_trip(broker)
    assert [fill.commission for fill in data_in(fills, Execution)] == [Decimal("1.00")]

    # Of two fills one report is late, and one is lost: half a sum is none.
    stage.play(
        Step(do=Delay(SECOND), message="commissionReport"),
        Step(do=Drop(), message="commissionReport", skip=1),
    )
    stage.server.core.control.set_price("AAPL", Decimal(100), size=Decimal(4))
    await broker.place_order(order(client_order_id="late", order_type="LMT", limit_price="100.00"))
    stage.play(Step(do=SetPrice("AAPL", Decimal(99))))
    await order_that(broker, "late", lambda o: o.status is OrderStatus.FILLED)
    await round_trip(broker)
    assert (await broker.get_order("late")).commission is None
    assert [fill.commission for fill in await broker.get_executions(order_id="late")] == [None, None]
    stage.move(1)
    await until(lambda: [fill for fill in broker._book.executions() if fill.commission][1:])
    assert (await broker.get_order("late")).commission is None
    # What was lost comes with the next list of executions.
    stage.play(Step(do=LoseLink()), Step(do=RestoreLink()))
    await order_that(broker, "late", lambda o: o.commission == Decimal("1.00"))
    await stands(broker, SessionState.READY)

    # Without any word of the order itself.
    stage.play(*(Step(do=Drop(), message=name, times=None) for name in ("openOrder", "orderStatus")))
    assert (await broker.place_order(order(client_order_id="bare"))).status is OrderStatus.FILLED
    await order_that(broker, "bare", lambda o: o.commission == Decimal("1.00"))


async def test_row_12_no_fill_is_lost_for_its_time_its_side_or_its_order(stage: Stage, tokyo: None) -> None:
    """Checked by giving ib_async's decoder the execution as it came in `SessionIB`: times are wrong, and
    fills with an unknown zone are missing; by knowing no side but BUY and SELL in `convert`; and by taking
    only fills of orders that are known in `Book.add_execution`."""
    broker = await stage.connect()
    told = stage.read(broker.stream(Channel.EXECUTIONS))
    times = {
        "20261123 10:30:00 US/Eastern": True,
        "20261123 15:30:00 UTC": True,
        "20261123-15:30:00": True,
        "20261123  15:30:00": True,
        "20261123 16:30:00 MEZ": False,
        "20261123 10:30:00 Mars/Phobos": False,
        "some time ago": False,
    }
    for written, is_readable in times.items():
        stage.play(Step(do=Replace("^.*$", written, field=15), message="execDetails"))
        placed = await broker.place_order(order())
        assert placed.status is OrderStatus.FILLED
        (fill,) = await broker.get_executions(order_id=placed.id)
        assert (fill.time == START) is is_readable, written

    # Of a short sale, and of one that works on.
    stage.play(Step(do=Replace("^SELL$", "SSHORT"), message="openOrder", times=None))
    sold = await broker.place_order(order(side="SELL", client_order_id="short"))
    assert (sold.side, sold.status) == (Side.SELL, OrderStatus.FILLED)
    (fill,) = await broker.get_executions(order_id="short")
    assert fill.side is Side.SELL
    working = await broker.place_order(order(side="SELL", order_type="LMT", limit_price="900.00"))
    assert (working.side, working.status, working.perm_id is not None) == (
        Side.SELL, OrderStatus.SUBMITTED, True,
    )  # fmt: skip

    # Client 0 is told of all fills, and here of no order.
    zero = await stage.connect(client_id=0)
    seen = stage.read(zero.stream(Channel.EXECUTIONS))
    for message in ("openOrder", "orderStatus"):
        stage.play(Step(do=Drop(), message=message, client=0, times=None))
    theirs = await broker.place_order(order(client_order_id="theirs"))
    await until(lambda: any(fill.order_ref == "theirs" for fill in data_in(seen, Execution)))
    (fill,) = [fill for fill in await zero.get_executions() if fill.order_ref == "theirs"]
    assert (fill.perm_id, fill.order_id) == (theirs.perm_id, None)
    known = {each.exec_id for each in await broker.get_executions()}
    assert {each.exec_id for each in data_in(told, Execution)} == known


RANKS = [
    OrderStatus.PENDING_SUBMIT, OrderStatus.SUBMITTED, OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED,
]  # fmt: skip


async def test_row_13_a_status_never_goes_back(stage: Stage) -> None:
    """Checked by allowing every status after every other in `Book._moved`, by taking a smaller count of what
    is filled in `Book.report_status`, and by believing no status without a fill there."""
    broker = await stage.connect()
    seen = stage.read(broker.stream(Channel.ORDERS))
    control, exchange = stage.server.core.control, stage.server.core.exchange
    shuffle = random.Random(13)
    for number in range(12):
        key = f"order-{number}"
        stage.play(
            *(
                Step(do=Reorder(count=shuffle.randint(1, 6)), message=message, skip=skip)
                for message in ("openOrder", "orderStatus", "execDetails", "commissionReport")
                for skip in (0, shuffle.randint(0, 1))
            ),
            Step(do=Duplicate(), message="orderStatus", times=None),
        )
        control.set_price("AAPL", Decimal(100), size=Decimal(4))
        request = order(client_order_id=key, order_type="LMT", limit_price="100.00")
        placing = stage.begin(broker.place_order(request))
        await until(lambda: any(each.filled == 4 for each in exchange.orders()))
        control.set_price("AAPL", Decimal(99))
        await until(lambda: not exchange.orders())
        stage.timeline.clear()
        await placing
        final = await order_that(broker, key, lambda o: o.status is OrderStatus.FILLED and o.commission)
        await round_trip(broker)
        assert await broker.get_order(key) == final
        assert (final.filled_quantity, final.remaining_quantity) == (Decimal(10), Decimal(0))
        assert len(await broker.get_executions(order_id=key)) == 2
        history = [each for each in data_in(seen, Order) if each.id == key]
        steps = [(RANKS.index(each.status), each.filled_quantity) for each in history]
        assert steps == sorted(steps)

    # A late status of an order that has ended without a fill.
    await broker.place_order(resting(client_order_id="canceled"))
    stage.play(Step(do=Delay(SECOND), message="orderStatus", having=("Submitted",)))
    await broker.modify_order("canceled", OrderChange(quantity=Decimal(20)))
    assert (await broker.cancel_order("canceled")).status is OrderStatus.CANCELED
    stage.move(1)
    await until(lambda: not stage.timeline._held)
    await round_trip(broker)
    assert (await broker.get_order("canceled")).status is OrderStatus.CANCELED

    # Filled, and no fill is known yet; then an old status.
    stage.play(
        Step(do=Reorder(behind="position"), message="orderStatus", having=("PreSubmitted",)),
        Step(do=Delay(SECOND), message="execDetails"),
    )
    early = await broker.place_order(order(client_order_id="early"))
    await round_trip(broker)
    assert (await broker.get_order("early")).status is OrderStatus.FILLED
    assert (early.filled_quantity, early.commission) == (Decimal(10), None)
    assert await broker.get_executions(order_id="early") == ()
    stage.move(1)
    await order_that(broker, "early", lambda o: o.commission == Decimal("1.00"))


async def test_row_14_the_socket_and_ib_behind_it_are_two_states(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checked by passing over 1100, or 1101 and 1102, in `Session.on_error`; by bringing in no snapshots in
    `Supervisor._synchronise_again`, or restoring no lines there: lines that are gone are cancelled; by asking
    for profit and loss each time in `Snapshots.bring_in`, and by not ending the old line in
    `Quotes._unsubscribe`: subscriptions pile up."""
    monkeypatch.setattr(market_data, "FARM_GRACE", 0.02)
    broker = await stage.connect()
    items = stage.read(broker.stream(Channel.SESSION))
    quotes = stage.watch(broker.quotes(AAPL))
    await broker.get_quotes([AAPL, MSFT])
    at_gateway = stage.session()
    for number, data_lost in enumerate((True,) * 3 + (False,) * 5, 1):
        stage.play(Step(do=LoseLink()))
        await stands(broker, SessionState.UPSTREAM_LOST)
        for call in (
            partial(broker.place_order, order()),
            broker.cancel_all_orders,
            partial(broker.search_contracts, "apple"),
            partial(broker.get_quote, AAPL),
        ):
            with pytest.raises(UpstreamLost):
                await call()
        account = await broker.get_account()
        assert (account.total_cash_value, account.stale) == (Decimal(100_000), True)
        lines = len(stage.asked("reqMktData"))
        stage.play(Step(do=RestoreLink(data_lost=data_lost)))
        await stands(broker, SessionState.READY)
        if data_lost:
            await until(partial(stage.has_asked, "reqMktData", lines + 2))
        # Lines without ticks are renewed, too, before the link is lost again.
        await until(lambda: not broker._market_data._farm_timer)
        await round_trip(broker)
        assert (await broker.get_account()).stale is False
        for name in ("reqPositions", "reqOpenOrders", "reqExecutions", "reqCompletedOrders"):
            assert len(stage.asked(name)) == number + 1
    assert stage.session() is at_gateway
    assert broker.session.connection_number == 1
    assert (await broker.place_order(order())).status is OrderStatus.FILLED
    stage.move(60)
    await until(lambda: quotes[-1].as_of == stage.clock.now() and not quotes[-1].stale)

    # Nothing has piled up at the gateway.
    assert sorted(each.instrument.symbol for _, each in at_gateway.ticks.all()) == ["AAPL", "MSFT"]
    assert (len(at_gateway.pnl), at_gateway.summaries, at_gateway.account_multi) == (1, {}, {})
    assert stage.asked("reqAccountSummary") == []
    assert set(stage.timeline.told) <= {1100, 1101, 1102, *range(2103, 2159)}
    await round_trip(broker)
    cycle = [SessionState.UPSTREAM_LOST, SessionState.SYNCHRONISING, SessionState.READY]
    assert [session.state for session in data_in(items, SessionInfo)] == cycle * 8
    assert [type(item) for item in items if not isinstance(item, Event)] == [Gap, Resumed] * 8


async def test_row_15_a_broken_farm_makes_quotes_stale_and_ends_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checked by passing over farms' notices in `Session.on_error`, by renewing nothing or every line in
    `Quotes.on_farm`, by leaving a line in doubt when a tick comes, and by ending the session on 2103."""
    monkeypatch.setattr(market_data, "FARM_GRACE", 0.05)
    monkeypatch.setattr(market_data, "QUOTE_WAIT", 0.05)
    broker = await stage.connect()
    items = stage.read(broker.stream(Channel.SESSION))
    quotes = stage.watch(broker.quotes(AAPL, MSFT))
    await broker.get_quotes([AAPL, MSFT])

    async def are_stale() -> tuple[bool, ...]:
        return tuple(quote.stale for quote in await broker.get_quotes([AAPL, MSFT]))

    def are_told(*stale: bool) -> bool:
        told = {quote.contract.symbol: quote.stale for quote in quotes}
        return (told["AAPL"], told["MSFT"]) == stale

    def lines() -> list[str]:
        """What was asked about market data since the last look, in order."""
        names = [heard.name for heard in stage.timeline.heard if "MktData" in heard.name]
        stage.timeline.heard.clear()
        return names

    # A market in which nothing happens is no fault.
    stage.play(Step(do=Halt("AAPL")), Step(do=Halt("MSFT")))
    stage.move(3600)
    await round_trip(broker)
    assert await are_stale() == (False, False)
    assert lines() == ["reqMktData"] * 2

    stage.play(Step(do=SetFarm(Farm.MARKET, FarmState.BROKEN)))
    await until(lambda: are_told(True, True))
    assert broker.session.farms["usfarm"] == "broken"
    assert await are_stale() == (True, True)
    assert (await broker.place_order(resting())).status is OrderStatus.SUBMITTED
    assert lines() == []
    stage.play(Step(do=SetFarm(Farm.MARKET, FarmState.OK)))
    await until(lambda: are_told(False, False))
    assert broker.session.farms["usfarm"] == "ok"
    assert lines() == ["cancelMktData", "reqMktData"] * 2
    assert len(stage.session().ticks) == 2

    # Another farm, from which one of the two does not come, as its ticks go on.
    stage.play(Step(do=Notify(2103, "Market data farm connection is broken:eufarm")))
    await until(lambda: are_told(True, True))
    stage.play(Step(do=Resume("AAPL")), Step(do=SetPrice("AAPL", Decimal(120))))
    await until(lambda: are_told(False, True))
    assert await are_stale() == (False, True)
    stage.play(Step(do=Notify(2104, "Market data farm connection is OK:eufarm")))
    await until(lambda: are_told(False, False))
    assert lines() == ["cancelMktData", "reqMktData"]
    assert len(stage.session().ticks) == 2
    assert items == []
    assert (broker.session.state, broker.session.connection_number) == (SessionState.READY, 1)


def check_what_a_stream_told_of_two_silences(items: list[StreamItem]) -> None:
    """One that ended by itself, and one that ended in a new connection."""
    states = [session.state for session in data_in(items, SessionInfo)]
    assert states[:5] == [
        SessionState.SILENT, SessionState.SYNCHRONISING, SessionState.READY, SessionState.SILENT,
        SessionState.DISCONNECTED,
    ]  # fmt: skip
    first, last = [item for item in items if isinstance(item, Resumed)]
    gaps = [item for item in items if isinstance(item, Gap)]
    assert [gap.since for gap in gaps] == [first.gap_since, last.gap_since]
    assert (first.connection_number, last.connection_number) == (1, 2)
    assert set(last.recovered) == {Channel.SESSION, Channel.ORDERS}
    missed = items[items.index(gaps[0]) : items.index(first)]
    assert data_in(missed, Order)[-1].status is OrderStatus.FILLED


async def refuse_to_a_suspect(stage: Stage) -> None:
    """A gateway that owes its answer to the heartbeat gets no order, long before it counts as silent."""
    broker = await stage.connect(client_id=3, heartbeat=0.05, silent_after=LONG)
    stage.play(Step(do=StopAnswering(), client=3, times=None))

    def is_suspect() -> bool:
        try:
            broker._session_for_orders()
        except GatewaySilent:
            return True
        return False

    await until(is_suspect)
    assert broker.session.state is SessionState.READY
    with pytest.raises(GatewaySilent):
        await broker.place_order(order(client_order_id="refused"))
    stage.timeline.clear()
    await stage.leave(broker)


@pytest.fixture
async def quiet_stage() -> AsyncIterator[Stage]:
    """Another gateway, in whose market nothing happens."""
    async with open_stage() as opened:
        yield opened


async def test_row_16_silence_is_noticed_and_a_quiet_market_is_none(
    stage: Stage, quiet_stage: Stage, quick_retries: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checked by asking for no sign of life in `Pulse.look`: the quiet market counts as silence; by
    suspecting nobody in `Pulse.is_suspect`: nothing is refused before the silence; by finding nobody silent,
    or nobody dead: the session stays as it is; and by bringing in no snapshots in
    `Supervisor._synchronise_again`: what was missed stays missing."""
    monkeypatch.setattr(liveness, "SUSPECT_AFTER", 0.1)
    await refuse_to_a_suspect(stage)
    monkeypatch.setattr(liveness, "LATE", 0.1)  # as short as the rest, or a busy machine hears silence
    timing = {"heartbeat": 0.05, "silent_after": 0.5}
    quiet = await quiet_stage.connect(**timing)
    await quiet.get_quote(AAPL)
    quiet_items = quiet_stage.read(quiet.stream(Channel.SESSION))
    broker = stage.broker(request_timeout=LONG, connect_timeout=0.5, **timing)
    await broker.start()
    await stands(broker, SessionState.READY)
    items = stage.read(broker.stream(Channel.SESSION, Channel.ORDERS))
    quotes = stage.watch(broker.quotes(AAPL))
    await broker.get_quote(AAPL)
    await broker.place_order(resting(client_order_id="working"))
    as_of = (await broker.get_account()).as_of
    begun = time.monotonic()

    silence = Step(do=StopAnswering(), client=1, times=None)
    stage.play(silence)
    waiting = stage.begin(broker.search_contracts("apple"))
    stage.move(5)
    stage.play(Step(do=SetPrice("AAPL", Decimal(1))))
    await stands(broker, SessionState.SILENT)
    assert quiet.session.state is SessionState.READY
    for call in (
        partial(broker.place_order, order(client_order_id="refused")),
        partial(broker.cancel_order, "working"),
        partial(broker.get_quote, AAPL),
        partial(asyncio.wait_for, waiting, LONG / 2),
    ):
        with pytest.raises(GatewaySilent):
            await call()
    account = await broker.get_account()
    assert (account.as_of, account.stale) == (as_of, True)
    assert (await broker.get_order("working")).status is OrderStatus.SUBMITTED

    # It hung for a moment: the same connection goes on, with what was missed.
    stage.timeline.clear()
    await stands(broker, SessionState.READY)
    assert broker.session.connection_number == 1
    assert (await broker.get_order("working")).status is OrderStatus.FILLED
    assert (await broker.get_account()).stale is False

    # It is dead.
    stage.play(silence)
    await until(lambda: broker.session.state in (SessionState.DISCONNECTED, SessionState.CONNECTING))
    stage.timeline.clear()
    await reconnected(broker)
    assert stage.asked("placeOrder", "refused") == []
    await round_trip(broker)
    check_what_a_stream_told_of_two_silences(items)
    await until(lambda: not quotes[-1].stale)
    assert any(quote.stale for quote in quotes)

    # All the while nothing has happened at the other one, for longer than would be silence.
    assert time.monotonic() - begun > 2 * timing["silent_after"]
    assert quiet_items == []
    assert quiet.session.state is SessionState.READY


async def test_row_17_a_client_id_in_use_is_said_at_once_and_waited_for(
    stage: Stage, quick_retries: None
) -> None:
    """Checked by passing over 326 in `Session.on_error`, by waiting for ib_async alone in `Session._log_on`,
    by waiting for as long each time in `ReconnectPolicy.wait_after`, and by trying another client id."""
    holder = await stage.connect()
    with pytest.raises(ClientIdInUse) as failure:
        await stage.connect(connect_timeout=5.0)
    assert failure.value.ib_code == 326
    assert failure.value.advice

    # Refused four times, it waits for longer each time, and asks for no other id.
    await stage.leave(holder)
    stage.play(Step(do=RefuseClientId(), client=1, times=4))
    broker = stage.broker(connect_timeout=5.0)
    waits: list[float] = []
    await broker.start()

    def is_ready() -> bool:
        session = broker.session
        if session.next_attempt_at is not None:
            assert session.state is SessionState.DISCONNECTED
            assert "client id 1 is in use" in (session.last_error or "")
            wait = (session.next_attempt_at - stage.clock.now()).total_seconds()
            if wait not in waits:
                waits.append(wait)
        return session.state is SessionState.READY

    await until(is_ready)
    assert stage.timeline.steps() == []
    assert waits == sorted(waits)
    assert waits[-1] > 2 * waits[0]
    assert stage.session(1).is_open
    assert broker.session.last_error is None


SNAPSHOTS = {
    "account": ("reqAccountUpdates", "accountDownloadEnd"),
    "positions": ("reqPositions", "positionEnd"),
    "open_orders": ("reqOpenOrders", "openOrderEnd"),
    "executions": ("reqExecutions", "execDetailsEnd"),
    "completed_orders": ("reqCompletedOrders", "completedOrdersEnd"),
}
"""What a session waits for: the request, and the message that ends the answer."""


async def misses(broker: IBKRBroker, names: tuple[str, ...]) -> None:
    """Wait until the session lacks these snapshots and no others."""
    await until(lambda: broker.session.missing == names)


async def test_row_18_a_snapshot_that_does_not_come_is_not_an_empty_one(stage: Stage) -> None:
    """Checked by not waiting for the end of any one of the snapshots in `Snapshots.bring_in`, and by counting
    one as arrived when it is asked for: the session is ready, or does not tell what is missing."""
    late: dict[str, IBKRBroker] = {}
    for client_id, (name, (request, end)) in enumerate(SNAPSHOTS.items(), 1):
        late[name] = stage.broker(client_id=client_id, connect_timeout=LONG)
        stage.play(
            Step(do=Delay(SECOND), message=end, client=client_id),
            Step(do=Drop(), message=end, client=client_id + 10),
            Step(do=Fail(322, "failed"), request=request, client=client_id + 20),
        )
    calls = [stage.begin(broker.connect()) for broker in late.values()]
    # Fills are asked for when the first three are in, and completed orders when the fills are.
    rest = ("executions", "completed_orders")
    missing = {name: (name, *rest) for name in SNAPSHOTS} | {rest[0]: rest, rest[1]: rest[1:]}
    for name, broker in late.items():
        await misses(broker, missing[name])
        assert broker.session.state is SessionState.SYNCHRONISING
        for read in (
            broker.get_positions(),
            broker.get_orders(),
            broker.get_executions(),
            broker.get_account(),
        ):
            with pytest.raises(NotSynchronised, match=name):
                await read
        with pytest.raises(NotSynchronised):
            await broker.place_order(order())
    stage.move(1)
    await asyncio.gather(*calls)
    assert [broker.session.missing for broker in late.values()] == [()] * 5

    # Withheld for good, and refused.
    clients = (*range(11, 16), *range(21, 26))
    deaf = [stage.broker(client_id=n, connect_timeout=LONG, request_timeout=SHORT) for n in clients]
    answers = await asyncio.gather(*(broker.connect() for broker in deaf), return_exceptions=True)
    for broker, name, answer in zip(deaf, [*SNAPSHOTS] * 2, answers, strict=True):
        if broker.session.client_id == 24:  # an answer with a request id says what was refused
            assert isinstance(answer, Refused)
            assert answer.ib_code == 322
        else:
            assert isinstance(answer, NotSynchronised)
            assert name in answer.detail
        with pytest.raises(NotConnected):
            await broker.get_positions()


async def test_row_19_an_order_entered_by_hand_is_not_changed_from_here(stage: Stage) -> None:
    """Checked by letting `Orders._working` pass orders without an id: the id 0 is cancelled."""
    exchange = stage.server.core.exchange
    terms = OrderTerms(action="BUY", quantity=Decimal(10), order_type="LMT", limit_price=Decimal(1))
    stage.server.core.enter_by_hand(WireContract(con_id=AAPL_ID), terms)
    for message in ("openOrder", "orderStatus"):
        stage.play(Step(do=Replace("^-1$", "0", field=1), message=message, times=None))
    broker = await stage.connect(client_id=0, order_timeout=SHORT)
    (by_hand,) = await broker.get_orders(working=True)
    assert (by_hand.external, by_hand.status) == (True, OrderStatus.SUBMITTED)
    for call in (
        partial(broker.cancel_order, by_hand.id),
        partial(broker.modify_order, by_hand.id, OrderChange(quantity=Decimal(20))),
    ):
        with pytest.raises(Conflict) as failure:
            await call()
        assert failure.value.status == 409
    assert await broker.cancel_all_orders() == ()
    assert (stage.asked("cancelOrder"), stage.asked("placeOrder")) == ([], [])
    (there,) = exchange.orders()
    assert there.remaining == 10
    # One of our own is another matter.
    ours = await broker.place_order(resting())
    assert (await broker.cancel_order(ours.id)).status is OrderStatus.CANCELED


REFUSALS = {"AAPL": 101, "MSFT": 354, "NVDA": 10168, "TSLA": 10197}
ADVICE = {"QQQ": 10167, "SPY": 10090}
DELAYED_TICKS = {"1": "66", "2": "67", "4": "68", "9": "75"}
"""Bid, ask, last and close, live and delayed."""


async def test_row_20_what_is_said_of_a_line_reaches_whoever_watches_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checked by not entering a line under its request id in `Quotes._subscribe`: nobody is told; by giving
    the notice to every line, taking advice for a refusal, or trying nothing again, in `Quotes.on_error`; and
    by stamping every quote as live in `to_quote`."""
    monkeypatch.setattr(market_data, "REFUSED_RETRY", 0.05)
    request = "reqMktData"
    for symbol, code in REFUSALS.items():
        times = 2 if symbol == "TSLA" else None
        stage.play(Step(do=Fail(code, "refused"), request=request, having=(symbol,), times=times))
    for symbol, code in ADVICE.items():
        stage.play(Step(do=Fail(code, "advice", instead=False), request=request, having=(symbol,)))
    broker = await stage.connect()
    heard: dict[str, list[Quote]] = {}
    for symbol in ("QQQ", "SPY", "AMZN", *REFUSALS):
        if symbol == "QQQ":
            stage.play(Step(do=Replace("^1$", "3", field=3), message="marketDataType"))
            for live, delayed in DELAYED_TICKS.items():
                stage.play(Step(do=Replace(".*", delayed, field=3), message="tickPrice", fields={3: live}))
        heard[symbol] = stage.watch(broker.quotes(symbol))
        await until(partial(bool, heard[symbol]))
        await round_trip(broker)
    stage.move(60)
    await until(lambda: all(heard[symbol][-1].as_of == stage.clock.now() for symbol in (*ADVICE, "AMZN")))
    for symbol, quotes in heard.items():
        assert {quote.contract.symbol for quote in quotes} == {symbol}
        codes = {notice.ib_code for quote in quotes for notice in quote.notices}
        assert codes == {code for named, code in (REFUSALS | ADVICE).items() if named == symbol}
        assert any(quote.stale for quote in quotes) is (symbol in REFUSALS)

    served = [heard[symbol][-1] for symbol in ("QQQ", "SPY", "AMZN")]
    assert [quote.data_type for quote in served] == [DataType.DELAYED, DataType.LIVE, DataType.LIVE]
    assert all(None not in (quote.bid, quote.ask, quote.last) for quote in served)

    # Another session of the login takes the data, twice, and then no more.
    tesla = heard["TSLA"]
    await until(lambda: tesla[-1].last is not None and not tesla[-1].stale)
    asked = stage.asked(request, "TSLA")
    assert len(asked) == 3
    # It may do so at any time.
    stage.play(Step(do=Notify(10197, "competing session", req_id=int(asked[-1][2]))))
    await until(lambda: tesla[-1].stale)
    await until(lambda: not tesla[-1].stale)

    # Whoever asks once is told at once; and when asked again, so is IB.
    kinds = {"AAPL": TooManySubscriptions, "MSFT": NotSubscribed, "NVDA": NotSubscribed}
    for symbol, kind in kinds.items():
        with pytest.raises(kind) as failure:
            await broker.get_quote(ContractQuery(symbol=symbol))
        assert failure.value.ib_code == REFUSALS[symbol]
    stage.play(Step(do=Fail(354, "refused"), request=request, having=("META",)))
    with pytest.raises(NotSubscribed):
        await broker.get_quote(ContractQuery(symbol="META"))
    assert (await broker.get_quote(ContractQuery(symbol="META"))).last is not None


async def test_row_21_any_number_of_subscribers_have_one_line(stage: Stage) -> None:
    """Checked by subscribing anew for each caller in `Quotes._line`: there are many lines; by letting go
    there what streams hold: they miss ticks; by having no limit there; and by ending no line in
    `Quotes._unsubscribe`."""
    broker = await stage.connect()
    streams = [broker.quotes(AAPL) for _ in range(8)]
    await asyncio.gather(
        *(stream.__aenter__() for stream in streams), *(broker.get_quote(AAPL) for _ in range(8))
    )
    assert len(stage.asked("reqMktData")) == len(stage.session().ticks) == 1

    # All lines are taken: those asked for longest ago make room, but not the one that is held.
    stocks = [each.symbol for each in INSTRUMENTS if each.sec_type is SecType.STOCK and each.symbol != "AAPL"]
    symbols = stocks[:95]
    others = [ContractQuery(symbol=symbol) for symbol in symbols]
    with pytest.raises(Invalid):
        await broker.get_quotes(others)
    quotes = [*await broker.get_quotes(others[:89]), *await broker.get_quotes(others[80:])]
    assert all(quote.bid is not None for quote in quotes)
    assert (len(stage.asked("reqMktData")), len(stage.asked("cancelMktData"))) == (96, 6)
    watched = {each.instrument.symbol for _, each in stage.session().ticks.all()}
    assert watched == {"AAPL", *symbols[6:]}

    # One line for all of them, and one cancel when nobody is left.
    for stream in streams[1:]:
        stream.close()
    await broker.get_quotes(others[:3])
    assert len(stage.session().ticks.of(AAPL_ID)) == 1
    streams[0].close()
    await broker.get_quotes(others[6:])
    await broker.get_quotes(others[3:6])
    ((*_, line),) = [fields[:3] for fields in stage.asked("reqMktData", "AAPL")]
    await until(lambda: stage.asked("cancelMktData", line))
    assert [fields[2] for fields in stage.asked("cancelMktData")].count(line) == 1
    assert stage.session().ticks.of(AAPL_ID) == []


async def test_row_22_history_is_asked_for_no_faster_than_ib_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    """With IB's limits in force at the gateway.

    Checked by counting nothing in `HistoryPacing.count`: one too many is asked for; by letting six requests
    for one contract pass within two seconds: the gateway complains; by sharing or keeping no answers in
    `History.fetch`: what is the same is asked for again; by letting everybody wait, or not telling the place
    in the queue; and by leaving out `HistoryPacing.penalise`."""
    monkeypatch.setattr(history_pacing, "MARGIN", 0.5)  # for machines on which requests arrive late
    async with open_stage(clock=SystemClock(), pacing=Pacing()) as stage:
        broker = await stage.connect(max_requests_per_second=45)
        queries = [AAPL, MSFT, SPY]
        await asyncio.gather(*(broker.qualify(query) for query in queries))
        *wanted, one_too_many = [
            (query, BarRequest(bar_size="5 secs", duration=f"{seconds} S", what_to_show=kind))
            for query in queries
            for kind in ("TRADES", "MIDPOINT", "BID", "ASK")
            for seconds in (60, 120, 180, 240, 300)
        ]
        wanted.append((AAPL, BarRequest(bar_size="5 secs", duration="360 S")))  # the sixth of its kind
        asked = [stage.begin(broker.get_bars(*each)) for each in wanted]
        shared = stage.begin(broker.get_bars(*wanted[0]))
        refused = stage.begin(broker.get_bars(*one_too_many))
        with pytest.raises(PacingViolation) as failure:
            await refused
        assert failure.value.status == 429
        # 48 are under way; the other eleven wait, and the one that is the sixth.
        assert failure.value.extra == {"position": 12}
        assert 500 < (failure.value.retry_after or 0) <= 601
        # Longer bars have no such limit.
        assert await broker.get_bars(AAPL, BarRequest(bar_size="1 min", duration="600 S"))
        answers = await asyncio.gather(*asked)
        assert all(answers)
        assert await shared is answers[0]
        # The same within fifteen seconds comes from memory.
        assert await broker.get_bars(*wanted[58]) is answers[58]
        assert len(stage.asked("reqHistoricalData")) == 61
        assert not {100, 162, 420} & set(stage.timeline.told)
        await stage.leave(broker)

        # Another program of the login has used the limits up: nothing more is asked for a while.
        broker = await stage.connect(max_requests_per_second=45, request_timeout=5.0)
        text = "Historical Market Data Service error message:Historical data request pacing violation"
        stage.play(Step(do=Fail(162, text), request="reqHistoricalData"))
        for ib_code, each in ((162, wanted[0]), (None, wanted[20])):
            with pytest.raises(PacingViolation) as failure:
                await broker.get_bars(*each)
            assert (failure.value.ib_code, failure.value.retry_after) == (ib_code, 15)
        assert len(stage.asked("reqHistoricalData")) == 62


async def check_what_comes_in(stage: Stage, broker: IBKRBroker) -> None:
    """Of a fill, of quotes and of bars."""
    # A market order has neither price; an opening fill has realised nothing; an unset commission is none.
    stage.play(Step(do=Replace(".*", UNSET, field=3), message="commissionReport"))
    placed = await broker.place_order(order(client_order_id="opening"))
    await round_trip(broker)
    (fill,) = await broker.get_executions(order_id="opening")
    assert (placed.limit_price, placed.stop_price, fill.realized_pnl, fill.commission) == (None,) * 4

    stage.play(
        Step(do=Replace(".*", "-1", field=4), message="tickPrice", times=None),
        Step(do=Replace(".*", UNSET, field=4), message="tickPrice", fields={3: "6"}, times=None),
    )
    quote = await broker.get_quote(AAPL)
    prices = ["bid", "ask", "last", "open", "high", "low", "close"]
    assert [getattr(quote, name) for name in prices] == [None] * 7
    stage.timeline.clear()
    ticks = ("tickPrice", "tickSize", "tickString", "tickGeneric")
    stage.play(*(Step(do=Drop(), message=name, times=None) for name in ticks))
    quote = await broker.get_quote(MSFT)
    names = [*prices, "bid_size", "ask_size", "last_size", "volume", "last_time", "as_of"]
    assert [getattr(quote, name) for name in names] == [None] * 13
    stage.timeline.clear()
    (bar, *_) = await broker.get_bars(AAPL, BarRequest(what_to_show="MIDPOINT"))
    assert (bar.volume, bar.wap, bar.count) == (None, None, None)


async def test_row_23_what_stands_for_none_is_none_and_numbers_are_plain(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checked by taking what is unset for zero in `decimal_or_none`, by passing on -1 or the largest number
    in `_price_or_none`, NaN in `_float_or_none`, a negative volume in `to_bar`, and a float in `on_wire`; and
    by leaving out `_check_increments`."""
    monkeypatch.setattr(market_data, "QUOTE_WAIT", 0.05)
    for figure in ("NetLiquidation", "BuyingPower"):
        change = Replace(".*", UNSET, field=3)
        stage.play(Step(do=change, message="updateAccountValue", having=(figure,), times=None))
    stage.play(*(Step(do=Replace(".*", UNSET, field=field), message="pnl") for field in (2, 3, 4)))
    broker = await stage.connect()
    account = await broker.get_account()
    assert (account.net_liquidation, account.buying_power) == (None, None)
    assert account.total_cash_value == Decimal(100_000)
    await until(lambda: not [step for _, step, _ in stage.timeline.steps() if step.message == "pnl"])
    await round_trip(broker)
    pnl = await broker.get_pnl()
    assert (pnl.daily_pnl, pnl.unrealized_pnl, pnl.realized_pnl) == (None, None, None)
    stage.timeline.clear()
    await check_what_comes_in(stage, broker)

    # What goes out: plain digits, and nothing that the contract has no step for.
    coin: dict[str, object] = {
        "symbol": "BTC", "sec_type": "CRYPTO", "exchange": "PAXOS", "tif": "GTC", "order_type": "LMT",
    }  # fmt: skip
    await broker.place_order(order(**coin, quantity=0.00001, limit_price=100.25, client_order_id="fine"))
    await broker.modify_order("fine", OrderChange(quantity=Decimal("3E-5")))
    await broker.modify_order("fine", OrderChange(limit_price=Decimal("1.0075E2")))
    assert [(fields[17], fields[19]) for fields in stage.asked("placeOrder", "fine")] == [
        ("0.00001", "100.25"), ("0.00003", "100.25"), ("0.00003", "100.75"),
    ]  # fmt: skip
    sent = len(stage.asked("placeOrder"))
    wrong: tuple[dict[str, object], ...] = (
        {"quantity": 0.1 + 0.2, "limit_price": 100},
        {"quantity": "0.000000001", "limit_price": 100},
        {"quantity": 1, "limit_price": 100.1},
    )
    for terms in wrong:
        with pytest.raises(Invalid):
            await broker.place_order(order(**coin, **terms))
    with pytest.raises(Invalid):
        await broker.modify_order("fine", OrderChange(limit_price=Decimal("100.1")))
    assert len(stage.asked("placeOrder")) == sent


async def test_row_24_a_contract_is_identified_before_it_is_used(stage: Stage) -> None:
    """Checked by taking the first of several matches in `Contracts._only_one`, by passing over 200 in
    `Requests.on_error`, and by leaving the con id out of `to_ib_reference`."""
    broker = await stage.connect(request_timeout=5.0)
    future: dict[str, Any] = {"symbol": "ES", "sec_type": "FUT", "exchange": "CME"}
    vague = ContractQuery(**future)
    candidates: list[dict[str, Any]] = []
    for ambiguous in (
        partial(broker.qualify, vague),
        partial(broker.get_quotes, [AAPL, vague]),
        partial(broker.get_bars, vague, BarRequest()),
        partial(broker.place_order, order(**future)),
    ):
        with pytest.raises(AmbiguousContract) as several:
            await ambiguous()
        assert several.value.status == 409
        candidates = several.value.extra["candidates"]
        assert len({each["con_id"] for each in candidates}) == len(candidates) > 1
    for unknown in (
        partial(broker.qualify, TSLA),
        partial(broker.get_quotes, [AAPL, TSLA]),
        partial(broker.place_order, order(symbol="TSLA")),
    ):
        stage.play(Step(do=Fail(200, "No security"), request="reqContractDetails", having=("TSLA",)))
        with pytest.raises(ContractNotFound) as none:
            await unknown()
        assert (none.value.status, none.value.ib_code) == (404, 200)
    used = ("reqMktData", "reqHistoricalData", "placeOrder")
    assert [stage.asked(name) for name in used] == [[], [], []]

    # A candidate by its con id, and what was refused before and is not any more; from then on by con id.
    chosen = ContractQuery(con_id=candidates[1]["con_id"], exchange="CME")
    first, second = await broker.get_quotes([chosen, TSLA])
    assert first.contract.con_id == candidates[1]["con_id"]
    assert (await broker.qualify(TSLA)).contract == second.contract
    await broker.get_bars(TSLA, BarRequest())
    await broker.place_order(order(symbol="TSLA"))
    for name in used:
        assert len(stage.asked(name, str(second.contract.con_id))) == 1
    assert len(stage.asked("reqMktData", str(first.contract.con_id))) == 1


async def test_row_25_one_account_is_chosen_and_only_its_figures_are_shown() -> None:
    """Checked by taking the first account where none is named in `Session._choose_account`, by naming none in
    `to_ib_order`, and by entering what is of other accounts in `Reports.on_position` or where
    `Reports._is_ours` is asked."""
    one, two = "DUTM00001", "DUTM00002"
    async with open_stage(accounts={one: Decimal(100_000), two: Decimal(50_000)}) as stage:
        for wanted, said in ((None, f"{one}, {two}"), ("DU9", "DU9")):
            broker = stage.broker(account=wanted)
            with pytest.raises(AccountNotFound, match=said):
                await broker.connect()
            await broker.start()
            await stands(broker, SessionState.STOPPED)
            assert said in (broker.session.last_error or "")
            await stage.leave(broker)

        # Of the same client id, so that its orders are told as well.
        other = await stage.connect(account=one)
        await other.place_order(order(client_order_id="theirs"))
        await other.place_order(resting(client_order_id="their-limit"))
        await stage.leave(other)
        broker = await stage.connect(account=two)
        items = stage.read(broker.stream(Channel.ORDERS, Channel.EXECUTIONS))
        assert (broker.session.account_id, broker.session.accounts) == (two, (one, two))
        account = await broker.get_account()
        assert (account.account_id, account.total_cash_value) == (two, Decimal(50_000))
        for read in (broker.get_positions, broker.get_orders, broker.get_executions):
            assert await read() == ()
        with pytest.raises(AccountNotFound):
            await broker.place_order(order(account_id=one))

        # What changes in the other account meanwhile is no news here.
        stage.play(Step(do=SetPrice("AAPL", Decimal(1))))
        await until(lambda: not stage.server.core.exchange.orders())
        await round_trip(broker)
        assert items == []
        assert await broker.get_positions() == ()

        # IB tells of positions late, and figures say of when they are.
        stage.play(*(Step(do=Delay(SECOND), message=name) for name in ("position", "updatePortfolio")))
        placed = await broker.place_order(order(quantity=7))
        (execution,) = await broker.get_executions()
        assert placed.account_id == execution.account_id == two
        (position,) = await broker.get_positions()
        assert (position.account_id, position.quantity, position.avg_cost) == (two, Decimal(7), None)
        stage.move(1)
        await until(lambda: broker._book.positions()[0].avg_cost is not None)
        assert (await broker.get_positions())[0].quantity == Decimal(7)
        assert (await broker.get_account()).as_of == stage.clock.now()
        assert len(stage.asked("placeOrder")) == 3
        assert len(stage.asked("placeOrder", two)) == 1

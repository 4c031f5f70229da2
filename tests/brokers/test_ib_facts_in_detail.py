"""What the rows of `test_ib_facts` promise and is easily overlooked. Each test failed before its remedy."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from tests.brokers.stage import SECOND, Stage, open_stage, order_that, round_trip, stands
from tests.brokers.test_client import order, resting
from tests.brokers.test_ib_facts import AAPL, AAPL_ID, DELAYED_TICKS, SHORT, SPY, UNSET
from tests.gateway.bench import until
from trademind import BarRequest, ContractQuery, OrderChange, OrderStatus
from trademind.brokers.ibkr import market_data
from trademind.brokers.ibkr.quotes import QuoteLine
from trademind.clock import SystemClock
from trademind.domain import DataType, SessionState
from trademind.errors import CancelRejected, NoAnswer, NotConnected, OrderOutcomeUnknown
from trademind.gateway.connectivity import Farm, FarmState
from trademind.gateway.faults import Delay, Drop, Fail, Notify, Replace, SetFarm, Step
from trademind.gateway.pacing import Pacing
from trademind.gateway.wire.contracts import WireContract
from trademind.gateway.wire.order_terms import OrderTerms


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with open_stage() as opened:
        yield opened


async def test_row_22_too_history_is_paced_by_when_it_is_sent() -> None:
    async with open_stage(clock=SystemClock(), pacing=Pacing()) as stage:
        broker = await stage.connect(max_requests_per_second=45)
        await broker.qualify(SPY)
        await asyncio.sleep(1)
        for con_id in range(1, 41):  # questions that take the next second's room
            stage.begin(broker.qualify(ContractQuery(con_id=con_id)))
        bars = [BarRequest(bar_size="5 secs", duration=f"{60 * n} S") for n in range(1, 7)]
        asked = [stage.begin(broker.get_bars(SPY, each)) for each in bars]
        await asyncio.gather(*asked, return_exceptions=True)
        assert 162 not in stage.timeline.told


async def test_row_05_too_history_that_is_held_back_is_told_of_the_end() -> None:
    async with open_stage(clock=SystemClock(), pacing=Pacing()) as stage:
        broker = await stage.connect(max_requests_per_second=45)
        await broker.qualify(SPY)
        bars = [BarRequest(bar_size="5 secs", duration=f"{60 * n} S") for n in range(1, 7)]
        asked = [stage.begin(broker.get_bars(SPY, each)) for each in bars]
        await asyncio.gather(*asked[:5])
        await broker.disconnect()
        (answer,) = await asyncio.gather(asked[5], return_exceptions=True)
        assert isinstance(answer, NotConnected), repr(answer)


async def test_row_23_too_a_change_sends_plain_digits(stage: Stage) -> None:
    broker = await stage.connect()
    fx = {"symbol": "EUR", "sec_type": "CASH", "exchange": "IDEALPRO", "order_type": "LMT", "tif": "GTC"}
    await broker.place_order(order(**fx, quantity=25000, limit_price="0.00005", client_order_id="fx"))
    await broker.modify_order("fx", OrderChange(quantity=Decimal(30000)))
    assert [fields[19] for fields in stage.asked("placeOrder")] == ["0.00005"] * 2


async def test_row_15_too_quotes_do_not_come_from_the_farm_of_history(stage: Stage) -> None:
    broker = await stage.connect()
    await broker.get_quote(AAPL)
    stage.play(Step(do=SetFarm(Farm.HISTORY, FarmState.BROKEN)))
    await until(lambda: broker.session.farms["ushmds"] == "broken")
    assert not (await broker.get_quote(AAPL)).stale


async def test_row_19_too_an_order_that_is_bound_can_be_changed(stage: Stage) -> None:
    terms = OrderTerms(action="BUY", quantity=Decimal(10), order_type="LMT", limit_price=Decimal(1))
    stage.server.core.enter_by_hand(WireContract(con_id=AAPL_ID), terms)
    broker = await stage.connect(client_id=0)
    (by_hand,) = await broker.get_orders(working=True)
    assert by_hand.ib_order_id == -1
    assert (await broker.modify_order(by_hand.id, OrderChange(quantity=Decimal(20)))).quantity == 20
    assert (await broker.cancel_order(by_hand.id)).status is OrderStatus.CANCELED


async def test_row_20_too_a_line_without_data_is_not_called_live(stage: Stage) -> None:
    broker = await stage.connect()
    stage.play(Step(do=Fail(354, "no"), request="reqMktData"))
    quotes = stage.watch(broker.quotes(AAPL))
    await until(lambda: quotes and quotes[-1].notices)
    assert quotes[-1].data_type is None


async def test_row_20_too_delayed_ticks_are_delayed(stage: Stage) -> None:
    broker = await stage.connect()
    stage.play(Step(do=Drop(), message="marketDataType"))
    for live, delayed in DELAYED_TICKS.items():
        stage.play(Step(do=Replace(".*", delayed, field=3), message="tickPrice", fields={3: live}))
    assert (await broker.get_quote(AAPL)).data_type is DataType.DELAYED


async def test_row_20_too_a_line_that_was_refused_without_ib_is_asked_for_again(stage: Stage) -> None:
    broker = await stage.connect()
    stage.play(Step(do=Fail(504, "Not connected"), request="reqMktData"))  # it crosses the 1100
    quotes = stage.watch(broker.quotes(AAPL))
    await until(lambda: quotes)
    stage.play(Step(do=Notify(1100, "lost")))
    await stands(broker, SessionState.UPSTREAM_LOST)
    stage.play(Step(do=Notify(1102, "back")))
    await stands(broker, SessionState.READY)
    await round_trip(broker)
    await until(lambda: not quotes[-1].stale)


async def test_row_25_too_a_position_follows_from_fills_until_ib_tells(stage: Stage) -> None:
    broker = await stage.connect()
    for message in ("position", "updatePortfolio"):
        stage.play(Step(do=Delay(SECOND), message=message, times=None))
    await broker.place_order(order())
    await round_trip(broker)
    (position,) = await broker.get_positions()
    assert position.quantity == 10


async def test_row_23_too_an_unknown_cost_is_not_zero(stage: Stage) -> None:
    broker = await stage.connect()
    stage.play(
        Step(do=Drop(), message="updatePortfolio", times=None),
        Step(do=Replace(".*", UNSET, field=15), message="position", times=None),
    )
    await broker.place_order(order())
    await until(lambda: broker._book.positions())
    assert (await broker.get_positions())[0].avg_cost is None


async def test_row_04_too_a_late_answer_is_no_error(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    broker = await stage.connect(request_timeout=SHORT)
    stage.play(*(Step(do=Delay(SECOND), message=name) for name in ("contractDetails", "contractDetailsEnd")))
    with pytest.raises(NoAnswer):
        await broker.qualify(AAPL)
    stage.move(1)
    await until(lambda: not stage.timeline._held)
    await round_trip(broker)
    assert [each.getMessage()[:60] for each in caplog.records if each.levelname == "ERROR"] == []


async def test_row_20_too_a_line_that_got_lost_is_asked_for_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QuoteLine, "PATIENCE", 0.2)
    broker = await stage.connect()
    stage.play(Step(do=Drop(), request="reqMktData"))
    quotes = stage.watch(broker.quotes(AAPL))
    await until(lambda: quotes and quotes[-1].last is not None)
    assert len(stage.asked("reqMktData")) == 2


async def test_row_14_too_every_line_is_restored_whatever_its_number_was(stage: Stage) -> None:
    """The request ids of two connections overlap, so that a line's old number is another line's new one."""
    broker = await stage.connect()
    symbols = ("AAPL", "MSFT", "NVDA", "AMD", "INTC", "CSCO")
    queries = [ContractQuery(symbol=symbol) for symbol in symbols]
    await broker.get_quotes(queries)
    for number in range(2, 6):
        await broker.get_quotes(queries[::-1] if number % 2 else queries)  # people ask in any order
        await broker.reconnect()
        await broker.connect()
        assert broker.session.connection_number == number
        quotes = await broker.get_quotes(queries)
        assert all(quote.last is not None for quote in quotes)


async def test_row_01_too_a_cancel_of_what_ib_has_not_taken_yet_does_not_end_it(stage: Stage) -> None:
    broker = await stage.connect(order_timeout=SHORT)
    await broker.qualify(AAPL)
    stage.play(Step(do=Delay(SECOND), request="placeOrder"))
    with pytest.raises(OrderOutcomeUnknown):
        await broker.place_order(resting(client_order_id="late"))
    with pytest.raises(CancelRejected):
        await broker.cancel_order("late")
    stage.move(1)
    await order_that(broker, "late", lambda found: found.status is OrderStatus.SUBMITTED)
    await broker.connect()  # the lists that settle it may be on their way
    assert (await broker.cancel_order("late")).status is OrderStatus.CANCELED


async def test_row_20_too_a_line_that_was_refused_once_is_asked_for_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whoever asks, and by itself for a stream that holds it."""
    broker = await stage.connect()
    stage.play(Step(do=Fail(322, "Error processing request"), request="reqMktData"))
    quotes = stage.watch(broker.quotes(AAPL))
    await until(lambda: quotes and quotes[-1].notices)
    assert (await broker.get_quote(AAPL)).last is not None
    monkeypatch.setattr(market_data, "REFUSED_RETRY", 0.1)
    stage.play(Step(do=Fail(322, "Error processing request"), request="reqMktData"))
    quotes = stage.watch(broker.quotes(SPY))
    await until(lambda: quotes and quotes[-1].last is not None)

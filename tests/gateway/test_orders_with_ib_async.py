"""What users of ib_async do with orders, over TCP: brackets, groups, previews, conditions."""

from collections.abc import AsyncIterator

import ib_async
import pytest
from ib_async import LimitOrder, MarketOrder, Order, StopOrder

from tests.gateway.bench import Bench, open_bench, until

pytestmark = [
    # Python 3.11's asyncio warns of transports that ib_async closes only when they are collected.
    pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning"),
]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with open_bench() as opened:
        yield opened


@pytest.fixture
async def ib(bench: Bench) -> AsyncIterator[ib_async.IB]:
    async with bench.client() as connected:
        yield connected


@pytest.fixture
async def aapl(ib: ib_async.IB) -> ib_async.Contract:
    (contract,) = await ib.qualifyContractsAsync(ib_async.Stock("AAPL", "SMART", "USD"))
    assert isinstance(contract, ib_async.Contract)
    return contract


async def price_of(ib: ib_async.IB, contract: ib_async.Contract) -> float:
    (ticker,) = await ib.reqTickersAsync(contract)
    return round(ticker.marketPrice(), 2)


def status(trade: ib_async.Trade) -> tuple[str, str]:
    return trade.orderStatus.status, trade.orderStatus.whyHeld


async def test_a_bracket(ib: ib_async.IB, aapl: ib_async.Contract, bench: Bench) -> None:
    price = await price_of(ib, aapl)
    orders = ib.bracketOrder("BUY", 10, round(price * 0.5, 2), round(price * 2, 2), round(price * 0.25, 2))

    entry, profit, loss = (ib.placeOrder(aapl, order) for order in orders)
    await until(lambda: status(loss) == ("PreSubmitted", "child,trigger"))
    assert (status(entry), status(profit)) == (("Submitted", ""), ("PreSubmitted", "child"))

    # The entry is made marketable, so the children work.
    entry.order.lmtPrice = round(price * 1.5, 2)
    entry.order.transmit = True
    ib.placeOrder(aapl, entry.order)
    await until(entry.isDone)
    assert entry.orderStatus.status == "Filled"
    await until(lambda: status(profit) == ("Submitted", "") and status(loss) == ("PreSubmitted", "trigger"))

    # So is the profit taker, which ends the stop.
    profit.order.lmtPrice = round(price * 0.5, 2)
    profit.order.transmit = True
    ib.placeOrder(aapl, profit.order)
    await until(lambda: profit.isDone() and loss.isDone())
    assert (profit.orderStatus.status, loss.orderStatus.status) == ("Filled", "Cancelled")
    assert ib.openTrades() == []
    await until(lambda: ib.positions() == [])
    assert {code for _, code, _ in bench.errors} == {202}


async def test_one_cancels_all(ib: ib_async.IB, aapl: ib_async.Contract) -> None:
    price = await price_of(ib, aapl)
    orders: list[Order] = [
        LimitOrder("BUY", 10, round(price * 0.5, 2)),
        StopOrder("BUY", 10, round(price * 2, 2)),
        LimitOrder("BUY", 10, round(price * 0.6, 2)),
    ]
    trades = [ib.placeOrder(aapl, order) for order in ib.oneCancelsAll(orders, "either or", 1)]
    await until(lambda: all(trade.orderStatus.permId for trade in trades))

    trades[2].order.lmtPrice = round(price * 1.5, 2)
    ib.placeOrder(aapl, trades[2].order)

    await until(lambda: all(trade.isDone() for trade in trades))
    assert [trade.orderStatus.status for trade in trades] == ["Cancelled", "Cancelled", "Filled"]


async def test_a_preview(ib: ib_async.IB, aapl: ib_async.Contract) -> None:
    price = await price_of(ib, aapl)

    state = await ib.whatIfOrderAsync(aapl, MarketOrder("BUY", 100))

    assert float(state.initMarginChange) == pytest.approx(price * 50, rel=0.02)
    assert float(state.initMarginBefore) == 0
    assert state.commission == 1.0
    assert (ib.openTrades(), ib.positions()) == ([], [])
    assert await ib.reqAllOpenOrdersAsync() == []


async def test_conditions_and_adjusted_stops_come_back(
    ib: ib_async.IB, aapl: ib_async.Contract, bench: Bench
) -> None:
    price = await price_of(ib, aapl)
    waiting = LimitOrder(
        "BUY",
        10,
        round(price * 0.9, 2),
        conditions=[
            ib_async.PriceCondition(
                price=round(price * 2, 2), conId=aapl.conId, exch="SMART", isMore=True
            ).And(),
            ib_async.TimeCondition(isMore=True, time="20261123 15:00:00 US/Eastern"),
        ],
    )
    stop = StopOrder(
        "SELL", 10, round(price * 0.5, 2), adjustedOrderType="TRAIL", triggerPrice=round(price * 3, 2),
        adjustedStopPrice=round(price * 2, 2), adjustedTrailingAmount=2.5,
    )  # fmt: skip
    for order in (waiting, stop):
        ib.placeOrder(aapl, order)
    ib.disconnect()
    await until(lambda: not bench.server.clients)

    async with bench.client() as again:
        first, second = sorted((trade.order for trade in again.openTrades()), key=lambda each: each.orderId)
        by_price, by_time = first.conditions
        assert isinstance(by_price, ib_async.PriceCondition)
        assert isinstance(by_time, ib_async.TimeCondition)
        assert (by_price.price, by_price.conId, by_price.conjunction) == (
            round(price * 2, 2), aapl.conId, "a",
        )  # fmt: skip
        assert by_time.time == "20261123 15:00:00 US/Eastern"
        assert (second.adjustedOrderType, second.triggerPrice) == ("TRAIL", round(price * 3, 2))
        assert (second.adjustedStopPrice, second.adjustedTrailingAmount) == (round(price * 2, 2), 2.5)


async def test_a_trailing_stop(ib: ib_async.IB, aapl: ib_async.Contract, bench: Bench) -> None:
    await until_filled(ib, aapl)
    trade = ib.placeOrder(
        aapl, Order(action="SELL", totalQuantity=10, orderType="TRAIL", trailingPercent=0.05)
    )
    await until(lambda: trade.orderStatus.permId)

    while not trade.isDone():
        bench.move()
        await ib.reqCurrentTimeAsync()

    (fill,) = trade.fills
    assert (trade.orderStatus.status, fill.execution.side) == ("Filled", "SLD")


async def until_filled(ib: ib_async.IB, contract: ib_async.Contract) -> None:
    trade = ib.placeOrder(contract, MarketOrder("BUY", 10))
    await until(trade.isDone)


async def test_completed_orders_with_all_they_had(ib: ib_async.IB, aapl: ib_async.Contract) -> None:
    placed = ib.placeOrder(
        aapl, LimitOrder("BUY", 10, 1.0, tif="GTC", ocaGroup="g", ocaType=1, hidden=True, orderRef="r")
    )
    await until(lambda: placed.orderStatus.status == "Submitted")
    ib.cancelOrder(placed.order)
    await until(placed.isDone)

    (trade,) = await ib.reqCompletedOrdersAsync(apiOnly=True)

    assert (trade.order.permId, trade.order.ocaGroup, trade.order.ocaType) == (placed.order.permId, "g", 1)
    assert (trade.order.hidden, trade.order.orderRef, trade.order.lmtPrice) == (True, "r", 1.0)
    assert trade.orderStatus.status == "Cancelled"


async def test_a_size_is_shown_as_ib_shows_it() -> None:
    """ib_async writes a size of 10.0 as it is; IB makes it 10."""
    async with open_bench() as bench, bench.client() as ib:
        apple = ib_async.Stock("AAPL", "SMART", "USD")
        trade = ib.placeOrder(apple, LimitOrder("BUY", 10.0, 1.0, tif="DAY"))
        await until(lambda: trade.orderStatus.status == "Submitted")
        (order,) = bench.server.core.exchange.orders()
        assert str(order.ticket.quantity) == "10"

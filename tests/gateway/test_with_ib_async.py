"""Real ib_async against the real gateway, over TCP."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from typing import Any

import ib_async
import pytest
from ib_async import LimitOrder, MarketOrder, StopLimitOrder, StopOrder

from tests.gateway.bench import ACCOUNT, PATIENCE, Bench, open_bench, until
from tests.gateway.wire.test_requests_of_ib_async import CALLS

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


async def done(trade: ib_async.Trade) -> ib_async.Trade:
    await until(trade.isDone)
    return trade


async def working(trade: ib_async.Trade, status: str = "Submitted") -> ib_async.Trade:
    await until(lambda: trade.orderStatus.status == status)
    return trade


def account_value(ib: ib_async.IB, tag: str, currency: str = "USD") -> float:
    (value,) = (v.value for v in ib.accountValues() if (v.tag, v.currency) == (tag, currency))
    return float(value)


# Connecting


async def test_connecting_synchronises_everything(ib: ib_async.IB) -> None:
    assert ib.client.serverVersion() == 178
    assert ib.managedAccounts() == [ACCOUNT]
    assert account_value(ib, "TotalCashValue") == 100_000
    assert account_value(ib, "NetLiquidation") == 100_000
    assert account_value(ib, "BuyingPower") == 200_000
    assert account_value(ib, "RealizedPnL", "BASE") == 0
    assert (ib.positions(), ib.openTrades(), ib.fills()) == ([], [], [])


async def test_the_clock_is_the_gateways(bench: Bench, ib: ib_async.IB) -> None:
    assert await ib.reqCurrentTimeAsync() == bench.clock.now()


async def test_a_client_id_in_use_is_refused(bench: Bench, ib: ib_async.IB) -> None:
    second = ib_async.IB()
    errors: list[int] = []
    second.errorEvent += lambda req_id, code, text, contract: errors.append(code)

    with pytest.raises((ConnectionError, TimeoutError)):
        await second.connectAsync("127.0.0.1", bench.server.port, clientId=1, timeout=0.5)

    assert errors == [326]
    assert await ib.reqCurrentTimeAsync() == bench.clock.now()


async def test_a_client_id_is_free_again_after_a_disconnect(bench: Bench) -> None:
    for _ in range(2):
        async with bench.client(5) as ib:
            assert ib.isConnected()
        await until(lambda: not bench.server.clients)


# Orders


async def test_a_market_order_fills(ib: ib_async.IB, aapl: ib_async.Contract) -> None:
    trade = await done(ib.placeOrder(aapl, MarketOrder("BUY", 10, orderRef="mine")))
    (fill,) = trade.fills
    await until(lambda: fill.commissionReport.execId)

    assert trade.orderStatus.status == "Filled"
    assert (fill.execution.shares, fill.execution.side, fill.execution.orderRef) == (10, "BOT", "mine")
    assert fill.execution.acctNumber == ACCOUNT
    assert (fill.commissionReport.commission, fill.commissionReport.currency) == (1.0, "USD")
    await until(ib.positions)
    (position,) = ib.positions()
    assert (position.contract.conId, position.position) == (265598, 10)
    assert position.avgCost == pytest.approx(fill.execution.price + 0.1)
    await until(ib.portfolio)
    (item,) = ib.portfolio()
    assert (item.position, item.contract.primaryExchange) == (10, "NASDAQ")
    spent = fill.execution.price * 10 + 1
    await until(lambda: account_value(ib, "TotalCashValue") == pytest.approx(100_000 - spent))


async def test_a_round_trip_realises_its_profit(ib: ib_async.IB, aapl: ib_async.Contract) -> None:
    bought = await done(ib.placeOrder(aapl, MarketOrder("BUY", 10)))
    sold = await done(ib.placeOrder(aapl, MarketOrder("SELL", 10)))
    await until(lambda: sold.fills[0].commissionReport.execId)

    gain = (sold.fills[0].execution.price - bought.fills[0].execution.price) * 10 - 2
    assert sold.fills[0].commissionReport.realizedPNL == pytest.approx(gain)
    await until(lambda: ib.positions() == [])
    await until(lambda: account_value(ib, "RealizedPnL") == pytest.approx(gain, abs=0.01))


async def test_a_big_order_fills_in_parts(ib: ib_async.IB, bench: Bench) -> None:
    (penny,) = await ib.qualifyContractsAsync(ib_async.Stock("F", "SMART", "USD"))
    assert isinstance(penny, ib_async.Contract)

    trade = ib.placeOrder(penny, MarketOrder("BUY", 12_000))
    for _ in range(500):
        if trade.isDone():
            break
        bench.move()
        await asyncio.sleep(0.01)

    assert trade.orderStatus.status == "Filled"
    assert len(trade.fills) > 1
    assert sum(fill.execution.shares for fill in trade.fills) == 12_000
    assert trade.fills[-1].execution.cumQty == 12_000
    await until(lambda: all(fill.commissionReport.execId for fill in trade.fills))
    assert sum(fill.commissionReport.commission for fill in trade.fills) == pytest.approx(60.0)


async def test_a_limit_order_rests_and_can_be_changed_and_cancelled(
    ib: ib_async.IB, aapl: ib_async.Contract, bench: Bench
) -> None:
    trade = await working(ib.placeOrder(aapl, LimitOrder("BUY", 10, 50.0, tif="GTC")))
    perm_id = trade.order.permId
    assert perm_id > 0

    trade.order.lmtPrice = 60.0
    trade.order.totalQuantity = 20
    ib.placeOrder(aapl, trade.order)
    await until(lambda: trade.orderStatus.remaining == 20)
    (reported,) = await ib.reqAllOpenOrdersAsync()
    assert (reported.order.lmtPrice, reported.order.permId) == (60.0, perm_id)

    ib.cancelOrder(trade.order)
    await done(trade)
    assert trade.orderStatus.status == "Cancelled"
    await until(lambda: bench.errors)
    assert [(code, text) for _, code, text in bench.errors] == [(202, "Order Canceled - reason:")]


async def test_an_order_known_only_from_the_gateway_can_be_changed(
    bench: Bench, aapl: ib_async.Contract, ib: ib_async.IB
) -> None:
    placed = await working(ib.placeOrder(aapl, LimitOrder("BUY", 10, 50.0, tif="GTC")))
    ib.disconnect()
    await until(lambda: not bench.server.clients)

    async with bench.client() as again:
        (trade,) = again.openTrades()
        assert trade.order.permId == placed.order.permId
        trade.order.lmtPrice = 61.0
        again.placeOrder(trade.contract, trade.order)
        await again.reqCurrentTimeAsync()
        (reported,) = await again.reqAllOpenOrdersAsync()
        assert reported.order.lmtPrice == 61.0
    assert bench.errors == []


async def test_a_stop_is_held_until_it_triggers(ib: ib_async.IB, aapl: ib_async.Contract) -> None:
    resting = await working(ib.placeOrder(aapl, StopOrder("SELL", 5, 50.0)), "PreSubmitted")
    assert resting.orderStatus.whyHeld == "trigger"

    touched = await done(ib.placeOrder(aapl, StopOrder("BUY", 5, 50.0)))
    assert touched.orderStatus.status == "Filled"

    limit = ib.placeOrder(aapl, StopLimitOrder("SELL", 5, 40.0, 50.0))
    await working(limit, "PreSubmitted")
    (reported,) = [trade for trade in await ib.reqAllOpenOrdersAsync() if trade.order.orderType == "STP LMT"]
    assert (reported.order.lmtPrice, reported.order.auxPrice) == (40.0, 50.0)


async def test_immediate_or_cancel(ib: ib_async.IB, aapl: ib_async.Contract) -> None:
    trade = await done(ib.placeOrder(aapl, LimitOrder("BUY", 10, 50.0, tif="IOC")))

    assert (trade.orderStatus.status, trade.fills) == ("Cancelled", [])


async def test_an_order_beyond_the_account_is_rejected(
    ib: ib_async.IB, aapl: ib_async.Contract, bench: Bench
) -> None:
    trade = await done(ib.placeOrder(aapl, MarketOrder("BUY", 1_000_000)))

    assert trade.orderStatus.status == "Cancelled"
    ((order_id, code, _),) = bench.errors
    assert (order_id, code) == (trade.order.orderId, 201)
    assert await ib.reqAllOpenOrdersAsync() == []
    assert account_value(ib, "AvailableFunds") == 100_000


REFUSED: list[tuple[ib_async.Order, int, str]] = [
    (ib_async.Order(action="BUY", totalQuantity=1, orderType="FEELINGS"), 321, "Invalid order type"),
    (ib_async.Order(action="BUY", totalQuantity=1, orderType="PEG BENCH"), 387, "order type"),
    (LimitOrder("BUY", 1, 50.0, tif="SOON"), 10052, "SOON"),
    (LimitOrder("BUY", 1, 50.0, algoStrategy="Adaptive"), 442, "algorithm"),
    (LimitOrder("BUY", 1, 50.0, scaleInitLevelSize=5), 10340, "scaleInitLevelSize"),
    (LimitOrder("BUY", 1, 50.0, account="DU1"), 201, "account"),
    (LimitOrder("HOLD", 1, 50.0), 201, "action"),
]


@pytest.mark.parametrize(("order", "code", "word"), REFUSED, ids=[word for _, _, word in REFUSED])
async def test_what_cannot_be_traded_as_asked_is_refused(
    ib: ib_async.IB, aapl: ib_async.Contract, bench: Bench, order: ib_async.Order, code: int, word: str
) -> None:
    ib.placeOrder(aapl, ib_async.Order(**{**ib_async.util.dataclassAsDict(order), "orderId": 0}))
    await until(lambda: bench.errors)

    ((_, got, text),) = bench.errors
    assert got == code
    assert word in text
    assert await ib.reqAllOpenOrdersAsync() == []


async def test_cancelling_what_is_not_there(ib: ib_async.IB, bench: Bench) -> None:
    ib.client.cancelOrder(4711)
    await until(lambda: bench.errors)

    assert bench.errors == [(4711, 10147, "OrderId 4711 that needs to be cancelled is not found.")]


async def test_global_cancel(ib: ib_async.IB, aapl: ib_async.Contract, bench: Bench) -> None:
    async with bench.client(2) as other:
        mine = await working(ib.placeOrder(aapl, LimitOrder("BUY", 1, 50.0)))
        theirs = await working(other.placeOrder(aapl, LimitOrder("BUY", 1, 51.0)))

        other.reqGlobalCancel()

        await done(mine)
        await done(theirs)
        assert (mine.orderStatus.status, theirs.orderStatus.status) == ("Cancelled", "Cancelled")


# Several clients


async def test_clients_see_their_own_orders_and_client_0_all(
    ib: ib_async.IB, aapl: ib_async.Contract, bench: Bench
) -> None:
    async with bench.client(2) as other, bench.client(0) as master:
        trade = await working(ib.placeOrder(aapl, LimitOrder("BUY", 1, 50.0)))
        await until(master.openTrades)

        (seen,) = master.openTrades()
        assert (seen.order.permId, seen.order.clientId) == (trade.order.permId, 1)
        assert await other.reqOpenOrdersAsync() == []
        (asked,) = await other.reqAllOpenOrdersAsync()
        assert asked.order.permId == trade.order.permId

        master.client.cancelOrder(trade.order.orderId)
        await done(trade)
        await until(lambda: not master.openTrades())


async def test_fills_reach_their_owner_and_client_0_only(
    ib: ib_async.IB, aapl: ib_async.Contract, bench: Bench
) -> None:
    async with bench.client(2) as other, bench.client(0) as master:
        await done(ib.placeOrder(aapl, MarketOrder("BUY", 3)))
        await until(master.fills)
        # Positions are the account's: they reach everybody.
        await until(other.positions)

        assert other.fills() == []
        (found,) = await other.reqExecutionsAsync()
        assert (found.execution.clientId, found.execution.shares) == (1, 3)
        assert found.commissionReport.commission == 1.0


async def test_executions_can_be_filtered(ib: ib_async.IB, aapl: ib_async.Contract, bench: Bench) -> None:
    (msft,) = await ib.qualifyContractsAsync(ib_async.Stock("MSFT", "SMART", "USD"))
    assert isinstance(msft, ib_async.Contract)
    await done(ib.placeOrder(aapl, MarketOrder("BUY", 1)))
    bench.move(60)
    await done(ib.placeOrder(msft, MarketOrder("BUY", 2)))
    await done(ib.placeOrder(aapl, MarketOrder("SELL", 1)))

    async def shares(**wanted: Any) -> list[float]:
        found = await ib.reqExecutionsAsync(ib_async.ExecutionFilter(**wanted))
        return [fill.execution.shares for fill in found]

    assert await shares() == [1, 2, 1]
    assert await shares(symbol="MSFT") == [2]
    assert await shares(side="SELL") == [1]
    assert await shares(symbol="AAPL", side="BUY") == [1]
    assert await shares(time="20261123 10:30:30 US/Eastern") == [2, 1]
    assert await shares(time="20261123-15:30:30") == [2, 1]
    assert await shares(clientId=2) == []
    assert await shares(clientId=1, acctCode=ACCOUNT, secType="STK", exchange="SMART") == [1, 2, 1]


async def test_completed_orders(ib: ib_async.IB, aapl: ib_async.Contract) -> None:
    filled = await done(ib.placeOrder(aapl, MarketOrder("BUY", 3)))
    cancelled = await working(ib.placeOrder(aapl, LimitOrder("BUY", 1, 50.0)))
    ib.cancelOrder(cancelled.order)
    await done(cancelled)

    first, second = await ib.reqCompletedOrdersAsync(False)

    assert (first.order.permId, first.orderStatus.status) == (filled.order.permId, "Filled")
    assert first.order.filledQuantity == 3
    assert (second.order.permId, second.orderStatus.status) == (cancelled.order.permId, "Cancelled")


# The account


async def test_account_summary(ib: ib_async.IB) -> None:
    summary = {(row.tag, row.currency): row.value for row in await ib.accountSummaryAsync()}

    assert summary["NetLiquidation", "USD"] == "100000.00"
    assert summary["AccountType", ""] == "INDIVIDUAL"
    assert summary["TotalCashBalance", "BASE"] == "100000.00"
    assert summary["RealizedPnL", "USD"] == "0.00"


async def test_profit_and_loss(ib: ib_async.IB, aapl: ib_async.Contract, bench: Bench) -> None:
    account, single = ib.reqPnL(ACCOUNT), ib.reqPnLSingle(ACCOUNT, "", aapl.conId)
    await until(lambda: account.dailyPnL == 0)
    assert single.position == 0

    await done(ib.placeOrder(aapl, MarketOrder("BUY", 100)))
    await until(lambda: single.position == 100)
    before = single.value
    for _ in range(50):
        bench.move()
        await asyncio.sleep(0.01)
        if single.value != before:
            break

    assert single.value != before
    await until(lambda: account.unrealizedPnL == pytest.approx(single.unrealizedPnL))
    ib.cancelPnL(ACCOUNT)
    ib.cancelPnLSingle(ACCOUNT, "", aapl.conId)
    assert bench.errors == []


async def test_positions_and_updates_for_one_account(
    ib: ib_async.IB, aapl: ib_async.Contract, bench: Bench
) -> None:
    await done(ib.placeOrder(aapl, MarketOrder("SELL", 4)))
    positions: list[tuple[Any, ...]] = []
    ends: list[int] = []
    ib.wrapper.positionMulti = lambda *args: positions.append(args)  # type: ignore[method-assign]
    ib.wrapper.positionMultiEnd = ends.append  # type: ignore[method-assign,assignment]

    ib.client.reqPositionsMulti(900, ACCOUNT, "")
    await until(lambda: ends)
    await done(ib.placeOrder(aapl, MarketOrder("SELL", 6)))
    await until(lambda: len(positions) == 2)

    assert [(args[0], args[1], args[3].conId, args[4]) for args in positions] == [
        (900, ACCOUNT, 265598, -4.0),
        (900, ACCOUNT, 265598, -10.0),
    ]
    assert bench.errors == []


async def test_prices_move_the_account_every_few_seconds(
    ib: ib_async.IB, aapl: ib_async.Contract, bench: Bench
) -> None:
    await done(ib.placeOrder(aapl, MarketOrder("BUY", 100)))
    await until(ib.portfolio)
    before = ib.portfolio()[0].marketPrice

    for _ in range(30):
        bench.move(3)
        await asyncio.sleep(0.01)
        if ib.portfolio()[0].marketPrice != before:
            break

    item = ib.portfolio()[0]
    assert item.marketPrice != before
    assert item.marketValue == pytest.approx(item.marketPrice * 100)


# Contracts


async def test_contract_details(ib: ib_async.IB) -> None:
    (details,) = await ib.reqContractDetailsAsync(ib_async.Stock("AAPL", "SMART", "USD"))

    assert details.contract is not None
    assert (details.contract.conId, details.contract.exchange) == (265598, "SMART")
    assert (details.contract.primaryExchange, details.contract.tradingClass) == ("NASDAQ", "NMS")
    assert (details.longName, details.marketName, details.minTick) == ("APPLE INC", "NMS", 0.01)
    assert (details.timeZoneId, details.stockType) == ("US/Eastern", "COMMON")
    assert "STPLMT" in details.orderTypes.split(",")
    assert details.validExchanges.split(",")[0] == "SMART"
    first, second = details.liquidSessions()[:2]
    assert (first.end - first.start, first.end) == (timedelta(days=1), second.start)
    rule = await ib.reqMarketRuleAsync(int(details.marketRuleIds.split(",")[0]))
    assert rule is not None
    assert [(step.lowEdge, step.increment) for step in rule] == [(0.0, 0.01)]


async def test_contracts_are_found_by_id_and_as_pairs(ib: ib_async.IB) -> None:
    (by_id,) = await ib.reqContractDetailsAsync(ib_async.Contract(conId=265598))
    (pair,) = await ib.reqContractDetailsAsync(ib_async.Forex("EURUSD"))

    assert by_id.contract is not None
    assert pair.contract is not None
    assert by_id.contract.symbol == "AAPL"
    assert (pair.contract.localSymbol, pair.contract.exchange) == ("EUR.USD", "IDEALPRO")


@pytest.mark.parametrize(
    "contract",
    [
        ib_async.Stock("NOSUCH", "SMART", "USD"),
        ib_async.Stock("AAPL", "SMART", "EUR"),
        ib_async.Contract(conId=1),
        ib_async.Contract(secType="WHAT", symbol="AAPL"),
        ib_async.Option("AAPL", "20270115", 201, "C", "SMART"),
    ],
)
async def test_an_unknown_contract_gets_200(ib: ib_async.IB, bench: Bench, contract: Any) -> None:
    assert await ib.reqContractDetailsAsync(contract) == []

    assert [(code, text) for _, code, text in bench.errors] == [
        (200, "No security definition has been found for the request")
    ]


async def test_matching_symbols(ib: ib_async.IB) -> None:
    found = await ib.reqMatchingSymbolsAsync("apple")

    assert found is not None
    contracts = [description.contract for description in found]
    assert [c.symbol for c in contracts if c is not None] == ["AAPL"]


# Market data


async def test_a_stream_of_quotes(ib: ib_async.IB, aapl: ib_async.Contract, bench: Bench) -> None:
    ticker = ib.reqMktData(aapl)
    await until(lambda: ticker.close > 0)

    assert 0 < ticker.bid < ticker.ask
    assert ticker.bid <= ticker.last <= ticker.ask
    assert ticker.low <= ticker.last <= ticker.high
    assert min(ticker.bidSize, ticker.askSize, ticker.lastSize, ticker.volume) > 0
    assert (ticker.minTick, ticker.marketDataType) == (0.01, 1)
    assert isinstance(ticker.lastTimestamp, datetime)
    volume = ticker.volume
    bench.move()
    await until(lambda: ticker.volume > volume)

    ib.cancelMktData(aapl)
    await ib.reqCurrentTimeAsync()
    volume = ticker.volume
    bench.move()
    await asyncio.sleep(0.05)
    assert ticker.volume == volume


async def test_a_snapshot_ends(ib: ib_async.IB, aapl: ib_async.Contract) -> None:
    (ticker,) = await ib.reqTickersAsync(aapl)

    assert ticker.bid > 0


async def test_market_data_errors(ib: ib_async.IB, aapl: ib_async.Contract, bench: Bench) -> None:
    client = ib.client
    client.reqMktData(901, aapl, "", False, False, [])
    client.reqMktData(901, aapl, "", False, False, [])
    client.reqMktData(902, ib_async.Stock("NOSUCH", "SMART", "USD"), "", False, False, [])
    client.cancelMktData(903)
    await until(lambda: len(bench.errors) == 3)

    assert [(req_id, code) for req_id, code, _ in bench.errors] == [(901, 322), (902, 200), (903, 300)]
    assert bench.errors[2][2] == "Can't find EId with tickerId:903"


# History


@pytest.mark.parametrize(
    ("size", "duration", "count"),
    [
        ("1 secs", "60 S", 60),
        ("5 secs", "1800 S", 360),
        ("1 min", "1 D", 1440),
        ("5 mins", "2 D", 576),
        ("30 mins", "1 W", 336),
        ("1 hour", "1 M", None),
        ("4 hours", "10 D", None),
        ("1 day", "30 D", 30),
        ("1 week", "1 Y", None),
        ("1 month", "2 Y", None),
    ],
)
async def test_bars(
    ib: ib_async.IB, aapl: ib_async.Contract, size: str, duration: str, count: int | None
) -> None:
    bars = await ib.reqHistoricalDataAsync(aapl, "", duration, size, "TRADES", False, 2)

    assert len(bars) == (count or len(bars)) > 10
    dates = [bar.date for bar in bars]
    assert dates == sorted(set(dates))
    assert all(bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in bars)
    assert all(bar.volume > 0 and bar.barCount > 0 for bar in bars)
    if size in ("1 day", "1 week", "1 month"):
        assert all(type(moment) is date for moment in dates)
    (ticker,) = await ib.reqTickersAsync(aapl)
    assert bars[-1].close == ticker.last


async def test_bars_in_parts_are_the_same_as_in_one(
    ib: ib_async.IB, aapl: ib_async.Contract, bench: Bench
) -> None:
    """A long answer is made in steps; where they are cut must not show."""
    for size, duration in (("1 min", "3 D"), ("8 hours", "200 D"), ("1 week", "20 Y"), ("30 secs", "1 D")):
        bars = await ib.reqHistoricalDataAsync(aapl, "", duration, size, "TRADES", False, 2)
        feed, universe = bench.server.core.feed, bench.server.core.universe
        instrument = universe.by_con_id(265598)
        assert instrument is not None
        first = bars[0].date
        start = first if isinstance(first, datetime) else feed.head(instrument)
        whole = feed.bars(instrument, start=start, end=bench.clock.now(), bar_size=size)[-len(bars) :]
        assert [(bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in bars] == [
            (float(b.open), float(b.high), float(b.low), float(b.close), float(b.volume)) for b in whole
        ]


async def test_both_formats_of_dates(ib: ib_async.IB, aapl: ib_async.Contract) -> None:
    (local,) = await ib.reqHistoricalDataAsync(aapl, "", "3600 S", "1 hour", "TRADES", False, 1)
    (epoch,) = await ib.reqHistoricalDataAsync(aapl, "", "3600 S", "1 hour", "TRADES", False, 2)

    assert isinstance(local.date, datetime)
    assert str(local.date.tzinfo) == "US/Eastern"
    assert local.date == epoch.date


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("20261120 15:00:00 US/Eastern", "2026-11-20T19:59:00+00:00"),
        ("20261120-15:00:00", "2026-11-20T14:59:00+00:00"),
        ("20261120 15:00:00", "2026-11-20T19:59:00+00:00"),
        ("20261120 15:00:00 Europe/Berlin", "2026-11-20T13:59:00+00:00"),
    ],
)
async def test_the_end_of_history(ib: ib_async.IB, aapl: ib_async.Contract, end: str, expected: str) -> None:
    bars = await ib.reqHistoricalDataAsync(aapl, end, "600 S", "1 min", "TRADES", False, 2)

    assert len(bars) == 10
    assert bars[-1].date == datetime.fromisoformat(expected)


async def test_other_kinds_of_bars(ib: ib_async.IB, aapl: ib_async.Contract) -> None:
    closes = {}
    for what in ("TRADES", "MIDPOINT", "BID", "ASK"):
        (bar,) = await ib.reqHistoricalDataAsync(aapl, "", "1 D", "1 day", what, False, 1)
        closes[what] = bar.close
        assert (bar.volume > 0) == (what == "TRADES")

    assert closes["BID"] < closes["MIDPOINT"] < closes["ASK"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("", "1 D", "7 mins", "TRADES"), 321),
        (("", "1 X", "1 min", "TRADES"), 321),
        (("", "0 D", "1 min", "TRADES"), 321),
        (("", "400 D", "1 day", "TRADES"), 321),
        (("yesterday", "1 D", "1 min", "TRADES"), 10314),
        (("20261120 15:00:00 Mars/Olympus", "1 D", "1 min", "TRADES"), 10314),
        (("19900101 15:00:00", "1 D", "1 min", "TRADES"), 162),
        (("", "1 Y", "1 secs", "TRADES"), 162),
        (("", "999999 Y", "1 day", "TRADES"), 321),
        (("", "1 D", "1 min", "YIELD_BID"), 162),
        (("", "1 D", "1 min", "PRICES"), 321),
        (("", "29 S", "1 secs", "TRADES"), 321),
        (("", "86401 S", "1 min", "TRADES"), 321),
        (("20261120-15:00:00", "1 D", "1 day", "ADJUSTED_LAST"), 321),
    ],
)
async def test_history_that_cannot_be_had(
    ib: ib_async.IB, aapl: ib_async.Contract, bench: Bench, arguments: tuple[str, str, str, str], code: int
) -> None:
    ib.client.reqHistoricalData(900, aapl, *arguments, True, 1, False, [])
    await until(lambda: bench.errors)

    assert [(req_id, got) for req_id, got, _ in bench.errors] == [(900, code)]


async def test_bars_that_are_kept_up_to_date(ib: ib_async.IB, aapl: ib_async.Contract, bench: Bench) -> None:
    bars = await ib.reqHistoricalDataAsync(aapl, "", "600 S", "1 min", "TRADES", False, 2, keepUpToDate=True)
    count = len(bars)

    bench.move(30)
    await until(lambda: len(bars) == count + 1)
    forming = bars[-1].volume
    bench.move(20)
    await until(lambda: bars[-1].volume > forming)
    bench.move(60)
    await until(lambda: len(bars) == count + 2)

    # The bar that was forming has been completed before the next one began.
    (whole, _) = await ib.reqHistoricalDataAsync(aapl, "", "120 S", "1 min", "TRADES", False, 2)
    assert bars[-2].volume == whole.volume
    ib.cancelHistoricalData(bars)
    await until(lambda: bench.errors)
    assert [code for _, code, _ in bench.errors] == [162]


async def test_cancelling_history_that_is_not_there(ib: ib_async.IB, bench: Bench) -> None:
    ib.client.cancelHistoricalData(900)
    await until(lambda: bench.errors)

    assert bench.errors == [(900, 366, "No historical data query found for ticker id:900")]


async def test_the_head_of_history(ib: ib_async.IB, aapl: ib_async.Contract) -> None:
    assert await ib.reqHeadTimeStampAsync(aapl, "TRADES", True, 1) == datetime(2000, 1, 3, 5)  # noqa: DTZ001


# Never silent

SILENT = {
    # As at IB: nothing to say when all is well.
    "reqIds", "reqNewsBulletins", "cancelNewsBulletins", "setServerLogLevel", "reqGlobalCancel",
    "reqMarketDataType", "cancelPositions", "cancelAccountSummary", "cancelPositionsMulti",
    "cancelAccountUpdatesMulti", "cancelPnL", "cancelPnLSingle", "cancelHeadTimeStamp",
    "cancelCalculateImpliedVolatility", "cancelCalculateOptionPrice",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "args", "req_id"),
    [call for call in CALLS if call[0] not in SILENT],
    ids=lambda value: str(value)[:30],
)
async def test_every_request_is_answered(bench: Bench, name: str, args: tuple[Any, ...], req_id: int) -> None:
    """An answer or an error for its request id comes before the answer to the next request."""
    async with bench.client(3) as ib:
        heard: list[list[str]] = []
        ib.client.decoder.interpret = heard.append  # type: ignore[method-assign]
        getattr(ib.client, name)(*args)
        ib.client.reqCurrentTime()
        async with asyncio.timeout(PATIENCE):
            while not any(fields[0] == "49" for fields in heard):  # noqa: ASYNC110
                await asyncio.sleep(0.002)
        # Long answers are made in the background, and some streams begin when the market moves.
        bench.move(5)
        await until(lambda: len(heard) > 1)

    if req_id != -1:
        assert any(str(req_id) in fields[:4] for fields in heard), heard


def test_the_gateway_runs_on_uvloop() -> None:
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not available on this platform")

    async def session() -> None:
        async with open_bench() as bench, bench.client() as ib:
            contract = ib_async.Stock("AAPL", "SMART", "USD", conId=265598)
            trade = await done(ib.placeOrder(contract, MarketOrder("BUY", 10)))
            assert trade.orderStatus.status == "Filled"

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(session())

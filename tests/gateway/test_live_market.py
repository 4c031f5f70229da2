"""Real ib_async watches the market over TCP: what its users see in its tickers."""

from collections.abc import AsyncIterator

import ib_async
import pytest

from tests.gateway.bench import Bench, open_bench, until
from trademind.gateway.entitlements import Access, Entitlements

pytestmark = [
    # Python 3.11's asyncio warns of transports that ib_async closes only when they are collected.
    pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning"),
]

GENERIC = "100,101,104,105,106,165,221,225,233,236,258,293,294,295,318,411,456"


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


async def test_a_ticker_with_everything(ib: ib_async.IB, aapl: ib_async.Contract) -> None:
    ticker = ib.reqMktData(aapl, GENERIC)
    await until(lambda: ticker.dividends is not None)

    assert ticker.low52week <= ticker.low26week <= ticker.low13week <= ticker.last
    assert ticker.last <= ticker.high13week <= ticker.high26week <= ticker.high52week
    assert ticker.bid <= ticker.markPrice <= ticker.ask
    assert ticker.vwap > 0
    assert ticker.rtTime is not None
    for name in (
        "callVolume", "putVolume", "callOpenInterest", "putOpenInterest", "histVolatility", "avOptionVolume",
        "impliedVolatility", "avVolume", "auctionVolume", "auctionPrice", "shortable", "shortableShares",
        "tradeCount", "tradeRate", "volumeRate", "lastRthTrade", "rtHistVolatility",
    ):  # fmt: skip
        assert getattr(ticker, name) > 0, name
    assert ticker.last == ticker.fundamentalRatios.NPRICE  # type: ignore[union-attr]
    assert all((ticker.bidExchange, ticker.askExchange, ticker.lastExchange))


async def test_delayed_prices_fill_the_same_fields(
    ib: ib_async.IB, aapl: ib_async.Contract, bench: Bench
) -> None:
    bench.server.core.entitlements = Entitlements({"AAPL": Access.DELAYED})
    ib.reqMarketDataType(3)
    ticker = ib.reqMktData(aapl)
    await until(lambda: ticker.close > 0)

    assert ticker.marketDataType == 3
    assert 0 < ticker.bid < ticker.ask
    assert [code for _, code, _ in bench.errors] == [10167]


async def test_the_book(ib: ib_async.IB, aapl: ib_async.Contract, bench: Bench) -> None:
    ticker = ib.reqMktDepth(aapl, numRows=5, isSmartDepth=True)
    await until(lambda: len(ticker.domBids) == len(ticker.domAsks) == 5)
    for _ in range(3):
        bench.move()
    bids, asks = ([row.price for row in side] for side in (ticker.domBids, ticker.domAsks))

    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < asks[0]
    ib.cancelMktDepth(aapl, isSmartDepth=True)


async def test_ticks_and_bars_come_one_by_one(ib: ib_async.IB, aapl: ib_async.Contract, bench: Bench) -> None:
    bars = ib.reqRealTimeBars(aapl, 5, "TRADES", False)
    ticker = ib.reqTickByTickData(aapl, "AllLast")
    ticks: list[object] = []
    ticker.updateEvent += lambda updated: ticks.extend(updated.tickByTicks)
    await ib.reqCurrentTimeAsync()
    bench.move(10)
    await until(lambda: len(bars) == 2 and ticks)

    assert bars[1].time - bars[0].time == bars[1].time.resolution * 5_000_000
    assert bars[0].low <= bars[0].close <= bars[0].high
    ib.cancelRealTimeBars(bars)
    ib.cancelTickByTickData(aapl, "AllLast")

"""Market data lines of all four kinds, at a real gateway: what they bring, who shares them, and what is left.

A gateway's own lists of what its client is subscribed to are what counts here: one line for however many hold
it, none for nobody, and the same ones after whatever happened. Each docstring says in its last half sentence
what was taken out to see the test fail.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from tests.api.memory import AAPL as APPLE
from tests.brokers.stage import Stage, open_stage, reconnected, round_trip
from tests.gateway.bench import START, until
from trademind import ContractQuery, IBKRBroker
from trademind.brokers.ibkr import line_limits, market_data
from trademind.brokers.ibkr.depth import DepthLine
from trademind.brokers.ibkr.history_pacing import MOST, MOST_WITHIN, HistoryPacing
from trademind.brokers.ibkr.line_pacing import MARGIN, SAME_WITHIN, AsHistory, Spaced, Spacing
from trademind.brokers.topics import MarketStream
from trademind.domain import (
    Channel,
    DataType,
    Depth,
    DepthLevel,
    LiveBar,
    Quote,
    SecType,
    Subject,
    Tick,
    TickType,
)
from trademind.errors import PacingViolation, TooManySubscriptions
from trademind.gateway.entitlements import Access, Entitlements
from trademind.gateway.faults import (
    Disconnect,
    Drop,
    Step,
)
from trademind.gateway.pacing import Pacing

AAPL, MSFT, SPY, TSLA = (ContractQuery(symbol=symbol) for symbol in ("AAPL", "MSFT", "SPY", "TSLA"))
REQUESTS = {
    Channel.QUOTES: ("reqMktData", "cancelMktData"),
    Channel.DEPTH: ("reqMktDepth", "cancelMktDepth"),
    Channel.BARS: ("reqRealTimeBars", "cancelRealTimeBars"),
    Channel.TICKS: ("reqTickByTickData", "cancelTickByTickData"),
}
ALL = list(REQUESTS)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with open_stage() as opened:
        yield opened


def of(channel: Channel, query: ContractQuery = AAPL, variant: str = "") -> Subject:
    return Subject(channel=channel, query=query, variant=variant)


def every_kind(query: ContractQuery = AAPL) -> list[Subject]:
    return [of(channel, query) for channel in ALL]


def lines_at(stage: Stage, channel: Channel) -> list[str]:
    """The symbols that the gateway has this client subscribed to."""
    session = stage.session()
    streams: Any = {
        Channel.QUOTES: session.ticks,
        Channel.DEPTH: session.depth,
        Channel.BARS: session.real_time_bars,
        Channel.TICKS: session.tick_by_tick,
    }[channel]
    return sorted(each.instrument.symbol for _, each in streams.all())


def asked(stage: Stage, channel: Channel) -> int:
    return len(stage.asked(REQUESTS[channel][0]))


def cancelled(stage: Stage, channel: Channel) -> int:
    return len(stage.asked(REQUESTS[channel][1]))


async def opened(broker: IBKRBroker, *subjects: Subject) -> MarketStream[Any]:
    """A stream whose lines are with the gateway."""
    stream = await broker.market(*subjects).__aenter__()
    await round_trip(broker)
    return stream


def values(stream: MarketStream[Any]) -> list[Any]:
    return [item.value for items in stream.take().values() for item in items]


# What each kind brings ---------------------------------------------------------------------------


async def test_a_book_is_as_the_gateway_has_it(stage: Stage) -> None:
    """Seen to fail with inserts that overwrite, deletes that leave holes, and sides that are mixed up."""
    broker = await stage.connect()
    books = stage.watch(broker.depth(AAPL))
    await until(lambda: stage.session().depth)
    ((_, there),) = stage.session().depth.all()

    def is_the_same() -> bool:
        sides = [
            [DepthLevel(float(row.price), float(row.size), row.maker) for row in side]
            for side in (there.bids, there.asks)
        ]
        return bool(books) and [list(books[-1].bids), list(books[-1].asks)] == sides

    for _ in range(20):
        before = len(books)
        stage.move(10)
        await until(lambda before=before: len(books) > before and is_the_same())  # type: ignore[misc]
        assert len(books[-1].bids) == len(books[-1].asks) == 10
    assert len({book.bids for book in books}) > 5
    assert (books[-1].is_smart, books[-1].stale) == (True, False)


def test_rows_move_as_ib_describes_it() -> None:
    """Seen to fail with ib_async's way of numbering rows, and with more rows than were asked for."""
    line = DepthLine(APPLE)
    for position, price in enumerate((10.0, 9.0, 8.0)):
        line.row(position, "", 0, 1, price, 1.0)
    line.row(1, "", 0, 1, 9.5, 2.0)
    assert [level.price for level in line.read().bids] == [10.0, 9.5, 9.0, 8.0]
    line.row(0, "", 2, 1, 0.0, 0.0)
    line.row(1, "NSDQ", 1, 1, 9.1, 3.0)
    assert line.read().bids == (DepthLevel(9.5, 2.0), DepthLevel(9.1, 3.0, "NSDQ"), DepthLevel(8.0, 1.0))
    for position in (3, 7, 99):
        line.row(position, "", 2, 1, 0.0, 0.0)
    assert len(line.read().bids) == 3
    for position in range(20):
        line.row(position, "", 0, 0, 11.0 + position, 1.0)
    assert [level.price for level in line.read().asks] == [11.0 + position for position in range(10)]


async def test_bars_and_ticks_have_ibs_own_time(stage: Stage) -> None:
    """Seen to fail with the time at which ticks came."""
    broker = await stage.connect()
    fx = ContractQuery(symbol="EUR", sec_type=SecType.CASH, exchange="IDEALPRO")
    stream = await opened(
        broker,
        of(Channel.BARS),
        of(Channel.BARS, AAPL, "MIDPOINT"),
        *(of(Channel.TICKS, query, kind) for query, kind in ((AAPL, ""), (MSFT, "BidAsk"), (fx, "MidPoint"))),
    )
    stage.play(Step(do=Drop(), message="tickPrice"))  # the timeline decodes everything from here on
    stage.move(30)
    await until(lambda: all(topic.version > 0 for topic in stream.topics))
    await round_trip(broker)
    told = values(stream)
    bars = [value for value in told if isinstance(value, LiveBar)]
    trades = [each.bar for each in bars if each.what_to_show == "TRADES"]
    middles = [each.bar for each in bars if each.what_to_show == "MIDPOINT"]
    assert [bar.time for bar in trades] == [START + timedelta(seconds=5 * number) for number in range(6)]
    assert all(bar.volume and bar.wap and bar.low <= bar.open <= bar.high for bar in trades)
    assert [(bar.volume, bar.wap) for bar in middles] == [(None, None)] * 6
    ticks = [value for value in told if isinstance(value, Tick)]
    by_kind = {kind: [tick for tick in ticks if tick.tick_type is kind] for kind in TickType}
    traded = by_kind[TickType.ALL_LAST]
    assert {tick.contract.symbol for tick in traded} == {"AAPL"}
    assert [tick.time for tick in traded] == sorted(tick.time for tick in traded)
    assert all(START <= tick.time < START + timedelta(seconds=30) for tick in traded)
    assert all(tick.price and tick.size is not None and tick.exchange and tick.bid is None for tick in traded)
    assert all(
        tick.bid and tick.ask and tick.bid_size and tick.price is None for tick in by_kind[TickType.BID_ASK]
    )
    assert all(tick.mid_point and tick.bid is None for tick in by_kind[TickType.MID_POINT])
    assert by_kind[TickType.BID_ASK]
    assert by_kind[TickType.MID_POINT]


async def test_an_option_has_its_greeks_and_a_stock_has_none(stage: Stage) -> None:
    """Seen to fail with greeks that are left out, and with -2 for what cannot be computed."""
    broker = await stage.connect()
    chain = await broker.find_contracts(
        ContractQuery(symbol="AAPL", sec_type=SecType.OPTION, right="C", last_trade_date="202701")
    )
    option = min(chain, key=lambda each: abs(float(each.contract.strike or 0) - 150)).contract
    quote, stock = await broker.get_quotes([ContractQuery(con_id=option.con_id), AAPL])
    greeks = quote.greeks
    assert greeks is not None
    assert greeks.delta is not None
    assert 0 < greeks.delta < 1
    assert (greeks.theta or 0) < 0
    assert (greeks.underlying_price, stock.greeks) == (stock.last, None)
    assert None not in (greeks.implied_volatility, greeks.gamma, greeks.vega, greeks.price)


async def test_what_is_not_quoted_or_not_traded_is_not_waited_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index has no bid and ask, a currency no trades; seen to fail with one rule for all."""
    monkeypatch.setattr(market_data, "QUOTE_WAIT", 30.0)
    broker = await stage.connect()
    for price in ("1", "2"):
        stage.play(Step(do=Drop(), message="tickPrice", fields={3: price}, times=None))
    index = ContractQuery(symbol="SPX", sec_type=SecType.INDEX, exchange="CBOE")
    async with asyncio.timeout(10):
        quote = await broker.get_quote(index)
        assert (quote.bid, quote.ask) == (None, None)
        assert quote.last is not None
        stage.timeline.clear()
        stage.play(Step(do=Drop(), message="tickPrice", fields={3: "4"}, times=None))
        fx = ContractQuery(symbol="EUR", sec_type=SecType.CASH, exchange="IDEALPRO")
        quote = await broker.get_quote(fx)
        assert quote.last is None
        assert quote.bid is not None


def has_data(quotes: list[Quote]) -> bool:
    return bool(quotes) and quotes[-1].last is not None


def has_data_or_notice(quotes: list[Quote]) -> bool:
    return has_data(quotes) or (bool(quotes) and quotes[-1].notices != ())


@pytest.mark.parametrize("wanted", [DataType.LIVE, DataType.DELAYED])
async def test_delayed_data_come_where_they_are_asked_for(wanted: DataType) -> None:
    """On each connection; seen to fail with a type that is not told to IB."""
    async with open_stage(entitlements=Entitlements({"AAPL": Access.DELAYED})) as stage:
        broker = await stage.connect(market_data_type=wanted)
        for number in (1, 2):
            quotes = stage.watch(broker.quotes(AAPL))
            await until(partial(has_data_or_notice, quotes))
            assert len(stage.asked("reqMarketDataType")) == (number if wanted is DataType.DELAYED else 0)
            codes = {notice.ib_code for notice in quotes[-1].notices}
            if wanted is DataType.DELAYED:
                await until(partial(has_data, quotes))
                assert (quotes[-1].data_type, codes, quotes[-1].stale) == (DataType.DELAYED, {10167}, False)
            else:
                assert (quotes[-1].data_type, codes, quotes[-1].stale) == (None, {10168}, True)
            if number == 1:
                stage.play(Step(do=Disconnect()))
                await reconnected(broker)


# Who shares a line -------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", ALL)
async def test_any_number_of_holders_have_one_line_and_find_it_warm_for_a_while(
    stage: Stage, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail with a line for each holder, with one that is cancelled when the first holder goes or as
    soon as the last has gone, and with one that is kept for ever."""
    monkeypatch.setattr(market_data, "GRACE", 0.5)
    broker = await stage.connect()
    streams = await asyncio.gather(*(opened(broker, of(channel)) for _ in range(8)))
    other = await opened(broker, of(channel, MSFT))
    assert lines_at(stage, channel) == ["AAPL", "MSFT"]
    for stream in streams:
        stream.close()
    again = await opened(broker, of(channel))
    (used,) = [each for each in broker.line_usage() if each.channel is channel]
    assert (used.used, used.held) == (2, 2)
    assert (asked(stage, channel), cancelled(stage, channel)) == (2, 0)

    again.close()
    (used,) = [each for each in broker.line_usage() if each.channel is channel]
    assert (used.used, used.held) == (2, 1)
    await until(lambda: cancelled(stage, channel))
    await round_trip(broker)
    assert lines_at(stage, channel) == ["MSFT"]
    (used,) = [each for each in broker.line_usage() if each.channel is channel]
    assert (used.used, used.held) == (1, 1)
    other.close()
    await until(lambda: cancelled(stage, channel) == 2)


async def test_a_quote_that_is_asked_for_again_and_again_stays_warm(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail with a time that counts from the first question."""
    monkeypatch.setattr(market_data, "GRACE", 0.3)
    broker = await stage.connect()
    for _ in range(5):
        await broker.get_quotes([AAPL, MSFT])
        await asyncio.sleep(0.1)
    assert asked(stage, Channel.QUOTES) == 2
    stream = await opened(broker, of(Channel.QUOTES))
    await until(lambda: lines_at(stage, Channel.QUOTES) == ["AAPL"])
    await asyncio.sleep(0.4)
    assert lines_at(stage, Channel.QUOTES) == ["AAPL"], "it is held"
    stream.close()


async def test_different_kinds_of_one_instrument_are_different_lines(stage: Stage) -> None:
    """By what bars are made of, by the type of tick, by the exchange; seen to fail with one line for all."""
    broker = await stage.connect()
    nasdaq = ContractQuery(symbol="AAPL", exchange="NASDAQ")
    stream = await opened(
        broker,
        *(of(Channel.BARS, AAPL, kind) for kind in ("TRADES", "BID")),
        *(of(Channel.TICKS, AAPL, kind) for kind in ("AllLast", "BidAsk")),
        of(Channel.DEPTH),
        of(Channel.DEPTH, nasdaq),
    )
    assert len(stream.topics) == 6
    assert [lines_at(stage, each) for each in ALL] == [[], ["AAPL"] * 2, ["AAPL"] * 2, ["AAPL"] * 2]
    books = [value for value in values(stream) if isinstance(value, Depth)]
    assert [book.is_smart for book in books] == [True, False]


@pytest.mark.parametrize(
    ("channel", "limit"), [(Channel.DEPTH, line_limits.MAX_DEPTH), (Channel.TICKS, line_limits.MAX_TICKS)]
)
async def test_when_all_lines_are_held_the_next_is_refused_and_told_by_what(
    channel: Channel, limit: int
) -> None:
    """IB's own limits are in force at the gateway; seen to fail with no limit, and with one that takes a line
    from those who hold it."""
    async with open_stage(pacing=Pacing(messages_per_second=None)) as stage:
        broker = await stage.connect()
        symbols = ["AAPL", "MSFT", "TSLA", "NVDA"]
        assert limit == 3
        streams = [await opened(broker, of(channel, ContractQuery(symbol=name))) for name in symbols[:3]]
        with pytest.raises(TooManySubscriptions) as failure:
            await opened(broker, of(channel, ContractQuery(symbol=symbols[3])))
        error = failure.value
        assert (error.status, error.retry_after) == (429, 5)
        assert (error.extra["limit"], error.extra["in_use"]) == (3, 3)
        used_by = zip(symbols[:3], error.extra["used_by"], strict=True)
        assert all(name in what for name, what in used_by)
        assert lines_at(stage, channel) == sorted(symbols[:3])

        # The one let go longest ago makes room.
        streams[1].close()
        streams[0].close()
        await opened(broker, of(channel, ContractQuery(symbol=symbols[3])))
        assert lines_at(stage, channel) == ["AAPL", "NVDA", "TSLA"]
        assert not {309, 10190} & set(stage.timeline.told)


async def test_bars_and_quotes_share_their_lines(stage: Stage) -> None:
    """Seen to fail with a limit for each of them."""
    broker = await stage.connect(market_data_lines=3)
    await broker.get_quotes([AAPL, MSFT])
    bars = [await opened(broker, of(Channel.BARS, query)) for query in (AAPL, MSFT)]
    assert [lines_at(stage, each) for each in (Channel.QUOTES, Channel.BARS)] == [["MSFT"], ["AAPL", "MSFT"]]
    quotes = await opened(broker, of(Channel.QUOTES, SPY))
    with pytest.raises(TooManySubscriptions):
        await broker.get_quote(TSLA)
    assert [(each.used, each.held) for each in broker.line_usage()] == [(1, 1), (2, 2), (0, 0), (0, 0)]
    for stream in (*bars, quotes):
        stream.close()
    await broker.get_quote(TSLA)


# How often IB is asked ---------------------------------------------------------------------------


def test_bars_count_as_requests_for_history() -> None:
    """Together with those for history; seen to fail with a count of their own, and with one that is not
    taken back when nothing was sent."""
    pacing = HistoryPacing()
    for _ in range(MOST):
        line = AsHistory(pacing)
        assert line.wait(0.0) == 0
        line.reserve(0.0)
    late = AsHistory(pacing)
    assert late.wait(0.0) > MOST_WITHIN
    line.withdraw()
    assert late.wait(0.0) == 0
    late.reserve(0.0)
    late.count(1.0)
    assert AsHistory(pacing).wait(2.0) > 0


def test_ticks_of_one_instrument_are_asked_for_once_in_fifteen_seconds() -> None:
    """Of whatever type; seen to fail with a time of their own for each line, and with one that begins when
    it is sent, before which another has passed already."""
    spacing = Spacing()
    apple, same, other = Spaced(spacing, 1), Spaced(spacing, 1), Spaced(spacing, 2)
    apple.reserve(100.0)
    assert (other.wait(100.0), same.wait(100.0)) == (0, SAME_WITHIN + MARGIN)
    apple.count(101.0)
    assert same.wait(101.0) == SAME_WITHIN + MARGIN
    assert same.wait(101.0 + SAME_WITHIN + MARGIN) == 0
    other.reserve(200.0)
    assert len(spacing._asked) == 1, "what is over is forgotten"


async def test_ticks_that_may_not_be_asked_for_yet_come_when_they_may(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail with a request at once, and with one that never comes."""
    monkeypatch.setattr("trademind.brokers.ibkr.line_pacing.SAME_WITHIN", 0.2)
    broker = await stage.connect(max_requests_per_second=45)
    begun = asyncio.get_running_loop().time()
    stream = await opened(broker, *(of(Channel.TICKS, AAPL, kind) for kind in ("AllLast", "BidAsk")))
    assert asked(stage, Channel.TICKS) == 1
    await until(lambda: asked(stage, Channel.TICKS) == 2)
    assert asyncio.get_running_loop().time() - begun >= 0.2 + MARGIN
    stream.close()


async def test_bars_that_would_have_to_wait_for_minutes_are_refused(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail with a wait of ten minutes that nobody is told of."""
    monkeypatch.setattr("trademind.brokers.ibkr.history_pacing.MOST", 1)
    broker = await stage.connect(max_requests_per_second=45)
    stream = await opened(broker, of(Channel.BARS))
    with pytest.raises(PacingViolation) as failure:
        await stream.follow(of(Channel.BARS, MSFT))
    assert (failure.value.retry_after or 0) > 500
    assert [(each.used, each.held) for each in broker.line_usage() if each.channel is Channel.BARS] == [
        (1, 1)
    ]

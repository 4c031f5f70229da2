"""The replay feed on prices that were real, and on a few that make a point."""

import csv
import gzip
from array import array
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trademind.domain import SecType
from trademind.domain.market import BAR_SIZES
from trademind.gateway.engine.instruments import INSTRUMENTS, RESERVED_CON_IDS
from trademind.gateway.engine.model import Instrument
from trademind.gateway.feeds.base import Feed, FeedBar
from trademind.gateway.feeds.recorded import recorded_instrument
from trademind.gateway.feeds.replay import ReplayFeed
from trademind.gateway.feeds.synthetic import SyntheticFeed
from trademind.gateway.feeds.tape import SECOND, Rows
from trademind.gateway.feeds.tape_files import read_tapes

NEW_YORK = ZoneInfo("America/New_York")


def shipped(package: str, *path: str) -> Path:
    """A file that a package brings, without importing the package."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent.joinpath(*path)


STOCKS = shipped("bokeh_sampledata", "_data", "stocks.csv.gz")
GOOG, EURUSD = (shipped("backtesting", "test", f"{name}.csv") for name in ("GOOG", "EURUSD"))


@lru_cache
def replay(path: Path, *, loop: bool = False) -> ReplayFeed:
    return ReplayFeed(read_tapes(path), loop=loop)


def instrument(feed: ReplayFeed, symbol: str) -> Instrument:
    return next(each for each in feed.recorded if each.symbol == symbol)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


def rounded(text: str, tick: Decimal) -> Decimal:
    return round(float(text) / float(tick)) * tick


def ohlcv(bars: Iterable[FeedBar]) -> list[tuple[Decimal, ...]]:
    return [(each.open, each.high, each.low, each.close, each.volume) for each in bars]


def recorded(rows: Iterable[Mapping[str, str]], tick: Decimal) -> list[tuple[Decimal, ...]]:
    return [
        (*(rounded(row[name], tick) for name in ("Open", "High", "Low", "Close")), Decimal(row["Volume"]))
        for row in rows
    ]


# What was recorded is what is played


@pytest.mark.parametrize("symbol", ["AAPL", "GOOG", "IBM", "MSFT", "FB"])
def test_daily_bars_of_a_file_of_many_stocks(symbol: str) -> None:
    feed = replay(STOCKS)
    which = instrument(feed, symbol)
    with gzip.open(STOCKS, "rt") as file:
        rows = [row for row in csv.DictReader(file) if row["Ticker"] == symbol]
    bars = feed.bars(which, start=feed.head(which) - timedelta(days=1), end=feed.end, bar_size="1 day")
    assert ohlcv(bars) == recorded(rows, which.min_tick)
    assert [each.start.astimezone(NEW_YORK).date().isoformat() for each in bars] == [
        row["Date"] for row in rows
    ]


def test_hourly_bars_of_a_currency_pair() -> None:
    feed = replay(EURUSD)
    [which] = feed.recorded
    assert (which.sec_type, which.con_id) == (SecType.CASH, 12087792)
    with EURUSD.open() as file:
        rows = list(csv.DictReader(file))
    bars = feed.bars(which, start=feed.start, end=feed.end, bar_size="1 hour")
    # The hours of the change to winter time are the ones that New York has twice; the file has them once.
    assert len(bars) >= len(rows) - 2
    assert ohlcv(bars[:3000]) == recorded(rows[:3000], which.min_tick)
    assert bars[0].start == at("2017-04-19T09:00")


def test_a_day_takes_place_in_regular_hours_from_open_to_close() -> None:
    feed = replay(GOOG)
    [which] = feed.recorded
    # 2013-03-01: 797.8, 807.14, 796.15, 806.19, 2175400; the close before is 801.2.
    before, opened = feed.quote(which, at("2013-03-01T09:30")), feed.quote(which, at("2013-03-01T09:30:01"))
    assert before.last == before.close == Decimal("801.20")
    assert before.volume == 0
    assert abs(opened.last - Decimal("797.80")) < Decimal("0.02")
    low, high = feed.quote(which, at("2013-03-01T11:40")), feed.quote(which, at("2013-03-01T13:50"))
    assert (low.last, high.last) == (Decimal("796.15"), Decimal("807.14"))
    assert low.bid == low.last < low.ask
    over = feed.quote(which, at("2013-03-01T16:00"))
    seen = [over.last, over.high, over.low, over.open, over.volume]
    assert seen == [Decimal(each) for each in ("806.19", "807.14", "796.15", "797.80", "2175400")]
    # After the end the market stands still.
    assert feed.quote(which, at("2013-03-01T19:00")) == over
    assert feed.quote(which, at("2014-03-01T19:00")).last == over.last


# History and quotes are one market

_SECONDS = st.integers(0, int((replay(STOCKS).end - replay(STOCKS).start).total_seconds()))
_SPANS = {"secs": timedelta(minutes=20), "min": timedelta(hours=8), "hour": timedelta(days=8)}


@pytest.mark.parametrize("bar_size", BAR_SIZES)
@settings(max_examples=8, deadline=None)
@given(_SECONDS, st.booleans())
def test_bars_end_where_the_quote_stands(bar_size: str, second: int, loop: bool) -> None:
    feed = replay(STOCKS, loop=loop)
    which = instrument(feed, "AAPL")
    now = feed.start + timedelta(seconds=second * (3 if loop else 1))
    span = next((span for unit, span in _SPANS.items() if unit in bar_size), timedelta(days=100))
    bars = feed.bars(which, start=now - span, end=now, bar_size=bar_size)
    if bars:
        quote = feed.quote(which, now)
        assert bars[-1].close == quote.last
        assert quote.low <= quote.last <= quote.high or quote.volume == 0
        assert quote.bid < quote.ask
    for each in bars:
        assert now - span <= each.start < now
        assert each.low <= min(each.open, each.close) <= max(each.open, each.close) <= each.high


@settings(max_examples=20, deadline=None)
@given(
    _SECONDS,
    st.sampled_from([("1 day", "1 hour"), ("1 day", "5 mins"), ("1 hour", "1 min"), ("1 week", "1 day")]),
)
def test_a_bar_is_what_its_parts_are(second: int, sizes: tuple[str, str]) -> None:
    feed = replay(STOCKS)
    which = instrument(feed, "IBM")
    start = feed.start + timedelta(seconds=second)
    end = start + timedelta(days=20 if sizes[0] == "1 week" else 4)
    coarse, fine = (feed.bars(which, start=start, end=end, bar_size=size) for size in sizes)
    for bar, after in zip(coarse, [*(each.start for each in coarse), end][1:], strict=True):
        parts = [each for each in fine if bar.start <= each.start < after]
        if sizes[1] == "1 day" or bar.start >= start:
            assert parts
            assert (parts[0].open, parts[-1].close) == (bar.open, bar.close)
            assert (max(each.high for each in parts), min(each.low for each in parts)) == (bar.high, bar.low)
            assert sum(each.volume for each in parts) == bar.volume
            assert sum(each.count for each in parts) == bar.count


@settings(max_examples=30, deadline=None)
@given(st.lists(_SECONDS, min_size=2, max_size=6))
def test_the_order_of_questions_does_not_matter(seconds: list[int]) -> None:
    first, second = ReplayFeed(read_goog()), ReplayFeed(read_goog())
    [which] = first.recorded
    moments = [first.start + timedelta(seconds=each % 200_000_000) for each in seconds]
    forth = {moment: first.quote(which, moment) for moment in moments}
    back = {moment: second.quote(which, moment) for moment in reversed(moments)}
    assert forth == back


@lru_cache
def read_goog() -> dict[str, Rows]:
    return read_tapes(GOOG)


# Loops


def test_a_loop_repeats_whole_weeks() -> None:
    feed = replay(GOOG, loop=True)
    [which] = feed.recorded
    days = (date(2013, 3, 1) - date(2004, 8, 19)).days + 1
    weeks = timedelta(weeks=-(-days // 7))
    for text in ("2004-08-19T12:00", "2009-05-14T10:00", "2013-03-01T15:59"):
        once, again = feed.quote(which, at(text)), feed.quote(which, at(text) + 2 * weeks)
        assert (again.last, again.bid, again.volume, again.high) == (
            once.last,
            once.bid,
            once.volume,
            once.high,
        )
        walls = [each.time.astimezone(NEW_YORK).replace(tzinfo=None) for each in (once, again)]
        assert walls[1] == walls[0] + 2 * weeks
    [day] = feed.bars(which, start=at("2004-08-19") + weeks, end=at("2004-08-20") + weeks, bar_size="1 day")
    assert (day.open, day.close) == (Decimal(100), Decimal("100.34"))
    # The close before the first day of a round is the last one of the round before.
    assert feed.quote(which, at("2004-08-19T12:00") + weeks).close == Decimal("806.19")


# Ticks


def ticks(*rows: tuple[str, float, int]) -> Rows:
    closes = array("d", [price for _, price, _ in rows])
    times = array("q", [round(at(f"2026-04-15T{text}").timestamp() * SECOND) for text, _, _ in rows])
    volumes = array("q", [size for _, _, size in rows])
    return Rows(times, closes, closes, closes, closes, volumes, are_ticks=True, are_dates=False)


def test_ticks_are_moments() -> None:
    rows = ticks(("10:00:00", 10, 100), ("10:00:00.250", 10.5, 300), ("10:01:00", 9, 200))
    feed = ReplayFeed({"NEWCO": rows})
    [which] = feed.recorded
    assert feed.interval < 1
    shown = [
        (quote.last, quote.volume)
        for text in ("10:00:00", "10:00:00.100", "10:00:01", "10:00:59", "10:01:01")
        for quote in [feed.quote(which, at(f"2026-04-15T{text}"))]
    ]
    assert [f"{last} {volume}" for last, volume in shown] == [
        "10.00 0", "10.00 100", "10.50 400", "10.50 400", "9.00 600"
    ]  # fmt: skip
    minutes = feed.bars(which, start=feed.start, end=at("2026-04-15T10:02"), bar_size="1 min")
    half = Decimal("10.5")
    rows_of: list[tuple[int | Decimal, ...]] = [(10, half, 10, half, 400), (9, 9, 9, 9, 200)]
    assert ohlcv(minutes) == [tuple(map(Decimal, row)) for row in rows_of]
    assert [each.count for each in minutes] == [2, 1]


def test_recorded_offers_are_shown() -> None:
    rows = ticks(("10:00:00", 10, 100), ("10:00:05", 10.2, 50))
    rows.bids, rows.asks = array("d", [9.98, 10.1]), array("d", [10.01, 10.3])
    rows.bid_sizes, rows.ask_sizes = array("q", [500, 0]), array("q", [700, 800])
    feed = ReplayFeed({"NEWCO": rows})
    quote = feed.quote(feed.recorded[0], at("2026-04-15T10:00:02"))
    seen = [quote.bid, quote.ask, quote.bid_size, quote.ask_size]
    assert seen == [Decimal(each) for each in ("9.98", "10.01", "500", "700")]
    assert feed.quote(feed.recorded[0], at("2026-04-15T10:00:06")).bid_size > 0


# Instruments


@pytest.mark.parametrize(
    ("symbol", "kind", "found", "currency"),
    [
        ("AAPL", SecType.STOCK, "AAPL", "USD"),
        ("BRK.B", SecType.STOCK, "BRK B", "USD"),
        ("EURUSD", SecType.CASH, "EUR", "USD"),
        ("GBP.USD", SecType.CASH, "GBP", "USD"),
        ("EUR/SEK", SecType.CASH, "EUR", "SEK"),
        ("XRPUSD", SecType.CRYPTO, "XRP", "USD"),
        ("NEWCO", SecType.STOCK, "NEWCO", "USD"),
    ],
)
def test_what_a_symbol_means(symbol: str, kind: SecType, found: str, currency: str) -> None:
    which = recorded_instrument(symbol, ticks(("10:00:00", 10, 1)))
    assert (which.sec_type, which.symbol, which.currency) == (kind, found, currency)
    listed = {each.con_id for each in INSTRUMENTS}
    assert which.con_id in listed or RESERVED_CON_IDS < which.con_id < 1_000_000_000
    # A stored account finds it again.
    assert recorded_instrument(symbol, ticks(("10:00:00", 20, 1))).con_id == which.con_id


def test_other_instruments_have_no_market_or_a_synthetic_one() -> None:
    rows = {"AAPL": ticks(("10:00:00", 10, 1))}
    alone, others = ReplayFeed(rows), ReplayFeed(rows, others=SyntheticFeed(7))
    msft = next(each for each in INSTRUMENTS if each.symbol == "MSFT")
    now = datetime(2026, 4, 15, 16, tzinfo=UTC)
    assert [each.symbol for each in alone.instruments] == ["AAPL"]
    with pytest.raises(LookupError, match="MSFT is not in the recording"):
        alone.quote(msft, now)
    assert msft in others.instruments
    assert len(others.instruments) == len(INSTRUMENTS)
    synthetic: Feed = SyntheticFeed(7)
    assert others.quote(msft, now) == synthetic.quote(msft, now)
    assert others.head(msft) == synthetic.head(msft)


def test_no_such_bar_size() -> None:
    feed = replay(GOOG)
    with pytest.raises(ValueError, match="bar size"):
        feed.bars(feed.recorded[0], start=feed.start, end=feed.end, bar_size="1 fortnight")

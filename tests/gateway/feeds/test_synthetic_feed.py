from collections.abc import Container, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trademind.domain.market import BAR_SIZES
from trademind.gateway.engine.instruments import INSTRUMENTS, Universe
from trademind.gateway.engine.model import Instrument, MarketQuote
from trademind.gateway.feeds.base import Feed, FeedBar
from trademind.gateway.feeds.synthetic import SyntheticFeed

NEW_YORK = ZoneInfo("America/New_York")
NOON = datetime(2026, 4, 15, 16, 0, 0, tzinfo=UTC)
SPRING, AUTUMN = datetime(2026, 3, 8, tzinfo=NEW_YORK), datetime(2026, 11, 1, tzinfo=NEW_YORK)


def listed(con_id: int) -> Instrument:
    found = Universe().by_con_id(con_id)
    assert found is not None
    return found


AAPL, EURUSD, BKNG = listed(265598), listed(12087792), listed(308728373)
FEED: Feed = SyntheticFeed(7)

_FIRST, _LAST = datetime(2000, 1, 4, tzinfo=UTC), datetime(2035, 1, 1, tzinfo=UTC)
MOMENTS = st.integers(0, int((_LAST - _FIRST).total_seconds() * 1000)).map(
    lambda milliseconds: _FIRST + timedelta(milliseconds=milliseconds)
)


def whole(bars: Sequence[FeedBar]) -> tuple[Decimal, Decimal, Decimal, Decimal, Decimal, int]:
    """Open, high, low, close, volume and trades of a run of bars."""
    return (
        bars[0].open,
        max(each.high for each in bars),
        min(each.low for each in bars),
        bars[-1].close,
        sum((each.volume for each in bars), Decimal(0)),
        sum(each.count for each in bars),
    )


def check_quote(instrument: Instrument, quote: MarketQuote) -> None:
    assert 0 < quote.bid < quote.ask
    assert quote.bid <= quote.last <= quote.ask
    assert quote.low <= min(quote.open, quote.last) <= max(quote.open, quote.last) <= quote.high
    for price in (quote.bid, quote.ask, quote.last, quote.open, quote.high, quote.low, quote.close):
        assert price % instrument.min_tick == 0
    assert min(quote.bid_size, quote.ask_size, quote.last_size) > 0
    assert quote.volume >= 0


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(INSTRUMENTS), MOMENTS)
def test_quotes_are_quotes(instrument: Instrument, at: datetime) -> None:
    quote = FEED.quote(instrument, at)
    check_quote(instrument, quote)
    assert quote.time == at.replace(microsecond=0)
    # Spreads stay near the instrument's own.
    assert (quote.ask - quote.bid) / instrument.min_tick <= instrument.spread_ticks + 1


@settings(max_examples=40, deadline=None)
@given(MOMENTS, st.integers(0, 2**63))
def test_a_seed_is_a_market(at: datetime, seed: int) -> None:
    here, there, other = SyntheticFeed(seed), SyntheticFeed(seed), SyntheticFeed(seed + 1)
    there.quote(AAPL, at + timedelta(days=400))  # asked in another order
    there.quote(EURUSD, at)
    assert here.quote(AAPL, at) == there.quote(AAPL, at)
    span = {"start": at - timedelta(minutes=2), "end": at}
    assert here.bars(AAPL, bar_size="1 secs", **span) == there.bars(AAPL, bar_size="1 secs", **span)
    assert here.bars(AAPL, bar_size="1 secs", **span) != other.bars(AAPL, bar_size="1 secs", **span)


SPANS = {
    "1 secs": timedelta(minutes=3),
    "5 secs": timedelta(minutes=5),
    "10 secs": timedelta(minutes=5),
    "15 secs": timedelta(minutes=5),
    "30 secs": timedelta(minutes=10),
    "1 min": timedelta(hours=2),
    "2 mins": timedelta(hours=2),
    "3 mins": timedelta(hours=2),
    "5 mins": timedelta(hours=4),
    "10 mins": timedelta(hours=4),
    "15 mins": timedelta(hours=8),
    "20 mins": timedelta(hours=8),
    "30 mins": timedelta(days=1),
    "1 hour": timedelta(days=2),
    "2 hours": timedelta(days=3),
    "3 hours": timedelta(days=3),
    "4 hours": timedelta(days=3),
    "8 hours": timedelta(days=3),
    "1 day": timedelta(days=20),
    "1 week": timedelta(days=60),
    "1 month": timedelta(days=100),
}


@pytest.mark.parametrize("bar_size", BAR_SIZES)
@settings(max_examples=8, deadline=None)
@given(st.sampled_from((AAPL, EURUSD)), MOMENTS)
def test_the_last_bar_ends_where_the_stream_begins(
    bar_size: str, instrument: Instrument, at: datetime
) -> None:
    bars = FEED.bars(instrument, start=at - SPANS[bar_size], end=at, bar_size=bar_size)
    assert bars
    assert bars[-1].close == FEED.quote(instrument, at).last
    starts = [each.start for each in bars]
    assert starts == sorted(set(starts))
    assert max(at - SPANS[bar_size], FEED.head(instrument)) <= starts[0]
    assert starts[-1] < at
    for each in bars:
        assert each.low <= min(each.open, each.close) <= max(each.open, each.close) <= each.high
        assert each.low <= each.wap <= each.high
    for before, after in pairwise(bars):
        assert after.open == before.close


@pytest.mark.parametrize(
    ("coarse", "fine"),
    [
        ("5 secs", "1 secs"),
        ("30 secs", "10 secs"),
        ("1 min", "1 secs"),
        ("3 mins", "1 min"),
        ("5 mins", "30 secs"),
        ("1 hour", "1 min"),
        ("1 hour", "20 mins"),
        ("4 hours", "1 hour"),
        ("8 hours", "30 mins"),
        ("1 day", "1 hour"),
        ("1 day", "8 hours"),
        ("1 day", "3 hours"),
        ("1 week", "1 day"),
        ("1 month", "1 day"),
    ],
)
@pytest.mark.parametrize(
    "at", [NOON + timedelta(seconds=45), SPRING + timedelta(hours=19, minutes=7), AUTUMN]
)
def test_a_bar_is_what_its_parts_are(coarse: str, fine: str, at: datetime) -> None:
    bars = FEED.bars(AAPL, start=at - 2 * SPANS[coarse], end=at, bar_size=coarse)
    assert len(bars) > 1
    ends = [each.start for each in bars[1:]] + [at]
    for bar, end in list(zip(bars, ends, strict=True))[-4:]:
        assert whole(FEED.bars(AAPL, start=bar.start, end=end, bar_size=fine)) == whole([bar])


@pytest.mark.parametrize(("midnight", "hours"), [(SPRING, 23), (AUTUMN, 25), (NOON.astimezone(NEW_YORK), 24)])
def test_days_have_the_hours_that_new_york_gives_them(midnight: datetime, hours: int) -> None:
    start = midnight.replace(hour=0)
    end = start + timedelta(days=1)
    assert len(FEED.bars(AAPL, start=start, end=end, bar_size="1 hour")) == hours
    assert len(FEED.bars(AAPL, start=start, end=end, bar_size="1 min")) == hours * 60
    [day] = FEED.bars(AAPL, start=start, end=end, bar_size="1 day")
    assert day.start == start.astimezone(UTC)


@pytest.mark.parametrize(
    ("bar_size", "weekdays", "days", "hours"),
    [
        ("1 month", range(7), {1}, {0}),
        ("1 week", {0}, range(1, 32), {0}),
        ("1 day", range(7), range(1, 32), {0}),
        # Elapsed hours since midnight: on the two days of the clock change they read an hour off.
        ("8 hours", range(7), range(1, 32), {0, 8, 16, 9, 17}),
    ],
)
def test_bars_begin_on_the_calendar(
    bar_size: str, weekdays: Container[int], days: Container[int], hours: Container[int]
) -> None:
    bars = FEED.bars(AAPL, start=NOON - timedelta(days=100), end=NOON, bar_size=bar_size)
    assert len(bars) >= 3
    for each in bars:
        at = each.start.astimezone(NEW_YORK)
        assert at.minute == at.second == 0
        assert at.weekday() in weekdays
        assert at.day in days
        assert at.hour in hours


def test_a_bar_belongs_to_the_stretch_it_begins_in() -> None:
    bars = FEED.bars(AAPL, start=NOON - timedelta(minutes=10, seconds=1), end=NOON, bar_size="5 mins")
    assert [each.start for each in bars] == [NOON - timedelta(minutes=10), NOON - timedelta(minutes=5)]
    bars = FEED.bars(
        AAPL, start=NOON - timedelta(minutes=5), end=NOON + timedelta(seconds=1), bar_size="5 mins"
    )
    assert [each.start for each in bars] == [NOON - timedelta(minutes=5), NOON]


def test_a_bar_in_which_nothing_has_happened_is_left_out() -> None:
    end = NOON + timedelta(milliseconds=500)
    for bar_size in ("1 min", "1 hour", "1 secs"):
        bars = FEED.bars(AAPL, start=NOON - timedelta(hours=1), end=end, bar_size=bar_size)
        assert bars[-1].start < NOON
        assert bars[-1].close == FEED.quote(AAPL, end).last


def test_there_is_nothing_before_the_head() -> None:
    head = FEED.head(AAPL)
    assert head == datetime(2000, 1, 3, 5, tzinfo=UTC)
    bars = FEED.bars(AAPL, start=head - timedelta(days=30), end=head + timedelta(days=3), bar_size="1 day")
    assert [each.start for each in bars] == [head + timedelta(days=days) for days in range(3)]
    assert (
        FEED.bars(AAPL, start=head - timedelta(days=9), end=head - timedelta(days=1), bar_size="1 min") == []
    )
    check_quote(AAPL, FEED.quote(AAPL, head - timedelta(days=30)))


def test_midnight_starts_a_new_day() -> None:
    midnight = datetime(2026, 4, 15, tzinfo=NEW_YORK)
    before = FEED.quote(AAPL, midnight - timedelta(microseconds=1))
    at, after = FEED.quote(AAPL, midnight), FEED.quote(AAPL, midnight + timedelta(minutes=1))
    assert at.last == at.open == at.high == at.low == at.close
    assert at.volume == 0
    assert after.volume > 0
    assert after.close == at.last
    assert abs(before.last - at.last) < 1


def test_most_is_traded_while_new_york_is_open() -> None:
    start = datetime(2026, 4, 14, tzinfo=NEW_YORK)
    hours = FEED.bars(AAPL, start=start, end=start + timedelta(days=1), bar_size="1 hour")
    volumes = [each.volume for each in hours]
    total = sum(volumes, Decimal(0))
    assert sum(volumes[9:16], Decimal(0)) > total * Decimal("0.9")
    assert volumes[15] > volumes[12]
    assert 1 / 3 < total / AAPL.daily_volume < 3


def test_prices_stay_near_the_reference() -> None:
    for instrument in INSTRUMENTS:
        for bar in FEED.bars(instrument, start=NOON - timedelta(days=3 * 365), end=NOON, bar_size="1 month"):
            assert 1 / 6 < float(bar.close) / instrument.reference_price < 6


def test_volatility_is_about_what_the_instrument_says() -> None:
    bars = FEED.bars(AAPL, start=NOON - timedelta(days=2000), end=NOON, bar_size="1 day")
    moves = [float(each.close / each.open) - 1 for each in bars]
    yearly = (sum(each**2 for each in moves) / len(moves) * 365) ** 0.5
    assert 0.8 < yearly / AAPL.annual_volatility < 1.2


def test_no_such_bar_size() -> None:
    for bar_size in ("1 fortnight", "", "hour"):
        with pytest.raises(ValueError, match="bar size"):
            FEED.bars(AAPL, start=NOON - timedelta(days=1), end=NOON, bar_size=bar_size)

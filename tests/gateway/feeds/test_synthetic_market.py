"""What the synthetic market is like over years: its statistics, and its hours."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from math import log, sqrt
from statistics import fmean
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trademind.gateway.calendars import ExchangeHours
from trademind.gateway.engine.corporate_actions import Split
from trademind.gateway.engine.hours import Phase
from trademind.gateway.engine.instruments import INSTRUMENTS
from trademind.gateway.engine.model import Instrument
from trademind.gateway.feeds.synthetic import SyntheticFeed

NEW_YORK = ZoneInfo("America/New_York")
END = datetime(2026, 4, 15, tzinfo=NEW_YORK)
BY_SYMBOL = {each.symbol: each for each in reversed(INSTRUMENTS)}
"""The first of each symbol: of currencies the pair with the dollar."""
AAPL, EURUSD = BY_SYMBOL["AAPL"], BY_SYMBOL["EUR"]
HOURS = ExchangeHours()


@lru_cache
def returns(symbol: str, seed: int = 7) -> list[float]:
    """Log returns of the weekdays of ten years, on which the shocks are of one size."""
    bars = SyntheticFeed(seed).bars(
        BY_SYMBOL[symbol], start=END - timedelta(days=3650), end=END, bar_size="1 day"
    )
    return [log(bar.close / bar.open) for bar in bars if bar.start.astimezone(NEW_YORK).weekday() < 5]


def correlation(xs: list[float], ys: list[float]) -> float:
    mx, my = fmean(xs), fmean(ys)
    cross = sum((x - mx) * (y - my) for x, y in zip(xs, ys, strict=True))
    return cross / sqrt(sum((x - mx) ** 2 for x in xs) * sum((y - my) ** 2 for y in ys))


SEMICONDUCTORS = ("NVDA", "AMD", "INTC", "TXN", "MU")
DRUGS = ("PFE", "MRK", "LLY", "BMY", "JNJ")


def test_a_sector_moves_together_and_the_market_less_so() -> None:
    within = [correlation(returns(a), returns(b)) for a, b in pairwise(SEMICONDUCTORS)]
    within += [correlation(returns(a), returns(b)) for a, b in pairwise(DRUGS)]
    across = [correlation(returns(a), returns(b)) for a, b in zip(SEMICONDUCTORS, DRUGS, strict=True)]
    assert 0.4 < fmean(within) < 0.7
    assert 0.15 < fmean(across) < 0.45
    assert fmean(within) > fmean(across) + 0.1


def test_funds_follow_what_they_are_made_of() -> None:
    assert correlation(returns("SPY"), returns("VOO")) > 0.9
    assert correlation(returns("XLE"), returns("XOM")) > correlation(returns("XLE"), returns("JPM")) + 0.1
    assert abs(correlation(returns("TLT"), returns("SPY"))) < 0.15


def test_currencies_move_with_the_dollar() -> None:
    assert correlation(returns("EUR"), returns("GBP")) > 0.3
    assert abs(correlation(returns("EUR"), returns("AAPL"))) < 0.15


@pytest.mark.parametrize("symbol", ["AAPL", "SPY", "KO", "EUR"])
def test_volatility_comes_in_clusters_and_returns_do_not(symbol: str) -> None:
    moves = returns(symbol)
    sizes = [abs(each) for each in moves]
    for lag in (1, 5, 10):
        assert correlation(sizes[:-lag], sizes[lag:]) > 0.05
        assert abs(correlation(moves[:-lag], moves[lag:])) < 0.08
    assert fmean(correlation(sizes[:-lag], sizes[lag:]) for lag in range(1, 11)) > 0.08


def test_tails_are_heavy() -> None:
    moves = returns("SPY")
    variance = fmean(each**2 for each in moves)
    assert 4 < fmean(each**4 for each in moves) / variance**2 < 15


def test_another_seed_is_another_market() -> None:
    assert abs(correlation(returns("AAPL"), returns("AAPL", seed=8))) < 0.1


def test_the_day_is_busy_while_new_york_trades() -> None:
    busy = quiet = 0.0
    bars = SyntheticFeed(7).bars(AAPL, start=END - timedelta(days=100), end=END, bar_size="30 mins")
    for each in bars:
        at = each.start.astimezone(NEW_YORK)
        if (9, 30) <= (at.hour, at.minute) < (16, 0):
            busy += log(each.close / each.open) ** 2
        else:
            quiet += log(each.close / each.open) ** 2
    assert 0.6 < busy / (busy + quiet) < 0.9


# Under the exchanges' hours

CLOSED = SyntheticFeed(7, HOURS)
_FIRST, _LAST = datetime(2010, 1, 4, tzinfo=UTC), datetime(2035, 1, 1, tzinfo=UTC)
MOMENTS = st.integers(0, int((_LAST - _FIRST).total_seconds())).map(
    lambda second: _FIRST + timedelta(seconds=second)
)
BOTH = st.sampled_from((AAPL, EURUSD))


@settings(max_examples=60, deadline=None)
@given(BOTH, MOMENTS)
def test_a_closed_market_stands_still(instrument: Instrument, at: datetime) -> None:
    later = at + timedelta(seconds=1)
    quotes = CLOSED.quote(instrument, at), CLOSED.quote(instrument, later)
    if HOURS.phase(instrument, at) is Phase.CLOSED and HOURS.phase(instrument, later) is Phase.CLOSED:
        assert quotes[0] == quotes[1]
        assert CLOSED.bars(instrument, start=at, end=later, bar_size="1 secs") == []
    elif HOURS.phase(instrument, at) is not Phase.CLOSED:
        assert quotes[0].time == at
        assert len(CLOSED.bars(instrument, start=at, end=later, bar_size="1 secs")) == 1


@settings(max_examples=40, deadline=None)
@given(BOTH, MOMENTS, st.sampled_from(("1 min", "30 mins", "1 hour", "1 day", "1 week")))
def test_the_stream_goes_on_where_the_bars_end(instrument: Instrument, at: datetime, bar_size: str) -> None:
    span = timedelta(days=21 if bar_size == "1 week" else 6)
    bars = CLOSED.bars(instrument, start=at - span, end=at, bar_size=bar_size)
    quote = CLOSED.quote(instrument, at)
    assert bars[-1].close == quote.last
    if bar_size == "1 day":
        assert quote.volume in (bars[-1].volume, 0)
        assert (quote.high, quote.low) == (bars[-1].high, bars[-1].low) or quote.volume == 0


def test_the_open_has_a_gap_and_a_day_is_its_sessions() -> None:
    start, end = datetime(2025, 11, 24, tzinfo=NEW_YORK), datetime(2025, 12, 6, tzinfo=NEW_YORK)
    days = CLOSED.bars(AAPL, start=start, end=end, bar_size="1 day")
    # Thanksgiving and the weekend are no days.
    assert [each.start.astimezone(NEW_YORK).day for each in days] == [24, 25, 26, 28, 1, 2, 3, 4, 5]
    assert sum(after.open != before.close for before, after in pairwise(days)) >= 7
    hours = CLOSED.bars(AAPL, start=start, end=end, bar_size="1 hour")
    assert {each.start.astimezone(NEW_YORK).hour for each in hours} == set(range(4, 20))
    half_day = [each for each in hours if each.start.astimezone(NEW_YORK).day == 28]
    assert len(half_day) == 13
    for day in days:
        parts = [each for each in hours if day.start <= each.start < day.start + timedelta(days=1)]
        assert (parts[0].open, parts[-1].close) == (day.open, day.close)
        assert max(each.high for each in parts) == day.high
        assert sum(each.volume for each in parts) == day.volume


def test_yesterdays_close_is_that_of_the_regular_session() -> None:
    at = datetime(2025, 12, 1, 10, tzinfo=NEW_YORK)
    [bar] = CLOSED.bars(
        AAPL,
        start=datetime(2025, 11, 28, 12, 59, tzinfo=NEW_YORK),
        end=datetime(2025, 11, 28, 13, tzinfo=NEW_YORK),
        bar_size="1 min",
    )
    assert CLOSED.quote(AAPL, at).close == bar.close


def test_a_currency_day_begins_in_the_evening() -> None:
    evening = datetime(2026, 4, 14, 17, tzinfo=NEW_YORK)
    assert CLOSED.quote(EURUSD, evening).volume == 0
    assert CLOSED.quote(EURUSD, evening - timedelta(seconds=1)).volume > 0
    [day] = CLOSED.bars(
        EURUSD,
        start=datetime(2026, 4, 15, tzinfo=NEW_YORK),
        end=datetime(2026, 4, 15, 16, tzinfo=NEW_YORK),
        bar_size="1 day",
    )
    assert day.open == CLOSED.quote(EURUSD, evening).open
    # The next day's bar is there in the evening, too, as it forms.
    after = datetime(2026, 4, 15, 18, tzinfo=NEW_YORK)
    [*_, last] = CLOSED.bars(EURUSD, start=after - timedelta(days=1), end=after, bar_size="1 day")
    assert last.start == datetime(2026, 4, 16, tzinfo=NEW_YORK)
    assert last.close == CLOSED.quote(EURUSD, after).last


def test_a_split_divides_the_price_from_its_day_on() -> None:
    day = datetime(2026, 4, 15, tzinfo=NEW_YORK)
    split = Split(con_id=AAPL.con_id, date=day.date(), ratio=Decimal(4))
    plain, feed = SyntheticFeed(7), SyntheticFeed(7, actions=[split])
    before = day - timedelta(seconds=1)
    assert feed.quote(AAPL, before) == plain.quote(AAPL, before)
    after = day + timedelta(hours=1)
    quote, whole = feed.quote(AAPL, after), plain.quote(AAPL, after)
    assert abs(quote.last * 4 - whole.last) < Decimal(1)
    assert abs(quote.close * 4 - whole.close) <= Decimal("0.02")
    assert feed.quote(BY_SYMBOL["MSFT"], after) == plain.quote(BY_SYMBOL["MSFT"], after)

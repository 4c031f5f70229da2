"""Figures that follow from an instrument's history: extremes, averages, volatilities, rates.

Strategy: everything is a function of the feed's bars and of the instrument, so the same market gives the
same figures. What needs a year of days is made once a day, what needs the last minutes once a minute; both
are kept for a bounded number of instruments.

What has no source in the feed, such as how many shares can be borrowed, is a share of the instrument's usual
volume that belongs to the instrument and the day.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
from math import log, sqrt
from statistics import stdev
from typing import Final, TypeVar
from zlib import crc32

from trademind.gateway.engine.model import Instrument
from trademind.gateway.feeds.base import Feed, FeedBar
from trademind.gateway.wire.times import EASTERN

QUARTER: Final = timedelta(weeks=13)
AVERAGED: Final = timedelta(days=90)
"""What the average volume is taken over, as at IB."""
VOLATILITY_RETURNS: Final = 30
"""Daily returns in a historical volatility, as at IB."""
DAYS_PER_STEP: Final = 30
"""A few milliseconds of work."""
MAX_KEPT: Final = 1000
"""Instruments whose figures are kept."""
_DAYS_A_YEAR: Final = 365
_FIVE_MINUTES_A_DAY: Final = 288
_PLACES: Final = Decimal("0.000001")

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyFigures:
    """What holds for a day."""

    lows: tuple[Decimal, Decimal, Decimal]
    """Of 13, 26 and 52 weeks."""
    highs: tuple[Decimal, Decimal, Decimal]
    average_volume: Decimal
    """Of a day, over 90 days."""
    historical_volatility: Decimal
    """Of 30 days, a year, as a fraction."""
    implied_volatility: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentFigures:
    """What holds for a minute."""

    trade_count: int
    """Of the day."""
    trade_rate: int
    """Trades in the last minute."""
    volume_rate: Decimal
    """Shares in the last minute."""
    volatility: Decimal
    """Of the last day's five-minute returns, a year, as a fraction."""


class Statistics:
    """The figures of instruments of one feed."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._days: dict[int, tuple[date, DailyFigures]] = {}
        self._minutes: dict[int, tuple[int, RecentFigures]] = {}

    def of_day(self, instrument: Instrument, now: datetime) -> DailyFigures:
        """Figures up to and with the day of `now`, as it was when they were asked for first."""
        for _ in self.prepare(instrument, now):
            pass
        return self._days[instrument.con_id][1]

    def prepare(self, instrument: Instrument, now: datetime) -> Iterator[None]:
        """Look at a year of days, in steps, unless this day's figures are known: then `of_day` is quick."""
        today, con_id = now.astimezone(EASTERN).date(), instrument.con_id
        if con_id in self._days and self._days[con_id][0] >= today:
            return
        days: list[FeedBar] = []
        start = now - 4 * QUARTER
        while start < now:
            # Cut at midnight, where a bar begins in any case.
            cut = start.astimezone(EASTERN).date() + timedelta(days=DAYS_PER_STEP)
            end = min(datetime.combine(cut, time.min, EASTERN).astimezone(UTC), now)
            days += self._feed.bars(instrument, start=start, end=end, bar_size="1 day")
            start = end
            yield
        _keep(self._days, con_id, today, self._make_day(instrument, now, days))

    def of_minute(self, instrument: Instrument, now: datetime) -> RecentFigures:
        minute = int(now.timestamp()) // 60
        known = self._minutes.get(instrument.con_id)
        if known is not None and known[0] == minute:
            return known[1]
        return _keep(self._minutes, instrument.con_id, minute, self._make_minute(instrument, now))

    def _make_day(self, instrument: Instrument, now: datetime, year: list[FeedBar]) -> DailyFigures:
        if not year:
            quote = self._feed.quote(instrument, now)
            usual = _fraction(instrument.annual_volatility)
            return DailyFigures(
                lows=(quote.low,) * 3,
                highs=(quote.high,) * 3,
                average_volume=Decimal(instrument.daily_volume),
                historical_volatility=usual,
                implied_volatility=usual,
            )
        weeks = [
            [bar for bar in year if bar.start >= now - QUARTER * each] or year[-1:] for each in (1, 2, 4)
        ]
        averaged = [bar.volume for bar in year if bar.start >= now - AVERAGED] or [year[-1].volume]
        past = _volatility(year[-VOLATILITY_RETURNS - 1 :], _bars_a_year(year))
        usual_volatility = instrument.annual_volatility
        past_or_usual = usual_volatility if past is None else past
        low13, low26, low52 = (min(bar.low for bar in bars) for bars in weeks)
        high13, high26, high52 = (max(bar.high for bar in bars) for bars in weeks)
        return DailyFigures(
            lows=(low13, low26, low52),
            highs=(high13, high26, high52),
            average_volume=Decimal(round(sum(averaged) / len(averaged))),
            historical_volatility=_fraction(past_or_usual),
            # Options see the past, and what it comes back to.
            implied_volatility=_fraction((past_or_usual + usual_volatility) / 2),
        )

    def _make_minute(self, instrument: Instrument, now: datetime) -> RecentFigures:
        minute = now.replace(second=0, microsecond=0)
        last = self._feed.bars(instrument, start=minute - timedelta(minutes=1), end=minute, bar_size="1 min")
        opened = datetime.combine(now.astimezone(EASTERN).date(), time.min, EASTERN)
        today = self._feed.bars(instrument, start=opened, end=max(minute, opened), bar_size="1 hour")
        fine = self._feed.bars(instrument, start=minute - timedelta(hours=6), end=minute, bar_size="5 mins")
        found = _volatility(fine, _DAYS_A_YEAR * _FIVE_MINUTES_A_DAY)
        return RecentFigures(
            trade_count=sum(bar.count for bar in today),
            trade_rate=sum(bar.count for bar in last),
            volume_rate=sum((bar.volume for bar in last), Decimal(0)),
            volatility=_fraction(instrument.annual_volatility if found is None else found),
        )


def share(instrument: Instrument, name: str, low: float, high: float, day: date | None = None) -> float:
    """A number in [low, high) that belongs to an instrument, a name and perhaps a day."""
    noise = crc32(f"{instrument.con_id}:{name}:{day or ''}".encode()) / 2**32
    return low + (high - low) * noise


def _volatility(bars: Sequence[FeedBar], bars_a_year: float) -> float | None:
    """The standard deviation of logarithmic returns times the root of the bars in a year (Hull, Options,
    Futures and Other Derivatives, ch. 15.4); None of fewer than two returns."""
    closes = [float(bar.close) for bar in bars]
    returns = [log(later / earlier) for earlier, later in pairwise(closes)]
    return stdev(returns) * sqrt(bars_a_year) if len(returns) > 1 else None


def _bars_a_year(days: Sequence[FeedBar]) -> float:
    """How many daily bars a year has at the pace of these: 365, or some 252 where weekends are closed."""
    span = (days[-1].start - days[0].start).days
    return _DAYS_A_YEAR * (len(days) - 1) / span if span else _DAYS_A_YEAR


def _fraction(number: float) -> Decimal:
    return Decimal(repr(number)).quantize(_PLACES)


def _keep(known: dict[int, tuple[K, V]], con_id: int, key: K, value: V) -> V:
    if con_id not in known and len(known) >= MAX_KEPT:
        del known[next(iter(known))]
    known[con_id] = (key, value)
    return value

"""A synthetic market: a pure function of seed, instrument and time.

Each instrument has a path of daily closes that wanders around its reference price. A day is split into
hours, those into minutes, those into seconds (see `path`), each split seeded by what it splits. So history
and live quotes are views of one path, any moment can be asked for in any order, and the same seed gives
the same market in every run. Caches hold what was split lately and decide nothing.

The market never closes. Time moves in whole seconds: a quote shows the last second that is complete.
"""

from array import array
from collections.abc import Callable, Hashable, Iterable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from math import exp, log, sqrt
from random import Random
from typing import Generic, TypeVar

from trademind.domain import SecType
from trademind.gateway.engine.model import Instrument, MarketQuote
from trademind.gateway.feeds.base import FeedBar
from trademind.gateway.feeds.calendar import (
    EVEN,
    FIRST_DAY,
    HOUR,
    MINUTE,
    day_of,
    hour_weights,
    hours_in,
    midnight,
    minute_weights,
    to_utc,
)
from trademind.gateway.feeds.path import TickBar, aggregate, split

_HALF_LIFE_DAYS = 300
"""How long the pull towards the reference price takes to halve a distance."""
_ROUND_LOT = {SecType.STOCK: 100, SecType.CASH: 50_000}
_UNITS = {"secs": 1, "min": MINUTE, "mins": MINUTE, "hour": HOUR, "hours": HOUR}
_MASK = 2**64 - 1

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Recent(Generic[K, V]):
    """The last few values of a function; the oldest goes when it is full."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: dict[K, V] = {}

    def get(self, key: K, make: Callable[[], V]) -> V:
        value = self._values.pop(key, None)
        if value is None:
            value = make()
            if len(self._values) >= self._size:
                del self._values[next(iter(self._values))]
        self._values[key] = value
        return value


def _mix(number: int) -> int:
    """Scatter the bits of a number (the finaliser of SplitMix64): a cheap, well-distributed hash."""
    number = (number + 0x9E3779B97F4A7C15) & _MASK
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MASK
    return number ^ (number >> 31)


class _Series:
    """One instrument's path."""

    def __init__(self, seed: int, instrument: Instrument) -> None:
        self.instrument = instrument
        self.tick = instrument.min_tick
        self._name = f"{seed}:{instrument.con_id}"
        self._salt = Random(self._name).getrandbits(64)
        self._around_the_clock = instrument.sec_type is SecType.CASH
        # Volatility is quoted per year, and this market trades every day of it.
        self._daily_volatility = instrument.annual_volatility / sqrt(365)
        self._walk = Random(f"{self._name}:daily")
        self._distance = 0.0
        self._closes = array("q", [round(instrument.reference_price / float(self.tick))])
        """In ticks, from the day before the first one on."""
        self._days: _Recent[date, TickBar] = _Recent(512)
        self._hours: _Recent[date, list[TickBar]] = _Recent(64)
        self._minutes: _Recent[int, list[TickBar]] = _Recent(128)
        self._seconds: _Recent[int, list[TickBar]] = _Recent(64)
        self._so_far: tuple[int, TickBar | None] = (-1, None)
        self._decimals: dict[int, Decimal] = {}

    def price(self, ticks: int) -> Decimal:
        found = self._decimals.get(ticks)
        if found is None:
            if len(self._decimals) > 20_000:
                self._decimals.clear()
            found = self._decimals[ticks] = ticks * self.tick
        return found

    def noise(self, second: int) -> int:
        """64 bits that belong to a second."""
        return _mix(self._salt ^ second)

    # The path, level by level

    def day(self, day: date) -> TickBar:
        return self._days.get(day, lambda: self._make_day(day))

    def hours(self, day: date) -> list[TickBar]:
        def make() -> list[TickBar]:
            weights = hour_weights(day, around_the_clock=self._around_the_clock)
            return split(self.day(day), weights, Random(f"{self._name}:{day}:hours"))

        return self._hours.get(day, make)

    def minutes(self, hour: int) -> list[TickBar]:
        def make() -> list[TickBar]:
            day = day_of(hour)
            bar = self.hours(day)[(hour - midnight(day)) // HOUR]
            weights = minute_weights(hour, around_the_clock=self._around_the_clock)
            return split(bar, weights, Random(f"{self._name}:{hour}:minutes"))

        return self._minutes.get(hour, make)

    def seconds(self, minute: int) -> list[TickBar]:
        def make() -> list[TickBar]:
            hour = minute - minute % HOUR
            bar = self.minutes(hour)[(minute - hour) // MINUTE]
            return split(bar, EVEN, Random(f"{self._name}:{minute}:seconds"))

        return self._seconds.get(minute, make)

    def _make_day(self, day: date) -> TickBar:
        index = (day - FIRST_DAY).days + 1
        while len(self._closes) <= index:
            self._extend()
        begin, end = self._closes[index - 1], self._closes[index]
        rng = Random(f"{self._name}:{day}")
        reach = self._daily_volatility * max(begin, end) / 2
        volume = round(self.instrument.daily_volume * exp(rng.gauss(0.0, 0.3)))
        return TickBar(
            open=begin,
            high=max(begin, end) + round(abs(rng.gauss(0.0, reach))),
            low=max(1, min(begin, end) - round(abs(rng.gauss(0.0, reach)))),
            close=end,
            volume=volume,
            trades=1 + volume // _ROUND_LOT[self.instrument.sec_type],
        )

    def _extend(self) -> None:
        """Walk on by a year: a mean-reverting walk of the logarithm of the price."""
        keep = exp(-log(2) / _HALF_LIFE_DAYS)
        reference = self.instrument.reference_price / float(self.tick)
        random, distance = self._walk.random, self._distance
        # The sum of three uniform numbers, scaled to unit variance: near enough to normal, and cheap.
        scale = 2 * self._daily_volatility
        for _ in range(366):
            distance = distance * keep + scale * (random() + random() + random() - 1.5)
            self._closes.append(max(1, round(reference * exp(distance))))
        self._distance = distance

    # Stretches of it

    def elapsed(self, now: int) -> TickBar | None:
        """The bar of the day that `now` belongs to, as far as it is complete; None in its first second."""
        minute = now - now % MINUTE
        if self._so_far[0] != minute:
            first = midnight(day_of(now))
            bars = list(self.between(first, minute)) if minute > first else []
            self._so_far = (minute, aggregate(bars) if bars else None)
        before = self._so_far[1]
        seconds = self.seconds(minute)[: now - minute] if now > minute else []
        parts = [before, *seconds] if before is not None else seconds
        return aggregate(parts) if parts else None

    def between(self, start: int, end: int) -> Iterator[TickBar]:
        """The largest bars that cover the seconds from `start`, a whole minute, up to `end` within a day."""
        while start < end:
            if not start % HOUR and start + HOUR <= end:
                day = day_of(start)
                yield self.hours(day)[(start - midnight(day)) // HOUR]
                start += HOUR
            elif start + MINUTE <= end:
                hour = start - start % HOUR
                yield self.minutes(hour)[(start - hour) // MINUTE]
                start += MINUTE
            else:
                yield from self.seconds(start)[: end - start]
                return


class SyntheticFeed:
    """The synthetic market of a seed. Implements `Feed`."""

    interval: float = 1.0

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._series: dict[int, _Series] = {}

    def head(self, instrument: Instrument) -> datetime:
        """Midnight in New York of 3 January 2000, for every instrument."""
        return to_utc(midnight(FIRST_DAY))

    def quote(self, instrument: Instrument, at: datetime) -> MarketQuote:
        """The market at a moment, which is that of the last complete second.

        The last trade lies between bid and ask, both included. A moment before the head of the history is
        taken for the head.
        """
        series = self._of(instrument)
        now = max(int(at.timestamp()), midnight(FIRST_DAY))
        today = series.elapsed(now)
        if today is None:
            opened = series.day(day_of(now)).open
            today = TickBar(opened, opened, opened, opened, 0, 0)
        noise = series.noise(now)
        spread = max(1, instrument.spread_ticks + noise % 3 - 1)
        # The ask stays above a last of one tick, and the bid does not fall to zero.
        bid = max(1, today.close - (noise >> 8) % (spread + 1))
        ask = max(today.close, bid + spread)
        lot = _ROUND_LOT[instrument.sec_type]
        depth = 1 + instrument.daily_volume // (lot * 60_000)
        price = series.price
        return MarketQuote(
            con_id=instrument.con_id,
            time=to_utc(now),
            bid=price(bid),
            ask=price(ask),
            last=price(today.close),
            bid_size=Decimal(lot * (1 + (noise >> 16) % (4 * depth))),
            ask_size=Decimal(lot * (1 + (noise >> 32) % (4 * depth))),
            last_size=Decimal(lot * (1 + (noise >> 48) % depth)),
            volume=Decimal(today.volume),
            open=price(today.open),
            high=price(today.high),
            low=price(today.low),
            close=price(series.day(day_of(now)).open),
        )

    def bars(self, instrument: Instrument, *, start: datetime, end: datetime, bar_size: str) -> list[FeedBar]:
        """See `Feed.bars`. The cost grows with the number of bars; a caller bounds what it asks for."""
        series = self._of(instrument)
        first = max(-int(-start.timestamp() // 1), midnight(FIRST_DAY))
        now = int(end.timestamp())
        number, _, unit = bar_size.partition(" ")
        if unit in _UNITS:
            found = _intraday(series, first, now, int(number) * _UNITS[unit])
        elif unit in ("day", "week", "month"):
            found = _daily(series, first, now, unit)
        else:
            raise ValueError(f"no such bar size: {bar_size!r}")
        price, quarter_tick = series.price, series.tick / 4
        return [
            FeedBar(
                to_utc(second),
                price(bar.open),
                price(bar.high),
                price(bar.low),
                price(bar.close),
                Decimal(bar.volume),
                (bar.high + bar.low + 2 * bar.close) * quarter_tick,
                bar.trades,
            )
            for second, bar in found
        ]

    def _of(self, instrument: Instrument) -> _Series:
        series = self._series.get(instrument.con_id)
        if series is None:
            series = self._series[instrument.con_id] = _Series(self.seed, instrument)
        return series


def _days(first: int, now: int) -> Iterable[date]:
    """The days that have begun by `now`, from the one that `first` falls into."""
    day, last = day_of(first), day_of(now)
    while day <= last:
        yield day
        day += timedelta(days=1)


def _group_start(day: date, unit: str) -> date:
    """The first day of the bar that a day belongs to: weeks begin on Monday, months on the 1st."""
    if unit == "week":
        return day - timedelta(days=day.weekday())
    # History begins on the 3rd of a month, and so does that month's bar.
    return max(day.replace(day=1), FIRST_DAY) if unit == "month" else day


def _daily(series: _Series, first: int, now: int, unit: str) -> Iterator[tuple[int, TickBar]]:
    # A week or month counts only when its own first day is asked for.
    days = (day for day in _days(first, now - 1) if midnight(_group_start(day, unit)) >= first)
    today = day_of(now)
    for group, members in groupby(days, key=lambda day: _group_start(day, unit)):
        bars = [series.elapsed(now) if day == today else series.day(day) for day in members]
        complete = [bar for bar in bars if bar is not None]
        if complete:
            yield midnight(group), aggregate(complete) if len(complete) > 1 else complete[0]


def _intraday(series: _Series, first: int, now: int, size: int) -> Iterator[tuple[int, TickBar]]:
    level = HOUR if size % HOUR == 0 else MINUTE if size % MINUTE == 0 else 1
    for day in _days(first, now - 1):
        opens = midnight(day)
        closes = opens + hours_in(day) * HOUR
        # Bars are counted from the day's midnight, so the last one of a 23-hour day may be short.
        begin = opens + max(0, -(-(first - opens) // size)) * size
        for second in range(begin, min(closes, now), size):
            until = min(second + size, closes, now)
            if size == HOUR and until - second == size:
                yield second, series.hours(day)[(second - opens) // HOUR]
            else:
                yield second, _stretch(series, second, until, size, level)


def _stretch(series: _Series, start: int, end: int, size: int, level: int) -> TickBar:
    """The bar of the seconds from `start` up to `end`; both are within one day, and one minute if need be."""
    if level == 1:
        minute = start - start % MINUTE
        seconds = series.seconds(minute)
        return seconds[start - minute] if size == 1 else aggregate(seconds[start - minute : end - minute])
    if size == MINUTE and end - start == size:
        hour = start - start % HOUR
        return series.minutes(hour)[(start - hour) // MINUTE]
    return aggregate(series.between(start, end))

"""A synthetic market: a pure function of seed, instrument and time.

Each instrument has a path of daily closes, moved by the market, its sector and itself (see `factors`), that
wanders around its reference price. A day is split into hours, those into minutes, those into seconds (see
`path`), each split seeded by what it splits. So history and live quotes are views of one path, any moment
can be asked for in any order, and the same seed gives the same market in every run. Caches hold what was
split lately and decide nothing; they are small, since nothing is expensive to split again.

The path never ends. Where an exchange's hours are kept, what lies outside of them is not seen: no quote
moves, no bar exists, nothing is traded, and the next session opens where the path has gone meanwhile, with a
gap. Time moves in whole seconds: a quote shows the last second that is complete.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from math import exp, sqrt
from random import Random
from typing import Final

from trademind.domain import SecType
from trademind.gateway.engine.corporate_actions import CorporateAction, Split
from trademind.gateway.engine.hours import AlwaysOpen, MarketHours
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
    variances,
)
from trademind.gateway.feeds.factors import Drivers, Factors, Recent
from trademind.gateway.feeds.path import TickBar, aggregate, split

_ROUND_LOT: Final[Mapping[SecType, int]] = {SecType.STOCK: 100, SecType.CASH: 50_000}
_UNITS: Final = {"secs": 1, "min": MINUTE, "mins": MINUTE, "hour": HOUR, "hours": HOUR}
_MASK: Final = 2**64 - 1
_DAY: Final = timedelta(days=1)
_LONGEST_CLOSURE: Final = 14
"""Days that no exchange stays closed for."""

Spans = tuple[tuple[int, int], ...]
"""The stretches of one trading day in which there is a market, in seconds, [start, end), oldest first."""


def _mix(number: int) -> int:
    """Scatter the bits of a number (the finaliser of SplitMix64): a cheap, well-distributed hash."""
    number = (number + 0x9E3779B97F4A7C15) & _MASK
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MASK
    return number ^ (number >> 31)


class _Series:
    """One instrument's path."""

    def __init__(
        self, seed: int, instrument: Instrument, drivers: Drivers, hours: MarketHours, splits: Sequence[Split]
    ) -> None:
        self.instrument = instrument
        self.tick = instrument.min_tick
        self.lot = _ROUND_LOT.get(instrument.sec_type, 1)
        self._name = f"{seed}:{instrument.con_id}"
        self._salt = Random(self._name).getrandbits(64)
        self._around_the_clock = instrument.sec_type in (SecType.CASH, SecType.CRYPTO)
        # Volatility is quoted per year, and the path moves on every day of it.
        self._daily_volatility = instrument.annual_volatility / sqrt(365)
        self._drivers = drivers
        self._market_hours = hours
        self._splits = splits
        self._reference = instrument.reference_price / float(self.tick)
        self._days: Recent[date, TickBar] = Recent(32)
        self._hours: Recent[date, list[TickBar]] = Recent(8)
        self._minutes: Recent[int, list[TickBar]] = Recent(4)
        self._seconds: Recent[int, list[TickBar]] = Recent(3)
        self._spans: Recent[date, Spans] = Recent(32)
        self._so_far: tuple[tuple[date, int], TickBar | None] = ((date.min, 0), None)
        self.shown: tuple[int, MarketQuote] | None = None
        """The quote of a second that was asked for last: every order asks for it."""
        self._close_before: tuple[date, int] = (date.min, 0)

    def price(self, ticks: int) -> Decimal:
        return ticks * self.tick

    def noise(self, second: int) -> int:
        """64 bits that belong to a second."""
        return _mix(self._salt ^ second)

    # The path, level by level

    def day(self, day: date) -> TickBar:
        return self._days.get(day, lambda: self._make_day(day))

    def hours(self, day: date) -> list[TickBar]:
        def make() -> list[TickBar]:
            weights = hour_weights(day, around_the_clock=self._around_the_clock)
            rng = Random(f"{self._name}:{day}:hours")
            return split(self.day(day), weights, rng, variances(weights, 60))

        return self._hours.get(day, make)

    def minutes(self, hour: int) -> list[TickBar]:
        def make() -> list[TickBar]:
            day = day_of(hour)
            bar = self.hours(day)[(hour - midnight(day)) // HOUR]
            weights = minute_weights(hour, around_the_clock=self._around_the_clock)
            return split(bar, weights, Random(f"{self._name}:{hour}:minutes"), variances(weights, 1))

        return self._minutes.get(hour, make)

    def seconds(self, minute: int) -> list[TickBar]:
        def make() -> list[TickBar]:
            hour = minute - minute % HOUR
            bar = self.minutes(hour)[(minute - hour) // MINUTE]
            return split(bar, EVEN, Random(f"{self._name}:{minute}:seconds"))

        return self._seconds.get(minute, make)

    def _make_day(self, day: date) -> TickBar:
        number = (day - FIRST_DAY).days
        shares = self._shares_for_one(day)
        # Both in the shares of this day: what a split does happens between two days.
        begin, end = self._close(number - 1, shares), self._close(number, shares)
        rng = Random(f"{self._name}:{day}")
        volatility = self._drivers.volatility(number)
        reach = self._daily_volatility * volatility * max(begin, end) / 2
        # More is traded on the days that move more.
        busy = exp(rng.gauss(0.0, 0.3)) * min(2.0, max(0.5, volatility)) ** 0.5
        volume = round(self.instrument.daily_volume * shares * busy)
        return TickBar(
            open=begin,
            high=max(begin, end) + round(abs(rng.gauss(0.0, reach))),
            low=max(1, min(begin, end) - round(abs(rng.gauss(0.0, reach)))),
            close=end,
            volume=volume,
            trades=1 + volume // self.lot,
        )

    def _close(self, number: int, shares: float) -> int:
        """In ticks, of day `number` of history; the one before the first is -1."""
        level = self._drivers.level(number)
        return max(1, round(self._reference / shares * exp(self._daily_volatility * level)))

    def _shares_for_one(self, day: date) -> float:
        """How many shares of that day one of the first day's has become by splits."""
        shares = 1.0
        for each in self._splits:
            if each.date <= day:
                shares *= float(each.ratio)
        return shares

    # When there is a market

    def spans(self, day: date) -> Spans:
        def make() -> Spans:
            found = self._market_hours.sessions(self.instrument, day, 1, regular_only=False)
            return tuple((int(each.start.timestamp()), int(each.end.timestamp())) for each in found)

        return self._spans.get(day, make)

    def is_whole(self, day: date) -> bool:
        """Whether a trading day is a calendar day from midnight to midnight."""
        return self.spans(day) == ((midnight(day), midnight(day + _DAY)),)

    def opens_by(self, day: date, now: int) -> bool:
        """Whether something has happened on a trading day by `now`."""
        spans = self.spans(day)
        return bool(spans) and spans[0][0] < now

    def trading_day(self, now: int) -> date:
        """The trading day that is going on, or else the last one; the first one before there was any."""
        # Some days begin on the evening before.
        today = day_of(now) + _DAY
        for back in range(_LONGEST_CLOSURE):
            day = today - back * _DAY
            spans = self.spans(day)
            if spans and spans[0][0] <= now:
                return day
        return next(day for day in _days_from(FIRST_DAY) if self.spans(day))

    def last_open(self, day: date, now: int) -> int:
        """The last moment up to `now` at which there was a market on a trading day that has begun."""
        return max((min(now, end) for start, end in self.spans(day) if start <= now), default=now)

    def close_before(self, day: date) -> int:
        """The close of the trading day before, in ticks and in the shares of `day`."""
        if self._close_before[0] != day:
            self._close_before = (day, self._find_close_before(day))
        return self._close_before[1]

    def _find_close_before(self, day: date) -> int:
        if self.is_whole(day):
            return self.day(day).open
        before = next((each for each in _days_back(day - _DAY) if self.spans(each)), None)
        if before is None:
            return self.day(max(day, FIRST_DAY)).open
        regular = self._market_hours.sessions(self.instrument, before, 1, regular_only=True)
        ends = int(regular[-1].end.timestamp()) if regular else self.spans(before)[-1][1]
        shares = self._shares_for_one(day) / self._shares_for_one(before)
        return round(self.second(ends - 1).close / shares)

    def second(self, second: int) -> TickBar:
        """The bar of one second."""
        return self.seconds(second - second % MINUTE)[second % MINUTE]

    # Stretches of it

    def elapsed(self, day: date, now: int) -> TickBar | None:
        """A trading day's bar up to `now`; None when nothing can have happened yet."""
        minute = now - now % MINUTE
        if self._so_far[0] != (day, minute):
            bars = [
                bar
                for start, end in self.spans(day)
                if start < minute
                for bar in self.between(start, min(end, minute))
            ]
            self._so_far = ((day, minute), aggregate(bars) if bars else None)
        before = self._so_far[1]
        is_open = now > minute and any(start <= minute < end for start, end in self.spans(day))
        seconds = self.seconds(minute)[: now - minute] if is_open else []
        parts = [before, *seconds] if before is not None else seconds
        return aggregate(parts) if parts else None

    def whole(self, day: date) -> TickBar:
        """The bar of a trading day, of which there is at least one span."""
        if self.is_whole(day):
            return self.day(day)
        return aggregate(bar for start, end in self.spans(day) for bar in self.between(start, end))

    def between(self, start: int, end: int) -> Iterator[TickBar]:
        """The largest bars that cover the seconds from `start`, a whole minute, up to `end`."""
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
    """The synthetic market of a seed. Implements `Feed`.

    Args:
        seed: Another number, another market.
        hours: When the instruments trade; always, unless given.
        actions: Splits divide the price from their date on. Dividends do not show in it.
    """

    interval: float = 1.0

    def __init__(
        self, seed: int, hours: MarketHours | None = None, actions: Iterable[CorporateAction] = ()
    ) -> None:
        self.seed = seed
        self._hours = hours or AlwaysOpen()
        self._splits = [each for each in actions if isinstance(each, Split)]
        self._factors = Factors(seed)
        self._series: dict[int, _Series] = {}

    def head(self, instrument: Instrument) -> datetime:
        """Midnight in New York of 3 January 2000, for every instrument."""
        return to_utc(midnight(FIRST_DAY))

    def quote(self, instrument: Instrument, at: datetime) -> MarketQuote:
        """The market at a moment, which is that of the last complete second.

        The last trade lies between bid and ask, both included. A moment before the head of the history is
        taken for the head, and one at which the exchange is closed for the last one at which it was open.
        """
        series = self._of(instrument)
        now = max(int(at.timestamp()), midnight(FIRST_DAY))
        day = series.trading_day(now)
        now = series.last_open(day, max(now, series.spans(day)[0][0]))
        if series.shown is None or series.shown[0] != now:
            series.shown = now, self._quote(series, day, now)
        return series.shown[1]

    @staticmethod
    def _quote(series: _Series, day: date, now: int) -> MarketQuote:
        instrument = series.instrument
        today = series.elapsed(day, now)
        if today is None:
            opened = series.second(now).open
            today = TickBar(opened, opened, opened, opened, 0, 0)
        noise = series.noise(now)
        spread = max(1, instrument.spread_ticks + noise % 3 - 1)
        # The ask stays above a last of one tick, and the bid does not fall to zero.
        bid = max(1, today.close - (noise >> 8) % (spread + 1))
        ask = max(today.close, bid + spread)
        lot = series.lot
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
            close=price(series.close_before(day)),
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
            splits = [each for each in self._splits if each.con_id == instrument.con_id]
            drivers = self._factors.of(instrument)
            series = _Series(self.seed, instrument, drivers, self._hours, splits)
            self._series[instrument.con_id] = series
        return series


def _days_from(day: date) -> Iterator[date]:
    while True:
        yield day
        day += _DAY


def _days_back(day: date) -> Iterator[date]:
    """A day and those before it, as far as an exchange can have been closed, and within history."""
    for back in range(_LONGEST_CLOSURE):
        if (each := day - back * _DAY) >= FIRST_DAY:
            yield each


def _days(day: date, last: date) -> Iterator[date]:
    while day <= last:
        yield day
        day += _DAY


def _group_start(day: date, unit: str) -> date:
    """The first day of the bar that a day belongs to: weeks begin on Monday, months on the 1st."""
    if unit == "week":
        return day - timedelta(days=day.weekday())
    # History begins on the 3rd of a month, and so does that month's bar.
    return max(day.replace(day=1), FIRST_DAY) if unit == "month" else day


def _daily(series: _Series, first: int, now: int, unit: str) -> Iterator[tuple[int, TickBar]]:
    # A week or month counts only when its own first day is asked for.
    last = day_of(now - 1)
    # The day of tomorrow's date has begun where days begin in the evening.
    begun = last + _DAY if series.opens_by(last + _DAY, now) else last
    days = (day for day in _days(day_of(first), begun) if midnight(_group_start(day, unit)) >= first)
    for group, members in groupby(days, key=lambda day: _group_start(day, unit)):
        bars = [_so_far(series, day, now) for day in members]
        complete = [bar for bar in bars if bar is not None]
        if complete:
            yield midnight(group), aggregate(complete) if len(complete) > 1 else complete[0]


def _so_far(series: _Series, day: date, now: int) -> TickBar | None:
    """A day's bar up to `now`; None when the exchange has not opened on it."""
    if not series.opens_by(day, now):
        return None
    is_over = series.spans(day)[-1][1] <= now
    return series.whole(day) if is_over else series.elapsed(day, series.last_open(day, now))


def _intraday(series: _Series, first: int, now: int, size: int) -> Iterator[tuple[int, TickBar]]:
    level = HOUR if size % HOUR == 0 else MINUTE if size % MINUTE == 0 else 1
    for day in _days(day_of(first), day_of(now - 1)):
        opens = midnight(day)
        closes = opens + hours_in(day) * HOUR
        # A trading day can begin on the evening before, so the next one's spans count, too.
        spans = series.spans(day)
        if not series.is_whole(day):
            spans = (*spans, *series.spans(day + _DAY))
        # Bars are counted from the day's midnight, so the last one of a 23-hour day may be short.
        begin = opens + max(0, -(-(first - opens) // size)) * size
        for second in range(begin, min(closes, now), size):
            until = min(second + size, closes, now)
            parts = [
                _stretch(series, max(second, start), min(until, end), size, level)
                for start, end in spans
                if start < until and second < end
            ]
            if parts:
                yield second, parts[0] if len(parts) == 1 else aggregate(parts)


def _stretch(series: _Series, start: int, end: int, size: int, level: int) -> TickBar:
    """The bar of the seconds from `start` up to `end`; both are within one day, and one minute if need be."""
    if level == 1:
        minute = start - start % MINUTE
        seconds = series.seconds(minute)
        return seconds[start - minute] if size == 1 else aggregate(seconds[start - minute : end - minute])
    if size == MINUTE and end - start == size:
        hour = start - start % HOUR
        return series.minutes(hour)[(start - hour) // MINUTE]
    if size == HOUR and end - start == size and not start % HOUR:
        day = day_of(start)
        return series.hours(day)[(start - midnight(day)) // HOUR]
    return aggregate(series.between(start, end))

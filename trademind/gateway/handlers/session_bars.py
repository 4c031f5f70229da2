"""Bars by trading sessions: the feed's bars, cut where trading begins and ends.

A bar never reaches across the beginning or the end of a session: with regular hours only, the first hourly
bar of a share's day is that of 09:30 to 10:00, and a day's bar holds what traded in its sessions. A market
that never closes has the feed's own bars.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import groupby
from math import ceil
from typing import Final

from trademind.gateway.engine.hours import NEW_YORK, MarketHours, TradingSession
from trademind.gateway.engine.model import Instrument
from trademind.gateway.feeds.base import Feed, FeedBar
from trademind.gateway.wire.times import EASTERN

DAY_SIZES: Final = ("1 day", "1 week", "1 month")
_SECONDS = {"sec": 1, "min": 60, "hou": 3600}
_DAY = timedelta(days=1)
_MINUTE, _HOUR, _DAYS = timedelta(minutes=1), timedelta(hours=1), timedelta(hours=26)
_LEAST_PART = {"1 week": timedelta(days=8), "1 month": timedelta(days=32)}
"""What has to be made at once, so that it ends where a bar begins, on days of 25 hours, too."""


def seconds_in(bar_size: str) -> int:
    """The length of a bar; for weeks and months, of a day, of which they are made."""
    number, _, unit = bar_size.partition(" ")
    return 86_400 if bar_size in DAY_SIZES else int(number) * _SECONDS[unit[:3]]


def first_day(at: datetime, bar_size: str) -> date:
    """The first day of the bar that a moment falls into."""
    return group_start(at.astimezone(EASTERN).date(), bar_size)


def group_start(day: date, bar_size: str) -> date:
    if bar_size == "1 week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if bar_size == "1 month" else day


def midnight(day: date) -> datetime:
    """The first moment of a day in New York."""
    return datetime.combine(day, time.min, NEW_YORK).astimezone(EASTERN)


def bar_start(at: datetime, bar_size: str) -> datetime:
    """The beginning of the bar that a moment falls into, counted from midnight in New York."""
    opens = midnight(first_day(at, bar_size))
    if bar_size in DAY_SIZES:
        return opens
    size = seconds_in(bar_size)
    return _after(opens, int((at - opens).total_seconds()) // size * size)


def _after(moment: datetime, seconds: int) -> datetime:
    """Seconds that really pass, whatever the clocks of New York do."""
    return datetime.fromtimestamp(moment.timestamp() + seconds, NEW_YORK)


@dataclass(frozen=True, slots=True)
class SessionBars:
    """One instrument's bars, of regular hours only or of all.

    `never_closes` says that there are no sessions to heed.
    """

    feed: Feed
    hours: MarketHours
    instrument: Instrument
    use_rth: bool
    never_closes: bool

    def between(self, start: datetime, end: datetime, bar_size: str) -> list[FeedBar]:
        """The bars that begin in [start, end), oldest first; the last may be forming."""
        if self.never_closes:
            return self.feed.bars(self.instrument, start=start, end=end, bar_size=bar_size)
        if bar_size in DAY_SIZES:
            return list(self._daily(start, end, bar_size))
        return [
            bar
            for session in self.sessions(start, end)
            for bar in self._within(session, start, end, bar_size)
        ]

    def sessions(self, start: datetime, end: datetime) -> list[TradingSession]:
        """The sessions that have begun before `end` and had not ended by `start`."""
        # A trading day may begin on the evening before, and end on the morning after.
        first = start.astimezone(NEW_YORK).date() - _DAY
        days = (end.astimezone(NEW_YORK).date() - first).days + 3
        return [
            each
            for each in self.hours.sessions(self.instrument, first, days, regular_only=self.use_rth)
            if each.end > start and each.start < end
        ]

    def _within(
        self, session: TradingSession, start: datetime, end: datetime, bar_size: str
    ) -> Iterator[FeedBar]:
        until = min(session.end, end)
        begin = session.start
        aligned = bar_start(begin, bar_size)
        if aligned < begin:
            aligned = _after(aligned, seconds_in(bar_size))
            # The session's first bar is a part of one.
            if start <= begin:
                yield from self._aggregate(begin, min(aligned, until), begin)
            begin = aligned
        if begin < until:
            begin = max(begin, start)
            yield from self.feed.bars(self.instrument, start=begin, end=until, bar_size=bar_size)

    def _daily(self, start: datetime, end: datetime, bar_size: str) -> Iterator[FeedBar]:
        sessions = [each for each in self.sessions(start, end) if midnight(each.day) >= start]
        for day, group in groupby(sessions, key=lambda each: group_start(each.day, bar_size)):
            yield from self._joined(group, end, midnight(day))

    def _joined(
        self, sessions: Iterable[TradingSession], end: datetime, begin: datetime
    ) -> Iterator[FeedBar]:
        parts = [bar for each in sessions for bar in self._pieces(each.start, min(each.end, end))]
        if parts:
            yield aggregate(parts, begin)

    def _aggregate(self, start: datetime, end: datetime, begin: datetime) -> Iterator[FeedBar]:
        parts = list(self._pieces(start, end))
        if parts:
            yield aggregate(parts, begin)

    def _pieces(self, start: datetime, end: datetime) -> Iterator[FeedBar]:
        """Bars that make up [start, end): hours as far as possible, and what is before the first of them."""
        whole = _after(start, -int(start.timestamp()) % 3600)
        if whole > start:
            second = int(start.timestamp())
            size = "30 mins" if second % 1800 == 0 else "1 min" if second % 60 == 0 else "1 secs"
            yield from self.feed.bars(self.instrument, start=start, end=min(whole, end), bar_size=size)
        if whole < end:
            yield from self.feed.bars(self.instrument, start=whole, end=end, bar_size="1 hour")

    def parts(
        self, start: datetime, end: datetime, bar_size: str, count: int
    ) -> Iterator[tuple[datetime, datetime]]:
        """A stretch in parts of about `count` bars, cut where a bar begins in any case."""
        seconds = seconds_in(bar_size)
        if bar_size in DAY_SIZES and not self.never_closes:
            # A day is made of the parts of its sessions.
            count = ceil(count / 12)
        least = _LEAST_PART.get(bar_size) or (
            _MINUTE if seconds < 60 else _HOUR if seconds <= 3600 else _DAYS
        )
        while start < end:
            cut = start + max(least, timedelta(seconds=count * seconds))
            if seconds < 60:
                cut = cut.replace(second=0, microsecond=0)
            elif seconds <= 3600:
                cut = cut.replace(minute=0, second=0, microsecond=0)
            else:
                # Longer bars are counted from midnight; weeks and months from their own first day.
                first = midnight(first_day(cut, bar_size))
                cut = first if first > start else end
            cut = min(cut, end)
            yield start, cut
            start = cut


def aggregate(bars: list[FeedBar], start: datetime) -> FeedBar:
    """The one bar that consecutive bars make."""
    volume = sum((bar.volume for bar in bars), Decimal(0))
    wap = sum((bar.wap * bar.volume for bar in bars), Decimal(0)) / volume if volume else bars[-1].close
    return replace(
        bars[0],
        start=start,
        high=max(bar.high for bar in bars),
        low=min(bar.low for bar in bars),
        close=bars[-1].close,
        volume=volume,
        wap=round(wap, 6),
        count=sum(bar.count for bar in bars),
    )

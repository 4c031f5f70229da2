"""Spans of time as IB takes them: a duration back from an end, of which each bar size has a longest."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from trademind.errors import Invalid

MAX_REQUESTS: Final = 60
"""Of one span. More would take minutes, and for small bars ten of them by IB's limits."""

_DAY: Final = 86_400
_LEAST: Final = 30
"""The shortest duration IB takes, in seconds."""
_BAR_UNIT: Final = {"sec": 1, "min": 60, "hour": 3600, "day": _DAY, "week": 7 * _DAY, "month": 28 * _DAY}
_LONGEST: Final = {
    "1 secs": 1800, "5 secs": 3600, "10 secs": 14_400, "15 secs": 14_400, "30 secs": 28_800,
    "1 min": _DAY, "2 mins": _DAY,
    **dict.fromkeys(("3 mins", "5 mins", "10 mins", "15 mins", "20 mins"), 7 * _DAY),
    **dict.fromkeys(("30 mins", "1 hour", "2 hours", "3 hours", "4 hours", "8 hours"), 28 * _DAY),
    "1 day": 365 * _DAY, "1 week": 5 * 365 * _DAY, "1 month": 20 * 365 * _DAY,
}  # fmt: skip
"""Seconds that one request covers, by bar size: IB's "Historical Bar Data", step sizes of durations."""


def bar_seconds(bar_size: str) -> int:
    """The length of a bar of one of IB's sizes; of a month, the shortest."""
    count, unit = bar_size.split()
    return int(count) * _BAR_UNIT[unit.removesuffix("s")]


def longest_request(bar_size: str) -> timedelta:
    """How long a span of bars of this size one request covers, by IB's table."""
    return timedelta(seconds=_LONGEST[bar_size])


def covering_duration(span: timedelta, bar_size: str) -> str:
    """The shortest of IB's durations that covers `span`: seconds up to a day, days up to a year, years.

    Bars of a day and more are never asked for in seconds, which IB refuses.
    """
    seconds = ceil(span.total_seconds())
    if seconds <= _DAY and bar_seconds(bar_size) < _DAY:
        return f"{max(seconds, bar_seconds(bar_size), _LEAST)} S"
    days = ceil(seconds / _DAY)
    return f"{days} D" if days <= 365 else f"{ceil(days / 365)} Y"


@dataclass(frozen=True, slots=True)
class Piece:
    """One request's worth of a span."""

    duration: str
    end: datetime


def pieces(bar_size: str, start: datetime, end: datetime) -> tuple[Piece, ...]:
    """The requests that cover a span together, oldest first.

    A bar that an end falls into may be told as far as it has come. So each piece goes back two bars beyond
    the end of the one before: of a bar that is in both, the later piece has the whole.

    Raises:
        Invalid: the span is empty, or needs more than `MAX_REQUESTS`.
    """
    if start >= end:
        raise Invalid([("start", "must be before the end, and not in the future")])
    seam = timedelta(seconds=2 * bar_seconds(bar_size))
    step = timedelta(seconds=_LONGEST[bar_size]) - seam
    if (end - start) / step > MAX_REQUESTS:
        raise Invalid([("start", f"takes more than {MAX_REQUESTS} requests; take less, or a larger bar")])
    found: list[Piece] = []
    while end > start:
        begin = max(start, end - step)
        found.append(Piece(covering_duration(end - begin + seam, bar_size), end))
        end = begin
    return tuple(reversed(found))

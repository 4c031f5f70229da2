"""Which requests make up a series. Pure.

Time is cut into windows on a grid that is the same for ever, and a window is one request. So the same bars
come of the same requests, whether a span was asked for at once, in pieces, or was interrupted.

IB takes an end and a duration back from it, and counts days and longer in trading days or by the calendar of
the exchange. So only seconds are taken at their word. Longer windows are a little shorter than the duration
they are asked with, and asked a little beyond their end, where a bar may reach over it; what begins outside
of the window is dropped. Durations are those that IB's documentation has for a size ("Historical Bar Data",
step sizes of durations).

A bar is final when its period is over and some seconds have passed, in which late trades are still counted
and clocks may differ. Bars of days and longer have a date and no hour; a date is over everywhere twelve hours
after it is over in Greenwich, whatever the exchange's zone and hours are.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from trademind.domain import SecType
from trademind.domain.durations import bar_seconds
from trademind.domain.market import is_up_to_now

SETTLE: Final = 30
"""Seconds after its end in which a bar may still change, our clock be ahead of IB's, or an answer come from
the broker's memory."""
_OVER_EVERYWHERE: Final = 12 * 3600
"""Seconds after midnight in Greenwich until it is the next day in the last time zone."""

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_SHORTEST: Final = 30
"""The shortest duration IB takes, in seconds."""
_MONDAY: Final = 4 * _DAY
"""The first Monday of 1970."""


@dataclass(frozen=True, slots=True)
class _Cut:
    width: int
    """Seconds of a window; a calendar year where it is 0."""
    duration: str
    """What IB is asked for; at least the window and what is asked beyond its end."""
    origin: int = 0
    """Where the grid begins."""


_CUTS: Final = {
    "1 secs": _Cut(_HOUR // 2, "1800 S"),
    "5 secs": _Cut(_HOUR, "3600 S"),
    **dict.fromkeys(("10 secs", "15 secs"), _Cut(4 * _HOUR, "14400 S")),
    "30 secs": _Cut(8 * _HOUR, "28800 S"),
    **dict.fromkeys(("1 min", "2 mins"), _Cut(_DAY, "86400 S")),
    **dict.fromkeys(("3 mins", "5 mins", "10 mins", "15 mins", "20 mins"), _Cut(6 * _DAY, "1 W")),
    # A month has 28 days at least.
    **dict.fromkeys(
        ("30 mins", "1 hour", "2 hours", "3 hours", "4 hours", "8 hours"), _Cut(27 * _DAY, "1 M")
    ),
    "1 day": _Cut(360 * _DAY, "1 Y"),
    "1 week": _Cut(51 * 7 * _DAY, "1 Y", origin=_MONDAY),
    "1 month": _Cut(0, "2 Y"),
}
"""By bar size. Every window begins where a bar of its size may begin, in any time zone of whole hours."""


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """One request's worth of a series: the bars that begin from `start` to before `end`."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Asked:
    """How IB is asked: for `duration` back from `end`."""

    duration: str
    end: int


def not_kept(sec_type: SecType, what_to_show: str) -> tuple[str, str] | None:
    """Which field asks for a series that cannot be put together of windows, and why; None where it can."""
    if not is_up_to_now(sec_type, what_to_show):
        return None
    if sec_type is SecType.CONTINUOUS_FUTURE:
        return "sec_type", "CONTFUT is another series when the next contract is in front, and is not kept"
    return "what_to_show", f"{what_to_show} is another series after every dividend, and is not kept"


def is_dated(bar_size: str) -> bool:
    """Whether bars of this size have a date and no hour."""
    return bar_seconds(bar_size) >= _DAY


def window_at(bar_size: str, second: int) -> Window:
    """The window that a second falls into."""
    cut = _CUTS[bar_size]
    if not cut.width:
        year = _date(second).year
        return Window(_second(date(year, 1, 1)), _second(date(year + 1, 1, 1)))
    start = (second - cut.origin) // cut.width * cut.width + cut.origin
    return Window(start, start + cut.width)


def windows(bar_size: str, since: int, until: int) -> Iterator[Window]:
    """The windows that have a part in [since, until), oldest first."""
    while since < until:
        window = window_at(bar_size, since)
        yield window
        since = window.end


def count_windows(bar_size: str, since: int, until: int) -> int:
    """About how many windows a span has."""
    return (until - since) // (_CUTS[bar_size].width or 365 * _DAY) + 1


def asked_for(bar_size: str, window: Window, *, since: int, now: int) -> Asked:
    """How to ask for the bars of a window that begin at `since` or later.

    All of a window that is past is asked for, always in the same way; of the one that is not, not more than
    is needed, as it is asked for again and again.
    """
    cut, length = _CUTS[bar_size], bar_seconds(bar_size)
    beyond = 0 if cut.duration.endswith("S") else _DAY if is_dated(bar_size) else length
    end = min(window.end + beyond, now)
    if window.end <= now:
        return Asked(cut.duration, end)
    if bar_size == "1 day":
        # As many trading days are at least as long as days of the calendar.
        return Asked(f"{min((end - since) // _DAY + 2, 365)} D", end)
    seconds = max(end - since + beyond, _SHORTEST)
    is_short = not is_dated(bar_size) and seconds <= _DAY
    return Asked(f"{seconds} S" if is_short else cut.duration, end)


def asked_for_one(bar_size: str, second: int, *, now: int) -> Asked:
    """How to ask for the final bar that begins at a second, and hardly more."""
    length = bar_seconds(bar_size)
    if not is_dated(bar_size):
        return Asked(f"{max(2 * length, _SHORTEST)} S", second + length)
    duration = {"1 day": "1 W", "1 week": "1 M", "1 month": "1 Y"}[bar_size]
    return Asked(duration, min(second + 2 * length, now))


def final_before(bar_size: str, now: int) -> int:
    """Bars that begin before this second are final at `now`."""
    if not is_dated(bar_size):
        return now - SETTLE - bar_seconds(bar_size) + 1
    day = (now - _OVER_EVERYWHERE - SETTLE) // _DAY * _DAY
    if bar_size == "1 week":
        return (day - _MONDAY) // (7 * _DAY) * 7 * _DAY + _MONDAY
    return _second(_date(day).replace(day=1)) if bar_size == "1 month" else day


def _date(second: int) -> date:
    return datetime.fromtimestamp(second, UTC).date()


def _second(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())

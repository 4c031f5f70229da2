"""The New York calendar of the synthetic market: days of 23, 24 or 25 hours, and when they are busy.

The path of prices never ends, so that the paper gateway can be used at any hour. What is like a real
exchange's day is how busy it is: most of the volume, and three quarters of the price's variance, fall between
09:30 and 16:00, and most of that at the beginning and the end (the U shape of Wood, McInish and Ord, "An
Investigation of Transactions Data for NYSE Stocks", 1985). Seen from one regular session to the next, what
happens in between is the gap at the open.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
FIRST_DAY = date(2000, 1, 3)
"""The first day of history."""

MINUTE, HOUR = 60, 3600
_OPEN, _CLOSE = 9 * 60 + 30, 16 * 60
_QUIET = 0.02
"""Activity outside the busy hours, against 1 in the middle of them."""
_UNSEEN = 0.18
"""Variance of the price that comes without trading, in the same measure: with it, a quarter of a day's
variance falls outside the busy hours. That prices move far less while exchanges are closed is shown by French
and Roll, "Stock Return Variances", 1986."""


@lru_cache(maxsize=4096)
def midnight(day: date) -> int:
    """The first second of a New York day, as seconds since the epoch."""
    return int(datetime.combine(day, time.min, NEW_YORK).timestamp())


def day_of(second: int) -> date:
    """The New York day that a second belongs to."""
    return datetime.fromtimestamp(second, NEW_YORK).date()


def to_utc(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)


def hours_in(day: date) -> int:
    return (midnight(day + timedelta(days=1)) - midnight(day)) // HOUR


def _activity(minute: int) -> float:
    if not _OPEN <= minute < _CLOSE:
        return _QUIET
    distance = 2 * (minute - _OPEN) / (_CLOSE - _OPEN) - 1
    return 1 + 2 * distance * distance


_BY_MINUTE = [_activity(minute) for minute in range(24 * 60)]
_BY_HOUR = [sum(_BY_MINUTE[hour * 60 : hour * 60 + 60]) for hour in range(24)]
EVEN = (1.0,) * 60


def variances(weights: Sequence[float], minutes: int) -> list[float]:
    """Shares of the price's variance of parts of `minutes` each, of that much activity."""
    return [weight + minutes * _UNSEEN for weight in weights]


def hour_weights(day: date, *, around_the_clock: bool) -> list[float]:
    """Activity of each hour of a day, in the order in which they pass."""
    hours = hours_in(day)
    if around_the_clock:
        return [1.0] * hours
    if hours == 24:
        return _BY_HOUR
    first = midnight(day)
    return [_BY_HOUR[_local_hour(first + index * HOUR)] for index in range(hours)]


def minute_weights(hour: int, *, around_the_clock: bool) -> list[float] | tuple[float, ...]:
    """Activity of each minute of the hour that begins at second `hour`."""
    if around_the_clock:
        return EVEN
    first = _local_hour(hour) * 60
    return _BY_MINUTE[first : first + 60]


def _local_hour(second: int) -> int:
    return datetime.fromtimestamp(second, NEW_YORK).hour

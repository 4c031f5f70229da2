"""How long bars are, and until when what was said at the close of one is worth anything."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final

from trademind.domain.market import BAR_SIZES
from trademind.errors import Invalid

_UNITS: Final = {
    "sec": timedelta(seconds=1),
    "min": timedelta(minutes=1),
    "hou": timedelta(hours=1),
    "day": timedelta(days=1),
    "wee": timedelta(weeks=1),
    "mon": timedelta(days=31),
}
"""A month by its longest."""
_DAY: Final = 86_400
_EPOCH_WEEKDAY: Final = 3
"""1970 began on a Thursday; Monday is 0."""


@cache
def length_of(bar_size: str) -> timedelta:
    """How long a bar of this size lasts.

    Raises:
        Invalid: IB has no such size.
    """
    if bar_size not in BAR_SIZES:
        raise Invalid([("bar_size", f"must be one of {', '.join(BAR_SIZES)}")])
    count, _, unit = bar_size.partition(" ")
    return int(count) * _UNITS[unit[:3]]


def expiry(begins: int, bar_size: str, bars: int) -> datetime:
    """`bars` bars after the one that begins at `begins` (seconds since 1970, UTC) has closed.

    Days are counted from Monday to Friday, without any exchange's holidays: what Friday's bar says for one
    day is good for the whole of Monday.
    """
    if bar_size != "1 day":
        return datetime.fromtimestamp(begins, UTC) + (bars + 1) * length_of(bar_size)
    day = begins // _DAY
    weekday = (day + _EPOCH_WEEKDAY) % 7
    if weekday > 4:  # of a market that is open at the weekend: as Friday
        day, weekday = day - (weekday - 4), 4
    weeks, days = divmod(bars, 5)
    ahead = 7 * weeks + days + (2 if weekday + days > 4 else 0)
    return datetime.fromtimestamp((day + ahead + 1) * _DAY, UTC)

"""Which bars are closed, when another one may be, and how far back so many bars reach. Pure.

The archive calls a bar final when nobody anywhere can be trading on its date any more. A signal of a day is
wanted sooner: where the exchange's hours are known, the day is closed when there is no more trading on it.
"""

from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Final

from trademind.domain import Contract, SecType
from trademind.domain.durations import bar_seconds
from trademind.domain.market import BAR_SIZES
from trademind.errors import Invalid
from trademind.market.bars.calendars import Hours
from trademind.market.bars.windows import SETTLE, final_before, is_dated

_MINUTE, _DAY = 60, 86_400
_HALF_HOUR: Final = 1800
"""Sessions begin at whole or half hours, and so do bars that are longer."""
_LOOK: Final = 900
"""Seconds between two looks whether days are closed: exchanges close at all hours."""
_SESSION: Final = 23_400
"""Seconds of a regular trading day of shares in New York, the shortest but for Asia's."""
_HOLIDAYS: Final = 1.06
"""Days of the calendar that are weekdays without trading, and some to spare."""


def check_bar_size(bar_size: str) -> None:
    """Raises `Invalid` where no signals are made of such bars: IB tells hardly sixty times in ten minutes of
    bars of seconds, which is too late for any signal of them."""
    if bar_size not in BAR_SIZES or bar_seconds(bar_size) < _MINUTE:
        sizes = [size for size in BAR_SIZES if bar_seconds(size) >= _MINUTE]
        raise Invalid([("bar_size", f"must be one of {', '.join(sizes)}")])


def what_to_show(sec_type: SecType) -> str:
    """What bars are made of: currencies have no trades that IB tells."""
    return "MIDPOINT" if sec_type is SecType.CASH else "TRADES"


def closed_before(bar_size: str, hours: Hours | None, now: datetime) -> int:
    """Bars that begin before this second are closed. The same until another one may be."""
    second = int(now.timestamp())
    final = final_before(bar_size, second)
    if not is_dated(bar_size):
        step = _step(bar_size)
        return -(-final // step) * step
    if bar_size == "1 day" and hours is not None:
        settled = second - SETTLE
        # Regular hours of a date begin on it or, in the east, on the evening before in Greenwich.
        while final <= settled and (
            final + _DAY <= settled or not hours.may_trade(max(final, settled), final + _DAY)
        ):
            final += _DAY
    return final


def next_look(bar_size: str, now: datetime) -> datetime:
    """The next moment at which another bar may be closed."""
    step = _LOOK if is_dated(bar_size) else _step(bar_size)
    begun = (int(now.timestamp()) - SETTLE) // step * step
    return datetime.fromtimestamp(begun + step + SETTLE, UTC)


def look_back(bar_size: str, count: int, contract: Contract) -> timedelta:
    """How far back `count` bars reach, and rather a little further."""
    if bar_size in ("1 week", "1 month"):
        return count * timedelta(days=7 if bar_size == "1 week" else 31) + timedelta(days=31)
    session = _SESSION if contract.sec_type is SecType.STOCK else _DAY
    days = count if bar_size == "1 day" else ceil(count / ceil(session / bar_seconds(bar_size)))
    return timedelta(days=ceil(days * 7 / 5 * _HOLIDAYS) + 7)


def _step(bar_size: str) -> int:
    return min(bar_seconds(bar_size), _HALF_HOUR)

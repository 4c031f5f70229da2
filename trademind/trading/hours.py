"""Trading hours, as IB states them in a contract's details.

They are spans of time in the contract's own zone, some days ahead, as in
`20260415:0930-20260415:1600,20260415:1700-20260416:0200;20260416:CLOSED`. Source: IB's TWS API documentation
of `ContractDetails.tradingHours` and `liquidHours`.
"""

import re
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from trademind.domain import ContractDetails, TradingHours

_SPAN: Final = re.compile(r"(\d{8}):(\d{4})-(\d{8}):(\d{4})", re.ASCII)
_CLOSED: Final = re.compile(r"(\d{8}):CLOSED", re.ASCII)
_REST_OF_DAY: Final = timedelta(days=1)


def trades(details: ContractDetails, wanted: TradingHours, moment: datetime) -> bool | None:
    """Whether these hours of a contract last at `moment`; None where IB does not tell."""
    hours = details.liquid_hours if wanted is TradingHours.REGULAR else details.trading_hours
    return is_open(hours, details.time_zone, moment)


def is_open(hours: str, time_zone: str, moment: datetime) -> bool | None:
    """Whether `moment` lies within one of the spans; None where they do not tell.

    They tell of the days that they name. What is not written as above, or in a time zone that nobody knows,
    tells nothing.
    """
    try:
        zone = ZoneInfo(time_zone.partition(" ")[0])  # also "EST (Eastern Standard Time)"
    except (KeyError, ValueError, OSError):
        return None
    day = f"{moment.astimezone(zone):%Y%m%d}"
    is_told = False
    for text in hours.replace(",", ";").split(";"):
        if closed := _CLOSED.fullmatch(text.strip()):
            is_told = is_told or closed[1] == day
        elif span := _SPAN.fullmatch(text.strip()):
            try:
                start, end = _moment(span[1], span[2], zone), _moment(span[3], span[4], zone)
            except ValueError:
                return None
            if start <= moment < end:
                return True
            is_told = is_told or day in (span[1], span[3])
        elif text.strip():
            return None
    return False if is_told else None


def _moment(day: str, time: str, zone: ZoneInfo) -> datetime:
    # A day may end at 2400.
    if time == "2400":
        return datetime.strptime(day, "%Y%m%d").replace(tzinfo=zone) + _REST_OF_DAY
    return datetime.strptime(day + time, "%Y%m%d%H%M").replace(tzinfo=zone)

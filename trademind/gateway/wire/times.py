"""Times as IB writes them.

    20261122 15:00:00 US/Eastern    a moment with its zone (from version 174 on)
    20261122  15:00:00              the same in the zone of the gateway's log-in (before)
    20261122-20:00:00               UTC
    20261122                        a day
    1795204800                      seconds since 1970

The paper gateway's log-in zone is US/Eastern, as is that of all its instruments.
"""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from trademind.gateway.wire.versions import INSTRUMENT_TIME_ZONE

EASTERN_NAME: Final = "US/Eastern"
EASTERN: Final = ZoneInfo(EASTERN_NAME)
FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 2199
"""Years of moments that clients can mean. Others are mistakes, and those at the ends of time have no
equivalent in other zones, and no day before or after them."""

_TIME = re.compile(
    r"(?P<day>\d{8})"
    r"(?:(?P<separator> {1,2}|-)(?P<clock>\d{1,2}:\d{2}(?::\d{2})?))?"
    r"(?: (?P<zone>[A-Za-z][A-Za-z0-9_+\-/]{0,39}))?"
)


def format_moment(moment: datetime, version: int) -> str:
    local = moment.astimezone(EASTERN)
    if version < INSTRUMENT_TIME_ZONE:
        return f"{local:%Y%m%d  %H:%M:%S}"
    return f"{local:%Y%m%d %H:%M:%S} {EASTERN_NAME}"


def format_day(moment: datetime) -> str:
    """The day in US/Eastern."""
    return f"{moment.astimezone(EASTERN):%Y%m%d}"


def parse_moment(text: str, *, end_of_day: bool = False) -> datetime:
    """A time in any of the forms above, in UTC; without a zone it is US/Eastern.

    Args:
        end_of_day: What a day alone means: its end, or (by default) its beginning.

    Raises:
        ValueError: it has none of the forms, or is no real date, or names an unknown zone, or is in a year
            before `FIRST_YEAR` or after `LAST_YEAR`.
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"not a time: {text[:40]!r}")
    if not FIRST_YEAR <= int(match["day"][:4]) <= LAST_YEAR:
        raise ValueError(f"the year is not one of {FIRST_YEAR} to {LAST_YEAR}: {text[:40]!r}")
    zone = _zone(match["zone"], utc=match["separator"] == "-")
    clock = match["clock"]
    if clock is None:
        day = datetime.strptime(match["day"], "%Y%m%d").replace(tzinfo=zone)
        return (day + timedelta(days=1) if end_of_day else day).astimezone(UTC)
    if clock.count(":") == 1:
        clock += ":00"
    return datetime.strptime(match["day"] + clock, "%Y%m%d%H:%M:%S").replace(tzinfo=zone).astimezone(UTC)


def has_zone(text: str) -> bool:
    """Whether a time says which zone it is in; a day alone needs none."""
    match = _TIME.fullmatch(text.strip())
    return match is None or match["clock"] is None or match["zone"] is not None or match["separator"] == "-"


def _zone(name: str | None, *, utc: bool) -> tzinfo:
    if name is None:
        return UTC if utc else EASTERN
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"unknown time zone: {name!r}") from error

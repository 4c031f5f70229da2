"""When there is no trading, so that nobody need be asked for bars.

By `exchange_calendars`, where it is installed, and for shares of the exchanges it is known which calendar is
theirs. For all others, and for times that a calendar does not reach, IB is asked: it says that there is
nothing.
"""

import asyncio
import logging
from bisect import bisect_right
from functools import lru_cache
from typing import Any, Final, Protocol

from trademind.domain import Contract, SecType

log = logging.getLogger(__name__)

FIRST_DAY: Final = "2000-01-03"
_EARLY, _LATE = 14 * 3600, 6 * 3600
"""Seconds before the opening and after the close in which there may be trading outside of regular hours: the
night session that belongs to a day of New York begins at 20:00 on the evening before."""

_US = ("NASDAQ", "NYSE", "ARCA", "AMEX", "BATS", "IEX", "ISLAND", "PINK")
_CALENDARS: Final = {
    **dict.fromkeys(_US, "XNYS"),
    **dict.fromkeys(("IBIS", "IBIS2"), "XETR"),
    **dict.fromkeys(("LSE", "LSEETF"), "XLON"),
    "AEB": "XAMS",
    "ASX": "XASX",
    "BM": "XMAD",
    "BVME": "XMIL",
    "EBS": "XSWX",
    "SBF": "XPAR",
    "SEHK": "XHKG",
    "TSE": "XTSE",
    "TSEJ": "XTKS",
}
"""The library's names of IB's exchanges."""


class Hours(Protocol):
    """When one instrument is traded."""

    def may_trade(self, since: int, until: int) -> bool:
        """Whether there may be trading in [since, until); true where it is not known."""
        ...


class Calendars(Protocol):
    async def hours(self, contract: Contract, *, use_rth: bool) -> Hours | None:
        """When `contract` is traded; None where that is not known."""
        ...


class NoCalendars:
    """Nothing is known: a market that is always open, or the library is missing."""

    async def hours(self, contract: Contract, *, use_rth: bool) -> Hours | None:
        return None


class Sessions:
    """The sessions of one exchange, in seconds since 1970, in order."""

    def __init__(self, opens: list[int], closes: list[int]) -> None:
        self._opens = opens
        self._closes = closes

    def may_trade(self, since: int, until: int) -> bool:
        if since < self._opens[0] or until > self._closes[-1]:
            return True
        # The first session that has not ended by then: has it begun before the end?
        place = bisect_right(self._closes, since)
        return place == len(self._closes) or self._opens[place] < until


class ExchangeCalendars:
    """The calendars of the exchanges of shares."""

    async def hours(self, contract: Contract, *, use_rth: bool) -> Hours | None:
        exchange = contract.primary_exchange or contract.exchange
        name = _CALENDARS.get(exchange.partition(".")[0])
        if contract.sec_type is not SecType.STOCK or name is None:
            return None
        # The library brings pandas, and takes a good part of a second the first time.
        return await asyncio.to_thread(_sessions, name, use_rth)


@lru_cache(maxsize=32)
def _sessions(name: str, use_rth: bool) -> Sessions | None:
    try:
        import exchange_calendars
    except ImportError:
        log.info("exchange_calendars is not installed: IB is asked for days without trading, too")
        return None
    calendar: Any = exchange_calendars.get_calendar(name, start=FIRST_DAY)
    schedule = calendar.schedule
    opens, closes = (schedule[each].dt.as_unit("s").astype("int64").tolist() for each in ("open", "close"))
    if not use_rth:
        opens, closes = [each - _EARLY for each in opens], [each + _LATE for each in closes]
    return Sessions(opens, closes)

"""When an instrument trades, and when its trading day ends.

The engine asks, an implementation of `MarketHours` knows. By default every market is always open, so that
the paper gateway can be used at any hour.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Protocol
from zoneinfo import ZoneInfo

from trademind.gateway.engine.model import Instrument

NEW_YORK = ZoneInfo("America/New_York")


class Phase(StrEnum):
    """What is going on at an exchange."""

    CLOSED = "closed"
    PRE_MARKET = "pre-market"
    REGULAR = "regular"
    POST_MARKET = "post-market"

    @property
    def is_extended(self) -> bool:
        """Whether only orders that are allowed outside regular trading hours trade."""
        return self in (Phase.PRE_MARKET, Phase.POST_MARKET)


@dataclass(frozen=True, slots=True)
class TradingSession:
    """One continuous stretch of trading, [start, end)."""

    day: date
    """The trading day that it belongs to, by the exchange's calendar."""
    start: datetime
    end: datetime


class MarketHours(Protocol):
    """When markets are open. All moments are aware; those returned are in UTC."""

    def phase(self, instrument: Instrument, at: datetime) -> Phase: ...

    def next_change(self, instrument: Instrument, at: datetime) -> datetime | None:
        """The first moment after `at` at which the phase changes; None when it never does."""
        ...

    def day_end(self, instrument: Instrument, at: datetime, *, outside_rth: bool) -> datetime:
        """When a DAY order of that moment expires: at the end of the running trading day, or of the next
        one when none is running; of its regular hours, unless `outside_rth`."""
        ...

    def sessions(
        self, instrument: Instrument, first: date, days: int, *, regular_only: bool
    ) -> list[TradingSession]:
        """The sessions of `days` calendar days from `first` on, oldest first; none for a holiday."""
        ...


class AlwaysOpen:
    """Every market is open at every moment; a trading day is a calendar day in New York."""

    def phase(self, instrument: Instrument, at: datetime) -> Phase:
        return Phase.REGULAR

    def next_change(self, instrument: Instrument, at: datetime) -> datetime | None:
        return None

    def day_end(self, instrument: Instrument, at: datetime, *, outside_rth: bool) -> datetime:
        return _midnight(at.astimezone(NEW_YORK).date() + timedelta(days=1))

    def sessions(
        self, instrument: Instrument, first: date, days: int, *, regular_only: bool
    ) -> list[TradingSession]:
        dates = [first + timedelta(days=number) for number in range(days)]
        return [TradingSession(day, _midnight(day), _midnight(day + timedelta(days=1))) for day in dates]


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, NEW_YORK).astimezone(UTC)

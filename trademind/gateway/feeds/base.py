"""What the paper gateway asks of a source of prices."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from trademind.gateway.engine.model import Instrument, MarketQuote


@dataclass(frozen=True, slots=True)
class FeedBar:
    """One bar."""

    start: datetime
    """Its first moment, in UTC; midnight in New York for bars of a day and longer."""
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    """Shares traded."""
    wap: Decimal
    """Average price."""
    count: int
    """Number of trades."""


class Feed(Protocol):
    """Quotes and history of one and the same market."""

    interval: float
    """Seconds between two changes of the market."""

    def quote(self, instrument: Instrument, at: datetime) -> MarketQuote:
        """The market at a moment."""
        ...

    def bars(self, instrument: Instrument, *, start: datetime, end: datetime, bar_size: str) -> list[FeedBar]:
        """The bars that begin in [start, end), oldest first, at the boundaries of the New York calendar.

        The last one may still be forming: it holds what has happened before `end`, and its close is
        `quote(end).last`. A bar in which nothing can have happened yet is left out.

        Args:
            bar_size: one of `trademind.domain.market.BAR_SIZES`.

        Raises:
            ValueError: a bar size that does not exist.
        """
        ...

    def head(self, instrument: Instrument) -> datetime:
        """The first moment of its history."""
        ...

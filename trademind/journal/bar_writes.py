"""What can be written down of bars: those that do not change any more, and the jobs that download them.

None of it is an event. Bars can be asked for again, so unlike the rest of the journal they may be replaced
and dropped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from math import isfinite
from typing import Any, Final

from trademind.domain import Bar, Contract

BarRow = tuple[
    int, float | None, float | None, float | None, float | None, float | None, float | None, int | None
]
"""A bar as it is stored: its time in whole seconds since 1970, open, high, low, close, volume, average price
and count; None for what is unknown."""
Span = tuple[int, int]
"""From when (inclusive) to when (exclusive), in whole seconds since 1970."""

MAX_ROWS: Final = 500
"""Bars of one write: a few milliseconds, for which an order's intent may have to wait."""
_LARGEST: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class BarSeries:
    """What there are bars of."""

    source: str
    """From which market they are: `ib`, or a paper market's name."""
    con_id: int
    exchange: str
    bar_size: str
    what_to_show: str
    use_rth: bool
    symbol: str
    sec_type: str
    currency: str

    @classmethod
    def of(
        cls, contract: Contract, *, source: str, bar_size: str, what_to_show: str, use_rth: bool
    ) -> "BarSeries":
        """The series of a contract."""
        return cls(
            source=source,
            con_id=contract.con_id,
            exchange=contract.exchange,
            bar_size=bar_size,
            what_to_show=what_to_show,
            use_rth=use_rth,
            symbol=contract.symbol,
            sec_type=contract.sec_type.value,
            currency=contract.currency,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BarsStored:
    """Every bar of a series that begins in a span, in place of what is known of it.

    Raises:
        ValueError: the bars are not in order, not in the span, or more than `MAX_ROWS`. The database would
            refuse them as well, and then again and again, and take nothing else.
    """

    series: BarSeries
    rows: tuple[BarRow, ...]
    since: int
    until: int

    def __post_init__(self) -> None:
        times = [self.since, *(row[0] for row in self.rows), self.until]
        if not -_LARGEST <= times[0] < times[-1] <= _LARGEST or len(self.rows) > MAX_ROWS:
            raise ValueError(f"{len(self.rows)} bars from {self.since} to {self.until} cannot be stored")
        in_order = all(one < next_ for one, next_ in pairwise(times[1:]))
        if not (in_order and (not self.rows or times[0] <= times[1])):
            raise ValueError("the bars are not in order, or outside of their span")


@dataclass(frozen=True, slots=True)
class SeriesAnchored:
    """The bar by which it is seen from now on whether a series has been adjusted; None for no bar."""

    series: BarSeries
    anchor: int | None


@dataclass(frozen=True, slots=True)
class SeriesDropped:
    """Nothing is known of a series any more."""

    series: BarSeries


@dataclass(frozen=True, slots=True, kw_only=True)
class BarJobSet:
    """How a job stands."""

    id: str
    body: Mapping[str, Any]
    """JSON-ready."""
    created_at: datetime


@dataclass(frozen=True, slots=True)
class BarJobsForgotten:
    """Jobs that are no longer kept."""

    ids: tuple[str, ...]


BarWrite = BarsStored | SeriesAnchored | SeriesDropped | BarJobSet | BarJobsForgotten


def row_of(bar: Bar) -> BarRow:
    """A bar as it is stored."""
    count = bar.count if bar.count is not None and 0 <= bar.count <= _LARGEST else None
    return (
        int(bar.time.timestamp()),
        _figure(bar.open),
        _figure(bar.high),
        _figure(bar.low),
        _figure(bar.close),
        _figure(bar.volume),
        _figure(bar.wap),
        count,
    )


def _figure(value: float | None) -> float | None:
    return float(value) if value is not None and isfinite(value) else None


def in_parts(series: BarSeries, rows: Sequence[BarRow], since: int, until: int) -> list[BarsStored]:
    """The bars of a span as writes, each of which says all that is known of a part of it."""
    parts = []
    for place in range(0, max(1, len(rows)), MAX_ROWS):
        part = tuple(rows[place : place + MAX_ROWS])
        following = rows[place + MAX_ROWS][0] if place + MAX_ROWS < len(rows) else until
        parts.append(BarsStored(series=series, rows=part, since=since, until=following))
        since = following
    return parts

"""The last bars of instruments as columns, kept in memory until another bar is closed.

A series is read from the archive once, and then grows by its new bars. The first of them is the last one that
is known: where its prices have become others, IB has adjusted the past, and all is read anew.
"""

import asyncio
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import numpy as np

from trademind.aio import KeyedLocks
from trademind.analysis.closes import closed_before, look_back, what_to_show
from trademind.domain import Bar, ContractQuery
from trademind.market.bars.archive import MAX_PAGE, BarArchive, Source
from trademind.signals.bars import BarArrays
from trademind.signals.evaluation import Evaluation

MAX_KEPT: Final = 3000
"""Series: some 100 MB with 500 bars each."""
FRESH_FOR: Final = 3600.0
"""Seconds after which a series is read anew: a symbol may mean another contract by then."""
_SAME: Final = 1e-4
"""The share of a price that is no more than rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """The last closed bars of an instrument."""

    source: Source
    bars: BarArrays
    closed: int
    """Every bar that begins before this second is closed, and among the bars."""
    wanted: int
    """How many bars there would be, if the market has so many."""
    read_at: float
    """When it was read, by the loop's time."""
    evaluations: dict[str, Evaluation] = field(default_factory=dict)
    """What strategies have made of these bars, by plans."""

    @property
    def known_until(self) -> datetime:
        return datetime.fromtimestamp(self.closed, UTC)


class SeriesDesk:
    """Reads series from an archive, each once at a time."""

    def __init__(self, archive: BarArchive) -> None:
        self._archive = archive
        self._kept: dict[tuple[ContractQuery, str], Series] = {}
        self._locks = KeyedLocks()

    async def last(self, query: ContractQuery, bar_size: str, count: int) -> Series:
        """At least the last `count` closed bars, if there are so many.

        Raises:
            ContractNotFound, AmbiguousContract, PacingViolation, Refused, Unavailable, NoAnswer.
            Invalid: a bar has no price.
        """
        key = (query, bar_size)
        if (kept := self._fresh(key, count)) is not None:
            return kept
        async with self._locks.holding(f"{query} {bar_size}"):
            if (kept := self._fresh(key, count)) is not None:  # by somebody else meanwhile
                return kept
            before = self._kept.pop(key, None)
            grown = None
            if before is not None and self._is_enough(before, count):
                grown = await self._grown(before)
            found = grown or await self._read(query, bar_size, count)
            while len(self._kept) >= MAX_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = found
            return found

    def _fresh(self, key: tuple[ContractQuery, str], count: int) -> Series | None:
        """A series that needs nothing: no bar has been closed since it was read."""
        kept = self._kept.get(key)
        if kept is None or not self._is_enough(kept, count):
            return None
        return kept if self._closed(kept.source) == kept.closed else None

    def _is_enough(self, kept: Series, count: int) -> bool:
        return kept.wanted >= count and _now() - kept.read_at < FRESH_FOR

    def _closed(self, source: Source) -> int:
        return closed_before(source.series.bar_size, source.hours, self._archive.now())

    async def _read(self, query: ContractQuery, bar_size: str, count: int) -> Series:
        source = await self._source(query, bar_size, "TRADES")
        if (kind := what_to_show(source.contract.sec_type)) != "TRADES":
            source = await self._source(query, bar_size, kind)
        closed = self._closed(source)
        since = self._archive.now() - look_back(bar_size, count, source.contract)
        bars = _arrays(source, await self._since(source, since, closed))
        return Series(source, bars.last(count), closed, count, _now())

    async def _source(self, query: ContractQuery, bar_size: str, kind: str) -> Source:
        return await self._archive.source(query, bar_size=bar_size, what_to_show=kind, use_rth=True)

    async def _grown(self, series: Series) -> Series | None:
        """A series with what has come since; None where the past has become another."""
        if not len(series.bars):
            return None
        source, known = series.source, series.bars
        closed = self._closed(source)
        bars = await self._since(source, known.moment(len(known) - 1), closed)
        if not bars or int(bars[0].time.timestamp()) != int(known.time[-1]):
            return None
        if not math.isclose(bars[0].close, float(known.close[-1]), rel_tol=_SAME):
            return None
        joined = _joined(known, _arrays(source, bars[1:])).last(series.wanted)
        return Series(source, joined, closed, series.wanted, series.read_at)

    async def _since(self, source: Source, since: datetime, closed: int) -> list[Bar]:
        """The closed bars from a moment on."""
        until, place = datetime.fromtimestamp(closed, UTC), since
        found: list[Bar] = []
        while True:
            page = await self._archive.page(source, place, until, limit=MAX_PAGE)
            found += page.bars
            if page.following is None or page.following <= place:
                break
            place = page.following
        return [bar for bar in found if bar.time.timestamp() < closed]


def _arrays(source: Source, bars: list[Bar]) -> BarArrays:
    contract = source.contract
    return BarArrays.of(bars, symbol=contract.symbol, bar_size=source.series.bar_size, con_id=contract.con_id)


def _joined(one: BarArrays, other: BarArrays) -> BarArrays:
    columns = {
        name: np.concatenate([getattr(one, name), getattr(other, name)])
        for name in ("time", "open", "high", "low", "close", "volume")
    }
    return BarArrays(symbol=one.symbol, bar_size=one.bar_size, con_id=one.con_id, **columns)


def _now() -> float:
    return asyncio.get_running_loop().time()

"""Bars in the journal's tables: how they are written within a group, and read.

They are written by the journal's one writer, in its transactions, so bars and the knowledge that these are
all of their span are on disk together or not at all. They are read as plain rows: there may be millions.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from trademind.journal import tables
from trademind.journal.bar_writes import (
    BarJobSet,
    BarJobsForgotten,
    BarRow,
    BarSeries,
    BarsStored,
    BarWrite,
    SeriesAnchored,
    SeriesDropped,
    Span,
)
from trademind.journal.records import from_text, to_text

_SERIES, _BARS, _SPANS, _JOBS = tables.bar_series, tables.bars, tables.bar_spans, tables.bar_jobs
_FIGURES: Final = tuple(column for column in _BARS.c if column.name != "series_id")
_NAMES: Final = tuple(column.name for column in _FIGURES)

MAX_PAGE: Final = 5000
"""Bars of one answer: some 10 ms until they are here."""
MAX_JOBS: Final = 1000


@dataclass(frozen=True, slots=True)
class StoredSeries:
    """What is known of a series."""

    id: int
    anchor: int | None
    spans: tuple[Span, ...]
    """From when to when every bar is known, in order."""


class BarReader:
    """Questions about bars. Every method raises `JournalUnavailable` where the journal cannot be read."""

    def __init__(self, connect: Callable[[], AbstractAsyncContextManager[AsyncConnection]]) -> None:
        self._connect = connect

    async def series(self, series: BarSeries) -> StoredSeries | None:
        """What is known of a series; None where there is nothing."""
        async with self._connect() as connection:
            query = select(_SERIES.c.id, _SERIES.c.anchor).where(*_is(series))
            found = (await connection.execute(query)).one_or_none()
            if found is None:
                return None
            spans = await connection.execute(
                select(_SPANS.c.since, _SPANS.c.until)
                .where(_SPANS.c.series_id == found.id)
                .order_by(_SPANS.c.since)
            )
            return StoredSeries(found.id, found.anchor, tuple((row.since, row.until) for row in spans))

    async def rows(self, series_id: int, since: int, until: int, *, limit: int = MAX_PAGE) -> list[BarRow]:
        """The bars of a series that begin in a span, oldest first; at most `limit` of them."""
        query = _READ.limit(max(1, min(limit, MAX_PAGE)))
        async with self._connect() as connection:
            rows = await connection.execute(query, {"its_id": series_id, "since": since, "until": until})
            return [tuple(row) for row in rows.all()]

    async def oldest(self, series_id: int) -> int | None:
        """The time of the first bar of a series."""
        async with self._connect() as connection:
            query = select(func.min(_BARS.c.time)).where(_BARS.c.series_id == series_id)
            found: int | None = (await connection.execute(query)).scalar()
            return found

    async def newest(self, series_id: int) -> int | None:
        """The time of the last bar of a series."""
        async with self._connect() as connection:
            query = select(func.max(_BARS.c.time)).where(_BARS.c.series_id == series_id)
            found: int | None = (await connection.execute(query)).scalar()
            return found

    async def jobs(self) -> list[dict[str, Any]]:
        """The bodies of all jobs, the newest first."""
        query = select(_JOBS.c.body).order_by(_JOBS.c.created_at.desc(), _JOBS.c.id).limit(MAX_JOBS)
        async with self._connect() as connection:
            return [from_text(body) for body in (await connection.execute(query)).scalars()]


_READ: Final = (
    select(*_FIGURES)
    .where(
        _BARS.c.series_id == bindparam("its_id"),
        _BARS.c.time >= bindparam("since"),
        _BARS.c.time < bindparam("until"),
    )
    .order_by(_BARS.c.time)
)


# Within a group --------------------------------------------------------------------------------


def write_bars(connection: Connection, writes: Sequence[BarWrite]) -> None:
    """Write what there is of bars in a group, in its order and within its transaction."""
    for write in writes:
        match write:
            case BarsStored():
                _store(connection, write)
            case SeriesAnchored(series, anchor):
                connection.execute(update(_SERIES).where(*_is(series)).values(anchor=anchor))
            case SeriesDropped(series):
                _drop(connection, series)
            case BarJobSet():
                row = {"body": to_text(dict(write.body)), "created_at": write.created_at}
                changed = connection.execute(update(_JOBS).where(_JOBS.c.id == write.id).values(row))
                if not changed.rowcount:
                    connection.execute(insert(_JOBS).values(id=write.id, **row))
            case BarJobsForgotten(ids):
                connection.execute(delete(_JOBS).where(_JOBS.c.id.in_(ids)))


def _store(connection: Connection, write: BarsStored) -> None:
    series_id = _id_of(connection, write.series)
    of_series, span = _BARS.c.series_id == series_id, (write.since, write.until)
    connection.execute(
        delete(_BARS).where(of_series, _BARS.c.time >= write.since, _BARS.c.time < write.until)
    )
    if write.rows:
        rows = [dict(zip(_NAMES, row, strict=True), series_id=series_id) for row in write.rows]
        connection.execute(insert(_BARS), rows)
        connection.execute(
            update(_SERIES)
            .where(_SERIES.c.id == series_id, _SERIES.c.anchor.is_(None))
            .values(anchor=write.rows[0][0])
        )
    # Spans that overlap with the new one, or touch it, and the new one become one.
    touching = (
        _SPANS.c.series_id == series_id,
        _SPANS.c.since <= write.until,
        _SPANS.c.until >= write.since,
    )
    known = connection.execute(select(_SPANS.c.since, _SPANS.c.until).where(*touching)).all()
    connection.execute(delete(_SPANS).where(*touching))
    spans = [span, *((row.since, row.until) for row in known)]
    connection.execute(
        insert(_SPANS).values(
            series_id=series_id, since=min(each[0] for each in spans), until=max(each[1] for each in spans)
        )
    )


def _drop(connection: Connection, series: BarSeries) -> None:
    series_id = connection.execute(select(_SERIES.c.id).where(*_is(series))).scalar()
    if series_id is not None:
        for table in (_BARS, _SPANS):
            connection.execute(delete(table).where(table.c.series_id == series_id))
        connection.execute(update(_SERIES).where(_SERIES.c.id == series_id).values(anchor=None))


def _id_of(connection: Connection, series: BarSeries) -> int:
    found = connection.execute(select(_SERIES.c.id).where(*_is(series))).scalar()
    if found is None:
        row = {name: getattr(series, name) for name in BarSeries.__slots__}
        found = connection.execute(insert(_SERIES).values(row).returning(_SERIES.c.id)).scalar_one()
    return int(found)


def _is(series: BarSeries) -> list[Any]:
    key = ("source", "con_id", "exchange", "bar_size", "what_to_show", "use_rth")
    return [_SERIES.c[name] == getattr(series, name) for name in key]

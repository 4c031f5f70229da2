"""Stored bars for other processes: as rows, or as a file, CSV, or Parquet where pyarrow is installed.

The file is written as the rows are read, so a series of any length fits. A server may be writing meanwhile.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from trademind.errors import Conflict, NotFound, SettingsError
from trademind.journal import tables
from trademind.journal.bar_writes import BarRow, BarSeries
from trademind.journal.bars import BarReader
from trademind.journal.database import looking
from trademind.journal.export import Exported, Format, Kind, Sheet, write_sheet, writer_of
from trademind.journal.failures import translated
from trademind.journal.location import Location, locate

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS: Final[Mapping[str, Kind]] = {
    "time": "time",
    **dict.fromkeys(("open", "high", "low", "close", "volume", "wap"), "figure"),
    "count": "number",
}
FORMATS: Final[Mapping[str, Format]] = {".csv": "csv", ".parquet": "parquet"}
"""By the ending of the file's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBars:
    """Which stored bars are meant."""

    symbol: str
    sec_type: str
    currency: str
    bar_size: str
    what_to_show: str
    use_rth: bool
    sources: Sequence[str]
    """The markets they may be from, see `BarSeries.source`."""


async def stored_bars(
    location: Location, series: BarSeries, since: int, until: int
) -> AsyncIterator[list[BarRow]]:
    """The stored bars of a series that begin in [since, until), in seconds since 1970, in order and in parts.

    Raises:
        SettingsError: there is no such journal.
        JournalUnavailable: it cannot be read at the moment.
    """
    with translated(location, opening=True):
        async with looking(location) as connection:

            @asynccontextmanager
            async def connected() -> AsyncIterator[AsyncConnection]:
                yield connection

            reader = BarReader(connected)
            stored = await reader.series(series)
            while stored is not None and (rows := await reader.rows(stored.id, since, until)):
                yield rows
                since = rows[-1][0] + 1


async def export_bars(
    journal: Path | str, wanted: StoredBars, path: Path, *, since: datetime, until: datetime
) -> Exported:
    """Write the stored bars that begin in [since, until) into a new file.

    Raises:
        NotFound: none are stored.
        Conflict: they are of several contracts.
        SettingsError: the file is there already or cannot be made, or its name does not say what it is to be;
            there is no such journal; pyarrow is missing.
        StateNotKept: the journal cannot be read at the moment, or the disk has no room.
    """
    if (format := FORMATS.get(path.suffix.lower())) is None:
        raise SettingsError(
            f"{path}: its name must end in {' or '.join(FORMATS)}, which says what it is to be"
        )
    location = locate(journal)
    writer = await writer_of(format)
    series, bars = tables.bar_series.c, tables.bars.c
    fields = ("symbol", "sec_type", "currency", "bar_size", "what_to_show", "use_rth")
    with translated(location, opening=True):
        async with looking(location) as connection:
            found = await connection.execute(
                select(series.id, series.con_id, series.exchange, series.source).where(
                    series.source.in_(wanted.sources),
                    *(series[name] == getattr(wanted, name) for name in fields),
                )
            )
            query = (
                select(*(bars[name] for name in _COLUMNS))
                .where(
                    bars.series_id == _only_one(found.all(), wanted),
                    bars.time >= (since - _EPOCH) // timedelta(seconds=1),
                    bars.time < (until - _EPOCH) // timedelta(seconds=1),
                )
                .order_by(bars.time)
            )
            try:
                return await write_sheet(connection, Sheet(query, _COLUMNS, _values), path, writer)
            except FileExistsError as error:
                raise SettingsError(f"{path} is there already; give the file a name of its own") from error
            except OSError as error:
                raise SettingsError(f"{path} cannot be written: {error.strerror or error}") from error


def _only_one(found: Sequence[Any], wanted: StoredBars) -> int:
    what = f"{wanted.bar_size} bars of {wanted.symbol} ({wanted.what_to_show})"
    if not found:
        raise NotFound(f"no {what} are stored; `trademind bars download` gets them")
    if len(found) > 1:
        those = ", ".join(f"{each.con_id} at {each.exchange} from {each.source}" for each in found)
        raise Conflict(f"there are {what} of several contracts: {those}")
    return int(found[0].id)


def _values(row: Row[Any]) -> Sequence[Any]:
    return [_EPOCH + timedelta(seconds=row.time), *row[1:]]

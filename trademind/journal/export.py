"""The journal as files for other programs: CSV, or Parquet where pyarrow is installed.

One file for each table, written as the rows are read, so that a journal of any size fits. An order's and a
fill's fields are columns of their own, those of the contract as `contract_symbol` and so on. Prices,
quantities and money are text with every digit, as everywhere in TradeMind: a float would not be exact.
"""

import asyncio
import csv
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal, Protocol, get_args, get_type_hints

from sqlalchemy import Integer, Select, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from trademind.domain import Execution, Order
from trademind.errors import SettingsError
from trademind.journal import tables
from trademind.journal.database import looking
from trademind.journal.failures import translated
from trademind.journal.journal import Journal
from trademind.journal.location import locate, whole_file
from trademind.journal.reading import execution_of, fills
from trademind.journal.records import NOTICE, ORDER, time_text, to_text
from trademind.journal.tables import Moment

CHUNK: Final = 1000
"""Rows that are read and written at a time: some megabytes."""

Format = Literal["csv", "parquet"]


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that was written."""

    path: Path
    rows: int


async def export(
    journal: Journal | Path | str,
    directory: Path,
    *,
    format: Format = "csv",
    only: Iterable[str] | None = None,
) -> list[Exported]:
    """Write the journal's tables into a directory, as they are at one moment. A server may be writing.

    Args:
        only: Names of `SHEETS`; all, unless given.

    Raises:
        SettingsError: a file is there already or cannot be made; there is no such journal or table; pyarrow
            is missing.
        StateNotKept: the journal cannot be read at the moment, or the disk has no room.
    """
    location = journal.location if isinstance(journal, Journal) else locate(journal)
    names = list(SHEETS if only is None else only)
    if unknown := [name for name in names if name not in SHEETS]:
        raise SettingsError(f"there is no table {unknown[0]!r} to export; there are {', '.join(SHEETS)}")
    writer = await writer_of(format)
    exported = []
    with translated(location, opening=True):
        async with looking(location) as connection:
            for name in names:
                path = directory / f"{name}.{format}"
                try:
                    exported.append(await write_sheet(connection, SHEETS[name], path, writer))
                except OSError as error:
                    raise SettingsError(f"{path} cannot be written: {error.strerror or error}") from error
    return exported


async def writer_of(format: Format) -> "Writer":
    """How files of a format are written. Raises `SettingsError`: pyarrow is missing."""
    return await asyncio.to_thread(_parquet) if format == "parquet" else _csv


async def write_sheet(connection: AsyncConnection, sheet: "Sheet", path: Path, writer: "Writer") -> Exported:
    """Write the rows of a sheet into a new file, as they are read. Raises `FileExistsError`, `OSError`."""
    count = 0
    with whole_file(path) as new, writer(new, sheet.columns) as add:
        async with connection.stream(sheet.query) as result:
            async for rows in result.partitions(CHUNK):
                # Made here a chunk at a time, and written where the loop need not wait for the disk.
                made = [sheet.read(row) for row in rows]
                await asyncio.to_thread(add, made)
                count += len(made)
    return Exported(path, count)


# The tables ------------------------------------------------------------------------------------

Kind = Literal["text", "number", "figure", "flag", "time"]
Row = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table as it is exported."""

    query: Select[Any]
    columns: Mapping[str, Kind]
    read: Callable[[Any], Row]
    """The columns' values of a row of the query."""


def _sheet(table: Table) -> Sheet:
    """A table as it is."""
    kinds: dict[str, Kind] = {}
    for column in table.c:
        kind: Kind = "text"
        if isinstance(column.type, Moment):
            kind = "time"
        elif isinstance(column.type, Integer):
            kind = "number"
        kinds[column.name] = kind
    return Sheet(select(table).order_by(*table.primary_key), kinds, tuple)


def _flat(query: Select[Any], kind: type[Any], read: Callable[[Any], Any]) -> Sheet:
    """Objects of a dataclass, whose fields are the columns."""
    columns = dict(_columns(kind))
    return Sheet(query, columns, lambda row: list(_values(read(row))))


_KINDS: Final[Mapping[Any, Kind]] = {int: "number", bool: "flag", datetime: "time"}


def _columns(kind: type[Any], prefix: str = "") -> Iterator[tuple[str, Kind]]:
    hints = get_type_hints(kind)
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            yield from _columns(hint, f"{prefix}{field.name}_")
        else:
            kinds = [_KINDS[each] for each in (hint, *get_args(hint)) if each in _KINDS]
            yield prefix + field.name, kinds[0] if kinds else "text"


def _values(value: Any) -> Iterator[Any]:
    for field in dataclasses.fields(value):
        held = getattr(value, field.name)
        if dataclasses.is_dataclass(held):
            yield from _values(held)
        elif isinstance(held, tuple):
            yield to_text([NOTICE.dump(each) for each in held])
        else:
            yield str(held) if isinstance(held, (str, Decimal)) else held


SHEETS: Final[Mapping[str, Sheet]] = {
    "orders": _flat(
        select(tables.orders.c.body).order_by(tables.orders.c.first_seq),
        Order,
        lambda row: ORDER.from_text(row.body),
    ),
    "executions": _flat(
        fills().order_by(tables.executions.c.time, tables.executions.c.exec_id), Execution, execution_of
    ),
    **{
        table.name: _sheet(table)
        for table in (
            tables.events,
            tables.intents,
            tables.commission_reports,
            tables.account_snapshots,
            tables.audit,
            tables.state,
            tables.signals,
        )
    },
}


# The formats -----------------------------------------------------------------------------------

Add = Callable[[list[Row]], None]


class Writer(Protocol):
    def __call__(self, path: Path, columns: Mapping[str, Kind]) -> AbstractContextManager[Add]: ...


@contextmanager
def _csv(path: Path, columns: Mapping[str, Kind]) -> Iterator[Add]:
    # Quotes and line ends as RFC 4180 has them; nothing for what is unknown.
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        yield lambda rows: writer.writerows([_cell(value) for value in row] for row in rows)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return time_text(value) if isinstance(value, datetime) else str(value)


def _parquet() -> Writer:
    """How Parquet is written. Loading pyarrow takes a while, so this is called in a thread."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise SettingsError(
            "Parquet files need pyarrow; install it with `pip install pyarrow`, or export to CSV"
        ) from error
    types = {
        "text": pa.string(),
        "number": pa.int64(),
        "figure": pa.float64(),
        "flag": pa.bool_(),
        "time": pa.timestamp("us", tz="UTC"),
    }

    @contextmanager
    def parquet(path: Path, columns: Mapping[str, Kind]) -> Iterator[Add]:
        schema = pa.schema([(name, types[kind]) for name, kind in columns.items()])
        with pq.ParquetWriter(path, schema) as writer:

            def add(rows: list[Row]) -> None:
                arrays = [
                    pa.array([_storable(row[place]) for row in rows], type=field.type)
                    for place, field in enumerate(schema)
                ]
                writer.write_batch(pa.record_batch(arrays, schema=schema))

            yield add

    return parquet


def _storable(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    # Half a surrogate pair has no form in UTF-8.
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value

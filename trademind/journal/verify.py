"""Whether a journal is whole and agrees with itself; of a damaged one, what is there and what is missing.

Nothing is taken for granted. The file may have been cut short or overwritten in the middle, so every row is
read for itself, around a damaged place from either side, and what belongs together is compared here and not
by the database. It is one pass over one moment of the journal, which a server may be writing meanwhile, and
keeps some hundred bytes of memory for each order and fill.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Integer, Row, Select, Table, Text, func, literal_column, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from trademind.domain import Channel, Order
from trademind.errors import JournalUnavailable, SettingsError
from trademind.journal import migrations, tables
from trademind.journal.database import looking
from trademind.journal.failures import FAILURES, explained
from trademind.journal.journal import Journal
from trademind.journal.location import Location, fault_of, locate
from trademind.journal.records import BODIES, EXECUTION, ORDER, SIGNAL, Unreadable, from_text
from trademind.journal.tables import Line

MAX_FINDINGS: Final = 100
"""Findings of one kind that are told one by one; a damaged file may have any number."""
CHUNK: Final = 500
"""Rows that are read at a time: some 20 ms until they have been looked at."""

_UNREADABLE = (DBAPIError, ValueError)
"""What a damaged row raises: the database's own error, or that of a column that makes no sense."""

_SCANNED: Final = (
    tables.intents,
    tables.orders,  # before what refers to them
    tables.events,
    tables.executions,
    tables.commission_reports,
    tables.account_snapshots,
    tables.audit,
    tables.state,
    tables.signals,
    tables.writer,
)
_COUNTED: Final = (tables.bar_series, tables.bars, tables.bar_spans, tables.bar_jobs)
"""What can be asked for again where it is lost: there is nothing to compare it with."""
_SINCE: Final = {**dict.fromkeys(_COUNTED, "0002"), tables.signals: "0003"}
"""The schemas that brought tables which the first one had not."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be."""

    kind: str
    """damaged, rows_missing, unreadable, gap, cut_short, order_missing, execution_without_order, fills_differ
    or commission_without_execution."""
    detail: str


@dataclass(slots=True, kw_only=True)
class Report:
    """What a journal was found to be."""

    location: str
    schema: str | None = None
    rows: dict[str, int] = field(default_factory=dict)
    """By table, how many rows can be read."""
    last_seq: int = 0
    """The number of the last event that can be read."""
    pending: list[str] = field(default_factory=list)
    """Keys of intents without an order, at most `MAX_FINDINGS`. That is no fault: whether they were sent is
    for reconciliation to say."""
    pending_count: int = 0
    findings: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    """How many findings of each kind there are, told one by one or not."""

    @property
    def is_sound(self) -> bool:
        """Nothing was found."""
        return not self.counts

    def find(self, kind: str, detail: str) -> None:
        """Add a finding."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if self.counts[kind] <= MAX_FINDINGS:
            self.findings.append(Finding(kind, detail))


async def verify(journal: Journal | Path | str) -> Report:
    """Look through a journal, whether a server has it open or not. Nothing of it is changed.

    Raises:
        SettingsError: there is none at that place, or it lets nobody in.
        JournalUnavailable: the database server cannot be reached.
    """
    location = journal.location if isinstance(journal, Journal) else locate(journal)
    report = Report(location=str(location))
    if location.path is not None:
        with suppress(OSError):  # is told when it is opened
            if fault := fault_of(location.path):
                report.find("damaged", fault)
    try:
        async with looking(location) as connection:
            await _Look(report, connection, location).at_everything()
    except FAILURES as error:
        detail, is_final = explained(error, location)
        if location.path is None:
            raise (SettingsError if is_final else JournalUnavailable)(detail) from error
        report.find("damaged", detail)
    return report


class _Look:
    """One look through an open journal."""

    def __init__(self, report: Report, connection: AsyncConnection, location: Location) -> None:
        self._report = report
        self._connection = connection
        self._location = location
        self._keys: set[str] = set()
        self._orders: dict[str, tuple[Decimal, bool]] = {}
        """By id, what was filled of it and whether it was placed by an intent."""
        self._answered: set[str] = set()
        """Keys that have an order."""
        self._by_perm_id: dict[int, str] = {}
        self._seqs: list[list[int]] = []
        """Events without a gap between them, as [first, last]."""
        self._changed: set[str] = set()
        """Orders that events speak of."""
        self._fills: dict[str, dict[str, tuple[int, Decimal]]] = {}
        """By order and fill, the quantity of its latest correction."""
        self._exec_ids: set[str] = set()
        self._reported: set[str] = set()
        """Fills that have a commission report."""
        self._expected_seq: int | None = None

    async def at_everything(self) -> None:
        """Fill in the report."""
        try:
            self._report.schema = await self._connection.run_sync(migrations.revision)
        except DBAPIError as error:
            self._report.find("damaged", explained(error, self._location)[0])
            return
        if self._report.schema is None:
            self._report.find("damaged", "it has not the tables of a journal")
            return
        if self._location.path is not None:
            await self._at_integrity()
        for table in filter(self._has, _SCANNED):
            await self._at_rows(table)
        for table in filter(self._has, _COUNTED):
            await self._count(table)
        self._compare()

    def _has(self, table: Table) -> bool:
        """Whether the journal's schema has the table."""
        return _SINCE.get(table, "") <= (self._report.schema or "")

    async def _at_integrity(self) -> None:
        try:
            rows = await self._connection.execute(text(f"PRAGMA integrity_check({MAX_FINDINGS})"))
            said = [str(row[0]) for row in rows]
        except DBAPIError as error:
            await self._connection.rollback()
            said = [str(error.orig)]
        for line in said:
            if line != "ok":
                self._report.find("damaged", f"SQLite: {line}")

    # Row by row --------------------------------------------------------------------------------

    async def _at_rows(self, table: Table) -> None:
        """Read every row there is; where one cannot be read, go on behind it or from the end."""
        count, size, after = 0, CHUNK, None
        while True:
            try:
                rows = await self._page(table, after, size)
            except _UNREADABLE as error:
                await self._connection.rollback()
                if size > 1:
                    size = 1
                elif (after_it := await self._next_place(table, after)) is not None and (
                    after is None or after_it > after
                ):
                    self._report.find("unreadable", f"{table.name}: the row after {after}: {error}")
                    after = after_it
                else:
                    break
                continue
            # Of a damaged file SQLite may return any row for any question; every step has to lead on.
            if after is not None and any(row.place <= after for row in rows):
                break
            for row in rows:
                self._at_row(table, row)
            count += len(rows)
            if len(rows) < size:
                self._report.rows[table.name] = count
                return
            after = max(row.place for row in rows)
        more = await self._from_the_end(table, after)
        self._report.rows[table.name] = count + more
        self._report.find(
            "rows_missing",
            f"{table.name}: {count:,} rows from the beginning and {more:,} from the end can be read, those "
            "between cannot",
        )

    async def _count(self, table: Table) -> None:
        try:
            found = await self._connection.execute(select(func.count()).select_from(table))
            self._report.rows[table.name] = found.scalar_one()
        except DBAPIError as error:
            await self._connection.rollback()
            self._report.find("unreadable", f"{table.name}: {error}")

    async def _from_the_end(self, table: Table, after: Any) -> int:
        count, before = 0, None
        with suppress(*_UNREADABLE):
            while rows := await self._page(table, after, 1, before=before, backwards=True):
                if before is not None and rows[0].place >= before:
                    break
                count += 1
                before = rows[0].place
                self._at_row(table, rows[0])
        await self._connection.rollback()
        return count

    async def _page(
        self, table: Table, after: Any, size: int, *, before: Any = None, backwards: bool = False
    ) -> Sequence[Row[Any]]:
        place = self._place(table)
        query: Select[Any] = select(table, place.label("place")).limit(size)
        query = query.order_by(place.desc() if backwards else place)
        if after is not None:
            query = query.where(place > after)
        if before is not None:
            query = query.where(place < before)
        rows: Sequence[Row[Any]] = (await self._connection.execute(query)).all()
        return rows

    async def _next_place(self, table: Table, after: Any) -> Any:
        """Where the next row is, if at least that can be read."""
        place = self._place(table)
        query = select(place).select_from(table).order_by(place).limit(1)
        try:
            found = await self._connection.execute(query if after is None else query.where(place > after))
            return found.scalar()
        except DBAPIError:
            await self._connection.rollback()
            return None

    def _place(self, table: Table) -> Any:
        # Of SQLite the rows in their own order: an index may be whole where they are not.
        return literal_column("rowid") if self._location.path else next(iter(table.primary_key))

    def _at_row(self, table: Table, row: Any) -> None:
        try:
            _check_types(table, row)
            if table is tables.intents:
                self._keys.add(row.client_order_id)
                from_text(row.body)
            elif table is tables.orders:
                self._at_order(row)
            elif table is tables.events:
                self._at_event(row)
            elif table is tables.executions:
                self._at_execution(row)
            elif table is tables.commission_reports:
                self._reported.add(row.exec_id)
            elif table is tables.audit:
                from_text(row.request or "null")
            elif table is tables.state:
                from_text(row.value)
            elif table is tables.signals:
                SIGNAL.from_text(row.body)
            elif table is tables.writer:
                self._expected_seq = row.last_seq
        except ValueError as error:
            key = row._mapping[next(iter(table.primary_key)).name]
            self._report.find("unreadable", f"{table.name} {key}: {error}")

    def _at_order(self, row: Any) -> None:
        if row.client_order_id is not None:
            self._answered.add(row.client_order_id)
        if row.perm_id is not None:
            self._by_perm_id[row.perm_id] = row.id
        self._orders[row.id] = (Decimal(0), False)
        order: Order = ORDER.from_text(row.body)
        self._orders[row.id] = (order.filled_quantity, row.client_order_id in self._keys)

    def _at_event(self, row: Any) -> None:
        self._report.last_seq = max(self._report.last_seq, row.seq)
        if self._seqs and row.seq == self._seqs[-1][1] + 1:
            self._seqs[-1][1] = row.seq
        elif self._seqs and row.seq == self._seqs[-1][0] - 1:  # read from the end
            self._seqs[-1][0] = row.seq
        else:
            self._seqs.append([row.seq, row.seq])
        channel = Channel(row.channel)
        if channel is Channel.ORDERS and row.order_id not in self._orders:
            self._changed.add(row.order_id)
        BODIES[channel].from_text(row.body)

    def _at_execution(self, row: Any) -> None:
        self._exec_ids.add(row.exec_id)
        fill = EXECUTION.from_text(row.body)
        is_known = row.order_id in self._orders
        order_id = row.order_id if is_known else self._by_perm_id.get(row.perm_id)
        if order_id is not None:
            fills = self._fills.setdefault(order_id, {})
            known = fills.get(row.fill_key, (-1, Decimal(0)))
            fills[row.fill_key] = max(known, (row.revision, fill.quantity))
        elif row.order_id is not None or fill.order_ref in self._keys:
            # Any other is of an order that was placed elsewhere.
            self._report.find(
                "execution_without_order",
                f"execution {row.exec_id} is of order {row.order_id or fill.order_ref}, which is not there",
            )

    # One thing against another -----------------------------------------------------------------

    def _compare(self) -> None:
        self._compare_sequence()
        for order_id in sorted(self._changed):
            self._report.find("order_missing", f"there are events of order {order_id}, but not the order")
        for exec_id in sorted(self._reported - self._exec_ids):
            self._report.find(
                "commission_without_execution", f"there is a commission for {exec_id}, but not the execution"
            )
        for order_id, (filled, is_own) in self._orders.items():
            fills = self._fills.get(order_id, {})
            total = sum((quantity for _, quantity in fills.values()), Decimal(0))
            # Of an order that was placed elsewhere, or before there was this journal, fills may be unknown.
            if total > filled or (is_own and total != filled):
                self._report.find(
                    "fills_differ", f"of order {order_id} {filled} were filled, its executions are {total}"
                )
        pending = sorted(self._keys - self._answered)
        self._report.pending_count = len(pending)
        self._report.pending = pending[:MAX_FINDINGS]

    def _compare_sequence(self) -> None:
        reached = 0
        for first, last in sorted(self._seqs):
            if first != reached + 1:
                self._report.find("gap", f"events {reached + 1:,} to {first - 1:,} are missing")
            reached = max(reached, last)
        if self._expected_seq is None:
            self._report.find("cut_short", "how many events there should be cannot be read")
        elif self._expected_seq > reached:
            self._report.find(
                "cut_short", f"the events after {reached:,} are missing; there were {self._expected_seq:,}"
            )


def _check_types(table: Table, row: Any) -> None:
    """SQLite takes any value in any column, so a damaged row may hold anything.

    Raises:
        Unreadable: it holds something that is never written.
    """
    for column in table.c:
        value = row._mapping[column.name]
        if value is None:
            is_right = bool(column.nullable)
        elif isinstance(column.type, Integer):
            is_right = isinstance(value, int)
        else:
            is_right = not isinstance(column.type, (Text, Line)) or isinstance(value, str)
        if not is_right:
            raise Unreadable(f"{column.name} is {value!r:.40}")

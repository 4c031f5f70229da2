"""The journal's tables, as the newest schema has them; how they come to be is in `migrations`.

One form for both databases, in which nothing is rounded: money is text, bodies are JSON in ASCII text (see
`records`), and times are the database's own where it has exact ones. Bars are measured, not owed, and there
are millions of them: their figures are floats, and their times whole seconds since 1970.

History is only ever added to: triggers refuse to change or delete a row of `APPEND_ONLY`. What is corrected
is told by a new row and a new event.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine

from trademind.journal.records import number_of, number_text, time_of, time_text


class Moment(TypeDecorator[datetime]):
    """An aware time, exact to the microsecond. SQLite has no times, so there it is sortable text."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        is_sqlite = dialect.name == "sqlite"
        return dialect.type_descriptor(Text() if is_sqlite else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        return time_text(value) if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return time_of(value) if isinstance(value, str) else value


class Exact(TypeDecorator[Decimal]):
    """A number with all its digits, as text: SQLite would keep a float, PostgreSQL drops the exponent."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:
        return None if value is None else number_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        return None if value is None else number_of(value)


class Line(TypeDecorator[str]):
    """Text that may come from anywhere. PostgreSQL takes no NUL and neither takes half a surrogate pair, and
    a row that can never be written would hold up all that follow it."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None or (value.isascii() and "\0" not in value):
            return value
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


Number = BigInteger().with_variant(Integer, "sqlite")
"""64 bits in both. SQLite numbers rows by itself only in a column declared as INTEGER."""

metadata: Final = MetaData()

writer: Final = Table(
    "writer",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=False),
    Column("run", Text, nullable=False),
    Column("group_number", Number, nullable=False),
    Column("last_seq", Number, nullable=False),
    CheckConstraint("id = 1", name="writer_is_one"),
)
"""One row: which group of which run of the server was written last, and the last event's number. It is part
of every group, so that it can be told whether a group was written when the answer to its commit was lost."""

intents: Final = Table(
    "intents",
    metadata,
    Column("client_order_id", Line, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("account_id", Line, nullable=False),
    Column("accepted_at", Moment, nullable=False),
    Column("origin", Line, nullable=False),
    Index("intents_by_time", "accepted_at"),
)

events: Final = Table(
    "events",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=False),
    Column("channel", Text, nullable=False),
    Column("order_id", Line),
    Column("name", Line, nullable=False),
    Column("time", Moment, nullable=False),
    Column("body", Text, nullable=False),
    Index("events_by_order", "order_id", "seq"),
)

orders: Final = Table(
    "orders",
    metadata,
    Column("id", Line, primary_key=True),
    Column("client_order_id", Line),
    Column("perm_id", Number),
    Column("ib_order_id", Number),
    Column("client_id", Number),
    Column("account_id", Line, nullable=False),
    Column("status", Text, nullable=False),
    Column("external", Boolean, nullable=False),
    Column("body", Text, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("first_seq", Number, ForeignKey("events.seq"), nullable=False),
    Column("last_seq", Number, ForeignKey("events.seq"), nullable=False),
    Index("orders_by_age", "first_seq", unique=True),
    Index("orders_by_status", "status"),
    Index("orders_by_perm_id", "perm_id"),
    Index("orders_by_key", "client_order_id"),
)

executions: Final = Table(
    "executions",
    metadata,
    Column("exec_id", Line, primary_key=True),
    Column("fill_key", Line, nullable=False),
    Column("revision", Number, nullable=False),
    Column("order_id", Line),
    Column("perm_id", Number, nullable=False),
    Column("account_id", Line, nullable=False),
    Column("time", Moment, nullable=False),
    Column("body", Text, nullable=False),
    Column("first_seq", Number, ForeignKey("events.seq"), nullable=False),
    Index("executions_by_time", "time", "exec_id"),
    Index("executions_by_fill", "fill_key", "revision"),
    Index("executions_by_order", "order_id"),
    Index("executions_by_perm_id", "perm_id"),
)

commission_reports: Final = Table(
    "commission_reports",
    metadata,
    # No foreign key: a report may come before its fill.
    Column("exec_id", Line, primary_key=True),
    Column("commission", Exact, nullable=False),
    Column("currency", Line, nullable=False),
    Column("realized_pnl", Exact),
    Column("time", Moment, nullable=False),
)

account_snapshots: Final = Table(
    "account_snapshots",
    metadata,
    Column("id", Number, primary_key=True),
    Column("account_id", Line, nullable=False),
    Column("time", Moment, nullable=False),
    Column("currency", Line, nullable=False),
    Column("net_liquidation", Exact),
    Column("total_cash_value", Exact),
    Column("unrealized_pnl", Exact),
    Column("realized_pnl", Exact),
    Index("account_snapshots_by_time", "account_id", "time"),
)

audit: Final = Table(
    "audit",
    metadata,
    Column("id", Number, primary_key=True),
    Column("time", Moment, nullable=False),
    Column("actor", Line, nullable=False),
    Column("origin", Line, nullable=False),
    Column("action", Line, nullable=False),
    Column("subject", Line),
    Column("request", Text),
    Column("outcome", Line, nullable=False),
    Column("detail", Line),
)

state: Final = Table(
    "state",
    metadata,
    Column("key", Line, primary_key=True),
    Column("value", Text, nullable=False),
    Column("updated_at", Moment, nullable=False),
)

bar_series: Final = Table(
    "bar_series",
    metadata,
    Column("id", Number, primary_key=True),
    Column("source", Line, nullable=False),
    Column("con_id", Number, nullable=False),
    Column("exchange", Line, nullable=False),
    Column("bar_size", Text, nullable=False),
    Column("what_to_show", Text, nullable=False),
    Column("use_rth", Boolean, nullable=False),
    Column("symbol", Line, nullable=False),
    Column("sec_type", Line, nullable=False),
    Column("currency", Line, nullable=False),
    Column("anchor", Number),
    UniqueConstraint(
        "source",
        "con_id",
        "exchange",
        "bar_size",
        "what_to_show",
        "use_rth",
        name="bar_series_by_contents",
    ),
    Index("bar_series_by_symbol", "symbol"),
)
"""What there are bars of, and from which market: a paper market's are not IB's. The anchor is the time of the
bar by which it is seen whether IB has adjusted the series since it was stored."""

bars: Final = Table(
    "bars",
    metadata,
    Column("series_id", Number, ForeignKey("bar_series.id"), primary_key=True, autoincrement=False),
    Column("time", Number, primary_key=True, autoincrement=False),
    Column("open", Double),
    Column("high", Double),
    Column("low", Double),
    Column("close", Double),
    Column("volume", Double),
    Column("wap", Double),
    Column("count", Number),
    sqlite_with_rowid=False,
)
"""Bars that do not change any more."""

bar_spans: Final = Table(
    "bar_spans",
    metadata,
    Column("series_id", Number, ForeignKey("bar_series.id"), primary_key=True, autoincrement=False),
    Column("since", Number, primary_key=True, autoincrement=False),
    Column("until", Number, nullable=False),
    CheckConstraint("since < until", name="bar_span_is_one"),
    sqlite_with_rowid=False,
)
"""From when (inclusive) to when (exclusive) every bar of a series is known, also where the market had none.
Spans of a series neither overlap nor touch."""

bar_jobs: Final = Table(
    "bar_jobs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("body", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Index("bar_jobs_by_age", "created_at"),
)
"""Downloads of bars, as they stand."""

signals: Final = Table(
    "signals",
    metadata,
    Column("id", Line, primary_key=True),
    Column("strategy", Line, nullable=False),
    Column("con_id", Number),
    Column("symbol", Line, nullable=False),
    Column("bar_size", Text, nullable=False),
    Column("bar_time", Moment, nullable=False),
    Column("action", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("outcome_at", Moment),
    Column("order_key", Line),
    Column("body", Text, nullable=False),
    Column("first_seq", Number, ForeignKey("events.seq"), nullable=False),
    Column("last_seq", Number, ForeignKey("events.seq"), nullable=False),
    Index("signals_by_age", "first_seq", unique=True),
    Index("signals_by_symbol", "symbol", "first_seq"),
    Index("signals_by_outcome", "outcome"),
)
"""Signals as they stand."""

APPEND_ONLY: Final = (intents, events, executions, commission_reports, account_snapshots, audit)

"""The first tables.

A migration is never changed after its release, so it does not use `tables`, which goes on to change.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.Text().with_variant(sa.DateTime(timezone=True), "postgresql")
APPEND_ONLY = ("intents", "events", "executions", "commission_reports", "account_snapshots", "audit")


def upgrade() -> None:
    _commands()
    _history()
    _figures()
    if op.get_bind().dialect.name == "postgresql":
        _guard_postgresql()
    else:
        _guard_sqlite()


def _commands() -> None:
    op.create_table(
        "writer",
        sa.Column("id", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("group_number", NUMBER, nullable=False),
        sa.Column("last_seq", NUMBER, nullable=False),
        sa.CheckConstraint("id = 1", name="writer_is_one"),
    )
    op.execute("INSERT INTO writer (id, run, group_number, last_seq) VALUES (1, '', 0, 0)")
    op.create_table(
        "intents",
        sa.Column("client_order_id", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("accepted_at", MOMENT, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
    )
    op.create_index("intents_by_time", "intents", ["accepted_at"])
    op.create_table(
        "audit",
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("time", MOMENT, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("subject", sa.Text),
        sa.Column("request", sa.Text),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("detail", sa.Text),
    )
    op.create_table(
        "state",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
    )


def _history() -> None:
    op.create_table(
        "events",
        sa.Column("seq", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("order_id", sa.Text),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("time", MOMENT, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("events_by_order", "events", ["order_id", "seq"])
    op.create_table(
        "orders",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("client_order_id", sa.Text),
        sa.Column("perm_id", NUMBER),
        sa.Column("ib_order_id", NUMBER),
        sa.Column("client_id", NUMBER),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("external", sa.Boolean, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("first_seq", NUMBER, sa.ForeignKey("events.seq"), nullable=False),
        sa.Column("last_seq", NUMBER, sa.ForeignKey("events.seq"), nullable=False),
    )
    op.create_index("orders_by_age", "orders", ["first_seq"], unique=True)
    op.create_index("orders_by_status", "orders", ["status"])
    op.create_index("orders_by_perm_id", "orders", ["perm_id"])
    op.create_index("orders_by_key", "orders", ["client_order_id"])
    op.create_table(
        "executions",
        sa.Column("exec_id", sa.Text, primary_key=True),
        sa.Column("fill_key", sa.Text, nullable=False),
        sa.Column("revision", NUMBER, nullable=False),
        sa.Column("order_id", sa.Text),
        sa.Column("perm_id", NUMBER, nullable=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("time", MOMENT, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("first_seq", NUMBER, sa.ForeignKey("events.seq"), nullable=False),
    )
    op.create_index("executions_by_time", "executions", ["time", "exec_id"])
    op.create_index("executions_by_fill", "executions", ["fill_key", "revision"])
    op.create_index("executions_by_order", "executions", ["order_id"])
    op.create_index("executions_by_perm_id", "executions", ["perm_id"])


def _figures() -> None:
    op.create_table(
        "commission_reports",
        sa.Column("exec_id", sa.Text, primary_key=True),
        sa.Column("commission", sa.Text, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("realized_pnl", sa.Text),
        sa.Column("time", MOMENT, nullable=False),
    )
    op.create_table(
        "account_snapshots",
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("time", MOMENT, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("net_liquidation", sa.Text),
        sa.Column("total_cash_value", sa.Text),
        sa.Column("unrealized_pnl", sa.Text),
        sa.Column("realized_pnl", sa.Text),
    )
    op.create_index("account_snapshots_by_time", "account_snapshots", ["account_id", "time"])


def _guard_sqlite() -> None:
    for table in APPEND_ONLY:
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )


def _guard_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION journal_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
    )
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION journal_append_only()"
        )

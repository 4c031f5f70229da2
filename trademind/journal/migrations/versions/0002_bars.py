"""Tables for bars, and for the jobs that download them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.Text().with_variant(sa.DateTime(timezone=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "bar_series",
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("con_id", NUMBER, nullable=False),
        sa.Column("exchange", sa.Text, nullable=False),
        sa.Column("bar_size", sa.Text, nullable=False),
        sa.Column("what_to_show", sa.Text, nullable=False),
        sa.Column("use_rth", sa.Boolean, nullable=False),
        sa.Column("symbol", sa.Text, nullable=False),
        sa.Column("sec_type", sa.Text, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("anchor", NUMBER),
        sa.UniqueConstraint(
            "source",
            "con_id",
            "exchange",
            "bar_size",
            "what_to_show",
            "use_rth",
            name="bar_series_by_contents",
        ),
    )
    op.create_index("bar_series_by_symbol", "bar_series", ["symbol"])
    op.create_table(
        "bars",
        _series(),
        sa.Column("time", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("open", sa.Double),
        sa.Column("high", sa.Double),
        sa.Column("low", sa.Double),
        sa.Column("close", sa.Double),
        sa.Column("volume", sa.Double),
        sa.Column("wap", sa.Double),
        sa.Column("count", NUMBER),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "bar_spans",
        _series(),
        sa.Column("since", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("until", NUMBER, nullable=False),
        sa.CheckConstraint("since < until", name="bar_span_is_one"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "bar_jobs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
    )
    op.create_index("bar_jobs_by_age", "bar_jobs", ["created_at"])


def _series() -> sa.Column[int]:
    return sa.Column(
        "series_id", NUMBER, sa.ForeignKey("bar_series.id"), primary_key=True, autoincrement=False
    )

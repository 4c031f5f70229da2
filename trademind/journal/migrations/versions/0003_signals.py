"""A table for signals, as they stand."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.Text().with_variant(sa.DateTime(timezone=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "signals",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("strategy", sa.Text, nullable=False),
        sa.Column("con_id", NUMBER),
        sa.Column("symbol", sa.Text, nullable=False),
        sa.Column("bar_size", sa.Text, nullable=False),
        sa.Column("bar_time", MOMENT, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("outcome_at", MOMENT),
        sa.Column("order_key", sa.Text),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("first_seq", NUMBER, sa.ForeignKey("events.seq"), nullable=False),
        sa.Column("last_seq", NUMBER, sa.ForeignKey("events.seq"), nullable=False),
    )
    op.create_index("signals_by_age", "signals", ["first_seq"], unique=True)
    op.create_index("signals_by_symbol", "signals", ["symbol", "first_seq"])
    op.create_index("signals_by_outcome", "signals", ["outcome"])

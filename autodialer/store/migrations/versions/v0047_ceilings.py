"""most calls and minutes of a day, by user and by trunk."""

import sqlalchemy as sa
from alembic import op

from autodialer.store.sql import column_types as columns

revision = "0047"
down_revision = "0046"


def upgrade() -> None:
    """To 0047. What there is already gets no ceiling: an upgrade must not stop a campaign."""
    for table in ("users", "trunks"):
        op.add_column(table, sa.Column("max_calls_day", sa.Integer(), nullable=True))
        op.add_column(table, sa.Column("max_minutes_day", sa.Integer(), nullable=True))
    op.create_table(
        "day_use",
        sa.Column("day", sa.Text(), nullable=False, comment="of UTC, as 2027-01-31"),
        sa.Column("kind", sa.Text(), nullable=False, comment="users or trunks"),
        sa.Column("of_key", columns.Key, nullable=False),
        sa.Column("calls", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="claims"),
        sa.Column("billsec_ms", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="of ended calls"),
        sa.Column(
            "told",
            sa.Boolean(),
            server_default=sa.text("0"),
            nullable=False,
            comment="the audit says that a ceiling is reached",
        ),
        sa.PrimaryKeyConstraint("day", "kind", "of_key", name=op.f("day_use_key")),
        comment="calls and minutes of a user or trunk on a day, for its ceilings",
        sqlite_with_rowid=False,
    )

"""what the keys of a campaign do, and what they did in its calls."""

import sqlalchemy as sa
from alembic import op

from autodialer.store.sql import column_types as columns

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """From 0010 to 0011."""
    op.add_column("campaigns", sa.Column("keys", columns.JsonObject(), nullable=True))
    op.add_column("campaigns", sa.Column("transfer_to", sa.Text(), nullable=True))
    op.add_column("campaigns", sa.Column("key_wait_s", sa.Float(), nullable=True))
    op.add_column("calls", sa.Column("key_results", columns.KeyResults(), nullable=True))
    op.create_table(
        "key_counts",
        sa.Column("campaign_key", columns.Key, nullable=False),
        sa.Column("digit", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column(
            "effect",
            sa.Text(),
            nullable=False,
            comment="of several presses in a call the last that changed anything",
        ),
        sa.Column("calls", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["campaign_key"], ["campaigns.key"], name=op.f("key_counts_campaign_key_there")),
        sa.PrimaryKeyConstraint("campaign_key", "digit", "action", "effect", name=op.f("key_counts_key")),
        sqlite_with_rowid=False,
        comment="finished calls in which a key of the campaign was pressed, counted as they are recorded",
    )

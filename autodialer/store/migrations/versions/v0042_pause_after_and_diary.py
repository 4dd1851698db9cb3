"""a campaign pauses after so many people, and keeps a diary."""

import sqlalchemy as sa
from alembic import op

from autodialer.store.sql import column_types as columns

revision = "0042"
down_revision = "0041"


def upgrade() -> None:
    """To 0042."""
    op.add_column("campaigns", sa.Column("pause_after", sa.Integer(), nullable=True))
    op.add_column("campaigns", sa.Column("people_called", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.execute(
        "UPDATE campaigns SET people_called = (SELECT COALESCE(SUM(subscribers), 0) FROM subscriber_counts"
        " WHERE campaign_key = campaigns.key AND state IN ('in_progress', 'reached', 'exhausted'))"
    )
    op.create_table(
        "campaign_diary",
        sa.Column("key", columns.Key, nullable=False),
        sa.Column("campaign_key", columns.Key, nullable=False),
        sa.Column("at", columns.UtcTime(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column(
            "subject", sa.Text(), nullable=True, comment="what has this event or its opposite: window, trunk 5, ..."
        ),
        sa.Column("by_login", sa.Text(), nullable=True, comment="NULL: nobody, a rule did it"),
        sa.Column("details", columns.JsonObject(), nullable=True),
        sa.Column("times", sa.Integer(), server_default=sa.text("1"), nullable=False, comment="merged into this line"),
        sa.Column("last_at", columns.UtcTime(), nullable=False, comment="of the last of them"),
        sa.ForeignKeyConstraint(["campaign_key"], ["campaigns.key"], name=op.f("campaign_diary_campaign_key_there")),
        sa.PrimaryKeyConstraint("key", name=op.f("campaign_diary_key")),
        comment="what happened to a campaign, for its owner",
        sqlite_autoincrement=True,
    )
    op.create_index("campaign_diary_campaign_key_key", "campaign_diary", ["campaign_key", "key"])

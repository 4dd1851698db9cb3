"""who started, paused or stopped a campaign last, and what keeps a running one from starting more calls."""

import sqlalchemy as sa
from alembic import op

from autodialer.store.sql import column_types as columns

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """From 0012 to 0013."""
    op.create_table(
        "campaign_status",
        sa.Column("campaign_key", columns.Key, autoincrement=False, nullable=False),
        sa.Column(
            "limited_by", sa.Text(), nullable=True, comment="what keeps it from starting more calls; NULL: nothing"
        ),
        sa.Column("until", columns.UtcTime(), nullable=True, comment="when a slow rate lets the next call start"),
        sa.Column("written_at", columns.UtcTime(), nullable=False),
        sa.CheckConstraint(
            "limited_by IN ('campaign_channels', 'campaign_cps', 'trunk_channels', 'trunk_cps', 'trunk_in_doubt',"
            " 'window_closed', 'before_start', 'after_end', 'no_trunk')",
            name=op.f("campaign_status_limited_by_known"),
        ),
        sa.ForeignKeyConstraint(
            ["campaign_key"], ["campaigns.key"], name=op.f("campaign_status_campaign_key_there"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("campaign_key", name=op.f("campaign_status_key")),
        comment="live state of running campaigns, written by the dialer at most once a second",
    )
    op.add_column("campaigns", sa.Column("moved_at", columns.UtcTime(), nullable=True))
    op.add_column("campaigns", sa.Column("moved_by", sa.Text(), nullable=True))
    op.create_table(
        "campaign_origins",
        sa.Column("campaign_key", columns.Key, nullable=False),
        sa.Column("origin_key", columns.Key, nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_key"], ["campaigns.key"], name=op.f("campaign_origins_campaign_key_there"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["origin_key"], ["campaigns.key"], name=op.f("campaign_origins_origin_key_there"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("campaign_key", "origin_key", name=op.f("campaign_origins_key")),
        comment="earlier campaigns of the same callbase; whom one of them reached, the campaign does not call",
        sqlite_with_rowid=False,
    )

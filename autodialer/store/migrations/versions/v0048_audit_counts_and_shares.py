"""refused log-ins counted in one row, and a machine that is shared among users."""

import sqlalchemy as sa
from alembic import op

from autodialer.store.sql import column_types as columns

revision = "0048"
down_revision = "0047"

LIMITS = (
    "campaign_channels",
    "campaign_cps",
    "trunk_channels",
    "trunk_cps",
    "trunk_in_doubt",
    "window_closed",
    "before_start",
    "after_end",
    "no_trunk",
    "machine_share",
)


def upgrade() -> None:
    """To 0048. The dialer writes its live state every second, so that the table of it may be dropped."""
    op.drop_table("campaign_status")
    op.create_table(
        "campaign_status",
        sa.Column("campaign_key", columns.Key, autoincrement=False, nullable=False),
        sa.Column(
            "limited_by", sa.Text(), nullable=True, comment="what keeps it from starting more calls; NULL: nothing"
        ),
        sa.Column("until", columns.UtcTime(), nullable=True, comment="when a slow rate lets the next call start"),
        sa.Column("written_at", columns.UtcTime(), nullable=False),
        sa.CheckConstraint(
            f"limited_by IN ({', '.join(map(repr, LIMITS))})", name=op.f("campaign_status_limited_by_known")
        ),
        sa.ForeignKeyConstraint(
            ["campaign_key"], ["campaigns.key"], name=op.f("campaign_status_campaign_key_there"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("campaign_key", name=op.f("campaign_status_key")),
        comment="live state of running campaigns, written by the dialer at most once a second",
    )
    op.add_column("audit", sa.Column("times", sa.Integer(), server_default=sa.text("1"), nullable=False))
    op.add_column("audit", sa.Column("merged_by", sa.Text(), nullable=True))
    op.create_index(
        "audit_merged_by",
        "audit",
        ["merged_by"],
        unique=True,
        sqlite_where=sa.text("merged_by IS NOT NULL"),
        postgresql_where=sa.text("merged_by IS NOT NULL"),
    )

"""campaigns are archived, and deleted."""

import sqlalchemy as sa
from alembic import op

from autodialer.store.sql import column_types as columns

revision = "0040"
down_revision = "0039"


def upgrade() -> None:
    """To 0040."""
    op.add_column("campaigns", sa.Column("archived_at", columns.UtcTime(), nullable=True))
    op.add_column("campaigns", sa.Column("deleted_at", columns.UtcTime(), nullable=True))
    op.create_index(
        "campaigns_deleted",
        "campaigns",
        ["key"],
        unique=False,
        sqlite_where=sa.text("deleted_at IS NOT NULL"),
        postgresql_where=sa.text("deleted_at IS NOT NULL"),
    )
    op.create_index("call_jobs_campaign_key_subscriber_key", "call_jobs", ["campaign_key", "subscriber_key"])

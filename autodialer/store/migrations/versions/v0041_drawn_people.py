"""campaigns for a slice of the people of another campaign."""

import sqlalchemy as sa
from alembic import op

from autodialer.store.sql import column_types as columns

revision = "0041"
down_revision = "0040"


def upgrade() -> None:
    """To 0041."""
    op.create_table(
        "campaign_slices",
        sa.Column("campaign_key", columns.Key, nullable=False),
        sa.Column("subscriber_key", columns.Key, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["campaign_key"], ["campaigns.key"], name=op.f("campaign_slices_campaign_key_there")),
        sa.PrimaryKeyConstraint("campaign_key", "subscriber_key", name=op.f("campaign_slices_key")),
        comment="the people of campaigns that are not for their whole callbase",
        sqlite_with_rowid=False,
    )
    op.add_column("campaigns", sa.Column("drawn_from", columns.Key, nullable=True))
    op.add_column("campaigns", sa.Column("drawn_by", columns.JsonObject(), nullable=True))
    op.add_column("campaigns", sa.Column("drawn_up_to", columns.Key, nullable=True))
    op.add_column("campaigns", sa.Column("drawn_people", sa.Integer(), nullable=True))
    op.create_index(
        "campaigns_drawing",
        "campaigns",
        ["key"],
        unique=False,
        sqlite_where=sa.text("drawn_up_to IS NOT NULL"),
        postgresql_where=sa.text("drawn_up_to IS NOT NULL"),
    )

"""the dialogs of answered calls, so that the dialer that starts after one that died can hang them up."""

import sqlalchemy as sa
from alembic import op

from autodialer.store.sql import column_types as columns

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """From 0013 to 0014."""
    op.create_table(
        "dialogs",
        sa.Column("call_id", columns.PublicId(), nullable=False),
        sa.Column("trunk_key", columns.Key, nullable=False),
        sa.Column(
            "dialog", sa.Text(), nullable=False, comment="JSON: what a BYE needs, as the SIP core wrote it; no password"
        ),
        sa.ForeignKeyConstraint(
            ["trunk_key"], ["trunks.key"], name=op.f("dialogs_trunk_key_there"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("call_id", name=op.f("dialogs_key")),
        comment="calls that are answered and not over; the row goes in the commit of the call's outcome",
        sqlite_with_rowid=False,
    )

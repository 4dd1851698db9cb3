"""when digits were pressed, and digits that the API asks the dialer to send."""

import sqlalchemy as sa
from alembic import op

from autodialer.store.sql import column_types as columns

revision = "0008"
down_revision = "0007"

KINDS = "'hangup_campaign', 'hangup_call', 'trace_call', 'check_trunk', 'send_digits'"


def upgrade() -> None:
    """To 0008."""
    op.add_column("calls", sa.Column("digit_times", columns.DigitTimes(), nullable=True))
    # Commands are kept for a day at most: a new kind needs another check, and the old ones are forgotten.
    op.drop_table("commands")
    op.create_table(
        "commands",
        sa.Column("key", columns.Key, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("campaign_key", columns.Key, nullable=True),
        sa.Column("call_id", columns.PublicId(), nullable=True, comment="or the id of the trunk check"),
        sa.Column("digits", sa.Text(), nullable=True, comment="to be sent"),
        sa.Column("created_at", columns.UtcTime(), nullable=False),
        sa.Column("taken_at", columns.UtcTime(), nullable=True, comment="NULL: the dialer has not seen it"),
        sa.Column("reply", sa.Text(), nullable=True, comment="what the dialer says to it; NULL: nothing yet"),
        sa.CheckConstraint(f"kind IN ({KINDS})", name=op.f("commands_kind_known")),
        sa.ForeignKeyConstraint(["campaign_key"], ["campaigns.key"], name=op.f("commands_campaign_key_there")),
        sa.PrimaryKeyConstraint("key", name=op.f("commands_key")),
        comment="what the API asks of the dialer",
        sqlite_autoincrement=True,
    )
    op.create_index(
        "commands_new",
        "commands",
        ["key"],
        unique=False,
        sqlite_where=sa.text("taken_at IS NULL"),
        postgresql_where=sa.text("taken_at IS NULL"),
    )

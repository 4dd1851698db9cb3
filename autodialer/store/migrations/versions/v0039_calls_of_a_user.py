"""the calls of a user over all campaigns, and calls and campaigns found without walking over the others."""

import sqlalchemy as sa
from alembic import op

from autodialer.store.sql import column_types as columns

revision = "0039"
down_revision = "0038"

# Frozen as autodialer.store.calls.owning had it.
HAND_OVER = """CREATE TRIGGER campaigns_handed_over AFTER UPDATE OF owner_key ON campaigns
WHEN NEW.owner_key <> OLD.owner_key
BEGIN
    UPDATE calls SET owner_key = NEW.owner_key WHERE campaign_key = NEW.key;
END"""


def upgrade() -> None:
    """To 0039."""
    op.add_column("calls", sa.Column("owner_key", columns.Key, nullable=True))
    op.execute(
        "UPDATE calls SET owner_key ="
        " (SELECT campaigns.owner_key FROM campaigns WHERE campaigns.key = calls.campaign_key)"
    )
    op.create_index(op.f("calls_owner_key_invited_at"), "calls", ["owner_key", "invited_at"], unique=False)
    op.create_index(op.f("calls_campaign_key_invited_at"), "calls", ["campaign_key", "invited_at"], unique=False)
    for table in ("campaigns", "callbases"):
        op.create_index(
            f"{table}_shown",
            table,
            ["owner_key"],
            unique=False,
            sqlite_where=sa.text("hidden = 0"),
            postgresql_where=sa.text("NOT hidden"),
        )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(HAND_OVER)

"""where numbers lead, and where trunks may call."""

import sqlalchemy as sa
from alembic import op

from autodialer.store.sql import column_types as columns

revision = "0046"
down_revision = "0043"

# Frozen as autodialer.store.figures.counting made them; other dialects get theirs with their first migration.
TRIGGERS = {
    "sqlite": (
        """CREATE TRIGGER subscribers_destination_counted AFTER INSERT ON subscribers
WHEN NEW.number IS NOT NULL
BEGIN
    INSERT INTO callbase_destinations (callbase_key, destination, subscribers)
    VALUES (NEW.callbase_key, COALESCE(NEW.destination, ''), 1)
    ON CONFLICT (callbase_key, destination) DO UPDATE SET subscribers = subscribers + 1;
END""",
        """CREATE TRIGGER subscribers_destination_recounted
AFTER UPDATE OF number, destination ON subscribers
WHEN OLD.number IS NOT NULL
BEGIN
    UPDATE callbase_destinations SET subscribers = subscribers - 1
    WHERE callbase_key = OLD.callbase_key AND destination = COALESCE(OLD.destination, '');
    INSERT INTO callbase_destinations (callbase_key, destination, subscribers)
    SELECT NEW.callbase_key, COALESCE(NEW.destination, ''), 1 WHERE NEW.number IS NOT NULL
    ON CONFLICT (callbase_key, destination) DO UPDATE SET subscribers = subscribers + 1;
END""",
        """CREATE TRIGGER subscribers_destination_deleted AFTER DELETE ON subscribers
WHEN OLD.number IS NOT NULL
BEGIN
    UPDATE callbase_destinations SET subscribers = subscribers - 1
    WHERE callbase_key = OLD.callbase_key AND destination = COALESCE(OLD.destination, '');
END""",
    )
}
FILL = """INSERT INTO callbase_destinations (callbase_key, destination, subscribers)
SELECT callbase_key, '', COUNT(*) FROM subscribers WHERE number IS NOT NULL GROUP BY callbase_key"""
# What is dialled as written goes on: a trunk that has led to a PBX is not cut off from its extensions by an upgrade.
KEEP_EXTENSIONS = """UPDATE trunks SET allowed_special = 'short,as_written' WHERE key IN (
    SELECT campaign_trunks.trunk_key FROM campaign_trunks
    JOIN campaigns ON campaigns.key = campaign_trunks.campaign_key
    JOIN callbases ON callbases.key = campaigns.callbase_key
    WHERE callbases.region = 'raw' AND NOT callbases.hidden
)"""


def upgrade() -> None:
    """To 0046."""
    op.add_column("trunks", sa.Column("allowed_countries", sa.Text(), nullable=True))
    op.add_column("trunks", sa.Column("allowed_special", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column("subscribers", sa.Column("destination", sa.Text(), nullable=True))
    op.create_table(
        "callbase_destinations",
        sa.Column("callbase_key", columns.Key, nullable=False),
        sa.Column("destination", sa.Text(), nullable=False, comment="RU, RU:premium, :satellite; empty: not found yet"),
        sa.Column("subscribers", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(
            ["callbase_key"],
            ["callbases.key"],
            name=op.f("callbase_destinations_callbase_key_there"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("callbase_key", "destination", name=op.f("callbase_destinations_key")),
        comment="subscribers of a callbase by where their number leads, counted as they come and go",
        sqlite_with_rowid=False,
    )
    op.execute(FILL)
    op.execute(KEEP_EXTENSIONS)
    for statement in TRIGGERS[op.get_bind().dialect.name]:
        op.execute(statement)

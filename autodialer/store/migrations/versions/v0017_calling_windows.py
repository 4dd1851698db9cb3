"""calling windows, and the time zones of subscribers."""

import sqlalchemy as sa
from alembic import op

from autodialer.store.sql import column_types as columns

revision = "0017"
down_revision = "0016"

# Frozen as autodialer.store.figures.counting made them; other dialects get theirs with their first migration.
TRIGGERS = {
    "sqlite": (
        """CREATE TRIGGER subscribers_zone_counted AFTER INSERT ON subscribers
WHEN NEW.number IS NOT NULL
BEGIN
    INSERT INTO callbase_zones (callbase_key, zone, found_by, subscribers)
    VALUES (
        NEW.callbase_key, COALESCE(NEW.timezone, NEW.number_zone, ''),
        CASE WHEN NEW.timezone IS NOT NULL THEN 'column' ELSE COALESCE(NEW.number_zone_by, '') END, 1
    )
    ON CONFLICT (callbase_key, zone, found_by) DO UPDATE SET subscribers = subscribers + 1;
END""",
        """CREATE TRIGGER subscribers_zone_forgotten AFTER UPDATE OF number ON subscribers
WHEN OLD.number IS NOT NULL AND NEW.number IS NULL
BEGIN
    UPDATE callbase_zones SET subscribers = subscribers - 1
    WHERE callbase_key = OLD.callbase_key AND zone = COALESCE(OLD.timezone, OLD.number_zone, '')
        AND found_by = CASE WHEN OLD.timezone IS NOT NULL THEN 'column' ELSE COALESCE(OLD.number_zone_by, '') END;
END""",
        """CREATE TRIGGER subscribers_zone_deleted AFTER DELETE ON subscribers
WHEN OLD.number IS NOT NULL
BEGIN
    UPDATE callbase_zones SET subscribers = subscribers - 1
    WHERE callbase_key = OLD.callbase_key AND zone = COALESCE(OLD.timezone, OLD.number_zone, '')
        AND found_by = CASE WHEN OLD.timezone IS NOT NULL THEN 'column' ELSE COALESCE(OLD.number_zone_by, '') END;
END""",
    )
}
FILL = """INSERT INTO callbase_zones (callbase_key, zone, found_by, subscribers)
SELECT callbase_key, COALESCE(timezone, ''), CASE WHEN timezone IS NOT NULL THEN 'column' ELSE '' END, COUNT(*)
FROM subscribers WHERE number IS NOT NULL GROUP BY 1, 2, 3"""


def upgrade() -> None:
    """From 0016 to 0017."""
    op.add_column("campaigns", sa.Column("calling_window", columns.JsonObject(), nullable=True))
    op.add_column("campaigns", sa.Column("holidays", columns.JsonObject(), nullable=True))
    op.add_column("campaigns", sa.Column("starts_at", columns.UtcTime(), nullable=True))
    op.add_column("campaigns", sa.Column("ends_at", columns.UtcTime(), nullable=True))
    op.add_column("subscribers", sa.Column("number_zone", sa.Text(), nullable=True))
    op.add_column("subscribers", sa.Column("number_zone_by", sa.Text(), nullable=True))
    op.create_table(
        "callbase_zones",
        sa.Column("callbase_key", columns.Key, nullable=False),
        sa.Column("zone", sa.Text(), nullable=False, comment="IANA name; empty: none is known"),
        sa.Column("found_by", sa.Text(), nullable=False, comment="column, number or plan; empty: by nothing"),
        sa.Column("subscribers", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(
            ["callbase_key"], ["callbases.key"], name=op.f("callbase_zones_callbase_key_there"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("callbase_key", "zone", "found_by", name=op.f("callbase_zones_key")),
        comment="subscribers of a callbase by their time zone, counted as they come and go",
        sqlite_with_rowid=False,
    )
    op.execute(FILL)
    for statement in TRIGGERS[op.get_bind().dialect.name]:
        op.execute(statement)

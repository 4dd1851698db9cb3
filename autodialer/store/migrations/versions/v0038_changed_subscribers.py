"""subscribers that are changed and deleted, and the audit found by its time and its action."""

import sqlalchemy as sa
from alembic import op

from autodialer.store.sql import column_types as columns

revision = "0038"
down_revision = "0037"

# Frozen as autodialer.store.figures.counting had it.
MOVE_ZONE = """CREATE TRIGGER subscribers_zone_moved
AFTER UPDATE OF timezone, number_zone, number_zone_by ON subscribers
WHEN OLD.number IS NOT NULL AND NEW.number IS NOT NULL
BEGIN
    UPDATE callbase_zones SET subscribers = subscribers - 1
    WHERE callbase_key = OLD.callbase_key AND zone = COALESCE(OLD.timezone, OLD.number_zone, '')
        AND found_by = CASE WHEN OLD.timezone IS NOT NULL THEN 'column' ELSE COALESCE(OLD.number_zone_by, '') END;
    INSERT INTO callbase_zones (callbase_key, zone, found_by, subscribers)
    VALUES (
        NEW.callbase_key, COALESCE(NEW.timezone, NEW.number_zone, ''),
        CASE WHEN NEW.timezone IS NOT NULL THEN 'column' ELSE COALESCE(NEW.number_zone_by, '') END, 1
    )
    ON CONFLICT (callbase_key, zone, found_by) DO UPDATE SET subscribers = subscribers + 1;
END"""


def upgrade() -> None:
    """To 0038."""
    op.add_column("subscribers", sa.Column("deleted_at", columns.UtcTime(), nullable=True))
    if op.get_bind().dialect.name == "sqlite":
        op.execute(MOVE_ZONE)
    op.create_index(op.f("audit_at"), "audit", ["at"], unique=False)
    op.create_index(op.f("audit_action"), "audit", ["action"], unique=False)

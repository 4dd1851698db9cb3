"""a cause of its own for calls that an error of the dialer itself ended."""

from alembic import op
from sqlalchemy import text

revision = "0020"
down_revision = "0018"

BEFORE = (
    "cause IN ('auth_failed', 'forbidden', 'media_failed', 'no_response', 'redirected', 'transport_error', "
    "'protocol_error', 'trunk_limit')"
)
AFTER = BEFORE.removesuffix(")") + ", 'internal_error')"
REWRITE = "UPDATE sqlite_schema SET sql = replace(sql, :before, :after) WHERE type = 'table' AND name = 'calls'"


def upgrade() -> None:
    """To 0020."""
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        op.drop_constraint(op.f("calls_cause_known"), "calls", type_="check")
        op.create_check_constraint(op.f("calls_cause_known"), "calls", AFTER)
        return
    # SQLite cannot change a CHECK, and copying the table would take minutes with millions of calls. A CHECK that lets
    # more through changes nothing on the disk, so its text alone is rewritten: https://sqlite.org/lang_altertable.html,
    # "Making Other Kinds Of Table Schema Changes". The new schema version makes other connections read it again.
    version = connection.execute(text("PRAGMA schema_version")).scalar_one()
    connection.execute(text("PRAGMA writable_schema = ON"))
    connection.execute(text(REWRITE), {"before": BEFORE, "after": AFTER})
    connection.execute(text(f"PRAGMA schema_version = {version + 1}"))
    connection.execute(text("PRAGMA writable_schema = OFF"))

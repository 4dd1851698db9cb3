"""a campaign without limits of its own, trunks that are woken by hand, and jobs that were never begun after all."""

import sqlalchemy as sa
from alembic import op

from autodialer.store.sql import column_types as columns

revision = "0018"
down_revision = "0017"

KINDS = "'hangup_campaign', 'hangup_call', 'trace_call', 'check_trunk', 'send_digits', 'wake_trunk'"
# Frozen as autodialer.store.sql.transitions made it.
TRIGGERS = {
    "sqlite": """CREATE TRIGGER campaign_subscribers_state BEFORE UPDATE OF state ON campaign_subscribers
WHEN NOT (
    NEW.state = OLD.state
    OR OLD.state = 'pending' AND NEW.state IN ('in_progress', 'excluded')
    OR OLD.state = 'in_progress' AND NEW.state IN ('pending', 'reached', 'exhausted', 'excluded')
)
BEGIN
    SELECT RAISE(ABORT, 'campaign_subscribers.state: there is no such transition');
END""",
}

COMMENTS = {
    "-- in_progress -> reached | exhausted | excluded": "-- in_progress -> pending | reached | exhausted | excluded",
    "-- its rows in calls but the cancelled ones": "-- its rows in calls but those cancelled"
    " and those that failed by the trunk's fault",
}


def upgrade() -> None:
    """To 0018."""
    _let_limits_be_absent()
    op.execute("DROP TRIGGER campaign_subscribers_state")
    op.execute(TRIGGERS[op.get_bind().dialect.name])
    # Commands are kept for a day at most: a new kind needs another check, and the old ones are forgotten.
    op.drop_table("commands")
    op.create_table(
        "commands",
        sa.Column("key", columns.Key, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("campaign_key", columns.Key, nullable=True),
        sa.Column("trunk_key", columns.Key, nullable=True),
        sa.Column("call_id", columns.PublicId(), nullable=True, comment="or the id of the trunk check"),
        sa.Column("digits", sa.Text(), nullable=True, comment="to be sent"),
        sa.Column("created_at", columns.UtcTime(), nullable=False),
        sa.Column("taken_at", columns.UtcTime(), nullable=True, comment="NULL: the dialer has not obeyed it"),
        sa.Column("reply", sa.Text(), nullable=True, comment="what the dialer says to it; NULL: nothing yet"),
        sa.CheckConstraint(f"kind IN ({KINDS})", name=op.f("commands_kind_known")),
        sa.ForeignKeyConstraint(["campaign_key"], ["campaigns.key"], name=op.f("commands_campaign_key_there")),
        sa.ForeignKeyConstraint(
            ["trunk_key"], ["trunks.key"], name=op.f("commands_trunk_key_there"), ondelete="CASCADE"
        ),
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


def _let_limits_be_absent() -> None:
    if op.get_bind().dialect.name != "sqlite":
        op.alter_column("campaigns", "max_channels", nullable=True)
        op.alter_column("campaigns", "cps", nullable=True)
        return
    # NOT NULL goes off a column in SQLite by making the table again, or by changing its text, which SQLite recommends
    # where no row is stored otherwise (https://sqlite.org/lang_altertable.html, "Making Other Kinds Of Table Schema
    # Changes").
    # The text also holds the comments, and campaign_subscribers may have millions of rows.
    _change_text("campaigns", {"max_channels INTEGER NOT NULL": "max_channels INTEGER"})
    _change_text("campaigns", {"cps FLOAT NOT NULL": "cps FLOAT"})
    _change_text("campaign_subscribers", COMMENTS)


def _change_text(table: str, changes: dict[str, str]) -> None:
    connection = op.get_bind()
    wanted = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?"
    text = connection.exec_driver_sql(wanted, (table,)).scalar_one()
    for old, new in changes.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    connection.exec_driver_sql("UPDATE sqlite_master SET sql = ? WHERE type = 'table' AND name = ?", (text, table))
    connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = RESET")

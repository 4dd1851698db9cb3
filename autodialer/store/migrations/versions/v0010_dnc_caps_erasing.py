"""DNC entries for everybody and their imports, caps of a campaign, and what a job waits for."""

import sqlalchemy as sa
from alembic import op

from autodialer.store.sql import column_types as columns

revision = "0010"
down_revision = "0008"

# Frozen as it was made by autodialer.store.sql.transitions.
TRIGGERS = {
    "sqlite": """CREATE TRIGGER dnc_imports_state BEFORE UPDATE OF state ON dnc_imports
WHEN NOT (
    NEW.state = OLD.state
    OR OLD.state = 'importing' AND NEW.state IN ('ready', 'failed')
)
BEGIN
    SELECT RAISE(ABORT, 'dnc_imports.state: there is no such transition');
END""",
}


def upgrade() -> None:
    """From 0008 to 0010."""
    _dnc()
    op.add_column("campaigns", sa.Column("cap_day", sa.Integer(), nullable=True))
    op.add_column("campaigns", sa.Column("cap_week", sa.Integer(), nullable=True))
    op.create_index(op.f("calls_number_invited_at"), "calls", ["number", "invited_at"], unique=False)
    op.add_column("call_jobs", sa.Column("waits_for", sa.Text(), nullable=True))
    waiting = sa.text("state = 'queued' AND waits_for IS NOT NULL")
    op.create_index(
        "call_jobs_waiting",
        "call_jobs",
        ["campaign_key", "waits_for", "not_before", "state"],
        unique=False,
        sqlite_where=waiting,
        postgresql_where=waiting,
    )


def _dnc() -> None:
    op.add_column("dnc", sa.Column("for_everybody", sa.Boolean(), server_default=sa.text("0"), nullable=False))
    op.create_index(
        "dnc_for_everybody",
        "dnc",
        ["key"],
        unique=False,
        sqlite_where=sa.text("for_everybody = 1"),
        postgresql_where=sa.text("for_everybody"),
    )
    # Until now everybody's entries were obeyed for everybody.
    op.execute("UPDATE dnc SET for_everybody = 1")
    op.create_table(
        "dnc_imports",
        sa.Column("key", columns.Key, nullable=False),
        sa.Column("id", columns.PublicId(), nullable=False),
        sa.Column("owner_key", columns.Key, nullable=False),
        sa.Column("file", sa.Text(), nullable=False, comment="name of the uploaded file"),
        sa.Column(
            "region",
            sa.Text(),
            nullable=False,
            comment="ISO 3166 country, or raw: numbers are kept as written",
        ),
        sa.Column("for_everybody", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "state",
            sa.Text(),
            server_default=sa.text("'importing'"),
            nullable=False,
            comment="importing -> ready | failed\nready (final)\nfailed (final)",
        ),
        sa.Column("rows", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("rows_done", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("imported", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "duplicates",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="on the list already, or twice in the file",
        ),
        sa.Column("rejected", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", columns.UtcTime(), nullable=False),
        sa.CheckConstraint("state IN ('importing', 'ready', 'failed')", name=op.f("dnc_imports_state_known")),
        sa.ForeignKeyConstraint(["owner_key"], ["users.key"], name=op.f("dnc_imports_owner_key_there")),
        sa.PrimaryKeyConstraint("key", name=op.f("dnc_imports_key")),
        sa.UniqueConstraint("id", name=op.f("dnc_imports_id_once")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("dnc_imports_owner_key"), "dnc_imports", ["owner_key"], unique=False)
    op.create_table(
        "dnc_rejected_rows",
        sa.Column("key", columns.Key, nullable=False),
        sa.Column("import_key", columns.Key, nullable=False),
        sa.Column("row", sa.Integer(), nullable=False, comment="of the file, as a spreadsheet counts"),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["import_key"], ["dnc_imports.key"], name=op.f("dnc_rejected_rows_import_key_there")),
        sa.PrimaryKeyConstraint("key", name=op.f("dnc_rejected_rows_key")),
    )
    op.create_index(op.f("dnc_rejected_rows_import_key"), "dnc_rejected_rows", ["import_key"], unique=False)
    op.execute(TRIGGERS[op.get_bind().dialect.name])

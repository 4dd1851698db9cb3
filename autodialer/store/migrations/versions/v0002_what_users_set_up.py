"""what users set up."""

import sqlalchemy as sa
from alembic import op

from autodialer.store.sql import column_types as columns

revision = "0002"
down_revision = "0001"

# Frozen as they were made by autodialer.store.sql.transitions; other dialects get theirs with their first migration.
TRIGGERS = {
    "sqlite": (
        """CREATE TRIGGER callbases_state BEFORE UPDATE OF state ON callbases
WHEN NOT (
    NEW.state = OLD.state
    OR OLD.state = 'importing' AND NEW.state IN ('ready', 'failed')
)
BEGIN
    SELECT RAISE(ABORT, 'callbases.state: there is no such transition');
END""",
    ),
}


def upgrade() -> None:
    """From 0001 to 0002."""
    op.create_table(
        "callbases",
        sa.Column("key", columns.Key, nullable=False),
        sa.Column("id", columns.PublicId(), nullable=False),
        sa.Column("owner_key", columns.Key, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "region", sa.Text(), nullable=False, comment="ISO 3166 country, or raw: numbers are dialled as written"
        ),
        sa.Column("timezone", sa.Text(), nullable=True),
        sa.Column(
            "state",
            sa.Text(),
            server_default=sa.text("'importing'"),
            nullable=False,
            comment=("importing -> ready | failed\nready (final)\nfailed (final)"),
        ),
        sa.Column(
            "rows", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="of the file, without its header"
        ),
        sa.Column("rows_done", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "imported",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="exactly the number of its rows in subscribers",
        ),
        sa.Column("duplicates", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("rejected", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column(
            "hidden",
            sa.Boolean(),
            server_default=sa.text("0"),
            nullable=False,
            comment="behind a sample call; no list shows it",
        ),
        sa.Column("created_at", columns.UtcTime(), nullable=False),
        sa.Column(
            "deleted_at",
            columns.UtcTime(),
            nullable=True,
            comment="the row stays for the campaigns that called it, its subscribers are erased",
        ),
        sa.CheckConstraint("state IN ('importing', 'ready', 'failed')", name=op.f("callbases_state_known")),
        sa.ForeignKeyConstraint(["owner_key"], ["users.key"], name=op.f("callbases_owner_key_there")),
        sa.PrimaryKeyConstraint("key", name=op.f("callbases_key")),
        sa.UniqueConstraint("id", name=op.f("callbases_id_once")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("callbases_owner_key"), "callbases", ["owner_key"], unique=False)
    op.create_table(
        "dnc",
        sa.Column("key", columns.Key, nullable=False),
        sa.Column("owner_key", columns.Key, nullable=False),
        sa.Column("number", sa.Text(), nullable=False, comment="never dialled, whoever entered it"),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("created_at", columns.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["owner_key"], ["users.key"], name=op.f("dnc_owner_key_there")),
        sa.PrimaryKeyConstraint("key", name=op.f("dnc_key")),
        sa.UniqueConstraint("number", "owner_key", name=op.f("dnc_number_owner_key_once")),
    )
    op.create_index(op.f("dnc_owner_key"), "dnc", ["owner_key"], unique=False)
    op.create_table(
        "sounds",
        sa.Column("key", columns.Key, nullable=False),
        sa.Column("id", columns.PublicId(), nullable=False),
        sa.Column("owner_key", columns.Key, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("duration_s", sa.Float(), nullable=False),
        sa.Column("peak_dbfs", sa.Float(), nullable=False),
        sa.Column("loudness_lufs", sa.Float(), nullable=True),
        sa.Column("sample_rate", sa.Integer(), nullable=False, comment="Hz, of the file as it came"),
        sa.Column("channels", sa.Integer(), nullable=False, comment="of the file as it came"),
        sa.Column("path", sa.Text(), nullable=False, comment="relative to the data folder; .alaw and .ulaw beside it"),
        sa.Column("original_path", sa.Text(), nullable=False),
        sa.Column("created_at", columns.UtcTime(), nullable=False),
        sa.Column(
            "deleted_at", columns.UtcTime(), nullable=True, comment="the row stays for the campaigns that played it"
        ),
        sa.ForeignKeyConstraint(["owner_key"], ["users.key"], name=op.f("sounds_owner_key_there")),
        sa.PrimaryKeyConstraint("key", name=op.f("sounds_key")),
        sa.UniqueConstraint("id", name=op.f("sounds_id_once")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("sounds_owner_key"), "sounds", ["owner_key"], unique=False)
    op.create_table(
        "trunks",
        sa.Column("key", columns.Key, nullable=False),
        sa.Column("id", columns.PublicId(), nullable=False),
        sa.Column("owner_key", columns.Key, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=True, comment="NULL: the default of the transport"),
        sa.Column("transport", sa.Text(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column(
            "password", sa.LargeBinary(), nullable=True, comment="AES-256-GCM; NULL: none, or the trunk is deleted"
        ),
        sa.Column("auth_username", sa.Text(), nullable=True, comment="NULL: username"),
        sa.Column("domain", sa.Text(), nullable=True, comment="NULL: host"),
        sa.Column("caller_id", sa.Text(), nullable=True, comment="NULL: username"),
        sa.Column("number_format", sa.Text(), nullable=False, comment="template over {e164} and {national}"),
        sa.Column("max_channels", sa.Integer(), nullable=False),
        sa.Column("cps", sa.Float(), nullable=False),
        sa.Column("codecs", sa.Text(), nullable=False, comment="in the order of the offer, with commas between"),
        sa.Column(
            "hidden",
            sa.Boolean(),
            server_default=sa.text("0"),
            nullable=False,
            comment="made by a sample call of the prototype; no list shows it",
        ),
        sa.Column("created_at", columns.UtcTime(), nullable=False),
        sa.Column(
            "deleted_at", columns.UtcTime(), nullable=True, comment="the row stays for the calls that went through it"
        ),
        sa.ForeignKeyConstraint(["owner_key"], ["users.key"], name=op.f("trunks_owner_key_there")),
        sa.PrimaryKeyConstraint("key", name=op.f("trunks_key")),
        sa.UniqueConstraint("id", name=op.f("trunks_id_once")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("trunks_owner_key"), "trunks", ["owner_key"], unique=False)
    op.create_table(
        "rejected_rows",
        sa.Column("key", columns.Key, nullable=False),
        sa.Column("callbase_key", columns.Key, nullable=False),
        sa.Column("row", sa.Integer(), nullable=False, comment="of the file, as a spreadsheet counts"),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["callbase_key"], ["callbases.key"], name=op.f("rejected_rows_callbase_key_there")),
        sa.PrimaryKeyConstraint("key", name=op.f("rejected_rows_key")),
    )
    op.create_index(op.f("rejected_rows_callbase_key"), "rejected_rows", ["callbase_key"], unique=False)
    op.create_table(
        "subscribers",
        sa.Column("key", columns.Key, nullable=False),
        sa.Column("id", columns.PublicId(), nullable=False),
        sa.Column("callbase_key", columns.Key, nullable=False),
        sa.Column(
            "number",
            sa.Text(),
            nullable=True,
            comment="E.164 with the plus, or as written in a raw callbase; NULL: erased",
        ),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("timezone", sa.Text(), nullable=True),
        sa.Column(
            "extra", columns.JsonObject(), nullable=True, comment="JSON: the columns that have no field of their own"
        ),
        sa.ForeignKeyConstraint(["callbase_key"], ["callbases.key"], name=op.f("subscribers_callbase_key_there")),
        sa.PrimaryKeyConstraint("key", name=op.f("subscribers_key")),
        sa.UniqueConstraint("callbase_key", "number", name=op.f("subscribers_callbase_key_number_once")),
        sa.UniqueConstraint("id", name=op.f("subscribers_id_once")),
    )
    op.create_index(op.f("subscribers_callbase_key"), "subscribers", ["callbase_key"], unique=False)
    for trigger in TRIGGERS[op.get_bind().dialect.name]:
        op.execute(trigger)

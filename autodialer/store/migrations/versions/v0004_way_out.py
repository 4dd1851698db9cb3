"""how a trunk is reached: TCP, TLS, registration, NAT; traces and checks."""

import sqlalchemy as sa
from alembic import op

from autodialer.store.sql import column_types as columns

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """From 0003 to 0004."""
    op.add_column("trunks", sa.Column("ca_file", sa.Text(), nullable=True))
    op.add_column("trunks", sa.Column("outbound_proxy", sa.Text(), nullable=True))
    op.add_column("trunks", sa.Column("register", sa.Boolean(), server_default=sa.text("0"), nullable=False))
    op.add_column("trunks", sa.Column("caller_id_header", sa.Text(), server_default=sa.text("'from'"), nullable=False))
    op.add_column("trunks", sa.Column("symmetric_rtp", sa.Boolean(), server_default=sa.text("1"), nullable=False))
    op.add_column("trunks", sa.Column("stun_server", sa.Text(), nullable=True))
    # Commands are kept for a day at most: those of the new kinds need another check, and the old ones are forgotten.
    op.drop_table("commands")
    op.create_table(
        "commands",
        sa.Column("key", columns.Key, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("campaign_key", columns.Key, nullable=True),
        sa.Column("call_id", columns.PublicId(), nullable=True, comment="or the id of the trunk check"),
        sa.Column("created_at", columns.UtcTime(), nullable=False),
        sa.Column("taken_at", columns.UtcTime(), nullable=True, comment="NULL: the dialer has not seen it"),
        sa.CheckConstraint(
            "kind IN ('hangup_campaign', 'hangup_call', 'trace_call', 'check_trunk')", name=op.f("commands_kind_known")
        ),
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
    op.create_table(
        "call_traces",
        sa.Column("key", columns.Key, nullable=False),
        sa.Column("call_id", columns.PublicId(), nullable=False),
        sa.Column("written_at", columns.UtcTime(), nullable=False),
        sa.Column(
            "packed", sa.LargeBinary(), nullable=False, comment="the messages with their times, credentials masked"
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("call_traces_key")),
        sa.UniqueConstraint("call_id", name=op.f("call_traces_call_id_once")),
        comment="the SIP messages of the latest calls",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("call_traces_written_at"), "call_traces", ["written_at"], unique=False)
    op.create_table(
        "trunk_checks",
        sa.Column("key", columns.Key, nullable=False),
        sa.Column("id", columns.PublicId(), nullable=False),
        sa.Column("trunk_key", columns.Key, nullable=False),
        sa.Column("number", sa.Text(), nullable=True, comment="to call; NULL: no call"),
        sa.Column("asked_at", columns.UtcTime(), nullable=False),
        sa.Column("ended_at", columns.UtcTime(), nullable=True, comment="NULL: the dialer has no result yet"),
        sa.Column("result", columns.JsonObject(), nullable=True, comment="JSON: what the API answers"),
        sa.ForeignKeyConstraint(
            ["trunk_key"], ["trunks.key"], name=op.f("trunk_checks_trunk_key_there"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("trunk_checks_key")),
        sa.UniqueConstraint("id", name=op.f("trunk_checks_id_once")),
        comment="what POST /srv1/trunks/{id}/check asked of the dialer",
    )
    op.create_index(op.f("trunk_checks_trunk_key"), "trunk_checks", ["trunk_key"], unique=False)

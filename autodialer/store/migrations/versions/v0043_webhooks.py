"""webhooks and notices: events, who wants them, deliveries."""

import sqlalchemy as sa
from alembic import op

from autodialer.store.sql import column_types as columns

revision = "0043"
down_revision = "0042"

# Frozen as autodialer.store.webhooks.triggers made them; other dialects get theirs with their first migration.
TRIGGERS = {
    "sqlite": (
        """CREATE TRIGGER calls_told AFTER INSERT ON calls
WHEN EXISTS (
    SELECT 1 FROM webhooks WHERE campaign_key = NEW.campaign_key AND active AND instr(events, 'call.ended')
) OR EXISTS (
    SELECT 1 FROM webhooks
    WHERE owner_key = (SELECT owner_key FROM campaigns WHERE key = NEW.campaign_key)
        AND campaign_key IS NULL AND active AND instr(events, 'call.ended')
)
BEGIN
    INSERT INTO events (kind, at, campaign_key, object_key)
    VALUES ('call.ended', NEW.ended_at, NEW.campaign_key, NEW.key);
END""",
        """CREATE TRIGGER campaigns_told AFTER UPDATE OF state ON campaigns
WHEN NEW.state <> OLD.state AND NOT NEW.hidden AND (
    EXISTS (SELECT 1 FROM webhooks WHERE campaign_key = NEW.key AND active AND instr(events, 'campaign.state'))
    OR EXISTS (
        SELECT 1 FROM webhooks
        WHERE owner_key = NEW.owner_key AND campaign_key IS NULL AND active AND instr(events, 'campaign.state')
    )
    OR EXISTS (SELECT 1 FROM notices WHERE owner_key = NEW.owner_key AND active AND instr(events, 'campaign.state'))
)
BEGIN
    INSERT INTO events (kind, at, campaign_key, object_key, details)
    VALUES (
        'campaign.state', COALESCE(NEW.finished_at, NEW.moved_at, NEW.started_at, NEW.created_at), NEW.key, NEW.key,
        json_object(
            'state', NEW.state, 'before', OLD.state,
            'by', CASE WHEN NEW.state <> 'finished' THEN NEW.moved_by END
        )
    );
END""",
        """CREATE TRIGGER trunk_status_told AFTER INSERT ON trunk_status
WHEN COALESCE(CASE
        WHEN NEW.breaker_state <> 'closed' THEN 'resting'
        WHEN NEW.registration_state = 'failed' THEN 'not_registered'
        WHEN NEW.registration_state = 'registered' THEN 'working'
        WHEN NEW.registration_state = 'off' AND NOT (SELECT register FROM trunks WHERE key = NEW.trunk_key)
            THEN 'working'
    END, '') NOT IN (
    '', COALESCE((SELECT state FROM trunk_told WHERE trunk_key = NEW.trunk_key), 'working')
)
BEGIN
    INSERT INTO trunk_told (trunk_key, state) VALUES (NEW.trunk_key, CASE
        WHEN NEW.breaker_state <> 'closed' THEN 'resting'
        WHEN NEW.registration_state = 'failed' THEN 'not_registered'
        WHEN NEW.registration_state = 'registered' THEN 'working'
        WHEN NEW.registration_state = 'off' AND NOT (SELECT register FROM trunks WHERE key = NEW.trunk_key)
            THEN 'working'
    END)
    ON CONFLICT (trunk_key) DO UPDATE SET state = excluded.state;
    INSERT INTO events (kind, at, campaign_key, object_key, details)
    SELECT 'trunk.state', NEW.written_at, 0, NEW.trunk_key,
        json_object(
            'state', CASE
        WHEN NEW.breaker_state <> 'closed' THEN 'resting'
        WHEN NEW.registration_state = 'failed' THEN 'not_registered'
        WHEN NEW.registration_state = 'registered' THEN 'working'
        WHEN NEW.registration_state = 'off' AND NOT (SELECT register FROM trunks WHERE key = NEW.trunk_key)
            THEN 'working'
    END, 'cause', COALESCE(NEW.breaker_cause, NEW.registration_error), 'until', NEW.breaker_until
        )
    WHERE EXISTS (SELECT 1 FROM webhooks WHERE active AND instr(events, 'trunk.state'))
        OR EXISTS (SELECT 1 FROM notices WHERE active AND instr(events, 'trunk.state'));
END""",
        """CREATE TRIGGER trunk_status_told_again AFTER UPDATE OF breaker_state, registration_state ON trunk_status
WHEN COALESCE(CASE
        WHEN NEW.breaker_state <> 'closed' THEN 'resting'
        WHEN NEW.registration_state = 'failed' THEN 'not_registered'
        WHEN NEW.registration_state = 'registered' THEN 'working'
        WHEN NEW.registration_state = 'off' AND NOT (SELECT register FROM trunks WHERE key = NEW.trunk_key)
            THEN 'working'
    END, '') NOT IN (
    '', COALESCE((SELECT state FROM trunk_told WHERE trunk_key = NEW.trunk_key), 'working')
)
BEGIN
    INSERT INTO trunk_told (trunk_key, state) VALUES (NEW.trunk_key, CASE
        WHEN NEW.breaker_state <> 'closed' THEN 'resting'
        WHEN NEW.registration_state = 'failed' THEN 'not_registered'
        WHEN NEW.registration_state = 'registered' THEN 'working'
        WHEN NEW.registration_state = 'off' AND NOT (SELECT register FROM trunks WHERE key = NEW.trunk_key)
            THEN 'working'
    END)
    ON CONFLICT (trunk_key) DO UPDATE SET state = excluded.state;
    INSERT INTO events (kind, at, campaign_key, object_key, details)
    SELECT 'trunk.state', NEW.written_at, 0, NEW.trunk_key,
        json_object(
            'state', CASE
        WHEN NEW.breaker_state <> 'closed' THEN 'resting'
        WHEN NEW.registration_state = 'failed' THEN 'not_registered'
        WHEN NEW.registration_state = 'registered' THEN 'working'
        WHEN NEW.registration_state = 'off' AND NOT (SELECT register FROM trunks WHERE key = NEW.trunk_key)
            THEN 'working'
    END, 'cause', COALESCE(NEW.breaker_cause, NEW.registration_error), 'until', NEW.breaker_until
        )
    WHERE EXISTS (SELECT 1 FROM webhooks WHERE active AND instr(events, 'trunk.state'))
        OR EXISTS (SELECT 1 FROM notices WHERE active AND instr(events, 'trunk.state'));
END""",
        """CREATE TRIGGER callbases_told AFTER UPDATE OF state ON callbases
WHEN NEW.state <> OLD.state AND NOT NEW.hidden AND (
    EXISTS (SELECT 1 FROM webhooks WHERE active AND instr(events, 'import.ended'))
    OR EXISTS (SELECT 1 FROM notices WHERE active AND instr(events, 'import.ended'))
)
BEGIN
    INSERT INTO events (kind, at, campaign_key, object_key, details)
    VALUES (
        'import.ended', CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER), 0, NEW.key,
        json_object('into', 'callbase')
    );
END""",
        """CREATE TRIGGER dnc_imports_told AFTER UPDATE OF state ON dnc_imports
WHEN NEW.state <> OLD.state AND (
    EXISTS (SELECT 1 FROM webhooks WHERE active AND instr(events, 'import.ended'))
    OR EXISTS (SELECT 1 FROM notices WHERE active AND instr(events, 'import.ended'))
)
BEGIN
    INSERT INTO events (kind, at, campaign_key, object_key, details)
    VALUES (
        'import.ended', CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER), 0, NEW.key,
        json_object('into', 'dnc')
    );
END""",
        """CREATE TRIGGER dnc_told AFTER INSERT ON dnc
WHEN NEW.source GLOB 'opt_out:*' AND EXISTS (
    SELECT 1 FROM webhooks WHERE owner_key = NEW.owner_key AND active AND instr(events, 'opt_out')
)
BEGIN
    INSERT INTO events (kind, at, campaign_key, object_key)
    VALUES ('opt_out', NEW.created_at, 0, NEW.key);
END""",
    ),
}


def upgrade() -> None:
    """From 0032 to 0043."""
    _create_events()
    _create_webhooks()
    _create_webhook_deliveries()
    _create_webhook_lanes()
    _create_trunk_told()
    _create_notices()
    _create_notice_messages()
    for statement in TRIGGERS[op.get_bind().dialect.name]:
        op.execute(statement)


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("key", columns.Key, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", columns.UtcTime(), nullable=False),
        sa.Column("campaign_key", columns.Key, nullable=False, comment="0: no campaign's"),
        sa.Column(
            "object_key",
            columns.Key,
            nullable=False,
            comment="of the call, campaign, trunk, callbase, import or dnc entry",
        ),
        sa.Column("details", columns.JsonObject(), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("events_key")),
        comment="what happened and is not yet told; written by triggers, where a webhook or notice wants it",
        sqlite_autoincrement=True,
    )


def _create_webhooks() -> None:
    op.create_table(
        "webhooks",
        sa.Column("key", columns.Key, nullable=False),
        sa.Column("id", columns.PublicId(), nullable=False),
        sa.Column("owner_key", columns.Key, nullable=False),
        sa.Column("campaign_key", columns.Key, nullable=True, comment="NULL: all that the owner has"),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", sa.Text(), nullable=False, comment="words between spaces"),
        sa.Column("secret", sa.LargeBinary(), nullable=False, comment="the key of the signatures, encrypted"),
        sa.Column("format", sa.Text(), nullable=False, comment="json or form"),
        sa.Column("fields", columns.JsonObject(), nullable=True, comment="of a form: name -> template"),
        sa.Column("active", sa.Boolean(), server_default=sa.text("1"), nullable=False),
        sa.Column(
            "short",
            sa.Boolean(),
            server_default=sa.text("0"),
            nullable=False,
            comment="it is the webhook_url of its campaign",
        ),
        sa.Column("note", sa.Text(), nullable=True, comment="why it fails or was switched off"),
        sa.Column("failing_since", columns.UtcTime(), nullable=True, comment="NULL: the last delivery arrived"),
        sa.Column("created_at", columns.UtcTime(), nullable=False),
        sa.CheckConstraint("format IN ('json', 'form')", name=op.f("webhooks_format_known")),
        sa.ForeignKeyConstraint(
            ["campaign_key"], ["campaigns.key"], name=op.f("webhooks_campaign_key_there"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["owner_key"], ["users.key"], name=op.f("webhooks_owner_key_there"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("webhooks_key")),
        sa.UniqueConstraint("id", name=op.f("webhooks_id_once")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("webhooks", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("webhooks_campaign_key"), ["campaign_key"], unique=False)
        batch_op.create_index(batch_op.f("webhooks_owner_key"), ["owner_key"], unique=False)


def _create_webhook_deliveries() -> None:
    op.create_table(
        "webhook_deliveries",
        sa.Column("key", columns.Key, nullable=False),
        sa.Column("id", columns.PublicId(), nullable=False),
        sa.Column("webhook_key", columns.Key, nullable=False),
        sa.Column("owner_key", columns.Key, nullable=False),
        sa.Column("campaign_key", columns.Key, nullable=False, comment="0: no campaign's; -1: a test"),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("object_key", columns.Key, nullable=False),
        sa.Column(
            "payload", columns.JsonObject(), nullable=True, comment="NULL: about a person, and read when it is sent"
        ),
        sa.Column("at", columns.UtcTime(), nullable=False, comment="when it happened"),
        sa.Column("state", sa.Text(), server_default=sa.text("'waiting'"), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("first_at", columns.UtcTime(), nullable=True),
        sa.Column("last_at", columns.UtcTime(), nullable=True),
        sa.Column("retry_at", columns.UtcTime(), nullable=True),
        sa.Column("status_code", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('waiting', 'delivered', 'failed')", name=op.f("webhook_deliveries_state_known")),
        sa.PrimaryKeyConstraint("key", name=op.f("webhook_deliveries_key")),
        sa.UniqueConstraint("id", name=op.f("webhook_deliveries_id_once")),
        comment="an event for one webhook",
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("webhook_deliveries", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("webhook_deliveries_owner_key_key"), ["owner_key", "key"], unique=False)
        batch_op.create_index(
            "webhook_deliveries_undone",
            ["owner_key", "state", "key"],
            unique=False,
            sqlite_where=sa.text("state <> 'delivered'"),
            postgresql_where=sa.text("state <> 'delivered'"),
        )
        batch_op.create_index(
            "webhook_deliveries_waiting",
            ["webhook_key", "campaign_key", "key"],
            unique=False,
            sqlite_where=sa.text("state = 'waiting'"),
            postgresql_where=sa.text("state = 'waiting'"),
        )
        batch_op.create_index(batch_op.f("webhook_deliveries_webhook_key_key"), ["webhook_key", "key"], unique=False)


def _create_webhook_lanes() -> None:
    op.create_table(
        "webhook_lanes",
        sa.Column("webhook_key", columns.Key, nullable=False),
        sa.Column("campaign_key", columns.Key, nullable=False),
        sa.Column("next_at", columns.UtcTime(), nullable=False, comment="when the first of them is tried"),
        sa.ForeignKeyConstraint(
            ["webhook_key"], ["webhooks.key"], name=op.f("webhook_lanes_webhook_key_there"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("webhook_key", "campaign_key", name=op.f("webhook_lanes_key")),
        comment="deliveries that wait, of one webhook and campaign, and go in their order",
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("webhook_lanes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("webhook_lanes_next_at"), ["next_at"], unique=False)


def _create_trunk_told() -> None:
    op.create_table(
        "trunk_told",
        sa.Column("trunk_key", columns.Key, autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="working, resting or not_registered"),
        sa.ForeignKeyConstraint(
            ["trunk_key"], ["trunks.key"], name=op.f("trunk_told_trunk_key_there"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("trunk_key", name=op.f("trunk_told_key")),
        comment="the state of each trunk that was told last: what lies between two states is not told",
    )


def _create_notices() -> None:
    op.create_table(
        "notices",
        sa.Column("key", columns.Key, nullable=False),
        sa.Column("id", columns.PublicId(), nullable=False),
        sa.Column("owner_key", columns.Key, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("url", sa.LargeBinary(), nullable=False, comment="where it goes, with its secrets, encrypted"),
        sa.Column("shown", sa.Text(), nullable=False, comment="the same without secrets"),
        sa.Column("events", sa.Text(), nullable=False, comment="words between spaces"),
        sa.Column("language", sa.Text(), nullable=False, comment="ru or en"),
        sa.Column("active", sa.Boolean(), server_default=sa.text("1"), nullable=False),
        sa.Column("note", sa.Text(), nullable=True, comment="why the last message did not go out"),
        sa.Column("sent_at", columns.UtcTime(), nullable=True, comment="when the last one did"),
        sa.Column("created_at", columns.UtcTime(), nullable=False),
        sa.CheckConstraint("language IN ('ru', 'en')", name=op.f("notices_language_known")),
        sa.ForeignKeyConstraint(["owner_key"], ["users.key"], name=op.f("notices_owner_key_there"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key", name=op.f("notices_key")),
        sa.UniqueConstraint("id", name=op.f("notices_id_once")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("notices", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("notices_owner_key"), ["owner_key"], unique=False)


def _create_notice_messages() -> None:
    op.create_table(
        "notice_messages",
        sa.Column("key", columns.Key, nullable=False),
        sa.Column("notice_key", columns.Key, nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("at", columns.UtcTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_at", columns.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["notice_key"], ["notices.key"], name=op.f("notice_messages_notice_key_there"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("notice_messages_key")),
        comment="sentences that are to go out",
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("notice_messages", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("notice_messages_next_at"), ["next_at"], unique=False)
        batch_op.create_index(batch_op.f("notice_messages_notice_key"), ["notice_key"], unique=False)

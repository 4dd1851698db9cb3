"""campaigns and calls."""

import sqlalchemy as sa
from alembic import op

from autodialer.store.sql import column_types as columns

revision = "0003"
down_revision = "0002"

# Frozen as they were made by autodialer.store.sql.transitions; other dialects get theirs with their first migration.
TRIGGERS = {
    "sqlite": (
        """CREATE TRIGGER campaigns_state BEFORE UPDATE OF state ON campaigns
WHEN NOT (
    NEW.state = OLD.state
    OR OLD.state = 'draft' AND NEW.state IN ('running')
    OR OLD.state = 'running' AND NEW.state IN ('paused', 'finished', 'stopped')
    OR OLD.state = 'paused' AND NEW.state IN ('running', 'stopped')
)
BEGIN
    SELECT RAISE(ABORT, 'campaigns.state: there is no such transition');
END""",
        """CREATE TRIGGER campaign_subscribers_state BEFORE UPDATE OF state ON campaign_subscribers
WHEN NOT (
    NEW.state = OLD.state
    OR OLD.state = 'pending' AND NEW.state IN ('in_progress', 'excluded')
    OR OLD.state = 'in_progress' AND NEW.state IN ('reached', 'exhausted', 'excluded')
)
BEGIN
    SELECT RAISE(ABORT, 'campaign_subscribers.state: there is no such transition');
END""",
        """CREATE TRIGGER call_jobs_state BEFORE UPDATE OF state ON call_jobs
WHEN NOT (
    NEW.state = OLD.state
    OR OLD.state = 'queued' AND NEW.state IN ('dialing', 'cancelled')
    OR OLD.state = 'dialing' AND NEW.state IN ('queued', 'interrupted', 'done')
    OR OLD.state = 'interrupted' AND NEW.state IN ('queued', 'done')
)
BEGIN
    SELECT RAISE(ABORT, 'call_jobs.state: there is no such transition');
END""",
    ),
}


def upgrade() -> None:
    """From 0002 to 0003."""
    op.create_table(
        "dialers",
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("started_at", columns.UtcTime(), nullable=False),
        sa.Column("seen_at", columns.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("instance", name=op.f("dialers_key")),
    )
    op.create_table(
        "campaigns",
        sa.Column("key", columns.Key, nullable=False),
        sa.Column("id", columns.PublicId(), nullable=False),
        sa.Column("owner_key", columns.Key, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "state",
            sa.Text(),
            server_default=sa.text("'draft'"),
            nullable=False,
            comment=(
                "draft -> running\n"
                "running -> paused | finished | stopped\n"
                "paused -> running | stopped\n"
                "finished (final)\n"
                "stopped (final)"
            ),
        ),
        sa.Column("sound_key", columns.Key, nullable=False),
        sa.Column("callbase_key", columns.Key, nullable=False),
        sa.Column("caller_id", sa.Text(), nullable=True, comment="NULL: the trunk's"),
        sa.Column("max_channels", sa.Integer(), nullable=False),
        sa.Column("cps", sa.Float(), nullable=False),
        sa.Column("ring_timeout_s", sa.Float(), nullable=False),
        sa.Column("max_call_s", sa.Float(), nullable=False),
        sa.Column("lead_in_ms", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("min_played_s", sa.Float(), nullable=True),
        sa.Column(
            "retry", columns.JsonObject(), nullable=True, comment='JSON: {"busy": {"after_s": 300, "times": 3}, ...}'
        ),
        sa.Column(
            "hidden",
            sa.Boolean(),
            server_default=sa.text("0"),
            nullable=False,
            comment="behind a sample call; no list shows it",
        ),
        sa.Column(
            "next_subscriber_key",
            columns.Key,
            server_default=sa.text("0"),
            nullable=False,
            comment="how far the callbase has been walked: subscribers up to this key are in campaign_subscribers",
        ),
        sa.Column("created_at", columns.UtcTime(), nullable=False),
        sa.Column("started_at", columns.UtcTime(), nullable=True),
        sa.Column("finished_at", columns.UtcTime(), nullable=True, comment="also when it was stopped"),
        sa.Column(
            "final_total",
            sa.Integer(),
            nullable=True,
            comment="subscribers of the callbase when the campaign ended; NULL: it has not",
        ),
        sa.CheckConstraint(
            "state IN ('draft', 'running', 'paused', 'finished', 'stopped')", name=op.f("campaigns_state_known")
        ),
        sa.ForeignKeyConstraint(["callbase_key"], ["callbases.key"], name=op.f("campaigns_callbase_key_there")),
        sa.ForeignKeyConstraint(["owner_key"], ["users.key"], name=op.f("campaigns_owner_key_there")),
        sa.ForeignKeyConstraint(["sound_key"], ["sounds.key"], name=op.f("campaigns_sound_key_there")),
        sa.PrimaryKeyConstraint("key", name=op.f("campaigns_key")),
        sa.UniqueConstraint("id", name=op.f("campaigns_id_once")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("campaigns_callbase_key"), "campaigns", ["callbase_key"], unique=False)
    op.create_index(op.f("campaigns_owner_key"), "campaigns", ["owner_key"], unique=False)
    op.create_index(
        "campaigns_running",
        "campaigns",
        ["key"],
        unique=False,
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_index(op.f("campaigns_sound_key"), "campaigns", ["sound_key"], unique=False)
    op.create_table(
        "trunk_status",
        sa.Column("trunk_key", columns.Key, autoincrement=False, nullable=False),
        sa.Column("breaker_state", sa.Text(), nullable=False, comment="closed, resting or probing"),
        sa.Column("breaker_until", columns.UtcTime(), nullable=True),
        sa.Column("breaker_cause", sa.Text(), nullable=True),
        sa.Column("registration_state", sa.Text(), nullable=False, comment="off: the trunk does not register"),
        sa.Column("registration_since", columns.UtcTime(), nullable=True),
        sa.Column("registration_error", sa.Text(), nullable=True),
        sa.Column("active_calls", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("written_at", columns.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["trunk_key"], ["trunks.key"], name=op.f("trunk_status_trunk_key_there"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("trunk_key", name=op.f("trunk_status_key")),
        comment="live state, written by the dialer at most once a second",
    )
    op.create_table(
        "calls",
        sa.Column("key", columns.Key, nullable=False),
        sa.Column("id", columns.PublicId(), nullable=False),
        sa.Column("campaign_key", columns.Key, nullable=False),
        sa.Column("subscriber_key", columns.Key, nullable=False),
        sa.Column("trunk_key", columns.Key, nullable=True),
        sa.Column("number", sa.Text(), nullable=False, comment="of the subscriber at the time"),
        sa.Column(
            "attempt", sa.Integer(), nullable=False, comment="1 for the first call; a cancelled call does not count"
        ),
        sa.Column("disposition", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("sip_code", sa.Integer(), nullable=True),
        sa.Column("sip_reason", sa.Text(), nullable=True),
        sa.Column("q850_cause", sa.Integer(), nullable=True),
        sa.Column("retry_after_s", sa.Float(), nullable=True),
        sa.Column("invited_at", columns.UtcTime(), nullable=False),
        sa.Column("ringing_at", columns.UtcTime(), nullable=True),
        sa.Column("answered_at", columns.UtcTime(), nullable=True),
        sa.Column("ended_at", columns.UtcTime(), nullable=False),
        sa.Column("pdd_s", sa.Float(), nullable=True, comment="INVITE to first 18x"),
        sa.Column("duration_s", sa.Float(), nullable=False, comment="INVITE to end"),
        sa.Column("billsec_s", sa.Float(), nullable=False, comment="answer to end"),
        sa.Column("played_s", sa.Float(), nullable=False, comment="how much of the sound left as RTP"),
        sa.Column("played_share", sa.Float(), nullable=False),
        sa.Column("digits", sa.Text(), nullable=False),
        sa.Column("ended_by", sa.Text(), nullable=True, comment="NULL unless answered"),
        sa.Column("rtp_sent", sa.Integer(), nullable=True, comment="NULL: there was no RTP session"),
        sa.Column("rtp_received", sa.Integer(), nullable=True),
        sa.Column("rtp_lost", sa.Integer(), nullable=True),
        sa.Column("rtp_jitter_ms", sa.Float(), nullable=True),
        sa.Column("rtp_one_way_audio", sa.Boolean(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("next_at", columns.UtcTime(), nullable=True, comment="NULL: no further attempt"),
        sa.Column("next_rule", sa.Text(), nullable=False, comment="the rule that made the next attempt, or ended them"),
        sa.CheckConstraint(
            "cause IN ('auth_failed', 'forbidden', 'media_failed', 'no_response', 'redirected', "
            "'transport_error', 'protocol_error', 'trunk_limit')",
            name=op.f("calls_cause_known"),
        ),
        sa.CheckConstraint(
            "disposition IN ('answered', 'machine', 'busy', 'no_answer', 'rejected', "
            "'invalid_number', 'congestion', 'failed', 'cancelled', 'interrupted')",
            name=op.f("calls_disposition_known"),
        ),
        sa.CheckConstraint("ended_by IN ('callee', 'us')", name=op.f("calls_ended_by_known")),
        sa.ForeignKeyConstraint(["campaign_key"], ["campaigns.key"], name=op.f("calls_campaign_key_there")),
        sa.ForeignKeyConstraint(["trunk_key"], ["trunks.key"], name=op.f("calls_trunk_key_there")),
        sa.PrimaryKeyConstraint("key", name=op.f("calls_key")),
        sa.UniqueConstraint("id", name=op.f("calls_id_once")),
        comment="the CDR: one row a finished call",
    )
    op.create_index(op.f("calls_campaign_key"), "calls", ["campaign_key"], unique=False)
    op.create_index(op.f("calls_campaign_key_disposition"), "calls", ["campaign_key", "disposition"], unique=False)
    op.create_table(
        "campaign_subscribers",
        sa.Column("campaign_key", columns.Key, nullable=False),
        sa.Column("subscriber_key", columns.Key, autoincrement=False, nullable=False),
        sa.Column(
            "state",
            sa.Text(),
            server_default=sa.text("'pending'"),
            nullable=False,
            comment=(
                "pending -> in_progress | excluded\n"
                "in_progress -> reached | exhausted | excluded\n"
                "reached (final)\n"
                "exhausted (final)\n"
                "excluded (final)"
            ),
        ),
        sa.Column("reason", sa.Text(), nullable=True, comment="the rule that ended the attempts, or why excluded: dnc"),
        sa.Column(
            "attempts",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="its rows in calls but the cancelled ones",
        ),
        sa.Column("retries_used", columns.JsonObject(), nullable=True, comment='JSON: {"busy": 1}'),
        sa.CheckConstraint(
            "state IN ('pending', 'in_progress', 'reached', 'exhausted', 'excluded')",
            name=op.f("campaign_subscribers_state_known"),
        ),
        sa.ForeignKeyConstraint(
            ["campaign_key"], ["campaigns.key"], name=op.f("campaign_subscribers_campaign_key_there")
        ),
        sa.PrimaryKeyConstraint("campaign_key", "subscriber_key", name=op.f("campaign_subscribers_key")),
        comment="a subscriber within a campaign, from the moment the campaign's walk came to it",
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("campaign_subscribers_campaign_key_state_attempts"),
        "campaign_subscribers",
        ["campaign_key", "state", "attempts"],
        unique=False,
    )
    op.create_table(
        "campaign_trunks",
        sa.Column("campaign_key", columns.Key, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False, comment="0 is preferred"),
        sa.Column("trunk_key", columns.Key, nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_key"], ["campaigns.key"], name=op.f("campaign_trunks_campaign_key_there"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["trunk_key"], ["trunks.key"], name=op.f("campaign_trunks_trunk_key_there")),
        sa.PrimaryKeyConstraint("campaign_key", "position", name=op.f("campaign_trunks_key")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("campaign_trunks_trunk_key"), "campaign_trunks", ["trunk_key"], unique=False)
    op.create_table(
        "commands",
        sa.Column("key", columns.Key, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("campaign_key", columns.Key, nullable=True),
        sa.Column("call_id", columns.PublicId(), nullable=True),
        sa.Column("created_at", columns.UtcTime(), nullable=False),
        sa.Column("taken_at", columns.UtcTime(), nullable=True, comment="NULL: the dialer has not seen it"),
        sa.CheckConstraint("kind IN ('hangup_campaign', 'hangup_call')", name=op.f("commands_kind_known")),
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
        "call_jobs",
        sa.Column("key", columns.Key, nullable=False),
        sa.Column(
            "call_id", columns.PublicId(), nullable=False, comment="public id of the call it will make or made last"
        ),
        sa.Column("campaign_key", columns.Key, nullable=False),
        sa.Column("subscriber_key", columns.Key, nullable=False),
        sa.Column("trunk_key", columns.Key, nullable=True),
        sa.Column(
            "state",
            sa.Text(),
            server_default=sa.text("'queued'"),
            nullable=False,
            comment=(
                "queued -> dialing | cancelled\n"
                "dialing -> queued | interrupted | done\n"
                "interrupted -> queued | done\n"
                "done (final)\n"
                "cancelled (final)"
            ),
        ),
        sa.Column("not_before", columns.UtcTime(), nullable=False, comment="not to be claimed earlier"),
        sa.Column("claimed_by", sa.Text(), nullable=True, comment="instance of the dialer"),
        sa.Column("claimed_at", columns.UtcTime(), nullable=True, comment="committed before the INVITE leaves"),
        sa.CheckConstraint(
            "state IN ('queued', 'dialing', 'interrupted', 'done', 'cancelled')", name=op.f("call_jobs_state_known")
        ),
        sa.ForeignKeyConstraint(
            ["campaign_key", "subscriber_key"],
            ["campaign_subscribers.campaign_key", "campaign_subscribers.subscriber_key"],
            name=op.f("call_jobs_campaign_key_subscriber_key_there"),
        ),
        sa.ForeignKeyConstraint(["trunk_key"], ["trunks.key"], name=op.f("call_jobs_trunk_key_there")),
        sa.PrimaryKeyConstraint("key", name=op.f("call_jobs_key")),
        sa.UniqueConstraint("call_id", name=op.f("call_jobs_call_id_once")),
    )
    op.create_index(
        "call_jobs_dialing",
        "call_jobs",
        ["campaign_key", "trunk_key"],
        unique=False,
        sqlite_where=sa.text("state = 'dialing'"),
        postgresql_where=sa.text("state = 'dialing'"),
    )
    op.create_index(
        "call_jobs_due",
        "call_jobs",
        ["campaign_key", "not_before"],
        unique=False,
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index(
        "call_jobs_one_live",
        "call_jobs",
        ["campaign_key", "subscriber_key"],
        unique=True,
        sqlite_where=sa.text("state IN ('queued', 'dialing', 'interrupted')"),
        postgresql_where=sa.text("state IN ('queued', 'dialing', 'interrupted')"),
    )
    for trigger in TRIGGERS[op.get_bind().dialect.name]:
        op.execute(trigger)

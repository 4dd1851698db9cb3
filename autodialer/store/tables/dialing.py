"""Campaigns, their queue, the calls that came of it, and what passes between API and dialer."""

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from autodialer.model import CampaignLimit, Cause, Disposition, EndedBy, JobState
from autodialer.store.columns import DigitTimes, JsonObject, Key, KeyResults, PublicId
from autodialer.store.tables.shapes import (
    at,
    count,
    flag,
    integer,
    metadata,
    own_key,
    public_id,
    refers,
    seconds,
    state_of,
    words,
)
from autodialer.store.transitions import CALL_JOBS, CAMPAIGN_SUBSCRIBERS, CAMPAIGNS, check_one_of

LIVE_JOB_STATES = (JobState.QUEUED, JobState.DIALING, JobState.INTERRUPTED)
WAITING_JOB = "state = 'queued' AND waits_for IS NOT NULL"
LIVE_JOB = "state IN ('queued', 'dialing', 'interrupted')"
COMMAND_KINDS = ("hangup_campaign", "hangup_call", "trace_call", "check_trunk", "send_digits")

campaigns = Table(
    "campaigns",
    metadata,
    own_key(),
    public_id(),
    refers("owner_key", "users.key"),
    words("name"),
    state_of(CAMPAIGNS, "draft"),
    refers("sound_key", "sounds.key"),
    refers("callbase_key", "callbases.key"),
    words("caller_id", nullable=True, comment="NULL: the trunk's"),
    integer("max_channels"),
    Column("cps", Float, nullable=False),
    seconds("ring_timeout_s"),
    seconds("max_call_s"),
    integer("lead_in_ms"),
    integer("max_attempts"),
    seconds("min_played_s", nullable=True),
    Column("retry", JsonObject, comment='JSON: {"busy": {"after_s": 300, "times": 3}, ...}'),
    # What the keys of the callee do, `{"1": "confirm"}`; where one transfers; the wait for one after the sound.
    Column("keys", JsonObject),
    words("transfer_to", nullable=True),
    seconds("key_wait_s", nullable=True),
    flag("hidden", "behind a sample call; no list shows it"),
    Column(
        "next_subscriber_key",
        Key,
        nullable=False,
        server_default=text("0"),
        comment="how far the callbase has been walked: subscribers up to this key are in campaign_subscribers",
    ),
    at("created_at", nullable=False),
    at("started_at"),
    at("finished_at", comment="also when it was stopped"),
    # JSON: {"start": "09:00", "end": "18:00", "days": ["mon", ...], "timezone": ..., "fallback_timezone": ...}
    Column("calling_window", JsonObject),
    Column("holidays", JsonObject),
    at("starts_at"),
    at("ends_at"),
    # When, and by whose login, it was started, paused, resumed or stopped last.
    at("moved_at"),
    words("moved_by", nullable=True),
    Column("final_total", Integer, comment="subscribers of the callbase when the campaign ended; NULL: it has not"),
    # Caps across campaigns, by migration 0010; NULL: none.
    Column("cap_day", Integer),
    Column("cap_week", Integer),
    CAMPAIGNS.check(),
    Index(None, "owner_key"),
    Index(None, "callbase_key"),
    Index(None, "sound_key"),
    Index(
        "campaigns_running", "key", sqlite_where=text("state = 'running'"), postgresql_where=text("state = 'running'")
    ),
    sqlite_autoincrement=True,
)

campaign_trunks = Table(
    "campaign_trunks",
    metadata,
    refers("campaign_key", "campaigns.key", cascade=True),
    integer("position", comment="0 is preferred"),
    refers("trunk_key", "trunks.key"),
    PrimaryKeyConstraint("campaign_key", "position"),
    Index(None, "trunk_key"),
    sqlite_with_rowid=False,
)

campaign_origins = Table(
    "campaign_origins",
    metadata,
    refers("campaign_key", "campaigns.key", cascade=True),
    refers("origin_key", "campaigns.key", cascade=True),
    PrimaryKeyConstraint("campaign_key", "origin_key"),
    sqlite_with_rowid=False,
    comment="earlier campaigns of the same callbase; whom one of them reached, the campaign does not call",
)

campaign_subscribers = Table(
    "campaign_subscribers",
    metadata,
    Column("campaign_key", Key, ForeignKey("campaigns.key"), nullable=False),
    # No foreign key: deleting subscribers by the million must not search this table for each of them.
    Column("subscriber_key", Key, nullable=False, autoincrement=False),
    state_of(CAMPAIGN_SUBSCRIBERS, "pending"),
    words("reason", nullable=True, comment="the rule that ended the attempts, or why excluded: dnc"),
    count("attempts", "its rows in calls but the cancelled ones"),
    Column("retries_used", JsonObject, comment='JSON: {"busy": 1}'),
    CAMPAIGN_SUBSCRIBERS.check(),
    PrimaryKeyConstraint("campaign_key", "subscriber_key"),
    sqlite_with_rowid=False,
    comment="a subscriber within a campaign, from the moment the campaign's walk came to it",
)

call_jobs = Table(
    "call_jobs",
    metadata,
    own_key(),
    Column("call_id", PublicId, nullable=False, unique=True, comment="public id of the call it will make or made last"),
    Column("campaign_key", Key, nullable=False),
    Column("subscriber_key", Key, nullable=False),
    refers("trunk_key", "trunks.key", nullable=True),
    state_of(CALL_JOBS, "queued"),
    at("not_before", nullable=False, comment="not to be claimed earlier"),
    words("claimed_by", nullable=True, comment="instance of the dialer"),
    at("claimed_at", comment="committed before the INVITE leaves"),
    words("waits_for", nullable=True),  # by migration 0010: the rule that made `not_before`; NULL: the first attempt
    CALL_JOBS.check(),
    ForeignKeyConstraint(
        ["campaign_key", "subscriber_key"], ["campaign_subscribers.campaign_key", "campaign_subscribers.subscriber_key"]
    ),
    Index(
        "call_jobs_one_live",
        "campaign_key",
        "subscriber_key",
        unique=True,
        sqlite_where=text(LIVE_JOB),
        postgresql_where=text(LIVE_JOB),
    ),
    Index(
        "call_jobs_due",
        "campaign_key",
        "not_before",
        sqlite_where=text("state = 'queued'"),
        postgresql_where=text("state = 'queued'"),
    ),
    Index(
        "call_jobs_waiting",
        "campaign_key",
        "waits_for",
        "not_before",
        "state",
        sqlite_where=text(WAITING_JOB),
        postgresql_where=text(WAITING_JOB),
    ),
    Index(
        "call_jobs_dialing",
        "campaign_key",
        "trunk_key",
        sqlite_where=text("state = 'dialing'"),
        postgresql_where=text("state = 'dialing'"),
    ),
)

calls = Table(
    "calls",
    metadata,
    own_key(),
    public_id(),
    refers("campaign_key", "campaigns.key"),
    Column("subscriber_key", Key, nullable=False),
    refers("trunk_key", "trunks.key", nullable=True),
    words("number", comment="of the subscriber at the time"),
    integer("attempt", comment="1 for the first call; a cancelled call does not count"),
    words("disposition"),
    words("cause", nullable=True),
    Column("sip_code", Integer),
    words("sip_reason", nullable=True),
    Column("q850_cause", Integer),
    seconds("retry_after_s", nullable=True),
    at("invited_at", nullable=False),
    at("ringing_at"),
    at("answered_at"),
    at("ended_at", nullable=False),
    seconds("pdd_s", nullable=True, comment="INVITE to first 18x"),
    seconds("duration_s", comment="INVITE to end"),
    seconds("billsec_s", comment="answer to end"),
    seconds("played_s", comment="how much of the sound left as RTP"),
    Column("played_share", Float, nullable=False),
    words("digits"),
    Column("digit_times", DigitTimes),
    words("ended_by", nullable=True, comment="NULL unless answered"),
    Column("rtp_sent", Integer, comment="NULL: there was no RTP session"),
    Column("rtp_received", Integer),
    Column("rtp_lost", Integer),
    Column("rtp_jitter_ms", Float),
    Column("rtp_one_way_audio", Boolean),
    Column("rtp_remote_lost", Integer),
    Column("rtp_round_trip_ms", Float),
    # What each press of a key did that means something in the campaign.
    Column("key_results", KeyResults),
    words("message", nullable=True),
    at("next_at", comment="NULL: no further attempt"),
    words("next_rule", comment="the rule that made the next attempt, or ended them"),
    check_one_of("disposition", Disposition),
    check_one_of("cause", Cause),
    check_one_of("ended_by", EndedBy),
    Index(None, "campaign_key"),
    Index(None, "campaign_key", "disposition"),
    Index(None, "number", "invited_at"),
    Index(None, "campaign_key", "subscriber_key"),
    comment="the CDR: one row a finished call",
)

commands = Table(
    "commands",
    metadata,
    own_key(),
    words("kind"),
    Column("campaign_key", Key, ForeignKey("campaigns.key")),
    Column("call_id", PublicId, comment="or the id of the trunk check"),
    words("digits", nullable=True, comment="to be sent"),
    at("created_at", nullable=False),
    at("taken_at", comment="NULL: the dialer has not seen it"),
    words("reply", nullable=True, comment="what the dialer says to it; NULL: nothing yet"),
    check_one_of("kind", COMMAND_KINDS),
    Index("commands_new", "key", sqlite_where=text("taken_at IS NULL"), postgresql_where=text("taken_at IS NULL")),
    sqlite_autoincrement=True,
    comment="what the API asks of the dialer",
)

call_traces = Table(
    "call_traces",
    metadata,
    own_key(),
    Column("call_id", PublicId, nullable=False, unique=True),
    at("written_at", nullable=False),
    Column("packed", LargeBinary, nullable=False, comment="the messages with their times, credentials masked"),
    Index(None, "written_at"),
    sqlite_autoincrement=True,
    comment="the SIP messages of the latest calls",
)

dialogs = Table(
    "dialogs",
    metadata,
    Column("call_id", PublicId, primary_key=True),
    refers("trunk_key", "trunks.key", cascade=True),
    words("dialog", comment="JSON: what a BYE needs, as the SIP core wrote it; no password"),
    sqlite_with_rowid=False,
    comment="calls that are answered and not over; the row goes in the commit of the call's outcome",
)

trunk_checks = Table(
    "trunk_checks",
    metadata,
    own_key(),
    public_id(),
    refers("trunk_key", "trunks.key", cascade=True),
    words("number", nullable=True, comment="to call; NULL: no call"),
    at("asked_at", nullable=False),
    at("ended_at", comment="NULL: the dialer has no result yet"),
    Column("result", JsonObject, comment="JSON: what the API answers"),
    Index(None, "trunk_key"),
    comment="what POST /srv1/trunks/{id}/check asked of the dialer",
)

trunk_status = Table(
    "trunk_status",
    metadata,
    Column("trunk_key", Key, ForeignKey("trunks.key", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    words("breaker_state", comment="closed, resting or probing"),
    at("breaker_until"),
    words("breaker_cause", nullable=True),
    words("registration_state", comment="off: the trunk does not register"),
    at("registration_since"),
    words("registration_error", nullable=True),
    count("active_calls"),
    at("written_at", nullable=False),
    comment="live state, written by the dialer at most once a second",
)

campaign_status = Table(
    "campaign_status",
    metadata,
    Column("campaign_key", Key, ForeignKey("campaigns.key", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    words("limited_by", nullable=True, comment="what keeps it from starting more calls; NULL: nothing"),
    at("until", comment="when a slow rate lets the next call start"),
    at("written_at", nullable=False),
    check_one_of("limited_by", CampaignLimit),
    comment="live state of running campaigns, written by the dialer at most once a second",
)

dialers = Table(
    "dialers",
    metadata,
    Column("instance", Text, primary_key=True),
    integer("pid"),
    at("started_at", nullable=False),
    at("seen_at", nullable=False),
)

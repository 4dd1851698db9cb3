"""The calls that were made, and their traces."""

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    Table,
)

from autodialer.model import Cause, Disposition, EndedBy
from autodialer.store.sql.column_types import DigitTimes, Key, KeyResults, PublicId
from autodialer.store.sql.shapes import (
    at,
    integer,
    metadata,
    own_key,
    public_id,
    refers,
    seconds,
    words,
)
from autodialer.store.sql.transitions import check_one_of

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
    Column("rtp_reports", Integer),
    words("refusal_headers", nullable=True),  # a line each
    Column("rtp_strangers", Integer),
    words("rtp_encryption", nullable=True),
    # What each press of a key did that means something in the campaign.
    Column("key_results", KeyResults),
    words("message", nullable=True),
    at("next_at", comment="NULL: no further attempt"),
    words("next_rule", comment="the rule that made the next attempt, or ended them"),
    # By migration 0039: the owner of the campaign, see autodialer.store.calls.owning.
    Column("owner_key", Key),
    # By migration 0052: of the subscriber when the call ended.
    words("consent_source", nullable=True),
    words("consent_at", nullable=True),
    words("consent_text", nullable=True),
    check_one_of("disposition", Disposition),
    check_one_of("cause", Cause),
    check_one_of("ended_by", EndedBy),
    Index(None, "campaign_key"),
    Index(None, "campaign_key", "disposition"),
    Index(None, "number", "invited_at"),
    Index(None, "campaign_key", "subscriber_key"),
    Index(None, "owner_key", "invited_at"),
    Index(None, "campaign_key", "invited_at"),
    comment="the CDR: one row a finished call",
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

"""What passes between API and dialer."""

from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Table,
    Text,
    text,
)

from autodialer.model import CampaignLimit
from autodialer.store.sql.column_types import JsonObject, Key, PublicId
from autodialer.store.sql.shapes import (
    at,
    count,
    integer,
    metadata,
    own_key,
    public_id,
    refers,
    words,
)
from autodialer.store.sql.transitions import check_one_of

COMMAND_KINDS = ("hangup_campaign", "hangup_call", "trace_call", "check_trunk", "send_digits", "wake_trunk")

commands = Table(
    "commands",
    metadata,
    own_key(),
    words("kind"),
    Column("campaign_key", Key, ForeignKey("campaigns.key")),
    refers("trunk_key", "trunks.key", nullable=True, cascade=True),
    Column("call_id", PublicId, comment="or the id of the trunk check"),
    words("digits", nullable=True, comment="to be sent"),
    at("created_at", nullable=False),
    at("taken_at", comment="NULL: the dialer has not obeyed it"),
    words("reply", nullable=True, comment="what the dialer says to it; NULL: nothing yet"),
    check_one_of("kind", COMMAND_KINDS),
    Index("commands_new", "key", sqlite_where=text("taken_at IS NULL"), postgresql_where=text("taken_at IS NULL")),
    sqlite_autoincrement=True,
    comment="what the API asks of the dialer",
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
    # By migration 0049: JSON of autodialer/dialing/vitals.py, what it counted since its start; NULL: nothing yet.
    Column("vitals", JsonObject),
)

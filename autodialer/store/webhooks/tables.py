"""Events, webhooks and their deliveries, notices and their messages."""

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, LargeBinary, PrimaryKeyConstraint, Table, text

from autodialer.model.webhooks import DeliveryState
from autodialer.store.sql.column_types import JsonObject, Key
from autodialer.store.sql.shapes import at, count, flag, metadata, own_key, public_id, refers, words
from autodialer.store.sql.transitions import check_one_of

TESTS = -1
"""In place of a campaign: deliveries that users asked for, which wait for no others."""

events = Table(
    "events",
    metadata,
    own_key(),
    words("kind"),
    at("at", nullable=False),
    # No foreign keys: what it is about may be deleted before it is told.
    Column("campaign_key", Key, nullable=False, comment="0: no campaign's"),
    Column("object_key", Key, nullable=False, comment="of the call, campaign, trunk, callbase, import or dnc entry"),
    Column("details", JsonObject),
    sqlite_autoincrement=True,
    comment="what happened and is not yet told; written by triggers, where a webhook or notice wants it",
)

webhooks = Table(
    "webhooks",
    metadata,
    own_key(),
    public_id(),
    refers("owner_key", "users.key", cascade=True),
    Column(
        "campaign_key",
        Key,
        ForeignKey("campaigns.key", ondelete="CASCADE"),
        comment="NULL: all that the owner has",
    ),
    words("url"),
    words("events", comment="words between spaces"),
    Column("secret", LargeBinary, nullable=False, comment="the key of the signatures, encrypted"),
    words("format", comment="json or form"),
    Column("fields", JsonObject, comment="of a form: name -> template"),
    Column("active", Boolean, nullable=False, server_default=text("1")),
    flag("short", "it is the webhook_url of its campaign"),
    words("note", nullable=True, comment="why it fails or was switched off"),
    at("failing_since", comment="NULL: the last delivery arrived"),
    at("created_at", nullable=False),
    check_one_of("format", ("json", "form")),
    Index(None, "owner_key"),
    Index(None, "campaign_key"),
    sqlite_autoincrement=True,
)

_WAITING = "state = 'waiting'"

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    own_key(),
    public_id(),
    # No foreign keys: a webhook that is deleted leaves them to the housekeeping, 500 at a time.
    Column("webhook_key", Key, nullable=False),
    Column("owner_key", Key, nullable=False),
    Column("campaign_key", Key, nullable=False, comment="0: no campaign's; -1: a test"),
    words("kind"),
    Column("object_key", Key, nullable=False),
    Column("payload", JsonObject, comment="NULL: about a person, and read when it is sent"),
    at("at", nullable=False, comment="when it happened"),
    words("state", server_default=text("'waiting'")),
    count("attempts"),
    at("first_at"),
    at("last_at"),
    at("retry_at"),
    Column("status_code", Integer),
    words("error", nullable=True),
    check_one_of("state", DeliveryState),
    Index(None, "owner_key", "key"),
    Index(None, "webhook_key", "key"),
    Index(
        "webhook_deliveries_waiting",
        "webhook_key",
        "campaign_key",
        "key",
        sqlite_where=text(_WAITING),
        postgresql_where=text(_WAITING),
    ),
    Index(
        "webhook_deliveries_undone",
        "owner_key",
        "state",
        "key",
        sqlite_where=text("state <> 'delivered'"),
        postgresql_where=text("state <> 'delivered'"),
    ),
    sqlite_autoincrement=True,
    comment="an event for one webhook",
)

webhook_lanes = Table(
    "webhook_lanes",
    metadata,
    refers("webhook_key", "webhooks.key", cascade=True),
    Column("campaign_key", Key, nullable=False),
    at("next_at", nullable=False, comment="when the first of them is tried"),
    PrimaryKeyConstraint("webhook_key", "campaign_key"),
    Index(None, "next_at"),
    sqlite_with_rowid=False,
    comment="deliveries that wait, of one webhook and campaign, and go in their order",
)

trunk_told = Table(
    "trunk_told",
    metadata,
    Column("trunk_key", Key, ForeignKey("trunks.key", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    words("state", comment="working, resting or not_registered"),
    comment="the state of each trunk that was told last: what lies between two states is not told",
)

notices = Table(
    "notices",
    metadata,
    own_key(),
    public_id(),
    refers("owner_key", "users.key", cascade=True),
    words("name"),
    Column("url", LargeBinary, nullable=False, comment="where it goes, with its secrets, encrypted"),
    words("shown", comment="the same without secrets"),
    words("events", comment="words between spaces"),
    words("language", comment="ru or en"),
    Column("active", Boolean, nullable=False, server_default=text("1")),
    words("note", nullable=True, comment="why the last message did not go out"),
    at("sent_at", comment="when the last one did"),
    at("created_at", nullable=False),
    check_one_of("language", ("ru", "en")),
    Index(None, "owner_key"),
    sqlite_autoincrement=True,
)

notice_messages = Table(
    "notice_messages",
    metadata,
    own_key(),
    refers("notice_key", "notices.key", cascade=True),
    words("title"),
    words("body"),
    at("at", nullable=False),
    count("attempts"),
    at("next_at", nullable=False),
    Index(None, "notice_key"),
    Index(None, "next_at"),
    sqlite_autoincrement=True,
    comment="sentences that are to go out",
)

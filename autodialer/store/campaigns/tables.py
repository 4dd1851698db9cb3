"""Campaigns, and where each of their subscribers stands."""

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    text,
)

from autodialer.store.sql.column_types import JsonObject, Key
from autodialer.store.sql.shapes import (
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
from autodialer.store.sql.transitions import CAMPAIGN_SUBSCRIBERS, CAMPAIGNS

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
    # NULL: what its trunks allow; of lead_in_ms: what the way out needs.
    Column("max_channels", Integer),
    Column("cps", Float),
    seconds("ring_timeout_s"),
    seconds("max_call_s"),
    Column("lead_in_ms", Integer),
    integer("max_attempts"),
    seconds("min_played_s", nullable=True),
    Column("retry", JsonObject, comment='JSON: {"busy": {"after_s": 300, "times": 3}, ...}'),
    # What the keys of the callee do, `{"1": "confirm"}`; where one transfers; the wait for one after the sound.
    Column("keys", JsonObject),
    words("transfer_to", nullable=True),
    # continue or hang_up.
    words("after_failed_transfer", server_default=text("'continue'")),
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
    Column("dial_doubtful", Boolean, nullable=False, server_default=text("0")),  # by migration 0031
    at("archived_at"),  # by migration 0040: no list shows it unless asked; NULL: it is not archived
    at("deleted_at"),  # by migration 0040: nobody sees it; it is cleared away bit by bit
    # By migration 0041, of a campaign that is for some people of another one, its origin: the origin's key,
    Column("drawn_from", Key),
    # {"from_campaign_id": ..., "only": "all", "unreached" or the conditions},
    Column("drawn_by", JsonObject),
    # up to which subscriber the origin's people have been looked at (NULL: all have), and how many were taken.
    Column("drawn_up_to", Key),
    # NULL: the campaign is for its whole callbase.
    Column("drawn_people", Integer),
    # By migration 0042: it pauses once so many people were called (NULL: never by itself), and how many were: counted
    # as their first calls are claimed.
    Column("pause_after", Integer),
    count("people_called"),
    CAMPAIGNS.check(),
    Index(
        "campaigns_shown",
        "owner_key",
        sqlite_where=text("hidden = 0"),
        postgresql_where=text("NOT hidden"),
    ),
    Index(None, "owner_key"),
    Index(None, "callbase_key"),
    Index(None, "sound_key"),
    Index(
        "campaigns_running", "key", sqlite_where=text("state = 'running'"), postgresql_where=text("state = 'running'")
    ),
    Index(
        "campaigns_deleted",
        "key",
        sqlite_where=text("deleted_at IS NOT NULL"),
        postgresql_where=text("deleted_at IS NOT NULL"),
    ),
    Index(
        "campaigns_drawing",
        "key",
        sqlite_where=text("drawn_up_to IS NOT NULL"),
        postgresql_where=text("drawn_up_to IS NOT NULL"),
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

campaign_diary = Table(
    "campaign_diary",
    metadata,
    own_key(),
    refers("campaign_key", "campaigns.key"),
    at("at", nullable=False),
    words("event"),
    words("subject", nullable=True, comment="what has this event or its opposite: window, trunk 5, ..."),
    words("by_login", nullable=True, comment="NULL: nobody, a rule did it"),
    Column("details", JsonObject),
    integer("times", server_default=text("1"), comment="merged into this line"),
    at("last_at", nullable=False, comment="of the last of them"),
    Index(None, "campaign_key", "key"),
    sqlite_autoincrement=True,
    comment="what happened to a campaign, for its owner",
)

campaign_slices = Table(
    "campaign_slices",
    metadata,
    refers("campaign_key", "campaigns.key"),
    Column("subscriber_key", Key, nullable=False, autoincrement=False),
    PrimaryKeyConstraint("campaign_key", "subscriber_key"),
    sqlite_with_rowid=False,
    comment="the people of campaigns that are not for their whole callbase",
)

campaign_subscribers = Table(
    "campaign_subscribers",
    metadata,
    Column("campaign_key", Key, ForeignKey("campaigns.key"), nullable=False),
    # No foreign key: deleting subscribers by the million must not search this table for each of them.
    Column("subscriber_key", Key, nullable=False, autoincrement=False),
    state_of(CAMPAIGN_SUBSCRIBERS, "pending"),
    words("reason", nullable=True, comment="the rule that ended the attempts, or why excluded: dnc"),
    count("attempts", "its rows in calls but those cancelled and those that failed by the trunk's fault"),
    Column("retries_used", JsonObject, comment='JSON: {"busy": 1}'),
    CAMPAIGN_SUBSCRIBERS.check(),
    PrimaryKeyConstraint("campaign_key", "subscriber_key"),
    sqlite_with_rowid=False,
    comment="a subscriber within a campaign, from the moment the campaign's walk came to it",
)

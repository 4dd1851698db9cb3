"""Running figures of campaigns, kept in the transaction of the row they count: by triggers
(autodialer.store.figures.counting), and those of keys by what records the calls (autodialer.store.figures.key_figures).

A report adds up these few rows instead of a million calls. They outlive the rows they were counted from: what retention
deletes stays in the statistics.
"""

from sqlalchemy import Column, PrimaryKeyConstraint, Table

from autodialer.store.sql.column_types import Key
from autodialer.store.sql.shapes import at, count, integer, metadata, refers, words

call_counts = Table(
    "call_counts",
    metadata,
    refers("campaign_key", "campaigns.key"),
    at("hour_at", nullable=False, comment="the start of the hour of the INVITE, UTC"),
    Column("trunk_key", Key, nullable=False, comment="0: interrupted before a trunk was known"),
    words("disposition"),
    count("calls"),
    count("billsec_ms", "sum"),
    count("played_share_ppm", "sum, in millionths"),
    PrimaryKeyConstraint("campaign_key", "disposition", "hour_at", "trunk_key"),
    sqlite_with_rowid=False,
    comment="finished calls, counted as they are recorded",
)

call_spreads = Table(
    "call_spreads",
    metadata,
    refers("campaign_key", "campaigns.key"),
    words("figure", comment="pdd: of calls that rang; listened: of answered calls; digit: of calls in which one came"),
    integer("value", comment="pdd: in 10 ms; listened: whole seconds played; digit: its code point"),
    count("calls"),
    PrimaryKeyConstraint("campaign_key", "figure", "value"),
    sqlite_with_rowid=False,
    comment="how the finished calls spread over the values of a figure",
)

callbase_zones = Table(
    "callbase_zones",
    metadata,
    refers("callbase_key", "callbases.key", cascade=True),
    words("zone", comment="IANA name; empty: none is known"),
    words("found_by", comment="column, number or plan; empty: by nothing"),
    count("subscribers"),
    PrimaryKeyConstraint("callbase_key", "zone", "found_by"),
    sqlite_with_rowid=False,
    comment="subscribers of a callbase by their time zone, counted as they come and go",
)

callbase_destinations = Table(
    "callbase_destinations",
    metadata,
    refers("callbase_key", "callbases.key", cascade=True),
    words("destination", comment="RU, RU:premium, :satellite; empty: not found yet"),
    count("subscribers"),
    PrimaryKeyConstraint("callbase_key", "destination"),
    sqlite_with_rowid=False,
    comment="subscribers of a callbase by where their number leads, counted as they come and go",
)

subscriber_counts = Table(
    "subscriber_counts",
    metadata,
    refers("campaign_key", "campaigns.key"),
    words("state"),
    words("reason", comment="empty where campaign_subscribers has none"),
    integer("attempts"),
    count("subscribers"),
    PrimaryKeyConstraint("campaign_key", "state", "reason", "attempts"),
    sqlite_with_rowid=False,
    comment="rows of campaign_subscribers, counted as they change",
)

key_counts = Table(
    "key_counts",
    metadata,
    refers("campaign_key", "campaigns.key"),
    words("digit"),
    words("action"),
    words("effect", comment="of several presses in a call the last that changed anything"),
    count("calls"),
    PrimaryKeyConstraint("campaign_key", "digit", "action", "effect"),
    sqlite_with_rowid=False,
    comment="finished calls in which a key of the campaign was pressed, counted as they are recorded",
)

"""Running figures of campaigns, kept in the transaction of the row they count: by triggers
(autodialer.store.figures.counting and tallying), and those of what keys did by what records the calls
(autodialer.store.figures.key_figures).

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

call_tallies = Table(
    "call_tallies",
    metadata,
    refers("campaign_key", "campaigns.key"),
    at("quarter_at", nullable=False, comment="the start of the quarter of an hour of the INVITE, UTC"),
    words("zone", comment="of the subscriber, IANA name; empty: none is known"),
    Column("trunk_key", Key, nullable=False, comment="0: interrupted before a trunk was known"),
    words("caller_id", comment="shown to the callee, as far as it is ours to say; empty: none was"),
    words("disposition"),
    count("calls"),
    count("billsec_ms", "sum"),
    count("rang", "or were answered"),
    count("answered", "also by a machine"),
    count("heard_25", "answered calls that were played more than this percentage of the sound"),
    count("heard_50"),
    count("heard_75"),
    count("heard_95"),
    count("dead", "404, 410, 484, 604"),
    count("early_hang_ups", "answered calls that the callee ended within 3 s"),
    count("sip_603"),
    count("sip_607"),
    count("sip_608"),
    count("people_called", "whose first call within the campaign it was"),
    count("people_rang", "whose first call it was that got as far; so on"),
    count("people_answered"),
    count("people_heard_25"),
    count("people_heard_50"),
    count("people_heard_75"),
    count("people_heard_95"),
    count("people_dead"),
    PrimaryKeyConstraint("campaign_key", "quarter_at", "zone", "trunk_key", "caller_id", "disposition"),
    sqlite_with_rowid=False,
    comment="finished calls by quarter of an hour, counted as they are recorded",
)

key_tallies = Table(
    "key_tallies",
    metadata,
    refers("campaign_key", "campaigns.key"),
    at("quarter_at", nullable=False, comment="the start of the quarter of an hour of the INVITE, UTC"),
    words("digit"),
    count("calls", "in which it was pressed, however often"),
    count("people", "whose first call within the campaign it was in which they pressed it"),
    PrimaryKeyConstraint("campaign_key", "quarter_at", "digit"),
    sqlite_with_rowid=False,
    comment="keys pressed by quarter of an hour, counted as the calls are recorded",
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

"""The triggers that keep the running figures (autodialer.store.figures.tables).

They are triggers because no code that records a call or moves a subscriber can forget a trigger: whatever writes the
row, its count is in the same transaction. One call costs some ten small upserts, 20 microseconds in all.
"""

from collections.abc import Mapping

from autodialer.store.figures.tallying import TALLYING_TRIGGERS

_COUNT_CALL = """CREATE TRIGGER calls_counted AFTER INSERT ON calls
BEGIN
    INSERT INTO call_counts (campaign_key, hour_at, trunk_key, disposition, calls, billsec_ms, played_share_ppm)
    VALUES (
        NEW.campaign_key, NEW.invited_at / 3600000 * 3600000, COALESCE(NEW.trunk_key, 0), NEW.disposition,
        1, CAST(ROUND(NEW.billsec_s * 1000) AS INTEGER), CAST(ROUND(NEW.played_share * 1000000) AS INTEGER)
    )
    ON CONFLICT (campaign_key, disposition, hour_at, trunk_key) DO UPDATE SET
        calls = calls + 1,
        billsec_ms = billsec_ms + excluded.billsec_ms,
        played_share_ppm = played_share_ppm + excluded.played_share_ppm;
    INSERT INTO call_spreads (campaign_key, figure, value, calls)
    SELECT NEW.campaign_key, 'pdd', CAST(ROUND(NEW.pdd_s * 100) AS INTEGER), 1 WHERE NEW.pdd_s IS NOT NULL
    ON CONFLICT (campaign_key, figure, value) DO UPDATE SET calls = calls + 1;
    INSERT INTO call_spreads (campaign_key, figure, value, calls)
    SELECT NEW.campaign_key, 'listened', CAST(NEW.played_s AS INTEGER), 1 WHERE NEW.disposition = 'answered'
    ON CONFLICT (campaign_key, figure, value) DO UPDATE SET calls = calls + 1;
END"""

_COUNT_DIGITS = """CREATE TRIGGER calls_digits_counted AFTER INSERT ON calls
WHEN NEW.digits <> ''
BEGIN
    INSERT INTO call_spreads (campaign_key, figure, value, calls)
    SELECT NEW.campaign_key, 'digit', unicode(column1), 1
    FROM (VALUES ('0'), ('1'), ('2'), ('3'), ('4'), ('5'), ('6'), ('7'), ('8'), ('9'), ('*'), ('#'),
        ('A'), ('B'), ('C'), ('D'))
    WHERE instr(NEW.digits, column1)
    ON CONFLICT (campaign_key, figure, value) DO UPDATE SET calls = calls + 1;
END"""

_COUNT_SUBSCRIBER = """CREATE TRIGGER campaign_subscribers_counted AFTER INSERT ON campaign_subscribers
BEGIN
    INSERT INTO subscriber_counts (campaign_key, state, reason, attempts, subscribers)
    VALUES (NEW.campaign_key, NEW.state, COALESCE(NEW.reason, ''), NEW.attempts, 1)
    ON CONFLICT (campaign_key, state, reason, attempts) DO UPDATE SET subscribers = subscribers + 1;
END"""

_RECOUNT_SUBSCRIBER = """CREATE TRIGGER campaign_subscribers_recounted
AFTER UPDATE OF state, reason, attempts ON campaign_subscribers
WHEN NEW.state <> OLD.state OR NEW.reason IS NOT OLD.reason OR NEW.attempts <> OLD.attempts
BEGIN
    UPDATE subscriber_counts SET subscribers = subscribers - 1
    WHERE campaign_key = OLD.campaign_key AND state = OLD.state
        AND reason = COALESCE(OLD.reason, '') AND attempts = OLD.attempts;
    INSERT INTO subscriber_counts (campaign_key, state, reason, attempts, subscribers)
    VALUES (NEW.campaign_key, NEW.state, COALESCE(NEW.reason, ''), NEW.attempts, 1)
    ON CONFLICT (campaign_key, state, reason, attempts) DO UPDATE SET subscribers = subscribers + 1;
END"""

_COUNT_ZONE = """CREATE TRIGGER subscribers_zone_counted AFTER INSERT ON subscribers
WHEN NEW.number IS NOT NULL
BEGIN
    INSERT INTO callbase_zones (callbase_key, zone, found_by, subscribers)
    VALUES (
        NEW.callbase_key, COALESCE(NEW.timezone, NEW.number_zone, ''),
        CASE WHEN NEW.timezone IS NOT NULL THEN 'column' ELSE COALESCE(NEW.number_zone_by, '') END, 1
    )
    ON CONFLICT (callbase_key, zone, found_by) DO UPDATE SET subscribers = subscribers + 1;
END"""

_FORGET_ZONE = """CREATE TRIGGER subscribers_zone_forgotten AFTER UPDATE OF number ON subscribers
WHEN OLD.number IS NOT NULL AND NEW.number IS NULL
BEGIN
    UPDATE callbase_zones SET subscribers = subscribers - 1
    WHERE callbase_key = OLD.callbase_key AND zone = COALESCE(OLD.timezone, OLD.number_zone, '')
        AND found_by = CASE WHEN OLD.timezone IS NOT NULL THEN 'column' ELSE COALESCE(OLD.number_zone_by, '') END;
END"""

_MOVE_ZONE = """CREATE TRIGGER subscribers_zone_moved
AFTER UPDATE OF timezone, number_zone, number_zone_by ON subscribers
WHEN OLD.number IS NOT NULL AND NEW.number IS NOT NULL
BEGIN
    UPDATE callbase_zones SET subscribers = subscribers - 1
    WHERE callbase_key = OLD.callbase_key AND zone = COALESCE(OLD.timezone, OLD.number_zone, '')
        AND found_by = CASE WHEN OLD.timezone IS NOT NULL THEN 'column' ELSE COALESCE(OLD.number_zone_by, '') END;
    INSERT INTO callbase_zones (callbase_key, zone, found_by, subscribers)
    VALUES (
        NEW.callbase_key, COALESCE(NEW.timezone, NEW.number_zone, ''),
        CASE WHEN NEW.timezone IS NOT NULL THEN 'column' ELSE COALESCE(NEW.number_zone_by, '') END, 1
    )
    ON CONFLICT (callbase_key, zone, found_by) DO UPDATE SET subscribers = subscribers + 1;
END"""

_DELETE_ZONE = """CREATE TRIGGER subscribers_zone_deleted AFTER DELETE ON subscribers
WHEN OLD.number IS NOT NULL
BEGIN
    UPDATE callbase_zones SET subscribers = subscribers - 1
    WHERE callbase_key = OLD.callbase_key AND zone = COALESCE(OLD.timezone, OLD.number_zone, '')
        AND found_by = CASE WHEN OLD.timezone IS NOT NULL THEN 'column' ELSE COALESCE(OLD.number_zone_by, '') END;
END"""

_COUNT_DESTINATION = """CREATE TRIGGER subscribers_destination_counted AFTER INSERT ON subscribers
WHEN NEW.number IS NOT NULL
BEGIN
    INSERT INTO callbase_destinations (callbase_key, destination, subscribers)
    VALUES (NEW.callbase_key, COALESCE(NEW.destination, ''), 1)
    ON CONFLICT (callbase_key, destination) DO UPDATE SET subscribers = subscribers + 1;
END"""

_RECOUNT_DESTINATION = """CREATE TRIGGER subscribers_destination_recounted
AFTER UPDATE OF number, destination ON subscribers
WHEN OLD.number IS NOT NULL
BEGIN
    UPDATE callbase_destinations SET subscribers = subscribers - 1
    WHERE callbase_key = OLD.callbase_key AND destination = COALESCE(OLD.destination, '');
    INSERT INTO callbase_destinations (callbase_key, destination, subscribers)
    SELECT NEW.callbase_key, COALESCE(NEW.destination, ''), 1 WHERE NEW.number IS NOT NULL
    ON CONFLICT (callbase_key, destination) DO UPDATE SET subscribers = subscribers + 1;
END"""

_DELETE_DESTINATION = """CREATE TRIGGER subscribers_destination_deleted AFTER DELETE ON subscribers
WHEN OLD.number IS NOT NULL
BEGIN
    UPDATE callbase_destinations SET subscribers = subscribers - 1
    WHERE callbase_key = OLD.callbase_key AND destination = COALESCE(OLD.destination, '');
END"""

COUNTING_TRIGGERS: Mapping[str, Mapping[str, str]] = {
    "sqlite": {
        "calls_counted": _COUNT_CALL,
        "calls_digits_counted": _COUNT_DIGITS,
        "campaign_subscribers_counted": _COUNT_SUBSCRIBER,
        "campaign_subscribers_recounted": _RECOUNT_SUBSCRIBER,
        "subscribers_zone_counted": _COUNT_ZONE,
        "subscribers_zone_forgotten": _FORGET_ZONE,
        "subscribers_zone_moved": _MOVE_ZONE,
        "subscribers_zone_deleted": _DELETE_ZONE,
        "subscribers_destination_counted": _COUNT_DESTINATION,
        "subscribers_destination_recounted": _RECOUNT_DESTINATION,
        "subscribers_destination_deleted": _DELETE_DESTINATION,
        **TALLYING_TRIGGERS["sqlite"],
    }
}
"""Dialect -> name -> statement. PostgreSQL's come with its first migration."""

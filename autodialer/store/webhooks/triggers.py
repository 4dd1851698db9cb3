"""The triggers that write down events.

They are triggers because no code that records a call or moves a campaign can forget a trigger: the event is in the
transaction of what it tells. Where no webhook and no notice wants it, a call costs two look-ups in small indexes and
writes nothing.
"""

from collections.abc import Mapping

_CALL = """CREATE TRIGGER calls_told AFTER INSERT ON calls
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
END"""

_CAMPAIGN = """CREATE TRIGGER campaigns_told AFTER UPDATE OF state ON campaigns
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
END"""

# What a trunk goes through on its way is no state to tell of: `registering`, or `off` although it is to register, as a
# dialer that has just started says.
_TRUNK_STATE = """CASE
        WHEN NEW.breaker_state <> 'closed' THEN 'resting'
        WHEN NEW.registration_state = 'failed' THEN 'not_registered'
        WHEN NEW.registration_state = 'registered' THEN 'working'
        WHEN NEW.registration_state = 'off' AND NOT (SELECT register FROM trunks WHERE key = NEW.trunk_key)
            THEN 'working'
    END"""

_TRUNK = """CREATE TRIGGER {name} AFTER {deed} ON trunk_status
WHEN COALESCE({state}, '') NOT IN (
    '', COALESCE((SELECT state FROM trunk_told WHERE trunk_key = NEW.trunk_key), 'working')
)
BEGIN
    INSERT INTO trunk_told (trunk_key, state) VALUES (NEW.trunk_key, {state})
    ON CONFLICT (trunk_key) DO UPDATE SET state = excluded.state;
    INSERT INTO events (kind, at, campaign_key, object_key, details)
    SELECT 'trunk.state', NEW.written_at, 0, NEW.trunk_key,
        json_object(
            'state', {state}, 'cause', COALESCE(NEW.breaker_cause, NEW.registration_error), 'until', NEW.breaker_until
        )
    WHERE EXISTS (SELECT 1 FROM webhooks WHERE active AND instr(events, 'trunk.state'))
        OR EXISTS (SELECT 1 FROM notices WHERE active AND instr(events, 'trunk.state'));
END"""

_IMPORT = """CREATE TRIGGER {table}_told AFTER UPDATE OF state ON {table}
WHEN NEW.state <> OLD.state{visible} AND (
    EXISTS (SELECT 1 FROM webhooks WHERE active AND instr(events, 'import.ended'))
    OR EXISTS (SELECT 1 FROM notices WHERE active AND instr(events, 'import.ended'))
)
BEGIN
    INSERT INTO events (kind, at, campaign_key, object_key, details)
    VALUES (
        'import.ended', CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER), 0, NEW.key,
        json_object('into', '{into}')
    );
END"""

_OPT_OUT = """CREATE TRIGGER dnc_told AFTER INSERT ON dnc
WHEN NEW.source GLOB 'opt_out:*' AND EXISTS (
    SELECT 1 FROM webhooks WHERE owner_key = NEW.owner_key AND active AND instr(events, 'opt_out')
)
BEGIN
    INSERT INTO events (kind, at, campaign_key, object_key)
    VALUES ('opt_out', NEW.created_at, 0, NEW.key);
END"""

# The audit's entry is written once a day and ceiling, with all that is told of it.
_CEILING = """CREATE TRIGGER audit_told AFTER INSERT ON audit
WHEN NEW.action = 'ceilings.reached' AND (
    EXISTS (SELECT 1 FROM webhooks WHERE active AND instr(events, 'ceiling.reached'))
    OR EXISTS (SELECT 1 FROM notices WHERE active AND instr(events, 'ceiling.reached'))
)
BEGIN
    INSERT INTO events (kind, at, campaign_key, object_key)
    VALUES ('ceiling.reached', NEW.at, 0, NEW.key);
END"""

TELLING_TRIGGERS: Mapping[str, Mapping[str, str]] = {
    "sqlite": {
        "calls_told": _CALL,
        "campaigns_told": _CAMPAIGN,
        "trunk_status_told": _TRUNK.format(name="trunk_status_told", deed="INSERT", state=_TRUNK_STATE),
        "trunk_status_told_again": _TRUNK.format(
            name="trunk_status_told_again", deed="UPDATE OF breaker_state, registration_state", state=_TRUNK_STATE
        ),
        "callbases_told": _IMPORT.format(table="callbases", visible=" AND NOT NEW.hidden", into="callbase"),
        "dnc_imports_told": _IMPORT.format(table="dnc_imports", visible="", into="dnc"),
        "dnc_told": _OPT_OUT,
        "audit_told": _CEILING,
    }
}
"""Dialect -> name -> statement. PostgreSQL's come with its first migration."""

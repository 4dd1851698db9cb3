"""The triggers that tally calls by quarter of an hour: what reports of a period, of hours and of caller IDs add up.

Quarters, because the offset of every time zone is a multiple of one: a day or an hour of any zone is a sum of whole
quarters. The zone is kept beside them as a name, for SQLite knows no time zones.

People are counted at the first of their calls within a campaign that gets as far: those counts can be added up over any
quarters, and need no list of people. What came before is found in the calls themselves, a handful for one subscriber.
"""

from collections.abc import Mapping

RANG = "({call}.ringing_at IS NOT NULL OR {call}.disposition IN ('answered', 'machine'))"
"""Some gateways answer without ever having said that it rings."""
HEARD_SHARES = (25, 50, 75, 95)
"""In percent of the sound."""

STEPS: Mapping[str, str] = {
    "rang": RANG,
    "answered": "({call}.disposition IN ('answered', 'machine'))",
    **{
        f"heard_{share}": f"({{call}}.disposition = 'answered' AND {{call}}.played_share > {share / 100})"
        for share in HEARD_SHARES
    },
    "dead": "(COALESCE({call}.sip_code, 0) IN (404, 410, 484, 604))",
}
"""How far a call got -> the condition on its row; `dead`: the number does not exist (RFC 3261 section 21)."""

_OTHER_COUNTS: Mapping[str, str] = {
    "early_hang_ups": "({call}.disposition = 'answered' AND {call}.ended_by IS 'callee' AND {call}.billsec_s < 3)",
    **{f"sip_{code}": f"({{call}}.sip_code IS {code})" for code in (603, 607, 608)},
}

_KEYS = ("campaign_key", "quarter_at", "zone", "trunk_key", "caller_id", "disposition")
_VALUES: Mapping[str, str] = {
    "calls": "1",
    "billsec_ms": "CAST(ROUND(NEW.billsec_s * 1000) AS INTEGER)",
    **{name: condition.format(call="NEW") for name, condition in {**STEPS, **_OTHER_COUNTS}.items()},
    "people_called": "earlier.called = 0",
    **{f"people_{name}": f"{STEPS[name].format(call='NEW')} AND earlier.{name} = 0" for name in STEPS},
}
_EARLIER = ",\n        ".join(
    (
        "COUNT(*) AS called",
        *(f"COALESCE(MAX{condition.format(call='calls')}, 0) AS {n}" for n, condition in STEPS.items()),
    )
)
_LINE = ",\n        "

_TALLY_CALL = f"""CREATE TRIGGER calls_tallied AFTER INSERT ON calls
BEGIN
    INSERT INTO call_tallies (
        {_LINE.join((", ".join(_KEYS), *_VALUES))}
    )
    SELECT
        NEW.campaign_key, NEW.invited_at / 900000 * 900000,
        COALESCE((SELECT COALESCE(timezone, number_zone) FROM subscribers WHERE key = NEW.subscriber_key), ''),
        COALESCE(NEW.trunk_key, 0),
        COALESCE(
            (SELECT NULLIF(caller_id, '') FROM campaigns WHERE key = NEW.campaign_key),
            (SELECT COALESCE(NULLIF(caller_id, ''), username) FROM trunks WHERE key = NEW.trunk_key), ''
        ),
        NEW.disposition,
        {_LINE.join(_VALUES.values())}
    FROM (SELECT {_EARLIER}
        FROM calls
        WHERE campaign_key = NEW.campaign_key AND subscriber_key = NEW.subscriber_key AND key <> NEW.key) AS earlier
    WHERE true
    ON CONFLICT ({", ".join(_KEYS)}) DO UPDATE SET
        {_LINE.join(f"{name} = {name} + excluded.{name}" for name in _VALUES)};
END"""  # noqa: S608 -- put together from the texts above

_TALLY_KEYS = """CREATE TRIGGER calls_keys_tallied AFTER INSERT ON calls
WHEN NEW.digits <> ''
BEGIN
    INSERT INTO key_tallies (campaign_key, quarter_at, digit, calls, people)
    SELECT NEW.campaign_key, NEW.invited_at / 900000 * 900000, column1, 1, NOT EXISTS (
        SELECT 1 FROM calls
        WHERE campaign_key = NEW.campaign_key AND subscriber_key = NEW.subscriber_key AND key <> NEW.key
            AND instr(digits, column1)
    )
    FROM (VALUES ('0'), ('1'), ('2'), ('3'), ('4'), ('5'), ('6'), ('7'), ('8'), ('9'), ('*'), ('#'),
        ('A'), ('B'), ('C'), ('D'))
    WHERE instr(NEW.digits, column1)
    ON CONFLICT (campaign_key, quarter_at, digit) DO UPDATE SET
        calls = calls + 1, people = people + excluded.people;
END"""

TALLYING_TRIGGERS: Mapping[str, Mapping[str, str]] = {
    "sqlite": {"calls_tallied": _TALLY_CALL, "calls_keys_tallied": _TALLY_KEYS}
}
"""Dialect -> name -> statement."""

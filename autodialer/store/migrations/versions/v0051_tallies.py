"""tallies of calls and keys by quarter of an hour."""

import sqlalchemy as sa
from alembic import op

from autodialer.store.sql import column_types as columns

revision = "0051"
down_revision = "0050"

# Frozen as autodialer.store.figures.tallying made them; other dialects get theirs with their first migration.
TRIGGERS = {
    "sqlite": (
        """CREATE TRIGGER calls_tallied AFTER INSERT ON calls
BEGIN
    INSERT INTO call_tallies (
        campaign_key, quarter_at, zone, trunk_key, caller_id, disposition,
        calls,
        billsec_ms,
        rang,
        answered,
        heard_25,
        heard_50,
        heard_75,
        heard_95,
        dead,
        early_hang_ups,
        sip_603,
        sip_607,
        sip_608,
        people_called,
        people_rang,
        people_answered,
        people_heard_25,
        people_heard_50,
        people_heard_75,
        people_heard_95,
        people_dead
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
        1,
        CAST(ROUND(NEW.billsec_s * 1000) AS INTEGER),
        (NEW.ringing_at IS NOT NULL OR NEW.disposition IN ('answered', 'machine')),
        (NEW.disposition IN ('answered', 'machine')),
        (NEW.disposition = 'answered' AND NEW.played_share > 0.25),
        (NEW.disposition = 'answered' AND NEW.played_share > 0.5),
        (NEW.disposition = 'answered' AND NEW.played_share > 0.75),
        (NEW.disposition = 'answered' AND NEW.played_share > 0.95),
        (COALESCE(NEW.sip_code, 0) IN (404, 410, 484, 604)),
        (NEW.disposition = 'answered' AND NEW.ended_by IS 'callee' AND NEW.billsec_s < 3),
        (NEW.sip_code IS 603),
        (NEW.sip_code IS 607),
        (NEW.sip_code IS 608),
        earlier.called = 0,
        (NEW.ringing_at IS NOT NULL OR NEW.disposition IN ('answered', 'machine')) AND earlier.rang = 0,
        (NEW.disposition IN ('answered', 'machine')) AND earlier.answered = 0,
        (NEW.disposition = 'answered' AND NEW.played_share > 0.25) AND earlier.heard_25 = 0,
        (NEW.disposition = 'answered' AND NEW.played_share > 0.5) AND earlier.heard_50 = 0,
        (NEW.disposition = 'answered' AND NEW.played_share > 0.75) AND earlier.heard_75 = 0,
        (NEW.disposition = 'answered' AND NEW.played_share > 0.95) AND earlier.heard_95 = 0,
        (COALESCE(NEW.sip_code, 0) IN (404, 410, 484, 604)) AND earlier.dead = 0
    FROM (SELECT COUNT(*) AS called,
        COALESCE(MAX(calls.ringing_at IS NOT NULL OR calls.disposition IN ('answered', 'machine')), 0) AS rang,
        COALESCE(MAX(calls.disposition IN ('answered', 'machine')), 0) AS answered,
        COALESCE(MAX(calls.disposition = 'answered' AND calls.played_share > 0.25), 0) AS heard_25,
        COALESCE(MAX(calls.disposition = 'answered' AND calls.played_share > 0.5), 0) AS heard_50,
        COALESCE(MAX(calls.disposition = 'answered' AND calls.played_share > 0.75), 0) AS heard_75,
        COALESCE(MAX(calls.disposition = 'answered' AND calls.played_share > 0.95), 0) AS heard_95,
        COALESCE(MAX(COALESCE(calls.sip_code, 0) IN (404, 410, 484, 604)), 0) AS dead
        FROM calls
        WHERE campaign_key = NEW.campaign_key AND subscriber_key = NEW.subscriber_key AND key <> NEW.key) AS earlier
    WHERE true
    ON CONFLICT (campaign_key, quarter_at, zone, trunk_key, caller_id, disposition) DO UPDATE SET
        calls = calls + excluded.calls,
        billsec_ms = billsec_ms + excluded.billsec_ms,
        rang = rang + excluded.rang,
        answered = answered + excluded.answered,
        heard_25 = heard_25 + excluded.heard_25,
        heard_50 = heard_50 + excluded.heard_50,
        heard_75 = heard_75 + excluded.heard_75,
        heard_95 = heard_95 + excluded.heard_95,
        dead = dead + excluded.dead,
        early_hang_ups = early_hang_ups + excluded.early_hang_ups,
        sip_603 = sip_603 + excluded.sip_603,
        sip_607 = sip_607 + excluded.sip_607,
        sip_608 = sip_608 + excluded.sip_608,
        people_called = people_called + excluded.people_called,
        people_rang = people_rang + excluded.people_rang,
        people_answered = people_answered + excluded.people_answered,
        people_heard_25 = people_heard_25 + excluded.people_heard_25,
        people_heard_50 = people_heard_50 + excluded.people_heard_50,
        people_heard_75 = people_heard_75 + excluded.people_heard_75,
        people_heard_95 = people_heard_95 + excluded.people_heard_95,
        people_dead = people_dead + excluded.people_dead;
END""",
        """CREATE TRIGGER calls_keys_tallied AFTER INSERT ON calls
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
END""",
    )
}

# The same figures from the calls that are there already, a campaign a step.
FILL = (
    """INSERT INTO call_tallies (campaign_key, quarter_at, zone, trunk_key, caller_id, disposition, calls, billsec_ms,
    rang, answered, heard_25, heard_50, heard_75, heard_95, dead, early_hang_ups, sip_603, sip_607, sip_608,
    people_called, people_rang, people_answered, people_heard_25, people_heard_50, people_heard_75,
    people_heard_95, people_dead)
SELECT c.campaign_key, c.invited_at / 900000 * 900000,
    COALESCE(subscribers.timezone, subscribers.number_zone, ''),
    COALESCE(c.trunk_key, 0),
    COALESCE(NULLIF(campaigns.caller_id, ''), NULLIF(trunks.caller_id, ''), trunks.username, ''),
    c.disposition,
    COUNT(*),
    SUM(CAST(ROUND(c.billsec_s * 1000) AS INTEGER)),
    SUM(c.ringing_at IS NOT NULL OR c.disposition IN ('answered', 'machine')),
    SUM(c.disposition IN ('answered', 'machine')),
    SUM(c.disposition = 'answered' AND c.played_share > 0.25),
    SUM(c.disposition = 'answered' AND c.played_share > 0.5),
    SUM(c.disposition = 'answered' AND c.played_share > 0.75),
    SUM(c.disposition = 'answered' AND c.played_share > 0.95),
    SUM(COALESCE(c.sip_code, 0) IN (404, 410, 484, 604)),
    SUM(c.disposition = 'answered' AND c.ended_by IS 'callee' AND c.billsec_s < 3),
    SUM(c.sip_code IS 603),
    SUM(c.sip_code IS 607),
    SUM(c.sip_code IS 608),
    SUM(c.key = first.called),
    SUM(c.key IS first.rang),
    SUM(c.key IS first.answered),
    SUM(c.key IS first.heard_25),
    SUM(c.key IS first.heard_50),
    SUM(c.key IS first.heard_75),
    SUM(c.key IS first.heard_95),
    SUM(c.key IS first.dead)
FROM calls AS c
JOIN (
    SELECT subscriber_key, MIN(key) AS called,
        MIN(CASE WHEN (calls.ringing_at IS NOT NULL OR calls.disposition IN ('answered', 'machine')) THEN key
            END) AS rang,
        MIN(CASE WHEN (calls.disposition IN ('answered', 'machine')) THEN key END) AS answered,
        MIN(CASE WHEN (calls.disposition = 'answered' AND calls.played_share > 0.25) THEN key END) AS heard_25,
        MIN(CASE WHEN (calls.disposition = 'answered' AND calls.played_share > 0.5) THEN key END) AS heard_50,
        MIN(CASE WHEN (calls.disposition = 'answered' AND calls.played_share > 0.75) THEN key END) AS heard_75,
        MIN(CASE WHEN (calls.disposition = 'answered' AND calls.played_share > 0.95) THEN key END) AS heard_95,
        MIN(CASE WHEN (COALESCE(calls.sip_code, 0) IN (404, 410, 484, 604)) THEN key END) AS dead
    FROM calls WHERE campaign_key = :campaign GROUP BY subscriber_key
) AS first ON first.subscriber_key = c.subscriber_key
JOIN campaigns ON campaigns.key = c.campaign_key
LEFT JOIN subscribers ON subscribers.key = c.subscriber_key
LEFT JOIN trunks ON trunks.key = c.trunk_key
WHERE c.campaign_key = :campaign GROUP BY 1, 2, 3, 4, 5, 6""",
    """INSERT INTO key_tallies (campaign_key, quarter_at, digit, calls, people)
SELECT c.campaign_key, c.invited_at / 900000 * 900000, column1, COUNT(*), SUM(NOT EXISTS (
    SELECT 1 FROM calls
    WHERE campaign_key = c.campaign_key AND subscriber_key = c.subscriber_key AND key < c.key
        AND instr(digits, column1)
))
FROM calls AS c
JOIN (VALUES ('0'), ('1'), ('2'), ('3'), ('4'), ('5'), ('6'), ('7'), ('8'), ('9'), ('*'), ('#'),
        ('A'), ('B'), ('C'), ('D'))
    ON instr(c.digits, column1)
WHERE c.campaign_key = :campaign AND c.digits <> '' GROUP BY 1, 2, 3""",
)


def upgrade() -> None:
    """To 0051."""
    _create_tables()
    fill(op.get_bind())
    for statement in TRIGGERS[op.get_bind().dialect.name]:
        op.execute(statement)


def fill(connection: sa.Connection) -> None:
    """Count the calls of every campaign."""
    for campaign in connection.execute(sa.text("SELECT key FROM campaigns ORDER BY key")).scalars().all():
        for statement in FILL:
            connection.execute(sa.text(statement), {"campaign": campaign})


def _create_tables() -> None:
    op.create_table(
        "call_tallies",
        sa.Column("campaign_key", columns.Key, nullable=False),
        sa.Column(
            "quarter_at",
            columns.UtcTime(),
            nullable=False,
            comment="the start of the quarter of an hour of the INVITE, UTC",
        ),
        sa.Column("zone", sa.Text(), nullable=False, comment="of the subscriber, IANA name; empty: none is known"),
        sa.Column("trunk_key", columns.Key, nullable=False, comment="0: interrupted before a trunk was known"),
        sa.Column(
            "caller_id",
            sa.Text(),
            nullable=False,
            comment="shown to the callee, as far as it is ours to say; empty: none was",
        ),
        sa.Column("disposition", sa.Text(), nullable=False),
        sa.Column("calls", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("billsec_ms", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="sum"),
        sa.Column("rang", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="or were answered"),
        sa.Column("answered", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="also by a machine"),
        sa.Column(
            "heard_25",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="answered calls that were played more than this percentage of the sound",
        ),
        sa.Column("heard_50", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("heard_75", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("heard_95", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("dead", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="404, 410, 484, 604"),
        sa.Column(
            "early_hang_ups",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="answered calls that the callee ended within 3 s",
        ),
        sa.Column("sip_603", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("sip_607", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("sip_608", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "people_called",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="whose first call within the campaign it was",
        ),
        sa.Column(
            "people_rang",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="whose first call it was that got as far; so on",
        ),
        sa.Column("people_answered", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("people_heard_25", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("people_heard_50", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("people_heard_75", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("people_heard_95", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("people_dead", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["campaign_key"], ["campaigns.key"], name=op.f("call_tallies_campaign_key_there")),
        sa.PrimaryKeyConstraint(
            "campaign_key", "quarter_at", "zone", "trunk_key", "caller_id", "disposition", name=op.f("call_tallies_key")
        ),
        sqlite_with_rowid=False,
        comment="finished calls by quarter of an hour, counted as they are recorded",
    )
    op.create_table(
        "key_tallies",
        sa.Column("campaign_key", columns.Key, nullable=False),
        sa.Column(
            "quarter_at",
            columns.UtcTime(),
            nullable=False,
            comment="the start of the quarter of an hour of the INVITE, UTC",
        ),
        sa.Column("digit", sa.Text(), nullable=False),
        sa.Column(
            "calls",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="in which it was pressed, however often",
        ),
        sa.Column(
            "people",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="whose first call within the campaign it was in which they pressed it",
        ),
        sa.ForeignKeyConstraint(["campaign_key"], ["campaigns.key"], name=op.f("key_tallies_campaign_key_there")),
        sa.PrimaryKeyConstraint("campaign_key", "quarter_at", "digit", name=op.f("key_tallies_key")),
        sqlite_with_rowid=False,
        comment="keys pressed by quarter of an hour, counted as the calls are recorded",
    )

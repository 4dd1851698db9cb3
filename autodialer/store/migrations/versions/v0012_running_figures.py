"""running figures of campaigns, and what a trunk's minute costs."""

import sqlalchemy as sa
from alembic import op

from autodialer.store.sql import column_types as columns

revision = "0012"
down_revision = "0011"

# Frozen as autodialer.store.figures.counting made them; other dialects get theirs with their first migration.
TRIGGERS = {
    "sqlite": (
        """CREATE TRIGGER calls_counted AFTER INSERT ON calls
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
END""",
        """CREATE TRIGGER calls_digits_counted AFTER INSERT ON calls
WHEN NEW.digits <> ''
BEGIN
    INSERT INTO call_spreads (campaign_key, figure, value, calls)
    SELECT NEW.campaign_key, 'digit', unicode(column1), 1
    FROM (VALUES ('0'), ('1'), ('2'), ('3'), ('4'), ('5'), ('6'), ('7'), ('8'), ('9'), ('*'), ('#'),
        ('A'), ('B'), ('C'), ('D'))
    WHERE instr(NEW.digits, column1)
    ON CONFLICT (campaign_key, figure, value) DO UPDATE SET calls = calls + 1;
END""",
        """CREATE TRIGGER campaign_subscribers_counted AFTER INSERT ON campaign_subscribers
BEGIN
    INSERT INTO subscriber_counts (campaign_key, state, reason, attempts, subscribers)
    VALUES (NEW.campaign_key, NEW.state, COALESCE(NEW.reason, ''), NEW.attempts, 1)
    ON CONFLICT (campaign_key, state, reason, attempts) DO UPDATE SET subscribers = subscribers + 1;
END""",
        """CREATE TRIGGER campaign_subscribers_recounted
AFTER UPDATE OF state, reason, attempts ON campaign_subscribers
WHEN NEW.state <> OLD.state OR NEW.reason IS NOT OLD.reason OR NEW.attempts <> OLD.attempts
BEGIN
    UPDATE subscriber_counts SET subscribers = subscribers - 1
    WHERE campaign_key = OLD.campaign_key AND state = OLD.state
        AND reason = COALESCE(OLD.reason, '') AND attempts = OLD.attempts;
    INSERT INTO subscriber_counts (campaign_key, state, reason, attempts, subscribers)
    VALUES (NEW.campaign_key, NEW.state, COALESCE(NEW.reason, ''), NEW.attempts, 1)
    ON CONFLICT (campaign_key, state, reason, attempts) DO UPDATE SET subscribers = subscribers + 1;
END""",
    ),
}

# The same figures from the rows that are there already.
FILL = (
    """INSERT INTO call_counts (campaign_key, hour_at, trunk_key, disposition, calls, billsec_ms, played_share_ppm)
SELECT campaign_key, invited_at / 3600000 * 3600000, COALESCE(trunk_key, 0), disposition, COUNT(*),
    SUM(CAST(ROUND(billsec_s * 1000) AS INTEGER)), SUM(CAST(ROUND(played_share * 1000000) AS INTEGER))
FROM calls GROUP BY 1, 2, 3, 4""",
    """INSERT INTO call_spreads (campaign_key, figure, value, calls)
SELECT campaign_key, 'pdd', CAST(ROUND(pdd_s * 100) AS INTEGER), COUNT(*)
FROM calls WHERE pdd_s IS NOT NULL GROUP BY 1, 3""",
    """INSERT INTO call_spreads (campaign_key, figure, value, calls)
SELECT campaign_key, 'listened', CAST(played_s AS INTEGER), COUNT(*)
FROM calls WHERE disposition = 'answered' GROUP BY 1, 3""",
    """INSERT INTO call_spreads (campaign_key, figure, value, calls)
SELECT campaign_key, 'digit', unicode(column1), COUNT(*)
FROM calls
JOIN (VALUES ('0'), ('1'), ('2'), ('3'), ('4'), ('5'), ('6'), ('7'), ('8'), ('9'), ('*'), ('#'),
        ('A'), ('B'), ('C'), ('D'))
    ON instr(digits, column1)
WHERE digits <> '' GROUP BY 1, 3""",
    """INSERT INTO subscriber_counts (campaign_key, state, reason, attempts, subscribers)
SELECT campaign_key, state, COALESCE(reason, ''), attempts, COUNT(*)
FROM campaign_subscribers GROUP BY 1, 2, 3, 4""",
)


def upgrade() -> None:
    """From 0011 to 0012."""
    _create_tables()
    op.add_column("trunks", sa.Column("price_per_min", sa.Float(), nullable=True))
    op.drop_index(op.f("campaign_subscribers_campaign_key_state_attempts"), "campaign_subscribers")
    op.create_index(op.f("calls_campaign_key_subscriber_key"), "calls", ["campaign_key", "subscriber_key"])
    for statement in (*FILL, *TRIGGERS[op.get_bind().dialect.name]):
        op.execute(statement)


def _create_tables() -> None:
    op.create_table(
        "call_counts",
        sa.Column("campaign_key", columns.Key, nullable=False),
        sa.Column("hour_at", columns.UtcTime(), nullable=False, comment="the start of the hour of the INVITE, UTC"),
        sa.Column("trunk_key", columns.Key, nullable=False, comment="0: interrupted before a trunk was known"),
        sa.Column("disposition", sa.Text(), nullable=False),
        sa.Column("calls", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("billsec_ms", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="sum"),
        sa.Column(
            "played_share_ppm",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="sum, in millionths",
        ),
        sa.ForeignKeyConstraint(["campaign_key"], ["campaigns.key"], name=op.f("call_counts_campaign_key_there")),
        sa.PrimaryKeyConstraint("campaign_key", "disposition", "hour_at", "trunk_key", name=op.f("call_counts_key")),
        sqlite_with_rowid=False,
        comment="finished calls, counted as they are recorded",
    )
    op.create_table(
        "call_spreads",
        sa.Column("campaign_key", columns.Key, nullable=False),
        sa.Column(
            "figure",
            sa.Text(),
            nullable=False,
            comment="pdd: of calls that rang; listened: of answered calls; digit: of calls in which one came",
        ),
        sa.Column(
            "value",
            sa.Integer(),
            nullable=False,
            comment="pdd: in 10 ms; listened: whole seconds played; digit: its code point",
        ),
        sa.Column("calls", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["campaign_key"], ["campaigns.key"], name=op.f("call_spreads_campaign_key_there")),
        sa.PrimaryKeyConstraint("campaign_key", "figure", "value", name=op.f("call_spreads_key")),
        sqlite_with_rowid=False,
        comment="how the finished calls spread over the values of a figure",
    )
    op.create_table(
        "subscriber_counts",
        sa.Column("campaign_key", columns.Key, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False, comment="empty where campaign_subscribers has none"),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("subscribers", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["campaign_key"], ["campaigns.key"], name=op.f("subscriber_counts_campaign_key_there")),
        sa.PrimaryKeyConstraint("campaign_key", "state", "reason", "attempts", name=op.f("subscriber_counts_key")),
        sqlite_with_rowid=False,
        comment="rows of campaign_subscribers, counted as they change",
    )

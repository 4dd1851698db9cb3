"""The call jobs, and the dialogs of those who were picked up."""

from sqlalchemy import (
    Column,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Table,
    text,
)

from autodialer.model import JobState
from autodialer.store.sql.column_types import Key, PublicId
from autodialer.store.sql.shapes import (
    at,
    count,
    flag,
    metadata,
    own_key,
    refers,
    state_of,
    words,
)
from autodialer.store.sql.transitions import CALL_JOBS

LIVE_JOB_STATES = (JobState.QUEUED, JobState.DIALING, JobState.INTERRUPTED)
WAITING_JOB = "state = 'queued' AND waits_for IS NOT NULL"
LIVE_JOB = "state IN ('queued', 'dialing', 'interrupted')"

call_jobs = Table(
    "call_jobs",
    metadata,
    own_key(),
    Column("call_id", PublicId, nullable=False, unique=True, comment="public id of the call it will make or made last"),
    Column("campaign_key", Key, nullable=False),
    Column("subscriber_key", Key, nullable=False),
    refers("trunk_key", "trunks.key", nullable=True),
    state_of(CALL_JOBS, "queued"),
    at("not_before", nullable=False, comment="not to be claimed earlier"),
    words("claimed_by", nullable=True, comment="instance of the dialer"),
    at("claimed_at", comment="committed before the INVITE leaves"),
    words("waits_for", nullable=True),  # by migration 0010: the rule that made `not_before`; NULL: the first attempt
    CALL_JOBS.check(),
    ForeignKeyConstraint(
        ["campaign_key", "subscriber_key"], ["campaign_subscribers.campaign_key", "campaign_subscribers.subscriber_key"]
    ),
    Index(
        # The last word on "no person is called twice at once", whatever the code above it does.
        "call_jobs_one_live",
        "campaign_key",
        "subscriber_key",
        unique=True,
        sqlite_where=text(LIVE_JOB),
        postgresql_where=text(LIVE_JOB),
    ),
    # For clearing away: without it each deleted row of campaign_subscribers would search all jobs.
    Index(None, "campaign_key", "subscriber_key"),
    Index(
        "call_jobs_due",
        "campaign_key",
        "not_before",
        sqlite_where=text("state = 'queued'"),
        postgresql_where=text("state = 'queued'"),
    ),
    Index(
        # What `why` counts, rule by rule, is all in the index.
        "call_jobs_waiting",
        "campaign_key",
        "waits_for",
        "not_before",
        "state",
        sqlite_where=text(WAITING_JOB),
        postgresql_where=text(WAITING_JOB),
    ),
    Index(
        "call_jobs_dialing",
        "campaign_key",
        "trunk_key",
        sqlite_where=text("state = 'dialing'"),
        postgresql_where=text("state = 'dialing'"),
    ),
)

day_use = Table(
    "day_use",
    metadata,
    words("day", comment="of UTC, as 2027-01-31"),
    words("kind", comment="users or trunks"),
    Column("of_key", Key, nullable=False),
    count("calls", "claims"),
    count("billsec_ms", "of ended calls"),
    flag("told", "the audit says that a ceiling is reached"),
    PrimaryKeyConstraint("day", "kind", "of_key"),
    sqlite_with_rowid=False,
    comment="calls and minutes of a user or trunk on a day, for its ceilings",
)

dialogs = Table(
    "dialogs",
    metadata,
    Column("call_id", PublicId, primary_key=True),
    refers("trunk_key", "trunks.key", cascade=True),
    words("dialog", comment="JSON: what a BYE needs, as the SIP core wrote it; no password"),
    # Only ever found by the call's id: a rowid would be a second tree to write at every answer.
    sqlite_with_rowid=False,
    comment="calls that are answered and not over; the row goes in the commit of the call's outcome",
)

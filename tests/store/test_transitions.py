"""The database itself refuses illegal transitions, unknown words and a second live job."""

import sqlite3
from collections.abc import Iterator
from itertools import product

import pytest

from autodialer.model import CAMPAIGN_TRANSITIONS, JOB_TRANSITIONS, SUBSCRIBER_TRANSITIONS, JobState, SubscriberState
from autodialer.store.sql.transitions import CALLBASE_TRANSITIONS
from tests.store.world import World

TABLES = {
    "campaigns": CAMPAIGN_TRANSITIONS,
    "call_jobs": JOB_TRANSITIONS,
    "campaign_subscribers": SUBSCRIBER_TRANSITIONS,
    "callbases": CALLBASE_TRANSITIONS,
}


@pytest.fixture
def connection(world: World, store_url: str) -> Iterator[sqlite3.Connection]:
    """One row in each table that has a state, without the triggers of `INSERT OR REPLACE` in the way."""
    world.running(1)
    world.store.queue.enqueue_due(world.clock.now)
    opened = sqlite3.connect(store_url.removeprefix("sqlite:///"), isolation_level=None)
    yield opened
    opened.close()


def set_state(connection: sqlite3.Connection, table: str, state: str) -> None:
    """Into any state, by taking the trigger away for a moment."""
    (sql,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (f"{table}_state",)).fetchone()
    connection.execute(f"DROP TRIGGER {table}_state")
    connection.execute(f"UPDATE {table} SET state = ?", (state,))
    connection.execute(sql)


@pytest.mark.parametrize("table", TABLES)
def test_only_the_transitions_of_the_table_are_accepted(connection: sqlite3.Connection, table: str) -> None:
    arrows = TABLES[table]
    for before, after in product(arrows, arrows):
        set_state(connection, table, before.value)
        if after in arrows[before] or after == before:  # type: ignore[index]
            connection.execute(f"UPDATE {table} SET state = ?", (after.value,))
        else:
            with pytest.raises(sqlite3.IntegrityError, match="no such transition"):
                connection.execute(f"UPDATE {table} SET state = ?", (after.value,))


@pytest.mark.parametrize("table", TABLES)
def test_an_unknown_state_is_refused(connection: sqlite3.Connection, table: str) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute(f"UPDATE {table} SET state = 'sleeping'")
    connection.execute(f"DROP TRIGGER {table}_state")
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        connection.execute(f"UPDATE {table} SET state = 'sleeping'")


@pytest.mark.parametrize("state", JobState)
def test_a_subscriber_has_one_live_job_a_campaign(connection: sqlite3.Connection, state: JobState) -> None:
    set_state(connection, "call_jobs", state)
    second = (
        "INSERT INTO call_jobs (call_id, campaign_key, subscriber_key, not_before) "
        "SELECT x'00', campaign_key, subscriber_key, 0 FROM call_jobs"
    )
    if state in (JobState.QUEUED, JobState.DIALING, JobState.INTERRUPTED):
        with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
            connection.execute(second)
    else:
        connection.execute(second)


def test_every_state_of_the_model_is_in_its_transition_table() -> None:
    assert set(JOB_TRANSITIONS) == set(JobState)
    assert set(SUBSCRIBER_TRANSITIONS) == set(SubscriberState)

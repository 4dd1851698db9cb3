"""What the hot statements cost: the plans that SQLite makes of them, and times with room to spare."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import Connection, event

from autodialer.model import Disposition
from autodialer.store import CallsWanted, NewSubscriber, TallyScope
from autodialer.store.sql.engine import BEGIN_WRITE
from tests.store.world import EXHAUSTED, NOW, World, number
from tests.timing import at_most


@contextmanager
def explained(world: World, store_url: str, *, only_while_writing: bool) -> Iterator[list[str]]:
    """The plan of each statement that runs in here, or of those only that run while others cannot write."""
    found: list[str] = []
    explainer = sqlite3.connect(store_url.removeprefix("sqlite:///"))

    def explain(run: Connection, _cursor: object, statement: str, parameters: object, _x: object, many: bool) -> None:
        if statement.startswith("BEGIN"):
            run.info["writes"] = statement == BEGIN_WRITE
        elif statement.startswith(("SELECT", "UPDATE", "DELETE")) and (run.info["writes"] or not only_while_writing):
            first = parameters[0] if many else parameters  # type: ignore[index]
            rows = explainer.execute(f"EXPLAIN QUERY PLAN {statement}", first).fetchall()
            found.extend(row[3] for row in rows)

    engine = world.store._database._engine
    event.listen(engine, "before_cursor_execute", explain)
    yield found
    event.remove(engine, "before_cursor_execute", explain)
    explainer.close()


@pytest.fixture
def plans(world: World, store_url: str) -> Iterator[list[str]]:
    """The plan of each statement that runs from here on."""
    with explained(world, store_url, only_while_writing=False) as found:
        yield found


@pytest.fixture
def locked_plans(world: World, store_url: str) -> Iterator[list[str]]:
    """The same, of statements only that run while the database is locked for writing."""
    with explained(world, store_url, only_while_writing=True) as found:
        yield found


def test_erasing_and_forgetting_scan_no_big_table_while_they_keep_a_claim_from_writing(
    world: World, locked_plans: list[str]
) -> None:
    campaign = world.running(3)
    person = world.store.subscribers.page(campaign.callbase_id, None)[0][0]
    world.record(*[world.result(job, Disposition.BUSY, EXHAUSTED) for job in world.claim(campaign)])
    world.store.queue.finish_campaigns(NOW)
    world.store.audit.append(world.user.key, "calls.sample", details={"number": person.number})
    locked_plans.clear()
    assert world.store.erasing.erase(person.id, world.user.key).calls == 1
    later = NOW + timedelta(days=30)
    assert world.store.retention.delete_callbases(later) == [campaign.callbase_id]
    assert world.store.retention.delete_calls(later) == 3
    scans = {step for step in locked_plans if step.startswith("SCAN") and "temp" not in step.lower()}
    assert not {
        step for step in scans if step.split()[1] in {"subscribers", "calls", "audit", "call_traces", "call_jobs"}
    }
    assert any("SEARCH calls" in step for step in locked_plans)


def test_no_statement_of_the_dialer_scans_a_big_table(world: World, plans: list[str]) -> None:
    campaign = world.running(5)
    plans.clear()
    jobs = world.claim(campaign, 2)
    world.record(*[world.result(job, Disposition.BUSY, world.again("busy")) for job in jobs])
    world.store.queue.finish_campaigns(NOW)
    world.store.queue.dialing_counts()
    world.store.queue.running_campaigns()
    world.store.commands.new()
    world.store.traces.write({job.call_id: b"packed" for job in jobs}, keep=1, longest=timedelta(days=7))
    world.store.traces.read(jobs[0].call_id)
    scans = [step for step in plans if step.startswith("SCAN")]
    assert set(scans) <= {
        "SCAN campaigns USING INDEX campaigns_running",
        "SCAN campaigns USING COVERING INDEX campaigns_running",
        "SCAN call_jobs USING INDEX call_jobs_dialing",
        "SCAN commands USING INDEX commands_new",
        "SCAN CONSTANT ROW",
    }
    assert any("call_jobs_due" in step for step in plans)
    assert not [step for step in plans if "TEMP B-TREE" in step]


def test_a_recorded_call_costs_as_much_after_thousands_of_calls_as_after_one(world: World, store_url: str) -> None:
    """In steps of SQLite's machine, the triggers that count it among them."""
    campaign = world.running(1)
    [job] = world.claim(campaign)
    world.record(world.result(job, Disposition.ANSWERED, digits="12"))
    database = sqlite3.connect(store_url.removeprefix("sqlite:///"), isolation_level=None)
    columns = [row[1] for row in database.execute("PRAGMA table_info(calls)") if row[1] not in ("key", "id")]
    kept = ", ".join(name for name in columns if name != "subscriber_key")

    def add(first: int, count: int) -> int:
        steps = [0]

        def step() -> None:
            steps[0] += 1

        database.set_progress_handler(step, 1)
        database.execute(
            "WITH RECURSIVE more(n) AS (SELECT ? UNION ALL SELECT n + 1 FROM more WHERE n < ?)"
            f"INSERT INTO calls (id, subscriber_key, {kept}) SELECT CAST(n AS BLOB), n, {kept} FROM more, calls"
            " WHERE calls.key = 1",
            (first, first + count - 1),
        )
        return steps[0]

    early = add(10, 20)
    add(100, 3000)
    assert add(10_000, 20) <= 1.2 * early
    database.close()


def test_caps_find_the_calls_of_a_number_by_it_and_not_by_the_owners_campaigns(world: World, plans: list[str]) -> None:
    campaign = world.running(60, cap_day=2, cap_week=3)
    world.store.queue.enqueue_due(NOW)
    plans.clear()
    jobs = world.claim(campaign, 60)
    assert len(jobs) == 60
    world.record(*[world.result(job, Disposition.BUSY, world.again("busy")) for job in jobs])
    of_calls = {step for step in plans if "calls" in step}
    assert of_calls == {"SEARCH calls USING INDEX calls_number_invited_at (number=? AND invited_at>?)"}
    assert {step for step in plans if "SCAN" in step} <= {
        "SCAN campaigns USING INDEX campaigns_running",
        "SCAN call_jobs USING INDEX call_jobs_dialing",
        "SCAN call_jobs USING COVERING INDEX call_jobs_dialing",
    }


def test_no_list_and_no_count_scans_or_sorts(world: World, plans: list[str]) -> None:
    campaign = world.running(5)
    session = world.store.tokens.new_family(world.user.key)
    plans.clear()
    world.store.calls.page(campaign.key, limit=2)
    world.store.calls.page(campaign.key, wanted=CallsWanted(dispositions=["busy"]), limit=2)
    world.store.subscribers.page(campaign.callbase_id, world.user.key, limit=2)
    world.store.campaigns.progress(campaign.key)
    world.store.waiting_lists.waiting(campaign.key, NOW)
    world.store.waiting_lists.reasons(campaign.key)
    world.store.tokens.user_of_family(session.family_id)
    world.store.dnc.contains(number(1), world.user.key)
    world.store.dnc.page(world.user.key, limit=2)
    assert not [step for step in plans if "SCAN" in step or "TEMP B-TREE" in step]


@pytest.mark.parametrize("of_one", [False, True], ids=["of a user", "of a campaign"])
def test_a_report_reads_the_tallies_of_its_campaigns_only(world: World, plans: list[str], of_one: bool) -> None:
    campaign = world.running(1)
    whose = {"campaign_key": campaign.key} if of_one else {"owner_key": world.user.key}
    scope = TallyScope(**whose, since=NOW - timedelta(days=7), until=NOW)
    plans.clear()
    world.store.tallies.figures(scope)
    world.store.tallies.quarters(scope)
    world.store.tallies.caller_ids(scope)
    world.store.tallies.callbases(scope)
    assert not [step for step in plans if step.startswith("SCAN") and "tallies" in step], plans
    spans = [step for step in plans if "call_tallies USING PRIMARY KEY (campaign_key=? AND quarter_at>?" in step]
    assert len(spans) == (3 if of_one else 4), plans


@pytest.mark.parametrize("everybodys", [False, True])
def test_the_list_of_all_subscribers_reads_its_page_only(world: World, plans: list[str], everybodys: bool) -> None:
    world.callbase(3)
    world.callbase(3, first=3)
    plans.clear()
    owner = None if everybodys else world.user.key
    found, after = world.store.subscribers.page_of_all(owner, limit=2)
    while after is not None:
        page, after = world.store.subscribers.page_of_all(owner, limit=2, after=after)
        found += page
    assert [each.number for each in found] == [number(index) for index in range(6)]
    assert not [step for step in plans if "TEMP B-TREE FOR" in step and "ORDER BY" in step], plans
    assert not [step for step in plans if step.startswith("SCAN subscribers")], plans


def test_ten_thousand_subscribers_are_inserted_in_well_under_two_seconds(world: World) -> None:
    made = world.store.callbases.create(world.user.key, name="c", region="GB")
    batches = [
        [NewSubscriber(number=number(first + n), name="x") for n in range(500)] for first in range(0, 10000, 500)
    ]
    began = time.process_time()
    for batch in batches:
        world.store.callbases.add_rows(made.key, batch)
    assert time.process_time() - began < at_most(1.5)


def test_a_job_costs_little(world: World) -> None:
    campaign = world.running(300)
    world.store.queue.enqueue_due(NOW, batch=300)
    world.record(*[world.result(job, Disposition.ANSWERED) for job in world.claim(campaign, 1)])
    began = time.process_time()
    done = 0
    while jobs := world.claim(campaign, 5):
        world.record(*[world.result(job, Disposition.ANSWERED) for job in jobs])
        done += len(jobs)
    assert done == 299
    assert (time.process_time() - began) / done < at_most(0.0015)

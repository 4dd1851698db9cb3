"""Several threads, several processes, and processes that are killed: nothing is claimed twice and nothing is lost."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from autodialer.campaign.admission import admit
from autodialer.errors import Unavailable
from autodialer.model import (
    Campaign,
    ClaimedJob,
    ClaimRequest,
    Disposition,
    JobState,
    NextStep,
    SubscriberState,
)
from autodialer.store import NewSubscriber, Secrets, Store
from autodialer.store.sql.engine import Database
from tests.store.world import EXHAUSTED, NOW, World, number
from tests.timing import at_most

ROOT = Path(__file__).resolve().parents[2]

DIALER = """
import sys
from argon2 import PasswordHasher
from autodialer.model import ClaimRequest, Disposition
from autodialer.store import Secrets, Store
from pathlib import Path
from autodialer.campaign.admission import admit
from tests.store.world import NOW, StandingClock, World

url, campaign_key, trunk_key, mode = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
keys = Path(url.removeprefix("sqlite:///")).parent / "keys"
store = Store(url, secrets=Secrets(keys, hasher=hasher), synchronous="FULL", clock=StandingClock(NOW))
world = World.__new__(World)
world.clock = StandingClock(NOW)
request = ClaimRequest(campaign_key=campaign_key, trunk_key=trunk_key, limit=3)

def say(word, jobs):
    sys.stdout.write("".join(f"{word} {job.key}\\n" for job in jobs))
    sys.stdout.flush()

sys.stdout.write("ready\\n")
sys.stdout.flush()
sys.stdin.readline()
while jobs := store.queue.claim([request], f"pid {mode}", NOW, admit):
    say("claimed", jobs)
    if mode == "claim":
        continue
    if mode == "halfway":
        with store._database.write() as connection:
            from autodialer.store.queue import queue
            say("uncommitted", queue._claim(connection, request, "pid", NOW, admit))
            sys.stdin.readline()
    say("recording", jobs)
    store.queue.record([world.result(job, Disposition.ANSWERED) for job in jobs], NOW, admit)
    say("recorded", jobs)
sys.stdout.write("end\\n")
"""


class Dialer:
    """A process that claims and records."""

    def __init__(self, url: str, campaign: Campaign, world: World, mode: str) -> None:
        arguments = [sys.executable, "-c", DIALER, url, str(campaign.key), str(world.trunk.key), mode]
        self.process = subprocess.Popen(
            arguments, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.said: list[tuple[str, int]] = []

    def read_until(self, enough: Callable[[str], bool]) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            word, _, key = line.strip().partition(" ")
            if key:
                self.said.append((word, int(key)))
            if enough(word):
                return

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def keys(self, word: str) -> list[int]:
        return [key for said, key in self.said if said == word]

    def end(self, *, kill: bool) -> None:
        """Kill it if asked, then hear the rest of what it said."""
        if kill:
            os.kill(self.process.pid, signal.SIGKILL)
        self.read_until(lambda _: False)
        self.process.wait(at_most(30))
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


def states_of_jobs(url: str) -> dict[int, str]:
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    found = dict(connection.execute("SELECT key, state FROM call_jobs").fetchall())
    connection.close()
    return found


def give_up(_campaign: Campaign, _job: ClaimedJob) -> NextStep:
    return NextStep(job_state=JobState.DONE, subscriber_state=SubscriberState.EXHAUSTED, rule="interrupted")


OPENS = NOW + timedelta(hours=8)


@pytest.mark.parametrize(
    "hours",
    [{}, {"open_zones": frozenset({"Europe/Moscow", ""}), "zones_open_at": {"Asia/Vladivostok": OPENS}}],
    ids=["everybody", "by_time_zone"],
)
def test_claims_of_several_threads_and_connections_never_overlap(
    world: World, store_url: str, secrets: Secrets, hours: dict[str, Any]
) -> None:
    callbase = world.store.callbases.create(world.user.key, name="c", region="GB")
    zones = ("Europe/Moscow", "Asia/Vladivostok", None)
    rows = [NewSubscriber(number=number(index), timezone=zones[index % 3]) for index in range(300)]
    world.store.callbases.add_rows(callbase.key, rows)
    campaign = world.store.campaigns.start(world.draft(world.store.callbases.finish(callbase.key, rows=300)).id, None)
    world.store.queue.enqueue_due(NOW, batch=300)
    stores = [world.store, Store(store_url, secrets=secrets), Store(store_url, secrets=secrets)]
    start = threading.Barrier(6)

    def dial(index: int) -> list[str]:
        start.wait()
        request = ClaimRequest(campaign_key=campaign.key, trunk_key=world.trunk.key, limit=4, **hours)
        numbers: list[str] = []
        while jobs := stores[index % 3].queue.claim([request], f"thread {index}", NOW, admit):
            numbers += [job.number for job in jobs]
        return numbers

    with ThreadPoolExecutor(6) as pool:
        claimed = [each for numbers in pool.map(dial, range(6)) for each in numbers]
    for other in stores[1:]:
        other.close()
    open_rows = [row.number for row in rows if not hours or row.timezone != "Asia/Vladivostok"]
    assert sorted(claimed) == sorted(open_rows)
    if hours:
        assert world.store.campaigns.progress(campaign.key).next_due == OPENS


@pytest.mark.process
def test_claims_of_several_processes_never_overlap(world: World, store_url: str) -> None:
    campaign = world.running(240)
    world.store.queue.enqueue_due(NOW, batch=240)
    dialers = [Dialer(store_url, campaign, world, "claim") for _ in range(2)]
    for dialer in dialers:
        dialer.read_until(lambda word: word == "ready")
    for dialer in dialers:
        dialer.go()
    for dialer in dialers:
        dialer.end(kill=False)
    claimed = [key for dialer in dialers for key in dialer.keys("claimed")]
    assert len(claimed) == len(set(claimed)) == 240


@pytest.mark.process
def test_a_process_killed_between_claim_and_record_leaves_just_its_committed_claims_interrupted(
    world: World, store_url: str
) -> None:
    campaign = world.running(10)
    world.store.queue.enqueue_due(NOW)
    dialer = Dialer(store_url, campaign, world, "halfway")
    dialer.read_until(lambda word: word == "ready")
    dialer.go()
    for _ in range(3):
        dialer.read_until(lambda word: word == "uncommitted")
    dialer.end(kill=True)
    committed, uncommitted = dialer.keys("claimed"), dialer.keys("uncommitted")
    assert len(committed) == len(uncommitted) == 3
    assert {key for key, state in states_of_jobs(store_url).items() if state == "dialing"} == set(committed)
    assert world.store.queue.recover(None, NOW, give_up) == 3
    calls, _ = world.store.calls.page(campaign.key)
    assert [call.outcome and call.outcome.disposition for call in calls] == [Disposition.INTERRUPTED] * 3
    assert world.states(campaign) == {"total": 10, "pending": 7, "exhausted": 3}
    assert world.store.queue.recover(None, NOW, give_up) == 0
    assert not set(committed) & {job.key for job in world.claim(campaign)}


@pytest.mark.process
def test_a_process_killed_at_any_moment_loses_no_number_and_calls_none_twice(world: World, store_url: str) -> None:
    campaign = world.running(90)
    world.store.queue.enqueue_due(NOW, batch=90)
    interrupted = answered = 0
    for moment in (1, 6, 11):
        dialer = Dialer(store_url, campaign, world, "record")
        dialer.read_until(lambda word: word == "ready")
        dialer.go()
        for _ in range(moment):
            dialer.read_until(lambda word: word in ("claimed", "recorded"))
        dialer.end(kill=True)
        open_claims = sum(state == "dialing" for state in states_of_jobs(store_url).values())
        assert len(dialer.keys("recorded")) <= len(dialer.keys("claimed"))
        assert set(dialer.keys("claimed")) <= {k for k, s in states_of_jobs(store_url).items() if s != "queued"}
        assert world.store.queue.recover(None, NOW, give_up) == open_claims
        interrupted += open_claims
    while jobs := world.claim(campaign):
        world.record(*[world.result(job, Disposition.ANSWERED) for job in jobs])
    found = world.store.campaigns.progress(campaign.key).dispositions
    answered = found["answered"]
    assert found.get("interrupted", 0) == interrupted and answered + interrupted == 90
    calls, _ = world.store.calls.page(campaign.key, limit=1000)
    assert len({call.number for call in calls}) == 90


def test_an_interrupted_call_is_queued_again_if_the_policy_says_so(world: World) -> None:
    campaign = world.running(1)
    [job] = world.claim(campaign)
    seen: list[tuple[Campaign, ClaimedJob]] = []

    def decide(of: Campaign, what: ClaimedJob) -> NextStep:
        seen.append((of, what))
        return world.again("interrupted", after_s=0)

    assert world.store.queue.recover("another dialer", NOW, decide) == 0
    assert world.store.queue.recover("dialer-1", NOW, decide) == 1
    assert seen == [(world.store.campaigns.by_key(campaign.key), job)]
    [again] = world.claim(campaign)
    assert (again.attempt, again.retries_used) == (2, {"interrupted": 1})
    world.record(world.result(job, Disposition.ANSWERED))
    assert world.store.campaigns.progress(campaign.key).dispositions == {"interrupted": 1}, (
        "the dead dialer comes too late"
    )


def test_interrupted_calls_of_a_stopped_campaign_stay_ended(world: World) -> None:
    campaign = world.running(1)
    world.claim(campaign)
    world.store.campaigns.stop(campaign.id, None, hangup=False)
    assert world.store.queue.recover(None, NOW, lambda *_: world.again("interrupted")) == 1
    assert world.states(campaign) == {"total": 1, "exhausted": 1}
    assert world.store.campaigns.progress(campaign.key).next_due is None


def test_more_jobs_than_a_batch_are_recovered(world: World) -> None:
    campaign = world.running(1100)
    world.store.queue.enqueue_due(NOW, batch=1100)
    request = ClaimRequest(campaign_key=campaign.key, trunk_key=world.trunk.key, limit=1100)
    assert len(world.store.queue.claim([request], "dialer-1", NOW, admit)) == 1100
    assert world.store.queue.recover(None, NOW, give_up) == 1100
    assert world.store.queue.dialing_counts() == {}


def test_an_import_and_a_campaign_go_on_side_by_side(world: World, store_url: str, secrets: Secrets) -> None:
    campaign = world.running(60)
    importing = world.store.callbases.create(world.user.key, name="c", region="GB")
    api = Store(store_url, secrets=secrets)

    def load() -> int:
        batches = range(0, 5000, 500)
        return sum(
            api.callbases.add_rows(importing.key, [NewSubscriber(number=number(n)) for n in range(first, first + 500)])
            for first in batches
        )

    with ThreadPoolExecutor(1) as pool:
        loaded = pool.submit(load)
        while jobs := world.claim(campaign, 2):
            world.record(*[world.result(job, Disposition.BUSY, EXHAUSTED) for job in jobs])
        assert loaded.result() == 5000
    api.close()
    assert world.states(campaign) == {"total": 60, "exhausted": 60}


def test_a_database_that_stays_locked_is_unavailable_and_recovers(
    world: World, store_url: str, secrets: Secrets
) -> None:
    impatient = Store(store_url, secrets=secrets, busy_timeout_s=0.05)
    blocker = sqlite3.connect(store_url.removeprefix("sqlite:///"), isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable):
        impatient.commands.add("hangup_call")
    assert impatient.users.by_login("olga") == world.user, "reading goes on"
    impatient.ping()
    blocker.execute("ROLLBACK")
    impatient.commands.add("hangup_call")
    assert len(impatient.commands.new()) == 1
    blocker.close()
    impatient.close()


def test_a_full_disk_is_unavailable_and_nothing_is_half_stored(world: World, store_url: str) -> None:
    campaign = world.running(20)
    world.store.queue.enqueue_due(NOW)
    with world.store._database.write() as connection:
        (pages,) = connection.exec_driver_sql("PRAGMA page_count").one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    rows = [NewSubscriber(number=number(n), comment="x" * 2000) for n in range(500)]
    importing = world.store.callbases.create(world.user.key, name="c", region="GB")
    with pytest.raises(Unavailable):
        world.store.callbases.add_rows(importing.key, rows)
    assert world.store.subscribers.page(importing.id, None) == ([], None)
    assert world.store.campaigns.progress(campaign.key).counts.total == 20
    with world.store._database.write() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    assert world.store.callbases.add_rows(importing.key, rows) == 500


def test_an_exception_rolls_a_transaction_back(store_url: str, world: World) -> None:
    database = Database(store_url)

    def change_and_fail() -> None:
        with database.write() as connection:
            connection.exec_driver_sql("UPDATE users SET name = 'changed'")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change_and_fail()
    assert world.store.users.by_id(world.user.id).name == "olga"
    database.close()


@pytest.mark.parametrize("synchronous", ["NORMAL", "FULL"])
def test_connections_are_set_up_as_asked(store_url: str, synchronous: str) -> None:
    database = Database(store_url, synchronous=synchronous)
    with database.read() as connection:
        pragma = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "foreign_keys", "synchronous")
        }
    assert pragma == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 1 if synchronous == "NORMAL" else 2}
    database.close()


def test_campaigns_claimed_side_by_side_do_not_exceed_a_cap_together(
    world: World, store_url: str, secrets: Secrets
) -> None:
    campaigns = [world.running(40, cap_day=2) for _ in range(4)]
    world.store.queue.enqueue_due(NOW)
    stores = [Store(store_url, secrets=secrets, clock=world.clock) for _ in campaigns]
    together = threading.Barrier(len(campaigns))

    def claim_all(store: Store, campaign: Campaign) -> list[ClaimedJob]:
        claimed: list[ClaimedJob] = []
        together.wait(at_most(10))
        for _ in range(20):
            claimed += store.queue.claim([world.request(campaign, 5)], "dialer", NOW, admit)
        return claimed

    with ThreadPoolExecutor(len(campaigns)) as threads:
        found = list(threads.map(claim_all, stores, campaigns))
    for store in stores:
        store.close()
    of_number = Counter(job.number for jobs in found for job in jobs)
    assert set(of_number.values()) == {2} and len(of_number) == 40

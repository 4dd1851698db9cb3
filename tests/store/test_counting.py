"""The running figures say what a plain recount of every row says, whatever has happened."""

import math
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import event

from autodialer.model import Campaign, ClaimedJob, Disposition, NextStep
from autodialer.store import CampaignReport, Secrets, Step, Store, TallyScope, migrate
from autodialer.store.figures.report import reason_counts
from autodialer.store.figures.tallies import ANSWERABLE
from autodialer.store.migrations.versions import v0012_running_figures, v0051_tallies
from autodialer.store.sql.engine import make_engine
from tests.databases import cheap_secrets
from tests.store.world import EXHAUSTED, NOW, REACHED, StandingClock, World

PICKED_UP = ("answered", "machine")
FINAL = st.sampled_from([each for each in Disposition if each not in (Disposition.CANCELLED, Disposition.INTERRUPTED)])
NAMES = {"call_counts": "calls", "call_spreads": "calls", "subscriber_counts": "subscribers"}
TALLIES = ("call_tallies", "key_tallies")
Row = dict[str, Any]


class Recount:
    """Every row that ever was, read from the tables before somebody may delete or erase it."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.row_factory = sqlite3.Row
        self.calls: dict[bytes, Row] = {}
        self.people: dict[int, Row] = {}
        self.knows_what_came_before = True
        """False once calls are gone of people who may be called again, as only a test lets them go."""

    def close(self) -> None:
        self._database.close()

    def execute(self, statement: str) -> None:
        """What other parts of the service do to old rows."""
        self.knows_what_came_before &= " calls " not in statement
        self._database.execute(statement)

    def read(self, campaign: Campaign) -> None:
        """Remember what is there now."""
        key = {"key": campaign.key}
        for row in self._database.execute("SELECT * FROM calls WHERE campaign_key = :key", key):
            self.calls.setdefault(row["id"], dict(row))
        for row in self._database.execute("SELECT * FROM campaign_subscribers WHERE campaign_key = :key", key):
            self.people[row["subscriber_key"]] = dict(row)

    def check(self, store: Store, campaign: Campaign) -> None:
        """Compare everything that the report and the campaign say with a recount."""
        report = store.calls.report(campaign.key)
        calls = list(self.calls.values())
        assert_figures(report, calls)
        assert store.campaigns.progress(campaign.key).dispositions == Counter(call["disposition"] for call in calls)
        for trunk in report.by_trunk:
            assert_figures(trunk, [call for call in calls if bool(call["trunk_key"]) == bool(trunk.trunk_id)])
        assert [hour.hour_at for hour in report.by_hour] == sorted(hour.hour_at for hour in report.by_hour)
        for hour in report.by_hour:
            start = hour.hour_at.timestamp() * 1000
            assert_figures(hour, [call for call in calls if start <= call["invited_at"] < start + 3_600_000])
        assert sum(hour.calls for hour in report.by_hour) == sum(trunk.calls for trunk in report.by_trunk) == len(calls)
        assert_spreads(report, calls)
        assert_tallies(store, campaign, calls, people_too=self.knows_what_came_before)
        self._check_people(store, campaign, report)

    def _check_people(self, store: Store, campaign: Campaign, report: CampaignReport) -> None:
        people = list(self.people.values())
        states = Counter(person["state"] for person in people)
        counts = store.campaigns.progress(campaign.key).counts
        for state in ("in_progress", "reached", "exhausted", "excluded"):
            assert getattr(counts, state) == states[state], state
        reached = Counter(person["attempts"] for person in people if person["state"] == "reached")
        assert report.attempts_to_reach == reached
        given_up = [person for person in people if person["state"] in ("exhausted", "excluded")]
        with store._database.read() as connection:
            found = reason_counts(connection, campaign.key)
        assert found == Counter((person["state"], person["reason"] or "") for person in given_up)


def assert_figures(figures: Any, calls: Sequence[Row]) -> None:
    answered = [call for call in calls if call["disposition"] in PICKED_UP]
    assert (figures.calls, figures.answered) == (len(calls), len(answered))
    assert figures.billsec_s == pytest.approx(sum(call["billsec_s"] for call in calls))
    assert figures.dispositions == Counter(call["disposition"] for call in calls)
    if answered:
        assert figures.asr == len(answered) / len(calls)
        assert figures.acd_s == pytest.approx(sum(call["billsec_s"] for call in answered) / len(answered))
        share = sum(call["played_share"] for call in answered) / len(answered)
        assert figures.played_share_mean == pytest.approx(share, abs=1e-6)
    else:
        assert figures.acd_s is figures.played_share_mean is None


def assert_spreads(report: CampaignReport, calls: Sequence[Row]) -> None:
    rang = sorted(call["pdd_s"] for call in calls if call["pdd_s"] is not None)
    assert set(report.pdd_s) == (set() if not rang else {"p50", "p90", "p95", "p99"})
    for name, found in report.pdd_s.items():
        exact = rang[max(1, math.ceil(len(rang) * int(name[1:]) / 100)) - 1]
        assert found == pytest.approx(exact, abs=0.00501)
    heard = [call["played_s"] for call in calls if call["disposition"] == "answered"]
    seconds = range(int(max(heard)) + 1 if heard else 0)
    curve = [sum(played >= second for played in heard) / len(heard) for second in seconds]
    assert report.listened == pytest.approx(curve, abs=1e-6)
    assert report.digits == Counter(digit for call in calls for digit in set(call["digits"]))


HEARD = (25, 50, 75, 95)
GETS_AS_FAR = {
    "called": lambda call: True,
    "rang": lambda call: call["ringing_at"] is not None or call["disposition"] in PICKED_UP,
    "answered": lambda call: call["disposition"] in PICKED_UP,
    **{
        f"heard_{share}": lambda call, share=share: (
            call["disposition"] == "answered" and call["played_share"] * 100 > share
        )
        for share in HEARD
    },
    **{f"pressed_{key}": lambda call, key=key: key in call["digits"] for key in "#*0123456789ABCD"},
}


def assert_tallies(store: Store, campaign: Campaign, calls: Sequence[Row], *, people_too: bool) -> None:
    figures = store.tallies.figures(TallyScope(campaign_key=campaign.key))
    assert (figures.calls, figures.dispositions) == (len(calls), Counter(call["disposition"] for call in calls))
    assert figures.billsec_s == pytest.approx(sum(call["billsec_s"] for call in calls))
    found = {step.name: step for step in figures.funnel}
    for name, gets_as_far in GETS_AS_FAR.items():
        those = [call for call in calls if gets_as_far(call)]
        step = found.pop(name, Step(name=name, people=0, calls=0))
        assert step.calls == len(those), name
        if people_too:
            assert step.people == len({call["subscriber_key"] for call in those}), name
    assert not found
    quarters = store.tallies.quarters(TallyScope(campaign_key=campaign.key))
    could_answer = [call for call in calls if call["disposition"] in ANSWERABLE]
    assert Counter({quarter.at.timestamp() * 1000: quarter.calls for quarter in quarters}) == Counter(
        call["invited_at"] // 900_000 * 900_000 for call in could_answer
    )
    by_caller = store.tallies.caller_ids(TallyScope(campaign_key=campaign.key))
    assert sum(each.early_hang_ups for each in by_caller) == sum(
        call["disposition"] == "answered" and call["ended_by"] == "callee" and call["billsec_s"] < 3 for call in calls
    )
    [quality] = store.tallies.callbases(TallyScope(campaign_key=campaign.key))
    if people_too:
        answered = found_people(calls, "answered")
        assert quality.never_answered == found_people(calls, "called") - answered
        assert quality.dead_numbers == len(
            {call["subscriber_key"] for call in calls if call["sip_code"] in (404, 410, 484, 604)}
        )


def found_people(calls: Sequence[Row], step: str) -> int:
    return len({call["subscriber_key"] for call in calls if GETS_AS_FAR[step](call)})


class BrokenOff(Exception):
    """A transaction that does not reach its end."""


def _break_at_the_subscriber(_c: object, _cursor: object, statement: str, *_: object) -> None:
    if statement.startswith("UPDATE campaign_subscribers"):
        raise BrokenOff


class Histories(RuleBasedStateMachine):
    """A campaign to which everything happens that the service can do."""

    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "db.sqlite3"
        shutil.copy(self.template, path)
        self.clock = StandingClock(NOW)
        self.secrets = cheap_secrets(Path(self.folder.name) / "keys")
        self.store = Store(f"sqlite:///{path}", secrets=self.secrets, clock=self.clock)
        self.world = World(self.store, self.clock)
        self.recount = Recount(path)
        self.dialing: list[ClaimedJob] = []

    @initialize(size=st.integers(1, 12))
    def begin(self, size: int) -> None:
        self.campaign = self.world.running(size)

    def teardown(self) -> None:
        self.recount.close()
        self.store.close()
        self.folder.cleanup()

    @rule(limit=st.integers(1, 5), minutes=st.integers(0, 90))
    def claim(self, limit: int, minutes: int) -> None:
        self.clock.move(minutes=minutes)
        self.dialing += self.world.claim(self.campaign, limit)

    @rule(
        disposition=FINAL,
        again=st.booleans(),
        pdd_s=st.none() | st.floats(0, 30).map(lambda value: round(value, 3)),
        sip_code=st.sampled_from([None, 200, 404, 410, 484, 486, 603, 604, 607, 608]),
        rang=st.booleans(),
        billsec_s=st.integers(0, 90_000).map(lambda value: value / 1000),
        played_s=st.integers(0, 700).map(lambda value: value / 50),
        digits=st.text("0123456789*#ABCD", max_size=4),
    )
    def record(self, disposition: Disposition, again: bool, rang: bool, **known: Any) -> None:
        if self.dialing:
            known |= {"ringing_at": self.clock.now if rang else None}
            job = self.dialing.pop(0)
            step = self.world.again("busy") if again else REACHED if disposition in PICKED_UP else EXHAUSTED
            if disposition not in PICKED_UP:
                known |= {"billsec_s": 0.0, "played_s": 0.0}
            share = round(known["played_s"] / 14, 4)
            self.world.record(self.world.result(job, disposition, step, played_share=share, **known))
            self.world.record(self.world.result(job, disposition, step, played_share=share, **known))  # is dropped

    @rule()
    def cancel_one(self) -> None:
        if self.dialing:
            step = self.world.again("cancelled", counts=False)
            self.world.record(self.world.result(self.dialing.pop(), Disposition.CANCELLED, step))

    @rule()
    def put_back_one(self) -> None:
        if self.dialing:
            self.store.queue.release([self.dialing.pop()], self.clock.now)

    @rule()
    def a_transaction_breaks_off(self) -> None:
        if self.dialing:
            # The call row and its counts are written by then: only the subscriber's move fails.
            engine = self.store._database._engine
            event.listen(engine, "before_cursor_execute", _break_at_the_subscriber)
            try:
                with pytest.raises(BrokenOff):
                    self.world.record(self.world.result(self.dialing[0], Disposition.ANSWERED))
            finally:
                event.remove(engine, "before_cursor_execute", _break_at_the_subscriber)

    @rule(again=st.booleans())
    def the_dialer_dies_and_comes_back(self, again: bool) -> None:
        def decide(_campaign: Campaign, _job: ClaimedJob) -> NextStep:
            return self.world.again("interrupted") if again else EXHAUSTED

        self.store.queue.recover(None, self.clock.now, decide)
        self.dialing.clear()

    @rule()
    def the_owner_forbids_a_number(self) -> None:
        self.recount.read(self.campaign)
        self.recount.execute(
            "INSERT OR IGNORE INTO dnc (owner_key, number, source, created_at) SELECT 1, number, 'test', 0"
            " FROM subscribers WHERE number IS NOT NULL ORDER BY key DESC LIMIT 1"
        )

    @rule()
    def old_calls_are_deleted(self) -> None:
        self.recount.read(self.campaign)
        self.recount.execute("DELETE FROM calls WHERE key IN (SELECT key FROM calls ORDER BY key LIMIT 2)")

    @rule()
    def a_person_is_erased(self) -> None:
        self.recount.read(self.campaign)
        self.recount.execute("UPDATE calls SET number = '', digits = '' WHERE key = (SELECT max(key) FROM calls)")

    @rule()
    def who_is_done_is_deleted(self) -> None:
        self.recount.read(self.campaign)
        self.recount.execute("DELETE FROM campaign_subscribers WHERE state = 'excluded'")

    @invariant()
    def figures_are_a_recount(self) -> None:
        if hasattr(self, "campaign"):
            self.recount.read(self.campaign)
            self.recount.check(self.store, self.campaign)


@pytest.mark.slow
def test_after_any_history_the_running_figures_are_a_plain_recount(migrated_sqlite: Path) -> None:
    machine = type("Machine", (Histories,), {"template": migrated_sqlite})
    checks = [HealthCheck.too_slow]
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=checks),
    )


def test_another_campaigns_calls_are_not_counted(world: World) -> None:
    first, second = world.running(2), world.running(3)
    world.record(*[world.result(job, Disposition.ANSWERED) for job in world.claim(first)])
    assert world.store.calls.report(second.key).calls == 0
    assert world.store.campaigns.progress(second.key).counts.reached == 0
    assert world.store.campaigns.progress(first.key).counts.reached == 2


def test_what_calls_cost_is_told_by_the_trunks_price(world: World) -> None:
    campaign = world.running(3)
    jobs = world.claim(campaign)
    world.record(world.result(jobs[0], Disposition.ANSWERED, billsec_s=45.5))
    assert world.store.calls.report(campaign.key).cost is None
    world.store.trunks.update(world.trunk.id, None, replace(world.trunk, price_per_min=1.2))
    world.record(world.result(jobs[1], Disposition.ANSWERED, billsec_s=90.0))
    world.record(world.result(jobs[2], Disposition.BUSY, EXHAUSTED))
    report = world.store.calls.report(campaign.key)
    assert report.by_trunk[0].cost == report.cost == 2.71
    assert world.store.calls.report(world.running(1).key).cost == 0


def test_a_call_that_was_interrupted_before_a_trunk_was_known_costs_nothing(world: World, store_url: str) -> None:
    campaign = world.running(1)
    world.claim(campaign)
    database = sqlite3.connect(store_url.removeprefix("sqlite:///"))
    with database:
        database.execute("UPDATE call_jobs SET trunk_key = NULL")
    database.close()
    world.store.queue.recover(None, world.clock.now, lambda _campaign, _job: EXHAUSTED)
    report = world.store.calls.report(campaign.key)
    [unknown] = report.by_trunk
    assert (unknown.trunk_id, unknown.name, unknown.calls, unknown.cost, report.cost) == (None, None, 1, None, 0)


def test_the_figures_of_an_older_database_are_counted_by_the_migration(tmp_path: Path, secrets: Secrets) -> None:
    path = tmp_path / "db.sqlite3"
    migrate(f"sqlite:///{path}")
    store = Store(f"sqlite:///{path}", secrets=secrets, clock=StandingClock(NOW))
    world = World(store, StandingClock(NOW))
    campaign = world.running(20)
    dispositions = (Disposition.ANSWERED, Disposition.BUSY, Disposition.MACHINE, Disposition.NO_ANSWER)
    for index, job in enumerate(world.claim(campaign, 18)):
        disposition = dispositions[index % 4]
        known = {"pdd_s": index / 7, "digits": "1#1"} if index % 3 else {}
        known |= {"billsec_s": index * 1.5, "played_s": index * 0.7, "played_share": index / 20}
        known |= {"sip_code": (200, 404, 603, 607, 608)[index % 5], "ringing_at": NOW if index % 4 else None}
        world.record(world.result(job, disposition, REACHED if index % 2 == 0 else world.again("busy"), **known))
        world.clock.move(minutes=11)
    world.clock.move(minutes=10)
    for job in world.claim(campaign, 7):
        world.record(world.result(job, Disposition.ANSWERED, digits="12", played_share=0.8, billsec_s=2.0))
    store.queue.recover(None, world.clock.now, lambda _campaign, _job: EXHAUSTED)
    store.close()
    before = _counters(path)
    _fill_again(path)
    assert _counters(path) == before and all(before.values())


def _counters(path: Path) -> dict[str, list[Any]]:
    database = sqlite3.connect(path)
    rows = {
        name: database.execute(f"SELECT * FROM {name} WHERE {count} > 0 ORDER BY 1, 2, 3, 4").fetchall()
        for name, count in NAMES.items()
    }
    rows |= {name: sorted(database.execute(f"SELECT * FROM {name}")) for name in TALLIES}
    database.close()
    return rows


def _fill_again(path: Path) -> None:
    """As migrations 0012 and 0051 find a database: with all its rows, and none of them counted."""
    database = sqlite3.connect(path)
    with database:
        for name in NAMES:
            database.execute(f"DELETE FROM {name}")
        for statement in v0012_running_figures.FILL:
            database.execute(statement)
        for name in TALLIES:
            database.execute(f"DELETE FROM {name}")
    database.close()
    engine = make_engine(f"sqlite:///{path}", synchronous="NORMAL", busy_timeout_s=1.0)
    with engine.begin() as connection:
        v0051_tallies.fill(connection)
    engine.dispose()

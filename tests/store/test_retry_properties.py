"""Whatever the rules, the outcomes and the campaigns that share numbers: no budget and no cap is ever exceeded."""

import itertools
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autodialer.campaign.admission import SPANS
from autodialer.campaign.breaker import Fault
from autodialer.campaign.retry import decide_next, rule_for
from autodialer.model import Campaign, ClaimedJob, Disposition, RetryRule
from autodialer.model.admission import CAP_DAY, CAP_WEEK
from autodialer.store import Store
from tests.databases import cheap_secrets
from tests.store.test_frequency import second_campaign
from tests.store.world import StandingClock, World

MOST_STEPS = 600
FREE = (Disposition.CANCELLED, Disposition.CONGESTION)
"""No phone rang by the callee's doing, so that these use up no attempt and no cap."""
START = datetime.fromisoformat("2026-03-02T09:00:00+00:00")
RULES = st.builds(RetryRule, after_s=st.sampled_from([0, 60, 3600, 90_000]), times=st.integers(0, 3))
CAMPAIGN_RULES = st.fixed_dictionaries(
    {
        "max_attempts": st.integers(1, 5),
        "min_played_s": st.sampled_from([None, 3.0]),
        "cap_day": st.none() | st.integers(1, 3),
        "cap_week": st.none() | st.integers(1, 4),
        "retry": st.dictionaries(st.sampled_from(["busy", "no_answer", "failed", "short", "interrupted"]), RULES),
    }
)
ENDS = st.lists(
    st.tuples(
        st.sampled_from([*Disposition, Disposition.BUSY, Disposition.NO_ANSWER]),
        st.sampled_from([1.0, 9.0]),
        st.booleans(),
    ),
    min_size=12,
    max_size=40,
)


@dataclass(frozen=True)
class Attempt:
    """A claim, and how its call ended."""

    campaign_key: int
    number: str
    at: datetime
    attempt: int
    disposition: Disposition
    rule: str


class Run:
    """Two campaigns over the same numbers, dialled to their end."""

    def __init__(self, world: World, rules: list[dict[str, Any]], ends: list[tuple[Disposition, float, bool]]) -> None:
        self.world = world
        first = world.running(3, **rules[0])
        self.campaigns = {one.key: one for one in (first, second_campaign(world, first, **rules[1]))}
        self.ends, self.next_end, self.cancelled = ends, 0, 0
        self.attempts: list[Attempt] = []
        self.in_air: list[ClaimedJob] = []
        self.finished = 0
        self.record: list[Any] = []

    def to_the_end(self) -> None:
        for _ in range(MOST_STEPS):
            for campaign in self.campaigns.values():
                for job in self.world.claim(campaign, 2):
                    self.check_caps(campaign, job)
                    self.in_air.append(job)
            self.end_some()
            self.finished += len(self.world.store.queue.finish_campaigns(self.world.clock.now))
            if self.finished == len(self.campaigns):
                return
            self.move_clock()
        raise AssertionError("it does not end")

    def check_caps(self, campaign: Campaign, job: ClaimedJob) -> None:
        """Of the attempts that count, with this one, there are never more than a cap in its span."""
        counted = [one.at for one in self.attempts if one.number == job.number]
        for one in self.attempts:
            if one.number == job.number and one.disposition in FREE:
                counted.remove(one.at)
        counted += [other.claimed_at for other in self.in_air if other.number == job.number]
        for rule, cap in ((CAP_DAY, campaign.cap_day), (CAP_WEEK, campaign.cap_week)):
            recent = [at for at in counted if at > job.claimed_at - SPANS[rule]]
            assert cap is None or len(recent) < cap, (rule, cap, recent)

    def end_some(self) -> None:
        """One call ends; all of them do at every third turn."""
        self.next_end += 1
        ending = self.in_air if self.next_end % 3 == 0 else self.in_air[:1]
        self.in_air = self.in_air[len(ending) :]
        for job in ending:
            disposition, played_s, picked_up = self.ends[(self.next_end + job.key) % len(self.ends)]
            if disposition is Disposition.CANCELLED:
                # Operators cancel now and then, not for ever.
                self.cancelled += 1
                disposition = disposition if self.cancelled <= 5 else Disposition.BUSY
            answered = disposition is Disposition.ANSWERED or (disposition is Disposition.FAILED and picked_up)
            campaign, now = self.campaigns[job.campaign_key], self.world.clock.now
            fault = Fault(of_number=True) if disposition is Disposition.CONGESTION else None
            step = decide_next(campaign, job, disposition, played_s=played_s, answered=answered, now=now, fault=fault)
            self.world.record(self.world.result(job, disposition, step, invited_at=job.claimed_at, played_s=played_s))
            self.attempts.append(
                Attempt(job.campaign_key, job.number, job.claimed_at, job.attempt, disposition, step.rule)
            )

    def move_clock(self) -> None:
        due = [self.world.store.campaigns.progress(key).next_due for key in self.campaigns]
        ahead = [at for at in due if at is not None and at > self.world.clock.now]
        if self.in_air or not ahead:
            self.world.clock.move(seconds=20)
        else:
            self.world.clock.now = min(ahead)

    def calls(self) -> list[Any]:
        found = []
        for campaign in self.campaigns.values():
            records, _ = self.world.store.calls.page(campaign.key, limit=1000)
            found += [
                (campaign.key, one.number, one.attempt, one.outcome.invited_at, one.next_at, one.next_rule)
                for one in records
                if one.outcome is not None
            ]
        return found


def dial(template: Path, rules: list[dict[str, Any]], ends: list[tuple[Disposition, float, bool]]) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(template, path := Path(folder) / "db.sqlite3")
        clock = StandingClock(START)
        store = Store(f"sqlite:///{path}", secrets=cheap_secrets(Path(folder) / "keys"), clock=clock)
        try:
            run = Run(World(store, clock), rules, ends)
            run.to_the_end()
            check_budgets(run)
            check_explained(run)
            run.record = run.calls()
        finally:
            store.close()
    return run


def check_budgets(run: Run) -> None:
    counted = Counter((one.campaign_key, one.number) for one in run.attempts if one.disposition not in FREE)
    used = Counter((one.campaign_key, one.number, one.rule) for one in run.attempts)
    for (campaign_key, _), count in counted.items():
        assert count <= run.campaigns[campaign_key].max_attempts
    queued = {name for campaign in run.campaigns.values() for name in campaign.retry} | {"busy", "no_answer"}
    for (campaign_key, number, rule), times in used.items():
        if rule in queued:
            # One more where the rule that is never used (0 times) ended the attempts itself.
            budget = rule_for(run.campaigns[campaign_key].retry, rule).times
            assert times <= max(budget, 1), (number, rule)
    for campaign in run.campaigns.values():
        assert set(run.world.states(campaign)) <= {"total", "reached", "exhausted"}, "every subscriber ends"


def check_explained(run: Run) -> None:
    """A call that announced a next attempt has one, not before it said; the last one announced none."""
    of_subscriber: dict[tuple[int, str], list[Any]] = {}
    for campaign_key, number, _, invited_at, next_at, rule in run.calls():
        of_subscriber.setdefault((campaign_key, number), []).append((invited_at, next_at, rule))
    for calls in of_subscriber.values():
        for (_, next_at, rule), (following, _, _) in itertools.pairwise(calls):
            assert next_at is not None and following >= next_at, rule
        assert calls[-1][1] is None and calls[-1][2]


@settings(max_examples=25, deadline=timedelta(seconds=20), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rules=st.tuples(CAMPAIGN_RULES, CAMPAIGN_RULES).map(list), ends=ENDS)
@pytest.mark.slow
def test_budgets_and_caps_hold_every_subscriber_ends_and_nothing_is_left_to_chance(
    migrated_sqlite: Path, rules: list[dict[str, Any]], ends: list[tuple[Disposition, float, bool]]
) -> None:
    first, second = dial(migrated_sqlite, rules, ends), dial(migrated_sqlite, rules, ends)
    assert first.attempts == second.attempts
    assert first.record == second.record

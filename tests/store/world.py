"""What store tests need around them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from autodialer.campaign.admission import admit
from autodialer.clock import Clock
from autodialer.model import (
    Callbase,
    CallOutcome,
    Campaign,
    ClaimedJob,
    ClaimRequest,
    Disposition,
    EndedBy,
    JobResult,
    JobState,
    NextStep,
    SubscriberState,
    TrunkSettings,
)
from autodialer.store import NewSubscriber, Store

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
REACHED = NextStep(job_state=JobState.DONE, subscriber_state=SubscriberState.REACHED, rule="answered")


class StandingClock(Clock):
    """Stands still until it is moved."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def utcnow(self) -> datetime:
        return self.now

    def move(self, **span: float) -> datetime:
        self.now += timedelta(**span)
        return self.now


class World:
    """A user with a trunk and a sound, and ways to make the rest."""

    def __init__(self, store: Store, clock: StandingClock) -> None:
        self.store = store
        self.clock = clock
        self.user = store.users.create(login="olga", password=None)
        self.other = store.users.create(login="pavel", password=None)
        self.trunk = store.trunks.create(
            self.user.key, TrunkSettings(name="trunk", host="127.0.0.1", password="s3cret")
        )
        self.sound = store.sounds.create(
            self.user.key,
            name="sound",
            duration_s=4.0,
            peak_dbfs=-1.0,
            loudness_lufs=-20.0,
            sample_rate=44100,
            channels=2,
            path="sounds/a.wav",
            original_path="sounds/a.ogg",
        )

    def callbase(self, count: int = 3, *, first: int = 0) -> Callbase:
        """A ready callbase of that many numbers."""
        made = self.store.callbases.create(self.user.key, name="callbase", region="GB")
        rows = [NewSubscriber(number=number(first + index)) for index in range(count)]
        for start in range(0, count, 500):
            self.store.callbases.add_rows(made.key, rows[start : start + 500])
        return self.store.callbases.finish(made.key, rows=count)

    def draft(self, callbase: Callbase, **rules: Any) -> Campaign:
        """A campaign on the trunk and the sound."""
        return self.store.campaigns.create(
            self.user.key,
            name="campaign",
            trunk_keys=[self.trunk.key],
            sound_key=self.sound.key,
            callbase_key=callbase.key,
            **rules,
        )

    def running(self, count: int = 3, **rules: Any) -> Campaign:
        """A running campaign over that many numbers, none of them queued yet."""
        return self.store.campaigns.start(self.draft(self.callbase(count), **rules).id, self.user.key)

    def claim(self, campaign: Campaign, limit: int = 100) -> list[ClaimedJob]:
        """Enqueue what is due and claim."""
        self.store.queue.enqueue_due(self.clock.now)
        return self.claim_only(campaign, limit)

    def claim_only(self, campaign: Campaign, limit: int = 100) -> list[ClaimedJob]:
        """Claim of what is queued."""
        return self.store.queue.claim([self.request(campaign, limit)], "dialer-1", self.clock.now, admit)

    def request(self, campaign: Campaign, limit: int = 100) -> ClaimRequest:
        return ClaimRequest(campaign_key=campaign.key, trunk_key=self.trunk.key, limit=limit)

    def record(self, *results: JobResult) -> None:
        self.store.queue.record(results, self.clock.now, admit)

    def result(self, job: ClaimedJob, disposition: Disposition, step: NextStep = REACHED, **known: Any) -> JobResult:
        """A call of 10 s that began now."""
        answered = disposition in (Disposition.ANSWERED, Disposition.MACHINE)
        outcome = CallOutcome(
            disposition=disposition,
            invited_at=self.clock.now,
            ended_at=self.clock.now + timedelta(seconds=10),
            duration_s=10.0,
            ended_by=EndedBy.CALLEE if answered else None,
        )
        return JobResult(job=job, outcome=replace(outcome, **known), next_step=step)

    def again(self, rule: str, *, after_s: float = 60.0, counts: bool = True) -> NextStep:
        """The next step that calls the number again."""
        return NextStep(
            job_state=JobState.QUEUED,
            subscriber_state=SubscriberState.IN_PROGRESS,
            not_before=self.clock.now + timedelta(seconds=after_s),
            rule=rule,
            counts_as_attempt=counts,
            uses_budget=counts,
        )

    def states(self, campaign: Campaign) -> Mapping[str, int]:
        """The counts that are not zero."""
        counts = self.store.campaigns.progress(campaign.key).counts
        return {name: count for name, count in vars(counts).items() if count}


def number(index: int) -> str:
    """A number that belongs to nobody: Ofcom keeps the range for drama, and beyond 999 it has too many digits."""
    return f"+442079460{index:03}"


EXHAUSTED = NextStep(job_state=JobState.DONE, subscriber_state=SubscriberState.EXHAUSTED, rule="max_attempts")

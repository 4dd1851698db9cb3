"""What a dialer would write, without a dialer: claims and outcomes straight into the store."""

from datetime import datetime, timedelta
from typing import Any

from autodialer.campaign.admission import admit
from autodialer.model import (
    CallOutcome,
    ClaimedJob,
    ClaimRequest,
    Disposition,
    EndedBy,
    JobResult,
    JobState,
    NextStep,
    RtpStats,
    SubscriberState,
)
from autodialer.store import Store


def claim(store: Store, now: datetime, limit: int = 100) -> list[ClaimedJob]:
    """Claim what is due of all running campaigns, on their first trunk."""
    store.queue.enqueue_due(now)
    requests = [
        ClaimRequest(campaign_key=campaign.key, trunk_key=campaign.trunk_keys[0], limit=limit)
        for campaign in store.queue.running_campaigns()
    ]
    return store.queue.claim(requests, "test", now, admit)


def answered(now: datetime, **changes: Any) -> CallOutcome:
    """A call that heard everything."""
    values: dict[str, Any] = {
        "disposition": Disposition.ANSWERED,
        "sip_code": 200,
        "sip_reason": "OK",
        "invited_at": now,
        "ringing_at": now + timedelta(seconds=1),
        "answered_at": now + timedelta(seconds=3),
        "ended_at": now + timedelta(seconds=13),
        "pdd_s": 1.0,
        "duration_s": 13.0,
        "billsec_s": 10.0,
        "played_s": 10.0,
        "played_share": 1.0,
        "ended_by": EndedBy.US,
        "rtp": RtpStats(sent=500, received=490, lost=10, jitter_ms=1.5),
    }
    return CallOutcome(**values | changes)


def failed(now: datetime, disposition: Disposition, sip_code: int | None) -> CallOutcome:
    """A call that was not answered."""
    return CallOutcome(disposition=disposition, sip_code=sip_code, invited_at=now, ended_at=now, duration_s=2.0)


DONE = NextStep(job_state=JobState.DONE, subscriber_state=SubscriberState.REACHED, rule="reached")
EXHAUSTED = NextStep(job_state=JobState.DONE, subscriber_state=SubscriberState.EXHAUSTED, rule="busy")


def again(at: datetime) -> NextStep:
    """Another attempt."""
    return NextStep(job_state=JobState.QUEUED, subscriber_state=SubscriberState.IN_PROGRESS, not_before=at, rule="busy")


def record(store: Store, now: datetime, job: ClaimedJob, outcome: CallOutcome, step: NextStep) -> None:
    """Write one outcome."""
    store.queue.record([JobResult(job=job, outcome=outcome, next_step=step)], now, admit)

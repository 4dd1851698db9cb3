"""The retry policy: from one call's outcome and the budgets used so far to what happens next. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from autodialer.model import (
    DEFAULT_RETRY,
    SECOND_NUMBER,
    Campaign,
    ClaimedJob,
    Disposition,
    JobState,
    NextStep,
    RetryRule,
    SubscriberState,
)

NEVER_RETRIED = frozenset({Disposition.INVALID_NUMBER})
SHORT = "short"
"""The retry rule of an answered call that heard too little."""
CANCELLED_DELAY_S = 5.0
"""A job that was cancelled by us waits this long before it may be claimed again."""


def decide_next(
    campaign: Campaign, job: ClaimedJob, disposition: Disposition, *, played_s: float, answered: bool, now: datetime
) -> NextStep:
    """What becomes of `job` after a call that ended with `disposition`.

    `answered` tells a call whose phone was picked up (2xx), `played_s` how much of the sound was sent.
    The rule of the result names what decided: the retry rule used, `max_attempts`, `retries_used`, or the disposition.
    """
    if disposition is Disposition.CANCELLED:
        return NextStep(
            job_state=JobState.QUEUED,
            subscriber_state=SubscriberState.IN_PROGRESS,
            not_before=now + timedelta(seconds=CANCELLED_DELAY_S),
            rule="cancelled",
            counts_as_attempt=False,
        )
    if disposition is Disposition.ANSWERED and not _is_short(campaign, played_s):
        return NextStep(job_state=JobState.DONE, subscriber_state=SubscriberState.REACHED, rule="answered")
    if disposition in NEVER_RETRIED:
        return _second_number(campaign, job, now) or _over(job, disposition.value)
    if disposition in (Disposition.FAILED, Disposition.INTERRUPTED) and answered:
        # 2xx without usable media, or cut off in talk: a person picked the phone up, so the number is not called again
        # by itself.
        return _over(job, "picked_up")
    return _retry(campaign, job, SHORT if disposition is Disposition.ANSWERED else disposition.value, now)


def rule_for(retry: Mapping[str, RetryRule], name: str) -> RetryRule:
    """The campaign's rule of that name, else the default; a name without either is never retried."""
    return retry.get(name) or DEFAULT_RETRY.get(name) or RetryRule(after_s=0, times=0)


def _retry(campaign: Campaign, job: ClaimedJob, name: str, now: datetime) -> NextStep:
    rule = rule_for(campaign.retry, name)
    answered = name == SHORT
    second = None if answered else _second_number(campaign, job, now)
    if job.retries_used.get(name, 0) >= rule.times:
        return second or _over(job, name if rule.times == 0 else "retries_used", answered=answered)
    if job.attempt >= campaign.max_attempts:
        return _over(job, "max_attempts", answered=answered)
    if second is not None and job.attempt + 1 >= campaign.max_attempts:
        return second  # the last attempt is kept for it
    return NextStep(
        job_state=JobState.QUEUED,
        subscriber_state=SubscriberState.IN_PROGRESS,
        not_before=now + timedelta(seconds=rule.after_s),
        rule=name,
    )


def _second_number(campaign: Campaign, job: ClaimedJob, now: datetime) -> NextStep | None:
    """The first attempt at the subscriber's second number; None when he has none, or no attempt is left."""
    if job.second_number is None or job.attempt >= campaign.max_attempts:
        return None
    return NextStep(
        job_state=JobState.QUEUED, subscriber_state=SubscriberState.IN_PROGRESS, not_before=now, rule=SECOND_NUMBER
    )


def _is_short(campaign: Campaign, played_s: float) -> bool:
    return campaign.min_played_s is not None and played_s < campaign.min_played_s


def _over(job: ClaimedJob, rule: str, *, answered: bool = False) -> NextStep:
    """No retry is left. Whoever answered, now or in an earlier attempt, was reached, however little he heard."""
    reached = answered or SHORT in job.retries_used
    state = SubscriberState.REACHED if reached else SubscriberState.EXHAUSTED
    return NextStep(job_state=JobState.DONE, subscriber_state=state, rule=rule)

"""The retry policy: from one call's outcome and the budgets used so far to what happens next. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from autodialer.campaign.admission import attempts_are_used_up
from autodialer.campaign.breaker import Fault
from autodialer.model import (
    DEFAULT_RETRY,
    SECOND_NUMBER,
    Campaign,
    Cause,
    ClaimedJob,
    Disposition,
    JobState,
    NextStep,
    RetryRule,
    SubscriberState,
)
from autodialer.model.admission import HUNG_UP, MAX_ATTEMPTS, PICKED_UP, SHORT, TRUNK, ended_state

NEVER_RETRIED = frozenset({Disposition.INVALID_NUMBER})
CANCELLED_DELAY_S = 5.0
"""A job that was cancelled by us waits this long before it may be claimed again."""
TRUNK_DELAY_S = 30.0
"""A job whose call failed by the trunk's fault waits this long: behind everybody who is due already, so that the next
try of a trunk that rests goes to another number, and soon enough for a second trunk to take it over."""
INTERNAL_ERROR = Cause.INTERNAL_ERROR.value
"""The rule that puts a job back whose call ended by an error in the dialer itself, and its budget."""
ERRORS_FORGIVEN = 3
"""Calls of one person that may end so in one campaign; the next one is the last."""
ERROR_DELAY_S = 60.0

LONGEST_ASKED_S = 86_400.0
"""A callee that wants to be left alone for longer is called again after a day, if the campaign still runs."""
_OF_THE_CALLEE = frozenset({480, 486, 600, 603})
"""Codes whose Retry-After says when the callee is available again (RFC 3261 section 20.33)."""


def asked_pause_s(sip_code: int | None, retry_after_s: float | None) -> float | None:
    """Seconds for which the callee's side asked not to be called; None: it did not ask."""
    return retry_after_s if sip_code in _OF_THE_CALLEE else None


def decide_next(
    campaign: Campaign,
    job: ClaimedJob,
    disposition: Disposition,
    *,
    played_s: float,
    answered: bool,
    now: datetime,
    fault: Fault | None = None,
    hung_up: bool = False,
    cause: Cause | None = None,
    retry_after_s: float | None = None,
) -> NextStep:
    """The next step for `job` after a call that ended with `disposition`.

    `answered` tells a call whose phone was picked up (2xx), `played_s` how much of the sound was sent, `fault` a
    failure on the trunk's side, `hung_up` that an operator ended it, `cause` what the disposition does not say,
    `retry_after_s` how long the callee's side asked not to be called, in seconds. The rule of the result
    names what decided: the retry rule used, `max_attempts`, `retries_used`, or the disposition.
    """
    broken = cause is Cause.INTERNAL_ERROR
    if hung_up and (broken or disposition in (Disposition.CANCELLED, Disposition.ANSWERED)):
        # The operator has seen this very call; to redial it by itself would undo what was asked for.
        return _over(job, HUNG_UP, answered=answered)
    if disposition is Disposition.CANCELLED:
        return _again(now, CANCELLED_DELAY_S, "cancelled", counts_as_attempt=False, uses_budget=False)
    if fault is not None:
        step = _after_fault(campaign, job, disposition, fault, now)
        if step is not None:
            return step
    if disposition is Disposition.ANSWERED and not _is_short(campaign, played_s):
        return NextStep(job_state=JobState.DONE, subscriber_state=SubscriberState.REACHED, rule="answered")
    if disposition in NEVER_RETRIED:
        return _second_number(campaign, job, now) or _over(job, disposition.value)
    if disposition in (Disposition.FAILED, Disposition.INTERRUPTED) and answered:
        # 2xx without usable media, or cut off in talk: a person picked the phone up, so the number is not called again
        # by itself.
        return _over(job, PICKED_UP)
    if broken:
        return _after_error(job, now)
    name = SHORT if disposition is Disposition.ANSWERED else disposition.value
    return _retry(campaign, job, name, now, at_least_s=min(retry_after_s or 0.0, LONGEST_ASKED_S))


def _after_error(job: ClaimedJob, now: datetime) -> NextStep:
    """The dialer itself failed, which is no attempt at the person. Not for ever: the phone may have rung each time."""
    if job.retries_used.get(INTERNAL_ERROR, 0) < ERRORS_FORGIVEN:
        return _again(now, ERROR_DELAY_S, INTERNAL_ERROR, counts_as_attempt=False)
    return replace(_over(job, INTERNAL_ERROR), counts_as_attempt=False)


def _after_fault(
    campaign: Campaign, job: ClaimedJob, disposition: Disposition, fault: Fault, now: datetime
) -> NextStep | None:
    """No phone rang, so no attempt is used; None: the number itself is to blame, and its disposition decides."""
    if not fault.of_number:
        return _again(now, TRUNK_DELAY_S, TRUNK, counts_as_attempt=False, uses_budget=False)
    if disposition is Disposition.CONGESTION:
        rule = rule_for(campaign.retry, disposition.value)
        if job.retries_used.get(disposition.value, 0) < rule.times:
            return _again(now, rule.after_s, disposition.value, counts_as_attempt=False)
        over = _over(job, "retries_used" if rule.times else disposition.value)
        return replace(_to_second_number(job, now) or over, counts_as_attempt=False)
    return None


def rule_for(retry: Mapping[str, RetryRule], name: str) -> RetryRule:
    """The campaign's rule of that name, else the default; a name without either is never retried."""
    return retry.get(name) or DEFAULT_RETRY.get(name) or RetryRule(after_s=0, times=0)


def _retry(campaign: Campaign, job: ClaimedJob, name: str, now: datetime, *, at_least_s: float) -> NextStep:
    rule = rule_for(campaign.retry, name)
    answered = name == SHORT
    second = None if answered else _second_number(campaign, job, now)
    if job.retries_used.get(name, 0) >= rule.times:
        return second or _over(job, name if rule.times == 0 else "retries_used", answered=answered)
    if attempts_are_used_up(job.attempt, campaign.max_attempts):
        return _over(job, MAX_ATTEMPTS, answered=answered)
    if second is not None and attempts_are_used_up(job.attempt + 1, campaign.max_attempts):
        return second  # the last attempt is kept for it
    return _again(now, max(rule.after_s, at_least_s), name)


def _again(
    now: datetime, after_s: float, rule: str, *, counts_as_attempt: bool = True, uses_budget: bool = True
) -> NextStep:
    return NextStep(
        job_state=JobState.QUEUED,
        subscriber_state=SubscriberState.IN_PROGRESS,
        not_before=now + timedelta(seconds=after_s),
        rule=rule,
        counts_as_attempt=counts_as_attempt,
        uses_budget=uses_budget,
    )


def _second_number(campaign: Campaign, job: ClaimedJob, now: datetime) -> NextStep | None:
    """The first attempt at the subscriber's second number; None without a second number, or when no attempt is left."""
    return None if attempts_are_used_up(job.attempt, campaign.max_attempts) else _to_second_number(job, now)


def _to_second_number(job: ClaimedJob, now: datetime) -> NextStep | None:
    return None if job.second_number is None else _again(now, 0.0, SECOND_NUMBER)


def _is_short(campaign: Campaign, played_s: float) -> bool:
    return campaign.min_played_s is not None and played_s < campaign.min_played_s


def _over(job: ClaimedJob, rule: str, *, answered: bool = False) -> NextStep:
    """No further attempt."""
    state = ended_state(job.retries_used, answered=answered)
    return NextStep(job_state=JobState.DONE, subscriber_state=state, rule=rule)

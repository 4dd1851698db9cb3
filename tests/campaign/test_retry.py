"""The retry policy: what follows from each disposition, and budgets that never stack."""

from datetime import timedelta

import pytest

from autodialer.campaign.retry import decide_next
from autodialer.model import DEFAULT_RETRY, Disposition, JobState, NextStep, RetryRule, SubscriberState
from tests.campaign.factories import NOW, campaign, job


def decide(disposition: Disposition, *, played_s: float = 0.0, answered: bool = False, **changes: object) -> NextStep:
    campaign_changes = {k: v for k, v in changes.items() if k in ("max_attempts", "min_played_s", "retry")}
    job_changes = {k: v for k, v in changes.items() if k not in campaign_changes}
    return decide_next(
        campaign(**campaign_changes), job(**job_changes), disposition, played_s=played_s, answered=answered, now=NOW
    )


@pytest.mark.parametrize(
    ("disposition", "after_s"), [(Disposition.BUSY, 300), (Disposition.NO_ANSWER, 1800), (Disposition.CONGESTION, 60)]
)
def test_a_first_temporary_failure_is_retried_after_the_default_delay(disposition: Disposition, after_s: int) -> None:
    step = decide(disposition)
    assert step.job_state is JobState.QUEUED
    assert step.subscriber_state is SubscriberState.IN_PROGRESS
    assert step.not_before == NOW + timedelta(seconds=after_s)
    assert step.rule == disposition.value
    assert step.counts_as_attempt


@pytest.mark.parametrize("disposition", [Disposition.REJECTED, Disposition.FAILED, Disposition.INTERRUPTED])
def test_what_the_user_has_to_look_at_is_not_retried_by_default(disposition: Disposition) -> None:
    step = decide(disposition)
    assert (step.job_state, step.subscriber_state) == (JobState.DONE, SubscriberState.EXHAUSTED)
    assert step.rule == disposition.value


def test_an_invalid_number_is_never_retried_even_by_a_rule() -> None:
    generous = {**DEFAULT_RETRY, "invalid_number": RetryRule(after_s=1, times=9)}
    assert decide(Disposition.INVALID_NUMBER, retry=generous).job_state is JobState.DONE


def test_an_answered_call_reaches_its_subscriber() -> None:
    step = decide(Disposition.ANSWERED, answered=True, played_s=0.2)
    assert (step.job_state, step.subscriber_state, step.rule) == (JobState.DONE, SubscriberState.REACHED, "answered")


def test_an_answer_without_usable_media_is_not_called_again_because_the_phone_was_picked_up() -> None:
    generous = {**DEFAULT_RETRY, "failed": RetryRule(after_s=1, times=9)}
    step = decide(Disposition.FAILED, answered=True, retry=generous)
    assert (step.job_state, step.rule) == (JobState.DONE, "picked_up")


def test_a_call_that_was_cut_off_in_talk_is_not_called_again_whatever_the_rule() -> None:
    generous = {**DEFAULT_RETRY, "interrupted": RetryRule(after_s=1, times=9)}
    assert decide(Disposition.INTERRUPTED, retry=generous).job_state is JobState.QUEUED
    step = decide(Disposition.INTERRUPTED, answered=True, retry=generous)
    assert (step.job_state, step.rule) == (JobState.DONE, "picked_up")


def test_a_short_answer_is_called_again_only_by_the_rule_short_and_then_counts_as_reached() -> None:
    rules = {**DEFAULT_RETRY, "short": RetryRule(after_s=60, times=1)}
    first = decide(Disposition.ANSWERED, answered=True, played_s=1.0, min_played_s=3.0, retry=rules)
    assert (first.job_state, first.rule) == (JobState.QUEUED, "short")
    used = {"short": 1}
    second = decide(
        Disposition.ANSWERED, answered=True, played_s=1.0, min_played_s=3.0, retry=rules, attempt=2, retries_used=used
    )
    assert (second.job_state, second.subscriber_state) == (JobState.DONE, SubscriberState.REACHED)


@pytest.mark.parametrize("disposition", [Disposition.BUSY, Disposition.REJECTED, Disposition.INVALID_NUMBER])
def test_who_answered_once_was_reached_whatever_became_of_the_attempts_after_it(disposition: Disposition) -> None:
    step = decide(disposition, attempt=3, retries_used={"short": 1, "busy": 1})
    assert (step.job_state, step.subscriber_state) == (JobState.DONE, SubscriberState.REACHED)


def test_the_total_of_attempts_caps_what_single_rules_would_allow() -> None:
    step = decide(Disposition.BUSY, attempt=3, retries_used={"no_answer": 1, "busy": 1})
    assert (step.job_state, step.rule) == (JobState.DONE, "max_attempts")


def test_a_used_up_rule_ends_the_attempts_though_others_are_left() -> None:
    step = decide(Disposition.NO_ANSWER, attempt=3, max_attempts=9, retries_used={"no_answer": 2})
    assert (step.job_state, step.rule) == (JobState.DONE, "retries_used")


def test_a_call_that_we_cancelled_goes_back_to_the_queue_and_costs_no_attempt() -> None:
    step = decide(Disposition.CANCELLED, attempt=3)
    assert step.job_state is JobState.QUEUED
    assert not step.counts_as_attempt


def test_the_second_number_is_called_once_the_first_is_exhausted_by_its_rule() -> None:
    two = job(second_number="+70000000002", retries_used={"busy": 3}, attempt=4)
    step = decide_next(campaign(max_attempts=9), two, Disposition.BUSY, played_s=0, answered=False, now=NOW)
    assert (step.job_state, step.rule, step.not_before) == (JobState.QUEUED, "second_number", NOW)
    wrong = decide_next(
        campaign(), job(second_number="+7"), Disposition.INVALID_NUMBER, played_s=0, answered=False, now=NOW
    )
    assert wrong.rule == "second_number"


def test_the_last_attempt_is_kept_for_the_second_number_and_there_is_none_after_it() -> None:
    rules = campaign(max_attempts=3)
    steps = []
    for attempt, second in ((1, "+7"), (2, "+7"), (3, None)):
        used = {"no_answer": attempt - 1} if second else {"no_answer": 1, "second_number": 1}
        made = job(attempt=attempt, second_number=second, retries_used=used)
        steps.append(decide_next(rules, made, Disposition.NO_ANSWER, played_s=0, answered=False, now=NOW).rule)
    assert steps == ["no_answer", "second_number", "max_attempts"]


@pytest.mark.parametrize(("disposition", "answered"), [(Disposition.ANSWERED, True), (Disposition.FAILED, True)])
def test_who_picked_the_phone_up_is_not_called_at_the_second_number(disposition: Disposition, answered: bool) -> None:
    rules = campaign(min_played_s=5, retry={"short": RetryRule(after_s=1, times=0)})
    step = decide_next(rules, job(second_number="+7"), disposition, played_s=1, answered=answered, now=NOW)
    assert step.job_state is JobState.DONE

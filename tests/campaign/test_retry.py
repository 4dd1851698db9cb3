"""The retry policy: what follows from each disposition, and budgets that never stack."""

from datetime import timedelta
from typing import Any

import pytest

from autodialer.campaign.breaker import Fault
from autodialer.campaign.retry import ERROR_DELAY_S, ERRORS_FORGIVEN, TRUNK_DELAY_S, asked_pause_s, decide_next
from autodialer.model import DEFAULT_RETRY, Cause, Disposition, JobState, NextStep, RetryRule, SubscriberState
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


def after_fault(
    disposition: Disposition, *, of_number: bool, second_number: str | None = None, **job_: Any
) -> NextStep:
    made = job(second_number=second_number, **job_)
    fault = Fault(of_number=of_number)
    return decide_next(campaign(), made, disposition, played_s=0, answered=False, now=NOW, fault=fault)


@pytest.mark.parametrize("disposition", [Disposition.FAILED, Disposition.NO_ANSWER])
def test_the_trunks_fault_costs_neither_an_attempt_nor_a_retry_however_often(disposition: Disposition) -> None:
    used = {"failed": 5, "congestion": 5, "no_answer": 2}
    step = after_fault(disposition, of_number=False, attempt=3, retries_used=used)
    assert (step.job_state, step.rule) == (JobState.QUEUED, "trunk")
    assert not step.counts_as_attempt and not step.uses_budget
    assert step.not_before == NOW + timedelta(seconds=TRUNK_DELAY_S)


def test_congestion_has_a_budget_of_its_own_beside_the_attempts() -> None:
    for used in range(5):
        step = after_fault(Disposition.CONGESTION, of_number=True, attempt=3, retries_used={"congestion": used})
        assert (step.rule, step.counts_as_attempt, step.uses_budget) == ("congestion", False, True), used
    over = after_fault(Disposition.CONGESTION, of_number=True, attempt=1, retries_used={"congestion": 5})
    assert (over.job_state, over.rule, over.counts_as_attempt) == (JobState.DONE, "retries_used", False)


def test_after_congestion_the_second_number_is_called_although_no_attempt_was_used() -> None:
    used = {"congestion": 5}
    step = after_fault(Disposition.CONGESTION, of_number=True, attempt=3, retries_used=used, second_number="+7")
    assert (step.rule, step.counts_as_attempt, step.uses_budget) == ("second_number", False, True)


def test_a_number_that_the_trunk_refuses_while_it_puts_others_through_is_judged_by_its_disposition() -> None:
    over = after_fault(Disposition.FAILED, of_number=True, attempt=1)
    assert (over.job_state, over.rule, over.counts_as_attempt) == (JobState.DONE, "failed", True)
    later = after_fault(Disposition.NO_ANSWER, of_number=True, attempt=1)
    assert (later.job_state, later.rule, later.counts_as_attempt) == (JobState.QUEUED, "no_answer", True)


@pytest.mark.parametrize(
    ("disposition", "answered", "state"),
    [(Disposition.CANCELLED, False, SubscriberState.EXHAUSTED), (Disposition.ANSWERED, True, SubscriberState.REACHED)],
)
def test_a_call_that_an_operator_hung_up_is_an_attempt_and_the_last_one(
    disposition: Disposition, answered: bool, state: SubscriberState
) -> None:
    rules = campaign(min_played_s=5, retry={"short": RetryRule(after_s=1, times=3)})
    step = decide_next(rules, job(), disposition, played_s=1, answered=answered, now=NOW, hung_up=True)
    assert (step.job_state, step.subscriber_state, step.rule) == (JobState.DONE, state, "hung_up")
    assert step.counts_as_attempt


def test_a_busy_callee_stays_busy_although_an_operator_hung_up_at_the_same_moment() -> None:
    step = decide_next(campaign(), job(), Disposition.BUSY, played_s=0, answered=False, now=NOW, hung_up=True)
    assert step.rule == "busy"


def after_error(*, answered: bool = False, hung_up: bool = False, **job_: Any) -> NextStep:
    """A dialer that fails at a call, in a campaign that retries what failed."""
    rules = campaign(retry={"failed": RetryRule(after_s=1, times=9)})
    return decide_next(
        rules,
        job(**job_),
        Disposition.FAILED,
        played_s=0,
        answered=answered,
        now=NOW,
        hung_up=hung_up,
        cause=Cause.INTERNAL_ERROR,
    )


def test_an_error_in_the_dialer_costs_no_attempt_and_is_forgiven_three_times() -> None:
    for used in range(ERRORS_FORGIVEN):
        step = after_error(attempt=3, retries_used={"internal_error": used, "failed": 9})
        assert (step.job_state, step.rule) == (JobState.QUEUED, "internal_error")
        assert (step.counts_as_attempt, step.uses_budget) == (False, True)
        assert step.not_before == NOW + timedelta(seconds=ERROR_DELAY_S)
    over = after_error(attempt=1, retries_used={"internal_error": ERRORS_FORGIVEN})
    assert (over.job_state, over.subscriber_state) == (JobState.DONE, SubscriberState.EXHAUSTED)
    assert (over.rule, over.counts_as_attempt) == ("internal_error", False)
    reached = after_error(attempt=2, retries_used={"internal_error": ERRORS_FORGIVEN, "short": 1})
    assert reached.subscriber_state is SubscriberState.REACHED


def test_an_error_in_the_dialer_ends_the_attempts_at_who_picked_up_or_was_hung_up() -> None:
    assert (after_error(answered=True).job_state, after_error(answered=True).rule) == (JobState.DONE, "picked_up")
    assert (after_error(hung_up=True).job_state, after_error(hung_up=True).rule) == (JobState.DONE, "hung_up")


@pytest.mark.parametrize("disposition", [Disposition.BUSY, Disposition.NO_ANSWER])
@pytest.mark.parametrize(
    ("asked_s", "after_s"), [(None, 300.0), (10.0, 300.0), (301.0, 301.0), (7200.0, 7200.0), (1e9, 86_400.0)]
)
def test_a_callee_that_says_when_to_call_again_is_not_called_before(
    disposition: Disposition, asked_s: float | None, after_s: float
) -> None:
    rules = campaign(retry={disposition.value: RetryRule(after_s=300, times=2)})
    step = decide_next(rules, job(), disposition, played_s=0, answered=False, now=NOW, retry_after_s=asked_s)
    assert (step.rule, step.not_before) == (disposition.value, NOW + timedelta(seconds=after_s))


def test_a_second_number_does_not_wait_for_the_first_ones_retry_after() -> None:
    rules, made = campaign(retry={"busy": RetryRule(after_s=300, times=0)}), job(second_number="+7")
    step = decide_next(rules, made, Disposition.BUSY, played_s=0, answered=False, now=NOW, retry_after_s=900.0)
    assert (step.rule, step.not_before) == ("second_number", NOW)


@pytest.mark.parametrize(
    ("code", "asked"), [(480, 90.0), (486, 90.0), (600, 90.0), (603, 90.0), (503, None), (404, None), (None, None)]
)
def test_retry_after_is_the_callees_word_only_beside_codes_that_speak_of_the_callee(
    code: int | None, asked: float | None
) -> None:
    assert asked_pause_s(code, 90.0) == asked
    assert asked_pause_s(code, None) is None

"""The queue: what is enqueued, claimed, recorded and finished."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy.exc import IntegrityError

from autodialer.campaign.admission import admit
from autodialer.errors import NotFound
from autodialer.model import (
    CallOutcome,
    Cause,
    ClaimRequest,
    Disposition,
    EndedBy,
    JobState,
    NextStep,
    RtpStats,
    SubscriberState,
    TrunkSettings,
)
from autodialer.store import CallsWanted, NewSubscriber
from autodialer.store.campaigns.stopping import SMALL_BATCH_ROWS
from tests.store.world import EXHAUSTED, NOW, StandingClock, World, number


def test_every_subscriber_is_enqueued_once_and_in_order(world: World) -> None:
    campaign = world.running(7)
    seen: list[str] = []
    while jobs := world.claim(campaign, 3):
        seen += [job.number for job in jobs]
        world.record(*[world.result(job, Disposition.ANSWERED) for job in jobs])
    assert seen == [number(index) for index in range(7)]


def test_only_as_many_jobs_are_made_as_are_needed(world: World) -> None:
    campaign = world.running(100)
    assert world.store.queue.enqueue_due(NOW, batch=20).jobs == 20
    assert world.store.queue.enqueue_due(NOW, batch=20).jobs == 0, "enough are due"
    request = ClaimRequest(campaign_key=campaign.key, trunk_key=world.trunk.key, limit=10)
    world.store.queue.claim([request], "dialer-1", NOW, admit)
    assert world.store.queue.enqueue_due(NOW, batch=20).jobs == 20


def test_a_call_makes_jobs_of_as_many_batches_as_it_may_and_campaigns_take_turns(world: World) -> None:
    campaigns = [world.running(40) for _ in range(3)]

    made = world.store.queue.enqueue_due(NOW, batch=10, most_batches=2)
    assert (made.jobs, made.is_more) == (20, True)
    queued = [{job.subscriber_key for job in world.claim_only(campaign)} for campaign in campaigns]
    assert [len(each) for each in queued] == [10, 10, 0]
    made = world.store.queue.enqueue_due(NOW, batch=10, most_batches=1)
    assert len(world.claim_only(campaigns[2])) == made.jobs == 10, "the campaign without calls goes first"
    while world.store.queue.enqueue_due(NOW, batch=10, most_batches=1).is_more:
        for campaign in campaigns:
            world.claim_only(campaign)
    assert [world.states(campaign) for campaign in campaigns] == [{"total": 40, "in_progress": 40}] * 3


def test_jobs_that_wait_for_a_retry_do_not_hold_up_new_numbers(world: World) -> None:
    campaign = world.running(30)
    world.store.queue.enqueue_due(NOW, batch=10)
    request = ClaimRequest(campaign_key=campaign.key, trunk_key=world.trunk.key, limit=10)
    jobs = world.store.queue.claim([request], "dialer-1", NOW, admit)
    world.record(*[world.result(job, Disposition.BUSY, world.again("busy")) for job in jobs])
    assert world.store.queue.enqueue_due(NOW, batch=10).jobs == 10


def test_nothing_is_enqueued_for_a_campaign_that_does_not_run_or_whose_callbase_is_being_imported(world: World) -> None:
    world.draft(world.callbase())
    paused = world.running()
    world.store.campaigns.pause(paused.id, None)
    importing = world.store.callbases.create(world.user.key, name="c", region="GB")
    world.store.callbases.add_rows(importing.key, [NewSubscriber(number=number(1))])
    early = world.store.campaigns.start(world.draft(importing).id, None)
    assert world.store.queue.enqueue_due(NOW).jobs == 0
    assert world.store.queue.finish_campaigns(NOW) == []
    world.store.callbases.finish(importing.key, rows=1)
    assert [job.number for job in world.claim(early)] == [number(1)]


def test_a_subscriber_added_to_a_running_campaign_is_dialled(world: World) -> None:
    campaign = world.running(1)
    [first] = world.claim(campaign)
    world.store.subscribers.add(campaign.callbase_id, None, NewSubscriber(number=number(5)))
    assert world.states(campaign) == {"total": 2, "pending": 1, "in_progress": 1}
    assert [job.number for job in world.claim(campaign)] == [number(5)]
    assert first.number == number(0)


def test_a_claim_takes_no_more_than_its_limit_and_never_a_job_twice(world: World) -> None:
    campaign = world.running(5)
    first, second, rest = world.claim(campaign, 2), world.claim(campaign, 2), world.claim(campaign, 9)
    assert [len(jobs) for jobs in (first, second, rest)] == [2, 2, 1]
    assert len({job.key for job in first + second + rest}) == 5
    assert world.claim(campaign, 9) == []
    assert world.store.queue.dialing_counts() == {(campaign.key, world.trunk.key): 5}


def test_several_requests_are_claimed_together(world: World) -> None:
    one, two = world.running(5), world.running(5)
    second = world.store.trunks.create(world.user.key, TrunkSettings(name="second", host="h"))
    world.store.queue.enqueue_due(NOW)
    jobs = world.store.queue.claim(
        [
            ClaimRequest(campaign_key=one.key, trunk_key=world.trunk.key, limit=2),
            ClaimRequest(campaign_key=one.key, trunk_key=second.key, limit=2),
            ClaimRequest(campaign_key=two.key, trunk_key=second.key, limit=1),
            ClaimRequest(campaign_key=two.key, trunk_key=world.trunk.key, limit=0),
        ],
        "dialer-1",
        NOW,
        admit,
    )
    assert len({job.key for job in jobs}) == 5
    assert world.store.queue.dialing_counts() == {
        (one.key, world.trunk.key): 2,
        (one.key, second.key): 2,
        (two.key, second.key): 1,
    }
    assert world.store.queue.claim([], "dialer-1", NOW, admit) == []


def test_a_claimed_job_says_whom_to_call_and_how_often_he_was_called(world: World, clock: StandingClock) -> None:
    campaign = world.running(1)
    [job] = world.claim(campaign)
    assert (job.number, job.attempt, job.retries_used, job.claimed_at) == (number(0), 1, {}, NOW)
    assert world.store.calls.get(job.call_id, world.user.key).state is JobState.DIALING
    world.record(world.result(job, Disposition.BUSY, world.again("busy", after_s=60)))
    assert world.claim(campaign) == [], "not before its time"
    clock.move(seconds=60)
    [second] = world.claim(campaign)
    assert (second.key, second.attempt, second.retries_used) == (job.key, 2, {"busy": 1})
    assert second.call_id != job.call_id
    world.record(world.result(second, Disposition.NO_ANSWER, world.again("no_answer", after_s=0)))
    [third] = world.claim(campaign)
    assert (third.attempt, third.retries_used) == (3, {"busy": 1, "no_answer": 1})


def test_a_paused_campaign_is_not_claimed_and_goes_on_after_a_resume(world: World) -> None:
    campaign = world.running(3)
    [live] = world.claim(campaign, 1)
    world.store.campaigns.pause(campaign.id, None)
    assert world.claim(campaign) == []
    world.record(world.result(live, Disposition.BUSY, world.again("busy", after_s=0)))
    assert world.claim(campaign) == []
    world.store.campaigns.resume(campaign.id, None)
    assert len(world.claim(campaign)) == 3


def test_a_number_on_the_dnc_list_is_excluded_in_the_claim_and_leaves_no_call(world: World) -> None:
    campaign = world.running(5)
    world.store.queue.enqueue_due(NOW)
    world.store.dnc.add(world.other.key, number(0), for_everybody=True)
    world.store.dnc.add(world.user.key, number(2))
    assert [job.number for job in world.claim(campaign, 2)] == [number(1), number(3)], "the limit is filled"
    assert [job.number for job in world.claim(campaign)] == [number(4)]
    assert world.states(campaign) == {"total": 5, "in_progress": 3, "excluded": 2}
    assert world.store.calls.page(campaign.key) == ([], None)
    assert world.store.campaigns.progress(campaign.key).next_due is None


def test_a_number_put_on_the_dnc_list_between_two_attempts_is_excluded(world: World, clock: StandingClock) -> None:
    campaign = world.running(1)
    [job] = world.claim(campaign)
    world.record(world.result(job, Disposition.BUSY, world.again("busy")))
    world.store.dnc.add(world.user.key, number(0))
    clock.move(minutes=5)
    assert world.claim(campaign) == []
    assert world.states(campaign) == {"total": 1, "excluded": 1}
    assert world.store.queue.finish_campaigns(clock.now) == [campaign.id]


def test_a_campaign_of_nothing_but_dnc_numbers_ends(world: World) -> None:
    campaign = world.running(3)
    for index in range(3):
        world.store.dnc.add(world.user.key, number(index))
    assert world.claim(campaign, 1) == []
    assert world.store.queue.finish_campaigns(NOW) == [campaign.id]


def test_a_cancelled_call_is_recorded_and_costs_no_attempt(world: World, clock: StandingClock) -> None:
    campaign = world.running(1)
    [job] = world.claim(campaign)
    world.record(world.result(job, Disposition.CANCELLED, world.again("cancelled", after_s=5, counts=False)))
    clock.move(seconds=5)
    [again] = world.claim(campaign)
    assert (again.attempt, again.retries_used) == (1, {})
    [call], _ = world.store.calls.page(campaign.key)
    assert call.outcome is not None and call.outcome.disposition is Disposition.CANCELLED
    assert (call.next_rule, call.next_at) == ("cancelled", NOW + timedelta(seconds=5))


def test_every_field_of_an_outcome_comes_back(world: World) -> None:
    campaign = world.running(1)
    [job] = world.claim(campaign)
    outcome = CallOutcome(
        disposition=Disposition.FAILED,
        cause=Cause.MEDIA_FAILED,
        sip_code=200,
        sip_reason="Хорошо",
        q850_cause=16,
        retry_after_s=2.5,
        invited_at=NOW,
        ringing_at=NOW + timedelta(milliseconds=250),
        answered_at=NOW + timedelta(seconds=3),
        ended_at=NOW + timedelta(seconds=7.125),
        pdd_s=0.25,
        duration_s=7.125,
        billsec_s=4.125,
        played_s=3.98,
        played_share=0.995,
        digits="1#",
        ended_by=EndedBy.US,
        rtp=RtpStats(sent=199, received=180, lost=2, jitter_ms=1.5, one_way_audio=True),
        message="The media process died.",
    )
    world.record(replace(world.result(job, Disposition.FAILED, EXHAUSTED), outcome=outcome))
    call = world.store.calls.get(job.call_id, world.user.key)
    assert call.outcome == outcome
    assert (call.campaign_id, call.trunk_id, call.number, call.attempt) == (campaign.id, world.trunk.id, number(0), 1)
    assert (call.state, call.next_at, call.next_rule) == (JobState.DONE, None, "max_attempts")
    [person], _ = world.store.subscribers.page(campaign.callbase_id, None)
    assert call.subscriber_id == person.id
    with pytest.raises(NotFound):
        world.store.calls.get(job.call_id, world.other.key)
    with pytest.raises(NotFound):
        world.store.calls.get(uuid4(), None)


def test_recording_the_same_call_again_does_no_harm(world: World) -> None:
    campaign = world.running(1)
    [job] = world.claim(campaign)
    result = world.result(job, Disposition.BUSY, world.again("busy"))
    world.record(result)
    world.record(result)
    world.record(result, result)
    assert world.store.campaigns.progress(campaign.key).dispositions == {"busy": 1}


def test_one_call_given_twice_in_a_batch_is_recorded_once(world: World) -> None:
    campaign = world.running(1)
    [job] = world.claim(campaign)
    world.record(world.result(job, Disposition.ANSWERED), world.result(job, Disposition.BUSY, EXHAUSTED))
    assert world.store.campaigns.progress(campaign.key).dispositions == {"answered": 1}


def test_a_batch_is_recorded_whole_or_not_at_all(world: World) -> None:
    campaign = world.running(2)
    first, second = world.claim(campaign)
    illegal = NextStep(job_state=JobState.DONE, subscriber_state=SubscriberState.REACHED, rule=None)  # type: ignore[arg-type]
    with pytest.raises(IntegrityError, match="NOT NULL"):
        world.record(world.result(first, Disposition.ANSWERED), world.result(second, Disposition.BUSY, illegal))
    assert world.store.calls.page(campaign.key) == ([], None)
    assert world.store.campaigns.progress(campaign.key).active_calls == 2


def test_one_commit_records_what_ended_and_claims_what_is_due(world: World) -> None:
    campaign = world.running(3)
    [first] = world.claim(campaign, 1)
    request = ClaimRequest(campaign_key=campaign.key, trunk_key=world.trunk.key, limit=1)
    ended = world.result(first, Disposition.ANSWERED)
    [second] = world.store.queue.record_and_claim([ended], [request], "dialer-1", NOW, admit)
    assert second.number == number(1)
    assert world.store.campaigns.progress(campaign.key).dispositions == {"answered": 1}
    assert world.store.campaigns.progress(campaign.key).active_calls == 1


def test_nothing_is_claimed_where_what_ended_cannot_be_recorded(world: World) -> None:
    campaign = world.running(2)
    [first] = world.claim(campaign, 1)
    request = ClaimRequest(campaign_key=campaign.key, trunk_key=world.trunk.key, limit=1)
    illegal = NextStep(job_state=JobState.DONE, subscriber_state=SubscriberState.REACHED, rule=None)  # type: ignore[arg-type]
    ended = world.result(first, Disposition.BUSY, illegal)
    with pytest.raises(IntegrityError, match="NOT NULL"):
        world.store.queue.record_and_claim([ended], [request], "dialer-1", NOW, admit)
    assert world.store.campaigns.progress(campaign.key).active_calls == 1


def test_two_requests_for_one_campaign_share_its_jobs(world: World) -> None:
    campaign = world.running(3)
    world.store.queue.enqueue_due(NOW)
    request = ClaimRequest(campaign_key=campaign.key, trunk_key=world.trunk.key, limit=2)
    jobs = world.store.queue.claim([request, request], "dialer-1", NOW, admit)
    assert len({job.key for job in jobs}) == len(jobs) == 3


def test_a_campaign_finishes_when_nobody_is_left_and_no_call_is_under_way(world: World, clock: StandingClock) -> None:
    campaign = world.running(2)
    assert world.store.queue.finish_campaigns(NOW) == [], "not walked yet"
    first, second = world.claim(campaign)
    world.record(world.result(first, Disposition.ANSWERED))
    assert world.store.queue.finish_campaigns(NOW) == [], "a call is under way"
    world.record(world.result(second, Disposition.BUSY, world.again("busy")))
    assert world.store.queue.finish_campaigns(NOW) == [], "a retry is due"
    clock.move(minutes=1)
    [again] = world.claim(campaign)
    world.record(world.result(again, Disposition.BUSY, EXHAUSTED))
    assert world.store.queue.finish_campaigns(clock.now) == [campaign.id]
    assert world.store.campaigns.get(campaign.id, None).finished_at == clock.now
    assert world.store.queue.running_campaigns() == []
    assert world.store.queue.finish_campaigns(clock.now) == []


def test_an_empty_campaign_and_one_on_a_failed_import_finish(world: World) -> None:
    empty = world.running(0)
    importing = world.store.callbases.create(world.user.key, name="c", region="GB")
    failing = world.store.campaigns.start(world.draft(importing).id, None)
    world.store.callbases.fail(importing.key, "not a table")
    assert world.store.queue.finish_campaigns(NOW) == [empty.id, failing.id]


def test_the_calls_of_a_campaign_are_listed_by_disposition_and_page(world: World) -> None:
    campaign = world.running(6)
    jobs = world.claim(campaign)
    for index, job in enumerate(jobs):
        world.record(world.result(job, Disposition.ANSWERED if index % 2 else Disposition.BUSY, EXHAUSTED))
    everything, _ = world.store.calls.page(campaign.key)
    assert [call.id for call in everything] == [job.call_id for job in jobs]
    busy, cursor = world.store.calls.page(campaign.key, wanted=CallsWanted(dispositions=["busy"]), limit=2)
    rest, end = world.store.calls.page(campaign.key, wanted=CallsWanted(dispositions=["busy"]), limit=2, after=cursor)
    assert [call.id for call in busy + rest] == [job.call_id for job in jobs[::2]] and end is None
    assert world.store.calls.page(world.running(1).key) == ([], None)


def test_the_report_adds_up(world: World) -> None:
    campaign = world.running(10)
    assert world.store.calls.report(campaign.key).asr is None
    jobs = world.claim(campaign)
    for index, job in enumerate(jobs[:8]):
        known = {"pdd_s": float(index + 1), "billsec_s": 10.0 + index, "played_share": 0.5}
        world.record(world.result(job, Disposition.ANSWERED, **known))
    world.record(world.result(jobs[8], Disposition.FAILED, EXHAUSTED, pdd_s=9.0))
    world.record(world.result(jobs[9], Disposition.BUSY, EXHAUSTED, pdd_s=10.0))
    report = world.store.calls.report(campaign.key)
    assert (report.calls, report.answered, report.asr, report.acd_s, report.billsec_s) == (10, 8, 0.8, 13.5, 108.0)
    assert report.played_share_mean == 0.5
    assert report.pdd_s == {"p50": 5.0, "p90": 9.0, "p95": 10.0, "p99": 10.0}
    assert report.dispositions == {"answered": 8, "busy": 1, "failed": 1}
    assert report.attempts_to_reach == {1: 8}
    [trunk] = report.by_trunk
    assert (trunk.trunk_id, trunk.name, trunk.calls, trunk.asr) == (world.trunk.id, "trunk", 10, 0.8)
    assert trunk.dispositions == report.dispositions


def test_the_report_counts_the_attempts_that_it_took(world: World, clock: StandingClock) -> None:
    campaign = world.running(2)
    first, second = world.claim(campaign)
    world.record(world.result(first, Disposition.ANSWERED), world.result(second, Disposition.BUSY, world.again("busy")))
    clock.move(minutes=1)
    [again] = world.claim(campaign)
    world.record(world.result(again, Disposition.ANSWERED))
    assert world.store.calls.report(campaign.key).attempts_to_reach == {1: 1, 2: 1}


def test_a_lowered_number_of_attempts_holds_for_who_waits_already(world: World) -> None:
    campaign = world.running(2)
    jobs = world.claim(campaign, 2)
    world.record(*[world.result(job, Disposition.BUSY, world.again("busy")) for job in jobs])
    world.store.campaigns.update(campaign.id, None, max_attempts=1)
    world.clock.move(hours=1)
    request = ClaimRequest(campaign_key=campaign.key, trunk_key=world.trunk.key, limit=10)
    assert world.store.queue.claim([request], "dialer-1", world.clock.now, admit) == []
    assert world.store.campaigns.progress(campaign.key).counts.exhausted == 2
    records, _ = world.store.calls.page(campaign.key)
    assert [(record.next_at, record.next_rule) for record in records] == [(None, "max_attempts")] * 2


@pytest.mark.parametrize("step", [timedelta(hours=1), timedelta(hours=-1)])
def test_what_waits_moves_with_a_clock_that_was_set(world: World, step: timedelta) -> None:
    campaign = world.running(2)
    first, second = world.claim(campaign)
    world.record(world.result(first, Disposition.BUSY, world.again("busy", after_s=60)))
    postponement = world.store.queue.postpone(step, NOW + step)
    while postponement.move_some():
        pass
    request = world.request(campaign)
    assert world.store.queue.claim([request], "dialer-1", NOW + step + timedelta(seconds=59), admit) == []
    (again,) = world.store.queue.claim([request], "dialer-1", NOW + step + timedelta(seconds=60), admit)
    assert again.number == first.number != second.number


@pytest.mark.parametrize("stopped_after", [True, False])
def test_who_was_claimed_and_never_called_is_pending_again_whenever_the_campaign_stops(
    world: World, stopped_after: bool
) -> None:
    campaign = world.running(2)
    never, once = world.claim(campaign)
    world.record(world.result(once, Disposition.BUSY, world.again("busy", after_s=0)))
    [again] = world.claim(campaign)
    if not stopped_after:
        world.store.campaigns.stop(campaign.id, None, hangup=False)
    world.store.queue.release([never, again], NOW)
    if stopped_after:
        assert world.states(campaign) == {"total": 2, "pending": 1, "in_progress": 1}
        world.store.campaigns.stop(campaign.id, None, hangup=False)
    assert world.states(campaign) == {"total": 2, "pending": 1, "exhausted": 1}
    assert world.store.queue.dialing_counts() == {}


def test_a_clock_that_was_set_moves_spans_and_leaves_moments(world: World) -> None:
    campaign = world.running(5)
    jobs = world.claim(campaign)
    rules = ["busy", "trunk", "window", "cap_day", "cap_week"]
    for job, rule in zip(jobs, rules, strict=True):
        world.record(world.result(job, Disposition.BUSY, world.again(rule, after_s=60)))
    postponement = world.store.queue.postpone(timedelta(hours=8), NOW + timedelta(hours=8))
    while postponement.move_some():
        pass
    found = {each.rule: each.next_at for each in world.store.waiting_lists.waiting(campaign.key, NOW)}
    soon = NOW + timedelta(seconds=60)
    late = soon + timedelta(hours=8)
    assert found == {"busy": late, "trunk": late, "window": soon, "cap_day": soon, "cap_week": soon}


def test_what_the_clock_has_made_due_is_moved_first(world: World) -> None:
    campaign = world.running(2 * SMALL_BATCH_ROWS)
    jobs = world.claim(campaign, 2 * SMALL_BATCH_ROWS)
    for index, job in enumerate(jobs):
        after_s = 600 if index % 2 else 7200
        world.record(world.result(job, Disposition.BUSY, world.again("busy", after_s=after_s)))
    step = timedelta(hours=1)
    postponement = world.store.queue.postpone(step, NOW + step)
    assert postponement.made_due
    assert postponement.move_some()
    assert world.store.queue.claim([world.request(campaign)], "dialer-1", NOW + step, admit) == [], "they wait on"
    assert postponement.move_some()
    assert not postponement.made_due, "those that are left would be claimed no earlier than they should"
    while postponement.move_some():
        pass
    [waiting] = world.store.waiting_lists.waiting(campaign.key, NOW)
    assert (waiting.jobs, waiting.next_at) == (len(jobs), NOW + step + timedelta(seconds=600))


def test_what_is_queued_after_the_clock_was_set_is_not_moved_and_batches_are_small(world: World) -> None:
    campaign = world.running(1100)
    jobs = [job for _ in range(3) for job in world.claim(campaign, 500)]
    world.record(*[world.result(job, Disposition.BUSY, world.again("busy", after_s=0)) for job in jobs])
    postponement = world.store.queue.postpone(timedelta(hours=1), NOW + timedelta(hours=1))
    last = jobs[-1]
    [*_, again] = world.claim(campaign, 1100)
    assert again.key == last.key
    world.record(world.result(again, Disposition.BUSY, world.again("busy", after_s=120)))
    pieces = 0
    while postponement.move_some():
        pieces += 1
    assert pieces == 1100 / SMALL_BATCH_ROWS
    [waiting] = world.store.waiting_lists.waiting(campaign.key, NOW)
    assert (waiting.jobs, waiting.next_at) == (1, NOW + timedelta(seconds=120)), "the others are being dialled"


@pytest.mark.slow
def test_what_a_stop_leaves_is_cancelled_bit_by_bit(world: World) -> None:
    campaign = world.running(2600)
    for _ in range(6):
        jobs = world.claim(campaign, 500)
        world.record(*[world.result(job, Disposition.BUSY, world.again("busy")) for job in jobs])
    assert not world.store.queue.has_to_cancel(NOW)
    world.store.campaigns.stop(campaign.id, None, hangup=False)
    assert world.states(campaign) == {"total": 2600, "in_progress": 600, "exhausted": 2000}
    assert world.store.queue.has_to_cancel(NOW)
    pieces = 0
    while world.store.queue.cancel_some(NOW):
        pieces += 1
    assert (pieces, world.states(campaign)) == (600 / SMALL_BATCH_ROWS, {"total": 2600, "exhausted": 2600})

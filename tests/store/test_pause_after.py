"""A campaign that pauses once so many of its people have been called."""

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from autodialer.campaign.admission import admit
from autodialer.errors import Conflict
from autodialer.model import Campaign, CampaignState, ClaimedJob, Disposition, People
from tests.store.world import EXHAUSTED, World


def state_of(world: World, campaign: Campaign) -> tuple[str, int, int | None]:
    now = world.store.campaigns.by_key(campaign.key)
    return now.state.value, now.people_called, now.pause_after


def busy(world: World, jobs: Sequence[ClaimedJob]) -> None:
    """Busy, and due again at once."""
    world.record(*(world.result(job, Disposition.BUSY, world.again("busy", after_s=0)) for job in jobs))


@pytest.mark.parametrize("at_once", [1, 2, 3, 100])
def test_it_pauses_in_the_claim_of_the_last_of_them_and_nobody_else_is_called(world: World, at_once: int) -> None:
    campaign = world.running(8, pause_after=5)
    called: list[str] = []
    for _ in range(20):
        jobs = world.claim(campaign, at_once)
        called += [job.number for job in jobs]
        world.record(*(world.result(job, Disposition.BUSY, EXHAUSTED) for job in jobs))
    assert len(called) == len(set(called)) == 5
    assert state_of(world, campaign) == ("paused", 5, 5)
    world.store.campaigns.resume(campaign.id, None)
    assert state_of(world, campaign) == ("running", 5, None), "it goes on with all the rest"
    assert len(world.claim(campaign)) == 3


def test_retries_are_no_people_and_wait_once_it_has_paused(world: World) -> None:
    campaign = world.running(8, pause_after=3)
    first = world.claim(campaign, 2)
    busy(world, first)
    again = world.claim(campaign, 3)
    assert [job.attempt for job in again] == [2, 2, 1]
    assert state_of(world, campaign) == ("paused", 3, 3)
    busy(world, again)
    assert world.claim(campaign) == []
    world.store.campaigns.resume(campaign.id, None)
    assert sorted(job.attempt for job in world.claim(campaign)) == [1, 1, 1, 1, 1, 2, 3, 3]


def test_two_trunks_in_one_tick_do_not_call_more_than_those(world: World) -> None:
    campaign = world.running(8, pause_after=3)
    world.store.queue.enqueue_due(world.clock.now)
    requests = [world.request(campaign, 2), world.request(campaign, 2), world.request(campaign, 2)]
    assert len(world.store.queue.claim(requests, "dialer-1", world.clock.now, admit)) == 3
    assert state_of(world, campaign)[0] == "paused"


def test_people_who_may_not_be_called_do_not_count(world: World) -> None:
    campaign = world.running(6, pause_after=2)
    people, _ = world.store.subscribers.page(campaign.callbase_id, None)
    for person in people[:3]:
        world.store.dnc.add(world.user.key, person.number, source="api")
    assert [job.number for job in world.claim(campaign)] == [person.number for person in people[3:5]]
    assert state_of(world, campaign) == ("paused", 2, 2)


def test_a_call_that_could_not_leave_is_made_up_for(world: World) -> None:
    campaign = world.running(5, pause_after=3)
    jobs = world.claim(campaign)
    world.store.queue.release(jobs[:1], world.clock.now)
    assert state_of(world, campaign) == ("running", 2, 3)
    assert [job.number for job in world.claim(campaign)] == [jobs[0].number]
    assert state_of(world, campaign) == ("paused", 3, 3)


def test_a_retry_that_could_not_leave_lets_nobody_else_be_called(world: World) -> None:
    campaign = world.running(5, pause_after=2)
    busy(world, world.claim(campaign, 1))
    jobs = world.claim(campaign, 2)
    assert [job.attempt for job in jobs] == [2, 1]
    world.store.queue.release(jobs[:1], world.clock.now)
    assert state_of(world, campaign) == ("paused", 2, 2)


def test_what_a_user_has_paused_stays_paused_when_a_call_could_not_leave(world: World) -> None:
    campaign = world.running(5, pause_after=3)
    jobs = world.claim(campaign, 2)
    world.store.campaigns.pause(campaign.id, None)
    world.store.queue.release(jobs, world.clock.now)
    assert state_of(world, campaign) == ("paused", 0, 3)
    world.store.campaigns.resume(campaign.id, None)
    assert state_of(world, campaign) == ("running", 0, 3), "it has not come to its pause"


def test_it_holds_across_a_crash_between_claim_and_outcome(world: World) -> None:
    campaign = world.running(6, pause_after=4)
    claimed = world.claim(campaign, 3)
    world.store.queue.recover(None, world.clock.now, lambda _campaign, _job: EXHAUSTED)
    assert len(claimed) == 3
    assert state_of(world, campaign) == ("running", 3, 4)
    assert len(world.claim(campaign)) == 1
    assert state_of(world, campaign) == ("paused", 4, 4)


def test_it_is_changed_while_it_runs_but_not_to_what_lies_behind(world: World) -> None:
    campaign = world.running(9, pause_after=6)
    world.claim(campaign, 3)
    for behind in (1, 3):
        with pytest.raises(Conflict, match=f"3 people have been called already, so it cannot pause after {behind}"):
            world.store.campaigns.update(campaign.id, None, pause_after=behind)
    world.store.campaigns.update(campaign.id, None, pause_after=4)
    assert len(world.claim(campaign)) == 1
    world.store.campaigns.update(campaign.id, None, pause_after=4, cps=2.0)
    world.store.campaigns.update(campaign.id, None, pause_after=7)
    world.store.campaigns.resume(campaign.id, None)
    assert len(world.claim(campaign)) == 3
    world.store.campaigns.resume(campaign.id, None)
    world.store.campaigns.update(campaign.id, None, pause_after=None)
    assert len(world.claim(campaign)) == 2


def test_a_clone_pauses_too_and_counts_its_own_people(world: World) -> None:
    campaign = world.running(4, pause_after=2)
    world.claim(campaign)
    made = world.store.campaigns.clone(campaign.id, None, only=People.ALL)
    assert (made.pause_after, made.people_called) == (2, 0)


@given(some.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
def test_however_claims_outcomes_and_put_back_calls_come_just_so_many_people_are_called(
    world: World, data: some.DataObject
) -> None:
    most = data.draw(some.integers(1, 6))
    campaign = world.running(6, pause_after=most)
    air: list[ClaimedJob] = []
    called: set[str] = set()
    for _ in range(12):
        step = data.draw(some.sampled_from(["claim", "record", "release", "recover"]))
        if step == "claim":
            air += world.claim(campaign, data.draw(some.integers(1, 4)))
        elif air and step == "record":
            done, air = air[:1], air[1:]
            called.add(done[0].number)
            busy(world, done)
        elif air and step == "release":
            world.store.queue.release(air[:1], world.clock.now)
            air = air[1:]
        elif step == "recover":
            called |= {job.number for job in air}
            air = []
            world.store.queue.recover(None, world.clock.now, lambda *_: world.again("interrupted", after_s=0))
        people = called | {job.number for job in air}
        state, people_called, _ = state_of(world, campaign)
        assert people_called == len(people) <= most
        assert (state == CampaignState.PAUSED.value) == (len(people) == most)

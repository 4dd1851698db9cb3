"""What a person is who waited for another attempt and gets none, in whatever way it ends: an answer counts."""

from collections.abc import Callable, Mapping

import pytest

from autodialer.campaign.admission import admit
from autodialer.campaign.retry import decide_next
from autodialer.model import Campaign, ClaimedJob, ClaimRequest, Disposition, RetryRule
from tests.store.test_erasing import person
from tests.store.world import World, number

SOON = {"short": RetryRule(after_s=60, times=3), "busy": RetryRule(after_s=60, times=3)}


def end_call(world: World, campaign: Campaign, job: ClaimedJob, disposition: Disposition) -> None:
    """A call ends; what follows is the retry policy's to say. Of the sound nothing is heard."""
    answered = disposition is Disposition.ANSWERED
    step = decide_next(campaign, job, disposition, played_s=0.0, answered=answered, now=world.clock.now)
    world.record(world.result(job, disposition, step, answered_at=world.clock.now if answered else None))


def wait_over(world: World, campaign: Campaign) -> list[ClaimedJob]:
    """The retry is due, and the queue is asked."""
    world.clock.move(minutes=5)
    return world.claim(campaign)


def once_more(world: World, campaign: Campaign) -> ClaimedJob:
    """The second call is under way."""
    [job] = wait_over(world, campaign)
    return job


def stop(world: World, campaign: Campaign) -> None:
    world.store.campaigns.stop(campaign.id, None, hangup=False)


def stopped_by_the_dialer(world: World, campaign: Campaign) -> None:
    world.store.campaigns.update(campaign.id, None, ends_at=world.clock.now)
    while world.store.queue.cancel_some(world.clock.now):
        pass


def stopped_during_a_busy_call(world: World, campaign: Campaign) -> None:
    job = once_more(world, campaign)
    stop(world, campaign)
    end_call(world, campaign, job, Disposition.BUSY)


def stopped_before_the_invite(world: World, campaign: Campaign) -> None:
    job = once_more(world, campaign)
    stop(world, campaign)
    world.store.queue.release([job], world.clock.now)


def stopped_before_a_restart(world: World, campaign: Campaign) -> None:
    again = {"retry": {**SOON, "interrupted": RetryRule(after_s=60, times=1)}}
    once_more(world, campaign)
    world.store.campaigns.update(campaign.id, None, **again)
    stop(world, campaign)
    world.store.queue.recover(
        None,
        world.clock.now,
        lambda found, job: decide_next(
            found, job, Disposition.INTERRUPTED, played_s=0.0, answered=False, now=world.clock.now
        ),
    )


def retries_used_up(world: World, campaign: Campaign) -> None:
    world.store.campaigns.update(campaign.id, None, max_attempts=2)
    end_call(world, world.store.campaigns.by_key(campaign.key), once_more(world, campaign), Disposition.BUSY)


def attempts_lowered(world: World, campaign: Campaign) -> None:
    world.store.campaigns.update(campaign.id, None, max_attempts=1)
    assert wait_over(world, campaign) == []


def on_the_dnc_list(world: World, campaign: Campaign) -> None:
    world.store.dnc.add(world.user.key, number(0))
    assert wait_over(world, campaign) == []


def outside_every_window(world: World, campaign: Campaign) -> None:
    world.clock.move(minutes=5)
    shut = ClaimRequest(
        campaign_key=campaign.key,
        trunk_key=world.trunk.key,
        limit=1,
        open_zones=frozenset(),
        zones_open_at={"": None},
    )
    assert world.store.queue.claim([shut], "dialer-1", world.clock.now, admit) == []


def at_its_cap(world: World, campaign: Campaign) -> None:
    world.store.campaigns.update(campaign.id, None, cap_day=1, ends_at=world.clock.move(minutes=2))
    world.clock.move(minutes=-1)
    assert world.claim(campaign) == []


def erased_while_waiting(world: World, campaign: Campaign) -> None:
    world.store.erasing.erase(person(world, campaign).id, None)


def erased_during_a_busy_call(world: World, campaign: Campaign) -> None:
    job = once_more(world, campaign)
    world.store.erasing.erase(person(world, campaign).id, None)
    end_call(world, campaign, job, Disposition.BUSY)


WAYS: Mapping[str, tuple[Callable[[World, Campaign], None], str, str]] = {
    "stopped while waiting": (stop, "exhausted", "stopped"),
    "ends_at while waiting": (stopped_by_the_dialer, "exhausted", "ended"),
    "stopped during a busy call": (stopped_during_a_busy_call, "exhausted", "stopped"),
    "stopped before the INVITE": (stopped_before_the_invite, "exhausted", "stopped"),
    "stopped before a restart": (stopped_before_a_restart, "exhausted", "stopped"),
    "retries used up": (retries_used_up, "exhausted", "max_attempts"),
    "attempts lowered": (attempts_lowered, "exhausted", "max_attempts"),
    "on the DNC list": (on_the_dnc_list, "excluded", "dnc"),
    "outside every window": (outside_every_window, "excluded", "window"),
    "at its cap": (at_its_cap, "excluded", "frequency_cap"),
    "erased while waiting": (erased_while_waiting, "excluded", "erased"),
    "erased during a busy call": (erased_during_a_busy_call, "exhausted", "erased"),
}
"""How the waiting ends, what a person is then who never answered, and the reason."""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("first", [Disposition.ANSWERED, Disposition.BUSY])
@pytest.mark.slow
def test_a_person_who_answered_and_waits_is_reached_however_the_waiting_ends(
    world: World, way: str, first: Disposition
) -> None:
    deed, unreached, reason = WAYS[way]
    campaign = world.running(1, min_played_s=3.0, retry=SOON)
    [job] = world.claim(campaign)
    end_call(world, campaign, job, first)
    assert world.states(campaign) == {"total": 1, "in_progress": 1}
    deed(world, campaign)
    if first is Disposition.ANSWERED:
        assert world.states(campaign) == {"total": 1, "reached": 1}
        assert world.store.waiting_lists.reasons(campaign.key) == {}
    else:
        assert world.states(campaign) == {"total": 1, unreached: 1}
        assert world.store.waiting_lists.reasons(campaign.key) == {(unreached, reason): 1}


@pytest.mark.parametrize("erased", [True, False])
def test_a_short_answer_to_the_last_call_of_a_campaign_is_an_answer(world: World, *, erased: bool) -> None:
    campaign = world.running(1, min_played_s=3.0, retry=SOON)
    [job] = world.claim(campaign)
    if erased:
        world.store.erasing.erase(person(world, campaign).id, None)
    else:
        stop(world, campaign)
    end_call(world, campaign, job, Disposition.ANSWERED)
    assert world.states(campaign) == {"total": 1, "reached": 1}

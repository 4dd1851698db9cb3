"""A campaign once more."""

import pytest

from autodialer.errors import Conflict, NotFound
from autodialer.model import CampaignState, Disposition, People, RetryRule
from tests.store.world import EXHAUSTED, NOW, World, number


def finish(world: World, reached: set[str], campaign_key: int) -> list[str]:
    """Call everybody; numbers that are not in `reached` are exhausted. Returns the numbers called."""
    campaign = world.store.campaigns.by_key(campaign_key)
    called = []
    while jobs := world.claim(campaign, 10):
        called += [job.number for job in jobs]
        for job in jobs:
            if job.number in reached:
                world.record(world.result(job, Disposition.ANSWERED))
            else:
                world.record(world.result(job, Disposition.BUSY, EXHAUSTED))
    world.store.queue.finish_campaigns(NOW)
    return called


def test_a_clone_is_a_draft_with_the_same_rules(world: World) -> None:
    rules = {"cps": 7.5, "max_channels": 3, "retry": {"busy": RetryRule(after_s=5, times=9)}, "min_played_s": 2.0}
    campaign = world.draft(world.callbase(2), **rules)
    made = world.store.campaigns.clone(campaign.id, world.user.key, only=People.ALL)
    assert made.state is CampaignState.DRAFT
    assert made.id != campaign.id
    assert (made.cps, made.max_channels, made.retry, made.min_played_s) == (7.5, 3, rules["retry"], 2.0)
    assert (made.trunk_keys, made.sound_key, made.callbase_key) == (
        campaign.trunk_keys,
        campaign.sound_key,
        campaign.callbase_key,
    )
    assert made.started_at is None


def test_a_clone_for_all_calls_everybody_again(world: World) -> None:
    campaign = world.running(4)
    everybody = finish(world, {number(0)}, campaign.key)
    made = world.store.campaigns.clone(campaign.id, world.user.key, only=People.ALL)
    world.store.campaigns.start(made.id, None)
    assert finish(world, set(), made.key) == everybody


def test_a_clone_for_the_unreached_leaves_out_whom_any_of_its_origins_reached(world: World) -> None:
    first = world.running(5)
    finish(world, {number(0), number(1)}, first.key)
    second = world.store.campaigns.clone(first.id, world.user.key, only=People.UNREACHED)
    world.store.campaigns.start(second.id, None)
    assert finish(world, {number(2)}, second.key) == [number(2), number(3), number(4)]
    counts = world.store.campaigns.progress(second.key).counts
    assert (counts.total, counts.excluded, counts.reached, counts.exhausted) == (5, 2, 1, 2)
    third = world.store.campaigns.clone(second.id, world.user.key, only=People.UNREACHED)
    world.store.campaigns.start(third.id, None)
    assert finish(world, set(), third.key) == [number(3), number(4)]
    assert world.store.campaigns.progress(third.key).counts.excluded == 3


def test_a_long_stretch_of_reached_ones_does_not_hold_up_the_first_call(world: World) -> None:
    campaign = world.running(300)
    finish(world, {number(index) for index in range(299)}, campaign.key)
    made = world.store.campaigns.clone(campaign.id, world.user.key, only=People.UNREACHED)
    world.store.campaigns.start(made.id, None)
    assert world.store.queue.enqueue_due(NOW, batch=50).jobs == 1


def test_the_unreached_of_a_campaign_that_still_runs_are_refused_and_so_is_another_users_campaign(world: World) -> None:
    campaign = world.running(2)
    with pytest.raises(Conflict, match="running"):
        world.store.campaigns.clone(campaign.id, world.user.key, only=People.UNREACHED)
    with pytest.raises(NotFound):
        world.store.campaigns.clone(campaign.id, world.other.key, only=People.ALL)


def test_what_has_been_deleted_is_named(world: World) -> None:
    campaign = world.running(1)
    finish(world, set(), campaign.key)
    world.store.sounds.delete(campaign.sound_id, world.user.key)
    with pytest.raises(Conflict) as refused:
        world.store.campaigns.clone(campaign.id, world.user.key, only=People.UNREACHED)
    assert refused.value.field == "sound_id"

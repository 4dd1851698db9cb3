"""Calls and minutes of a day: counted with the claims, in one commit, so that no crash and no race forgets them."""

from datetime import timedelta

import pytest

from autodialer.campaign.admission import admit
from autodialer.campaign.retry import decide_next
from autodialer.model import Campaign, ClaimedJob, ClaimRequest, Disposition, NextStep, TrunkSettings
from autodialer.store import DayStanding
from tests.store.world import World


def limit(world: World, *, calls: int | None = None, minutes: int | None = None, of: str = "user") -> None:
    if of == "user":
        world.store.users.update(world.user.id, max_calls_day=calls, max_minutes_day=minutes)
        return
    settings = TrunkSettings(name="trunk", host="127.0.0.1", max_calls_day=calls, max_minutes_day=minutes)
    world.store.trunks.update(world.trunk.id, world.user.key, settings)


def standing(world: World, of: str = "user") -> DayStanding:
    found = world.store.day_uses.standings(world.user.key, [world.trunk.key], world.clock.now)
    return next(each for each in found if each.of_trunk is (of == "trunk"))


def told(world: World) -> list[tuple[str | None, object]]:
    entries = world.store.audit.page()[0]
    return [(entry.object_kind, entry.details["ceiling"]) for entry in entries if entry.action == "ceilings.reached"]


@pytest.mark.parametrize("of", ["user", "trunk"])
def test_no_more_calls_are_claimed_than_the_day_allows_and_the_audit_says_so_once(world: World, of: str) -> None:
    limit(world, calls=3, of=of)
    campaign = world.running(10)
    assert len(world.claim(campaign, 2)) == 2
    assert len(world.claim(campaign, 5)) == 1
    assert told(world) == []
    assert world.claim(campaign, 5) == []
    assert world.claim(campaign, 5) == []
    assert told(world) == [(f"{of}s", "max_calls_day")]
    world.clock.move(days=1)
    assert len(world.claim(campaign, 5)) == 3


def test_two_campaigns_of_a_user_share_the_ceiling_within_one_tick(world: World) -> None:
    limit(world, calls=3)
    one, other = world.running(5), world.running(5)
    world.store.queue.enqueue_due(world.clock.now)
    requests = [world.request(one, 2), world.request(other, 2)]
    assert len(world.store.queue.claim(requests, "dialer-1", world.clock.now, admit)) == 3


def test_a_ceiling_of_nothing_lets_no_call_start(world: World) -> None:
    limit(world, calls=0)
    assert world.claim(world.running(2)) == []
    assert told(world) == [("users", "max_calls_day")]


def test_without_a_ceiling_calls_are_counted_all_the_same(world: World) -> None:
    world.claim(world.running(4))
    assert (standing(world).use.calls, standing(world, "trunk").use.calls) == (4, 4)
    assert standing(world).use.reached is None


@pytest.mark.parametrize("of", ["user", "trunk"])
def test_minutes_of_ended_calls_count_to_the_millisecond(world: World, of: str) -> None:
    limit(world, minutes=1, of=of)
    campaign = world.running(20)
    first, second, third = world.claim(campaign, 3)
    world.record(world.result(first, Disposition.ANSWERED, billsec_s=30.0), world.result(second, Disposition.BUSY))
    world.record(world.result(third, Disposition.ANSWERED, billsec_s=29.999))
    assert standing(world, of).use.billsec_s == 59.999
    (last,) = world.claim(campaign, 1)
    world.record(world.result(last, Disposition.ANSWERED, billsec_s=0.001))
    assert world.claim(campaign) == []
    assert told(world) == [(f"{of}s", "max_minutes_day")]


def test_a_call_that_never_left_is_given_back(world: World) -> None:
    limit(world, calls=1)
    campaign = world.running(2)
    world.store.queue.release(world.claim(campaign, 1), world.clock.now)
    assert standing(world).use.calls == standing(world, "trunk").use.calls == 0
    assert len(world.claim(campaign, 5)) == 1


@pytest.mark.parametrize("answered", [True, False])
def test_what_a_dead_dialer_had_claimed_counts_and_so_does_the_talk_that_it_left(world: World, answered: bool) -> None:
    limit(world, calls=2)
    campaign = world.running(5, max_call_s=90.0)
    assert len(world.claim(campaign, 5)) == 2

    def decide(of: Campaign, job: ClaimedJob) -> NextStep:
        now = world.clock.now
        return decide_next(of, job, Disposition.INTERRUPTED, played_s=0.0, answered=answered, now=now)

    world.clock.move(hours=1)
    assert world.store.queue.recover(None, world.clock.now, decide) == 2
    assert standing(world).use.calls == 2
    assert standing(world).use.billsec_s == (180.0 if answered else 0.0)
    assert world.claim(campaign) == []


def test_a_trunk_that_is_full_is_known_before_it_is_asked(world: World) -> None:
    limit(world, calls=1, of="trunk")
    assert world.store.day_uses.full_trunks([world.trunk.key], world.clock.now) == set()
    world.claim(world.running(1))
    assert world.store.day_uses.full_trunks([world.trunk.key], world.clock.now) == {world.trunk.key}
    assert world.store.day_uses.full_trunks([world.trunk.key], world.clock.now + timedelta(days=1)) == set()


def test_old_days_are_forgotten(world: World) -> None:
    world.claim(world.running(1))
    assert world.store.day_uses.forget(world.clock.now) == 0
    assert world.store.day_uses.forget(world.clock.now + timedelta(days=1)) == 2
    assert standing(world).use.calls == 0


def test_a_claim_on_another_users_trunk_counts_for_the_campaigns_owner_and_that_trunk(world: World) -> None:
    other = world.store.trunks.create(world.other.key, TrunkSettings(name="other", host="127.0.0.1"))
    campaign = world.running(1)
    world.store.queue.enqueue_due(world.clock.now)
    request = ClaimRequest(campaign_key=campaign.key, trunk_key=other.key, limit=1)
    assert len(world.store.queue.claim([request], "dialer-1", world.clock.now, admit)) == 1
    found = world.store.day_uses.standings(world.user.key, [world.trunk.key, other.key], world.clock.now)
    assert sorted((each.name, each.use.calls) for each in found) == [("olga", 1), ("other", 1), ("trunk", 0)]

"""Caps across campaigns: what they count, how long they make a number wait, and that they hold at the claim."""

from datetime import timedelta

from autodialer.campaign.admission import LOOK_AGAIN, admit
from autodialer.model import Campaign, Disposition
from autodialer.model.admission import CAP_DAY, CAP_WEEK
from autodialer.store import NewSubscriber
from tests.store.world import EXHAUSTED, NOW, StandingClock, World, number

DAY, WEEK = timedelta(days=1), timedelta(days=7)


def second_campaign(world: World, campaign: Campaign, **rules: object) -> Campaign:
    """Another running campaign over the numbers of the first one, in a callbase of its own."""
    subscribers, _ = world.store.subscribers.page(campaign.callbase_id, world.user.key)
    made = world.store.callbases.create(world.user.key, name="again", region="GB")
    world.store.callbases.add_rows(made.key, [NewSubscriber(number=each.number) for each in subscribers])
    ready = world.store.callbases.finish(made.key, rows=len(subscribers))
    return world.store.campaigns.start(world.draft(ready, **rules).id, world.user.key)


def test_attempts_of_another_campaign_count_and_who_is_capped_waits_until_the_cap_lets_him(
    world: World, clock: StandingClock
) -> None:
    first = world.running(2)
    [job, _] = world.claim(first)
    world.record(world.result(job, Disposition.BUSY, EXHAUSTED))
    clock.move(hours=1)
    capped = second_campaign(world, first, cap_day=1)
    assert world.claim(capped) == [], "one was called an hour ago, the other one is being called"
    assert world.states(capped) == {"total": 2, "pending": 2}
    clock.move(hours=23, seconds=-1)
    assert world.claim(capped) == []
    clock.move(seconds=1)
    assert [found.number for found in world.claim(capped)] == [job.number]


def test_a_call_in_the_air_counts_also_within_one_commit(world: World) -> None:
    first = world.running(1, cap_day=1)
    second = second_campaign(world, first, cap_day=1)
    world.store.queue.enqueue_due(NOW)
    requests = [world.request(first), world.request(second)]
    jobs = world.store.queue.claim(requests, "dialer-1", NOW, admit)
    assert [job.campaign_key for job in jobs] == [first.key]


def test_a_call_that_turned_out_cancelled_does_not_count(world: World, clock: StandingClock) -> None:
    first = world.running(1)
    second = second_campaign(world, first, cap_day=1)
    [job] = world.claim(first)
    assert world.claim(second) == []
    world.record(world.result(job, Disposition.CANCELLED, world.again("cancelled", after_s=3600, counts=False)))
    clock.now += LOOK_AGAIN
    assert [found.number for found in world.claim(second)] == [number(0)]


def test_what_another_user_calls_does_not_count(world: World) -> None:
    first = world.running(1)
    world.record(world.result(world.claim(first)[0], Disposition.BUSY, EXHAUSTED))
    callbase = world.store.callbases.create(world.other.key, name="theirs", region="GB")
    world.store.callbases.add_rows(callbase.key, [NewSubscriber(number=number(0))])
    world.store.callbases.finish(callbase.key, rows=1)
    theirs = world.store.campaigns.create(
        world.other.key,
        name="theirs",
        trunk_keys=[world.trunk.key],
        sound_key=world.sound.key,
        callbase_key=callbase.key,
        cap_day=1,
    )
    assert len(world.claim(world.store.campaigns.start(theirs.id, world.other.key))) == 1


def test_attempts_count_in_the_other_notation_too(world: World) -> None:
    first = world.running(1)
    world.record(world.result(world.claim(first)[0], Disposition.BUSY, EXHAUSTED))
    callbase = world.store.callbases.create(world.user.key, name="raw", region="raw")
    world.store.callbases.add_rows(callbase.key, [NewSubscriber(number=number(0).removeprefix("+"))])
    ready = world.store.callbases.finish(callbase.key, rows=1)
    second = world.store.campaigns.start(world.draft(ready, cap_week=1).id, world.user.key)
    assert world.claim(second) == []


def test_a_retry_that_a_cap_forbids_is_put_off_at_once_and_the_call_says_by_which_cap(
    world: World, clock: StandingClock
) -> None:
    campaign = world.running(1, cap_day=2, cap_week=3, max_attempts=10)
    for attempt, (rule, wait) in enumerate([("busy", timedelta(minutes=5)), (CAP_DAY, DAY), (CAP_WEEK, WEEK)], 1):
        [job] = world.claim(campaign)
        assert job.attempt == attempt
        world.record(world.result(job, Disposition.BUSY, world.again("busy", after_s=300)))
        [*_, call], _ = world.store.calls.page(campaign.key)
        assert (call.next_rule, call.next_at) == (rule, NOW + wait)
        assert world.store.campaigns.progress(campaign.key).next_due == NOW + wait
        clock.now = NOW + wait - timedelta(seconds=1)
        assert world.claim(campaign) == []
        clock.move(seconds=1)
    [job] = world.claim(campaign)
    assert job.retries_used == {"busy": 3}, "a wait for a cap uses no budget of its own"


def test_a_cap_met_at_the_claim_is_told_by_the_last_call(world: World, clock: StandingClock) -> None:
    first = world.running(1, cap_day=2)
    second = second_campaign(world, first)
    [job] = world.claim(first)
    world.record(world.result(job, Disposition.BUSY, world.again("busy", after_s=300)))
    [other] = world.claim(second)
    world.record(world.result(other, Disposition.BUSY, EXHAUSTED))
    clock.move(minutes=5)
    assert world.claim(first) == []
    [call], _ = world.store.calls.page(first.key)
    assert (call.next_rule, call.next_at) == (CAP_DAY, NOW + DAY)


def test_a_campaign_of_which_all_but_the_last_are_capped_finds_that_one_in_a_few_ticks(world: World) -> None:
    first = world.running(700)
    while jobs := world.claim(first, 500):
        world.record(*[world.result(job, Disposition.BUSY, EXHAUSTED) for job in jobs])
    second = second_campaign_of_many(world, 701)
    found, ticks = [], 0
    while not found and ticks < 4:
        found, ticks = world.claim(second, 1), ticks + 1
    assert [job.number for job in found] == [number(700)]


def second_campaign_of_many(world: World, count: int) -> Campaign:
    return world.store.campaigns.start(world.draft(world.callbase(count), cap_day=1).id, world.user.key)

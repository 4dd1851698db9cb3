"""A subscriber's second number, from the claim to the erasing."""

from autodialer.campaign.retry import decide_next
from autodialer.model import Campaign, ClaimedJob, Disposition, RetryRule
from autodialer.store import NewSubscriber
from tests.store.world import NOW, World, number

SECOND = "+442079999999"
ONCE = {name: RetryRule(after_s=0, times=0) for name in ("busy", "no_answer")}


def campaign_of_two_numbers(world: World, **rules: object) -> Campaign:
    callbase = world.store.callbases.create(world.user.key, name="c", region="GB")
    world.store.callbases.add_rows(callbase.key, [NewSubscriber(number=number(0), second_number=SECOND)])
    ready = world.store.callbases.finish(callbase.key, rows=1)
    draft = world.draft(ready, **{"retry": ONCE, "max_attempts": 5, **rules})  # type: ignore[arg-type]
    return world.store.campaigns.start(draft.id, world.user.key)


def end(world: World, campaign: Campaign, job: ClaimedJob, disposition: Disposition) -> None:
    step = decide_next(campaign, job, disposition, played_s=0, answered=False, now=NOW)
    world.record(world.result(job, disposition, step))


def test_the_second_number_is_claimed_after_the_first_and_each_call_has_its_own(world: World) -> None:
    campaign = campaign_of_two_numbers(world)
    [first] = world.claim(campaign)
    assert (first.number, first.second_number) == (number(0), SECOND)
    end(world, campaign, first, Disposition.BUSY)
    [second] = world.claim(campaign)
    assert (second.number, second.second_number, second.attempt) == (SECOND, None, 2)
    end(world, campaign, second, Disposition.BUSY)
    assert world.claim(campaign) == []
    records, _ = world.store.calls.page(campaign.key)
    assert [(record.number, record.next_rule) for record in records] == [
        (number(0), "second_number"),
        (SECOND, "busy"),
    ]
    assert world.store.campaigns.progress(campaign.key).counts.exhausted == 1


def test_who_is_on_the_dnc_list_with_one_number_is_called_at_neither(world: World) -> None:
    campaign = campaign_of_two_numbers(world)
    world.store.dnc.add(world.user.key, SECOND, source="api")
    assert world.claim(campaign) == []
    assert world.store.campaigns.progress(campaign.key).counts.excluded == 1


def test_an_interrupted_call_of_the_second_number_is_recorded_with_it(world: World) -> None:
    campaign = campaign_of_two_numbers(world)
    [first] = world.claim(campaign)
    end(world, campaign, first, Disposition.BUSY)
    world.claim(campaign)
    world.store.queue.recover(
        None,
        NOW,
        lambda rules, job: decide_next(rules, job, Disposition.INTERRUPTED, played_s=0, answered=False, now=NOW),
    )
    records, _ = world.store.calls.page(campaign.key)
    assert [record.number for record in records] == [number(0), SECOND]


def test_a_call_in_the_air_at_the_second_number_counts_for_its_cap(world: World) -> None:
    campaign = campaign_of_two_numbers(world)
    [first] = world.claim(campaign)
    end(world, campaign, first, Disposition.BUSY)
    assert [job.number for job in world.claim(campaign)] == [SECOND]
    other = world.store.callbases.create(world.user.key, name="other", region="GB")
    world.store.callbases.add_rows(other.key, [NewSubscriber(number=SECOND)])
    ready = world.store.callbases.finish(other.key, rows=1)
    capped = world.store.campaigns.start(world.draft(ready, cap_day=1).id, world.user.key)
    assert world.claim(capped) == []


def test_erasing_a_person_takes_both_numbers(world: World) -> None:
    campaign = campaign_of_two_numbers(world)
    for disposition in (Disposition.BUSY, Disposition.BUSY):
        [job] = world.claim(campaign)
        end(world, campaign, job, disposition)
    [person], _ = world.store.subscribers.page(campaign.callbase_id, world.user.key)
    assert person.second_number == SECOND
    world.store.erasing.erase(person.id, world.user.key)
    [erased], _ = world.store.subscribers.page(campaign.callbase_id, world.user.key)
    assert (erased.number, erased.second_number) == ("", None)
    records, _ = world.store.calls.page(campaign.key)
    assert [record.number for record in records] == ["", ""]

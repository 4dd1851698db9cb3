"""DNC: whose campaigns an entry holds for, in which notation, and from which moment."""

from uuid import uuid4

import pytest

from autodialer.errors import Forbidden, NotFound
from autodialer.model import Disposition
from autodialer.store import NewSubscriber
from tests.store.world import NOW, StandingClock, World, number


def test_a_number_entered_once_more_keeps_its_first_entry(world: World, clock: StandingClock) -> None:
    entry = world.store.dnc.add(world.user.key, number(1), source="import:old.csv", comment="asked by letter")
    assert (entry.source, entry.comment, entry.created_at) == ("import:old.csv", "asked by letter", clock.now)
    clock.move(seconds=1)
    assert world.store.dnc.add(world.user.key, number(1)) == entry
    assert world.store.dnc.put(world.user.key, number(1)) == entry


def test_putting_an_entry_that_is_there_changes_what_is_said_and_not_where_it_came_from(world: World) -> None:
    world.store.dnc.add(world.user.key, number(1), source="import:old.csv", comment="asked by letter")
    entry = world.store.dnc.put(world.user.key, number(1), comment=None)
    assert (entry.source, entry.comment, entry.for_everybody) == ("import:old.csv", None, False)
    assert world.store.dnc.put(world.user.key, number(1), for_everybody=True).for_everybody


def test_entries_hold_for_their_owner_and_those_for_everybody_for_all(world: World) -> None:
    dnc, mine, others = world.store.dnc, world.user.key, world.other.key
    dnc.add(mine, number(1))
    dnc.add(others, number(2))
    dnc.add(others, number(3), for_everybody=True)
    assert [dnc.contains(number(index), mine) for index in (1, 2, 3)] == [True, False, True]
    assert [entry.number for entry in dnc.page(mine)[0]] == [number(1)]
    assert [entry.number for entry in dnc.page(mine, for_everybody=True)[0]] == [number(3)]
    assert [entry.number for entry in dnc.page(None)[0]] == [number(1), number(2), number(3)]
    assert dnc.get(mine, number(3)).for_everybody
    with pytest.raises(NotFound):
        dnc.get(mine, number(2))


def test_everybody_takes_off_his_own_entry_and_only_an_admin_one_for_everybody(world: World) -> None:
    dnc = world.store.dnc
    dnc.add(world.user.key, number(1))
    dnc.add(world.other.key, number(1), for_everybody=True)
    dnc.remove(world.user.key, number(1))
    assert dnc.contains(number(1), world.user.key), "the one for everybody still holds"
    with pytest.raises(Forbidden, match="administrator"):
        dnc.remove(world.user.key, number(1))
    dnc.remove(None, number(1))
    assert not dnc.contains(number(1), world.user.key)
    with pytest.raises(NotFound):
        dnc.remove(None, number(1))


def test_an_entry_of_another_user_excludes_nobody_of_mine(world: World) -> None:
    campaign = world.running(1)
    world.store.dnc.add(world.other.key, number(0))
    assert [job.number for job in world.claim(campaign)] == [number(0)]


@pytest.mark.parametrize(
    ("subscriber", "entry"), [(number(0), number(0)[1:]), (number(0)[1:], number(0)), ("101", "101")]
)
def test_a_number_is_excluded_in_the_other_notation_too(world: World, subscriber: str, entry: str) -> None:
    callbase = world.store.callbases.create(world.user.key, name="c", region="raw")
    world.store.callbases.add_rows(callbase.key, [NewSubscriber(number=subscriber), NewSubscriber(number="102")])
    ready = world.store.callbases.finish(callbase.key, rows=2)
    campaign = world.store.campaigns.start(world.draft(ready).id, world.user.key)
    world.store.dnc.add(world.user.key, entry)
    assert [job.number for job in world.claim(campaign)] == ["102"]
    assert world.store.dnc.get(world.user.key, subscriber).number == entry


def test_an_entry_made_while_jobs_are_queued_holds_for_the_next_claim(world: World) -> None:
    campaign = world.running(3)
    assert world.store.queue.enqueue_due(NOW).jobs == 3
    assert [job.number for job in world.claim(campaign, 1)] == [number(0)]
    world.store.dnc.add(world.user.key, number(1))
    assert [job.number for job in world.claim(campaign)] == [number(2)]
    assert world.states(campaign) == {"total": 3, "in_progress": 2, "excluded": 1}
    assert world.store.calls.page(campaign.key) == ([], None), "an excluded subscriber has no call"


def test_who_opts_out_during_the_call_is_never_called_again_whatever_the_retries_say(
    world: World, clock: StandingClock
) -> None:
    campaign = world.running(1)
    [job] = world.claim(campaign)
    entry = world.store.dnc.opt_out(job.number, campaign.owner_key, job.call_id)
    assert entry.source == f"opt_out:{job.call_id}"
    world.store.dnc.opt_out(job.number, campaign.owner_key, uuid4())
    world.record(world.result(job, Disposition.ANSWERED, world.again("short", after_s=60)))
    clock.move(seconds=60)
    assert world.claim(campaign) == []
    assert world.states(campaign) == {"total": 1, "reached": 1}
    assert [found.source for found in world.store.dnc.page(world.user.key)[0]] == [entry.source]

"""Erasing a person: from callbases, calls, traces and jobs, also during a call; the statistics stay."""

import sqlite3
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from autodialer.errors import NotFound
from autodialer.model import Campaign, DigitTime, DigitVia, Disposition, Subscriber
from autodialer.store import NewSubscriber
from tests.store.test_frequency import second_campaign
from tests.store.world import EXHAUSTED, NOW, StandingClock, World, number

WEEK = timedelta(days=7)
PRESS = DigitTime(digit="5", at_s=1.25, via=DigitVia.RTP)


def person(world: World, campaign: Campaign, index: int = 0) -> Subscriber:
    return world.store.subscribers.page(campaign.callbase_id, None)[0][index]


def write_trace(world: World, call_id: UUID) -> None:
    world.store.traces.write({call_id: b"INVITE sip:" + number(0).encode()}, keep=100, longest=WEEK)


def everything_in(store_url: str) -> str:
    """The text of all rows of all tables."""
    connection = sqlite3.connect(store_url.removeprefix("sqlite:///"))
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = "\n".join(repr(row) for table in tables for row in connection.execute(f'SELECT * FROM "{table}"'))
    connection.close()
    return found


def test_nothing_is_left_of_a_person_but_what_became_of_his_calls(world: World, store_url: str) -> None:
    made = world.store.callbases.create(world.user.key, name="c", region="GB")
    row = NewSubscriber(number=number(0), name="Mary Shelley", comment="at noon", extra={"city": "Bath"})
    world.store.callbases.add_rows(made.key, [row, NewSubscriber(number=number(1), name="Ada")])
    ready = world.store.callbases.finish(made.key, rows=2)
    campaign = world.store.campaigns.start(world.draft(ready).id, world.user.key)
    jobs = world.claim(campaign)
    world.record(
        *[
            world.result(
                job,
                Disposition.ANSWERED,
                digits="5",
                digit_times=(PRESS,),
                message=f"{job.number} said no",
                refusal_headers=(f"Warning: 392 x to_uri=sip:{job.number}@x",),
                billsec_s=7.0,
            )
            for job in jobs
        ]
    )
    write_trace(world, jobs[0].call_id)
    world.store.audit.append(world.user.key, "calls.sample", details={"number": number(0)})
    world.store.dnc.add(world.user.key, number(1), comment="Ada")
    before = world.store.campaigns.progress(campaign.key).counts, world.store.calls.report(campaign.key)
    erased = world.store.erasing.erase(person(world, campaign).id, world.user.key)
    assert (erased.subscribers, erased.calls, erased.traces, erased.jobs_cancelled) == (1, 1, 1, 0)
    text = everything_in(store_url)
    for word in (number(0), number(0)[1:], "Mary", "noon", "Bath", f"{number(0)} said"):
        assert word not in text, word
    assert "Ada" in text and number(1) in text
    assert (world.store.campaigns.progress(campaign.key).counts, world.store.calls.report(campaign.key)) == before
    call = world.store.calls.get(jobs[0].call_id, world.user.key)
    assert call.outcome is not None
    assert (call.number, call.outcome.digits, call.outcome.digit_times, call.outcome.billsec_s) == ("", "", (), 7.0)
    again = world.store.erasing.erase(person(world, campaign).id, world.user.key)
    assert (again.subscribers, again.calls) == (0, 0), "an erased person stays erased"


def test_one_erasure_covers_all_callbases_of_the_owner_and_nobody_elses(world: World, store_url: str) -> None:
    first = world.running(2)
    second = second_campaign(world, first)
    theirs = world.store.callbases.create(world.other.key, name="theirs", region="GB")
    world.store.callbases.add_rows(theirs.key, [NewSubscriber(number=number(0))])
    world.record(
        *[world.result(job, Disposition.BUSY, EXHAUSTED) for job in [*world.claim(first), *world.claim(second)]]
    )
    erased = world.store.erasing.erase(person(world, first).id, world.user.key)
    assert (erased.subscribers, erased.calls) == (2, 2)
    assert [each.number for each in world.store.subscribers.page(theirs.id, None)[0]] == [number(0)]
    assert everything_in(store_url).count(number(0)) == 1


def test_an_erasure_may_be_kept_to_one_callbase(world: World) -> None:
    first = world.running(1)
    second = second_campaign(world, first)
    world.record(
        *[world.result(job, Disposition.BUSY, EXHAUSTED) for job in [*world.claim(first), *world.claim(second)]]
    )
    erased = world.store.erasing.erase(person(world, first).id, world.user.key, all_callbases=False)
    assert (erased.subscribers, erased.calls) == (1, 1)
    assert person(world, second).number == number(0)
    assert [call.number for call in world.store.calls.page(second.key)[0]] == [number(0)]


def test_the_jobs_of_an_erased_person_are_cancelled_and_he_is_excluded(world: World, clock: StandingClock) -> None:
    campaign = world.running(3)
    [job] = world.claim(campaign, 1)
    world.record(world.result(job, Disposition.BUSY, world.again("busy", after_s=300)))
    erased = [world.store.erasing.erase(person(world, campaign, index).id, None) for index in (0, 1)]
    assert [each.jobs_cancelled for each in erased] == [1, 1]
    clock.move(minutes=5)
    assert [found.number for found in world.claim(campaign)] == [number(2)]
    assert world.states(campaign) == {"total": 3, "in_progress": 1, "excluded": 2}


def test_who_is_erased_before_his_turn_comes_is_excluded_then(world: World) -> None:
    campaign = world.running(1)
    world.store.erasing.erase(person(world, campaign).id, world.user.key)
    assert world.claim(campaign) == []
    assert world.states(campaign) == {"total": 1, "excluded": 1}
    assert world.store.queue.finish_campaigns(NOW) == [campaign.id]


@pytest.mark.parametrize("trace_first", [True, False])
def test_a_call_under_way_is_recorded_without_the_person_and_is_his_last(
    world: World, store_url: str, clock: StandingClock, *, trace_first: bool
) -> None:
    campaign = world.running(1)
    [job] = world.claim(campaign)
    write_trace(world, job.call_id)
    erased = world.store.erasing.erase(person(world, campaign).id, world.user.key)
    assert (erased.under_way, erased.traces) == (True, 1)
    if trace_first:
        write_trace(world, job.call_id)
    world.record(
        world.result(
            job,
            Disposition.BUSY,
            world.again("busy"),
            digits="77",
            message=f"{number(0)} is busy",
            refusal_headers=(f"Warning: 392 x {number(0)}",),
        )
    )
    if not trace_first:
        write_trace(world, job.call_id)
    assert number(0) not in everything_in(store_url) and number(0)[1:] not in everything_in(store_url)
    [call], _ = world.store.calls.page(campaign.key)
    assert call.outcome is not None
    assert (call.number, call.outcome.digits, call.next_at, call.next_rule) == ("", "", None, "erased")
    assert (call.outcome.message, call.outcome.refusal_headers) == (None, ())
    clock.move(hours=1)
    assert world.claim(campaign) == []
    assert world.states(campaign) == {"total": 1, "exhausted": 1}


def test_an_erased_person_may_be_put_on_the_dnc_list_by_the_way(world: World) -> None:
    campaign = world.running(1)
    world.store.dnc.add(world.user.key, number(0), source="import:old.csv", comment="Mary's aunt")
    world.store.erasing.erase(person(world, campaign).id, None, dnc_too=True)
    [entry], _ = world.store.dnc.page(world.user.key)
    assert (entry.number, entry.source, entry.comment) == (number(0), "import:old.csv", None)
    other = world.running(1)
    world.store.dnc.remove(None, number(0))
    world.store.erasing.erase(person(world, other).id, None, dnc_too=True)
    assert world.store.dnc.contains(number(0), world.user.key)


def test_nobody_erases_what_is_not_his(world: World) -> None:
    campaign = world.running(1)
    for subscriber_id, owner in ((person(world, campaign).id, world.other.key), (uuid4(), None)):
        with pytest.raises(NotFound):
            world.store.erasing.erase(subscriber_id, owner)

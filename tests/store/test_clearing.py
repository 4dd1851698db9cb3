"""Deleted campaigns: gone for users at once, from the tables bit by bit, and what protects people stays."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from autodialer.config import Settings
from autodialer.errors import Conflict, NotFound
from autodialer.housekeeping import Housekeeping
from autodialer.model import Campaign, CampaignState, Disposition, People
from autodialer.store import schema
from tests.peers.ports import wait_until
from tests.store.test_cloning import finish
from tests.store.test_frequency import second_campaign
from tests.store.world import EXHAUSTED, World, number


def rows_of(world: World, campaign: Campaign) -> dict[str, int]:
    """Table and column -> rows that belong to the campaign, of every table that can have any."""
    found = {}
    with world.store._database.read() as connection:
        for table in schema.metadata.tables.values():
            for column in table.columns:
                if column.name == "campaign_key" or any(
                    key.target_fullname == "campaigns.key" for key in column.foreign_keys
                ):
                    count = select(func.count()).select_from(table).where(column == campaign.key)
                    if rows := connection.execute(count).scalar_one():
                        found[f"{table.name}.{column.name}"] = rows
        there = select(func.count()).select_from(schema.campaigns).where(schema.campaigns.c.key == campaign.key)
        if rows := connection.execute(there).scalar_one():
            found["campaigns"] = rows
    return found


def clear(world: World) -> int:
    """Clear away what may go; in how many steps."""
    steps = 0
    while world.store.clearing.clear_some():
        steps += 1
        assert steps < 1000, "it comes to an end"
    return steps


def finished(world: World, people: int = 3, reached: int = 1) -> Campaign:
    campaign = world.running(people)
    finish(world, {number(index) for index in range(reached)}, campaign.key)
    return world.store.campaigns.by_key(campaign.key)


def test_a_deleted_campaign_is_gone_for_its_owner_and_for_an_admin(world: World) -> None:
    campaign = finished(world)
    calls, _ = world.store.calls.page(campaign.key)
    with pytest.raises(NotFound):
        world.store.campaigns.delete(campaign.id, world.other.key)
    world.store.campaigns.delete(campaign.id, world.user.key)
    for owner_key in (world.user.key, None):
        with pytest.raises(NotFound):
            world.store.campaigns.get(campaign.id, owner_key)
        with pytest.raises(NotFound):
            world.store.calls.get(calls[0].id, owner_key)
        assert world.store.campaigns.page(owner_key, archived=True) == ([], None)
    with pytest.raises(NotFound):
        world.store.campaigns.delete(campaign.id, world.user.key)


@pytest.mark.parametrize("deed", ["delete", "archive"])
@pytest.mark.parametrize(
    ("before", "message"),
    [
        (["start"], "The campaign is running and cannot be"),
        (["start", "pause"], "The campaign is paused and cannot be"),
        (["start", "claim", "stop"], "Calls of the campaign are still under way (1)"),
        ([], None),
        (["start", "stop"], None),
        (["start", "claim", "record", "finish"], None),
    ],
    ids=lambda value: "-".join(value) or "draft" if isinstance(value, list) else "",
)
def test_only_what_has_not_begun_or_has_ended_is_deleted_or_archived(
    world: World, deed: str, before: list[str], message: str | None
) -> None:
    campaign, jobs = world.draft(world.callbase(1)), []
    for step in before:
        match step:
            case "claim":
                jobs = world.claim(campaign)
            case "record":
                world.record(*(world.result(job, Disposition.ANSWERED) for job in jobs))
            case "finish":
                world.store.queue.finish_campaigns(world.clock.now)
            case "stop":
                world.store.campaigns.stop(campaign.id, None, hangup=False)
            case _:
                getattr(world.store.campaigns, step)(campaign.id, None)
    do = getattr(world.store.campaigns, deed)
    if message is None:
        do(campaign.id, None)
        return
    with pytest.raises(Conflict) as refusal:
        do(campaign.id, None)
    assert str(refusal.value).startswith(message) and deed in str(refusal.value)


@pytest.mark.parametrize("people", [0, 1, 3])
def test_once_no_cap_counts_its_calls_nothing_of_it_is_left_in_any_table(world: World, people: int) -> None:
    campaign = finished(world, people, reached=1) if people else world.draft(world.callbase(1))
    world.store.campaigns.delete(campaign.id, None)
    clear(world)
    assert ("calls.campaign_key" in rows_of(world, campaign)) == (people > 0)
    world.clock.move(days=7, seconds=1)
    clear(world)
    assert rows_of(world, campaign) == {}
    assert clear(world) == 0


def test_a_step_takes_500_rows_at_most_and_the_next_process_goes_on(world: World) -> None:
    campaign = finished(world, 1300, reached=700)
    world.store.campaigns.delete(campaign.id, None)
    world.clock.move(days=8)
    before = sum(rows_of(world, campaign).values())
    while world.store.clearing.clear_some():
        after = sum(rows_of(world, campaign).values())
        assert before - after <= 500 + 2, "beside the batch only the campaign's own row and its trunk's go"
        before = after
        world.store.clearing._seen.clear()
        world.store.clearing._resting.clear()
    assert before == 0


def test_calls_that_a_cap_may_count_tell_number_time_and_outcome_until_it_does_not(world: World) -> None:
    campaign = world.running(1)
    [job] = world.claim(campaign)
    world.record(world.result(job, Disposition.BUSY, EXHAUSTED, digits="12", message="said", refusal_headers=("W: 1",)))
    world.store.traces.write({job.call_id: b"trace"}, keep=10, longest=timedelta(days=99))
    world.store.queue.finish_campaigns(world.clock.now)
    world.store.campaigns.delete(campaign.id, None)
    clear(world)
    with world.store._database.read() as connection:
        row = connection.execute(select(schema.calls)).one()
        assert connection.execute(select(schema.call_traces)).all() == []
    assert (row.number, row.disposition, row.digits, row.message, row.refusal_headers) == (
        number(0), "busy", "", None, None,
    )  # fmt: skip
    capped = second_campaign(world, campaign, cap_week=1)
    assert world.claim(capped) == [], "called less than 7 days ago, by a campaign that is deleted"
    world.clock.move(days=7)
    assert [found.number for found in world.claim(capped)] == [number(0)]


def test_an_opt_out_outlives_the_campaign_in_which_it_was_said(world: World) -> None:
    campaign = finished(world, 1)
    [call], _ = world.store.calls.page(campaign.key)
    world.store.dnc.opt_out(number(0), world.user.key, call.id)
    world.store.campaigns.delete(campaign.id, None)
    world.clock.move(days=8)
    clear(world)
    assert world.claim(second_campaign(world, campaign)) == []


def test_people_that_a_deleted_campaign_reached_are_left_out_as_long_as_a_follow_up_is_there(world: World) -> None:
    first = finished(world, 3, reached=2)
    second = world.store.campaigns.clone(first.id, None, only=People.UNREACHED)
    world.store.campaigns.delete(first.id, None)
    world.clock.move(days=8)
    clear(world)
    world.store.campaigns.start(second.id, None)
    assert finish(world, set(), second.key) == [number(2)]
    third = world.store.campaigns.clone(second.id, None, only=People.UNREACHED)
    world.store.campaigns.start(third.id, None)
    assert finish(world, set(), third.key) == [number(2)], "also by a clone of the clone"
    world.store.campaigns.delete(second.id, None)
    world.store.campaigns.delete(third.id, None)
    world.clock.move(days=8)
    clear(world)
    for campaign in (first, second, third):
        assert rows_of(world, campaign) == {}


def test_housekeeping_clears_it_away_and_the_rest_of_its_deleted_callbase(world: World) -> None:
    campaign = finished(world, 2)
    world.clock.move(days=8)
    world.store.campaigns.delete(campaign.id, None)
    world.store.callbases.delete(campaign.callbase_id, None)
    housekeeping = Housekeeping(Settings(), world.store, world.clock)
    housekeeping.start()

    def nothing_left() -> bool:
        with world.store._database.read() as connection:
            people = connection.execute(select(func.count()).select_from(schema.subscribers)).scalar_one()
        return not people and not rows_of(world, campaign)

    wait_until(nothing_left, what="the end of the clearing")
    housekeeping.stop()


def test_an_archived_campaign_is_listed_when_asked_for_and_its_clone_is_not_archived(world: World) -> None:
    campaign = finished(world)
    assert world.store.campaigns.archive(campaign.id, None).archived_at == world.clock.now
    world.clock.move(hours=1)
    again = world.store.campaigns.archive(campaign.id, None)
    assert again.archived_at == world.clock.now - timedelta(hours=1), "it was archived then"
    assert world.store.campaigns.page(None)[0] == []
    assert [each.id for each in world.store.campaigns.page(None, archived=True)[0]] == [campaign.id]
    copy = world.store.campaigns.clone(campaign.id, None, only=People.ALL)
    assert (copy.archived_at, copy.state) == (None, CampaignState.DRAFT)
    world.store.campaigns.unarchive(campaign.id, None)
    assert [each.id for each in world.store.campaigns.page(None)[0]] == [campaign.id, copy.id]

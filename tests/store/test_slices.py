"""Follow-up campaigns for a slice of the people of an ended one."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from sqlalchemy import update

from autodialer.errors import Conflict
from autodialer.model import Campaign, CampaignState, Disposition, People, Slice
from autodialer.model.slices import Only, only_as_json, only_from_json
from autodialer.store import NewSubscriber, schema
from autodialer.store.campaigns import slices
from tests.store.test_cloning import finish
from tests.store.world import EXHAUSTED, NOW, REACHED, World, number

CALLS: Mapping[int, list[tuple[Disposition, str, float]]] = {
    0: [(Disposition.ANSWERED, "", 0.2)],
    1: [(Disposition.ANSWERED, "1", 0.5)],
    2: [(Disposition.ANSWERED, "41", 1.0)],
    3: [(Disposition.BUSY, "", 0.0), (Disposition.NO_ANSWER, "", 0.0)],
    4: [(Disposition.ANSWERED, "9", 0.3), (Disposition.BUSY, "", 0.0)],
    5: [(Disposition.BUSY, "", 0.0)],
}
"""Person -> disposition, digits and played share of each call. 6 and 7 are never called."""
SLICES: list[tuple[Slice, set[int]]] = [
    (Slice(dispositions=(Disposition.BUSY,)), {4, 5}),
    (Slice(dispositions=(Disposition.BUSY, Disposition.NO_ANSWER)), {3, 4, 5}),
    (Slice(dispositions=(Disposition.ANSWERED,)), {0, 1, 2}),
    (Slice(dispositions=(Disposition.MACHINE,)), set()),
    (Slice(keys=("1",)), {1, 2}),
    (Slice(keys=("4", "9")), {2, 4}),
    (Slice(keys=("*",)), set()),
    (Slice(heard_below=0.5), {0, 3, 4, 5}),
    (Slice(heard_above=0.5), {1, 2}),
    (Slice(heard_above=0.25, heard_below=1.0), {1, 4}),
    (Slice(dispositions=(Disposition.ANSWERED,), heard_below=0.5), {0}),
    (Slice(dispositions=(Disposition.ANSWERED,), keys=("1",), heard_above=0.9), {2}),
    (Slice(never_called=True), {6, 7}),
    (Slice(dispositions=(Disposition.BUSY,), never_called=True), {4, 5, 6, 7}),
]


def ended(world: World) -> Campaign:
    """A stopped campaign with the calls of CALLS."""
    campaign = world.running(8)
    for limit in (6, 2):
        for job in world.claim(campaign, limit):
            person = int(job.number[-3:])
            disposition, digits, share = CALLS[person][job.attempt - 1]
            step = REACHED if disposition is Disposition.ANSWERED else EXHAUSTED
            step = world.again("busy", after_s=0) if job.attempt < len(CALLS[person]) else step
            world.record(world.result(job, disposition, step, digits=digits, played_share=share))
    world.store.campaigns.stop(campaign.id, None, hangup=False)
    return world.store.campaigns.by_key(campaign.key)


def draw(world: World, campaign: Campaign, only: Only) -> Campaign:
    made = world.store.campaigns.clone(campaign.id, None, only=only)
    world.store.slices.draw(made.key, within_s=60)
    return world.store.campaigns.by_key(made.key)


def called_by(world: World, campaign: Campaign) -> set[int]:
    """Start it and call everybody; the last digits of the numbers called."""
    world.store.campaigns.start(campaign.id, None)
    called = finish(world, set(), campaign.key)
    assert len(called) == len(set(called))
    assert world.store.campaigns.by_key(campaign.key).state is CampaignState.FINISHED
    return {int(each[-3:]) for each in called}


@pytest.mark.parametrize(
    ("chosen", "people"), SLICES, ids=lambda value: str(value.as_json()) if isinstance(value, Slice) else ""
)
def test_a_follow_up_calls_just_the_people_of_its_slice_and_tells_how_many(
    world: World, chosen: Slice, people: set[int]
) -> None:
    campaign = ended(world)
    assert world.store.slices.count(campaign, chosen, world.user.key) == len(people)
    made = draw(world, campaign, chosen)
    assert made.drawn is not None
    assert (made.drawn.people, made.drawn.is_complete, made.drawn.only) == (len(people), True, chosen)
    assert world.store.campaigns.progress(made.key).counts.total == len(people)
    assert called_by(world, made) == people
    counts = world.store.campaigns.progress(made.key).counts
    assert (counts.total, counts.exhausted, counts.pending, counts.excluded) == (len(people), len(people), 0, 0)
    listed = [
        row.key for page, _ in world.store.exports.subscribers(world.store.campaigns.by_key(made.key)) for row in page
    ]
    assert len(listed) == len(people), "its table of subscribers has just them"


def test_people_who_opted_out_were_erased_or_excluded_meanwhile_are_never_in_a_slice(world: World) -> None:
    campaign = ended(world)
    people, _ = world.store.subscribers.page(campaign.callbase_id, None)
    world.store.dnc.add(world.user.key, number(0).removeprefix("+"), source="api")
    world.store.erasing.erase(people[1].id, None)
    with world.store._database.write() as connection:
        states = schema.campaign_subscribers
        of_sixth = (states.c.campaign_key == campaign.key) & (states.c.subscriber_key == people[6].key)
        connection.execute(update(states).where(of_sixth).values(state="excluded", reason="dnc"))
    everybody = Slice(heard_above=0.0, never_called=True)
    assert called_by(world, draw(world, campaign, everybody)) == {2, 3, 4, 5, 7}


def test_who_opts_out_after_the_drawing_is_not_called(world: World) -> None:
    made = draw(world, ended(world), Slice(keys=("1",)))
    world.store.dnc.add(world.user.key, number(1), source="api")
    assert called_by(world, made) == {2}


def test_people_added_to_the_callbase_later_are_not_in_the_slice(world: World) -> None:
    campaign = ended(world)
    made = draw(world, campaign, Slice(never_called=True))
    world.store.subscribers.add(campaign.callbase_id, None, NewSubscriber(number=number(77)))
    assert called_by(world, made) == {6, 7}


def test_a_slice_of_a_slice_and_its_copies_stay_within_it(world: World) -> None:
    first = draw(world, ended(world), Slice(dispositions=(Disposition.BUSY, Disposition.NO_ANSWER)))
    world.store.campaigns.start(first.id, None)
    finish(world, {number(4)}, first.key)
    everybody = {3, 4, 5}
    for only, people in (
        (People.ALL, everybody),
        (People.UNREACHED, {3, 5}),
        (Slice(dispositions=(Disposition.ANSWERED,)), {4}),
        (Slice(never_called=True), set()),
    ):
        assert world.store.slices.count(world.store.campaigns.by_key(first.key), only, world.user.key) == len(people)
        assert called_by(world, draw(world, first, only)) == people


def test_never_called_of_a_clone_for_the_unreached_leaves_out_whom_its_origin_reached(world: World) -> None:
    second = world.store.campaigns.clone(ended(world).id, None, only=People.UNREACHED)
    world.store.campaigns.start(second.id, None)
    world.store.campaigns.stop(second.id, None, hangup=False)
    assert called_by(world, draw(world, second, Slice(never_called=True))) == {3, 4, 5, 6, 7}


@pytest.mark.parametrize("only", [Slice(never_called=True), People.UNREACHED])
def test_a_slice_of_a_campaign_that_has_not_ended_is_refused_with_what_to_do(world: World, only: Only) -> None:
    campaign = world.running(2)
    for deed in (
        lambda: world.store.campaigns.clone(campaign.id, None, only=only),
        lambda: world.store.slices.count(campaign, only, world.user.key),
    ):
        with pytest.raises(Conflict, match=r"The campaign is running; .* known once it has ended\. Stop it, or wait\."):
            deed()


def test_a_new_campaign_follows_another_with_a_sound_of_its_own(world: World) -> None:
    campaign = ended(world)
    fields: dict[str, Any] = {"name": "new", "trunk_keys": [world.trunk.key], "sound_key": world.sound.key}
    chosen = Slice(keys=("1",))
    made = world.store.campaigns.create(
        world.user.key, **fields, callbase_key=campaign.callbase_key, follows=campaign, only=chosen
    )
    world.store.slices.draw(made.key, within_s=60)
    assert called_by(world, world.store.campaigns.by_key(made.key)) == {1, 2}


def test_drawing_goes_on_after_a_crash_dials_meanwhile_and_finds_everybody_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autodialer.store.campaigns.slices.LOOKED_AT", 700)
    campaign = world.running(1600)
    finish(world, set(), campaign.key)
    made = world.store.campaigns.clone(campaign.id, None, only=Slice(dispositions=(Disposition.BUSY,)))
    world.store.slices.draw(made.key, within_s=0)
    begun = world.store.campaigns.by_key(made.key)
    assert begun.drawn is not None
    assert (begun.drawn.people, begun.drawn.is_complete) == (500, False)
    with pytest.raises(Conflict, match="still being looked for"):
        world.store.campaigns.clone(made.id, None)
    world.store.campaigns.start(made.id, None)
    called = finish(world, set(), made.key)
    assert len(called) == 500
    assert world.store.queue.finish_campaigns(NOW) == [], "the others are still to come"
    world.store.campaigns.delete(campaign.id, None)
    assert world.store.clearing.clear_some(), "it looks at it ..."
    assert not world.store.clearing.clear_some(), "... and waits until nobody is drawn from it"
    while world.store.slices.draw_some():
        pass
    called += finish(world, set(), made.key)
    assert sorted(called) == sorted(number(index) for index in range(1600))
    assert world.store.campaigns.by_key(made.key).state is CampaignState.FINISHED


def test_drawing_scans_no_big_table(world: World) -> None:
    campaign = ended(world)
    source = slices.Source(
        origin_key=campaign.key,
        callbase_key=campaign.callbase_key,
        owner_key=world.user.key,
        only=Slice(dispositions=(Disposition.BUSY,), keys=("1",), heard_below=0.5, never_called=True),
        origin_is_drawn=False,
    )
    with world.store._database.read() as connection:
        query = slices._people(source).compile(connection, compile_kwargs={"literal_binds": True})
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}").all()]
    assert [step for step in plan if step.startswith("SCAN") and "CONSTANT" not in step] == []


@given(
    some.builds(
        Slice,
        dispositions=some.lists(some.sampled_from(Disposition), unique=True).map(tuple),
        keys=some.lists(some.sampled_from("0123456789*#ABCD"), unique=True).map(tuple),
        heard_below=some.none() | some.floats(0, 1),
        heard_above=some.none() | some.floats(0, 1),
        never_called=some.booleans(),
    )
    | some.sampled_from(People)
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_said_of_people_reads_back_as_it_was_written(only: Only) -> None:
    assert only_from_json(only_as_json(only)) == only

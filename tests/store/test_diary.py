"""The diary of a campaign: what is told, by what, once, bounded, and cleared with the campaign."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from sqlalchemy import event, func, select

from autodialer.errors import Conflict, Unavailable
from autodialer.model import CallingWindow, Campaign, Disposition, People, RetryRule
from autodialer.model.diary import DiaryEvent, DiaryLine, DiaryNote
from autodialer.store import NewSubscriber, schema
from autodialer.store.campaigns import diary
from tests.store.world import EXHAUSTED, NOW, World


def lines(world: World, campaign: Campaign) -> list[DiaryLine]:
    return world.store.diary.page(campaign.key, limit=1000)[0]


def told(world: World, campaign: Campaign) -> list[tuple[str, str | None]]:
    return [(line.event.value, line.by) for line in lines(world, campaign)]


def rested(campaign: Campaign, trunk: str = "trunk 1", cause: str = "no answer") -> DiaryNote:
    details = {"name": trunk, "cause": cause}
    return DiaryNote(campaign_key=campaign.key, event=DiaryEvent.TRUNK_RESTED, subject=trunk, details=details)


def came_back(campaign: Campaign, trunk: str = "trunk 1") -> DiaryNote:
    return DiaryNote(campaign_key=campaign.key, event=DiaryEvent.TRUNK_CAME_BACK, subject=trunk, details={})


def test_the_life_of_a_campaign_is_told_in_order_with_who_did_it(world: World) -> None:
    part = world.store.campaigns
    campaign = world.draft(world.callbase(1), by="olga")
    part.archive(campaign.id, None, by="olga")
    part.archive(campaign.id, None, by="olga")
    part.unarchive(campaign.id, None, by="root")
    part.start(campaign.id, None, by="olga")
    part.pause(campaign.id, None, by="pavel")
    part.resume(campaign.id, None, by="olga")
    world.record(*(world.result(job, Disposition.BUSY, EXHAUSTED) for job in world.claim(campaign)))
    world.store.queue.finish_campaigns(NOW)
    copy = part.clone(campaign.id, None, only=People.UNREACHED, by="olga")
    assert told(world, campaign) == [
        ("created", "olga"),
        ("archived", "olga"),
        ("unarchived", "root"),
        ("started", "olga"),
        ("paused", "pavel"),
        ("resumed", "olga"),
        ("finished", None),
    ]
    [made] = lines(world, copy)
    assert made.details == {"of": str(campaign.id), "only": "unreached"}


def test_rules_that_move_a_campaign_are_told_as_such(world: World) -> None:
    campaign = world.running(3, pause_after=1)
    jobs = world.claim(campaign)
    world.store.queue.release(jobs, NOW)
    world.claim(campaign)
    overdue = world.running(1)
    world.store.campaigns.update(overdue.id, None, ends_at=NOW + timedelta(hours=1))
    world.store.queue.end_overdue(world.clock.move(hours=2))
    details = [(line.event.value, dict(line.details)) for line in lines(world, campaign)][2:]
    assert details == [
        ("paused", {"rule": "pause_after", "people": 1}),
        ("resumed", {"rule": "call_put_back"}),
        ("paused", {"rule": "pause_after", "people": 1}),
    ]
    assert lines(world, overdue)[-1].details == {"rule": "ends_at"}


CHANGES: list[tuple[str, Any, Any, Any]] = [
    ("cps", 2.0, None, 2.0),
    ("max_channels", 7, None, 7),
    ("max_attempts", 9, 3, 9),
    ("ends_at", NOW + timedelta(days=1), None, "2026-03-03T09:00:00+00:00"),
    ("retry", {"busy": RetryRule(after_s=5, times=1)}, {}, {"busy": {"after_s": 5, "times": 1}}),
    ("holidays", (NOW.date(),), [], ["2026-03-02"]),
    ("pause_after", 5, None, 5),
    (
        "window",
        CallingWindow(start=NOW.time(), end=NOW.time(), days=("mon",), timezone="UTC", fallback_timezone=None),
        None,
        {"start": "09:00:00", "end": "09:00:00", "days": ["mon"], "timezone": "UTC", "fallback_timezone": None},
    ),
]


@pytest.mark.parametrize(("rule", "value", "before", "after"), CHANGES, ids=[each[0] for each in CHANGES])
def test_a_changed_rule_is_told_with_its_values_before_and_after_and_an_unchanged_one_is_not(
    world: World, rule: str, value: Any, before: Any, after: Any
) -> None:
    campaign = world.running(1)
    for _ in range(2):
        world.store.campaigns.update(campaign.id, None, by="olga", **{rule: value})  # type: ignore[misc]
    [line] = [line for line in lines(world, campaign) if line.event is DiaryEvent.CHANGED]
    assert (line.by, line.details) == ("olga", {"changes": {rule: [before, after]}})


def test_the_end_of_an_import_is_told_to_campaigns_that_wait_for_it(world: World) -> None:
    for end, tells in (("finish", "import_ended"), ("fail", "import_failed")):
        callbase = world.store.callbases.create(world.user.key, name="c", region="GB")
        campaign = world.draft(callbase)
        world.store.callbases.add_rows(callbase.key, [NewSubscriber(number="+442079460000")])
        if end == "finish":
            world.store.callbases.finish(callbase.key, rows=1)
        else:
            world.store.callbases.fail(callbase.key, "The disk is full.")
        assert told(world, campaign)[-1] == (tells, None)
    assert lines(world, campaign)[-1].details == {"error": "The disk is full."}


def test_what_is_undone_is_not_told(world: World) -> None:
    campaign = world.running(1)
    before = told(world, campaign)
    with pytest.raises(Conflict):
        world.store.campaigns.start(campaign.id, None, by="olga")

    def pause_and_fail() -> None:
        with world.store.transaction():
            world.store.campaigns.pause(campaign.id, None, by="olga")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        pause_and_fail()
    assert told(world, campaign) == before


def test_what_is_done_but_cannot_be_told_is_undone(world: World) -> None:
    campaign = world.running(1)

    def refuse(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if "campaign_diary" in statement:
            raise Unavailable

    engine = world.store._database._engine
    event.listen(engine, "before_cursor_execute", refuse)
    with pytest.raises(Unavailable):
        world.store.campaigns.pause(campaign.id, None)
    event.remove(engine, "before_cursor_execute", refuse)
    assert world.store.campaigns.by_key(campaign.key).state == "running"


def test_a_trunk_that_is_well_is_told_only_after_it_rested_and_each_event_once(world: World) -> None:
    campaign = world.running(1)
    before = len(lines(world, campaign))
    for note in (came_back, rested, rested, came_back, came_back):
        world.store.diary.note([note(campaign)])
    assert told(world, campaign)[before:] == [("trunk_rested", None), ("trunk_came_back", None)]


def test_a_flapping_trunk_fills_two_lines_an_hour(world: World) -> None:
    campaign = world.running(1)
    before = len(lines(world, campaign))
    for minute in range(120):
        world.store.diary.note([rested(campaign, cause=f"at {minute}")])
        world.store.diary.note([came_back(campaign)])
        world.clock.move(minutes=1)
    found = lines(world, campaign)[before:]
    assert [(line.event.value, line.times) for line in found] == [("trunk_rested", 60), ("trunk_came_back", 60)] * 2
    assert found[0].last_at == NOW + timedelta(minutes=59)
    assert found[0].details["cause"] == "at 59"


def test_the_oldest_lines_go_when_there_are_too_many(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diary, "_TRIM", diary._trim(schema.campaign_diary, most=10))
    first, second = world.running(1), world.running(1)
    for cps in range(1, 30):
        world.store.campaigns.update(first.id, None, cps=float(cps))
    assert [line.details["changes"]["cps"][1] for line in lines(world, first)] == [float(cps) for cps in range(20, 30)]
    assert len(lines(world, second)) == 2


def test_it_is_read_page_by_page(world: World) -> None:
    campaign = world.running(1)
    for cps in range(1, 8):
        world.store.campaigns.update(campaign.id, None, cps=float(cps))
    found, after = world.store.diary.page(campaign.key, limit=4)
    while after is not None:
        more, after = world.store.diary.page(campaign.key, limit=4, after=after)
        found += more
    assert found == lines(world, campaign)
    assert len(found) == 9


def test_sample_calls_keep_no_diary(world: World) -> None:
    call_id = world.store.campaigns.create_sample_call(
        world.user.key, trunk_key=world.trunk.key, sound_key=world.sound.key, number="1"
    )
    [campaign] = world.store.queue.running_campaigns()
    world.record(*(world.result(job, Disposition.BUSY, EXHAUSTED) for job in world.claim(campaign)))
    world.store.queue.finish_campaigns(NOW)
    assert call_id and lines(world, campaign) == []


@given(some.lists(some.tuples(some.sampled_from(["1", "2"]), some.booleans(), some.integers(0, 90)), max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
def test_however_trunks_flap_the_last_line_of_each_tells_how_it_is(
    world: World, changes: list[tuple[str, bool, int]]
) -> None:
    campaign = world.running(1)
    now: Mapping[str, bool] = {}
    for trunk, rests, minutes in changes:
        world.clock.move(minutes=minutes)
        world.store.diary.note([(rested if rests else came_back)(campaign, trunk)])
        now = {**now, trunk: rests}
    for trunk, rests in now.items():
        with world.store._database.read() as connection:
            theirs = (schema.campaign_diary.c.campaign_key == campaign.key) & (schema.campaign_diary.c.subject == trunk)
            query = select(schema.campaign_diary).where(theirs)
            rows = connection.execute(query).all()
            times = connection.execute(select(func.sum(schema.campaign_diary.c.times)).where(theirs)).scalar_one()
        if rows:
            latest = max(rows, key=lambda row: (row.last_at, row.key))
            assert (latest.event == "trunk_rested") == rests or len({row.last_at for row in rows}) < len(rows)
            assert times <= len(changes)
        else:
            assert not rests

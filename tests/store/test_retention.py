"""What is forgotten after a time, and what is not."""

import threading
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select

from autodialer import housekeeping as housekeeping_module
from autodialer.config import Settings
from autodialer.errors import NotFound
from autodialer.housekeeping import Housekeeping
from autodialer.model import CallOutcome, Disposition, People
from autodialer.model.webhooks import EventKind
from autodialer.store import NewSubscriber, WebhookSettings
from autodialer.store.calls.tables import call_traces
from autodialer.store.setup.tables import subscribers
from tests.peers.ports import wait_until
from tests.store.world import EXHAUSTED, NOW, World, number

LATER = NOW + timedelta(days=30)


def call_all(world: World, count: int, *, end: bool = True) -> int:
    """A campaign that called that many numbers at NOW; returns its key."""
    campaign = world.running(count)
    while jobs := world.claim(campaign, 500):
        world.record(*[world.result(job, Disposition.BUSY, EXHAUSTED) for job in jobs])
    if end:
        world.store.queue.finish_campaigns(NOW)
    return campaign.key


def calls_of(world: World, campaign_key: int) -> list[str]:
    records, _ = world.store.calls.page(campaign_key, limit=1000)
    return [record.number for record in records]


def traces(world: World) -> int:
    with world.store._database.read() as connection:
        return connection.execute(select(func.count()).select_from(call_traces)).scalar_one()


def test_calls_of_ended_campaigns_go_once_they_are_old_enough_and_take_their_traces_along(world: World) -> None:
    key = call_all(world, 3)
    records, _ = world.store.calls.page(key)
    world.store.traces.write({records[0].id: b"x"}, keep=10, longest=timedelta(days=9))
    ended_at = max(_ended_at(record.outcome) for record in records)
    assert world.store.retention.delete_calls(ended_at) == 0
    assert traces(world) == 1
    assert world.store.retention.delete_calls(LATER) == 3
    assert calls_of(world, key) == []
    assert traces(world) == 0
    with pytest.raises(NotFound):
        world.store.calls.get(records[0].id, None)


def _ended_at(outcome: CallOutcome | None) -> datetime:
    assert outcome is not None
    return outcome.ended_at


def test_more_than_a_batch_of_calls_is_deleted(world: World) -> None:
    call_all(world, 1100)
    assert world.store.retention.delete_calls(LATER) == 1100


def test_a_call_that_was_deleted_is_not_found(world: World) -> None:
    key = call_all(world, 1)
    [record] = world.store.calls.page(key)[0]
    assert world.store.calls.get(record.id, None).number
    world.store.retention.delete_calls(LATER)
    with pytest.raises(NotFound):
        world.store.calls.get(record.id, None)


def test_calls_of_a_campaign_that_still_runs_stay(world: World) -> None:
    key = call_all(world, 2, end=False)
    assert world.store.retention.delete_calls(LATER) == 0
    assert len(calls_of(world, key)) == 2


def test_a_callbase_goes_after_its_last_campaign_and_its_numbers_go_from_the_calls(world: World) -> None:
    key = call_all(world, 2)
    campaign = world.store.campaigns.by_key(key)
    assert world.store.retention.delete_callbases(NOW) == []
    assert world.store.retention.delete_callbases(LATER) == [campaign.callbase_id]
    assert calls_of(world, key) == ["", ""]
    assert world.store.campaigns.progress(key).counts.exhausted == 2
    assert world.store.retention.delete_callbases(LATER) == []


def test_a_callbase_that_is_in_use_or_was_never_used_stays(world: World) -> None:
    world.callbase(2, first=100)
    call_all(world, 2, end=False)
    paused = world.running(2)
    world.store.campaigns.pause(paused.id, None)
    assert world.store.retention.delete_callbases(LATER) == []


def test_a_callbase_with_an_ended_and_a_draft_campaign_stays(world: World) -> None:
    key = call_all(world, 2)
    campaign = world.store.campaigns.by_key(key)
    world.store.campaigns.clone(campaign.id, None, only=People.ALL)
    assert world.store.retention.delete_callbases(LATER) == []


def test_housekeeping_goes_by_the_settings(world: World) -> None:
    key = call_all(world, 2)
    world.clock.move(days=10)
    Housekeeping(Settings(), world.store, world.clock).forget()
    assert len(calls_of(world, key)) == 2
    Housekeeping(Settings(calls_days=30, subscribers_days=9), world.store, world.clock).forget()
    assert calls_of(world, key) == ["", ""]
    world.clock.move(days=30)
    Housekeeping(Settings(calls_days=30), world.store, world.clock).forget()
    assert calls_of(world, key) == []


def test_housekeeping_ends_what_a_crash_cut_short_and_stops_at_once(world: World) -> None:
    half = world.store.callbases.create(world.user.key, name="half", region="GB")
    world.store.callbases.add_rows(half.key, [NewSubscriber(number=number(1))])
    world.store.callbases.fail_unfinished()
    housekeeping = Housekeeping(Settings(), world.store)
    housekeeping.start()
    wait_until(lambda: world.store.subscribers.page(half.id, None) == ([], None), what="the half import's end")
    housekeeping.stop()
    assert "housekeeping" not in [thread.name for thread in threading.enumerate()]


def test_housekeeping_goes_on_after_a_restart_with_what_a_deletion_left(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping_module, "LOOK_S", 0.01)
    callbase = world.callbase(5000)
    world.store.callbases.delete(callbase.id, None)
    left = [5000]

    def one_batch_less() -> bool:
        with world.store._database.read() as connection:
            left.append(connection.execute(select(func.count()).select_from(subscribers)).scalar_one())
        return left[-1] < left[-2]

    first = Housekeeping(Settings(), world.store)
    first.start()
    wait_until(one_batch_less, what="the first batch")
    first.stop()
    one_batch_less()
    assert left[-1] % 500 == 0 and left[-1] > 0, "it ended between two batches"
    second = Housekeeping(Settings(), world.store)
    second.start()
    wait_until(lambda: (one_batch_less(), left[-1] == 0)[1], what="the last batch")
    later = world.callbase(10, first=6000)
    world.store.callbases.delete(later.id, None)
    wait_until(lambda: (one_batch_less(), left[-1] == 0)[1], what="the one deleted while it runs")
    second.stop()


def test_deliveries_are_kept_for_as_many_days_as_the_setting_says(world: World) -> None:
    settings = WebhookSettings(url="https://crm.example/", events=list(EventKind))
    webhook = world.store.webhooks.create(world.user.key, settings, secret=b"x" * 32)
    old = world.store.deliveries.add_test(webhook, {}, world.clock.now)
    world.clock.move(days=2)
    new = world.store.deliveries.add_test(webhook, {}, world.clock.now)
    world.clock.move(days=1)
    Housekeeping(Settings(deliveries_days=2), world.store, world.clock).forget()
    assert [each.id for each in world.store.deliveries.page(None)[0]] == [new] != [old]

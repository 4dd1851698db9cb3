"""Calling windows from the database to the claim: the subscribers claimed at each time, and why not the others."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest

from autodialer.api.calling_hours import preview
from autodialer.campaign.admission import admit
from autodialer.dialing.hours import Hours
from autodialer.errors import Conflict
from autodialer.model import (
    CallingWindow,
    Campaign,
    CampaignLimit,
    CampaignState,
    CampaignStatus,
    ClaimRequest,
    Disposition,
)
from autodialer.store import NewSubscriber, Store
from tests.databases import cheap_secrets, make_database
from tests.store.world import StandingClock, World

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
MOSCOW, VLADIVOSTOK, NOBODY_KNOWS = "+79161234567", "+74232123456", "+79161234568"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    make_database(url := f"sqlite:///{tmp_path / 'db.sqlite3'}")
    clock = StandingClock(MONDAY)
    secrets = cheap_secrets(tmp_path / "keys")
    store = Store(url, secrets=secrets, clock=clock)
    yield World(store, clock)
    store.close()


def window(hours: str = "09:00-18:00", zone: str = "subscriber", **more: object) -> CallingWindow:
    start, _, end = hours.partition("-")
    values = {"fallback_timezone": "Europe/London", **more}
    return CallingWindow(start=time.fromisoformat(start), end=time.fromisoformat(end), timezone=zone, **values)  # type: ignore[arg-type]


def running(world: World, **rules: object) -> Campaign:
    """A campaign of three: one in Moscow by the file, one in Vladivostok by the number, and one in an unknown zone."""
    callbase = world.store.callbases.create(world.user.key, name="c", region="RU")
    people = [
        NewSubscriber(number=MOSCOW, timezone="Europe/Moscow"),
        NewSubscriber(number=VLADIVOSTOK, number_zone="Asia/Vladivostok", number_zone_by="number"),
        NewSubscriber(number=NOBODY_KNOWS),
    ]
    world.store.callbases.add_rows(callbase.key, people)
    ready = world.store.callbases.finish(callbase.key, rows=3)
    return world.store.campaigns.start(world.draft(ready, **rules).id, None)


def claimed(world: World, hours: Hours, now: datetime) -> list[str]:
    """The numbers that the dialer claims at that time."""
    world.clock.now = now
    campaigns = world.store.queue.running_campaigns()
    hours.look(campaigns, now)
    world.store.queue.enqueue_due(now)
    requests = [
        ClaimRequest(campaign_key=campaign.key, trunk_key=world.trunk.key, limit=10)
        for campaign in campaigns
        if campaign.key not in hours.shut
    ]
    return [job.number for job in world.store.queue.claim(hours.within(requests), "dialer", now, admit)]


def at(hour: int, minute: int = 0) -> datetime:
    return MONDAY + timedelta(hours=hour, minutes=minute)


def test_each_subscriber_is_called_in_the_hours_of_his_own_zone(world: World) -> None:
    running(world, window=window())
    hours = Hours(world.store)
    assert claimed(world, hours, at(0)) == [VLADIVOSTOK], "10:00 there"
    assert claimed(world, hours, at(5, 59)) == []
    assert claimed(world, hours, at(6)) == [MOSCOW]
    assert claimed(world, hours, at(8, 59)) == []
    assert claimed(world, hours, at(9)) == [NOBODY_KNOWS], "London, the fallback"


def test_who_waits_for_his_window_says_so_and_keeps_his_attempts(world: World) -> None:
    campaign = running(world, window=window())
    hours = Hours(world.store)
    claimed(world, hours, at(0))
    assert world.store.campaigns.progress(campaign.key).next_due == at(6)
    assert world.store.campaigns.progress(campaign.key).counts.pending == 2


def test_a_call_that_may_be_answered_after_the_end_is_not_placed(world: World) -> None:
    running(world, window=window(zone="Europe/London"), ring_timeout_s=50)
    hours = Hours(world.store)
    hours.look(world.store.queue.running_campaigns(), at(17, 59))
    assert not hours.shut
    assert claimed(world, hours, at(17, 59) + timedelta(seconds=1)) == []


def test_a_campaign_that_is_shut_says_why_and_until_when(world: World) -> None:
    campaign = running(world, window=window(zone="Europe/London"), starts_at=at(2))
    hours = Hours(world.store)
    claimed(world, hours, at(1))
    asked = [CampaignStatus(campaign_key=campaign.key)]
    [before] = hours.statuses(asked)
    assert (before.limited_by, before.until) == (CampaignLimit.BEFORE_START, at(2))
    claimed(world, hours, at(3))
    [closed] = hours.statuses(asked)
    assert (closed.limited_by, closed.until) == (CampaignLimit.WINDOW_CLOSED, at(9))
    claimed(world, hours, at(9))
    assert hours.statuses(asked) == asked


def test_whom_no_opening_before_the_end_would_reach_is_excluded(world: World) -> None:
    campaign = running(world, window=window(), ends_at=at(8))
    hours = Hours(world.store)
    assert claimed(world, hours, at(6)) == [MOSCOW, VLADIVOSTOK]
    assert world.store.campaigns.progress(campaign.key).counts.excluded == 1


def test_a_campaign_past_its_end_is_finished_once_its_calls_are_over(world: World) -> None:
    campaign = running(world, ends_at=at(1))
    hours = Hours(world.store)
    [first, *_] = world.claim(campaign, 1)
    assert world.store.queue.end_overdue(at(0)) == []
    assert claimed(world, hours, at(1)) == []
    with pytest.raises(Conflict, match="come to its end"):
        world.store.campaigns.update(campaign.id, None, ends_at=None)
    assert hours.statuses([CampaignStatus(campaign_key=campaign.key)])[0].limited_by is CampaignLimit.AFTER_END
    assert world.store.queue.end_overdue(at(1)) == []
    world.record(world.result(first, Disposition.BUSY, world.again("busy")))
    assert world.store.queue.cancel_some(at(1)) and not world.store.queue.has_to_cancel(at(1))
    assert world.store.queue.end_overdue(at(1)) == [campaign.id]
    ended = world.store.campaigns.by_key(campaign.key)
    assert ended.state is CampaignState.FINISHED
    counts = world.store.campaigns.progress(campaign.key).counts
    assert (counts.pending, counts.exhausted) == (2, 1)


def test_a_changed_window_counts_at_the_next_look_and_so_does_a_clock_that_was_set(world: World) -> None:
    campaign = running(world, window=window("09:00-10:00", "UTC"))
    hours = Hours(world.store)
    assert claimed(world, hours, at(12)) == []
    world.store.campaigns.update(campaign.id, None, window=window("09:00-18:00", "UTC"))
    assert len(claimed(world, hours, at(12))) == 3
    other = running(world, window=window("09:00-10:00", "UTC"))
    assert claimed(world, hours, at(20)) == []
    hours.look(world.store.queue.running_campaigns(), at(9, 30))
    assert other.key not in hours.shut


def test_a_zone_that_comes_with_a_new_subscriber_waits_until_it_is_known(world: World) -> None:
    campaign = running(world, window=window("00:00-00:00"))
    hours = Hours(world.store)
    assert len(claimed(world, hours, at(0))) == 3
    new = NewSubscriber(number="+35312345678", timezone="Europe/Dublin")
    world.store.subscribers.add(campaign.callbase_id, None, new)
    assert claimed(world, hours, at(0)) == []
    assert claimed(world, hours, at(0) + timedelta(seconds=11)) == ["+35312345678"]


def test_the_preview_counts_by_zone_and_says_how_each_was_found(world: World) -> None:
    campaign = running(world, window=window(), holidays=(date(2026, 3, 9),))
    found = {zone.timezone: zone for zone in preview(world.store, campaign, at(6))}
    assert {name: (zone.found_by, zone.open, zone.opens_at) for name, zone in found.items()} == {
        "Europe/Moscow": ("column", True, at(6)),
        "Asia/Vladivostok": ("number", True, at(6)),
        "Europe/London": ("campaign", False, at(9)),
    }
    holiday = MONDAY + timedelta(days=7, hours=6)
    assert not any(zone.open for zone in preview(world.store, campaign, holiday))


def test_erased_and_deleted_people_are_counted_no_more(world: World) -> None:
    campaign = running(world, window=window())
    [first, *_], _ = world.store.subscribers.page(campaign.callbase_id, None)
    world.store.erasing.erase(first.id, None)
    assert {count.zone: count.subscribers for count in world.store.callbases.zones(campaign.callbase_key)} == {
        "Asia/Vladivostok": 1,
        None: 1,
    }


def test_whom_a_cap_puts_off_beyond_the_end_is_excluded(world: World) -> None:
    first = running(world)
    for job in world.claim(first, 10):
        world.record(world.result(job, Disposition.BUSY))
    second = running(world, cap_day=1, ends_at=at(5))
    assert claimed(world, Hours(world.store), at(1)) == []
    assert world.store.campaigns.progress(second.key).counts.excluded == 3

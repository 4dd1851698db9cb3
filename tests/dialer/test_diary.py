"""What the dialer tells the diaries: hours and trunks, once a change, also across its restart."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from autodialer.dialing.diary import Diaries
from autodialer.errors import Unavailable
from autodialer.model import Campaign, CampaignLimit, CampaignStatus, Trunk, TrunkSettings, TrunkStatus
from autodialer.store import Store
from tests.databases import cheap_secrets, make_database
from tests.store.world import NOW, StandingClock, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    make_database(url := f"sqlite:///{tmp_path / 'db.sqlite3'}")
    clock = StandingClock(NOW)
    store = Store(url, secrets=cheap_secrets(tmp_path / "keys"), clock=clock)
    yield World(store, clock)
    store.close()


def told(world: World, campaign: Campaign) -> list[tuple[str, object]]:
    lines, _ = world.store.diary.page(campaign.key)
    events = [(line.event.value, line.details.get("cause") or line.details.get("limit")) for line in lines]
    return events[2:]


def tell(
    world: World, diaries: Diaries, campaign: Campaign, *, trunk: TrunkStatus | None = None, shut: str | None = None
) -> None:
    world.clock.move(seconds=1)
    limit = CampaignLimit(shut) if shut else CampaignLimit.CAMPAIGN_CPS
    hours = CampaignStatus(campaign_key=campaign.key, limited_by=limit, until=NOW if shut else None)
    statuses = [] if trunk is None else [trunk]
    diaries.tell({campaign.key: campaign}, [hours], {world.trunk.key: trunk_of(world)}, statuses)


def trunk_of(world: World) -> Trunk:
    return replace(world.store.trunks.by_key(world.trunk.key), register=True)


def test_each_change_is_told_once_and_what_goes_well_from_the_start_is_not(world: World) -> None:
    campaign, diaries = world.running(1), Diaries(world.store)
    well = TrunkStatus(trunk_key=world.trunk.key, breaker_state="closed", registration_state="registered")
    rests = replace(well, breaker_state="resting", breaker_cause="five times 503")
    probed = replace(well, breaker_state="probing")
    refused = replace(well, registration_state="failed", registration_error="403 Forbidden")
    for trunk, shut in (
        (well, None),
        (rests, None),
        (rests, None),
        (probed, None),
        (rests, "window_closed"),
        (well, "window_closed"),
        (refused, None),
        (well, None),
    ):
        tell(world, diaries, campaign, trunk=trunk, shut=shut)
    assert told(world, campaign) == [
        ("trunk_rested", "five times 503"),
        ("window_closed", "window_closed"),
        ("trunk_came_back", None),
        ("window_opened", None),
        ("trunk_unregistered", "403 Forbidden"),
        ("trunk_registered", None),
    ]


@pytest.mark.parametrize("before", ["window_closed", "before_start"])
def test_a_dialer_that_starts_again_tells_nothing_twice_and_misses_nothing(world: World, before: str) -> None:
    campaign = world.running(1)
    tell(world, Diaries(world.store), campaign, shut=before)
    tell(world, Diaries(world.store), campaign, shut=before)
    tell(world, Diaries(world.store), campaign)
    assert told(world, campaign) == [("window_closed", before), ("window_opened", None)]


def test_what_could_not_be_written_is_told_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign, diaries = world.running(1), Diaries(world.store)

    def refuse(_notes: object) -> None:
        raise Unavailable

    with monkeypatch.context() as patched:
        patched.setattr(world.store.diary, "note", refuse)
        with pytest.raises(Unavailable):
            tell(world, diaries, campaign, shut="window_closed")
    tell(world, diaries, campaign, shut="window_closed")
    assert told(world, campaign) == [("window_closed", "window_closed")]


def test_only_the_campaigns_of_a_trunk_are_told_of_it(world: World) -> None:
    other = world.store.trunks.create(world.user.key, TrunkSettings(name="other", host="127.0.0.1"))
    campaign = world.running(1)
    status = TrunkStatus(trunk_key=other.key, breaker_state="resting", breaker_cause="503")
    Diaries(world.store).tell({campaign.key: campaign}, [], {other.key: other}, [status])
    assert told(world, campaign) == []

"""A campaign that pauses after so many people, dialled at a real peer, whose dialer is killed on the way."""

from pathlib import Path

import pytest

from autodialer.model import CampaignState
from tests.dialer.world import World
from tests.peers.by_number import by_number
from tests.peers.ports import wait_until
from tests.peers.sipp import SippGateway

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp")]

PEOPLE, FIRST = 60, 30


def test_a_dialer_that_is_killed_on_the_way_calls_just_so_many_people_and_then_the_rest(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data")
    dialled = [f"7000000{index:02}00" for index in range(PEOPLE)]
    with SippGateway(by_number(max_call_s=5), calls=1000, timeout_s=110) as gateway:
        campaign = world.campaign(gateway.address, dialled, pause_after=FIRST)

        def state() -> CampaignState:
            return world.store.campaigns.by_key(campaign.key).state

        with world.dialer() as dialer:
            wait_until(lambda: gateway.count("INVITE") >= FIRST // 3, what="calls in the air", timeout_s=30)
            dialer.kill_all(processes=2)
        with world.dialer():
            wait_until(lambda: state() is CampaignState.PAUSED, what="the pause", timeout_s=30)
            wait_until(
                lambda: world.store.campaigns.progress(campaign.key).active_calls == 0, what="the last call's end"
            )
            counts = world.store.campaigns.progress(campaign.key).counts
            assert counts.total - counts.pending == FIRST
            assert world.store.campaigns.by_key(campaign.key).people_called == FIRST
            assert len(gateway.invites_by_number) <= FIRST
            assert max(gateway.invites_by_number.values()) == 1
            world.store.campaigns.resume(campaign.id, None)
            world.wait_finished(campaign, timeout_s=60)
        assert max(gateway.invites_by_number.values()) == 1
    assert sorted(world.records(campaign)) == dialled
    events = [line.event.value for line in world.store.diary.page(campaign.key)[0]]
    assert events == ["created", "started", "paused", "resumed", "finished"]

"""What an operator does to a campaign that runs: stop, pause, hang up one call; and a trunk that cannot start."""

from pathlib import Path

import pytest

from autodialer.model import CampaignState, Disposition, EndedBy
from autodialer.phone.hang_up import HangUp
from tests.dialer.test_campaign import numbers, outcome_of
from tests.dialer.world import World
from tests.peers.by_number import Behaviour, by_number
from tests.peers.ports import wait_until
from tests.peers.sipp import SippGateway

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp")]

ANSWERS = by_number({"0": Behaviour.ANSWER, "9": Behaviour.RINGS})


def test_stop_with_hangup_ends_live_calls_at_once_and_cancels_the_rest(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data", sound_s=30.0)
    dialled = [*numbers(9), "70000000009", *(f"7001000{n:04d}" for n in range(40))]
    with SippGateway(ANSWERS, calls=10, timeout_s=40) as gateway:
        campaign = world.campaign(gateway.address, dialled, max_channels=10, ring_timeout_s=30)
        with world.dialer():
            gateway.wait_for("ACK", count=9)
            wait_until(lambda: gateway.count("INVITE") == 10, what="the ringing call")
            world.store.campaigns.stop(campaign.id, world.owner, hangup=True)
            wait_until(lambda: len(world.records(campaign)) == 10, what="the records of all calls", timeout_s=5)
        gateway.expect_success(timeout_s=5)
        assert (gateway.count("BYE"), gateway.count("CANCEL")) == (9, 1)
    dispositions = world.dispositions(campaign)
    assert dispositions == {n: Disposition.CANCELLED if n.endswith("9") else Disposition.ANSWERED for n in dialled[:10]}
    assert outcome_of(world, campaign, dialled[0]).ended_by is EndedBy.US
    assert {outcome_of(world, campaign, number).message for number in dialled[:10]} == {HangUp.CAMPAIGN_STOPPED}
    assert world.store.campaigns.by_key(campaign.key).state is CampaignState.STOPPED


def test_pause_starts_no_new_call_live_ones_end_by_themselves_and_resume_goes_on(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data")
    dialled = [f"700000{number:04d}0" for number in range(30)]
    with SippGateway(ANSWERS, calls=30, timeout_s=40) as gateway:
        campaign = world.campaign(gateway.address, dialled)
        with world.dialer():
            gateway.wait_for("INVITE", count=5)
            world.store.campaigns.pause(campaign.id, world.owner)
            wait_until(
                lambda: not world.store.campaigns.progress(campaign.key).active_calls, what="the live calls to end"
            )
            placed = gateway.count("INVITE")
            assert placed < 15
            assert set(world.dispositions(campaign).values()) == {Disposition.ANSWERED}
            world.store.campaigns.resume(campaign.id, world.owner)
            world.wait_finished(campaign, timeout_s=20)
        gateway.expect_success(timeout_s=10)
        assert gateway.invites_by_number == dict.fromkeys(dialled, 1)


def test_one_call_is_hung_up_by_its_id(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data", sound_s=30.0)
    with SippGateway(ANSWERS, calls=2, timeout_s=40) as gateway:
        campaign = world.campaign(gateway.address, ["70000000010", "70000000020"])
        with world.dialer():
            gateway.wait_for("ACK", count=2)
            call = world.store.calls.live(campaign.key)[0]
            world.store.commands.add("hangup_call", call_id=call.id)
            wait_until(lambda: bool(world.records(campaign)), what="the record", timeout_s=5)
            assert list(world.records(campaign)) == [call.number]
            assert gateway.count("BYE") == 1
            assert outcome_of(world, campaign, call.number).message == HangUp.OPERATOR


def test_rows_added_to_a_running_campaigns_callbase_are_dialled(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data", sound_s=3.0)
    with SippGateway(ANSWERS, calls=2, timeout_s=40) as gateway:
        campaign = world.campaign(gateway.address, ["70000000010"])
        with world.dialer():
            gateway.wait_for("INVITE", count=1)
            world.add_subscriber(campaign, "70000000020")
            gateway.wait_for("INVITE", count=2, timeout_s=10)
            world.wait_finished(campaign, timeout_s=20)


def test_a_number_on_the_do_not_call_list_is_not_called(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data")
    world.store.dnc.add(world.owner, "70000000010")
    with SippGateway(ANSWERS, calls=1, timeout_s=40) as gateway:
        campaign = world.campaign(gateway.address, ["70000000010", "70000000020"])
        with world.dialer():
            world.wait_finished(campaign, timeout_s=20)
        assert list(gateway.invites_by_number) == ["70000000020"]
    assert world.store.campaigns.progress(campaign.key).counts.excluded == 1


def test_a_trunk_whose_host_no_longer_resolves_says_so_and_burns_no_number(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data")
    campaign = world.campaign(("no-such-host.invalid", 5060), numbers(5))
    trunk = campaign.trunk_keys[0]
    with world.dialer():
        wait_until(
            lambda: (status := world.store.live.trunk(trunk)) is not None and status.breaker_cause is not None,
            what="the reason",
            timeout_s=30,
        )
    status = world.store.live.trunk(trunk)
    assert status is not None
    assert "does not exist" in (status.breaker_cause or "")
    assert world.records(campaign) == {}


def test_a_campaign_whose_sound_is_gone_calls_nobody_until_it_is_back(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data")
    codes = tmp_path / "data" / "sounds" / "tone.alaw"
    codes.rename(tmp_path / "elsewhere")
    with SippGateway(ANSWERS, calls=1, timeout_s=40) as gateway:
        campaign = world.campaign(gateway.address, ["70000000010"])
        with world.dialer() as dialer:
            wait_until(lambda: "are missing" in dialer.log.read_text(), what="the complaint")
            assert world.records(campaign) == {}
            (tmp_path / "elsewhere").rename(codes)
            world.wait_finished(campaign, timeout_s=20)
        assert gateway.count("INVITE") == 1
    assert outcome_of(world, campaign, "70000000010").played_share == 1.0

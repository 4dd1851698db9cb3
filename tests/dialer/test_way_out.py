"""The dialer and its trunks beside the calls: registration before any call, checks on demand."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autodialer import report
from autodialer.api.trunks import WaitingChecks
from autodialer.clock import Clock
from autodialer.model import Campaign, TrunkStatus
from tests.dialer.world import World
from tests.peers.ports import wait_until
from tests.peers.providers import provider
from tests.peers.sipp import SippGateway
from tests.timing import at_most

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp")]


def registering(world: World, campaign: Campaign) -> int:
    """Have the campaign's trunk register; its key."""
    trunk = world.store.trunks.by_key(campaign.trunk_keys[0])
    world.store.trunks.update(trunk.id, world.owner, replace(trunk, register=True))
    return trunk.key


def standing(world: World, trunk: int, state: str) -> TrunkStatus:
    """Wait for a state of the registration."""

    def now() -> TrunkStatus | None:
        return world.store.live.trunk(trunk)

    wait_until(lambda: (status := now()) is not None and status.registration_state == state, what=state, timeout_s=20)
    status = now()
    assert status is not None
    return status


def test_nothing_is_dialled_over_a_trunk_that_is_not_registered_and_why_says_so(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data")
    with SippGateway(provider(register=403), calls=10, timeout_s=60) as gateway:
        campaign = world.campaign(gateway.address, ["70000000010"])
        trunk = registering(world, campaign)
        with world.dialer():
            status = standing(world, trunk, "failed")
            why = report.explain(world.store, campaign, Clock().utcnow(), sound_there=True)
        assert gateway.count("INVITE") == 0
    assert "forbids this account to register" in (status.registration_error or "")
    assert not why.dialing
    assert [reason.code for reason in why.reasons] == ["trunk_not_registered"]
    assert "403" in why.reasons[0].message
    assert world.records(campaign) == {}


def test_a_registered_trunk_dials_and_takes_its_registration_back_at_the_end(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data")
    with SippGateway(provider(password="secret", bye_after_ms=100), calls=10, timeout_s=60) as gateway:
        campaign = world.campaign(gateway.address, ["70000000010"])
        trunk = registering(world, campaign)
        with world.dialer() as dialer:
            status = standing(world, trunk, "registered")
            world.wait_finished(campaign, timeout_s=30)
            dialer.running.terminate()
            dialer.running.wait(at_most(20))
        registers = [message for message in gateway.messages if message.start_line.startswith("REGISTER")]
    assert status.registration_since is not None and status.registration_error is None
    assert len({message.header("Call-ID") for message in registers}) == 1
    assert [message.header("CSeq") for message in registers] == ["1 REGISTER", "2 REGISTER", "3 REGISTER"]
    assert [message.header("Expires") for message in registers] == ["600", "600", "0"]
    assert list(world.records(campaign)) == ["70000000010"]


@pytest.mark.parametrize(("number", "stage"), [(None, "options"), ("79160000000", "call")])
def test_a_check_is_done_by_the_dialer_and_its_result_comes_back(
    tmp_path: Path, number: str | None, stage: str
) -> None:
    world = World.make(tmp_path / "data")
    with SippGateway(provider(), calls=10, timeout_s=60, rtp_echo=True) as gateway:
        campaign = world.campaign(gateway.address, [], password="")
        trunk = campaign.trunk_keys[0]
        with world.dialer():
            wait_until(lambda: world.store.live.dialer() is not None, what="the dialer")
            result: Any = WaitingChecks(world.store).run(world.owner, trunk, number, record=lambda: None)
    assert (result["ok"], result["stage"], result["sip_code"]) == (True, stage, 200)
    assert result["verdict"] and result["rtt_ms"] > 0

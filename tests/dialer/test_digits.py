"""Keys that a user presses by the API in a live call, from the commands to baresip's ear."""

from pathlib import Path
from uuid import UUID

import pytest

from autodialer.api.calls import send_digits
from autodialer.errors import Conflict
from tests.dialer.world import World
from tests.peers.baresip import Baresip
from tests.peers.by_number import Behaviour, by_number
from tests.peers.ports import wait_until
from tests.peers.sipp import SippGateway

pytestmark = [pytest.mark.loopback]


@pytest.mark.peer("baresip")
def test_digits_asked_for_by_the_api_reach_the_callee(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data", sound_s=4.0)
    with Baresip(folder=tmp_path, user="70000000001") as callee:
        campaign = world.campaign(callee.address, ["70000000001"])
        with world.dialer():
            callee.wait_established(timeout_s=40)
            (call,) = world.store.calls.live(campaign.key)
            send_digits(world.store, call.id, "12#", record=lambda: None)
            send_digits(world.store, call.id, "A", record=lambda: None)
            world.wait_finished(campaign, timeout_s=60)
            with pytest.raises(Conflict, match="not under way"):
                send_digits(world.store, call.id, "1", record=lambda: None)
        callee.wait_closed()
    assert (callee.digits, callee.digits_let_go) == ("12#A", "12#A")


@pytest.mark.peer("sipp")
def test_a_call_that_rings_takes_no_digits(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data")
    ringing = by_number({"9": Behaviour.RINGS})
    with SippGateway(ringing, calls=1, timeout_s=40) as gateway:
        campaign = world.campaign(gateway.address, ["70000000009"], ring_timeout_s=5)
        with world.dialer():
            gateway.wait_for("INVITE", count=1)
            wait_until(lambda: bool(world.store.calls.live(campaign.key)), what="the call")
            call_id: UUID = world.store.calls.live(campaign.key)[0].id
            with pytest.raises(Conflict, match="not answered"):
                send_digits(world.store, call_id, "1", record=lambda: None)
            world.wait_finished(campaign, timeout_s=60)

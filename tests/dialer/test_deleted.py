"""What is deleted is acted on no more: a trunk takes its registration back once, a sound waits for its last call."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from autodialer.model import Disposition, Trunk, TrunkSettings
from tests.dialer.world import World
from tests.peers.capture import Capture, WireMessage
from tests.peers.kamailio import Kamailio
from tests.peers.ports import wait_until
from tests.peers.providers import provider
from tests.peers.sipp import SippGateway, TracedMessage

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp", "kamailio", "tshark")]

TRUNKS = 6
"""Deleted one after the other: the dialer's looks and its reports, a second apart, fall differently for each."""


def registering(world: World, proxy: Kamailio, number: int, *, password: str) -> Trunk:
    host, port = proxy.address
    settings = TrunkSettings(
        name=f"trunk {number}", host=host, port=port, username="user", password=password, register=True
    )
    return world.store.trunks.create(world.owner, settings)


def standing(world: World, trunk: Trunk) -> str | None:
    status = world.store.live.trunk(trunk.key)
    return status.registration_state if status is not None else None


def removals(registers: list[WireMessage]) -> list[WireMessage]:
    """REGISTERs that take a binding back, each once however often it was sent."""
    found = {(each.call_id, each.cseq): each for each in registers if re.search(r"(?m)^Expires: 0\r$", each.text)}
    return list(found.values())


@pytest.mark.parametrize("password", ["secret", None], ids=["digest", "without_digest"])
def test_a_deleted_trunk_takes_its_registration_back_within_a_second_and_registers_no_more(
    tmp_path: Path,
    kamailio: Callable[..., Kamailio],
    capture_wire: Callable[..., Capture],
    password: str | None,
) -> None:
    world = World.make(tmp_path / "data")
    proxy = kamailio(("127.0.0.1", 9), password=password, limit_s=300)
    wire = capture_wire(proxy.address[1])
    with world.dialer():
        for number in range(TRUNKS):
            trunk = registering(world, proxy, number, password=password or "")
            wait_until(
                lambda trunk=trunk: standing(world, trunk) == "registered",  # type: ignore[misc]
                what="the registration",
                timeout_s=20,
            )
            bound = proxy.count("registered", "REGISTER")
            world.store.trunks.delete(trunk.id, None)
            proxy.wait_for("registered", "REGISTER", count=bound + 1, timeout_s=1.0)
    messages = [message for message in wire.sip() if message.method == "REGISTER"]
    by_call = {call_id: [m for m in messages if m.call_id == call_id] for call_id in {m.call_id for m in messages}}
    assert len(by_call) == TRUNKS, "each trunk registered once, from one phone"
    for registers in by_call.values():
        assert len({message.source for message in registers}) == 1
        gone = removals(registers)
        assert registers[-1].cseq == gone[-1].cseq, "nothing follows the removal"
        # A challenge in between has it sent again, with the digest.
        assert len(gone) <= (1 if password is None else 2)
    last = proxy.events[-1]
    assert (last.event, last.detail) == ("registered", "expires=0")


def registers_of(gateway: SippGateway) -> list[TracedMessage]:
    return [message for message in gateway.messages if message.start_line.startswith("REGISTER")]


def test_a_trunk_that_is_deleted_under_a_call_is_unregistered_and_the_call_goes_on(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data", sound_s=4.0)
    with SippGateway(provider(password="secret", bye_after_ms=3000), calls=10, timeout_s=60) as gateway:
        campaign = world.campaign(gateway.address, ["70000000010"])
        trunk = world.store.trunks.by_key(campaign.trunk_keys[0])
        world.store.trunks.update(trunk.id, world.owner, replace(trunk, register=True))
        with world.dialer():
            gateway.wait_for("ACK", timeout_s=20)
            world.store.campaigns.stop(campaign.id, None, hangup=False)
            world.store.trunks.delete(trunk.id, None)
            wait_until(lambda: len(registers_of(gateway)) == 3, what="the removal", timeout_s=1.0)
            wait_until(lambda: world.records(campaign) != {}, what="the record", timeout_s=10)
        registers = registers_of(gateway)
    assert [message.header("Expires") for message in registers] == ["600", "600", "0"]
    [record] = world.records(campaign)["70000000010"]
    assert record.outcome is not None
    assert record.outcome.disposition is Disposition.ANSWERED
    assert record.outcome.billsec_s > 2.5, "it lasted until the callee hung up"

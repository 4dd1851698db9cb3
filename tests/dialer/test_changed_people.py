"""People who are deleted or changed while their campaign dials: seen from the provider's side."""

import re
from pathlib import Path

import pytest

from autodialer.model import Disposition
from tests.dialer.world import World
from tests.peers.providers import provider
from tests.peers.sipp import SippGateway

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp")]

CALLED, WAITING, MISTYPED, RIGHT = "70000000010", "70000000011", "70000000012", "70000000013"


def dialled(gateway: SippGateway) -> list[str]:
    """The numbers of the INVITEs, each once, in their order."""
    lines = [message.start_line for message in gateway.messages if message.start_line.startswith("INVITE")]
    found = [match[1] for line in lines if (match := re.match(r"INVITE sip:([^@;]+)@", line))]
    return list(dict.fromkeys(found))


def test_a_deleted_person_is_not_dialled_a_call_goes_on_and_a_changed_number_is_the_one_that_rings(
    tmp_path: Path,
) -> None:
    world = World.make(tmp_path / "data", sound_s=4.0)
    people = world.store.subscribers
    with SippGateway(provider(password="secret", bye_after_ms=3000), calls=2, timeout_s=60) as gateway:
        campaign = world.campaign(gateway.address, [CALLED, WAITING, MISTYPED], max_channels=1)
        found = {person.number: person.id for person in people.page(campaign.callbase_id, world.owner)[0]}
        with world.dialer():
            gateway.wait_for("ACK", timeout_s=20)
            assert people.delete(found[CALLED], world.owner), "in the very call"
            assert not people.delete(found[WAITING], world.owner)
            people.change(found[MISTYPED], world.owner, lambda _person, _callbase: {"number": RIGHT})
            world.wait_finished(campaign, timeout_s=30)
        assert dialled(gateway) == [CALLED, RIGHT]
    records = {number: calls[0].outcome for number, calls in world.records(campaign).items()}
    assert records.keys() == {CALLED, RIGHT}
    assert all(outcome and outcome.disposition is Disposition.ANSWERED for outcome in records.values())
    assert records[CALLED] and records[CALLED].billsec_s > 2.5, "it lasted until the callee hung up"
    counts = world.store.campaigns.progress(campaign.key).counts
    assert (counts.total, counts.reached, counts.excluded) == (3, 2, 1)

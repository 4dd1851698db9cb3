"""The silence around the sound, which fills what a callee's side keeps back or misses; judged by baresip and sox."""

from collections.abc import Callable

import pytest

from autodialer.media.g711 import SILENCE
from tests.peers import gateways, sox
from tests.peers.baresip import Baresip
from tests.peers.capture import Capture
from tests.peers.sipp import SippGateway
from tests.phone.desk import Desk
from tests.phone.test_wire_calls import named

pytestmark = [pytest.mark.loopback]

Desks = Callable[..., Desk]
SAMPLE_S = 1 / 8000
FRAME_S = 0.02


@pytest.mark.peer("baresip", "sox")
@pytest.mark.parametrize("shared", [False, True], ids=["port_a_call", "shared_port"])
@pytest.mark.parametrize("sound_s", [0.5, 1.234])
def test_a_callee_with_the_usual_jitter_buffer_hears_the_sound_to_its_last_sample(
    baresip: Callable[..., Baresip], desk: Desks, sound_s: float, shared: bool
) -> None:
    callee = baresip(jitter_buffer="5-10")
    phone = desk(callee.address, sound_s=sound_s, shared_media_port=shared)
    outcome = phone.outcome(phone.call(callee.user))
    callee.wait_closed()
    assert outcome.played_s == pytest.approx(sound_s, abs=0.005)
    assert outcome.played_share == 1.0
    (recording,) = callee.recordings
    compared = sox.compare(phone.stem.with_suffix(".wav"), recording)
    assert compared.missing_s < SAMPLE_S
    assert compared.snr_db > 25


@pytest.mark.peer("sipp", "tshark")
@pytest.mark.parametrize("key_wait_s", [0.0, 1.0])
def test_silence_without_a_gap_follows_the_sound_until_the_bye(
    sipp_gateway: Callable[..., SippGateway], capture_wire: Callable[..., Capture], desk: Desks, key_wait_s: float
) -> None:
    gateway = sipp_gateway(gateways.answered(), timeout_s=30)
    wire = capture_wire(gateway.address[1], rtp_ports=[gateway.media[1]])
    phone = desk(gateway.address, sound_s=1.0)
    outcome = phone.outcome(phone.call(key_wait_s=key_wait_s))
    gateway.expect_success()
    packets = wire.rtp(destination=gateway.media)
    tail = packets[50:]
    assert {packet.payload for packet in tail} == {bytes([SILENCE["PCMA"]]) * 160}
    bye = named(wire.sip(), "BYE")[0]
    assert packets[-1].at == pytest.approx(bye.at, abs=2 * FRAME_S)
    assert [(packet.sequence - packets[0].sequence) & 0xFFFF for packet in packets] == list(range(len(packets)))
    stepped = [(packet.timestamp - packets[0].timestamp) & 0xFFFFFFFF for packet in packets]
    assert stepped == list(range(0, 160 * len(packets), 160))
    assert not any(packet.marker for packet in packets[1:])
    assert (outcome.played_s, outcome.played_share) == (1.0, 1.0)
    assert outcome.rtp and outcome.rtp.sent == len(packets)

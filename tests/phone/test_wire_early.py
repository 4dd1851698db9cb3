"""Early media: taken from the callee, never played into, never counted, and the sound begins at the answer."""

import audioop
import time
import wave
from collections.abc import Callable
from pathlib import Path

import pytest

from autodialer.media import rtp
from autodialer.model import Disposition
from tests.media.processes import Callee
from tests.peers import gateways, sox
from tests.peers.baresip import Baresip
from tests.peers.capture import Capture, before_silence
from tests.peers.ports import wait_until
from tests.peers.sipp import SippGateway
from tests.phone.desk import Desk
from tests.phone.test_wire_media import check_stream

pytestmark = [pytest.mark.loopback]

HOST = "127.0.44.1"
"""The gateway's alone: SIPp chooses the port of its stream by itself, so all that passes here is captured."""
Gateways = Callable[..., SippGateway]
Captures = Callable[..., Capture]
Desks = Callable[..., Desk]


def encoded(phone: Desk) -> bytes:
    with wave.open(str(phone.stem.with_suffix(".wav"))) as audio:
        return audioop.lin2alaw(audio.readframes(audio.getnframes()), 2)


@pytest.mark.peer("sipp", "tshark")
@pytest.mark.parametrize("shared", [False, True], ids=["port_a_call", "shared_port"])
def test_nothing_is_sent_into_early_media_and_the_sound_begins_at_the_answer_where_the_200_says(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks, tmp_path: Path, shared: bool
) -> None:
    ringback = tmp_path / "ringback.alaw"
    ringback.write_bytes(b"\x55\xd5" * 4000)
    gateway = sipp_gateway(gateways.early_sound(ringback, early_ms=1400), timeout_s=30, host=HOST)
    media = [gateway.media[1], (33000, 60000)]
    wire = capture_wire(gateway.address[1], rtp_ports=media, everything=True, host=HOST)
    phone = desk(gateway.address, sound_s=1.0, shared_media_port=shared)
    call = phone.call()
    outcome = phone.outcome(call)
    gateway.expect_success()
    ours = (phone.phone.myIP, call.port)
    (ok,) = [one for one in wire.sip(call_id=call.call_id) if one.code == 200 and one.cseq_method == "INVITE"]
    early = wire.rtp(destination=ours)
    assert len(early) >= 45
    assert early[-1].at < ok.at - 0.1
    sent = wire.rtp(source=ours)
    assert {packet.destination for packet in sent} == {gateway.media}
    assert sent[0].at > ok.at
    check_stream(sent, 8)
    assert b"".join(packet.payload for packet in before_silence(sent)) == encoded(phone)
    assert (outcome.disposition, outcome.played_share, outcome.digits) == (Disposition.ANSWERED, 1.0, "")
    assert outcome.rtp is not None
    assert (outcome.rtp.received, outcome.rtp.one_way_audio, outcome.rtp.jitter_ms) == (0, True, None)


@pytest.mark.peer("sipp", "tshark")
def test_early_rtp_from_elsewhere_does_not_draw_the_sound_there(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks
) -> None:
    gateway = sipp_gateway(gateways.early_183(ring_ms=1200), timeout_s=30)
    wire = capture_wire(gateway.address[1], rtp_ports=[gateway.media[1]])
    phone = desk(gateway.address, sound_s=1.0)
    call = phone.call()
    wait_until(lambda: any("183" in one.start_line for one in gateway.messages), what="the 183")
    with Callee() as stranger:
        for number in range(20):
            stranger.send(rtp.pack(8, number, 160 * number, 7, bytes(160)), call.port)
        time.sleep(0.1)
        outcome = phone.outcome(call)
        assert stranger.read() == []
    gateway.expect_success()
    assert outcome.rtp is not None
    assert (outcome.rtp.received, outcome.played_share) == (0, 1.0)
    check_stream(wire.rtp(destination=gateway.media), 8)


@pytest.mark.peer("baresip", "tshark", "sox")
def test_baresip_hears_the_whole_sound_after_early_media(
    baresip: Callable[..., Baresip], capture_wire: Captures, desk: Desks
) -> None:
    callee = baresip(early=True)
    wire = capture_wire(callee.address[1], rtp_ports=[(callee.rtp_ports[0], callee.rtp_ports[-1])])
    phone = desk(callee.address, sound_s=2.0)
    call = phone.call("callee")
    wait_until(lambda: "stream start" in callee.log, what="the call at baresip")
    time.sleep(0.8)
    callee.accept()
    outcome = phone.outcome(call)
    callee.wait_closed()
    messages = wire.sip()
    assert [one.code for one in messages if one.cseq_method == "INVITE" and one.code] == [180, 183, 200]
    ok = next(one for one in messages if one.code == 200)
    sent = [packet for packet in wire.rtp() if packet.source[1] == call.port]
    assert len(before_silence(sent)) == 100
    assert sent[0].at > ok.at
    assert outcome.played_share == 1.0
    compared = sox.compare(phone.stem.with_suffix(".wav"), callee.recordings[-1])
    assert compared.missing_s < 0.1

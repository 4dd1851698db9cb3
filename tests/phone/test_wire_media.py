"""What is heard: RTP on the captured wire, and what baresip recorded."""

import audioop
import wave
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from autodialer.model import Cause, Disposition, EndedBy
from tests.dialer.world import ROOT
from tests.peers import gateways, scenario, sox
from tests.peers.baresip import Baresip
from tests.peers.capture import Capture, RtpPacket, before_silence
from tests.peers.sipp import SippGateway
from tests.phone.desk import Desk
from tests.phone.test_wire_calls import named

pytestmark = [pytest.mark.loopback]

Gateways = Callable[..., SippGateway]
Captures = Callable[..., Capture]
Desks = Callable[..., Desk]
SPEECH = ROOT / "autodialer" / "gateway" / "sample.flac"


def check_stream(packets: list[RtpPacket], payload_type: int) -> None:
    """One SSRC, sequence +1, timestamp +160, the marker on the first packet only, 160 bytes each."""
    assert {packet.payload_type for packet in packets} == {payload_type}
    assert len({packet.ssrc for packet in packets}) == 1
    assert [packet.marker for packet in packets] == [True, *[False] * (len(packets) - 1)]
    assert {len(packet.payload) for packet in packets} == {160}
    for before, after in pairwise(packets):
        assert (after.sequence - before.sequence) % 0x10000 == 1
        assert (after.timestamp - before.timestamp) % 0x100000000 == 160


@pytest.mark.peer("sipp", "tshark")
@pytest.mark.parametrize(
    ("codecs", "sdp", "payload_type", "encode"),
    [
        (("PCMA", "PCMU"), scenario.ANSWER_SDP, 8, audioop.lin2alaw),
        (("PCMU", "PCMA"), scenario.PCMU_SDP, 0, audioop.lin2ulaw),
        (("PCMA", "PCMU"), scenario.PCMU_SDP, 0, audioop.lin2ulaw),
    ],
    ids=["PCMA", "PCMU_first", "PCMU_chosen_by_the_callee"],
)
def test_the_payload_on_the_wire_is_the_encoded_sound_from_the_first_sample_to_the_last(
    sipp_gateway: Gateways,
    capture_wire: Captures,
    desk: Desks,
    codecs: tuple[str, ...],
    sdp: list[str],
    payload_type: int,
    encode: Callable[[bytes, int], bytes],
) -> None:
    gateway = sipp_gateway(gateways.answered(sdp=sdp), timeout_s=30)
    wire = capture_wire(gateway.address[1], rtp_ports=[gateway.media[1]])
    phone = desk(gateway.address, codecs=codecs, sound_s=2.01)
    outcome = phone.outcome(phone.call())
    gateway.expect_success()
    packets = wire.rtp(destination=gateway.media)
    check_stream(packets, payload_type)
    with wave.open(str(phone.stem.with_suffix(".wav"))) as audio:  # what GET /srv1/sounds/{id}/audio gives
        expected = encode(audio.readframes(audio.getnframes()), 2)
    heard = b"".join(packet.payload for packet in before_silence(packets))
    assert heard[: len(expected)] == expected
    assert len(heard) - len(expected) == -len(expected) % 160
    assert (outcome.played_s, outcome.played_share) == (2.01, 1.0)
    assert outcome.rtp is not None
    assert (outcome.rtp.sent, outcome.rtp.one_way_audio) == (len(packets), True)
    (bye,) = named(wire.sip(), "BYE")
    assert packets[-1].at < bye.at
    assert packets[0].at - named(wire.sip(), "ACK")[0].at < 0.1


@pytest.mark.peer("sipp", "tshark")
def test_played_seconds_are_the_packets_that_left_before_the_callee_hung_up(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks
) -> None:
    gateway = sipp_gateway(gateways.callee_bye(after_ms=1300), timeout_s=30, rtp_echo=True)
    wire = capture_wire(gateway.address[1], rtp_ports=[gateway.media[1]])
    phone = desk(gateway.address, sound_s=10.0)
    outcome = phone.outcome(phone.call())
    gateway.expect_success()
    packets = wire.rtp(destination=gateway.media)
    check_stream(packets, 8)
    assert outcome.ended_by is EndedBy.CALLEE
    assert outcome.played_s == pytest.approx(len(packets) * 0.02, abs=0.001)
    (bye,) = named(wire.sip(), "BYE")
    assert all(packet.at - bye.at < 0.1 for packet in packets)
    assert outcome.rtp is not None
    assert not outcome.rtp.one_way_audio
    assert abs(outcome.rtp.received - len(packets)) <= 3
    assert outcome.rtp.lost == 0


SESSION = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0"]
UNUSABLE = {
    "port_0": [*SESSION, "m=audio 0 RTP/AVP 8"],
    "savp": [*SESSION, "m=audio 4000 RTP/SAVP 8"],
    "no_common_codec": [*SESSION, "m=audio 4000 RTP/AVP 18"],
    "garbage": ["hello"],
}


@pytest.mark.peer("sipp", "tshark")
@pytest.mark.parametrize("fault", UNUSABLE)
def test_an_answer_without_usable_media_is_acknowledged_and_hung_up_at_once(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks, fault: str
) -> None:
    gateway = sipp_gateway(gateways.answered(sdp=UNUSABLE[fault]), timeout_s=30)
    wire = capture_wire(gateway.address[1])
    phone = desk(gateway.address)
    outcome = phone.outcome(phone.call())
    gateway.expect_success()
    assert (outcome.disposition, outcome.cause) == (Disposition.FAILED, Cause.MEDIA_FAILED)
    assert outcome.answered_at is not None
    assert outcome.message
    (ack,), (bye,) = named(wire.sip(), "ACK"), named(wire.sip(), "BYE")
    assert 0 <= bye.at - ack.at < 0.2


@pytest.mark.peer("baresip", "tshark", "sox")
def test_a_call_of_forty_seconds_is_not_cut_and_is_heard_from_the_first_second_to_the_last(
    baresip: Callable[..., Baresip], capture_wire: Captures, desk: Desks, tmp_path: Path
) -> None:
    long = tmp_path / "long.wav"
    sox.make_sweep(long, seconds=40.0)
    callee = baresip()
    wire = capture_wire(callee.address[1])
    phone = desk(callee.address, sound=long)
    outcome = phone.outcome(phone.call("callee"), timeout_s=60)
    callee.wait_closed()
    assert (outcome.disposition, outcome.ended_by, outcome.played_share) == (Disposition.ANSWERED, EndedBy.US, 1.0)
    assert 40.0 < outcome.billsec_s < 41.5
    messages = wire.sip()
    assert len([message for message in messages if message.code == 200 and message.cseq_method == "INVITE"]) == 1
    assert [len(named(messages, method)) for method in ("INVITE", "ACK", "BYE")] == [1, 1, 1]
    (recording,) = callee.recordings
    compared = sox.compare(phone.stem.with_suffix(".wav"), recording)
    assert compared.missing_s < 0.1
    assert compared.snr_db > 25


@pytest.mark.peer("baresip", "sox")
def test_speech_is_heard_as_it_was_imported(baresip: Callable[..., Baresip], desk: Desks) -> None:
    callee = baresip(codecs=("PCMU",))
    phone = desk(callee.address, sound=SPEECH)
    outcome = phone.outcome(phone.call("callee"))
    callee.wait_closed()
    assert outcome.played_share == 1.0
    (recording,) = callee.recordings
    compared = sox.compare(phone.stem.with_suffix(".wav"), recording)
    assert compared.missing_s < 0.1
    assert compared.snr_db > 25

"""Both settings of `media_ports` with foreign peers: each callee hears its own sound whole, and nobody else's.

Through Kamailio alone the sound goes straight to the callees; with rtpengine behind it, through ports of rtpengine's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from autodialer.media.sound import import_sound
from autodialer.model import CallOutcome, Disposition
from tests.peers import gateways, sox
from tests.peers.baresip import Baresip
from tests.peers.capture import Capture, RtpPacket, before_silence
from tests.peers.kamailio import Kamailio
from tests.peers.rtpengine import Rtpengine
from tests.peers.sipp import SippGateway
from tests.phone.desk import Desk
from tests.phone.test_wire_media import check_stream

pytestmark = [pytest.mark.loopback, pytest.mark.peer("kamailio", "rtpengine", "tshark")]

SOUND_S = 2.0
WHOLE_S = 0.1
"""baresip's jitter buffer may keep so much of the end to itself."""
LIKE_DB = 25.0
"""Signal to difference of what is the same sound in A-law; of two of these sounds it is near 0."""


@dataclass(frozen=True, kw_only=True)
class Sounds:
    """A sound of its own for each call, all of the same length."""

    stems: list[Path]

    @classmethod
    def make(cls, folder: Path, count: int) -> "Sounds":
        """Sweeps over ranges that differ."""
        stems = []
        for number in range(count):
            raw = sox.make_sweep(
                folder / f"sweep-{number}.wav", seconds=SOUND_S, low_hz=300 + 150 * number, high_hz=2800 - 100 * number
            )
            stems.append(folder / f"sound-{number}")
            import_sound(raw, stems[-1])
        return cls(stems=stems)

    def call_all(self, phone: Desk) -> list[CallOutcome]:
        """One call for each, at the same time, to the numbers that `number_of` tells."""
        calls = []
        for number, stem in enumerate(self.stems):
            phone.stem = stem
            calls.append(phone.call(number_of(number)))
        return [phone.outcome(call) for call in calls]

    def codes(self, number: int) -> bytes:
        """What goes over the wire."""
        return self.stems[number].with_suffix(".alaw").read_bytes()


def number_of(call: int) -> str:
    return f"791600000{call:02}"


def check_outcomes(outcomes: list[CallOutcome]) -> None:
    for outcome in outcomes:
        assert (outcome.disposition, outcome.played_s, outcome.played_share) == (Disposition.ANSWERED, SOUND_S, 1.0)
        assert outcome.rtp is not None
        assert outcome.rtp.sent >= 100 and not outcome.rtp.one_way_audio


def heard(packets: list[RtpPacket]) -> list[bytes]:
    """The sound of each stream, which is whole and in order."""
    streams = {packet.ssrc: [one for one in packets if one.ssrc == packet.ssrc] for packet in packets}
    for stream in streams.values():
        check_stream(stream, 8)
    return [b"".join(packet.payload for packet in before_silence(stream)) for stream in streams.values()]


@pytest.mark.peer("baresip", "sox")
@pytest.mark.parametrize("through", ["kamailio", "kamailio_and_rtpengine"])
@pytest.mark.parametrize("media_ports", ["shared", "per_call"])
def test_each_of_several_callees_records_its_own_sound_whole(
    baresip: Callable[..., Baresip],
    kamailio: Callable[..., Kamailio],
    rtpengine: Callable[..., Rtpengine],
    capture_wire: Callable[..., Capture],
    desk: Callable[..., Desk],
    tmp_path: Path,
    media_ports: str,
    through: str,
) -> None:
    sounds = Sounds.make(tmp_path, 4)
    callees = [baresip() for _ in sounds.stems]
    relay = rtpengine() if through == "kamailio_and_rtpengine" else None
    proxy = kamailio(
        callees[0].address,
        callee_user="callee",
        routes={number_of(number): callee.address for number, callee in enumerate(callees)},
        relay=relay.control if relay else None,
    )
    towards = [(ports[0], ports[-1]) for ports in ([relay.rtp_ports] if relay else [one.rtp_ports for one in callees])]
    wire = capture_wire(proxy.address[1], rtp_ports=towards)
    phone = desk(proxy.address, sound_s=SOUND_S, shared_media_port=media_ports == "shared")
    outcomes = sounds.call_all(phone)
    for callee in callees:
        callee.wait_closed()
    check_outcomes(outcomes)
    for number, callee in enumerate(callees):
        (recording,) = callee.recordings
        matches = [sox.compare(stem.with_suffix(".wav"), recording) for stem in sounds.stems]
        assert matches[number].missing_s < WHOLE_S
        assert [match.snr_db > LIKE_DB for match in matches] == [one == number for one in range(len(matches))]
    ours = [packet for packet in wire.rtp() if 33000 <= packet.source[1] <= 60000]
    assert len({packet.source for packet in ours}) == (1 if media_ports == "shared" else len(callees))
    assert sorted(heard(ours)) == sorted(map(sounds.codes, range(len(callees))))
    if relay:
        assert {packet.destination[1] in relay.rtp_ports for packet in ours} == {True}


@pytest.mark.peer("sipp")
@pytest.mark.parametrize("media_ports", ["shared", "per_call"])
def test_ten_calls_through_rtpengine_come_to_sipp_octet_by_octet(
    sipp_gateway: Callable[..., SippGateway],
    kamailio: Callable[..., Kamailio],
    rtpengine: Callable[..., Rtpengine],
    capture_wire: Callable[..., Capture],
    desk: Callable[..., Desk],
    tmp_path: Path,
    media_ports: str,
) -> None:
    sounds = Sounds.make(tmp_path, 10)
    gateway = sipp_gateway(gateways.answered(), calls=10, timeout_s=40, rtp_echo=True)
    relay = rtpengine()
    proxy = kamailio(gateway.address, relay=relay.control)
    wire = capture_wire(proxy.address[1], rtp_ports=[gateway.media[1], (relay.rtp_ports[0], relay.rtp_ports[-1])])
    phone = desk(proxy.address, sound_s=SOUND_S, shared_media_port=media_ports == "shared")
    outcomes = sounds.call_all(phone)
    gateway.expect_success()
    check_outcomes(outcomes)
    arrived = wire.rtp(destination=gateway.media)
    assert {packet.source[1] in relay.rtp_ports for packet in arrived} == {True}
    assert sorted(heard(arrived)) == sorted(map(sounds.codes, range(10)))
    ours = {packet.source for packet in wire.rtp() if 33000 <= packet.source[1] <= 60000}
    assert len(ours) == (1 if media_ports == "shared" else 10)

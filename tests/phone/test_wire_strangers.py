"""Packets of others on the wire: tails of other streams, and a third address that sprays what it likes at our ports."""

import random
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from autodialer.media import rtcp, rtp
from autodialer.model import Disposition, EndedBy
from tests.peers import gateways, session_gateways
from tests.peers.capture import Capture, before_silence
from tests.peers.ports import LOCALHOST, wait_until
from tests.peers.scenario import ANSWER_SDP
from tests.peers.sipp import SippGateway
from tests.phone.desk import Desk
from tests.phone.test_wire_media import check_stream

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp", "tshark")]

Gateways = Callable[..., SippGateway]
Captures = Callable[..., Capture]
Desks = Callable[..., Desk]

THIRD = "127.0.0.9"
PACE_S = 0.02


class Talker:
    """Sends one stream of PCMA at the pace of a call, from a socket of its own, until it is stopped."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((LOCALHOST, 0))
        self.address: tuple[str, int] = self.socket.getsockname()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, port: int) -> None:
        self._thread = threading.Thread(target=self._run, args=((LOCALHOST, port),), daemon=True)
        self._thread.start()

    def _run(self, target: tuple[str, int]) -> None:
        ssrc, number = random.getrandbits(32), 0
        while not self._ended.wait(PACE_S):
            self.socket.sendto(rtp.pack(8, number, number * 160, ssrc, b"\xd5" * 160), target)
            number += 1

    def stop(self) -> None:
        """Idempotent."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        self.socket.close()


@pytest.fixture
def talker() -> Iterator[Talker]:
    one = Talker()
    yield one
    one.stop()


def at_port(port: int) -> Sequence[str]:
    """A session description that names a port of this machine."""
    return [line.replace("[sink_port]", str(port)) for line in ANSWER_SDP]


def test_early_media_that_goes_on_after_the_answer_does_not_take_the_sound_away(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks, talker: Talker
) -> None:
    early = at_port(talker.address[1])
    gateway = sipp_gateway(gateways.early_183(ring_ms=400, early_sdp=early), timeout_s=30)
    wire = capture_wire(gateway.address[1], rtp_ports=[gateway.media[1], talker.address[1]])
    phone = desk(gateway.address, sound_s=2.0)
    call = phone.call()
    wait_until(lambda: any("183" in one.start_line for one in gateway.messages), what="the 183")
    talker.start(call.port)
    wait_until(lambda: call.outcome is not None, what="the outcome")
    talker.stop()
    outcome = phone.outcome(call)
    gateway.expect_success()
    check_stream(wire.rtp(destination=gateway.media), 8)
    assert len(before_silence(wire.rtp(destination=gateway.media))) == 100
    assert wire.rtp(destination=talker.address) == []
    assert outcome.rtp is not None
    assert (outcome.rtp.received, outcome.rtp.one_way_audio) == (0, True)
    assert outcome.rtp.strangers >= 80


def test_the_place_that_media_moved_away_from_goes_on_talking_in_vain(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks, talker: Talker
) -> None:
    gateway = sipp_gateway(session_gateways.moves(after_ms=1500, first=at_port(talker.address[1]), then=ANSWER_SDP))
    wire = capture_wire(gateway.address[1], rtp_ports=[gateway.media[1], talker.address[1]])
    phone = desk(gateway.address, sound_s=3.0)
    call = phone.call()
    gateway.wait_for("ACK")
    talker.start(call.port)
    wait_until(lambda: call.outcome is not None, what="the outcome")
    talker.stop()
    outcome = phone.outcome(call)
    gateway.expect_success()
    (moved_at,) = [
        one.at
        for one in wire.sip()
        if one.code == 200 and one.cseq_method == "INVITE" and one.destination == gateway.address
    ]
    before, after = wire.rtp(destination=talker.address), before_silence(wire.rtp(destination=gateway.media))
    assert len(before) + len(after) == 150 and len(after) > 50
    assert before[-1].at < moved_at + 0.04
    assert outcome.rtp is not None
    # Those from before the move count, whatever the kernel kept from us; the others are a stranger's.
    talked = [packet for packet in wire.rtp(source=talker.address) if packet.at < moved_at]
    assert abs(outcome.rtp.received - len(talked)) <= 2
    assert outcome.rtp.strangers >= 50
    assert outcome.rtp.lost == 0


@contextmanager
def spray(ports: Sequence[int]) -> Iterator[list[int]]:
    """A third address sends at each port, as fast as a call: streams, key presses, noise, and RTCP beside it.

    It yields how many it has sent.
    """
    chance = random.Random(11)
    ended = threading.Event()
    sent = [0]

    def run() -> None:
        number = 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind((THIRD, 0))
            while not ended.wait(PACE_S):
                number += 1
                for port in ports:
                    for data, to in hostile(chance, number, port):
                        stranger.sendto(data, (LOCALHOST, to))
                        sent[0] += 1

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield sent
    finally:
        ended.set()
        thread.join()


def hostile(chance: random.Random, number: int, port: int) -> Iterator[tuple[bytes, int]]:
    """What a stranger thinks of in 20 ms."""
    lies = rtcp.ReportBlock(
        ssrc=chance.getrandbits(32), fraction_lost=0.9, lost=9999, highest=1, jitter=9, last_sr=1, delay_since_last_sr=1
    )
    info = rtcp.SenderInfo(ntp=1, timestamp=number, packets=number, octets=160 * number)
    yield rtp.pack(8, number, number * 160, 7, bytes(160)), port
    yield rtp.pack(0, number, number * 160, 8, bytes(160)), port
    yield rtp.pack(8, number, number * 160, 9, b""), port
    yield rtp.pack(101, number, number // 8 * 4000, 7, bytes([number // 8 % 16, 10, 0, 160])), port
    yield rtp.pack(101, chance.getrandbits(16), chance.getrandbits(32), chance.getrandbits(32), b"\x01\x8a\0\xa0"), port
    yield bytes(rtcp.Report(ssrc=7, sender=info, blocks=(lies,))) + rtcp.bye(7), port + 1
    yield bytes(rtcp.Report(ssrc=7, blocks=(lies,))), port + 1
    yield rtcp.bye(7), port + 1


@pytest.mark.parametrize("shared", [False, True], ids=["per_call", "shared"])
@pytest.mark.parametrize("speaks", [False, True], ids=["silent", "speaking"])
def test_a_third_address_that_sprays_ends_no_call_presses_no_key_and_leads_no_sound_away(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks, shared: bool, speaks: bool
) -> None:
    gateway = sipp_gateway(session_gateways.takes_offers(200), calls=3, timeout_s=40, rtp_echo=speaks)
    wire = capture_wire(gateway.address[1], rtp_ports=[gateway.media[1], (33000, 60000)])
    phone = desk(gateway.address, sound_s=3.0, shared_media_port=shared)
    calls = [phone.call(f"7916000000{number}") for number in range(3)]
    wait_until(lambda: len({call.port for call in calls}) == 3, what="a port for each call")
    with spray([call.port for call in calls]) as sent:
        wait_until(lambda: all(call.outcome is not None for call in calls), what="the outcomes", timeout_s=30)
    outcomes = [phone.outcome(call) for call in calls]
    gateway.expect_success()
    assert sent[0] > 1000
    packets = [packet for packet in wire.rtp() if packet.destination == gateway.media]
    assert len({packet.ssrc for packet in packets}) == 3
    for ssrc in {packet.ssrc for packet in packets}:
        check_stream([packet for packet in packets if packet.ssrc == ssrc], 8)
    assert [packet for packet in wire.rtp() if packet.destination[0] == THIRD] == []
    assert not [event.pressed for event in phone.events if event.pressed]
    for outcome in outcomes:
        assert (outcome.disposition, outcome.ended_by) == (Disposition.ANSWERED, EndedBy.US)
        assert (outcome.played_share, outcome.digits) == (1.0, "")
        rtp_stats = outcome.rtp
        assert rtp_stats is not None
        assert rtp_stats.remote_lost is None and rtp_stats.round_trip_ms is None
        assert (rtp_stats.received > 0.9 * rtp_stats.sent) is speaks and rtp_stats.received <= rtp_stats.sent
        assert rtp_stats.one_way_audio is not speaks
        assert rtp_stats.lost == (0 if speaks else None)
    strangers = sum(outcome.rtp.strangers for outcome in outcomes if outcome.rtp)
    assert strangers > (100 if shared else 1000), strangers

"""Ten thousand hostile datagrams at the SIP port and as many at the RTP ports while fifty calls are up."""

import queue
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import pytest

from autodialer.model import Disposition, EndedBy
from tests.peers import gateways
from tests.peers.capture import Capture, RtpPacket, before_silence
from tests.peers.ports import LOCALHOST
from tests.peers.sipp import SippGateway
from tests.phone.desk import Desk
from tests.timing import at_most

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp", "tshark")]

CALLS = 50
SOUND_S = 8.0
STRANGER = "127.0.0.9"
DATAGRAMS = 10_000
"""At the SIP port and at the RTP ports each, half of them from the gateway's address."""
SPREAD_S = 5.0
PORTION = 50
LARGEST = 65_507
"""Octets that an UDP datagram can hold."""
GAP_S = 0.035
"""Between two packets of a stream at the 99th percentile, 22 ms measured; a busy machine allowed for."""
LATENESS_S = 0.02
"""How late a timer of the phone may be at the 99th percentile."""


def flipped(source: random.Random, data: bytes) -> bytes:
    """The datagram with some bits the other way round."""
    changed = bytearray(data)
    for _ in range(source.randint(1, 8)):
        changed[source.randrange(len(changed))] ^= 1 << source.randrange(8)
    return bytes(changed)


def hostile(source: random.Random, valid: Sequence[bytes], count: int) -> Iterator[bytes]:
    """Random octets and damaged valid datagrams; a few as large as they get."""
    for number in range(count):
        if number % 1000 == 0:
            yield source.randbytes(LARGEST)
        elif number % 1000 == 1:
            yield source.choice(valid).ljust(LARGEST, b"x")
        elif source.random() < 0.5:
            yield source.randbytes(source.randrange(600))
        else:
            yield flipped(source, source.choice(valid))


def of_the_gateway(gateway: SippGateway, phone: tuple[str, int]) -> list[bytes]:
    """What the gateway said and might say: ringing for each call, its branch and tags right, and some requests."""
    ringing = [message for message in gateway.messages if message.sent and " 180 " in message.start_line]
    requests = []
    for number, message in enumerate(ringing):
        for method in ("OPTIONS", "INFO", "FROBNICATE"):
            lines = (
                f"{method} sip:{phone[0]}:{phone[1]} SIP/2.0",
                f"Via: SIP/2.0/UDP {LOCALHOST};rport;branch=z9hG4bKabuse{number}{method}",
                f"From: {message.header('To')}",
                f"To: {message.header('From')}",
                f"Call-ID: {message.header('Call-ID') if method != 'FROBNICATE' else 'abuse'}",
                f"CSeq: {number} {method}",
                "Max-Forwards: 70",
                "Content-Length: 0",
            )
            requests.append("\r\n".join((*lines, "", "")).encode())
    responses = [message.text.replace("\n", "\r\n").encode() + b"\r\n\r\n" for message in ringing]
    return [*responses, *requests]


class Flood:
    """Sends the datagrams to its targets, evenly over SPREAD_S, each from the gateway's address or from another."""

    def __init__(self, targets: Sequence[tuple[str, int]], datagrams: Iterator[bytes]) -> None:
        self.sent = 0
        self._targets = list(targets)
        self._datagrams = datagrams
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join(at_most(60))
        assert self.sent == DATAGRAMS

    def _run(self) -> None:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as strange,
        ):
            own.bind((LOCALHOST, 0))
            strange.bind((STRANGER, 0))
            began = time.monotonic()
            chance = random.Random(self.sent)
            for data in self._datagrams:
                sender = own if chance.random() < 0.5 else strange
                sender.sendto(data, self._targets[self.sent % len(self._targets)])
                self.sent += 1
                if self.sent % PORTION == 0:
                    time.sleep(max(0.0, began + SPREAD_S * self.sent / DATAGRAMS - time.monotonic()))


class Pulse:
    """A timer of the phone's loop, started again each time it fires: how late it fires."""

    STEP_S = 0.01

    def __init__(self, desk: Desk) -> None:
        self.late_s: list[float] = []
        self._desk = desk
        self._due = time.monotonic() + self.STEP_S
        desk.phone.run_later(self.STEP_S, self._beat)

    def _beat(self) -> None:
        now = time.monotonic()
        self.late_s.append(now - self._due)
        self._due = now + self.STEP_S
        self._desk.phone.run_later(self.STEP_S, self._beat)


def check_stream(packets: list[RtpPacket]) -> None:
    """Every packet of the sound, in order, in one stream."""
    assert len(before_silence(packets)) == round(SOUND_S * 50)
    assert len({packet.ssrc for packet in packets}) == 1
    for before, after in pairwise(packets):
        assert (after.sequence - before.sequence) % 0x10000 == 1
        assert (after.timestamp - before.timestamp) % 0x100000000 == 160


@pytest.mark.timeout(120)
def test_twenty_thousand_hostile_datagrams_disturb_none_of_fifty_calls(
    sipp_gateway: Callable[..., SippGateway],
    capture_wire: Callable[..., Capture],
    desk: Callable[..., Desk],
    record_property: Callable[[str, object], None],
) -> None:
    source = random.Random(20_261_123)
    gateway = sipp_gateway(gateways.answered(), calls=CALLS, timeout_s=50, rtp_echo=True)
    wire = capture_wire(rtp_ports=[gateway.media[1]])
    phone = desk(gateway.address, sound_s=SOUND_S)
    calls = [phone.call(f"7916{number:07}") for number in range(CALLS)]
    gateway.wait_for("ACK", count=CALLS)
    sip = (LOCALHOST, int(phone.phone.sip.myPort))
    ports = [(LOCALHOST, call.port) for call in calls]
    assert len(set(ports)) == CALLS
    rtp = [bytes((0x80, kind, 0, 1, 0, 0, 0, 160, 0, 0, 0, 7)) + bytes(160) for kind in (8, 8, 8, 101, 200)]
    floods = [
        Flood([sip], hostile(source, of_the_gateway(gateway, sip), DATAGRAMS)),
        Flood(ports, hostile(random.Random(2), rtp, DATAGRAMS)),
    ]
    pulse = Pulse(phone)
    for flood in floods:
        flood.start()
    for flood in floods:
        flood.join()
    late_s = sorted(pulse.late_s)
    discarded: queue.SimpleQueue[Counter[str]] = queue.SimpleQueue()
    phone.phone.sip.run(lambda user_agent, _now: discarded.put(Counter(user_agent.discarded)))
    counted = discarded.get(timeout=at_most(5))
    assert counted["start_line"] + counted["truncated"] > DATAGRAMS // 2, counted
    assert counted["unknown_host"] > 200 and counted["stray_response"] > 100, counted
    assert all(call.outcome is None for call in calls), "all calls were up all the time"
    outcomes = [phone.outcome(call, timeout_s=20) for call in calls]
    gateway.expect_success()
    for outcome in outcomes:
        assert (outcome.disposition, outcome.ended_by) == (Disposition.ANSWERED, EndedBy.US)
        assert (outcome.played_share, outcome.sip_code) == (1.0, 200)
    figures = [outcome.rtp for outcome in outcomes if outcome.rtp is not None]
    echoed = sum(rtp_stats.sent for rtp_stats in figures)
    assert 0.9 * echoed < sum(rtp_stats.received for rtp_stats in figures) <= echoed, "what was echoed and no more"
    assert sum(rtp_stats.strangers for rtp_stats in figures) > DATAGRAMS // 10
    packets = wire.rtp(destination=gateway.media)
    streams: dict[int, list[RtpPacket]] = {}
    for packet in packets:
        streams.setdefault(packet.source[1], []).append(packet)
    assert set(streams) == {port for _, port in ports}
    for stream in streams.values():
        check_stream(stream)
    gaps = sorted(after.at - before.at for stream in streams.values() for before, after in pairwise(stream))
    record_property("gap_p99_ms", gaps[len(gaps) * 99 // 100] * 1000)
    record_property("late_p99_ms", late_s[len(late_s) * 99 // 100] * 1000)
    assert gaps[len(gaps) * 99 // 100] < GAP_S
    assert len(late_s) > 100
    assert late_s[len(late_s) * 99 // 100] < LATENESS_S

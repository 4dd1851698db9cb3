"""What the kernel keeps from us, and the figures, which come out right anyway."""

import socket
import sys

import pytest

from autodialer.media import rtp
from autodialer.media.rtp import Reception
from autodialer.media.session import Stream
from autodialer.media.shell import socket_filter
from tests.peers.ports import LOCALHOST

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="classic BPF is Linux's")


@needs_linux
@pytest.mark.loopback
def test_of_one_stream_a_sample_gets_through_and_of_every_other_all() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as callee,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours,
    ):
        callee.bind((LOCALHOST, 0))
        port = callee.getsockname()[1]
        elsewhere.bind(("127.0.0.9", port))
        ours.bind((LOCALHOST, 0))
        ours.settimeout(0)
        stream = Stream(source=(LOCALHOST, port), ssrc=0xFEDCBA98, payload_type=8)
        assert socket_filter.attach(ours, stream)
        before = socket_filter.dropped(ours)
        to = ours.getsockname()
        for number in range(64):
            callee.sendto(rtp.pack(8, number, number * 160, stream.ssrc, bytes(160)), to)
        others = [
            rtp.pack(8, 1, 160, 7, bytes(160)),  # another stream
            rtp.pack(0, 1, 160, stream.ssrc, bytes(160)),  # another codec
            rtp.pack(101, 1, 160, stream.ssrc, bytes(4)),
            rtp.pack(8, 1, 160, stream.ssrc, b""),
            b"",
            b"\x01\x01" + bytes(58),
        ]
        for data in others:
            callee.sendto(data, to)
        for number in range(64):
            elsewhere.sendto(rtp.pack(8, number, number * 160, stream.ssrc, bytes(160)), to)
        came = received(ours)
        after = socket_filter.dropped(ours)
        assert before is not None and after is not None and after - before == 62
        assert [packet.sequence for data in came[:2] if (packet := rtp.parse(data))] == [0, 32]
        assert came[2:8] == others and len(came) == 72
        socket_filter.detach(ours)
        for number in range(1, 20):
            callee.sendto(rtp.pack(8, number, number * 160, stream.ssrc, bytes(160)), to)
        assert len(received(ours)) == 19


def received(ours: socket.socket) -> list[bytes]:
    """What has come."""
    came = []
    while True:
        try:
            came.append(ours.recv(2048))
        except BlockingIOError:
            return came


@needs_linux
@pytest.mark.loopback
def test_one_audio_packet_in_32_and_everything_else_gets_through_and_the_rest_is_counted() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as callee,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours,
    ):
        ours.bind((LOCALHOST, 0))
        ours.settimeout(0)
        assert socket_filter.attach(ours)
        before = socket_filter.dropped(ours)
        for payload_type in (0, 8):
            for number in range(320):
                callee.sendto(rtp.pack(payload_type, number, number * 160, 1, bytes(160)), ours.getsockname())
        press = [rtp.pack(101, number, 0, 1, bytes(4)) for number in range(10)]
        stun, report = b"\x01\x01" + bytes(18), bytes([0x80, 200]) + bytes(26)
        for data in (*press, stun, report):
            callee.sendto(data, ours.getsockname())
        came = received(ours)
        after = socket_filter.dropped(ours)
    assert before is not None and after is not None and after - before == 620
    audio = [packet for data in came[:20] if (packet := rtp.parse(data))]
    assert [packet.sequence for packet in audio] == [*range(0, 320, 32)] * 2
    assert came[20:] == [*press, stun, report]


def sampled(sent: int, lost: set[int]) -> Reception:
    """A receiver that saw the packets with a number that 32 divides, of those that were not lost."""
    reception = Reception()
    held_back = 0
    for number in range(sent):
        if number % 32 and number not in lost:
            held_back += 1
        elif number not in lost:
            packet = rtp.parse(rtp.pack(8, number, number * 160, 1, bytes(160)))
            assert packet is not None
            reception.take(packet, number * 0.02)
            reception.note_held_back(held_back)
    return reception


@pytest.mark.parametrize("sent", [33, 64, 500, 3000])
@pytest.mark.parametrize("lost", [set(), {5, 7, 9, 20, 31}, set(range(40, 60)), {64, 96, 1, 2}])
def test_loss_is_told_from_the_span_of_numbers_and_the_drop_count(sent: int, lost: set[int]) -> None:
    lost = {number for number in lost if number < sent - 1}
    reception = sampled(sent, lost)
    arrived = sent - len(lost)
    received, missing = reception.figures((sent - 1) * 0.02, arrived - reception.received)
    assert received == arrived
    last_seen = max(number for number in range(0, sent, 32) if number not in lost)
    assert missing == len([number for number in lost if number < last_seen])


def test_without_a_filter_the_figures_are_exact() -> None:
    reception = Reception()
    for number in (1, 2, 4, 8):
        packet = rtp.parse(rtp.pack(8, number, number * 160, 1, bytes(160)))
        assert packet is not None
        reception.take(packet, number * 0.02)
    assert reception.figures(1.0, 0) == (4, 4)
    assert Reception().figures(1.0, 0) == (0, None)


def test_of_a_sample_that_nobody_counts_the_received_are_told_and_the_loss_is_not_known() -> None:
    reception = Reception()
    for number in [*range(40), *range(64, 640, 32)]:
        if number == 40 - 1:
            reception.sample(32)
        if number == 5:
            continue
        packet = rtp.parse(rtp.pack(8, number, number * 160, 1, bytes(160)))
        assert packet is not None
        reception.take(packet, number * 0.02)
    assert reception.figures(619 * 0.02, 0) == (619, None)
    assert Reception().figures(1.0, 0) == (0, None)

"""RTP packets, and loss and jitter by RFC 3550 appendix A."""

import random
from dataclasses import replace

import pytest

from autodialer.media import rtp
from autodialer.media.rtp import Reception, RtpPacket

HEADER = bytes.fromhex("8008 1234 00000140 deadbeef")


def packet(sequence: int, *, timestamp: int | None = None, ssrc: int = 1) -> RtpPacket:
    return RtpPacket(
        payload_type=8,
        sequence=sequence & 0xFFFF,
        timestamp=(sequence * 160 if timestamp is None else timestamp) & 0xFFFFFFFF,
        ssrc=ssrc,
        marker=False,
        payload=b"",
    )


def test_a_packet_is_packed_as_figure_1_of_rfc_3550_says() -> None:
    assert rtp.pack(8, 0x1234, 320, 0xDEADBEEF, b"ab") == HEADER + b"ab"
    assert rtp.pack(0, 0x10001, 2**32 + 1, 0, b"", marker=True) == bytes.fromhex("8080 0001 00000001 00000000")


def test_what_is_packed_is_parsed_to_the_same() -> None:
    assert rtp.parse(rtp.pack(8, 65535, 2**32 - 1, 7, b"xyz", marker=True)) == RtpPacket(
        payload_type=8, sequence=65535, timestamp=2**32 - 1, ssrc=7, marker=True, payload=b"xyz"
    )


PAYLOADS = [
    ("plain", HEADER + b"ab", b"ab"),
    ("no payload", HEADER, b""),
    ("two CSRCs", b"\x82" + HEADER[1:] + bytes(8) + b"ab", b"ab"),
    ("an extension of two words", b"\x90" + HEADER[1:] + bytes.fromhex("bede0002") + bytes(8) + b"ab", b"ab"),
    ("an empty extension", b"\x90" + HEADER[1:] + bytes.fromhex("bede0000") + b"ab", b"ab"),
    ("padding", b"\xa0" + HEADER[1:] + b"ab\x00\x00\x03", b"ab"),
    ("nothing but padding", b"\xa0" + HEADER[1:] + b"\x00\x02", b""),
    (
        "CSRC, extension and padding",
        b"\xb1" + HEADER[1:] + bytes(4) + bytes.fromhex("00000001") + bytes(4) + b"a\x01",
        b"a",
    ),
]


@pytest.mark.parametrize(("data", "payload"), [row[1:] for row in PAYLOADS], ids=[row[0] for row in PAYLOADS])
def test_the_payload_is_found_behind_every_kind_of_header(data: bytes, payload: bytes) -> None:
    parsed = rtp.parse(data)
    assert parsed is not None
    assert (parsed.payload, parsed.sequence, parsed.timestamp) == (payload, 0x1234, 320)


NO_RTP = [
    ("empty", b""),
    ("CRLF keep-alive", b"\r\n\r\n"),
    ("a short header", HEADER[:11]),
    ("version 1", b"\x40" + HEADER[1:]),
    ("STUN", bytes.fromhex("000100002112a442") + bytes(12)),
    ("RTCP sender report", b"\x80\xc8" + bytes(26)),
    ("RTCP BYE", b"\x81\xcb" + bytes(10)),
    ("CSRCs that are not there", b"\x8f" + HEADER[1:]),
    ("an extension cut in its head", b"\x90" + HEADER[1:] + b"\xbe\xde"),
    ("an extension longer than the packet", b"\x90" + HEADER[1:] + bytes.fromhex("bedeffff")),
    ("more padding than payload", b"\xa0" + HEADER[1:] + b"\xff"),
]


@pytest.mark.parametrize("data", [row[1] for row in NO_RTP], ids=[row[0] for row in NO_RTP])
def test_what_is_no_rtp_gives_none(data: bytes) -> None:
    assert rtp.parse(data) is None


def test_no_datagram_whatever_raises() -> None:
    source = random.Random(3550)
    for _ in range(3000):
        rtp.parse(source.randbytes(source.randrange(40)))
        rtp.parse(bytes([0x80 | source.randrange(64)]) + source.randbytes(source.randrange(40)))


@pytest.mark.parametrize(
    ("sequences", "lost"),
    [
        pytest.param([1, 2, 3], 0, id="in order"),
        pytest.param([1, 2, 5], 2, id="two lost"),
        pytest.param([1, 3, 2, 4], 0, id="reordered"),
        pytest.param([65534, 65535, 0, 1], 0, id="the number wraps"),
        pytest.param([65534, 1], 2, id="lost where the number wraps"),
        pytest.param([65534, 0, 65535, 1], 0, id="reordered where the number wraps"),
        pytest.param([1, 2, 2, 2, 3], 0, id="repeated packets make no negative loss"),
        pytest.param([1, 2, 20000, 3, 4], 0, id="one stray number"),
        pytest.param([1, 2, 4, 20000, 20001, 20003], 2, id="a restart keeps the loss before it"),
        pytest.param([9000, 9001, 5, 6, 7], 0, id="a restart with a lower number"),
    ],
)
def test_lost_packets_are_counted_by_sequence_number(sequences: list[int], lost: int) -> None:
    reception = Reception()
    for number in sequences:
        reception.take(packet(number), 0.0)
    assert (reception.lost, reception.received) == (lost, len(sequences))


def test_a_long_call_is_counted_over_many_wraps() -> None:
    reception = Reception()
    for number in range(0, 200_000, 2):
        reception.count(packet(number))
    assert reception.lost == 99_999


def test_a_new_source_starts_anew_and_keeps_what_was_lost() -> None:
    reception = Reception()
    for heard in (packet(1), packet(3), packet(50000, ssrc=2), packet(50001, ssrc=2)):
        reception.take(heard, 0.0)
    assert (reception.lost, reception.received) == (1, 4)


def test_nothing_received_means_nothing_known() -> None:
    reception = Reception()
    assert (reception.received, reception.lost, reception.jitter_ms) == (0, None, None)


def test_packets_on_time_have_no_jitter() -> None:
    reception = Reception()
    for number in range(100):
        reception.take(packet(number), 5.0 + number * 0.02)
    assert reception.jitter_ms == pytest.approx(0, abs=1e-6)


def test_jitter_approaches_the_mean_difference_of_transit_times() -> None:
    reception = Reception()
    for number in range(500):  # every other packet 10 ms late: |D| is 10 ms each time
        reception.take(packet(number), number * 0.02 + (0.01 if number % 2 else 0))
    assert reception.jitter_ms == pytest.approx(10, abs=0.01)


def test_the_first_step_of_jitter_is_a_sixteenth() -> None:
    reception = Reception()
    reception.take(packet(0), 0.0)
    reception.take(packet(1), 0.02 + 0.016)
    assert reception.jitter_ms == pytest.approx(1)


def test_a_timestamp_that_wraps_is_no_jitter() -> None:
    reception = Reception()
    for number in range(10):
        reception.take(packet(number, timestamp=2**32 - 800 + number * 160), number * 0.02)
    assert reception.jitter_ms == pytest.approx(0, abs=1e-6)


def test_a_timestamp_started_anew_is_no_jitter() -> None:
    reception = Reception()
    for number in range(10):
        reception.take(packet(number, timestamp=number * 160 + (10**9 if number >= 5 else 0)), number * 0.02)
    assert reception.jitter_ms == pytest.approx(0, abs=1e-6)


def stream(ptime_ms: int, count: int, *, start: int = 100) -> list[tuple[RtpPacket, float]]:
    """Packets of so many ms on time, with when they arrive."""
    return [
        (packet(start + index, timestamp=index * ptime_ms * 8), 5.0 + index * ptime_ms / 1000) for index in range(count)
    ]


@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 40, 60])
def test_whatever_a_packet_holds_there_is_no_jitter_and_what_is_held_back_is_told(ptime_ms: int) -> None:
    reception = Reception()
    packets = stream(ptime_ms, 1000)
    seen = [(one, at) for index, (one, at) in enumerate(packets) if index < 50 or one.sequence % 32 == 0]
    for one, at in seen:
        reception.take(one, at)
    held_back = len(packets) - len(seen)
    # The packets after the last seen packet came, too.
    after_last = packets[-1][0].sequence - seen[-1][0].sequence
    reception.note_held_back(held_back - after_last)
    assert reception.jitter_ms == pytest.approx(0, abs=0.01)
    assert reception.figures(packets[-1][1], held_back) == (1000, 0)
    # A hundred that the wire lost are neither seen nor held back.
    reception.note_held_back(held_back - after_last - 100)
    assert reception.figures(packets[-1][1], held_back - 100) == (900, 100)


def test_a_silence_with_comfort_noise_is_neither_loss_nor_jitter() -> None:
    reception = Reception()
    sequence, timestamp, now = 0, 0, 1.0
    for _ in range(20):
        for index in range(50):
            reception.take(replace(packet(sequence, timestamp=timestamp), marker=index == 0), now)
            sequence, timestamp, now = sequence + 1, timestamp + 160, now + 0.02
        for _ in range(3):
            reception.take(replace(packet(sequence, timestamp=timestamp), payload_type=13), now)
            sequence, timestamp, now = sequence + 1, timestamp + 160 * 20, now + 0.4
    assert (reception.received, reception.lost) == (20 * 53, 0)
    assert reception.jitter_ms == pytest.approx(0, abs=0.01)


def test_a_sender_whose_timestamps_stand_still_in_silence_has_no_jitter_of_it() -> None:
    reception = Reception()
    for index in range(100):
        late = 0.7 if index >= 50 else 0.0
        reception.take(replace(packet(index), marker=index == 50), 1.0 + index * 0.02 + late)
    assert reception.jitter_ms == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("silent_for_s", [0.0, 0.3, 0.6, 30.0])
@pytest.mark.parametrize("count", [200, 215, 1000])
def test_a_callee_that_falls_silent_while_most_is_held_back_has_lost_nothing(count: int, silent_for_s: float) -> None:
    reception = Reception()
    packets = stream(20, count)
    held_back = 0
    for index, (one, at) in enumerate(packets):
        if index < 50 or one.sequence % 32 == 0:
            reception.take(one, at)
            reception.note_held_back(held_back)
        else:
            held_back += 1
    assert reception.figures(packets[-1][1] + silent_for_s, held_back) == (count, 0)


def test_packets_with_nothing_in_them_are_not_received_and_not_missing() -> None:
    reception = Reception()
    reception.pass_over(packet(1))
    for number in (2, 3, 5):
        reception.take(packet(number), number * 0.02)
    reception.pass_over(packet(4))
    reception.pass_over(packet(6))
    reception.pass_over(packet(90, ssrc=2))
    reception.take(packet(8), 0.16)
    assert (reception.received, reception.lost) == (4, 1)


def test_a_span_that_ends_keeps_its_figures_and_what_comes_then_is_counted_anew() -> None:
    reception = Reception()
    for number in range(0, 97, 32):
        reception.take(packet(number), number * 0.02)
        reception.note_held_back(number - number // 32 - 5 * (number >= 64))
    # Ten more came and were not seen.
    reception.end_span(97 - 4 - 5 + 10)
    assert reception.figures(3.0, 0) == (97 - 5 + 10, 5)
    for number in (200, 201, 203):
        reception.take(packet(number), number * 0.02)
    assert reception.figures(5.0, 0) == (97 - 5 + 10 + 3, 6)

"""Telephone-events as senders send them, lost and repeated packets and all."""

import struct

import pytest

from autodialer.media.dtmf import EVENTS, DigitReceiver
from autodialer.media.rtp import RtpPacket

Wire = tuple[int, int, int, bool, bool]
"""Timestamp, event, duration, end bit, marker."""


def event_packet(timestamp: int, event: int, duration: int, end: bool, marker: bool, *, ssrc: int = 1) -> RtpPacket:
    return RtpPacket(
        payload_type=101,
        sequence=0,
        timestamp=timestamp & 0xFFFFFFFF,
        ssrc=ssrc,
        marker=marker,
        payload=struct.pack("!BBH", event, (0x80 if end else 0) | 10, duration),
    )


def press(timestamp: int, event: int, *, packets: int = 4, ends: int = 3) -> list[Wire]:
    """One press as RFC 4733 section 2.5.1 has it: updates each 20 ms, then the end three times."""
    updates = [(timestamp, event, 160 * (n + 1), False, n == 0) for n in range(packets)]
    return updates + [(timestamp, event, 160 * packets, True, False)] * ends


def told(packets: list[Wire]) -> str:
    receiver = DigitReceiver()
    return "".join(receiver.take(event_packet(*wire)) or "" for wire in packets)


CASES = [
    ("one press", press(1000, 5), "5"),
    ("ends lost", press(1000, 5, ends=0), "5"),
    ("only one end came", press(1000, 5)[-1:], "5"),
    ("two presses of one key", press(1000, 5) + press(3000, 5), "55"),
    ("two presses of one key, all ends lost", press(1000, 5, ends=0) + press(3000, 5), "55"),
    ("two presses of one key, ends and the second's marker lost", press(1000, 5, ends=0) + press(3000, 5)[1:], "55"),
    ("two keys at once", press(1000, 1) + press(1640, 2), "12"),
    (
        "an end that comes after the next press has begun",
        [*press(1000, 1)[:-1], *press(3000, 2), press(1000, 1)[-1]],
        "12",
    ),
    ("a start that comes last", [*press(1000, 1)[1:], press(1000, 1)[0]], "1"),
    ("the timestamp wraps", press(2**32 - 300, 7) + press(2000, 7), "77"),
    (
        "longer than 8.19 s, so in two segments",
        [
            (0, 3, 160, False, True),
            (0, 3, 0xFFFF, False, False),
            (0xFFFF, 3, 800, False, False),
            (0xFFFF, 3, 900, True, False),
        ],
        "3",
    ),
    (
        "longer than 8.19 s, and the packets around the change of segments are lost",
        [(0, 3, 160, False, True), (0, 3, 64_000, False, False), (0xFFFF, 3, 4000, False, False)],
        "3",
    ),
    (
        "a long press with its end, then the same key again, its marker lost",
        [(0, 3, 160, False, True), (0, 3, 64_000, True, False), (0xFFFF, 3, 320, False, False)],
        "33",
    ),
    (
        "updates in any order, the start among the last",
        [press(1000, 8)[number] for number in (2, 4, 0, 6, 1, 3, 5)],
        "8",
    ),
    (
        "two presses whose packets are shuffled into one another",
        [(press(1000, 8) + press(2600, 8))[number] for number in (0, 1, 7, 2, 8, 3, 9, 4, 5, 10, 6, 11, 12, 13)],
        "88",
    ),
    ("only the last of three ends came, twice", [press(1000, 9)[-1]] * 2, "9"),
    (
        "a sender that moves the timestamp with every packet",
        [(160 * n, 3, 160 * (n + 1), n > 4, n == 0) for n in range(8)],
        "3",
    ),
    ("events that are no keys", [(0, 16, 160, False, True), (500, 70, 160, False, True)], ""),
]


@pytest.mark.parametrize(("packets", "digits"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_each_press_is_told_once(packets: list[Wire], digits: str) -> None:
    assert told(packets) == digits


def test_all_sixteen_keys_are_told_by_their_names() -> None:
    assert told([wire for event in range(16) for wire in press(2000 * event, event)]) == EVENTS == "0123456789*#ABCD"


@pytest.mark.parametrize("payload", [b"", b"\x05", b"\x05\x0a\x00", b"\xff\xff\xff\xff"])
def test_a_payload_that_is_no_event_is_ignored(payload: bytes) -> None:
    odd = RtpPacket(payload_type=101, sequence=0, timestamp=0, ssrc=1, marker=False, payload=payload)
    assert DigitReceiver().take(odd) is None


def test_events_sent_in_one_packet_with_more_behind_them_are_read() -> None:
    redundant = RtpPacket(
        payload_type=101, sequence=0, timestamp=0, ssrc=1, marker=True, payload=b"\x09\x0a\x00\xa0" * 2
    )
    assert DigitReceiver().take(redundant) == "9"


def test_the_same_press_from_a_new_source_is_a_new_press() -> None:
    receiver = DigitReceiver()
    digits = [receiver.take(event_packet(0, 1, 160, False, False, ssrc=ssrc)) for ssrc in (1, 2)]
    assert digits == ["1", "1"]

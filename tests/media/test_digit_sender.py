"""Digits of ours as telephone-events, step by step."""

from itertools import pairwise

import pytest

from autodialer.media import rtp
from autodialer.media.digit_sender import DIGIT_PERIODS, DigitSender, EventNumbers
from autodialer.media.dtmf import EVENTS
from autodialer.media.rtp import RtpPacket
from autodialer.media.session import FRAME, Session

NUMBERS = EventNumbers(payload_type=101, ssrc=7)


def turns(digits: str, *, sequence: int = 65_530, timestamp: int = 2**32 - 300) -> tuple[DigitSender, list[RtpPacket]]:
    sender = DigitSender(digits, NUMBERS, sequence=sequence, timestamp=timestamp)
    packets = []
    for _ in range(DIGIT_PERIODS * len(digits)):
        assert not sender.done
        packets.append(sender.next_packet())
    assert sender.done
    return sender, [packet for data in packets if data is not None and (packet := rtp.parse(data)) is not None]


def fields(packet: RtpPacket) -> tuple[str, bool, int]:
    """Digit, end bit, duration."""
    return EVENTS[packet.payload[0]], bool(packet.payload[1] & 0x80), int.from_bytes(packet.payload[2:])


def test_a_digit_has_one_timestamp_the_marker_first_a_growing_duration_and_three_ends() -> None:
    sender, packets = turns("5", sequence=10, timestamp=1000)
    assert [fields(packet) for packet in packets] == [
        *(("5", False, 160 * n) for n in range(1, 8)),
        *[("5", True, 1280)] * 3,
    ]
    assert {packet.timestamp for packet in packets} == {1000}
    assert [packet.marker for packet in packets] == [True, *[False] * 9]
    assert [packet.sequence for packet in packets] == list(range(10, 20))
    assert {(packet.payload_type, packet.ssrc) for packet in packets} == {(101, 7)}
    assert (sender.sequence, sender.timestamp) == (20, 1000 + FRAME * DIGIT_PERIODS)


def test_digits_follow_one_another_after_a_pause_and_the_numbers_wrap() -> None:
    sender, packets = turns("12#A")
    starts = [packet for packet in packets if packet.marker]
    assert [fields(packet)[0] for packet in starts] == ["1", "2", "#", "A"]
    for before, after in pairwise(starts):
        assert (after.timestamp - before.timestamp) % 2**32 == FRAME * DIGIT_PERIODS
    for before, after in pairwise(packets):
        assert (after.sequence - before.sequence) % 2**16 == 1
    assert sender.sent == len(packets) == 40


def test_digits_that_are_added_meanwhile_come_after_the_others() -> None:
    sender = DigitSender("1", NUMBERS, sequence=0, timestamp=0)
    sender.next_packet()
    sender.add("2")
    assert sender.unbegun == "2"
    packets = [rtp.parse(data) for _ in range(2 * DIGIT_PERIODS - 1) if (data := sender.next_packet()) is not None]
    assert sender.done and sender.unbegun == ""
    assert len(packets) == 19


def test_what_is_no_key_is_refused() -> None:
    with pytest.raises(ValueError, match="not found"):
        DigitSender("1x", NUMBERS, sequence=0, timestamp=0)


def playing(**changes: object) -> Session:
    session = Session()
    options: dict[str, object] = {
        "remote": ("192.0.2.9", 4000),
        "codec": "PCMA",
        "payload_type": 8,
        "codes": bytes(10 * FRAME),
        "telephone_event_pt": 101,
        "lead_in_ms": 0,
    }
    session.play(**(options | changes))  # type: ignore[arg-type]
    return session


def test_the_sound_goes_on_with_the_next_numbers_and_a_marker() -> None:
    session = playing()
    before = session.position()
    sender = session.begin_digits("7", now=5.0)
    for _ in range(DIGIT_PERIODS):
        sender.next_packet()
    session.end_digits(sender, now=5.28)
    after = session.position()
    assert (after.sequence - before.sequence) % 2**16 == 10
    assert (after.timestamp - before.timestamp) % 2**32 == FRAME * DIGIT_PERIODS
    assert after.marker
    assert session.segment()[1:] == (0, 10)
    assert session.stats(6.0).sent == 10
    assert session.played_frames == 0


def test_without_a_sound_the_timestamp_of_the_next_digit_has_counted_on() -> None:
    session = playing(codes=b"")
    session.end_digits(session.begin_digits("7", now=9.0), now=10.0)
    before = session.position().timestamp
    second = session.begin_digits("7", now=11.0)
    assert (second.timestamp - before) % 2**32 == 50 * FRAME


def test_digits_that_an_interruption_left_unsent_wait_and_the_begun_one_does_not() -> None:
    session = playing()
    sender = session.begin_digits("123", now=0.0)
    sender.next_packet()
    session.end_digits(sender, now=0.02)
    assert session.unsent_digits == "23"


def test_no_digits_before_the_answer_on_hold_or_without_telephone_events() -> None:
    assert not Session().takes_digits
    assert not playing(telephone_event_pt=None).takes_digits
    session = playing()
    assert session.takes_digits
    session.hold(1.0)
    assert not session.takes_digits

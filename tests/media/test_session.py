"""What one call sends and counts; no socket, no clock."""

import random

import pytest

from autodialer.media import rtp
from autodialer.media.deck import Deck
from autodialer.media.rtp import RtpPacket
from autodialer.media.session import FRAME, Session, SessionStats

REMOTE = ("192.0.2.1", 4000)
SOUND = bytes(n % 251 for n in range(3 * FRAME))


def playing(
    codes: bytes = SOUND, *, codec: str = "PCMA", payload_type: int = 8, lead_in_ms: int = 0, seed: int | None = 1
) -> Session:
    session = Session(random.Random(seed) if seed is not None else None)
    session.play(
        remote=REMOTE,
        codec=codec,
        payload_type=payload_type,
        codes=codes,
        telephone_event_pt=101,
        lead_in_ms=lead_in_ms,
    )
    return session


def deal(session: Session) -> Deck[None]:
    """A deck with the session in it."""
    deck: Deck[None] = Deck()
    deck.add(session, None)
    return deck


def leave(session: Session, *, left: bool = True) -> RtpPacket:
    """The next packet, which leaves, or cannot."""
    deck = deal(session)
    packet = rtp.parse(deck.packet(0))
    assert packet is not None
    deck.advance([] if left else [0])
    deck.remove(session)
    return packet


def send_all(session: Session, *, left: bool = True) -> list[RtpPacket]:
    packets = []
    deck = deal(session)
    over = False
    while not over:
        packet = rtp.parse(deck.packet(0))
        assert packet is not None
        packets.append(packet)
        over = bool(deck.advance([] if left else [0]))
    deck.remove(session)
    return packets


def test_the_first_packet_carries_the_first_160_codes_and_the_marker() -> None:
    first, *rest = send_all(playing())
    assert (first.payload, first.marker, first.payload_type) == (SOUND[:160], True, 8)
    assert not any(packet.marker for packet in rest)


def test_the_packets_together_are_the_sound() -> None:
    assert b"".join(packet.payload for packet in send_all(playing())) == SOUND


@pytest.mark.parametrize(("codec", "silence"), [("PCMA", 0xD5), ("PCMU", 0xFF)])
def test_a_last_part_of_a_packet_is_filled_with_the_silence_of_the_codec(codec: str, silence: int) -> None:
    packets = send_all(playing(SOUND[:161], codec=codec))
    assert [len(packet.payload) for packet in packets] == [160, 160]
    assert packets[1].payload == SOUND[160:161] + bytes([silence]) * 159


def test_sequence_and_timestamp_go_on_packet_by_packet_and_the_source_stays() -> None:
    packets = send_all(playing())
    first = packets[0]
    for number, packet in enumerate(packets):
        assert packet.sequence == (first.sequence + number) % 2**16
        assert packet.timestamp == (first.timestamp + 160 * number) % 2**32
        assert packet.ssrc == first.ssrc


class Top(random.Random):
    """Draws the largest number there is."""

    def getrandbits(self, k: int, /) -> int:
        return 2**k - 1


def test_sequence_and_timestamp_wrap_around() -> None:
    session = Session(Top())
    session.play(remote=REMOTE, codec="PCMA", payload_type=8, codes=SOUND, telephone_event_pt=None, lead_in_ms=0)
    packets = send_all(session)
    assert [packet.sequence for packet in packets] == [65535, 0, 1]
    assert [packet.timestamp for packet in packets] == [2**32 - 1, 159, 319]


def test_every_call_starts_with_numbers_of_its_own() -> None:
    firsts = [send_all(playing(seed=None))[0] for _ in range(20)]
    assert len({packet.ssrc for packet in firsts}) == 20
    assert len({packet.timestamp for packet in firsts}) == 20
    assert len({packet.sequence for packet in firsts}) > 15


@pytest.mark.parametrize(("lead_in_ms", "frames"), [(0, 0), (1, 1), (20, 1), (300, 15), (310, 16)])
def test_silence_leads_in_and_is_not_counted_as_played(lead_in_ms: int, frames: int) -> None:
    session = playing(lead_in_ms=lead_in_ms)
    packets = send_all(session)
    assert [packet.payload for packet in packets[:frames]] == [b"\xd5" * 160] * frames
    assert b"".join(packet.payload for packet in packets[frames:]) == SOUND
    assert packets[0].marker
    assert session.stats(0.0) == SessionStats(sent=frames + 3, played_frames=3)


def test_a_packet_counts_only_once_it_has_left() -> None:
    session = playing()
    deck = deal(session)
    assert deck.packet(0)
    assert deck.played_frames(session) == 0
    deck.advance([])
    assert deck.played_frames(session) == 1
    deck.remove(session)
    assert session.stats(0.0) == SessionStats(sent=1, played_frames=1)


def test_a_packet_that_cannot_leave_is_not_counted_and_leaves_a_gap_in_the_numbers() -> None:
    session = playing()
    lost = leave(session, left=False)
    packets = send_all(session)
    assert packets[0].sequence == (lost.sequence + 1) % 2**16
    assert packets[0].payload == SOUND[160:320]
    assert packets[0].marker, "the marker goes on the first packet that leaves"
    assert session.stats(0.0) == SessionStats(sent=2, played_frames=2)


def test_a_dead_network_ends_the_sound_with_nothing_played() -> None:
    session = playing()
    assert len(send_all(session, left=False)) == 3
    assert session.stats(0.0) == SessionStats(sent=0, played_frames=0)


def test_before_the_answer_and_without_a_sound_nothing_is_sent() -> None:
    assert not Session().playing
    assert not playing(b"", lead_in_ms=500).playing


def incoming(
    sequence: int, payload_type: int = 8, payload: bytes = b"\xd5" * 160, *, timestamp: int | None = None
) -> bytes:
    return rtp.pack(payload_type, sequence, sequence * 160 if timestamp is None else timestamp, 99, payload)


def test_what_comes_before_the_answer_is_early_media_and_not_counted() -> None:
    session = Session()
    assert session.receive(incoming(1), REMOTE, 0.0) is None
    assert session.stats(0.0).received == 0


def test_received_lost_and_jitter_are_told_after_the_answer() -> None:
    session = playing()
    for number in (1, 2, 4):
        session.receive(incoming(number), REMOTE, number * 0.02)
    stats = session.stats(0.0)
    assert (stats.received, stats.lost, stats.discarded) == (3, 1, 0)
    assert stats.jitter_ms == pytest.approx(0, abs=1e-6)


def test_a_call_that_hears_nothing_back_can_be_told_by_received_being_zero() -> None:
    session = playing()
    send_all(session)
    stats = session.stats(0.0)
    assert (stats.received, stats.lost, stats.jitter_ms) == (0, None, None)


def test_garbage_is_counted_and_changes_nothing_else() -> None:
    session = playing()
    source = random.Random(7)
    garbage = [b"", b"\0", b"\r\n", b"INVITE sip:x SIP/2.0\r\n", source.randbytes(1400)[1:], bytes(2000)]
    for data in garbage:
        assert session.receive(data, REMOTE, 0.0) is None
    stats = session.stats(0.0)
    assert stats.received + stats.discarded == len(garbage) and stats.discarded >= 5


def test_a_key_press_is_told_once_and_is_no_jitter() -> None:
    session = playing()
    session.receive(incoming(1), REMOTE, 0.02)
    digits = [
        session.receive(incoming(n, 101, bytes([5, 10, 0, 160]), timestamp=160), REMOTE, n * 0.02) for n in (2, 3, 4)
    ]
    session.receive(incoming(5), REMOTE, 0.1)
    stats = session.stats(0.0)
    assert digits == ["5", None, None]
    assert (stats.received, stats.lost) == (5, 0)
    assert stats.jitter_ms == pytest.approx(0, abs=1e-6)


def test_events_of_a_payload_type_nobody_agreed_on_are_no_digits() -> None:
    session = Session()
    session.play(remote=REMOTE, codec="PCMA", payload_type=8, codes=SOUND, telephone_event_pt=None, lead_in_ms=0)
    assert session.receive(incoming(1, 101, bytes([5, 10, 0, 160])), REMOTE, 0.0) is None


def test_a_hold_stops_the_sound_and_a_move_goes_on_where_it_stood() -> None:
    session = playing()
    first = leave(session)
    session.hold(100.0)
    assert not session.playing and not session.ended
    session.hold(100.5)
    session.move(101.0, remote=("192.0.2.8", 4), codec="PCMA", payload_type=8, codes=SOUND, telephone_event_pt=None)
    second = leave(session)
    assert second.payload == SOUND[160:320] and second.marker and not leave(session).marker
    assert second.sequence == (first.sequence + 1) & 0xFFFF and second.ssrc == first.ssrc
    assert (second.timestamp - first.timestamp) & 0xFFFFFFFF == 160 + 8000
    assert session.remote == ("192.0.2.8", 4) and session.played_frames == 3


def test_a_stream_that_only_moves_has_no_gap_in_its_numbers() -> None:
    session = playing()
    first = leave(session)
    session.move(1.0, remote=("192.0.2.8", 4), codec="PCMU", payload_type=0, codes=SOUND, telephone_event_pt=96)
    second = leave(session)
    assert (second.timestamp - first.timestamp) & 0xFFFFFFFF == 160 and not second.marker
    assert second.payload_type == 0 and second.payload == SOUND[160:320]


def test_a_sound_that_is_repeated_begins_anew_without_its_lead_in_and_counts_once() -> None:
    session = playing(lead_in_ms=40)
    first = [leave(session) for _ in range(4)]
    session.repeat()
    second = leave(session)
    assert (second.payload, second.marker) == (SOUND[:160], False)
    assert second.sequence == (first[-1].sequence + 1) & 0xFFFF
    assert (second.timestamp - first[-1].timestamp) & 0xFFFFFFFF == 160
    stats = session.stats(1.0)
    assert (stats.sent, stats.played_frames, stats.played_before) == (5, 2, 2)
    send_all(session)
    stats = session.stats(2.0)
    frames = -(-len(SOUND) // 160)
    assert (stats.played_frames, stats.sent) == (frames, 2 + 2 + frames)
    assert session.repeats == 1


@pytest.mark.parametrize(("codec", "silence"), [("PCMA", 0xD5), ("PCMU", 0xFF)])
def test_silence_follows_the_sound_packet_by_packet_and_is_not_counted_as_played(codec: str, silence: int) -> None:
    session = playing(codec=codec, lead_in_ms=20)
    last = send_all(session)[-1]
    assert session.ended and session.playing and not session.sounding
    for number in range(1, 200):
        packet = leave(session)
        assert packet.payload == bytes([silence]) * 160 and not packet.marker
        assert packet.sequence == (last.sequence + number) & 0xFFFF
        assert (packet.timestamp - last.timestamp) & 0xFFFFFFFF == 160 * number
        assert session.stats(0.0) == SessionStats(sent=4 + number, played_frames=3)
    leave(session, left=False)
    assert session.stats(0.0) == SessionStats(sent=4 + 199, played_frames=3)


def test_a_repeat_in_the_silence_after_the_sound_goes_on_with_the_next_numbers() -> None:
    session = playing()
    send_all(session)
    last = [leave(session) for _ in range(5)][-1]
    session.repeat()
    again = leave(session)
    assert again.payload == SOUND[:160] and not again.marker
    assert again.sequence == (last.sequence + 1) & 0xFFFF
    assert (again.timestamp - last.timestamp) & 0xFFFFFFFF == 160
    assert session.played_frames == len(send_all(session)) + 1
    assert [leave(session).payload for _ in range(2)] == [b"\xd5" * 160] * 2
    assert session.stats(0.0) == SessionStats(sent=3 + 5 + 3 + 2, played_frames=3, played_before=3)


def test_the_silence_after_the_sound_goes_on_where_the_callee_moves_and_pauses_with_a_hold() -> None:
    session = playing()
    send_all(session)
    last = leave(session)
    session.hold(10.0)
    assert not session.playing
    session.move(12.0, remote=REMOTE, codec="PCMU", payload_type=0, codes=SOUND, telephone_event_pt=101)
    again = leave(session)
    assert (again.payload, again.payload_type, again.marker) == (b"\xff" * 160, 0, True)
    assert (again.timestamp - last.timestamp) & 0xFFFFFFFF == 160 + 2 * 8000


def test_a_repeat_that_is_cut_off_leaves_the_most_that_was_heard_in_one_go() -> None:
    session = playing()
    send_all(session)
    frames = session.played_frames
    session.repeat()
    leave(session)
    assert session.played_frames == frames
    assert session.stats(1.0).without_late(1).played_frames == frames


def test_a_repeat_during_a_hold_waits_for_its_end() -> None:
    session = playing()
    last = send_all(session)[-1]
    session.hold(10.0)
    session.repeat()
    assert not session.playing
    session.move(13.0, remote=REMOTE, codec="PCMA", payload_type=8, codes=SOUND, telephone_event_pt=101)
    again = leave(session)
    assert again.marker and again.payload == SOUND[:160]
    assert (again.timestamp - last.timestamp) & 0xFFFFFFFF == 160 + 3 * 8000


def test_a_repeat_during_the_lead_in_changes_nothing() -> None:
    session = playing(lead_in_ms=40)
    leave(session)
    session.repeat()
    assert len(send_all(session)) == 1 + -(-len(SOUND) // 160)
    assert session.stats(1.0).sent == 2 + -(-len(SOUND) // 160)

"""What a session learns of NATs on its way: its own address outside, and where the callee really is."""

from autodialer import stun
from autodialer.media import rtp
from autodialer.media.mapping import MappingQuery
from autodialer.media.session import Session
from autodialer.media.source import LATCH_AFTER

PROMISED = ("10.0.0.5", 4000)
"""Behind the callee's NAT."""
REAL = ("198.51.100.7", 61000)
THIRD = ("203.0.113.9", 5)
SOUND = b"\xd5" * 1600


def packet(number: int, *, ssrc: int = 99) -> bytes:
    return rtp.pack(8, number, number * 160, ssrc, b"\xd5" * 160)


def answered(*, symmetric: bool = True) -> Session:
    session = Session()
    session.play(
        remote=PROMISED,
        codec="PCMA",
        payload_type=8,
        codes=SOUND,
        telephone_event_pt=None,
        lead_in_ms=0,
        symmetric=symmetric,
    )
    return session


def test_rtp_that_steadily_comes_from_elsewhere_is_answered_there() -> None:
    session = answered()
    for number in range(LATCH_AFTER - 1):
        session.receive(packet(number), REAL, number * 0.02)
    assert session.remote == PROMISED
    session.receive(packet(LATCH_AFTER - 1), REAL, 0.08)
    assert session.remote == REAL


def test_a_third_host_cannot_take_the_call_over() -> None:
    session = answered()
    session.receive(packet(1), PROMISED, 0.0)
    for number in range(20):
        session.receive(packet(number, ssrc=7), THIRD, number * 0.02)
    assert session.remote == PROMISED
    session = answered()
    for number in range(LATCH_AFTER):
        session.receive(packet(number), REAL, number * 0.02)
    for number in range(20):
        session.receive(packet(number, ssrc=7), THIRD, number * 0.02)
    assert session.remote == REAL


def test_packets_of_several_sources_settle_nothing() -> None:
    session = answered()
    for number in range(40):
        session.receive(packet(number, ssrc=number % 2), REAL, number * 0.02)
    assert session.remote == PROMISED


def test_a_trunk_without_symmetric_rtp_sends_where_it_was_told() -> None:
    session = answered(symmetric=False)
    for number in range(40):
        session.receive(packet(number), REAL, number * 0.02)
    assert session.remote == PROMISED


def test_a_move_by_signalling_starts_afresh_and_a_mere_resume_does_not() -> None:
    session = answered()
    for number in range(LATCH_AFTER):
        session.receive(packet(number), REAL, number * 0.02)
    session.hold(1.0)
    move = {"codec": "PCMA", "payload_type": 8, "codes": SOUND, "telephone_event_pt": None}
    session.move(2.0, remote=PROMISED, **move)  # type: ignore[arg-type]
    assert session.remote == REAL
    session.move(3.0, remote=THIRD, **move)  # type: ignore[arg-type]
    assert session.remote == THIRD


def test_a_stun_server_is_asked_three_times_and_then_left_alone() -> None:
    query = MappingQuery(("192.0.2.5", 3478), b"x" * 12, 10.0)
    asked = []
    now = query.due_at
    while (question := query.next_question(now)) is not None:
        asked.append((now, question))
        now = query.due_at
    assert [at for at, _ in asked] == [10.0, 10.5, 11.5] and now == 13.5
    assert {question for _, question in asked} == {stun.binding_request(b"x" * 12)}


def test_only_an_answer_to_our_question_counts() -> None:
    query = MappingQuery(("192.0.2.5", 3478), b"x" * 12, 0.0)
    # RFC 5389 section 15.2: the address is masked with the magic cookie, 198.51.100.7:61000.
    mapped = bytes.fromhex("0020 0008 0001 cf5a e721c045".replace(" ", ""))
    head = bytes.fromhex("0101 000c 2112a442".replace(" ", ""))
    assert query.answer(head + b"y" * 12 + mapped) is None
    assert query.answer(packet(1)) is None
    assert query.answer(head + b"x" * 12 + mapped) == ("198.51.100.7", 61000)

"""Traces: what is kept of a call's messages, and how people read it."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from autodialer.sip.hop import TCP, Hop
from autodialer.sip.ladder import render
from autodialer.sip.trace import RECEIVED, SENT, Noted, call_id_of, mask_credentials, pack, unpack
from tests.sip.stepping import GATEWAY, Steps

BEGAN_AT = datetime(2026, 3, 2, 9, 0, 0, 123000, tzinfo=UTC)
PEER = Hop("192.0.2.9", 5060)
INVITE = (
    b"INVITE sip:79161234567@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1\r\n"
    b"From: <sip:us@192.0.2.9>;tag=ours\r\nTo: <sip:79161234567@192.0.2.9>\r\nCall-ID: one\r\nCSeq: 1 INVITE\r\n"
    b"Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n"
)
RINGING = (
    b"SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1\r\nFrom: <sip:us@192.0.2.9>;tag=ours\r\n"
    b"To: <sip:79161234567@192.0.2.9>;tag=theirs\r\nCall-ID: one\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
)
SECRET = "6629fae49393a05397450978507c4ef1"


def text_of(noted: Sequence[Noted], *, missed: int = 0) -> str:
    """As people read it."""
    return render(unpack(pack(100.0, BEGAN_AT, noted, missed)), title="title")


def ladder_of(text: str) -> list[str]:
    """The lines of the ladder."""
    return [line for line in text.splitlines() if line.endswith("|") or ("| " in line and "--" in line)]


def test_what_is_packed_comes_out_again_with_its_times_and_hops() -> None:
    noted = [
        (100.0, SENT, INVITE, PEER),
        (100.0214, RECEIVED, RINGING, Hop("192.0.2.77", 5070, TCP)),
        (131.5, RECEIVED, b"\x00\xff\r\n\n> < \n", PEER),
    ]
    trace = unpack(pack(100.0, BEGAN_AT, noted, 3))
    assert (trace.began_at, trace.missed) == (BEGAN_AT, 3)
    found = [(message.after_s, message.sent, message.data, message.hop) for message in trace.messages]
    assert found == [
        (0.0, True, INVITE, PEER),
        (0.0214, False, RINGING, Hop("192.0.2.77", 5070, TCP)),
        (31.5, False, b"\x00\xff\r\n\n> < \n", PEER),
    ]


@pytest.mark.parametrize("damaged", [b"", b"2abc", b"1abc", pack(0.0, BEGAN_AT, [], 0)[:-6]])
def test_what_is_no_trace_is_refused(damaged: bytes) -> None:
    with pytest.raises(ValueError, match="trace"):
        unpack(damaged)


@pytest.mark.parametrize(
    "header",
    [
        f'Authorization: Digest username="u", response="{SECRET}"',
        f'Proxy-Authorization: Digest username="u", response="{SECRET}"',
        f'PROXY-AUTHORIZATION : Digest response="{SECRET}"',
        f'authorization:Digest username="u",\r\n  response="{SECRET}",\r\n\tnc=00000001',
        f'Authentication-Info: rspauth="{SECRET}"',
        f'Proxy-Authentication-Info: rspauth="{SECRET}"',
        f"Authorization: Basic {SECRET}",
    ],
)
@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_credentials_are_masked_and_the_rest_stays_as_it_was(header: str, end: str) -> None:
    before, after = f"BYE sip:a@b SIP/2.0{end}Call-ID: one{end}", f"{end}CSeq: 2 BYE{end}{end}body"
    name = header.partition(":")[0]
    message = f"{before}{header}{after}".encode()
    wanted = f"{before}{name}: ***{after}".encode()
    assert mask_credentials(message) == wanted
    [kept] = unpack(pack(0.0, BEGAN_AT, [(0.0, SENT, message, PEER)], 0)).messages
    assert kept.data == wanted


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        (f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{SECRET}|2^31|1:4", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 ***"),
        (f"a=crypto:1 AEAD_AES_128_GCM inline:{SECRET};inline:{SECRET}", "a=crypto:1 AEAD_AES_128_GCM ***"),
        (f"A=CRYPTO: 12\tX\tINLINE:{SECRET}", "A=CRYPTO: 12\tX\t***"),
        (f" a = crypto : inline:{SECRET}", " a = crypto :***"),
        (f"a=crypto:{SECRET}", "a=crypto:***"),
        (f"a=key-mgmt:mikey {SECRET}", "a=key-mgmt:***"),
        (f"k=base64:{SECRET}", "k=***"),
    ],
)
@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_the_keys_of_encrypted_media_are_masked_and_the_rest_stays(line: str, kept: str, end: str) -> None:
    before, after = f"INVITE sip:a@b SIP/2.0{end}Call-ID: one{end}{end}v=0{end}", f"{end}a=sendrecv{end}"
    message, wanted = f"{before}{line}{after}".encode(), f"{before}{kept}{after}".encode()
    assert mask_credentials(message) == wanted
    [noted] = unpack(pack(0.0, BEGAN_AT, [(0.0, SENT, message, PEER)], 0)).messages
    assert noted.data == wanted


def test_a_challenge_and_a_body_that_speaks_of_authorization_stay() -> None:
    challenge = RINGING.replace(b"180 Ringing", b"401 Unauthorized").replace(
        b"Content-Length: 0\r\n\r\n", b'WWW-Authenticate: Digest realm="x", nonce="y"\r\n\r\nno authorization here\r\n'
    )
    assert mask_credentials(challenge) == challenge


def test_the_call_id_of_our_messages_is_found_and_stun_has_none() -> None:
    assert call_id_of(INVITE) == "one"
    assert call_id_of(b"\x00\x01\x00\x00!\x12\xa4B123456789012") is None


def test_the_ladder_shows_time_direction_peer_first_line_cseq_and_new_to_tags() -> None:
    text = text_of([(100.0, SENT, INVITE, PEER), (100.0214, RECEIVED, RINGING, PEER), (101.0, RECEIVED, RINGING, PEER)])
    assert text.splitlines()[:2] == ["title", "+0.000 is 2026-03-02 09:00:00.123 UTC"]
    invite, ringing, again = ladder_of(text)
    assert invite.split()[:1] == ["+0.000"]
    assert "|-- INVITE sip:79161234567@192.0.2.9 --->| 192.0.2.9:5060 UDP   CSeq 1 INVITE, SDP" in invite
    assert ringing.split()[0] == "+0.021"
    assert " 180 Ringing --| 192.0.2.9:5060 UDP   CSeq 1 INVITE, To tag theirs" in ringing
    assert again.endswith("CSeq 1 INVITE, the one of +0.021 again")
    assert len({line.index("| 192") for line in (invite, ringing, again)}) == 1


def test_the_whole_messages_follow_the_ladder() -> None:
    text = text_of([(100.0, SENT, INVITE, PEER), (100.5, RECEIVED, RINGING, PEER)])
    assert f"---- 1: +0.000 s, sent to 192.0.2.9:5060 UDP, {len(INVITE)} bytes\n" in text
    assert f"---- 2: +0.500 s, received from 192.0.2.9:5060 UDP, {len(RINGING)} bytes\n" in text
    assert INVITE.decode().replace("\r\n", "\n") in text
    assert text.index("|--") < text.index("---- 1") < text.index("---- 2")


def test_what_came_when_the_trace_was_full_is_told() -> None:
    assert "1 message more came and went" in text_of([(100.0, SENT, INVITE, PEER)], missed=1)
    assert "7 messages more came and went" in text_of([(100.0, SENT, INVITE, PEER)], missed=7)


def test_a_peer_cannot_steer_the_terminal_of_whoever_reads() -> None:
    hostile = RINGING.replace(b"180 Ringing", b"180 \x1b[2J\xc2\x9b\x07\xe2\x80\xae Ringing \xff")
    text = text_of([(100.0, RECEIVED, hostile, PEER)])
    assert all(each.isprintable() or each == "\n" for each in text)
    assert "\\x1b[2J\\x9b\\x07\\u202e Ringing \\xff" in text


def test_a_very_long_first_line_is_cut_in_the_ladder_and_whole_below() -> None:
    long = INVITE.replace(b"79161234567", b"7" * 3000)
    text = text_of([(100.0, SENT, long, PEER)])
    assert len(ladder_of(text)[0]) < 200
    assert "7" * 3000 in text


def test_the_core_tells_its_tracer_of_every_message_of_a_call_and_of_no_garbage() -> None:
    told: list[tuple[str, str, bytes, Hop]] = []
    steps = Steps(tracer=lambda *message: told.append(message))
    invite = steps.invite()
    ack = steps.answer(invite)
    steps.receive(b"\r\n\r\n")
    steps.receive(b"garbage")
    wanted = [("call-1", SENT), ("call-1", RECEIVED), ("call-1", SENT)]
    assert [(call_id, direction) for call_id, direction, _, _ in told] == wanted
    assert [data for _, direction, data, _ in told if direction == SENT] == [invite.data, ack.data]
    assert [hop for *_, hop in told] == [Hop(*GATEWAY), Hop(*GATEWAY), ack.hop]

"""Messages cut out of a stream of bytes (RFC 3261 section 18.3, RFC 5626 section 3.5.1)."""

import pytest

from autodialer.sip.framing import LARGEST, BrokenStream, StreamReader

HEAD = b"SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP 192.0.2.1\r\nCall-ID: 1\r\n"
BODY = b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\n\r\ns=-\r\n"
RINGING = b"SIP/2.0 180 Ringing\r\nVia: SIP/2.0/TCP 192.0.2.1\r\nl: 0\r\n\r\n"
ANSWER = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
PING = b"\r\n\r\n"


def read(*chunks: bytes) -> list[bytes]:
    reader = StreamReader()
    return [message for chunk in chunks for message in reader.feed(chunk)]


@pytest.mark.parametrize("stream", [ANSWER, ANSWER.replace(b"\r\n", b"\n").replace(b": 38", b": 34")])
def test_a_message_split_at_any_byte_is_put_together(stream: bytes) -> None:
    for at in range(len(stream) + 1):
        assert read(stream[:at], stream[at:]) == [stream], at


def test_messages_that_come_byte_by_byte_are_told_apart() -> None:
    stream = RINGING + ANSWER + RINGING
    assert read(*(stream[at : at + 1] for at in range(len(stream)))) == [RINGING, ANSWER, RINGING]


@pytest.mark.parametrize(("gap_s", "ping"), [(0.0, True), (0.9, True), (1.5, False)])
def test_two_line_ends_are_a_ping_when_they_come_together_and_two_pongs_when_they_do_not(
    gap_s: float, *, ping: bool
) -> None:
    reader = StreamReader()
    assert list(reader.feed(b"\r\n", 100.0)) == []
    assert list(reader.feed(b"\r\n", 100.0 + gap_s)) == ([b"\r\n\r\n"] if ping else [])
    assert list(reader.feed(RINGING, 102.0)) == [RINGING], "a pong that waits does not stand in a message's way"


def test_messages_in_one_segment_are_told_apart() -> None:
    stream = RINGING + ANSWER + ANSWER + RINGING
    assert read(stream) == [RINGING, ANSWER, ANSWER, RINGING]
    for at in range(len(stream)):
        assert read(stream[:at], stream[at:]) == [RINGING, ANSWER, ANSWER, RINGING]


@pytest.mark.parametrize(
    "length", [b"Content-Length: 0", b"l:0", b"CONTENT-LENGTH \t: 0 ", b"Content-Length: 0\r\nContent-Length: 0"]
)
def test_a_length_is_read_however_it_is_spelled(length: bytes) -> None:
    message = HEAD + length + b"\r\n\r\n"
    assert read(message + RINGING) == [message, RINGING]


def test_without_a_length_there_is_no_body() -> None:
    assert read(HEAD + b"\r\n" + RINGING) == [HEAD + b"\r\n", RINGING]


def test_a_length_in_the_body_counts_for_nothing() -> None:
    body = b"Content-Length: 9999\r\n\r\n"
    message = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    assert read(message + RINGING) == [message, RINGING]


@pytest.mark.parametrize(
    "length",
    [
        b"Content-Length: -1",
        b"Content-Length: ten",
        b"Content-Length:",
        b"Content-Length: 4 4",
        b"Content-Length: 65537",
        b"Content-Length: 99999999999999999999",
        b"Content-Length: 4\r\nContent-Length: 5",
        b"Content-Length: 4\r\nl: 5",
    ],
)
def test_a_length_that_says_nothing_breaks_the_stream_after_the_last_good_message(length: bytes) -> None:
    reader = StreamReader()
    messages = reader.feed(RINGING + HEAD + length + b"\r\n\r\nabcde")
    assert next(messages) == RINGING
    with pytest.raises(BrokenStream):
        next(messages)


def test_headers_without_an_end_break_the_stream() -> None:
    reader = StreamReader()
    line = b"X: " + b"x" * 1021 + b"\r\n"
    for _ in range(LARGEST // len(line)):
        assert list(reader.feed(line)) == []
    with pytest.raises(BrokenStream):
        list(reader.feed(line * 2))


def test_the_largest_body_is_taken() -> None:
    message = HEAD + b"Content-Length: %d\r\n\r\n" % LARGEST + b"x" * LARGEST
    assert read(message[:1000], message[1000:]) == [message]


@pytest.mark.parametrize("before", [b"", RINGING])
@pytest.mark.parametrize("after", [b"", RINGING])
def test_a_ping_between_messages_is_handed_on(before: bytes, after: bytes) -> None:
    stream = before + PING + after
    expected = [part for part in (before, PING, after) if part]
    for at in range(len(stream)):
        assert read(stream[:at], stream[at:]) == expected


@pytest.mark.parametrize("noise", [b"\r\n", b"\n", b"\0\0\0\0", b"\n\n\n", b"\0\r\n"])
def test_line_ends_and_nul_bytes_before_a_message_are_skipped(noise: bytes) -> None:
    assert read(noise + RINGING) == [RINGING]
    assert read(noise, RINGING + noise, ANSWER) == [RINGING, ANSWER]


def test_a_pong_is_no_message() -> None:
    assert read(b"\r\n") == []

"""Messages as peers really write them: odd but legal ones are read, broken ones are counted and dropped."""

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from autodialer.sip.fields import (
    parse_cseq,
    parse_name_addr,
    parse_q850_cause,
    parse_retry_after,
    parse_tag,
    parse_uri,
    parse_via,
)
from autodialer.sip.message import Discard, Request, Response, build_request, parse_message

MESSAGES = sorted((Path(__file__).parent / "messages").glob("*.sip"))
PLAIN = (Path(__file__).parent / "messages" / "plain.sip").read_bytes()


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_an_oddly_spelled_200_is_understood(path: Path) -> None:
    response = parse_message(path.read_bytes())
    assert isinstance(response, Response)
    assert response.code == 200 and response.reason in ("OK", "")
    assert (response.call_id, response.cseq, response.cseq_method) == ("call-1", 1, "INVITE")
    assert (response.from_tag, response.to_tag) == ("ours", "callee")
    via = response.top_via
    assert via is not None
    assert (via.transport, via.host, via.port, via.params["branch"]) == ("UDP", "192.0.2.1", 5060, "z9hG4bK1")
    contact = parse_name_addr(response.get_all("contact")[0])
    assert contact is not None and contact.uri == "sip:callee@192.0.2.77:5070"
    assert response.body.strip() == b"v=0"


def changed(old: str, new: str) -> bytes:
    assert old.encode() in PLAIN
    return PLAIN.replace(old.encode(), new.encode())


BROKEN = [
    ("empty", b"", Discard.KEEPALIVE),
    ("line ends", b"\r\n\r\n", Discard.KEEPALIVE),
    ("four NUL bytes", b"\0\0\0\0", Discard.KEEPALIVE),
    ("text", b"hello\r\n\r\n", Discard.START_LINE),
    ("no empty line", PLAIN.partition(b"\r\n\r\n")[0], Discard.TRUNCATED),
    ("other version", changed("SIP/2.0 200", "SIP/7.0 200"), Discard.START_LINE),
    ("code out of range", changed("SIP/2.0 200", "SIP/2.0 700"), Discard.START_LINE),
    ("code of four digits", changed("SIP/2.0 200", "SIP/2.0 2000"), Discard.START_LINE),
    ("code no number", changed("SIP/2.0 200", "SIP/2.0 2x0"), Discard.START_LINE),
    ("length too large", changed("Length: 5", "Length: 6"), Discard.TRUNCATED),
    ("length huge", changed("Length: 5", "Length: 99999999999999999999"), Discard.CONTENT_LENGTH),
    ("length negative", changed("Length: 5", "Length: -5"), Discard.CONTENT_LENGTH),
    ("length text", changed("Length: 5", "Length: five"), Discard.CONTENT_LENGTH),
    ("length other digits", changed("Length: 5", "Length: \u0665"), Discard.CONTENT_LENGTH),
    ("two lengths", changed("Content-Length: 5", "Content-Length: 5\r\nl: 4"), Discard.CONTENT_LENGTH),
    ("cseq too large", changed("CSeq: 1", "CSeq: 2147483648"), Discard.HEADER),
    ("cseq no number", changed("CSeq: 1 INVITE", "CSeq: INVITE"), Discard.HEADER),
    ("two To", changed("To: <sip:7916@192.0.2.9>", "To: <sip:a@b>\r\nTo: <sip:7916@192.0.2.9>"), Discard.HEADER),
    ("space in Call-ID", changed("call-1", "call 1"), Discard.HEADER),
    *(
        (f"no {name}", changed(f"\r\n{name}:", f"\r\nX-{name}:"), Discard.HEADER)
        for name in ("To", "From", "Call-ID", "CSeq", "Via")
    ),
    ("empty To", changed("To: <sip:7916@192.0.2.9>;tag=callee", "To:"), Discard.HEADER),
    ("no colon in Request-URI", PLAIN.replace(b"SIP/2.0 200 OK", b"INVITE x SIP/2.0"), Discard.START_LINE),
    ("method no token", PLAIN.replace(b"SIP/2.0 200 OK", b"IN<VITE sip:x SIP/2.0"), Discard.START_LINE),
]


@pytest.mark.parametrize(("data", "reason"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_a_broken_message_is_a_reason_not_an_exception(data: bytes, reason: Discard) -> None:
    assert parse_message(data) is reason


def test_without_content_length_the_body_is_the_whole_rest() -> None:
    response = parse_message(PLAIN.replace(b"Content-Length: 5\r\n", b"") + b"more")
    assert isinstance(response, Response) and response.body == b"v=0\r\nmore"


def test_a_request_is_read_with_its_method_and_uri() -> None:
    request = parse_message(PLAIN.replace(b"SIP/2.0 200 OK", b"INVITE  sip:100@192.0.2.1:5060;x=y  SIP/2.0"))
    assert isinstance(request, Request)
    assert (request.method, request.uri) == ("INVITE", "sip:100@192.0.2.1:5060;x=y")


def test_a_datagram_of_64_kib_is_read() -> None:
    response = parse_message(PLAIN.replace(b"Contact:", b"X-Pad: " + b"y" * 65_000 + b"\r\nContact:"))
    assert isinstance(response, Response)


def touch_everything(data: bytes) -> None:
    """Read all that can be asked of a message."""
    message = parse_message(data)
    if isinstance(message, Discard):
        return
    _ = (message.from_tag, message.to_tag, message.top_via, message.content_type)
    for name in list(message.headers):
        for value in message.get_all(name):
            parse_name_addr(value), parse_via(value), parse_uri(value), parse_tag(value), parse_cseq(value)
        parse_q850_cause(message.headers[name])
        parse_retry_after(message.get(name))


@settings(deadline=None)
@given(st.binary(max_size=300))
@example(b"\r\n".join([b"SIP/2.0 200 OK", b'Via: "', b"", b""]))
def test_random_bytes_never_raise(data: bytes) -> None:
    touch_everything(data)


@settings(deadline=None)
@given(st.sampled_from([path.read_bytes() for path in MESSAGES]), st.data())
def test_flipped_bits_never_raise(message: bytes, data: st.DataObject) -> None:
    changed_bytes = bytearray(message)
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(changed_bytes) - 1))
        changed_bytes[at] ^= 1 << data.draw(st.integers(0, 7))
    touch_everything(bytes(changed_bytes))


@settings(deadline=None)
@given(
    st.text(max_size=80), st.sampled_from(["<sip:a@b>;tag={}", '"{}" <sip:a@b>;tag=x', "SIP/2.0/UDP {}", "sip:{}@h"])
)
@pytest.mark.slow
def test_random_header_values_never_raise(text: str, template: str) -> None:
    value = template.format(text)
    parse_name_addr(value), parse_via(value), parse_uri(value), parse_tag(value), parse_cseq(value)
    parse_q850_cause([value]), parse_retry_after(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Q.850;cause=16", 16),
        ('SIP ;cause=600 ;text="x", q.850; CAUSE = 31 ;text="a, b;cause=1"', 31),
        ("Q.850;cause=x", None),
        ('Q.850;cause=21;text="Call rejected"', 21),
        ('Q.850;text="declined, cause=16";cause=21', 21),
        ('SIP;cause=603;text="Decline", Q.850;cause=21;text="Call rejected"', 21),
        ("Q.850;cause=x, Q.850;cause=17", 17),
        ("Q.1912;cause=17", None),
        ("X.Int;reasoncode=0x17;cause=17", None),
        ('SIP;text="Q.850;cause=17"', None),
        ("Preemption;cause=1;text=UA Preemption", None),
        ("Q.850;cause=9999", None),
        ("SIP;cause=200", None),
        ("Q.850", None),
    ],
)
def test_the_q850_cause_is_read_from_reason(value: str, expected: int | None) -> None:
    assert parse_q850_cause([value]) == expected


def test_a_via_may_have_a_tab_where_others_have_a_space() -> None:
    via = parse_via("SIP/2.0/UDP\t192.0.2.1:5070\t;branch=x")
    assert via is not None and (via.transport, via.host, via.port) == ("UDP", "192.0.2.1", 5070)


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("<sip:a@b>;tag=x;y", "<sip:a@b>;tag=x;y"),
        ("<sip:a@b>;TAG=x;y", "<sip:a@b>;tag=x"),
        ('"q;tag=no" <sip:a@b> ; Tag = x', "<sip:a@b>;tag=x"),
        ('<sip:a@b>;y=";tag=no";tag=x', "<sip:a@b>;tag=x"),
        ('<sip:a@b>;TAG="no token"', '<sip:a@b>;TAG="no token"'),
        ("sip:a@b ; tag=x", "<sip:a@b>;tag=x"),
        ("sip:a@b", "sip:a@b"),
    ],
)
def test_the_tag_that_a_response_gives_is_spelled_as_everybody_does(to: str, expected: str) -> None:
    response = parse_message(changed("<sip:7916@192.0.2.9>;tag=callee", to))
    assert isinstance(response, Response)
    assert response.headers["to"] == [expected]
    assert response.to_tag == parse_tag(to)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sip:h", ("h", None)),
        ("SIP:a;b@H.example:5061;transport=udp?x=y@z", ("h.example", 5061)),
        ("sip:who?what@h.example:5061;a=b?c=d", ("h.example", 5061)),
        ("sip:user@inner@h.example", ("h.example", None)),
        ("sips:a:p@[2001:db8::1]:99", ("[2001:db8::1]", 99)),
        ("sip:a@h:0", None),
        ("sip:a@h:99999", None),
        ("sip:a@h:04294967296062", None),
        (f"sip:a@h:000001{'0' * 5000}", None),
        ("sip:a@h:0000005070", ("h", 5070)),
        ("sip:a@h:1x", None),
        ("sip:a@", None),
        ("tel:123", None),
        ("", None),
    ],
)
def test_host_and_port_of_a_uri(uri: str, expected: tuple[str, int | None] | None) -> None:
    parts = parse_uri(uri)
    assert (None if parts is None else (parts.host, parts.port)) == expected


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\0"])
def test_no_value_becomes_a_header_of_its_own(end: str) -> None:
    with pytest.raises(ValueError, match="line end or NUL"):
        build_request("OPTIONS", "sip:a@192.0.2.1", [f"From: <sip:a@b>{end}X-Forged: 1"])
    with pytest.raises(ValueError, match="line end or NUL"):
        build_request("OPTIONS", f"sip:a@192.0.2.1{end}X-Forged: 1", [])

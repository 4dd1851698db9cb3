"""Calls through gateways that spell oddly, or wrongly: SIPp sends the text, tshark reads what we make of it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from autodialer.model import Cause, Disposition, EndedBy
from tests.peers import gateways
from tests.peers import scenario as s
from tests.peers.capture import Capture, WireMessage
from tests.peers.ports import wait_until
from tests.peers.scenario import ANSWER_SDP, Scenario
from tests.peers.sipp import SippGateway
from tests.phone.desk import Desk
from tests.phone.test_wire_calls import named

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp", "tshark")]

Gateways = Callable[..., SippGateway]
Captures = Callable[..., Capture]
Desks = Callable[..., Desk]

# SIPp takes blanks away from both ends of a line and ends each with CR LF; what is meant otherwise is escaped.
FOLD = r"\x0d\x0a\x20\x20"
LF = r"\x0a"
CONTACT = "Contact: <sip:gateway@[local_ip]:[local_port]>"
TYPED = "Content-Type: application/sdp"
LENGTH = "Content-Length: [len]"
HEADERS = ("Via:[$invite_via]", "From:[$invite_from]", "To:[$invite_to];tag=odd", "Call-ID: [call_id]")
CSEQ = "CSeq:[$invite_cseq]"
LONG = "very-long-" * 500


def raw(*lines: str, body: Sequence[str] = ANSWER_SDP, retransmit_ms: int | None = 500) -> str:
    """A message of exactly these lines."""
    text = "\n".join("      " + line for line in (*lines, "", *body))
    attributes = f' retrans="{retransmit_ms}"' if retransmit_ms else ""
    return f"  <send{attributes}><![CDATA[\n{text}\n\n  ]]></send>"


def answers_with(*lines: str, body: Sequence[str] = ANSWER_SDP, start: str = "SIP/2.0 200 OK") -> Scenario:
    """180, this 200, and the caller hangs up."""
    parts = (
        s.receive_invite(),
        s.respond(180),
        raw(start, *lines, body=body),
        s.receive_logged("ACK"),
        s.receive_logged("BYE", timeout_ms=10_000),
        s.answer_in_dialog(),
    )
    return Scenario(name="odd_200", body=s.sequence(*parts))


@dataclass(frozen=True, kw_only=True)
class Odd:
    """A 200 that has to be understood, and what comes back in the ACK."""

    lines: tuple[str, ...]
    body: tuple[str, ...] = ANSWER_SDP
    start: str = "SIP/2.0 200 OK"
    uri: str = "sip:gateway@{host}:{port}"
    """Request-URI of the ACK."""


def lf_only(lines: Sequence[str]) -> tuple[str, ...]:
    """As one line to SIPp, which would end each with CR LF."""
    return (LF.join((*lines, "")),)


MULTIPART = (
    "a preamble",
    "--one=two",
    "Content-Type: text/plain",
    "",
    "v=0 is no session description here",
    "--one=two",
    "Content-Disposition: session",
    "content-type:Application/SDP;charset=utf-8",
    "",
    *ANSWER_SDP,
    "--one=two--",
)
ODD = {
    "compact_names": Odd(
        lines=(
            *("v:[$invite_via]", "f:[$invite_from]", "t:[$invite_to];tag=odd", "i:[call_id]", CSEQ),
            *(CONTACT.replace("Contact", "m"), "c:application/sdp", "l:[len]"),
        )
    ),
    "other_case_and_no_spaces": Odd(
        lines=(
            *("vIA:[$invite_via]", "FROM:[$invite_from]", r"tO\x20\x20:[$invite_to];tag=odd", "CALL-id:[call_id]"),
            *("cSEQ:[$invite_cseq]", CONTACT.replace("Contact: ", "CONTACT:"), "CONTENT-TYPE:APPLICATION/SDP"),
            r"content-LENGTH\x20:[len]",
        ),
        start="sip/2.0 200 ok",
    ),
    "folded_headers": Odd(
        lines=(
            f"Via:{FOLD}[$invite_via]",
            f"From:[$invite_from]{FOLD}",
            rf"To:[$invite_to]{FOLD};\x0d\x0a\x09tag{FOLD}={FOLD}odd",
            f"Call-ID:{FOLD}[call_id]",
            f"CSeq:{FOLD}[$invite_cseq]",
            f"Contact:{FOLD}<sip:gateway@[local_ip]:[local_port]>{FOLD};expires=60",
            f"Content-Type: application/sdp{FOLD};charset=utf-8",
            f"Content-Length:{FOLD}[len]",
        ),
    ),
    "escaped_quotes": Odd(
        lines=(
            *HEADERS[:2],
            r'To: "a \"b\" <sip:x@y>;tag=no, c\\"[$invite_to];tag=odd',
            *(HEADERS[3], CSEQ, r'Contact: "\"<sip:no@127.0.0.9>, x" <sip:gateway@[local_ip]:[local_port]>;q=0.5'),
            *(TYPED, LENGTH),
        )
    ),
    "bracket_in_a_quoted_parameter": Odd(
        lines=(
            *(*HEADERS, CSEQ, 'Contact: sip:gateway@[local_ip]:[local_port];x="<sip:no@127.0.0.9>"', TYPED),
            LENGTH,
        ),
    ),
    "no_contact": Odd(lines=(*HEADERS, CSEQ, TYPED, LENGTH), uri="sip:79160000000@{host}"),
    "a_contact_that_is_no_sip_uri": Odd(
        lines=(*HEADERS, CSEQ, "Contact: <tel:+123>", TYPED, LENGTH), uri="sip:79160000000@{host}"
    ),
    "tag_in_capitals": Odd(
        lines=(*HEADERS[:2], "To:[$invite_to];TAG=odd", HEADERS[3], CSEQ, CONTACT, TYPED, LENGTH),
    ),
    "parameter_before_the_tag": Odd(
        lines=(
            *(*HEADERS[:2], 'To:[$invite_to];x="y;tag=no";flag;tag=odd;last=1', HEADERS[3], CSEQ, CONTACT),
            *(TYPED, LENGTH),
        ),
    ),
    "content_type_with_parameters": Odd(
        lines=(*HEADERS, CSEQ, CONTACT, 'Content-Type: Application/SDP ; charset="utf-8";x=y', LENGTH)
    ),
    "multipart": Odd(
        lines=(*HEADERS, CSEQ, CONTACT, 'Content-Type: multipart/mixed;x=y;boundary="one=two"', LENGTH), body=MULTIPART
    ),
    "equals_signs_in_values": Odd(
        lines=(
            *(*HEADERS, CSEQ, "Contact: <sip:gateway@[local_ip]:[local_port];a=b>;c=d=e;f==", TYPED, "X: a==b=;=c"),
            LENGTH,
        ),
        body=(*ANSWER_SDP[:2], "s=a=b = c", *ANSWER_SDP[3:], "a=x:=y=;z==", "a=fmtp:8 a=b;c=d"),
        uri="sip:gateway@{host}:{port};a=b",
    ),
    "session_description_with_line_feeds_only": Odd(
        lines=(*HEADERS, CSEQ, CONTACT, TYPED, LENGTH), body=lf_only(ANSWER_SDP)
    ),
    "headers_with_line_feeds_only": Odd(
        start=LF.join(("SIP/2.0 200 OK", *HEADERS, CSEQ, CONTACT, TYPED, "", *ANSWER_SDP, "")), lines=(), body=()
    ),
    "lines_of_5000_octets": Odd(
        lines=(
            *(*HEADERS, CSEQ, f'Contact: "{LONG}" <sip:gateway@[local_ip]:[local_port]>', TYPED, f"X-Long: {LONG}"),
            LENGTH,
        ),
        body=(*ANSWER_SDP, f"a=x:{LONG}"),
    ),
    "no_content_length": Odd(lines=(*HEADERS, CSEQ, CONTACT, TYPED)),
    "no_reason_phrase": Odd(lines=(*HEADERS, CSEQ, CONTACT, TYPED, LENGTH), start="SIP/2.0 200"),
    "other_contacts_and_unknown_headers": Odd(
        lines=(
            *HEADERS,
            CSEQ,
            f"{CONTACT}, <sip:other@127.0.0.9>",
            "Contact: tel:123",
            ":",
            "what is this",
            LENGTH,
            TYPED,
        )
    ),
}


def check_ack(ack: WireMessage, invite: WireMessage, *, uri: str) -> None:
    """RFC 3261 section 13.2.2.4 and 17.1.1.3, as tshark reads it."""
    assert (ack.method, ack.request_uri, ack.cseq, ack.cseq_method) == ("ACK", uri, invite.cseq, "ACK")
    assert (ack.call_id, ack.from_tag) == (invite.call_id, invite.from_tag)
    (to,) = ack.headers("To")
    assert to.endswith(";tag=odd")
    assert ack.to_tag == "odd"
    assert ack.header("Max-Forwards") == "70"
    assert ack.header("Content-Length") == "0"
    assert all(re.fullmatch(r"[A-Za-z-]+: [^\r\n]+", line) for line in ack.text.split("\r\n")[1:] if line)


@pytest.mark.parametrize("name", ODD)
def test_an_oddly_spelled_200_is_acknowledged_well_formed_and_played(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks, name: str
) -> None:
    odd = ODD[name]
    gateway = sipp_gateway(answers_with(*odd.lines, body=odd.body, start=odd.start), timeout_s=20)
    wire = capture_wire(gateway.address[1])
    phone = desk(gateway.address, sound_s=0.3)
    outcome = phone.outcome(phone.call())
    gateway.expect_success()
    assert (outcome.disposition, outcome.cause, outcome.ended_by) == (Disposition.ANSWERED, None, EndedBy.US)
    assert (outcome.played_share, outcome.sip_code) == (1.0, 200)
    ours = [message for message in wire.sip() if message.destination == gateway.address]
    (invite,), (ack,), (bye,) = (named(ours, method) for method in ("INVITE", "ACK", "BYE"))
    host, port = gateway.address
    uri = odd.uri.format(host=host, port=port)
    check_ack(ack, invite, uri=uri)
    assert ack.branch not in ("", invite.branch)
    assert (bye.request_uri, bye.to_tag, bye.cseq) == (uri, "odd", invite.cseq + 1)


def test_a_bye_with_several_via_on_one_line_is_answered_with_all_of_them(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks
) -> None:
    bye = raw(
        "BYE [next_url] SIP/2.0",
        r"v: SIP / 2.0 / UDP [local_ip]:[local_port];branch=[branch];x=\"a, b\" ,".replace('\\"', '"')
        + f"{FOLD}SIP/2.0/TCP proxy.example.net;branch=z9hG4bKtwo,SIP/2.0/UDP 192.0.2.3:99;branch=z9hG4bKthree",
        *("f:[$invite_to];tag=odd", "t:[$invite_from]", "i:[call_id]", "cseq: 7   BYE", "MAX-forwards:0", "l:0"),
        body=(),
    )
    parts = (
        *(s.receive_invite(), raw("SIP/2.0 200 OK", *HEADERS, CSEQ, CONTACT, TYPED, LENGTH), s.receive_logged("ACK")),
        *(s.pause(200), bye, s.receive_response(200)),
    )
    gateway = sipp_gateway(Scenario(name="odd_bye", body=s.sequence(*parts)), timeout_s=20)
    wire = capture_wire(gateway.address[1])
    phone = desk(gateway.address, sound_s=5.0)
    outcome = phone.outcome(phone.call())
    gateway.expect_success()
    assert (outcome.disposition, outcome.ended_by) == (Disposition.ANSWERED, EndedBy.CALLEE)
    (ok,) = [message for message in wire.sip() if message.code == 200 and message.cseq_method == "BYE"]
    first, second, third = ok.headers("Via")
    assert ";branch=z9hG4bK" in first and 'x="a, b"' in first
    assert (second, third) == (
        "SIP/2.0/TCP proxy.example.net;branch=z9hG4bKtwo",
        "SIP/2.0/UDP 192.0.2.3:99;branch=z9hG4bKthree",
    )


CHALLENGES = {
    "401_without_challenge": (401, ()),
    "407_without_challenge": (407, ("X-Nothing: here",)),
    "407_basic_only": (407, ('Proxy-Authenticate: Basic realm="gateway"',)),
    "401_unknown_scheme": (401, ('WWW-Authenticate: NobodyKnows realm="x", nonce="y"',)),
    "401_half_a_challenge": (401, ('WWW-Authenticate: Digest realm="x',)),
}


@pytest.mark.parametrize("name", CHALLENGES)
def test_a_challenge_that_cannot_be_answered_is_acknowledged_and_ends_the_call(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks, name: str
) -> None:
    code, extra = CHALLENGES[name]
    gateway = sipp_gateway(gateways.final(code, progress=(), extra=extra), timeout_s=20)
    wire = capture_wire(gateway.address[1])
    phone = desk(gateway.address)
    outcome = phone.outcome(phone.call())
    gateway.expect_success()
    assert (outcome.disposition, outcome.cause, outcome.sip_code) == (Disposition.FAILED, Cause.AUTH_FAILED, code)
    messages = wire.sip()
    (invite,), (ack,) = named(messages, "INVITE"), named(messages, "ACK")
    assert (ack.branch, ack.cseq, ack.request_uri) == (invite.branch, invite.cseq, invite.request_uri)
    assert ack.to_tag == next(message.to_tag for message in messages if message.code == code)


@pytest.mark.parametrize(
    "body",
    [
        ("hello", "world"),
        (r"\x00\x01\xfe\xff",),
        ("v=0", "m=audio", "m=", "=", "c=IN IP4"),
        ("v=0", "m=audio 99999 RTP/AVP 8"),
    ],
    ids=["words", "octets", "half_lines", "port_99999"],
)
def test_a_200_with_a_garbage_session_description_is_acknowledged_and_hung_up(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks, body: tuple[str, ...]
) -> None:
    gateway = sipp_gateway(answers_with(*HEADERS, CSEQ, CONTACT, TYPED, LENGTH, body=body), timeout_s=20)
    wire = capture_wire(gateway.address[1])
    phone = desk(gateway.address)
    outcome = phone.outcome(phone.call())
    gateway.expect_success()
    assert (outcome.disposition, outcome.cause) == (Disposition.FAILED, Cause.MEDIA_FAILED)
    assert (outcome.played_s, outcome.rtp is None or outcome.rtp.sent) in ((0, True), (0, 0))
    messages = wire.sip()
    (invite,), (ack,), (bye,) = (named(messages, method) for method in ("INVITE", "ACK", "BYE"))
    host, port = gateway.address
    check_ack(ack, invite, uri=f"sip:gateway@{host}:{port}")
    assert 0 <= bye.at - ack.at < 0.2


OTHER_VIA = "Via: SIP/2.0/UDP 127.0.0.9:5060;branch=z9hG4bKother"
STRAYS: dict[str, tuple[str, ...]] = {
    "length_larger_than_the_datagram": (*HEADERS, CSEQ, CONTACT, TYPED, "Content-Length: 9999"),
    "length_negative": (*HEADERS, CSEQ, CONTACT, TYPED, "Content-Length: -1"),
    "length_no_number": (*HEADERS, CSEQ, CONTACT, TYPED, "Content-Length: many"),
    "other_call_id": (*HEADERS[:3], "Call-ID: x[call_id]", CSEQ, CONTACT, TYPED, LENGTH),
    "other_branch": ("Via:[$invite_via]x", *HEADERS[1:], CSEQ, CONTACT, TYPED, LENGTH),
    "other_method_in_cseq": (*HEADERS, "CSeq: 1 OPTIONS", CONTACT, TYPED, LENGTH),
    "other_from_tag": (HEADERS[0], "From:[$invite_from]x", *HEADERS[2:], CSEQ, CONTACT, TYPED, LENGTH),
    "sent_by_not_ours": (OTHER_VIA, *HEADERS[1:], CSEQ, CONTACT, TYPED, LENGTH),
    "two_via": (HEADERS[0], OTHER_VIA, *HEADERS[1:], CSEQ, CONTACT, TYPED, LENGTH),
    "two_via_on_one_line": (f"{HEADERS[0]}, {OTHER_VIA[5:]}", *HEADERS[1:], CSEQ, CONTACT, TYPED, LENGTH),
    "cseq_two_to_the_31": (*HEADERS, "CSeq: 2147483648 INVITE", CONTACT, TYPED, LENGTH),
    "no_via": (*HEADERS[1:], CSEQ, CONTACT, TYPED, LENGTH),
    "no_from": (HEADERS[0], *HEADERS[2:], CSEQ, CONTACT, TYPED, LENGTH),
    "no_to": (*HEADERS[:2], HEADERS[3], CSEQ, CONTACT, TYPED, LENGTH),
    "no_call_id": (*HEADERS[:3], CSEQ, CONTACT, TYPED, LENGTH),
    "no_cseq": (*HEADERS, CONTACT, TYPED, LENGTH),
    "two_to": (*HEADERS, "To:[$invite_to];tag=two", CSEQ, CONTACT, TYPED, LENGTH),
    "other_version": (*HEADERS, CSEQ, CONTACT, TYPED, LENGTH),
}
"""200s that must all be refused."""


def answers_by_number(numbers: dict[str, str]) -> Scenario:
    """To each number the stray 200 of this name, again for every INVITE, and nothing more."""
    matches = [s.match(f"^INVITE sip:{number}@", f"is_{name}") for number, name in numbers.items()]
    parts = [s.receive_invite(*matches)]
    parts += [s.go_to(f"send_{name}", when=f"is_{name}") for name in numbers.values()]
    for name in numbers.values():
        start = "SIP/3.0 200 OK" if name == "other_version" else "SIP/2.0 200 OK"
        parts += [s.label(f"send_{name}"), raw(start, *STRAYS[name], retransmit_ms=None), s.go_to("wait")]
    parts += [s.label("wait"), s.pause(60_000)]
    return Scenario(name="strays", body=s.sequence(*parts))


def test_responses_that_are_broken_or_not_ours_change_nothing_and_the_call_fails_without_a_response(
    sipp_gateway: Gateways, desk: Desks
) -> None:
    numbers = {f"791600000{number:02}": name for number, name in enumerate(STRAYS)}
    gateway = sipp_gateway(answers_by_number(numbers), calls=len(numbers), timeout_s=60)
    phone = desk(gateway.address)
    calls = {name: phone.call(number) for number, name in numbers.items()}
    wait_until(lambda: all(call.outcome for call in calls.values()), what="all outcomes", timeout_s=45)
    outcomes = {name: phone.outcome(call) for name, call in calls.items()}
    gateway.stop()
    for name, outcome in outcomes.items():
        assert (outcome.disposition, outcome.cause) == (Disposition.FAILED, Cause.NO_RESPONSE), name
        assert (outcome.sip_code, outcome.ringing_at, outcome.answered_at) == (None, None, None), name
        assert 31.9 < outcome.duration_s < 34, name
    messages = gateway.messages
    received = [message for message in messages if not message.sent]
    assert {message.start_line.split(" ")[0] for message in received} == {"INVITE"}, "nothing is acknowledged"
    assert len(received) == 7 * len(STRAYS)
    sent = [message for message in messages if message.sent]
    assert len(sent) >= 6 * len(STRAYS)

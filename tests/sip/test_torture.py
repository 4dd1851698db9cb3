"""One message or more with each defect and oddity of RFC 4475: what is read, what is answered, what is dropped."""

import re

import pytest

from autodialer.sip.hop import Hop
from autodialer.sip.message import Discard, Request, parse_message
from autodialer.sip.sdp import MediaPlan, negotiate
from tests.sip.stepping import GATEWAY, LOCAL, TARGET, Sent, Steps, in_dialog, response
from tests.sip.torture import FOLDER, REQUESTS, RESPONSES, SECTIONS, TortureRequest, TortureResponse

TOKEN = r"[A-Za-z0-9.!%*_+`'~-]+"
HEADER_LINE = re.compile(rf"{TOKEN}: [^\r\n]*")


def read(name: str) -> bytes:
    return (FOLDER / f"{name}.sip").read_bytes()


def check_form(sent: Sent) -> None:
    """Every line is a header, every header that is needed is there, and the length is right."""
    assert all(HEADER_LINE.fullmatch(line) for line in sent.lines[1:])
    for name in ("From", "To", "Call-ID", "CSeq"):
        assert sent[name]
    assert sent["Content-Length"] == str(len(sent.body))


def test_every_section_of_rfc_4475_has_a_message_and_every_message_a_row() -> None:
    rows = [case.name for case in (*REQUESTS, *RESPONSES)]
    assert sorted(rows) == sorted(path.stem for path in FOLDER.glob("*.sip"))
    assert {name.partition("-")[0] for name in rows} == set(SECTIONS)


@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case.name)
def test_a_tortured_request_is_answered_or_dropped(case: TortureRequest) -> None:
    data = read(case.name)
    steps = Steps(known_hosts=frozenset([GATEWAY[0]]))
    sent = steps.receive(data)
    if case.answer is None:
        assert sent == []
        assert steps.core.discarded == {case.discarded: 1}
        return
    message = parse_message(data)
    assert isinstance(message, Request)
    assert {name: getattr(message, name) for name in case.reads} == case.reads
    (answer,) = sent
    assert (answer.code, answer.to) == (case.answer, GATEWAY)
    check_form(answer)
    assert {name: answer.all(name) for name in case.echoes} == case.echoes
    assert steps.core.discarded.total() == 0
    assert steps.events == []
    steps.advance(100.0)
    assert steps.core.remembered == 0


@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case.name)
def test_a_tortured_request_of_a_stranger_is_not_answered(case: TortureRequest) -> None:
    steps = Steps()
    assert steps.receive(read(case.name)) == []
    assert steps.core.discarded.total() == 1
    assert steps.core.remembered == 0


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            case,
            id=case.name,
            marks=pytest.mark.xfail(strict=True, reason=case.unsolved) if case.unsolved else (),
        )
        for case in RESPONSES
    ],
)
def test_a_tortured_response_to_our_invite_is_taken_or_dropped(case: TortureResponse) -> None:
    steps = Steps()
    invite = steps.invite(credentials=("user", "secret"))
    ours = {b"z9hG4bKours": invite.branch.encode(), b"callertag": invite.from_tag.encode()}
    data = read(case.name)
    for old, new in ours.items():
        data = data.replace(old, new)
    sent = steps.receive(data)
    if case.discarded is not None:
        assert (sent, steps.events) == ([], [])
        assert steps.core.discarded == {case.discarded: 1}
        # The call goes on as if nothing had come.
        assert steps.answer(invite)["To"].endswith(";tag=callee")
        return
    event = steps.last
    assert type(event).__name__ == case.event
    assert {name: getattr(event, name) for name in case.reads} == case.reads
    assert isinstance(negotiate(getattr(event, "sdp", None), ["PCMA"]), MediaPlan) is (
        case.media and case.event == "CallAnswered"
    )
    if case.event == "CallProgress":
        assert sent == []
        return
    (ack,) = sent
    check_form(ack)
    assert (ack.method, ack["CSeq"], ack["From"]) == ("ACK", "1 ACK", invite["From"])
    assert {name: ack.all(name) for name in case.ack} == case.ack
    if case.event == "CallAnswered":
        assert ack.uri == case.ack_uri
        assert ack.branch != invite.branch
        steps.core.bye("call-1", steps.now)
        bye = steps.take_one()
        assert (bye.method, bye.uri, bye["To"], bye["CSeq"]) == ("BYE", case.ack_uri, ack["To"], "2 BYE")
        check_form(bye)
        steps.reply(bye, "200 OK")
    else:
        assert (ack.uri, ack.branch) == (TARGET, invite.branch)
    steps.finish()


@pytest.mark.parametrize("port", ["04294967296062", "000001" + "0" * 5000], ids=["out_of_range", "5006_digits"])
def test_an_rport_beyond_the_range_is_not_taken_for_ours(port: str) -> None:
    steps = Steps()
    invite = steps.invite()
    ringing = response(invite, "180 Ringing").replace(";rport;", f";rport={port};")
    assert f"rport={port};" in ringing
    steps.receive(ringing)
    assert steps.core.public_address(Hop(*GATEWAY)) == LOCAL


def test_two_requests_whose_branch_is_the_cookie_alone_are_no_copies_of_each_other() -> None:
    """RFC 4475 section 3.2.1."""
    steps = Steps(known_hosts=frozenset([GATEWAY[0]]))
    first = read("3.2.1-branch-is-the-cookie-alone")
    (answer,) = steps.receive(first)
    assert steps.receive(first)[0].data == answer.data
    (other,) = steps.receive(first.replace(b"CSeq: 71", b"CSeq: 72"))
    assert other["CSeq"] == "72 OPTIONS"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("3.1.2.2-length-larger-request", 400),
        ("3.1.2.3-length-negative-request", 400),
        ("3.1.2.6-quote-not-closed-request", 400),
        ("3.3.2-unknown-scheme", 416),
        ("3.3.5-unknown-extensions-required", 420),
        ("3.3.6-unknown-content-type", 415),
        ("3.3.15-unacceptable-accept", 200),
    ],
)
def test_a_tortured_request_within_a_call_is_answered_and_the_call_goes_on(name: str, code: int) -> None:
    steps = Steps()
    ack = steps.answer(steps.invite(sdp=OFFER))
    peer = {"Call-ID": "call-1", "From": ack["To"], "To": ack["From"]}
    text = read(name).decode()
    for header, value in peer.items():
        text = re.sub(rf"\b{header}: [^\r]*", lambda _, line=f"{header}: {value}": line, text, count=1)
    if code == 400 and "quote" in name:
        text = text.replace(f"To: {ack['From']}", f'To: "us {ack["From"]}')
    (answer,) = steps.receive(text)
    assert answer.code == code
    check_form(answer)
    assert steps.names[0] == "CallAnswered" and "CallEnded" not in steps.names
    assert steps.receive(in_dialog(ack, "BYE", 100))[0].code == 200
    assert steps.names[-1] == "CallEnded"


OFFER = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((b"Content-Length: 0", b"Content-Length: 9"), Discard.TRUNCATED),
        ((b"Content-Length: 0", b"Content-Length: -9"), Discard.CONTENT_LENGTH),
        ((b"71 ACK", b"71 INVITE"), Discard.HEADER),
        ((b"ACK sip:", b"ACK <sip:"), Discard.START_LINE),
        ((b"SIP/2.0\r\nVia", b"SIP/3.0\r\nVia"), Discard.START_LINE),
    ],
)
def test_a_malformed_ack_is_dropped_for_nothing_answers_an_ack(change: tuple[bytes, bytes], reason: Discard) -> None:
    ack = read("3.3.11-max-forwards-zero").replace(b"OPTIONS", b"ACK")
    assert isinstance(parse_message(ack), Request)
    assert change[0] in ack
    assert parse_message(ack.replace(*change)) is reason

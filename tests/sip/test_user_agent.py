"""What the core answers to requests, which peers it believes, and that nothing stays behind."""

import gc
import logging
import random

import pytest

from autodialer.errors import Conflict, Invalid
from autodialer.sip.call import Call
from autodialer.sip.events import CallFailed
from autodialer.sip.invite import InviteRequest, new_call_id, sip_uri
from autodialer.sip.transaction import Transaction
from tests.sip.stepping import ANSWER, GATEWAY, Sent, Steps, in_dialog, response

STRANGER = ("198.51.100.66", 5060)


@pytest.fixture
def steps() -> Steps:
    return Steps(known_hosts=frozenset([GATEWAY[0]]))


def out_of_dialog(method: str, *, via: str = "SIP/2.0/UDP 192.0.2.9;rport;branch=z9hG4bKx", to_tag: str = "") -> str:
    lines = (
        f"{method} sip:100@192.0.2.1 SIP/2.0",
        f"Via: {via}",
        "From: <sip:gw@192.0.2.9>;tag=gw",
        f"To: <sip:100@192.0.2.1>{to_tag}",
        "Call-ID: other",
        f"CSeq: 7 {method}",
        "Content-Length: 0",
    )
    return "\r\n".join(lines) + "\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("OPTIONS", 200),
        ("INVITE", 480),
        ("BYE", 481),
        ("CANCEL", 481),
        ("NOTIFY", 481),
        ("REGISTER", 405),
        ("MESSAGE", 405),
        ("FROBNICATE", 501),
    ],
)
def test_a_request_outside_any_dialog_is_answered(steps: Steps, method: str, code: int) -> None:
    (answer,) = steps.receive(out_of_dialog(method))
    assert answer.code == code and answer.to == GATEWAY
    assert answer["Via"] == "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx;rport=5060;received=192.0.2.9"
    assert answer["To"].startswith("<sip:100@192.0.2.1>;tag=") and answer["From"] == "<sip:gw@192.0.2.9>;tag=gw"
    assert answer["CSeq"] == f"7 {method}"
    assert "OPTIONS" in answer["Allow"] and "INVITE" in answer["Allow"]


def test_a_via_with_quotes_comes_back_as_it_was_with_where_it_really_came_from(steps: Steps) -> None:
    asked = out_of_dialog("OPTIONS").replace(";branch", ';x="a;rport=9,received=b";branch')
    (answer,) = steps.receive(asked)
    assert answer["Via"] == (
        'SIP/2.0/UDP 192.0.2.9;x="a;rport=9,received=b";branch=z9hG4bKx;rport=5060;received=192.0.2.9'
    )


@pytest.mark.parametrize("method", ["OPTIONS", "INVITE", "BYE", "FROBNICATE"])
def test_a_request_for_an_unknown_dialog_gets_481(steps: Steps, method: str) -> None:
    assert steps.receive(out_of_dialog(method, to_tag=";tag=none"))[0].code == 481


@pytest.mark.parametrize(
    ("method", "code"),
    [
        *(("OPTIONS", 200), ("INFO", 200), ("NOTIFY", 200), ("FROBNICATE", 501), ("REFER", 405)),
        *(("INVITE", 488), ("UPDATE", 200), ("PRACK", 481)),
    ],
)
def test_a_request_within_the_dialog_is_answered_and_the_call_stays(steps: Steps, method: str, code: int) -> None:
    ack = steps.answer(steps.invite())
    (answer,) = steps.receive(in_dialog(ack, method))
    assert answer.code == code and answer["To"] == ack["From"]
    assert "BYE" in answer["Allow"]
    assert steps.names == ["CallAnswered"]


def test_a_request_sent_again_gets_the_identical_response(steps: Steps) -> None:
    ack = steps.answer(steps.invite())
    for method in ("OPTIONS", "BYE"):
        request = in_dialog(ack, method, 2, branch=f"z9hG4bK{method}")
        (first,) = steps.receive(request)
        steps.advance(20.0)
        (again,) = steps.receive(request)
        assert again.data == first.data
    assert steps.names == ["CallAnswered", "CallEnded"]
    assert steps.receive(in_dialog(ack, "OPTIONS", 3, branch="z9hG4bKlate"))[0].code == 481
    steps.finish()


def test_a_bye_is_taken_whatever_it_requires(steps: Steps) -> None:
    ack = steps.answer(steps.invite())
    assert steps.receive(in_dialog(ack, "BYE", headers=("Require: foo",)))[0].code == 200
    assert steps.names == ["CallAnswered", "CallEnded"]


def test_a_bye_with_a_wrong_tag_gets_481_and_one_with_a_lower_cseq_500(steps: Steps) -> None:
    ack = steps.answer(steps.invite())
    assert steps.receive(in_dialog(ack, "OPTIONS", 10, branch="z9hG4bK0"))[0].code == 200
    assert steps.receive(in_dialog(ack, "BYE", 11, branch="z9hG4bK1", to_tag="x"))[0].code == 481
    assert steps.receive(in_dialog(ack, "BYE", 11, branch="z9hG4bK2", from_tag="x"))[0].code == 481
    assert steps.receive(in_dialog(ack, "BYE", 9, branch="z9hG4bK3"))[0].code == 500
    assert steps.names == ["CallAnswered"]
    assert steps.receive(in_dialog(ack, "BYE", 11, branch="z9hG4bK4"))[0].code == 200


def test_an_extension_that_is_required_of_us_is_refused_by_name(steps: Steps) -> None:
    request = out_of_dialog("OPTIONS").replace("Content-Length", "Require: foo, bar\r\nContent-Length")
    (answer,) = steps.receive(request)
    assert answer.code == 420 and answer.all("Unsupported") == ["foo", "bar"]


def test_the_480_is_sent_again_until_its_ack_comes(steps: Steps) -> None:
    invite = out_of_dialog("INVITE")
    (answer,) = steps.receive(invite)
    assert [sent.at - 100 for sent in steps.advance(4.0)] == [0.5, 1.5, 3.5]
    assert steps.receive(invite)[0].data == answer.data
    assert steps.receive(out_of_dialog("CANCEL"))[0].code == 200
    assert steps.receive(out_of_dialog("ACK")) == []
    assert steps.receive(invite) == []
    assert steps.advance(100.0) == []
    assert steps.core.remembered == 0


def test_requests_of_an_old_peer_without_a_magic_cookie_are_told_apart(steps: Steps) -> None:
    request = out_of_dialog("OPTIONS", via="SIP/2.0/UDP 192.0.2.9:5080")
    (answer,) = steps.receive(request)
    assert answer.to == ("192.0.2.9", 5080) and answer["Via"] == "SIP/2.0/UDP 192.0.2.9:5080"
    assert steps.receive(request)[0].data == answer.data
    assert steps.receive(request.replace("CSeq: 7", "CSeq: 8"))[0].data != answer.data


def test_a_stranger_gets_no_answer_unless_it_knows_call_id_and_both_tags(steps: Steps) -> None:
    ack = steps.answer(steps.invite(), contact="<sip:callee@192.168.1.7>")  # behind a NAT: its host is not known
    assert steps.receive(out_of_dialog("OPTIONS"), STRANGER) == []
    assert steps.receive(in_dialog(ack, "BYE", from_tag="guess"), STRANGER) == []
    assert steps.receive(in_dialog(ack, "BYE", to_tag="guess"), STRANGER) == []
    assert steps.core.discarded == {"unknown_host": 3}
    (ok,) = steps.receive(in_dialog(ack, "BYE", branch="z9hG4bKgood"), STRANGER)
    assert ok.code == 200 and ok.to == (STRANGER[0], 5070)
    assert steps.names == ["CallAnswered", "CallEnded"]


STRAY = [
    ("other branch", "branch=z9hG4bK", "branch=z9hG4bKx"),
    ("other Call-ID", "Call-ID: call-1", "Call-ID: call-2"),
    ("other method", "CSeq: 1 INVITE", "CSeq: 1 OPTIONS"),
    ("other number", "CSeq: 1 INVITE", "CSeq: 2 INVITE"),
    ("other From tag", "<sip:100@192.0.2.1>;tag=", "<sip:100@192.0.2.1>;tag=0"),
    ("sent-by not ours", "UDP 192.0.2.1:5060", "UDP 192.0.2.2:5060"),
    ("other port in sent-by", "UDP 192.0.2.1:5060", "UDP 192.0.2.1:5061"),
    ("two Via", "From:", "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKother\r\nFrom:"),
    ("two Via on a line", ";rport;", ";rport, SIP/2.0/UDP 192.0.2.9;"),
    ("Via unreadable", "SIP/2.0/UDP 192.0.2.1", "SIP/3.0/UDP 192.0.2.1"),
]


@pytest.mark.parametrize(("old", "new"), [case[1:] for case in STRAY], ids=[case[0] for case in STRAY])
def test_a_stray_response_changes_nothing(steps: Steps, old: str, new: str) -> None:
    text = response(steps.invite(), "200 OK", body=ANSWER)
    assert old in text
    assert steps.receive(text.replace(old, new, 1)) == []
    assert steps.events == []
    assert steps.core.discarded == {"stray_response": 1}
    assert len(steps.advance(40.0)) == 6
    assert isinstance(steps.last, CallFailed) and steps.last.kind == "timeout"


@pytest.mark.parametrize("length", ["999", "-1", "abc"])
def test_a_response_with_an_impossible_length_is_dropped_and_counted(steps: Steps, length: str) -> None:
    text = response(steps.invite(), "200 OK", body=ANSWER)
    assert steps.receive(text.replace(f"Content-Length: {len(ANSWER)}", f"Content-Length: {length}")) == []
    assert steps.core.discarded.total() == 1 and steps.events == []


def test_keepalives_are_ignored(steps: Steps) -> None:
    for data in (b"", b"\r\n\r\n", b"\0\0\0\0"):
        assert steps.receive(data) == []
    assert steps.core.discarded == {"keepalive": 3}


def test_a_stray_ack_is_counted(steps: Steps) -> None:
    assert steps.receive(out_of_dialog("ACK")) == []
    assert steps.core.discarded == {"stray_ack": 1}


def test_garbage_and_flipped_bits_disturb_no_call(steps: Steps) -> None:
    rng = random.Random(20_261_123)
    invite = steps.invite()
    valid = response(invite, "180 Ringing", tag="flipped").encode()
    request = in_dialog(Sent(0, invite.data, GATEWAY), "OPTIONS").encode()
    for number in range(10_000):
        if number % 2:
            data = rng.randbytes(rng.randrange(400))
        else:
            changed = bytearray(valid if number % 4 else request)
            for _ in range(rng.randrange(1, 12)):
                changed[rng.randrange(len(changed))] = rng.randrange(256)
            data = bytes(changed)
        steps.core.receive_datagram(data, rng.choice([GATEWAY, STRANGER]), steps.now)
    steps.take()
    steps.answer(invite)
    assert steps.names[-1] == "CallAnswered"


def test_a_thousand_calls_of_every_kind_leave_nothing_behind(steps: Steps) -> None:
    for number in range(1000):
        call_id = f"c{number}"
        invite = steps.invite(call_id=call_id, credentials=("u", "p"))
        match number % 6:
            case 0:
                steps.answer(invite)
                steps.core.bye(call_id, steps.now)
                steps.reply(steps.take_one(), "200 OK")
            case 1:
                steps.receive(in_dialog(steps.answer(invite), "BYE", branch=f"z9hG4bK{number}"))
            case 2:
                steps.reply(invite, "486 Busy")
            case 3:
                steps.reply(invite, "180 Ringing")
                steps.core.cancel(call_id, steps.now)
                steps.reply(steps.take_one(), "200 OK")
                steps.reply(invite, "487 Cancelled")
            case 4:
                _, again = steps.reply(invite, "401 U", headers=('WWW-Authenticate: Digest realm="r", nonce="n"',))
                steps.reply(again, "403 Forbidden")
            case _:
                steps.core.transport_error(GATEWAY, steps.now)
    assert steps.core.live_calls == 0
    steps.advance(64.5)
    assert steps.core.remembered == 0
    assert steps.names.count("CallFailed") + steps.names.count("CallEnded") == 1000
    assert steps.core.get_timer() is None


def test_a_finished_call_is_freed_without_the_garbage_collector(steps: Steps) -> None:
    gc.collect()
    gc.disable()
    try:
        for number in range(20):
            steps.answer(steps.invite(call_id=f"c{number}"))
            steps.core.bye(f"c{number}", steps.now)
            steps.reply(steps.take_one(), "200 OK")
        assert sum(type(each) is Call for each in gc.get_objects()) == 20
        steps.advance(64.5)
        assert not [each for each in gc.get_objects() if isinstance(each, Call | Transaction)]
    finally:
        gc.enable()


def test_a_call_id_cannot_be_used_twice_while_it_is_remembered(steps: Steps) -> None:
    steps.invite()
    with pytest.raises(Conflict):
        steps.invite()


def test_call_ids_are_unique() -> None:
    assert len({new_call_id() for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    "field",
    [
        {"target": "sip:1@h\r\nX: y"},
        {"target": "sip:1@h>;x=<"},
        {"target": "sip:1 2@h"},
        {"target": "http://h"},
        {"target": "sip:\u0660@h"},
        {"next_hop": ("gateway.example.org", 5060)},
        {"next_hop": ("192.0.2.256", 5060)},
        {"next_hop": ("192.0.2.9", 0)},
        {"from_uri": "sip:1@h\nX: y"},
        {"from_display": "a\r\nX: y"},
        {"from_display": "a\x00"},
        {"from_display": "a\u2028b"},
        {"contact_user": "a\r\nX: y"},
        {"call_id": "a b"},
        {"call_id": "a\r\nX: y"},
        {"route": ("sip:h\r\nX: y",)},
        {"headers": (("X-A", "b\r\nX: y"),)},
        {"headers": (("X-A\r\nX", "y"),)},
        {"headers": (("X A", "y"),)},
        {"headers": (("Via", "y"),)},
        {"credentials": ("u\r\nX: y", "p")},
    ],
    ids=str,
)
def test_no_text_of_a_caller_becomes_a_header(steps: Steps, field: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        steps.invite(**field)
    assert steps.take() == []


def test_the_user_part_of_a_uri_is_escaped() -> None:
    assert sip_uri("*21#", "h", 5070) == "sip:*21%23@h:5070"
    assert sip_uri("a b@c\r\n", "h") == "sip:a%20b%40c%0D%0A@h"
    assert sip_uri("", "h") == "sip:h"


def test_the_password_is_not_in_the_representation_of_a_request() -> None:
    request = InviteRequest(
        target="sip:a@b", from_uri="sip:c@d", next_hop=GATEWAY, sdp=b"", credentials=("me", "secret")
    )
    assert "secret" not in repr(request)


def test_every_line_of_the_log_about_a_call_names_it(steps: Steps, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "autodialer.sip.call")
    steps.answer(steps.invite())
    steps.core.bye("call-1", steps.now)
    told = [record for record in caplog.records if record.name == "autodialer.sip.call"]
    assert len(told) >= 3
    assert all("call-1" in record.getMessage() for record in told)

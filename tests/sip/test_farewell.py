"""Dialogs that outlive their process: kept before the ACK, hung up by the next process."""

import dataclasses
import json

import pytest

from autodialer.sip.dialog_state import DialogState
from autodialer.sip.events import CallAnswered, DialogMoved, FarewellEnded
from autodialer.sip.farewell import CSEQ_GAP
from tests.sip.stepping import ANSWER, GATEWAY, Sent, Steps, in_dialog, response

ROUTES = ("Record-Route: <sip:198.51.100.2;lr>", "Record-Route: <sip:192.0.2.9;lr>")
CHALLENGE = 'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth", algorithm=MD5'
SECRET = ("user", "secret")


def kept(steps: Steps) -> DialogState:
    (answered,) = [event for event in steps.events if isinstance(event, CallAnswered)]
    assert answered.dialog is not None
    return answered.dialog


def left_behind() -> tuple[DialogState, Sent]:
    """The dialog that a process kept of a call through two proxies, and its INVITE."""
    steps = Steps()
    invite = steps.invite()
    steps.reply(invite, "200 OK", body=ANSWER, headers=ROUTES)
    return kept(steps), invite


def later() -> Steps:
    """The next process."""
    steps = Steps()
    steps.now = 5000.0
    return steps


def farewells(steps: Steps) -> list[tuple[str, int | None, str]]:
    return [(e.call_id, e.code, e.message) for e in steps.events if isinstance(e, FarewellEnded)]


def test_a_dialog_comes_back_from_its_text() -> None:
    dialog, _ = left_behind()
    assert DialogState.unpack(dialog.packed()) == dialog


@pytest.mark.parametrize("text", ["", "{}", "[1]", "null", '["c","f","t","x","u",[],["h",1,"UDP"]]', "17"])
def test_a_text_that_is_no_dialog_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        DialogState.unpack(text)


def test_a_kept_dialog_is_hung_up_over_its_route_set_with_a_higher_cseq() -> None:
    dialog, invite = left_behind()
    steps = later()
    steps.core.say_farewell(DialogState.unpack(dialog.packed()), None, steps.now)
    bye = steps.take_one()
    assert bye.start_line == "BYE sip:callee@192.0.2.77:5070 SIP/2.0"
    assert bye.to == GATEWAY
    assert bye.all("Route") == ["<sip:192.0.2.9;lr>", "<sip:198.51.100.2;lr>"]
    assert (bye["From"], bye["To"]) == (invite["From"], f"{invite['To']};tag=callee")
    assert bye["Call-ID"] == "call-1" and bye["CSeq"] == f"{1 + CSEQ_GAP + 1} BYE"
    assert bye.branch != invite.branch
    steps.reply(bye, "200 OK", contact=None)
    assert farewells(steps) == [("call-1", 200, "200 OK")]
    steps.advance(40.0)
    assert steps.core.remembered == 0 and len(farewells(steps)) == 1


def test_the_challenge_of_a_farewell_is_answered() -> None:
    dialog, _ = left_behind()
    steps = later()
    steps.core.say_farewell(dialog, SECRET, steps.now)
    first = steps.take_one()
    (second,) = steps.reply(first, "401 Unauthorized", headers=(CHALLENGE,), contact=None)
    assert second["CSeq"] == f"{CSEQ_GAP + 3} BYE" and 'uri="sip:callee@192.0.2.77:5070"' in second["Authorization"]
    assert farewells(steps) == []
    steps.reply(second, "200 OK", contact=None)
    assert farewells(steps) == [("call-1", 200, "200 OK")]


@pytest.mark.parametrize("status", ["481 Call/Transaction Does Not Exist", "403 Forbidden", "500 Server Error"])
def test_any_final_answer_ends_a_farewell(status: str) -> None:
    dialog, _ = left_behind()
    steps = later()
    steps.core.say_farewell(dialog, None, steps.now)
    steps.reply(steps.take_one(), status, contact=None)
    assert farewells(steps) == [("call-1", int(status[:3]), status)]


def test_a_farewell_that_nobody_answers_is_sent_again_and_given_up_after_32_s() -> None:
    dialog, _ = left_behind()
    steps = later()
    steps.core.say_farewell(dialog, None, steps.now)
    assert len(steps.advance(31.0)) >= 9
    assert farewells(steps) == []
    steps.advance(1.5)
    assert farewells(steps) == [("call-1", None, "no answer")]
    steps.advance(40.0)
    assert steps.core.remembered == 0


def late_answer(invite: Sent, tag: str = "callee") -> str:
    return response(invite, "200 OK", tag=tag, headers=ROUTES, body=ANSWER)


def test_who_answers_a_call_that_was_cut_off_is_acknowledged_and_hung_up() -> None:
    _, invite = left_behind()
    steps = later()
    steps.core.know_host(GATEWAY[0])
    steps.core.expect_answers(["call-1"], SECRET, steps.now + 180)
    ack, bye = steps.receive(late_answer(invite))
    assert ack.start_line == "ACK sip:callee@192.0.2.77:5070 SIP/2.0" and ack["CSeq"] == "1 ACK"
    assert bye.method == "BYE" and bye["CSeq"] == f"{CSEQ_GAP + 2} BYE"
    for sent in (ack, bye):
        assert sent.to == GATEWAY and sent.all("Route") == ["<sip:192.0.2.9;lr>", "<sip:198.51.100.2;lr>"]
        assert (sent["From"], sent["To"]) == (invite["From"], f"{invite['To']};tag=callee")
    (again,) = steps.receive(late_answer(invite))
    assert again.method == "ACK", "each 2xx gets an ACK, the dialog one BYE"


def test_an_answer_without_a_contact_is_acknowledged_and_hung_up_where_it_came_from() -> None:
    _, invite = left_behind()
    steps = later()
    steps.core.know_host(GATEWAY[0])
    steps.core.expect_answers(["call-1"], SECRET, steps.now + 180)
    ack, bye = steps.receive(response(invite, "200 OK", body=ANSWER, contact=None), (GATEWAY[0], 5080))
    assert (ack.method, bye.method) == ("ACK", "BYE")
    assert {(sent.uri, sent.to) for sent in (ack, bye)} == {(invite.uri, (GATEWAY[0], 5080))}


def test_a_dialog_that_an_older_version_kept_is_read() -> None:
    dialog, _ = left_behind()
    older = json.dumps(json.loads(dialog.packed())[:7])
    assert DialogState.unpack(older) == dialog


def test_an_answer_to_a_call_that_was_not_cut_off_is_dropped() -> None:
    _, invite = left_behind()
    steps = later()
    steps.core.know_host(GATEWAY[0])
    assert steps.receive(late_answer(invite)) == []
    steps.core.expect_answers(["another-call"], SECRET, steps.now + 180)
    assert steps.receive(late_answer(invite)) == []
    assert steps.core.discarded["stray_response"] == 2


def test_only_hosts_of_the_trunk_can_answer_late() -> None:
    _, invite = left_behind()
    steps = later()
    steps.core.know_host(GATEWAY[0])
    steps.core.expect_answers(["call-1"], None, steps.now + 180)
    assert steps.receive(late_answer(invite), ("203.0.113.5", 5060)) == []
    assert steps.core.discarded["stray_response"] == 1


def test_a_flood_of_late_answers_brings_few_byes_and_no_more_packets_than_came() -> None:
    _, invite = left_behind()
    steps = later()
    steps.core.know_host(GATEWAY[0])
    steps.core.expect_answers(["call-1"], None, steps.now + 180)
    sent = [packet for number in range(500) for packet in steps.receive(late_answer(invite, f"fork{number}"))]
    assert len([packet for packet in sent if packet.method == "BYE"]) == 8
    assert len(sent) == 16


def test_late_answers_are_expected_only_for_a_while() -> None:
    _, invite = left_behind()
    steps = later()
    steps.core.know_host(GATEWAY[0])
    steps.core.expect_answers(["call-1"], None, steps.now + 180)
    steps.advance(181.0)
    assert steps.receive(late_answer(invite)) == []


def test_a_kept_dialog_whose_ack_was_lost_is_acknowledged_and_gets_one_bye() -> None:
    dialog, invite = left_behind()
    steps = later()
    steps.core.expect_answers(["call-1"], None, steps.now + 180)
    steps.core.say_farewell(dialog, None, steps.now)
    assert steps.take_one().method == "BYE"
    assert [sent.method for sent in steps.receive(late_answer(invite))] == ["ACK"]


def test_the_ack_waits_until_the_dialog_is_written_down() -> None:
    steps = Steps()
    invite = steps.invite(ack_within_s=0.4)
    assert steps.reply(invite, "200 OK", body=ANSWER) == []
    assert kept(steps).to.endswith(";tag=callee")
    steps.now += 0.01
    steps.core.acknowledge("call-1")
    assert [sent.method for sent in steps.take()] == ["ACK"]
    assert steps.advance(5.0) == []
    steps.core.acknowledge("call-1")
    assert steps.take() == []
    steps.core.bye("call-1", steps.now)
    steps.reply(steps.take_one(), "200 OK", contact=None)
    steps.finish()


def test_an_ack_waits_only_so_long() -> None:
    steps = Steps()
    assert steps.reply(steps.invite(ack_within_s=0.4), "200 OK", body=ANSWER) == []
    assert [(round(sent.at - 100, 3), sent.method) for sent in steps.advance(5.0)] == [(0.4, "ACK")]


def test_a_2xx_that_comes_again_gets_the_waiting_ack_once() -> None:
    steps = Steps()
    invite = steps.invite(ack_within_s=0.4)
    assert steps.reply(invite, "200 OK", body=ANSWER) == []
    assert [sent.method for sent in steps.reply(invite, "200 OK", body=ANSWER)] == ["ACK"]
    assert steps.advance(1.0) == []


@pytest.mark.parametrize("who", ["we", "callee"])
def test_the_waiting_ack_leaves_when_the_call_ends(who: str) -> None:
    steps = Steps()
    invite = steps.invite(ack_within_s=0.4)
    steps.reply(invite, "200 OK", body=ANSWER)
    if who == "we":
        steps.core.bye("call-1", steps.now)
        assert [sent.method for sent in steps.take()] == ["ACK", "BYE"]
        return
    local, remote = invite["From"], f"{invite['To']};tag=callee"
    fake = Sent(0, f"ACK x SIP/2.0\r\nFrom: {local}\r\nTo: {remote}\r\nCall-ID: call-1\r\n\r\n".encode(), GATEWAY)
    assert [sent.start_line.split()[0] for sent in steps.receive(in_dialog(fake, "BYE"))] == ["SIP/2.0", "ACK"]


def test_a_callee_that_moves_is_told_with_its_new_dialog() -> None:
    steps = Steps()
    ack = steps.answer(steps.invite())
    steps.receive(in_dialog(ack, "UPDATE", headers=("Contact: <sip:callee@192.0.2.88:5080>",)))
    (moved,) = [event for event in steps.events if isinstance(event, DialogMoved)]
    assert moved.dialog == dataclasses.replace(kept(steps), target="sip:callee@192.0.2.88:5080")

"""Calls that are answered: ACK, BYE both ways, forks, re-sent responses, Route sets, bodies."""

import dataclasses

import pytest

from autodialer.sip.dialog_state import DialogState
from autodialer.sip.events import CallAnswered, CallEnded, CallFailed, CallProgress, EndedBy
from autodialer.sip.hop import Hop
from autodialer.sip.invite import InviteRequest
from tests.sip.stepping import ANSWER, GATEWAY, Sent, Steps, early, in_dialog, response


@pytest.fixture
def steps() -> Steps:
    return Steps()


def test_an_invite_has_all_that_rfc_3261_section_8_1_1_asks(steps: Steps) -> None:
    invite = steps.invite(from_display='Anna "x" \\', contact_user="100", headers=(("X-Campaign", "7"),))
    assert invite.start_line == "INVITE sip:79161234567@192.0.2.9 SIP/2.0"
    assert invite.to == GATEWAY
    assert invite["Via"] == f"SIP/2.0/UDP 192.0.2.1:5060;rport;branch={invite.branch}"
    assert invite.branch.startswith("z9hG4bK")
    assert invite["Max-Forwards"] == "70"
    assert invite["From"] == f'"Anna \\"x\\" \\\\" <sip:100@192.0.2.1>;tag={invite.from_tag}' and invite.from_tag
    assert invite["To"] == "<sip:79161234567@192.0.2.9>"
    assert invite["Call-ID"] == "call-1"
    assert invite["CSeq"] == "1 INVITE"
    assert invite["Contact"] == "<sip:100@192.0.2.1:5060>"
    assert "BYE" in invite["Allow"]
    assert invite["X-Campaign"] == "7"
    assert invite["Content-Type"] == "application/sdp"
    assert invite["Content-Length"] == str(len(invite.body)) == "5"


def test_plain_200_is_acknowledged_at_its_contact_on_a_new_branch(steps: Steps) -> None:
    invite = steps.invite()
    ack = steps.answer(invite)
    assert ack.start_line == "ACK sip:callee@192.0.2.77:5070 SIP/2.0"
    assert ack.to == ("192.0.2.77", 5070)
    assert ack["To"] == "<sip:79161234567@192.0.2.9>;tag=callee"
    assert ack["From"] == invite["From"]
    assert ack["CSeq"] == "1 ACK"
    assert ack["Call-ID"] == invite["Call-ID"]
    assert ack["Max-Forwards"] == "70"
    assert ack.branch.startswith("z9hG4bK") and ack.branch != invite.branch
    assert isinstance(steps.last, CallAnswered)
    assert dataclasses.replace(steps.last, dialog=None) == CallAnswered(
        call_id="call-1", at=100.0, code=200, reason="OK", sdp=ANSWER.encode()
    )


def test_callee_bye_gets_200_and_ends_the_call(steps: Steps) -> None:
    ack = steps.answer(steps.invite())
    steps.now += 3
    (ok,) = steps.receive(in_dialog(ack, "BYE", headers=("Reason: SIP;cause=200, Q.850;cause=16;text=x",)))
    assert ok.start_line == "SIP/2.0 200 OK"
    assert ok.to == ("192.0.2.9", 5070)  # no rport in the Via: its port at the address it came from
    assert ok["Via"] == "SIP/2.0/UDP 192.0.2.77:5070;branch=z9hG4bKpeer;received=192.0.2.9"
    assert (ok["From"], ok["To"], ok["CSeq"]) == (ack["To"], ack["From"], "1 BYE")
    assert steps.last == CallEnded(call_id="call-1", at=103.0, by=EndedBy.CALLEE, reason_cause=16)
    steps.finish()


def test_caller_bye_has_the_next_cseq_and_goes_to_the_contact(steps: Steps) -> None:
    ack = steps.answer(steps.invite())
    steps.core.bye("call-1", steps.now)
    bye = steps.take_one()
    assert bye.start_line == "BYE sip:callee@192.0.2.77:5070 SIP/2.0"
    assert bye["CSeq"] == "2 BYE"
    assert (bye["From"], bye["To"]) == (ack["From"], ack["To"])
    assert bye.branch not in (ack.branch, "")
    assert steps.last == CallEnded(call_id="call-1", at=100.0, by=EndedBy.US, reason_cause=None)
    assert steps.reply(bye, "200 OK") == []
    steps.core.bye("call-1", steps.now)
    assert steps.take() == []
    steps.finish()


def test_a_lost_bye_is_sent_again_at_half_a_second_and_one_and_a_half(steps: Steps) -> None:
    steps.answer(steps.invite())
    steps.core.bye("call-1", steps.now)
    bye = steps.take_one()
    again = steps.advance(2.0)
    assert [(sent.at, sent.data) for sent in again] == [(100.5, bye.data), (101.5, bye.data)]
    steps.reply(bye, "200 OK")
    assert steps.advance(60.0) == []
    steps.finish()


def test_timers_that_are_served_late_do_not_add_up(steps: Steps) -> None:
    steps.answer(steps.invite())
    steps.core.bye("call-1", steps.now)
    steps.core.handle_timer(100.8)
    assert steps.core.get_timer() == 101.5


def test_a_bye_that_is_being_worked_on_is_sent_again_every_t2(steps: Steps) -> None:
    steps.answer(steps.invite())
    steps.core.bye("call-1", steps.now)
    steps.reply(steps.take_one(), "100 Trying")
    assert [sent.at - 100 for sent in steps.advance(10.0)] == [0.5, 4.5, 8.5]


@pytest.mark.parametrize("status", ["481 Gone", "408 Timeout", "500 Error"])
def test_an_error_to_our_bye_ends_the_dialog_without_a_retry(steps: Steps, status: str) -> None:
    steps.answer(steps.invite())
    steps.core.bye("call-1", steps.now)
    assert steps.reply(steps.take_one(), status) == []
    assert steps.names == ["CallAnswered", "CallEnded"]
    assert steps.advance(60.0) == []
    steps.finish()


def test_a_bye_that_nobody_answers_is_given_up_after_64_t1(steps: Steps) -> None:
    steps.answer(steps.invite())
    steps.core.bye("call-1", steps.now)
    times = [sent.at - 100 for sent in steps.take() + steps.advance(100.0)]
    assert times == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    steps.finish()


def test_byes_that_cross_are_both_answered(steps: Steps) -> None:
    ack = steps.answer(steps.invite())
    steps.core.bye("call-1", steps.now)
    bye = steps.take_one()
    (ok,) = steps.receive(in_dialog(ack, "BYE"))
    assert ok.code == 200
    steps.reply(bye, "481 Gone")
    steps.finish()


def test_a_200_sent_again_gets_the_identical_ack_for_64_t1(steps: Steps) -> None:
    invite = steps.invite()
    ack = steps.answer(invite)
    for _ in range(3):
        steps.advance(10.0)
        (again,) = steps.reply(invite, "200 OK", body=ANSWER)
        assert (again.data, again.to) == (ack.data, ack.to)
    assert steps.names == ["CallAnswered"]
    steps.advance(3.0)
    assert steps.reply(invite, "200 OK", body=ANSWER) == []
    assert steps.core.discarded["stray_response"] == 1


def test_a_200_sent_again_after_our_bye_still_gets_its_ack(steps: Steps) -> None:
    invite = steps.invite()
    ack = steps.answer(invite)
    steps.core.bye("call-1", steps.now)
    steps.reply(steps.take_one(), "200 OK")
    assert steps.reply(invite, "200 OK", body=ANSWER)[0].data == ack.data
    steps.finish()


@pytest.mark.parametrize("hung_up_before", [False, True])
def test_a_second_200_of_a_fork_is_acknowledged_and_hung_up(steps: Steps, hung_up_before: bool) -> None:
    invite = steps.invite()
    steps.reply(invite, "180 Ringing", tag="a")
    first = steps.answer(invite, tag="a")
    if hung_up_before:
        steps.core.bye("call-1", steps.now)
        steps.reply(steps.take_one(), "200 OK")
    ack, bye = steps.reply(invite, "200 OK", tag="b", contact="<sip:second@192.0.2.78>", body=ANSWER)
    assert ack.start_line == "ACK sip:second@192.0.2.78 SIP/2.0" and ack["To"].endswith(";tag=b")
    assert bye.start_line == "BYE sip:second@192.0.2.78 SIP/2.0" and bye["To"].endswith(";tag=b")
    assert bye["CSeq"] == "2 BYE"
    assert (ack.to, bye.to) == (("192.0.2.78", 5060), ("192.0.2.78", 5060))
    assert first["To"].endswith(";tag=a")
    (again,) = steps.reply(invite, "200 OK", tag="b", contact="<sip:second@192.0.2.78>", body=ANSWER)
    assert again.data == ack.data
    steps.reply(bye, "200 OK")
    if not hung_up_before:
        steps.core.bye("call-1", steps.now)
        steps.reply(steps.take_one(), "200 OK")
    assert steps.names == ["CallAnswered", "CallEnded"]
    steps.finish()


def test_the_route_set_is_the_record_route_reversed(steps: Steps) -> None:
    invite = steps.invite()
    records = ("Record-Route: <sip:192.0.2.31;lr>, <sip:192.0.2.32:5080;lr;x=1>", "Record-Route: <sip:192.0.2.9;lr>")
    ack = steps.answer(invite, headers=records)
    steps.core.bye("call-1", steps.now)
    bye = steps.take_one()
    for request in (ack, bye):
        assert request.uri == "sip:callee@192.0.2.77:5070"
        assert request.all("Route") == ["<sip:192.0.2.9;lr>", "<sip:192.0.2.32:5080;lr;x=1>", "<sip:192.0.2.31;lr>"]
        assert request.to == ("192.0.2.9", 5060)


def test_a_strict_router_gets_its_own_uri_as_request_uri(steps: Steps) -> None:
    records = ("Record-Route: <sip:192.0.2.31;lr>", "Record-Route: <sip:192.0.2.9:5066>")
    ack = steps.answer(steps.invite(), headers=records)
    assert ack.uri == "sip:192.0.2.9:5066" and ack.to == ("192.0.2.9", 5066)
    assert ack.all("Route") == ["<sip:192.0.2.31;lr>", "<sip:callee@192.0.2.77:5070>"]


def test_a_preloaded_route_stands_in_invite_ack_to_errors_and_cancel(steps: Steps) -> None:
    invite = steps.invite(route=("sip:192.0.2.5;lr",), next_hop=("192.0.2.5", 5060))
    assert invite.to == ("192.0.2.5", 5060) and invite["Route"] == "<sip:192.0.2.5;lr>"
    assert invite.uri == "sip:79161234567@192.0.2.9"
    steps.reply(invite, "180 Ringing", addr=("192.0.2.5", 5060))
    steps.core.cancel("call-1", steps.now)
    cancel = steps.take_one()
    (ack,) = steps.reply(invite, "487 Cancelled", addr=("192.0.2.5", 5060))
    assert cancel["Route"] == ack["Route"] == "<sip:192.0.2.5;lr>"
    assert cancel.to == ack.to == ("192.0.2.5", 5060)


def test_the_route_set_of_the_200_replaces_that_of_the_180(steps: Steps) -> None:
    invite = steps.invite()
    steps.reply(invite, "180 Ringing", headers=("Record-Route: <sip:192.0.2.66;lr>",))
    ack = steps.answer(invite, headers=("Record-Route: <sip:192.0.2.9;lr>",))
    assert ack.all("Route") == ["<sip:192.0.2.9;lr>"]


@pytest.mark.parametrize(
    ("contact", "uri", "hop"),
    [
        (None, "sip:79161234567@192.0.2.9", GATEWAY),
        ("sip:a@192.0.2.7:5090;x=y", "sip:a@192.0.2.7:5090", ("192.0.2.7", 5090)),
        ('"a <b>" <sip:a@192.0.2.7;transport=udp?Subject=x>;expires=3', "sip:a@192.0.2.7;transport=udp", None),
        ("<sip:a@pbx.example.org>", "sip:a@pbx.example.org", GATEWAY),
        ("<sip:a@192.0.2.7;maddr=192.0.2.8>", "sip:a@192.0.2.7;maddr=192.0.2.8", ("192.0.2.8", 5060)),
        ("<tel:+123>", "sip:79161234567@192.0.2.9", GATEWAY),
        ("<sip:a@192.0.2.7>, <sip:b@192.0.2.6>", "sip:a@192.0.2.7", ("192.0.2.7", 5060)),
        ('sip:a@192.0.2.7:5090;x="<sip:b@192.0.2.6>"', "sip:a@192.0.2.7:5090", ("192.0.2.7", 5090)),
    ],
    ids=["none", "no brackets", "quoted name", "host name", "maddr", "tel", "two", "bracket in quotes"],
)
def test_the_ack_goes_where_the_contact_says(
    steps: Steps, contact: str | None, uri: str, hop: tuple[str, int] | None
) -> None:
    ack = steps.answer(steps.invite(), contact=contact)
    assert ack.uri == uri
    assert ack.to == (hop or ("192.0.2.7", 5060))


@pytest.mark.parametrize("contact", [None, "<tel:+123>", "*", '"no end <sip:a@192.0.2.7>', "<sip:a@b\u00e9>"])
@pytest.mark.parametrize("proxy", [False, True])
def test_without_a_usable_contact_ack_and_bye_take_the_way_of_the_invite(
    steps: Steps, contact: str | None, *, proxy: bool
) -> None:
    hop = Hop("192.0.2.9", 5080)
    route = ("sip:192.0.2.9:5080;lr",) if proxy else ()
    invite = steps.invite(next_hop=hop, target="sip:79161234567@192.0.2.50", route=route)
    (ack,) = steps.receive(response(invite, "200 OK", body=ANSWER, contact=contact))
    steps.core.bye("call-1", steps.now)
    bye = steps.take_one()
    for sent in (ack, bye):
        assert (sent.hop, sent.uri, sent.all("Route")) == (hop, invite.uri, invite.all("Route"))
    assert isinstance(answered := steps.events[0], CallAnswered) and answered.dialog is not None
    assert DialogState.unpack(answered.dialog.packed()) == answered.dialog


def test_a_contact_that_comes_later_is_followed(steps: Steps) -> None:
    invite = steps.invite(next_hop=Hop("192.0.2.9", 5080))
    (ack,) = steps.receive(response(invite, "200 OK", body=ANSWER, contact=None))
    update = in_dialog(ack, "UPDATE", headers=("Contact: <sip:callee@192.0.2.77:5070>",))
    assert [answer.code for answer in steps.receive(update)] == [200]
    steps.core.bye("call-1", steps.now)
    bye = steps.take_one()
    assert (bye.uri, bye.to) == ("sip:callee@192.0.2.77:5070", ("192.0.2.77", 5070))


def test_early_media_is_reported_and_not_acknowledged(steps: Steps) -> None:
    invite = steps.invite()
    early = ANSWER.replace("40000", "41000")
    assert steps.reply(invite, "183 Session Progress", body=early) == []
    assert steps.last == CallProgress(
        call_id="call-1", at=100.0, code=183, reason="Session Progress", sdp=early.encode()
    )
    steps.answer(invite)
    assert isinstance(steps.last, CallAnswered) and steps.last.sdp == ANSWER.encode()


def test_a_200_without_sdp_takes_that_of_its_own_early_dialog_only(steps: Steps) -> None:
    invite = steps.invite()
    steps.reply(invite, "183 Session Progress", tag="other", body=ANSWER.replace("40000", "41000"))
    steps.reply(invite, "183 Session Progress", tag="callee", body=ANSWER)
    steps.reply(invite, "200 OK", tag="callee")
    assert isinstance(steps.last, CallAnswered) and steps.last.sdp == ANSWER.encode()


def test_equal_provisional_responses_are_reported_once(steps: Steps) -> None:
    invite = steps.invite()
    for status in ("100 Trying", "180 Ringing", "180 Ringing", "183 Progress", "180 Ringing"):
        steps.reply(invite, status)
    assert [event.code for event in steps.events if isinstance(event, CallProgress)] == [100, 180, 183, 180]


def test_a_bye_that_overtakes_the_200_ends_the_call_after_its_ack(steps: Steps) -> None:
    invite = steps.invite()
    steps.reply(invite, "180 Ringing")
    request = in_dialog(early(invite, "callee"), "BYE")
    assert steps.receive(request)[0].code == 200
    assert [sent.method for sent in steps.reply(invite, "200 OK", body=ANSWER)] == ["ACK"]
    assert steps.names == ["CallAnswered", "CallEnded"]
    steps.finish()


def test_a_fork_that_hung_up_before_its_200_gets_an_ack_and_no_bye(steps: Steps) -> None:
    invite = steps.invite()
    steps.reply(invite, "180 Ringing", tag="b")
    steps.receive(in_dialog(early(invite, "b"), "BYE"))
    steps.answer(invite, tag="a")
    assert [sent.method for sent in steps.reply(invite, "200 OK", tag="b", body=ANSWER)] == ["ACK"]
    assert steps.names == ["CallAnswered"]


def test_a_200_from_another_address_of_the_provider_is_taken(steps: Steps) -> None:
    steps.core.know_host("192.0.2.10")
    invite = steps.invite()
    steps.answer(invite, addr=("192.0.2.10", 5062))
    assert steps.names == ["CallAnswered"]


def test_a_call_without_a_bye_stays_up_for_hours(steps: Steps) -> None:
    steps.answer(steps.invite())
    assert steps.advance(7200.0) == []
    assert steps.names == ["CallAnswered"]
    assert steps.core.live_calls == 1


def test_abandoned_calls_are_reported_and_forgotten(steps: Steps) -> None:
    steps.answer(steps.invite())
    steps.invite(call_id="call-2")
    steps.core.abandon(steps.now)
    steps.take()
    assert isinstance(steps.events[-2], CallEnded) and isinstance(steps.events[-1], CallFailed)
    assert steps.core.remembered == 0


def test_after_a_shutdown_live_calls_are_ended_and_new_ones_fail_at_once(steps: Steps) -> None:
    steps.answer(steps.invite())
    ringing = steps.invite(call_id="call-2")
    steps.reply(ringing, "180 Ringing")
    steps.core.shutdown(steps.now)
    sent = steps.take()
    assert sorted(each.method for each in sent) == ["BYE", "CANCEL"]
    assert not steps.core.settled
    bye, cancel = sorted(sent, key=lambda each: each.method)
    steps.reply(bye, "200 OK")
    steps.reply(cancel, "200 OK")
    steps.reply(ringing, "487 Cancelled")
    assert steps.core.settled
    late = InviteRequest(target="sip:a@b", from_uri="sip:c@d", next_hop=GATEWAY, sdp=b"")
    assert steps.core.invite(late, steps.now) == late.call_id
    assert steps.take() == []
    assert isinstance(steps.last, CallFailed) and steps.last.call_id == late.call_id


def test_responses_of_one_call_do_not_touch_another(steps: Steps) -> None:
    one, two = steps.invite(), steps.invite(call_id="call-2")
    assert one.branch != two.branch and one.from_tag != two.from_tag
    steps.receive(response(one, "486 Busy").replace("Call-ID: call-1", "Call-ID: call-2"))
    assert steps.names == []


def test_a_call_ended_when_the_bye_came_however_late_it_is_read(steps: Steps) -> None:
    ack = steps.answer(steps.invite())
    steps.now += 3
    steps.core.receive_datagram(in_dialog(ack, "BYE").encode(), GATEWAY, steps.now, arrived_at=steps.now - 0.25)
    steps.take()
    assert steps.last == CallEnded(call_id="call-1", at=102.75, by=EndedBy.CALLEE, reason_cause=None)


def test_a_bye_that_came_before_the_200_was_read_ends_the_call_at_its_answer(steps: Steps) -> None:
    ack = steps.answer(steps.invite())
    steps.core.receive_datagram(in_dialog(ack, "BYE").encode(), GATEWAY, steps.now, arrived_at=steps.now - 0.25)
    steps.take()
    assert steps.last == CallEnded(call_id="call-1", at=100.0, by=EndedBy.CALLEE, reason_cause=None)


def strange_via(invite: Sent, via: str) -> str:
    lines = response(invite, "200 OK", body=ANSWER).split("\r\n")
    return "\r\n".join(f"Via: {via}" if line.startswith("Via:") else line for line in lines)


@pytest.mark.parametrize(
    "via",
    [
        "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKanother",
        "SIP/2.0/UDP 198.51.100.9:5070;branch=z9hG4bKours",
        "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKa\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKb",
    ],
    ids=["other branch", "other host", "two"],
)
def test_a_repeated_200_of_another_via_is_acknowledged_by_its_dialog(steps: Steps, via: str) -> None:
    invite = steps.invite()
    ack = steps.answer(invite)
    (again,) = steps.receive(strange_via(invite, via))
    assert again.data == ack.data
    assert steps.names == ["CallAnswered"]


def test_a_200_of_another_via_makes_no_dialog_and_a_stranger_gets_no_ack(steps: Steps) -> None:
    invite = steps.invite()
    strange = strange_via(invite, "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKanother")
    assert steps.receive(strange) == [], "the first must be the INVITE's own"
    steps.answer(invite)
    assert steps.receive(strange.replace(";tag=callee", ";tag=other")) == []
    assert steps.receive(strange.replace("1 INVITE", "2 INVITE")) == []
    assert steps.receive(strange, ("203.0.113.66", 5060)) == []
    assert steps.core.discarded["stray_response"] == 4

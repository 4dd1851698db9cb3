"""A stranger's SIP changes nothing: answers come from where the request went, requests from the dialog's own hosts."""

import pytest

from autodialer.sip.events import CallAnswered, CallEnded, CallProgress
from autodialer.sip.hop import TCP, Hop
from autodialer.sip.sdp import build_offer
from tests.sip.stepping import ANSWER, GATEWAY, Sent, Steps, in_dialog, response

STRANGER = ("203.0.113.66", 5060)
LED_AWAY = ANSWER.replace("192.0.2.9", STRANGER[0])


@pytest.fixture
def steps() -> Steps:
    return Steps()


def obeyed(steps: Steps, request: str, source: tuple[str, int]) -> list[int]:
    """The codes that the request is answered with."""
    return [answer.code for answer in steps.receive(request, source)]


@pytest.mark.parametrize("status", ["180 Ringing", "200 OK", "486 Busy Here", "401 Unauthorized"])
def test_a_response_from_another_host_than_the_request_went_to_is_dropped(steps: Steps, status: str) -> None:
    invite = steps.invite()
    assert steps.receive(response(invite, status, body=LED_AWAY), STRANGER) == []
    assert steps.events == [] and steps.core.discarded["other_host"] == 1
    steps.answer(invite)
    answered = steps.events[-1]
    assert isinstance(answered, CallAnswered) and answered.sdp == ANSWER.encode()


def test_a_server_may_answer_from_another_port_and_another_server_of_the_trunk_for_it(steps: Steps) -> None:
    invite = steps.invite(alternatives=(Hop("192.0.2.10", 5060),))
    steps.reply(invite, "180 Ringing", addr=(GATEWAY[0], 40_000))
    steps.reply(invite, "183 Session Progress", addr=("192.0.2.10", 5060))
    assert [event.code for event in steps.events if isinstance(event, CallProgress)] == [180, 183]


@pytest.mark.parametrize("what", ["register", "bye"])
def test_answers_to_other_requests_count_from_their_own_host_alone(steps: Steps, what: str) -> None:
    if what == "register":
        request = steps.register()
    else:
        steps.answer(steps.invite(), contact=None)
        steps.core.bye("call-1", steps.now)
        request = steps.take_one()
    assert steps.receive(response(request, "200 OK"), STRANGER) == []
    assert steps.core.discarded["other_host"] == 1
    assert not steps.core.settled


@pytest.mark.parametrize(
    ("contact", "headers", "source", "taken"),
    [
        ("<sip:a@192.0.2.77:5070>", (), GATEWAY, True),
        ("<sip:a@192.0.2.77:5070>", (), ("192.0.2.77", 5070), True),
        ("<sip:a@192.0.2.77:5070>", (), ("192.0.2.77", 40_000), True),
        ("<sip:a@192.0.2.77:5070>", (), STRANGER, False),
        ("<sip:a@192.0.2.77>", ("Record-Route: <sip:192.0.2.5;lr>",), ("192.0.2.5", 5060), True),
        ("<sip:a@192.0.2.77>", ("Record-Route: <sip:192.0.2.5;lr>",), STRANGER, False),
        # Behind a NAT, or by a name that nobody has found, the callee may come from anywhere.
        ("<sip:a@192.168.1.7>", (), STRANGER, True),
        ("<sip:a@pbx.example>", (), STRANGER, True),
        ("<sip:a@192.168.1.7>", ("Record-Route: <sip:192.0.2.5;lr>",), STRANGER, False),
        (None, (), STRANGER, False),
    ],
)
@pytest.mark.parametrize("method", ["BYE", "INVITE", "UPDATE", "INFO", "OPTIONS"])
def test_requests_within_a_dialog_are_obeyed_from_its_own_hosts(
    steps: Steps,
    contact: str | None,
    headers: tuple[str, ...],
    source: tuple[str, int],
    method: str,
    *,
    taken: bool,
) -> None:
    ack = steps.answer(steps.invite(), contact=contact, headers=headers)
    codes = obeyed(steps, in_dialog(ack, method), source)
    assert (codes != []) is taken
    assert any(isinstance(event, CallEnded) for event in steps.events) is (taken and method == "BYE")
    assert steps.core.discarded["other_host"] == (not taken)


def test_a_name_that_was_found_is_one_of_the_dialogs_hosts_from_then_on(steps: Steps) -> None:
    ack = steps.answer(steps.invite(), contact="<sip:a@pbx.example>")
    steps.core.place("call-1", "sip:a@pbx.example", Hop("192.0.2.88", 5060), steps.now)
    steps.take()
    assert obeyed(steps, in_dialog(ack, "OPTIONS", branch="z9hG4bKa"), STRANGER) == []
    assert obeyed(steps, in_dialog(ack, "OPTIONS", branch="z9hG4bKb"), ("192.0.2.88", 5060)) == [200]


def test_a_target_that_moves_moves_the_hosts(steps: Steps) -> None:
    ack = steps.answer(steps.invite(), contact="<sip:a@192.0.2.77>")
    moved = in_dialog(ack, "UPDATE", branch="z9hG4bKa", headers=("Contact: <sip:a@192.0.2.99>",))
    assert obeyed(steps, moved, ("192.0.2.77", 5060)) == [200]
    later = in_dialog(ack, "OPTIONS", 2, branch="z9hG4bKb")
    assert obeyed(steps, later, ("192.0.2.99", 5060)) == [200]


def test_an_ack_of_a_stranger_brings_no_answer(steps: Steps) -> None:
    ack = steps.answer(steps.invite(sdp=build_offer("192.0.2.1", 4000, ("PCMA",))))
    (offer,) = [sent for sent in steps.receive(in_dialog(ack, "INVITE")) if sent.code == 200]
    confirms = in_dialog(ack, "ACK", headers=("Content-Type: application/sdp",)) + LED_AWAY
    confirms = confirms.replace("Content-Length: 0", f"Content-Length: {len(LED_AWAY)}")
    before = len(steps.events)
    assert steps.receive(confirms, STRANGER) == [] and len(steps.events) == before
    assert [again.data for again in steps.advance(0.6)] == [offer.data], "it still waits for the ACK"


def test_over_a_connection_the_host_counts_as_well(steps: Steps) -> None:
    hop = Hop(*GATEWAY, TCP)
    invite = steps.invite(next_hop=hop)
    text = response(invite, "200 OK", body=ANSWER, contact=None)
    assert steps.receive(text, Hop(STRANGER[0], 40_000, TCP)) == []
    (ack,) = steps.receive(text, Hop(GATEWAY[0], 40_000, TCP))
    assert ack.hop == hop


def test_without_the_rule_every_host_that_knows_branch_or_tags_is_obeyed() -> None:
    steps = Steps(strict_source=False)
    invite: Sent = steps.invite()
    (ack,) = steps.receive(response(invite, "200 OK", body=ANSWER), STRANGER)
    assert obeyed(steps, in_dialog(ack, "BYE"), STRANGER) == [200]
    assert steps.core.discarded["other_host"] == 0

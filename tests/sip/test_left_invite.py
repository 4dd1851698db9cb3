"""A phone that rings when its dialer dies is silenced by the next one: what is kept, and what is sent of it."""

import dataclasses

import pytest

from autodialer.sip.dialog_state import DialogState
from autodialer.sip.events import CallAnswered, FarewellEnded, InviteHeard
from autodialer.sip.invite import InviteRequest
from autodialer.sip.left_invite import LeftInvite, unpack_left
from tests.sip.stepping import Sent, Steps

CHALLENGE = 'WWW-Authenticate: Digest realm="r", nonce="n1", qop="auth"'
ROUTE = ("sip:192.0.2.9;lr",)


def ringing(steps: Steps, **fields: object) -> tuple[Sent, LeftInvite]:
    """A call that rings; its INVITE and what is kept of it."""
    invite = steps.invite(**fields)
    steps.reply(invite, "100 Trying")
    steps.reply(invite, "180 Ringing")
    (heard,) = [event for event in steps.events if isinstance(event, InviteHeard)]
    return invite, heard.invite


def ends(steps: Steps) -> list[tuple[str, int | None, str]]:
    return [
        (event.call_id, event.code, event.message)
        for event in steps.events
        if isinstance(event, FarewellEnded) and event.method == "CANCEL"
    ]


def test_what_is_kept_of_an_invite_is_told_at_its_first_provisional_response_and_survives_the_store() -> None:
    steps = Steps()
    _, left = ringing(steps, route=ROUTE)
    assert isinstance(steps.events[0], InviteHeard)
    assert unpack_left(left.packed()) == left == LeftInvite.unpack(left.packed())


def test_an_invite_that_is_sent_again_with_credentials_is_told_again() -> None:
    steps = Steps()
    invite = steps.invite(credentials=("u", "p"))
    steps.reply(invite, "100 Trying")
    again = steps.reply(invite, "401 No", headers=(CHALLENGE,))[-1]
    steps.reply(again, "180 Ringing")
    told = [event.invite for event in steps.events if isinstance(event, InviteHeard)]
    assert [(one.cseq, one.branch) for one in told] == [(1, invite.branch), (2, again.branch)]


@pytest.mark.parametrize("text", ["", "[]", "dialog", '["INVITE"]', '["INVITE", 1, 2, 3, 4, 5, 6, 7, 8, 9]', "{}"])
def test_what_nobody_wrote_is_no_call(text: str) -> None:
    with pytest.raises(ValueError):
        unpack_left(text)


def test_a_dialog_is_told_from_an_invite() -> None:
    steps = Steps()
    steps.answer(steps.invite())
    (answered,) = [event for event in steps.events if isinstance(event, CallAnswered)]
    assert answered.dialog is not None
    assert isinstance(unpack_left(answered.dialog.packed()), DialogState)


@pytest.mark.parametrize("route", [(), ROUTE])
def test_the_next_process_cancels_with_the_invites_own_branch_and_acknowledges_the_487(route: tuple[str, ...]) -> None:
    invite, left = ringing(Steps(), route=route)
    after = Steps()
    after.core.recall(left, after.now)
    cancel = after.take_one()
    assert (cancel.method, cancel.uri, cancel.hop) == ("CANCEL", invite.uri, invite.hop)
    assert cancel["Via"] == invite["Via"] and cancel["CSeq"] == "1 CANCEL"
    assert cancel.all("Route") == invite.all("Route")
    for name in ("From", "To", "Call-ID"):
        assert cancel[name] == invite[name]
    assert after.reply(cancel, "200 OK") == []
    (ack,) = after.reply(invite, "487 Request Terminated")
    assert (ack.method, ack["Via"], ack["CSeq"]) == ("ACK", invite["Via"], "1 ACK")
    assert len(after.reply(invite, "487 Request Terminated")) == 1
    assert ends(after) == [("call-1", 200, "200 OK")]
    after.advance(200.0)
    assert after.core.remembered == 0


def test_a_callee_that_picks_up_at_that_moment_is_acknowledged_and_hung_up() -> None:
    invite, left = ringing(Steps())
    after = Steps()
    after.core.expect_answers(["call-1"], None, after.now + 180.0)
    after.core.recall(left, after.now)
    cancel = after.take_one()
    after.reply(cancel, "200 OK")
    sent = after.reply(invite, "200 OK", headers=("Contact: <sip:callee@192.0.2.77:5070>",))
    assert [message.method for message in sent] == ["ACK", "BYE"]


def test_a_dead_dialers_port_need_not_be_ours() -> None:
    invite, left = ringing(Steps())
    moved = dataclasses.replace(left, via=left.via.replace(":5060", ":5070"))
    after = Steps()
    after.core.recall(moved, after.now)
    assert ":5070" in after.take_one()["Via"]
    answer = "\r\n".join(
        (
            "SIP/2.0 200 OK",
            moved.via,
            left.from_,
            f"{left.to};tag=x",
            f"Call-ID: {left.call_id}",
            "CSeq: 1 CANCEL",
            "Content-Length: 0",
            "",
            "",
        )
    )
    after.receive(answer, left.hop.address)
    assert ends(after) == [("call-1", 200, "200 OK")]
    assert invite.method == "INVITE"


def test_the_gateway_that_does_not_answer_a_cancel_is_given_up() -> None:
    _, left = ringing(Steps())
    after = Steps()
    after.core.recall(left, after.now)
    after.take()
    after.advance(33.0)
    assert ends(after) == [("call-1", None, "no answer")]
    after.advance(200.0)
    assert after.core.remembered == 0


REQUEST = {"target": "sip:79160000000@example.test", "from_uri": "sip:me@example.test", "call_id": "call-1", "sdp": b""}


def test_calls_of_which_nothing_but_the_claim_is_known_are_cancelled_by_the_words_of_their_call_id() -> None:
    first = Steps()
    invite = first.invite(**REQUEST, credentials=("u", "p"))
    again = first.reply(invite, "401 No", headers=(CHALLENGE,))[-1]
    after = Steps()
    request = InviteRequest(next_hop=invite.hop, **REQUEST)  # type: ignore[arg-type]
    after.core.recall_unheard(request, after.now)
    cancels = after.take()
    assert [cancel["CSeq"] for cancel in cancels] == ["1 CANCEL", "2 CANCEL", "3 CANCEL"]
    for sent, cancel in ((invite, cancels[0]), (again, cancels[1])):
        assert (cancel["Via"], cancel["From"], cancel["To"], cancel.uri) == (
            sent["Via"],
            sent["From"],
            sent["To"],
            sent.uri,
        )
    for cancel in (cancels[0], cancels[2]):
        after.reply(cancel, "481 Call/Transaction Does Not Exist")
    after.reply(cancels[1], "200 OK")
    assert ends(after) == [("call-1", 200, "200 OK")]
    after.advance(200.0)
    assert after.core.remembered == 0


def test_two_calls_have_no_branch_and_no_tag_in_common() -> None:
    steps = Steps()
    invites = [steps.invite(**{**REQUEST, "call_id": f"c{number}"}) for number in range(200)]
    assert len({invite.branch for invite in invites}) == len({invite.from_tag for invite in invites}) == 200
    assert all(invite.branch.startswith("z9hG4bK") and len(invite.branch) == 23 for invite in invites)

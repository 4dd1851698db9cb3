"""Host names that the peer chooses: in c=, and in the Contact or Record-Route that our requests go by."""

import pytest

from autodialer.sip.dialog_state import DialogState
from autodialer.sip.events import CallAnswered, DialogMoved, NameWanted
from autodialer.sip.hop import TCP, Hop
from autodialer.sip.offer_answer import Accepted, LocalMedia
from autodialer.sip.sdp import AnswerFault, MediaPlan, UnusableAnswer, build_offer, negotiate
from tests.sip.stepping import ANSWER, GATEWAY, Steps, in_dialog, response

CODECS = ("PCMA", "PCMU")
ELSEWHERE = Hop("192.0.2.88", 5090)


def answer(connection: str, *more: str) -> bytes:
    return "\r\n".join(
        ("v=0", "o=- 1 1 IN IP4 h", "s=-", f"c={connection}", "t=0 0", "m=audio 4000 RTP/AVP 8", *more, "")
    ).encode()


@pytest.mark.parametrize(
    ("connection", "host", "named"),
    [
        ("IN IP4 192.0.2.7", "192.0.2.7", False),
        ("IN IP4 192.0.2.7/127", "192.0.2.7", False),
        ("IN IP4 Media.Example.org", "media.example.org", True),
        ("IN IP4 media.example.org.", "media.example.org", True),
        ("in ip4 localhost", "localhost", True),
        ("IN IP6 media.example.org", "media.example.org", True),
    ],
)
def test_a_host_name_in_c_is_an_address_yet_to_be_found(connection: str, host: str, *, named: bool) -> None:
    plan = negotiate(answer(connection), CODECS)
    assert isinstance(plan, MediaPlan)
    assert (plan.host, plan.named, plan.held) == (host, named, False)


@pytest.mark.parametrize(
    "connection",
    ["IN IP4 300.1.2.3", "IN IP4 1.2.3", "IN IP4 a_b..c", "IN IP4 -", "IN IP4 " + "a" * 300, "IN X25 h.example", "IN"],
)
def test_what_is_neither_an_address_nor_a_name_gives_no_media(connection: str) -> None:
    plan = negotiate(answer(connection), CODECS)
    assert isinstance(plan, UnusableAnswer) and plan.reason is AnswerFault.NO_ADDRESS


@pytest.mark.parametrize("connection", ["IN IP6 2001:db8::7", "IN IP6 2001:DB8:0::7", "IN IP4 2001:db8::7"])
def test_an_ipv6_address_in_a_call_that_speaks_ipv4_is_named_in_the_refusal(connection: str) -> None:
    plan = negotiate(answer(connection), CODECS)
    assert isinstance(plan, UnusableAnswer) and plan.reason is AnswerFault.NO_ADDRESS
    assert plan.message == "the callee wants the sound at the IPv6 address 2001:db8::7, and this call speaks IPv4"


def test_rtcp_goes_to_the_same_host_or_to_an_address_and_to_no_other_name() -> None:
    for line, wanted in (
        ("a=rtcp:4001", ("media.example", 4001)),
        ("a=rtcp:4001 IN IP4 192.0.2.8", ("192.0.2.8", 4001)),
        ("a=rtcp:4001 IN IP4 media.example", ("media.example", 4001)),
        ("a=rtcp:4001 IN IP4 other.example", None),
    ):
        plan = negotiate(answer("IN IP4 media.example", line), CODECS)
        assert isinstance(plan, MediaPlan)
        assert plan.rtcp == wanted
        found = plan.found_at("192.0.2.7")
        assert (found.host, found.named) == ("192.0.2.7", False)
        assert found.rtcp == (("192.0.2.7", 4001) if wanted and wanted[0] == "media.example" else wanted)


def test_an_offer_of_the_peer_may_name_a_host() -> None:
    accepted = LocalMedia(build_offer("192.0.2.1", 4000, CODECS)).answer(answer("IN IP4 media.example"), None)
    assert isinstance(accepted, Accepted) and accepted.media.named
    assert b"a=sendrecv" in accepted.sdp


# Contact and Record-Route.


@pytest.fixture
def steps() -> Steps:
    return Steps()


def wanted(steps: Steps) -> list[tuple[str, int | None, str]]:
    return [(e.host, e.port, e.transport) for e in steps.events if isinstance(e, NameWanted)]


@pytest.mark.parametrize(
    ("headers", "contact", "asked"),
    [
        ((), "<sip:a@pbx.example>", ("pbx.example", None, "UDP")),
        ((), "<sip:a@PBX.example:5090;transport=tcp>", ("pbx.example", 5090, "TCP")),
        (("Record-Route: <sip:edge.example;lr>",), "<sip:a@192.0.2.77>", ("edge.example", None, "UDP")),
        (("Record-Route: <sip:edge.example:5090>",), "<sip:a@192.0.2.77>", ("edge.example", 5090, "UDP")),
    ],
    ids=["contact", "with port and transport", "loose route", "strict route"],
)
def test_the_ack_leaves_at_once_and_what_follows_goes_where_the_name_leads(
    steps: Steps, headers: tuple[str, ...], contact: str, asked: tuple[str, int | None, str]
) -> None:
    invite = steps.invite()
    ack = steps.answer(invite, headers=headers, contact=contact)
    assert ack.to == GATEWAY, "the gateway that took the INVITE forwards it"
    assert wanted(steps) == [asked]
    found = ELSEWHERE._replace(transport=asked[2])
    steps.core.place(steps.events[-1].call_id, steps.events[-1].uri, found, steps.now)  # type: ignore[union-attr]
    (again,) = steps.take()
    assert (again.method, again.hop, again["CSeq"], again["To"]) == ("ACK", found, ack["CSeq"], ack["To"])
    moved = steps.events[-1]
    assert isinstance(moved, DialogMoved) and DialogState.unpack(moved.dialog.packed()) == moved.dialog
    assert moved.dialog.routing()[2] == found, "a later process finds it too"
    assert [sent.hop for sent in steps.reply(invite, "200 OK", headers=headers, contact=contact)] == [found]
    steps.core.bye("call-1", steps.now)
    assert steps.take_one().hop == found


def test_a_name_that_cannot_be_found_leaves_the_way_of_the_invite(steps: Steps) -> None:
    steps.answer(steps.invite(), contact="<sip:a@pbx.example>")
    steps.core.bye("call-1", steps.now)
    assert steps.take_one().to == GATEWAY


def test_a_name_that_leads_where_the_invite_went_changes_nothing(steps: Steps) -> None:
    steps.answer(steps.invite(), contact="<sip:a@pbx.example>")
    steps.core.place("call-1", "sip:a@pbx.example", Hop(*GATEWAY), steps.now)
    assert steps.take() == []
    assert not any(isinstance(event, DialogMoved) for event in steps.events)


def test_a_target_that_moves_to_another_name_is_looked_up_anew(steps: Steps) -> None:
    ack = steps.answer(steps.invite(), contact="<sip:a@one.example>")
    steps.core.place("call-1", "sip:a@one.example", ELSEWHERE, steps.now)
    steps.take()
    steps.receive(in_dialog(ack, "UPDATE", headers=("Contact: <sip:a@two.example>",)))
    assert [host for host, _, _ in wanted(steps)] == ["one.example", "two.example"]
    steps.core.place("call-1", "sip:a@one.example", Hop("192.0.2.99", 1), steps.now)  # too late
    steps.core.bye("call-1", steps.now)
    assert steps.take_one().to == GATEWAY


def test_an_early_name_or_a_second_fork_asks_for_nothing(steps: Steps) -> None:
    invite = steps.invite()
    steps.reply(invite, "180 Ringing", contact="<sip:a@pbx.example>")
    assert wanted(steps) == []
    steps.answer(invite)
    steps.reply(invite, "200 OK", tag="fork", contact="<sip:a@pbx.example>", body=ANSWER)
    assert wanted(steps) == []


def test_a_name_without_a_transport_keeps_that_of_the_invite(steps: Steps) -> None:
    invite = steps.invite(next_hop=Hop(*GATEWAY, TCP))
    steps.core.receive_datagram(
        response(invite, "200 OK", body=ANSWER, contact="<sip:a@pbx.example>").encode(), Hop(*GATEWAY, TCP), steps.now
    )
    steps.take()
    assert wanted(steps) == [("pbx.example", None, "TCP")]
    assert any(isinstance(event, CallAnswered) for event in steps.events)

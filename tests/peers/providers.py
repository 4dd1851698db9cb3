"""A provider's server that takes OPTIONS, REGISTER and INVITE outside a dialog, each in a SIPp call of its own."""

from collections.abc import Sequence

from tests.peers import scenario as s
from tests.peers.gateways import cancelled, challenge
from tests.peers.scenario import ANSWER_SDP, Scenario


def provider(
    *,
    options: int | None = 200,
    register: int | None = 200,
    username: str = "user",
    password: str | None = None,
    invite: int = 200,
    invite_password: str | None = None,
    sdp: Sequence[str] = ANSWER_SDP,
    bye_after_ms: int = 1500,
    date: str | None = None,
) -> Scenario:
    """Final codes by method; None is silence. With a `password` REGISTER is challenged and SIPp verifies the digest;
    with an `invite_password` so is INVITE.

    An answered call is hung up by the callee. `date` is what OPTIONS and REGISTER are told.
    """
    verify = f'      <verifyauth assign_to="authorised" username="{username}" password="{password}"/>'
    body = s.sequence(
        s.receive("OPTIONS", optional=True, go_to="options"),
        s.receive("REGISTER", optional=True, go_to="register"),
        s.receive_invite(),
        *(_challenge_invite(username, invite_password) if invite_password is not None else ()),
        *_call(invite, sdp, bye_after_ms),
        s.go_to("end"),
        s.label("options"),
        _answer(options, date),
        s.go_to("end"),
        s.label("register"),
        *(_challenge(verify) if password is not None and register is not None else ()),
        _answer(register, date),
        # A registration goes on under its Call-ID.
        s.label("registered"),
        s.receive("REGISTER", timeout_ms=30_000, on_timeout="end"),
        _answer(register),
        s.go_to("registered"),
        s.label("end"),
        s.linger(200),
    )
    return Scenario(name="provider", body=body, retransmits=False)


def rings_late(*, silence_ms: int) -> Scenario:
    """Answers no question, and an INVITE only with a 180 after so long; then it expects the CANCEL."""
    body = s.sequence(
        s.receive("OPTIONS", optional=True, go_to="end"),
        s.receive("REGISTER", optional=True, go_to="end"),
        s.receive_invite(),
        s.pause(silence_ms),
        s.respond(180, headers=s.INVITE_HEADERS),
        s.receive_logged("CANCEL"),
        cancelled(),
        s.label("end"),
        s.linger(200),
    )
    return Scenario(name="rings_late", body=body, retransmits=False)


def _answer(code: int | None, date: str | None = None) -> str:
    headers = (*s.LAST_HEADERS, *([f"Date: {date}"] if date is not None else []))
    return s.send(f"SIP/2.0 {code} {s.REASONS.get(code, 'Whatever')}", headers) if code is not None else ""


def _challenge(verify: str) -> Sequence[str]:
    return (
        s.send("SIP/2.0 401 Unauthorized", (*s.LAST_HEADERS, challenge(401))),
        s.receive("REGISTER", verify),
        s.go_to("authorised", when="authorised"),
        s.send("SIP/2.0 401 Unauthorized", (*s.LAST_HEADERS, challenge(401))),
        s.go_to("end"),
        s.label("authorised"),
    )


def _challenge_invite(username: str, password: str) -> Sequence[str]:
    verify = f'      <verifyauth assign_to="payer" username="{username}" password="{password}"/>'
    return (
        s.respond(401, extra=[challenge(401)]),
        s.receive_logged("ACK"),
        s.receive_invite(verify),
        s.go_to("payer", when="payer"),
        s.respond(401, extra=[challenge(401)]),
        s.receive_logged("ACK"),
        s.go_to("end"),
        s.label("payer"),
    )


def _call(code: int, sdp: Sequence[str], bye_after_ms: int) -> Sequence[str]:
    if code != 200:
        return s.respond(100), s.respond(code), s.receive_logged("ACK")
    return (
        s.respond(180),
        s.respond(200, sdp=sdp),
        s.receive_logged("ACK"),
        s.pause(bye_after_ms),
        s.bye(),
        s.receive_response(200),
    )

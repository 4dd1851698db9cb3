"""Gateways that change an answered session, refresh it, or want provisional responses acknowledged."""

from collections.abc import Sequence

from tests.peers import scenario as s
from tests.peers.scenario import ANSWER_SDP, Scenario

HELD = tuple(line.replace("a=sendrecv", "a=sendonly") for line in ANSWER_SDP)
NO_ADDRESS = tuple(line.replace("[sink_host]", "0.0.0.0") for line in ANSWER_SDP)
MOVED = tuple(line.replace("[sink_port]", "[moved_port]") for line in ANSWER_SDP)
"""To the port given by `-key moved_port`."""


def request(
    method: str,
    cseq: int,
    *extra: str,
    sdp: Sequence[str] = (),
    retransmit_ms: int | None = 500,
    content_type: str = "application/sdp",
) -> str:
    """A request of the gateway within the dialog."""
    headers = (
        "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]",
        "[routes]",
        "Max-Forwards: 70",
        f"From:[$invite_to];tag={s.TO_TAG}",
        "To:[$invite_from]",
        "[last_Call-ID:]",
        f"CSeq: {cseq} {method}",
        "Contact: <sip:gateway@[local_ip]:[local_port]>",
        *extra,
    )
    return s.send(
        f"{method} [next_url] SIP/2.0", headers, body=sdp, retransmit_ms=retransmit_ms, content_type=content_type
    )


def reinvite(cseq: int, sdp: Sequence[str]) -> str:
    """re-INVITE, 200, ACK."""
    return s.sequence(
        request("INVITE", cseq, sdp=sdp),
        s.receive_response(200),
        request("ACK", cseq, retransmit_ms=None),
    )


def update(cseq: int, *extra: str, sdp: Sequence[str] = ()) -> str:
    """UPDATE and its 200."""
    return s.sequence(request("UPDATE", cseq, *extra, sdp=sdp), s.receive_response(200))


def _answers(*parts: str, sdp: Sequence[str] = ANSWER_SDP, extra: Sequence[str] = (), name: str) -> Scenario:
    """200, ACK, the parts, then the caller's BYE."""
    body = s.sequence(
        s.receive_invite(),
        s.respond(200, sdp=sdp, extra=extra, retransmit_ms=500),
        s.receive_logged("ACK"),
        *parts,
        s.receive_logged("BYE", timeout_ms=20_000),
        s.answer_in_dialog(),
    )
    return Scenario(name=name, body=body)


def holds(*, after_ms: int = 400, held_ms: int = 600) -> Scenario:
    """re-INVITE sendonly, and after a while sendrecv."""
    parts = (s.pause(after_ms), reinvite(1, HELD), s.pause(held_ms), reinvite(2, ANSWER_SDP))
    return _answers(*parts, name="reinvite_hold")


def takes_offers(*codes: int, sdp: Sequence[str] = ANSWER_SDP) -> Scenario:
    """200, ACK; the caller's re-INVITEs, if any come, get these codes one after the other; then the caller's BYE."""
    parts = []
    for number, code in enumerate(codes):
        taken = s.send("SIP/2.0 200 OK", (*s.IN_DIALOG_HEADERS, s.CONTACT), body=sdp, retransmit_ms=500)
        refused = s.send(f"SIP/2.0 {code} {s.REASONS[code]}", s.IN_DIALOG_HEADERS, retransmit_ms=500)
        parts += [
            s.receive_logged("INVITE", optional=True, go_to=f"offer{number}"),
            s.receive_logged("BYE", timeout_ms=20_000, go_to="bye"),
            s.label(f"offer{number}"),
            taken if code == 200 else refused,
            s.receive_logged("ACK"),
        ]
    body = s.sequence(
        s.receive_invite(),
        s.respond(200, sdp=sdp, retransmit_ms=500),
        s.receive_logged("ACK"),
        *parts,
        s.receive_logged("BYE", timeout_ms=20_000),
        s.label("bye"),
        s.answer_in_dialog(),
    )
    return Scenario(name="takes_offers", body=body)


def moves(*, after_ms: int = 400, first: Sequence[str] = ANSWER_SDP, then: Sequence[str] = MOVED) -> Scenario:
    """re-INVITE with another port."""
    return _answers(s.pause(after_ms), reinvite(1, then), sdp=first, name="reinvite_moved")


def answers_without_address(*, then_after_ms: int | None) -> Scenario:
    """200 with 0.0.0.0; after a while, or never, an UPDATE that says where the sound goes."""
    parts = () if then_after_ms is None else (s.pause(then_after_ms), update(1, sdp=ANSWER_SDP))
    return _answers(*parts, sdp=NO_ADDRESS, name="sdp_0_0_0_0")


def hands_over_the_refreshing() -> Scenario:
    """UPDATE with a session timer that the caller has to keep."""
    part = update(1, "Supported: timer", "Session-Expires: 120;refresher=uas")
    return _answers(s.pause(100), part, name="update_timer")


def wants_refreshes(*, interval_s: int = 1, allow: str = "INVITE, ACK, BYE, UPDATE") -> Scenario:
    """A session timer, shorter than the RFC allows so that the test is short, that the caller has to keep."""
    extra = (f"Session-Expires: {interval_s};refresher=uac", "Require: timer", f"Allow: {allow}")
    refreshed = s.sequence(
        s.receive_logged("UPDATE"),
        s.send("SIP/2.0 200 OK", (*s.IN_DIALOG_HEADERS, s.CONTACT)),
    )
    return _answers(refreshed, extra=extra, name="timer_uac")


def answers_refreshes_with_500(*, then_takes: bool) -> Scenario:
    """A session timer that the caller has to keep; its UPDATE gets 500, the re-INVITE after it 200, or 500 as well."""
    extra = ("Session-Expires: 3;refresher=uac", "Require: timer", "Allow: INVITE, ACK, BYE, UPDATE")
    error = s.send("SIP/2.0 500 Server Internal Error", s.IN_DIALOG_HEADERS)
    taken = s.send("SIP/2.0 200 OK", (*s.IN_DIALOG_HEADERS, s.CONTACT), body=ANSWER_SDP)
    refreshed = s.sequence(
        s.receive_logged("UPDATE"),
        error,
        s.receive_logged("INVITE"),
        taken if then_takes else error,
        s.receive_logged("ACK"),
    )
    return _answers(refreshed, extra=extra, name="timer_500")


def wants_longer_interval(*, min_se_s: int = 600) -> Scenario:
    """422 with Min-SE, then 200."""
    body = s.sequence(
        s.receive_invite(),
        s.respond(422, extra=(f"Min-SE: {min_se_s}",), retransmit_ms=500),
        s.receive_logged("ACK"),
        _answers(extra=(f"Session-Expires: {min_se_s};refresher=uac",), name="x").body,
    )
    return Scenario(name="422_minse", body=body)


def wants_prack() -> Scenario:
    """183 with SDP that requires 100rel, its PRACK, then 200 without SDP."""
    body = s.sequence(
        s.receive_invite(),
        s.respond(183, sdp=ANSWER_SDP, extra=("Require: 100rel", "RSeq: 4711"), retransmit_ms=500),
        s.receive_logged("PRACK"),
        s.answer_in_dialog(),
        s.respond(200, headers=s.INVITE_HEADERS, retransmit_ms=500),
        s.receive_logged("ACK"),
        s.receive_logged("BYE", timeout_ms=20_000),
        s.answer_in_dialog(),
    )
    return Scenario(name="prack", body=body)


def asks_this_and_that(methods: Sequence[tuple[str, int]]) -> Scenario:
    """Requests within the dialog, each with the code expected."""
    parts = (
        s.sequence(request(method, number), s.receive_response(code))
        for number, (method, code) in enumerate(methods, 1)
    )
    return _answers(s.pause(100), *parts, name="in_dialog")


def sends_info(infos: Sequence[tuple[str, Sequence[str], int]], *, pause_ms: int = 300) -> Scenario:
    """INFO requests in the answered call: content type, lines of the body, and the code expected."""
    parts = (
        s.sequence(
            s.pause(pause_ms),
            request("INFO", number, sdp=lines, content_type=kind),
            s.receive_response(code),
        )
        for number, (kind, lines, code) in enumerate(infos, 1)
    )
    return _answers(*parts, name="info")


def presses(digits: str, *, infos: str, gap_ms: int = 250) -> Scenario:
    """Keys as telephone-events from SIPp's own media port, and keys in INFO requests.

    SIPp's telephone-events have payload type 96, and begin after 1.6 s of no-op packets. They leave from another port
    than the sink's, so the description names that one.
    """
    sdp = [line.replace("101", "96").replace("[sink_port]", "[media_port]") for line in ANSWER_SDP]
    requests = (
        s.sequence(
            request("INFO", number, sdp=[f"Signal={digit}", "Duration=200"], content_type="application/dtmf-relay"),
            s.receive_response(200),
            s.pause(gap_ms),
        )
        for number, digit in enumerate(infos, 1)
    )
    parts = (s.act(f'      <exec play_dtmf="{digits}"/>'), s.pause(1800), *requests)
    return _answers(*parts, sdp=sdp, name="presses")


def forks() -> Scenario:
    """Two 200 with two tags from behind two Record-Routes: both are acknowledged, and the second is hung up."""
    routes = "Record-Route: <sip:[local_ip]:[local_port];lr;hop=2>, <sip:[local_ip]:[local_port];lr;hop=1>"

    def ok(tag: str) -> str:
        to = f"To:[$invite_to];tag={tag}"
        headers = (*(to if line.startswith("To:") else line for line in s.INVITE_HEADERS), routes)
        contact = f"Contact: <sip:{tag}@[local_ip]:[local_port]>"
        return s.send("SIP/2.0 200 OK", (*headers, contact), body=ANSWER_SDP, retransmit_ms=500)

    body = s.sequence(
        s.receive_invite(),
        ok("one"),
        s.receive_logged("ACK"),
        ok("two"),
        s.receive_logged("ACK"),
        s.receive_logged("BYE"),
        s.answer_in_dialog(),
        s.receive_logged("BYE", timeout_ms=20_000),
        s.answer_in_dialog(),
    )
    return Scenario(name="fork_two_200", body=body)

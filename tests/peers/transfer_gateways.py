"""Gateways that are asked to transfer an answered call (REFER), and take it in every way."""

from collections.abc import Sequence

from tests.peers import scenario as s
from tests.peers.scenario import ANSWER_SDP, Scenario
from tests.peers.session_gateways import HELD, reinvite, request

ACCEPTED = s.send("SIP/2.0 202 Accepted", (*s.IN_DIALOG_HEADERS, s.CONTACT))


def notify(cseq: int, status: str, *, last: bool = False, expect: int = 200) -> str:
    """One NOTIFY of the subscription that the REFER made, and its response."""
    state = "terminated;reason=noresource" if last else "active;expires=60"
    sent = request(
        "NOTIFY",
        cseq,
        "Event: refer",
        f"Subscription-State: {state}",
        sdp=[f"SIP/2.0 {status}"],
        content_type="message/sipfrag;version=2.0",
    )
    return s.sequence(sent, s.receive_response(expect))


def _answered(*parts: str, name: str, bye_ms: int = 20_000, sdp: Sequence[str] = ANSWER_SDP) -> Scenario:
    """200, ACK, the REFER, the parts."""
    body = s.sequence(
        s.receive_invite(),
        s.respond(200, sdp=sdp, retransmit_ms=500),
        s.receive_logged("ACK"),
        s.receive_logged("REFER", timeout_ms=bye_ms),
        *parts,
    )
    return Scenario(name=name, body=body)


def _hung_up() -> str:
    return s.sequence(s.receive_logged("BYE", timeout_ms=20_000), s.answer_in_dialog())


def transfers(*, status: str = "200 OK") -> Scenario:
    """202, NOTIFY 100, 180 and the status; then the caller hangs up."""
    told = (notify(1, "100 Trying"), s.pause(200), notify(2, "180 Ringing"), s.pause(200), notify(3, status, last=True))
    return _answered(ACCEPTED, *told, _hung_up(), name="refer_202")


def transfers_and_tells_again() -> Scenario:
    """202, NOTIFY 200; another NOTIFY gets 481, before or after the caller's BYE."""
    late = s.sequence(_hung_up(), notify(2, "200 OK", last=True, expect=481))
    return _answered(ACCEPTED, notify(1, "200 OK"), late, name="refer_late_notify")


def refuses(code: int = 603) -> Scenario:
    """The REFER is refused; the call goes on until the caller hangs up."""
    return _answered(s.answer_in_dialog(code), _hung_up(), name=f"refer_{code}")


def challenges() -> Scenario:
    """401 to the REFER, then 202 and NOTIFY 200."""
    challenge = 'WWW-Authenticate: Digest realm="gateway", nonce="6e6f6e6365", algorithm=MD5, qop="auth"'
    asked = s.sequence(
        s.send("SIP/2.0 401 Unauthorized", (*s.IN_DIALOG_HEADERS, challenge)),
        s.receive_logged("REFER"),
        ACCEPTED,
    )
    return _answered(asked, notify(1, "200 OK", last=True), _hung_up(), name="refer_401")


def never_tells() -> Scenario:
    """202 and nothing more, until the caller hangs up."""
    return _answered(ACCEPTED, _hung_up(), name="refer_silence")


def leaves() -> Scenario:
    """202, and the gateway hangs up by itself."""
    return _answered(ACCEPTED, s.pause(300), s.bye(), s.receive_response(200), name="refer_bye")


def leaves_unasked() -> Scenario:
    """No answer to the REFER: the gateway hangs up by itself."""
    return _answered(s.bye(), s.receive_response(200), name="refer_unanswered_bye")


def holds_and_refuses() -> Scenario:
    """202; the callee is put on hold and taken back while the transfer is tried; then NOTIFY 486."""
    held = s.sequence(reinvite(1, HELD), s.pause(300), reinvite(2, ANSWER_SDP), s.pause(300))
    return _answered(ACCEPTED, held, notify(3, "486 Busy Here", last=True), _hung_up(), name="refer_hold")


def press(cseq: int, digit: str) -> str:
    """The callee presses a key, told in an INFO, and its 200."""
    body = [f"Signal={digit}", "Duration=100"]
    return s.sequence(
        request("INFO", cseq, sdp=body, content_type="application/dtmf-relay"),
        s.receive_response(200),
    )


def presses(digits: str, *, after_ms: int = 500, gap_ms: int = 300) -> Scenario:
    """The callee presses keys; then the caller hangs up."""
    pressed = (s.sequence(press(number, digit), s.pause(gap_ms)) for number, digit in enumerate(digits[:-1], 1))
    body = s.sequence(
        s.receive_invite(),
        s.respond(200, sdp=ANSWER_SDP, retransmit_ms=500),
        s.receive_logged("ACK"),
        s.pause(after_ms),
        *pressed,
        press(len(digits), digits[-1]),
        _hung_up(),
    )
    return Scenario(name="presses", body=body)


def presses_to_transfer(digit: str, *, status: str) -> Scenario:
    """The callee presses a key, and is transferred, as far as the status goes; then the caller hangs up."""
    body = s.sequence(
        s.receive_invite(),
        s.respond(200, sdp=ANSWER_SDP, retransmit_ms=500),
        s.receive_logged("ACK"),
        s.pause(500),
        press(1, digit),
        s.receive_logged("REFER"),
        ACCEPTED,
        notify(2, status, last=True),
        _hung_up(),
    )
    return Scenario(name="presses_to_transfer", body=body)

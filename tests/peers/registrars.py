"""Registrars and gateways that a NAT or a second server stands before, as SIPp scenarios."""

from collections.abc import Sequence

from tests.peers import scenario as s
from tests.peers.gateways import challenge
from tests.peers.scenario import ANSWER_SDP, Scenario

_BRANCH = s.sequence(
    '      <ereg regexp="[0-9.]+:[0-9]+" search_in="hdr" header="Via:" check_it="true" assign_to="sent_by"/>',
    '      <ereg regexp="branch=([^;]*)" search_in="hdr" header="Via:" check_it="true" assign_to="found,branch"/>',
)
_CONTACT = s.capture("Contact", "contact")
_KEPT = '  <Reference variables="found,sent_by,branch,contact"/>'
REST = ("[last_From:]", f"[last_To:];tag={s.TO_TAG}", "[last_Call-ID:]", "[last_CSeq:]")


def registers(*answers: tuple[int, Sequence[str]], linger_ms: int = 200) -> Scenario:
    """Answers one REGISTER after the other of one Call-ID: code and more headers; a granted one repeats the Contact."""
    parts = []
    for code, headers in answers:
        parts += [s.receive("REGISTER", s.logged("REGISTER"), _CONTACT), _answer(code, ("[last_Via:]", *REST), headers)]
    body = s.sequence(*parts, '  <Reference variables="contact,method,line,uri,number"/>', s.linger(linger_ms))
    return Scenario(name="registers", body=body, retransmits=False)


def _answer(code: int, via_and_rest: Sequence[str], headers: Sequence[str]) -> str:
    contact = ["Contact:[$contact]"] if code == 200 else []
    return s.send(f"SIP/2.0 {code} {s.REASONS.get(code, 'Whatever')}", [*via_and_rest, *contact, *headers])


def behind_nat(seen: str, *, transport: str = "UDP", expires: int = 600) -> Scenario:
    """A registrar and gateway that sees the caller elsewhere: `seen` are the Via parameters it adds.

    Takes any number of REGISTERs by a Call-ID, or an INVITE that it answers; the caller hangs up.
    """
    via = f"Via: SIP/2.0/{transport} [$sent_by];branch=[$branch];{seen}"
    headers = (via, *REST)
    body = s.sequence(
        s.receive("REGISTER", _BRANCH, _CONTACT, optional=True, go_to="register"),
        s.receive("INVITE", _BRANCH, _CONTACT),
        _KEPT,
        s.send("SIP/2.0 180 Ringing", [*headers, s.CONTACT]),
        s.send("SIP/2.0 200 OK", [*headers, s.CONTACT], body=ANSWER_SDP),
        s.receive("ACK"),
        s.receive("BYE", timeout_ms=30_000),
        s.answer_in_dialog(),
        s.go_to("end"),
        s.label("register"),
        _answer(200, headers, [f"Expires: {expires}"]),
        s.receive("REGISTER", _BRANCH, _CONTACT, timeout_ms=30_000, on_timeout="end"),
        s.go_to("register"),
        s.label("end"),
        s.linger(200),
    )
    return Scenario(name="behind_nat", body=body, retransmits=False)


def too_brief(wanted: int) -> tuple[int, Sequence[str]]:
    """423 that asks for so many seconds."""
    return 423, (f"Min-Expires: {wanted}",)


def unauthorised(code: int = 401) -> tuple[int, Sequence[str]]:
    """A challenge."""
    return code, (challenge(code),)

"""SIPp callers: they try this toolkit's gateways and proxies, so that peers judge one another before they judge us."""

from pathlib import Path

from tests.peers import scenario as s
from tests.peers.scenario import ANSWER_SDP, Scenario

_VIA = "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]"
_FROM = "From: <sip:caller@[local_ip]:[local_port]>;tag=[pid]caller[call_number]"
_CONTACT = "Contact: <sip:caller@[local_ip]:[local_port]>"
_URI = "sip:[field0]@[remote_ip]:[remote_port]"


def _request(
    method: str, uri: str, to: str, cseq: int, *extra: str, sdp: bool = False, retransmit_ms: int | None = 500
) -> str:
    headers = (_VIA, *extra, "Max-Forwards: 70", _FROM, to, "Call-ID: [call_id]", f"CSeq: {cseq} {method}", _CONTACT)
    return s.send(f"{method} {uri} SIP/2.0", headers, body=ANSWER_SDP if sdp else (), retransmit_ms=retransmit_ms)


def _receive(code: int, *, optional: bool = False, go_to: str | None = None, attributes: str = "") -> str:
    more = (' optional="true"' if optional else "") + (f' next="{go_to}"' if go_to else "") + attributes
    return f'  <recv response="{code}"{more}></recv>'


def _invite(cseq: int, *extra: str) -> str:
    return _request("INVITE", _URI, f"To: <{_URI}>", cseq, *extra, sdp=True)


def ack_of_final(cseq: int) -> str:
    headers = ("[last_Via:]", "Max-Forwards: 70", _FROM, "[last_To:]", "[last_Call-ID:]", f"CSeq: {cseq} ACK")
    return s.send(f"ACK {_URI} SIP/2.0", headers)


def _cancel() -> str:
    headers = ("[last_Via:]", "Max-Forwards: 70", _FROM, f"To: <{_URI}>", "[last_Call-ID:]", "CSeq: 1 CANCEL")
    return s.send(f"CANCEL {_URI} SIP/2.0", headers, retransmit_ms=500)


def _provisional() -> list[str]:
    return [_receive(code, optional=True) for code in (100, 180, 183)]


def _play(file: Path | None) -> str:
    """Send a file of A-law, without a header, as RTP."""
    return f'  <nop><action><exec rtp_stream="{file},1,8,PCMA/8000"/></action></nop>' if file else ""


def _talk(cseq: int, talk_ms: int, plays: Path | None = None, *, bye_code: int = 200) -> str:
    """From the 200 on: ACK, and BYE after a while."""
    return s.sequence(
        _receive(200, attributes=' rrs="true"'),
        _request("ACK", "[next_url]", "[last_To:]", cseq, "[routes]", retransmit_ms=None),
        _play(plays),
        s.pause(talk_ms),
        _request("BYE", "[next_url]", "[last_To:]", cseq + 1, "[routes]"),
        _receive(bye_code),
    )


def calls_and_hangs_up(*, talk_ms: int = 200, plays: Path | None = None, bye_code: int = 200) -> Scenario:
    """INVITE, ACK, BYE, and what is answered to that; `plays` is a file of raw A-law sent meanwhile."""
    body = s.sequence(_invite(1), *_provisional(), _talk(1, talk_ms, plays, bye_code=bye_code))
    return Scenario(name="caller", body=body)


def calls_with_password(*, code: int = 401, talk_ms: int = 200, plays: Path | None = None) -> Scenario:
    """INVITE, a challenge, INVITE with the digest, ACK, BYE; `plays` is a file of raw A-law sent meanwhile."""
    body = s.sequence(
        _invite(1),
        _receive(100, optional=True),
        _receive(code, attributes=' auth="true"'),
        ack_of_final(1),
        _invite(2, "[authentication]"),
        *_provisional(),
        _talk(2, talk_ms, plays),
    )
    return Scenario(name="caller_with_password", body=body)


def calls_and_is_refused(code: int, *, times: int = 1) -> Scenario:
    """INVITE, then a final code and its ACK so many times, each code counted by SIPp as a new message."""
    refusal = s.sequence(_receive(code), ack_of_final(1))
    body = s.sequence(_invite(1), *_provisional(), *([refusal] * times))
    return Scenario(name=f"caller_refused_{code}", body=body, retransmits=times == 1)


def calls_with_wrong_password() -> Scenario:
    """INVITE, 401, INVITE with a digest that the gateway finds wrong, 403, ACK."""
    challenged = s.sequence(_invite(1), _receive(401, attributes=' auth="true"'), ack_of_final(1))
    refused = s.sequence(_invite(2, "[authentication]"), *_provisional(), _receive(403), ack_of_final(2))
    return Scenario(name="caller_wrong_password", body=s.sequence(challenged, refused))


def calls_and_waits_for_bye() -> Scenario:
    """INVITE, ACK, then the callee's BYE."""
    body = s.sequence(
        _invite(1),
        *_provisional(),
        _receive(200, attributes=' rrs="true"'),
        _request("ACK", "[next_url]", "[last_To:]", 1, "[routes]", retransmit_ms=None),
        s.receive("BYE"),
        s.answer_in_dialog(),
    )
    return Scenario(name="caller_waits", body=body)


def calls_and_cancels(*, ring_ms: int = 200) -> Scenario:
    """INVITE, 180, CANCEL, 200, 487, ACK."""
    body = s.sequence(
        _invite(1),
        _receive(100, optional=True),
        _receive(180),
        s.pause(ring_ms),
        _cancel(),
        _receive(200),
        _receive(487),
        ack_of_final(1),
    )
    return Scenario(name="caller_cancels", body=body)


def calls_and_cancels_too_late(*, ring_ms: int = 20) -> Scenario:
    """INVITE, 180, CANCEL, 200 to that and 200 to the INVITE, ACK, BYE."""
    body = s.sequence(_invite(1), _receive(180), s.pause(ring_ms), _cancel(), _receive(200), _talk(1, 10))
    return Scenario(name="caller_cancels_too_late", body=body)


def calls_whatever_comes(*, talk_ms: int = 3000, ring_ms: int = 3000) -> Scenario:
    """INVITE, to `by_number`: a refusal is acknowledged, an answered call ended by the callee or after `talk_ms` by us,
    one that rings longer than `ring_ms` cancelled."""
    refusals = (404, 480, 486, 503, 603)
    patience = f' timeout="{ring_ms}" ontimeout="cancel"'  # SIPp heeds that of whichever it waits at, so all have it
    body = s.sequence(
        _invite(1),
        *(_receive(code, optional=True, attributes=patience) for code in (100, 180, 183)),
        *(_receive(code, optional=True, go_to="refused", attributes=patience) for code in refusals),
        _receive(200, attributes=' rrs="true"' + patience),
        _request("ACK", "[next_url]", "[last_To:]", 1, "[routes]", retransmit_ms=None),
        s.receive("BYE", timeout_ms=talk_ms, on_timeout="ours"),
        s.answer_in_dialog(),
        s.go_to("end"),
        s.label("ours"),
        _request("BYE", "[next_url]", "[last_To:]", 2, "[routes]"),
        _receive(200, go_to="end"),
        s.label("cancel"),
        _cancel(),
        _receive(200),
        _receive(487),
        s.label("refused"),
        ack_of_final(1),
        s.label("end"),
        s.linger(10),
    )
    return Scenario(name="caller_any", body=body)

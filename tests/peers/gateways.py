"""The gateways of the SIP cases: each function makes the scenario of one way in which a provider's gateway behaves."""

from collections.abc import Sequence
from pathlib import Path

from tests.peers import scenario as s
from tests.peers.scenario import ANSWER_SDP, Scenario


def answered(
    *,
    ring_ms: int = 100,
    sdp: Sequence[str] = ANSWER_SDP,
    progress: Sequence[int] = (100, 180),
    extra: Sequence[str] = (),
    max_call_s: int = 120,
) -> Scenario:
    """100, 180, 200 with SDP; then the caller hangs up. `extra` headers go into the 200."""
    body = s.sequence(
        s.receive_invite(),
        *(s.respond(code) for code in progress),
        s.pause(ring_ms) if ring_ms else "",
        s.respond(200, sdp=sdp, extra=extra, retransmit_ms=500),
        s.receive_logged("ACK"),
        s.receive_logged("BYE", timeout_ms=max_call_s * 1000),
        s.answer_in_dialog(),
    )
    return Scenario(name="answered", body=body)


def plain_200(*, sdp: Sequence[str] = ANSWER_SDP) -> Scenario:
    """200 with SDP and nothing before it; then the caller hangs up."""
    return Scenario(name="plain_200", body=answered(ring_ms=0, sdp=sdp, progress=()).body)


def early_183(
    *, ring_ms: int = 500, early_sdp: Sequence[str] = ANSWER_SDP, sdp: Sequence[str] = ANSWER_SDP
) -> Scenario:
    """100, 183 with SDP, a slow while, 200 with SDP; then the caller hangs up."""
    body = s.sequence(
        s.receive_invite(),
        s.respond(100),
        s.respond(183, sdp=early_sdp),
        s.pause(ring_ms),
        s.respond(200, sdp=sdp, retransmit_ms=500),
        s.receive_logged("ACK"),
        s.receive_logged("BYE"),
        s.answer_in_dialog(),
    )
    return Scenario(name="early_183", body=body)


EARLY_SDP = tuple(line.replace("[sink_port]", "[rtpstream_audio_port]") for line in ANSWER_SDP)
"""PCMA to and from SIPp's own stream, which is another port than that of ANSWER_SDP."""


def early_sound(file: Path, *, early_ms: int, ring_ms: int = 300) -> Scenario:
    """183 with SDP and a recording (codes of PCMA) sent by SIPp, 180, 200 with another SDP; the caller hangs up."""
    body = s.sequence(
        s.receive_invite(),
        s.respond(100),
        s.respond(183, sdp=EARLY_SDP),
        s.act(f'      <exec rtp_stream="{file},1,8,PCMA/8000"/>'),
        s.pause(early_ms),
        s.respond(180, headers=s.INVITE_HEADERS),
        s.pause(ring_ms),
        s.respond(200, headers=s.INVITE_HEADERS, sdp=ANSWER_SDP, retransmit_ms=500),
        s.receive_logged("ACK"),
        s.receive_logged("BYE"),
        s.answer_in_dialog(),
    )
    return Scenario(name="early_sound", body=body)


def callee_bye(*, after_ms: int = 1000, ring_ms: int = 100, sdp: Sequence[str] = ANSWER_SDP) -> Scenario:
    """100, 180, 200; the callee hangs up `after_ms` after the ACK."""
    body = s.sequence(
        s.receive_invite(),
        s.respond(100),
        s.respond(180),
        s.pause(ring_ms),
        s.respond(200, sdp=sdp, retransmit_ms=500),
        s.receive_logged("ACK"),
        s.pause(after_ms),
        s.bye(),
        s.receive_response(200),
    )
    return Scenario(name="callee_bye", body=body)


def final(
    code: int,
    *,
    progress: Sequence[int] = (100, 180),
    ring_ms: int = 0,
    extra: Sequence[str] = (),
    reason: str | None = None,
) -> Scenario:
    """A final code other than 2xx, repeated until its ACK; `progress=()` sends it without any 1xx.

    `extra` takes headers such as `Retry-After: 5`, `Min-SE: 600`, `Reason: Q.850;cause=17` or a Contact.
    """
    body = s.sequence(
        s.receive_invite(),
        *(s.respond(number) for number in progress),
        s.pause(ring_ms) if ring_ms else "",
        s.respond(code, reason=reason, extra=extra, retransmit_ms=500),
        s.receive_logged("ACK"),
        s.linger(200),
    )
    return Scenario(name=f"final_{code}", body=body)


def final_resent(code: int = 486, *, times: int = 2, gap_ms: int = 500) -> Scenario:
    """A final code sent again `times` times although each was acknowledged; run with -nr."""
    again = s.sequence(s.pause(gap_ms), s.respond(code, headers=s.INVITE_HEADERS), s.receive_logged("ACK"))
    body = s.sequence(s.receive_invite(), s.respond(100), s.respond(code), s.receive_logged("ACK"), *([again] * times))
    return Scenario(name=f"final_{code}_resent", body=body, retransmits=False)


def lost_200(
    *, times: int = 2, gap_ms: int = 500, sdp: Sequence[str] = ANSWER_SDP, via: str = s.INVITE_HEADERS[0]
) -> Scenario:
    """The 200 again `times` times after the ACK, as if that had been lost; then the caller hangs up. Run with -nr.

    `via` is the Via header of what is sent again.
    """
    headers = (via, *s.INVITE_HEADERS[1:])
    again = s.sequence(s.pause(gap_ms), s.respond(200, headers=headers, sdp=sdp), s.receive_logged("ACK"))
    body = s.sequence(
        s.receive_invite(),
        s.respond(180),
        s.respond(200, sdp=sdp),
        s.receive_logged("ACK"),
        *([again] * times),
        s.receive_logged("BYE"),
        s.answer_in_dialog(),
    )
    return Scenario(name="lost_200", body=body, retransmits=False)


def rings_for_ever(*, progress: Sequence[int] = (100, 180), max_ring_s: int = 120) -> Scenario:
    """Rings and never answers: waits for CANCEL, then 200 to it, 487 to the INVITE, and the ACK."""
    body = s.sequence(
        s.receive_invite(),
        *(s.respond(code) for code in progress),
        s.receive_logged("CANCEL", timeout_ms=max_ring_s * 1000),
        cancelled(),
    )
    return Scenario(name="rings_for_ever", body=body)


def cancel_before_1xx(*, silence_ms: int = 3000) -> Scenario:
    """Silence, then 180; the CANCEL must wait for that 180. Re-sent INVITEs are not answered meanwhile."""
    body = s.sequence(
        s.receive_invite(),
        s.pause(silence_ms),
        s.respond(180, headers=s.INVITE_HEADERS),
        s.receive_logged("CANCEL"),
        cancelled(),
    )
    return Scenario(name="cancel_before_1xx", body=body)


def cancel_200_race(*, sdp: Sequence[str] = ANSWER_SDP) -> Scenario:
    """The CANCEL comes too late: 200 to it and 200 to the INVITE; the caller must ACK and BYE."""
    body = s.sequence(
        s.receive_invite(),
        s.respond(180),
        s.receive_logged("CANCEL"),
        s.send("SIP/2.0 200 OK", s.LAST_HEADERS),
        s.respond(200, headers=s.INVITE_HEADERS, sdp=sdp, retransmit_ms=500),
        s.receive_logged("ACK"),
        s.receive_logged("BYE"),
        s.answer_in_dialog(),
    )
    return Scenario(name="cancel_200_race", body=body)


def cancelled() -> str:
    """What follows a CANCEL: 200 to it, 487 to the INVITE, and the ACK."""
    return s.sequence(
        s.send("SIP/2.0 200 OK", s.LAST_HEADERS),
        s.respond(487, headers=s.INVITE_HEADERS, retransmit_ms=500),
        s.receive_logged("ACK"),
    )


def ignores_invites(*, times: int = 2, sdp: Sequence[str] = ANSWER_SDP) -> Scenario:
    """Takes no notice of the first INVITEs, then 180 and 200; the caller hangs up.

    Run with -nr: SIPp then takes every re-sent INVITE for a new message.
    """
    ignored = [s.receive("INVITE") for _ in range(times)]
    tail = answered(progress=(180,), sdp=sdp).body
    return Scenario(name="ignores_invites", body=s.sequence(*ignored, tail), retransmits=False)


def ignores_byes(*, times: int = 2, sdp: Sequence[str] = ANSWER_SDP) -> Scenario:
    """Takes no notice of the first BYEs, then 200. Run with -nr."""
    body = s.sequence(
        s.receive_invite(),
        s.respond(180),
        s.respond(200, sdp=sdp),
        s.receive_logged("ACK"),
        *([s.receive_logged("BYE")] * (times + 1)),
        s.answer_in_dialog(),
    )
    return Scenario(name="ignores_byes", body=body, retransmits=False)


def answers_bye_with(code: int, *, sdp: Sequence[str] = ANSWER_SDP) -> Scenario:
    """An answered call whose BYE gets this code, such as 481 or 408."""
    body = s.sequence(
        s.receive_invite(),
        s.respond(180),
        s.respond(200, sdp=sdp, retransmit_ms=500),
        s.receive_logged("ACK"),
        s.receive_logged("BYE"),
        s.answer_in_dialog(code),
    )
    return Scenario(name=f"bye_{code}", body=body)


def challenge(
    code: int = 401,
    *,
    realm: str = "gateway",
    nonce: str = "6e6f6e6365",
    qop: str | None = "auth",
    algorithm: str | None = "MD5",
    stale: bool = False,
) -> str:
    """The header of a digest challenge, WWW-Authenticate for 401 and Proxy-Authenticate for 407."""
    name = {401: "WWW-Authenticate", 407: "Proxy-Authenticate"}[code]
    parts = [f'Digest realm="{realm}"', f'nonce="{nonce}"']
    parts += [f"algorithm={algorithm}"] if algorithm else []
    parts += [f'qop="{qop}"'] if qop else []
    parts += ["stale=true"] if stale else []
    return f"{name}: {', '.join(parts)}"


def asks_password(
    username: str,
    password: str,
    *,
    qop: str | None = "auth",
    algorithm: str | None = "MD5",
    realm: str = "gateway",
    sdp: Sequence[str] = ANSWER_SDP,
) -> Scenario:
    """401 with an MD5 challenge; 200 if SIPp itself finds the digest right, 403 if not; the caller hangs up.

    `qop=None, algorithm=None` is the challenge of RFC 2069. SIPp 3.6 verifies only MD5 and only Authorization:
    for 407 and for SHA-256 let Kamailio ask (tests.peers.kamailio).
    """
    verify = f'      <verifyauth assign_to="authorised" username="{username}" password="{password}"/>'
    body = s.sequence(
        _challenged(401, challenge(401, realm=realm, qop=qop, algorithm=algorithm)),
        s.receive_invite(verify),
        s.go_to("authorised", when="authorised"),
        s.respond(403, retransmit_ms=500),
        s.receive_logged("ACK", go_to="end"),
        s.label("authorised"),
        s.act(s.log("digest=verified call-id=[call_id]")),
        s.respond(180),
        s.respond(200, sdp=sdp, retransmit_ms=500),
        s.receive_logged("ACK"),
        s.receive_logged("BYE"),
        s.answer_in_dialog(),
        s.label("end"),
        s.linger(200),
    )
    return Scenario(name="auth401", body=body)


def strict_about_replays(username: str, password: str, *, sdp: Sequence[str] = ANSWER_SDP) -> Scenario:
    """Asks for a digest with one nonce for all calls, and takes a nonce count that does not rise for a replay: 403.

    200 where SIPp finds the digest right; the caller hangs up.
    """
    verify = f'      <verifyauth assign_to="authorised" username="{username}" password="{password}"/>'
    count = (
        '      <ereg regexp="nc=0*([1-9][0-9]*)" search_in="hdr" header="Authorization:" assign_to="found,count"/>',
        '      <todouble assign_to="given" variable="count"/>',
        '      <test assign_to="rises" variable="given" compare="greater_than" variable2="highest"/>',
    )
    body = s.sequence(
        '  <Global variables="highest"/>',
        s.receive_invite(verify, *count),
        '  <Reference variables="found"/>',
        s.go_to("judge", when="count"),
        s.respond(401, extra=[challenge()], retransmit_ms=500),
        s.receive_logged("ACK"),
        s.receive_invite(verify, *count),
        s.label("judge"),
        s.go_to("rising", when="rises"),
        s.act(s.log("replay=found call-id=[call_id]")),
        s.go_to("refuse"),
        s.label("rising"),
        '  <nop><action><assign assign_to="highest" variable="given"/></action></nop>',
        s.go_to("authorised", when="authorised"),
        s.label("refuse"),
        s.respond(403, retransmit_ms=500),
        s.receive_logged("ACK", go_to="end"),
        s.label("authorised"),
        s.respond(180),
        s.respond(200, sdp=sdp, retransmit_ms=500),
        s.receive_logged("ACK"),
        s.receive_logged("BYE"),
        s.answer_in_dialog(),
        s.label("end"),
        s.linger(200),
    )
    return Scenario(name="strict_about_replays", body=body)


def challenges(*headers: str, then_answers: bool = False, sdp: Sequence[str] = ANSWER_SDP) -> Scenario:
    """One challenge header an INVITE (see `challenge`), whatever is sent back; at the end 200, or nothing more.

    A wrong password is the same challenge twice, a stale nonce a second one with `stale=True` and another nonce.
    """
    parts = [_challenged(401 if header.startswith("WWW-") else 407, header) for header in headers]
    tail = answered(sdp=sdp).body if then_answers else s.linger(1000)
    return Scenario(name="challenges", body=s.sequence(*parts, tail))


def _challenged(code: int, header: str) -> str:
    return s.sequence(s.receive_invite(), s.respond(code, extra=[header], retransmit_ms=500), s.receive_logged("ACK"))

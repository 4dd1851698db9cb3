"""The fake carrier's SIP: it takes INVITEs and lets each go as `behaviour_of` says. Pure.

Just enough of a UAS (RFC 3261 sections 8.2, 13.3, 15.1.2, 17.2.1) for a demo on loopback; tests use real peers.
"""

import heapq
import itertools
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from autodialer.gateway.behaviour import FINAL_CODES, REFUSED_UNRUNG, Behaviour, Kind, behaviour_of
from autodialer.sip.fields import parse_name_addr
from autodialer.sip.message import Request, Response, parse_message
from autodialer.sip.sdp import MediaPlan, negotiate

Address = tuple[str, int]
CODECS = ("PCMA", "PCMU")
REASONS = {
    100: "Trying",
    180: "Ringing",
    183: "Session Progress",
    200: "OK",
    404: "Not Found",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    501: "Not Implemented",
    503: "Service Unavailable",
    603: "Decline",
}
T1, T2, GIVE_UP_S = 0.5, 4.0, 32.0


class Ear(Protocol):
    """Where the callees listen."""

    def open(self, call_id: str, number: str, media: MediaPlan) -> int:
        """A port for the callee's RTP."""

    def close(self, call_id: str) -> None:
        """The call is over."""


@dataclass(kw_only=True)
class CarrierCall:
    """One INVITE and what followed."""

    invite: Request
    caller: Address
    behaviour: Behaviour
    tag: str = field(default_factory=lambda: secrets.token_hex(6))
    media: MediaPlan | None = None
    port: int = 0
    last: bytes = b""
    """The latest response to the INVITE, for when it is asked again."""
    final: int | None = None
    acknowledged: bool = False
    bye: bytes | None = None
    """Our BYE while it has no answer."""


class Carrier:
    """All calls of the fake carrier."""

    def __init__(self, address: Address, ear: Ear) -> None:
        self._address = address
        self._ear = ear
        self._calls: dict[str, CarrierCall] = {}
        self._timers: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = itertools.count()
        self._outbox: list[tuple[bytes, Address]] = []

    def datagrams_to_send(self) -> list[tuple[bytes, Address]]:
        """What has to leave now."""
        outbox, self._outbox = self._outbox, []
        return outbox

    def get_timer(self) -> float | None:
        """When `handle_timer` wants to be called; None: never."""
        return self._timers[0][0] if self._timers else None

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2](now)

    def receive_datagram(self, data: bytes, source: Address, now: float) -> None:
        """Take one packet; a packet that is not SIP is ignored."""
        message = parse_message(data)
        if isinstance(message, Response):
            call = self._calls.get(message.call_id)
            if call and message.cseq_method == "BYE":
                self._forget(message.call_id)
        elif isinstance(message, Request):
            self._take(message, source, now)

    def _take(self, request: Request, source: Address, now: float) -> None:
        call = self._calls.get(request.call_id)
        match request.method:
            case "INVITE":
                if call is None:
                    self._invited(request, source, now)
                elif request.cseq == call.invite.cseq:
                    self._outbox.append((call.last, source))
                else:
                    self._reply(request, source, 488)
            case "ACK":
                if call:
                    self._acknowledged(call)
            case "CANCEL":
                self._reply(request, source, 200 if call else 481)
                if call and call.final is None:
                    self._refuse(call, 487, now)
            case "BYE":
                self._reply(request, source, 200 if call else 481)
                self._forget(request.call_id)
            case "OPTIONS":
                self._reply(request, source, 200)
            case _:
                self._reply(request, source, 501)

    def _invited(self, invite: Request, source: Address, now: float) -> None:
        number = invite.uri.partition(":")[2].partition("@")[0]
        call = CarrierCall(invite=invite, caller=source, behaviour=behaviour_of(number))
        self._calls[invite.call_id] = call
        offered = negotiate(invite.body, CODECS)
        if not isinstance(offered, MediaPlan):
            self._refuse(call, 488, now)
            return
        call.media = offered
        self._respond(call, 100)
        kind, ring_s = call.behaviour.kind, call.behaviour.ring_s
        if kind in REFUSED_UNRUNG:
            self._refuse(call, FINAL_CODES[kind], now)
            return
        call.port = self._ear.open(invite.call_id, number, offered)
        self._respond(call, 183 if kind is Kind.LATE else 180)
        if kind in FINAL_CODES:
            self._after(now + ring_s, lambda at: self._refuse(call, FINAL_CODES[kind], at))
        elif kind is not Kind.RING:
            self._after(now + ring_s, lambda at: self._answer(call, at))

    def _answer(self, call: CarrierCall, now: float) -> None:
        if call.final is not None or call.invite.call_id not in self._calls:
            return
        call.final = 200
        self._respond(call, 200)
        self._resend(call, lambda: call.acknowledged, lambda: call.last, now)
        if call.behaviour.listen_s is not None:
            self._after(now + call.behaviour.listen_s, lambda at: self._hang_up(call, at))

    def _refuse(self, call: CarrierCall, code: int, now: float) -> None:
        if call.final is not None or call.invite.call_id not in self._calls:
            return
        call.final = code
        self._respond(call, code)
        self._resend(call, lambda: call.acknowledged, lambda: call.last, now)
        self._ear.close(call.invite.call_id)

    def _acknowledged(self, call: CarrierCall) -> None:
        call.acknowledged = True
        if call.final != 200:
            self._forget(call.invite.call_id)

    def _hang_up(self, call: CarrierCall, now: float) -> None:
        if call.invite.call_id not in self._calls or call.bye:
            return
        contact = parse_name_addr(call.invite.get("contact") or "")
        host, port = self._address
        lines = [
            f"BYE {contact.uri if contact else f'sip:{call.caller[0]}:{call.caller[1]}'} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{secrets.token_hex(8)};rport",
            "Max-Forwards: 70",
            f"From: {call.invite.headers['to'][0]};tag={call.tag}",
            f"To: {call.invite.headers['from'][0]}",
            f"Call-ID: {call.invite.call_id}",
            "CSeq: 1 BYE",
            "Content-Length: 0",
        ]
        call.bye = ("\r\n".join(lines) + "\r\n\r\n").encode()
        self._outbox.append((call.bye, call.caller))
        self._ear.close(call.invite.call_id)
        self._resend(call, lambda: False, lambda: call.bye or b"", now)

    def _resend(self, call: CarrierCall, done: Callable[[], bool], what: Callable[[], bytes], now: float) -> None:
        """Send again with doubling interval until `done`, or the call is gone, or it no longer makes sense."""
        started_at = now

        def again(at: float, interval: float) -> None:
            if done() or call.invite.call_id not in self._calls:
                return
            if at - started_at > GIVE_UP_S:
                self._forget(call.invite.call_id)
                return
            self._outbox.append((what(), call.caller))
            following = min(2 * interval, T2)
            self._after(at + following, lambda later: again(later, following))

        self._after(now + T1, lambda at: again(at, T1))

    def _respond(self, call: CarrierCall, code: int) -> None:
        body = b""
        if code in (183, 200) and call.media:
            body = _answer_sdp(self._address[0], call.port, call.media)
        call.last = self._response(call.invite, code, call.tag, body)
        self._outbox.append((call.last, call.caller))

    def _reply(self, request: Request, source: Address, code: int) -> None:
        self._outbox.append((self._response(request, code, None, b""), source))

    def _response(self, request: Request, code: int, tag: str | None, body: bytes) -> bytes:
        to = request.headers["to"][0]
        lines = [f"SIP/2.0 {code} {REASONS[code]}", *(f"Via: {via}" for via in request.headers["via"])]
        lines += [f"From: {request.headers['from'][0]}", f"To: {to};tag={tag}" if tag and code > 100 else f"To: {to}"]
        lines += [f"Call-ID: {request.call_id}", f"CSeq: {request.headers['cseq'][0]}"]
        lines += [f"Contact: <sip:carrier@{self._address[0]}:{self._address[1]}>", "Server: demo-carrier"]
        if body:
            lines.append("Content-Type: application/sdp")
        lines.append(f"Content-Length: {len(body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + body

    def _after(self, when: float, action: Callable[[float], None]) -> None:
        heapq.heappush(self._timers, (when, next(self._order), action))

    def _forget(self, call_id: str) -> None:
        if self._calls.pop(call_id, None):
            self._ear.close(call_id)


def _answer_sdp(host: str, port: int, media: MediaPlan) -> bytes:
    formats, maps = [media.payload_type], [f"a=rtpmap:{media.payload_type} {media.codec}/8000"]
    if media.telephone_event_pt is not None:
        formats.append(media.telephone_event_pt)
        maps.append(f"a=rtpmap:{media.telephone_event_pt} telephone-event/8000")
    lines = ["v=0", f"o=- 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0"]
    lines += [f"m=audio {port} RTP/AVP {' '.join(map(str, formats))}", *maps, "a=ptime:20", ""]
    return "\r\n".join(lines).encode()

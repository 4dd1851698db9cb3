"""One gateway for a whole campaign: SIPp behaves by the last digits of the dialled number and logs every INVITE."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from tests.peers import scenario as s
from tests.peers.scenario import ANSWER_SDP, Scenario


class Behaviour(StrEnum):
    """What the gateway does with a number."""

    ANSWER = "answer"
    """100, 180, 200; the caller hangs up."""
    ANSWER_THEN_BYE = "answer_then_bye"
    """100, 180, 200; the callee hangs up a second later."""
    BUSY = "busy"
    """100, 486."""
    UNAVAILABLE = "unavailable"
    """100, 180, then 480."""
    DECLINED = "declined"
    """100, 180, then 603."""
    UNKNOWN = "unknown"
    """404 at once."""
    CONGESTED = "congested"
    """503 at once."""
    PROGRESS = "progress"
    """100, 183 with SDP, 200; the caller hangs up."""
    RINGS = "rings"
    """100, 180, and no more until CANCEL."""


BY_LAST_DIGIT: Mapping[str, Behaviour] = {
    "0": Behaviour.ANSWER,
    "1": Behaviour.ANSWER_THEN_BYE,
    "2": Behaviour.BUSY,
    "3": Behaviour.UNAVAILABLE,
    "4": Behaviour.DECLINED,
    "5": Behaviour.UNKNOWN,
    "6": Behaviour.CONGESTED,
    "7": Behaviour.PROGRESS,
    "8": Behaviour.RINGS,
    "9": Behaviour.ANSWER,
}
"""The usual table; a number that no row fits is answered."""


def behaviour_of(number: str, table: Mapping[str, Behaviour] = BY_LAST_DIGIT) -> Behaviour:
    """What the gateway will do with a number: the longest fitting last digits decide, as in `by_number`."""
    fitting = [ending for ending in _longest_first(table) if number.endswith(ending)]
    return table[fitting[0]] if fitting else Behaviour.ANSWER


def by_number(
    table: Mapping[str, Behaviour] = BY_LAST_DIGIT,
    *,
    ring_ms: int = 300,
    bye_after_ms: int = 1000,
    max_call_s: int = 60,
    sdp: Sequence[str] = ANSWER_SDP,
    proxied: bool = False,
) -> Scenario:
    """The scenario: `table` maps the number's last digits to a behaviour.

    A CANCEL is obeyed whenever the phone rings. A call whose caller went away (killed, say) is forgotten after
    `max_call_s`. `proxied` says that there is one proxy before SIPp, so that INVITEs have two Via.
    """
    ends = _longest_first(table)
    matches = [s.match(f"^INVITE sips?:[^@;]*{ending}[@;]", f"ends_{ending}") for ending in ends]
    used = sorted({*table.values(), Behaviour.ANSWER})
    branches = _Branches(
        ring_ms=ring_ms, bye_after_ms=bye_after_ms, max_call_ms=max_call_s * 1000, sdp=tuple(sdp), proxied=proxied
    )
    second_via = [s.capture("Via", "second_via", occurrence=2)] if proxied else []
    body = s.sequence(
        s.receive_invite(*matches, *second_via),
        *(s.go_to(table[ending], when=f"ends_{ending}") for ending in ends),
        s.go_to(Behaviour.ANSWER),
        *(s.sequence(s.label(behaviour), branches.of(behaviour)) for behaviour in used),
        branches.cancelled(),
        branches.late_cancel(),
        branches.hung_up(),
        s.label("end"),
        s.linger(500),
    )
    return Scenario(name="by_number", body=body)


def _longest_first(table: Mapping[str, Behaviour]) -> list[str]:
    return sorted(table, key=lambda ending: (-len(ending), ending))


class _Branches:
    """The commands of each behaviour; every one of them leads to the label `end`."""

    def __init__(
        self, *, ring_ms: int, bye_after_ms: int, max_call_ms: int, sdp: tuple[str, ...], proxied: bool
    ) -> None:
        self.ring_ms = ring_ms
        self.bye_after_ms = bye_after_ms
        self.max_call_ms = max_call_ms
        self.sdp = sdp
        first, *others = s.INVITE_HEADERS
        self.invite_headers = (first, "Via:[$second_via]", *others) if proxied else s.INVITE_HEADERS

    def of(self, behaviour: Behaviour) -> str:
        """One branch, without its label."""
        match behaviour:
            case Behaviour.ANSWER:
                return s.sequence(self._ring(behaviour, s.respond(180)), self._answer(), self._caller_hangs_up())
            case Behaviour.PROGRESS:
                return s.sequence(
                    self._ring(behaviour, s.respond(183, sdp=self.sdp)), self._answer(), self._caller_hangs_up()
                )
            case Behaviour.ANSWER_THEN_BYE:
                return s.sequence(self._ring(behaviour, s.respond(180)), self._answer(), self._callee_hangs_up())
            case Behaviour.RINGS:
                ring = s.receive_logged("CANCEL", timeout_ms=self.max_call_ms, on_timeout="end", go_to="cancelled")
                return s.sequence(s.respond(100), s.respond(180), ring)
            case Behaviour.UNAVAILABLE:
                return s.sequence(self._ring(behaviour, s.respond(180)), self._refuse(480))
            case Behaviour.DECLINED:
                return s.sequence(self._ring(behaviour, s.respond(180)), self._refuse(603))
            case Behaviour.BUSY:
                return s.sequence(s.respond(100), self._refuse(486))
            case Behaviour.UNKNOWN:
                return self._refuse(404)
            case Behaviour.CONGESTED:
                return self._refuse(503)

    def cancelled(self) -> str:
        """What a CANCEL leads to."""
        return s.sequence(
            s.label("cancelled"),
            s.send("SIP/2.0 200 OK", s.LAST_HEADERS),
            s.respond(487, headers=self.invite_headers, retransmit_ms=500),
            s.receive_logged("ACK", go_to="end"),
        )

    def late_cancel(self) -> str:
        """What a CANCEL leads to that comes after the 200: it is answered and has no effect, and the 200 goes on.

        RFC 3261 section 9.2. The next dialer sends one, which does not know that the phone was picked up.
        """
        again = s.receive_logged("CANCEL", optional=True, go_to="late_cancel")
        early_bye = s.receive_logged("BYE", optional=True, go_to="hung_up")
        return s.sequence(
            s.label("late_cancel"),
            s.send("SIP/2.0 200 OK", s.LAST_HEADERS),
            s.respond(200, headers=self.invite_headers, sdp=self.sdp, retransmit_ms=500),
            again,
            early_bye,
            s.receive_logged("ACK"),
            self._caller_hangs_up(),
        )

    def _ring(self, behaviour: Behaviour, ringing: str) -> str:
        after = f"{behaviour}_after_ring"
        wait = s.receive_logged("CANCEL", timeout_ms=self.ring_ms, on_timeout=after, go_to="cancelled")
        return s.sequence(s.respond(100), ringing, wait, s.label(after))

    def hung_up(self) -> str:
        """What a BYE leads to that was not waited for: the ACK is lost or comes later, or both hang up at once."""
        late = s.receive_logged("ACK", timeout_ms=500, on_timeout="end", go_to="end")
        return s.sequence(s.label("hung_up"), s.answer_in_dialog(), late)

    def _answer(self) -> str:
        late_cancel = s.receive_logged("CANCEL", optional=True, go_to="late_cancel")
        early_bye = s.receive_logged("BYE", optional=True, go_to="hung_up")
        answer = s.respond(200, sdp=self.sdp, retransmit_ms=500)
        return s.sequence(answer, late_cancel, early_bye, s.receive_logged("ACK"))

    def _refuse(self, code: int) -> str:
        return s.sequence(s.respond(code, retransmit_ms=500), s.receive_logged("ACK", go_to="end"))

    def _caller_hangs_up(self) -> str:
        hang_up = s.receive_logged("BYE", timeout_ms=self.max_call_ms, on_timeout="end")
        return s.sequence(hang_up, s.answer_in_dialog(), s.go_to("end"))

    def _callee_hangs_up(self) -> str:
        both = s.receive_logged("BYE", optional=True, go_to="hung_up")
        return s.sequence(s.pause(self.bye_after_ms), s.bye(), both, s.receive_response(200, go_to="end"))

"""Digits that a peer sends in INFO requests (RFC 6086): `application/dtmf-relay` and `application/dtmf`.

No RFC describes either body; gateways agree on what Cisco wrote (`Signal=5`, `Duration=160`) and on a body that is the
bare digit.
"""

import re
from dataclasses import dataclass

from autodialer.sip.call import Call, CallState
from autodialer.sip.dialog import Dialog
from autodialer.sip.events import DigitSignalled
from autodialer.sip.message import Request
from autodialer.sip.session import Reply

RELAY, BARE = "application/dtmf-relay", "application/dtmf"
_FIELD = re.compile(rb"[ \t]*([A-Za-z]+)[ \t]*[=:][ \t]*([^\r\n]*?)[ \t]*")
_KEYS = "0123456789*#ABCD"
"""In the order of the event codes of RFC 4733 section 3.2, which some gateways write as numbers."""
_NO_DIGIT = frozenset(("16", "!", "FLASH"))
"""A hook flash: understood, and no digit."""
_USUAL_MS = 100
"""Milliseconds of a press where the body does not say how long it was."""
_LONGEST_MS = 60_000
"""Milliseconds: a press that is said to be longer counts as this long."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Signal:
    """What the body of an INFO says was pressed."""

    digit: str | None
    """None for a hook flash."""
    duration_ms: int
    """How long it was held; a usual press where the body does not say."""


def reply_to_info(call: Call, dialog: Dialog, request: Request, arrived_at: float) -> Reply:
    """Take an INFO in a dialog; the digit in it is told if the call is answered."""
    # RFC 2976 section 2.2: an INFO without a body gets 200, and nothing follows from it.
    if not request.body.strip():
        return Reply(code=200)
    kind = (request.content_type or "").partition(";")[0].strip().lower()
    if kind not in (RELAY, BARE):
        return Reply(code=415, lines=(f"Accept: {RELAY}, {BARE}",))
    signal = parse_signal(request.body)
    if signal is None:
        return Reply(code=400)
    if signal.digit is not None and call.state is CallState.CONFIRMED and dialog.confirmed:
        call.emit(
            DigitSignalled(
                call_id=call.call_id, at=arrived_at, digit=signal.digit, duration_s=signal.duration_ms / 1000
            )
        )
    return Reply(code=200)


def parse_signal(body: bytes) -> Signal | None:
    """Either kind of body, for some gateways write one and name the other; None when it cannot be read."""
    fields: dict[str, bytes] = {}
    bare = body.strip()
    for line in bare.splitlines():
        field = _FIELD.fullmatch(line)
        if field is not None:
            fields.setdefault(field[1].lower().decode("ascii"), field[2])
    name = (fields.get("signal", b"") if fields else bare).decode("ascii", "replace").upper()
    duration = fields.get("duration", b"").decode("ascii", "replace")
    is_number = duration.isascii() and duration.isdigit() and len(duration) <= 6
    duration_ms = min(int(duration), _LONGEST_MS) if is_number else _USUAL_MS
    if name in _NO_DIGIT:
        return Signal(digit=None, duration_ms=duration_ms)
    if name in ("10", "11", "12", "13", "14", "15"):
        name = _KEYS[int(name)]
    return Signal(digit=name, duration_ms=duration_ms) if len(name) == 1 and name in _KEYS else None

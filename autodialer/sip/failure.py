"""What is told of a call that was never answered."""

import re

from autodialer.sip.events import CallFailed, FailureKind
from autodialer.sip.fields import parse_q850_cause, parse_retry_after, split_values, unquote
from autodialer.sip.message import Response

_REFUSES_MEDIA = (415, 488, 606)
_WARNING = re.compile(r'\s*\d{3} +\S+ +("(?:[^"\\]|\\.)*")\s*', re.ASCII)
"""RFC 3261 section 20.43."""
LONGEST_WARNING = 200
"""Characters of it that are kept."""
NO_RESPONSE = {
    "Timer B": (FailureKind.TIMEOUT, "the gateway did not answer at all"),
    "Transport Err.": (FailureKind.TRANSPORT, "the gateway cannot be reached: its host or port refuses packets"),
}
"""How the transaction ended -> the kind of failure, and a sentence for a person."""


def failed(
    call_id: str, at: float, kind: FailureKind, response: Response | None, message: str | None, *, saw_18x: bool
) -> CallFailed:
    """The end of a call with its final response, None without one."""
    return CallFailed(
        call_id=call_id,
        at=at,
        kind=kind,
        code=response.code if response else None,
        reason=response.reason if response else None,
        cancelled=kind in (FailureKind.RING_TIMEOUT, FailureKind.CANCELLED),
        saw_18x=saw_18x,
        reason_cause=parse_q850_cause(response.headers.get("reason", [])) if response else None,
        retry_after_s=parse_retry_after(response.get("retry-after")) if response else None,
        message=message or _warning(response),
    )


def _warning(response: Response | None) -> str | None:
    """What a peer that refuses the offered media says of it in words; None: it says nothing, or refuses another thing.

    RFC 3261 section 21.4.26, section 21.6.4: the reason is in a Warning.
    """
    if response is None or response.code not in _REFUSES_MEDIA:
        return None
    found = (_WARNING.fullmatch(value) for value in split_values(response.headers.get("warning", [])))
    said = [text for match in found if match is not None and (text := unquote(match.group(1)).strip())]
    return f"The peer says: {'; '.join(said)[:LONGEST_WARNING]}" if said else None

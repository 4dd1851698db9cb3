"""What is told of a call that was never answered."""

import re

from autodialer.sip.events import CallFailed, FailureKind
from autodialer.sip.fields import parse_q850_cause, parse_retry_after
from autodialer.sip.message import Response

_EXPLAINING = frozenset(("reason", "call-info", "error-info", "warning"))
_OWN_CAUSE = re.compile(r"^(?:x|p)-.*(?:cause|reason|error|disconnect|reject)")
MOST_EXPLANATIONS = 10
LONGEST_EXPLANATION = 500
"""Characters: a provider may put a whole signed card into Call-Info."""
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
        explanations=explanations(response) if response else (),
        message=message,
    )


def explanations(response: Response) -> tuple[str, ...]:
    """Header lines of a refusal that say why: RFC 3326, RFC 8197 and RFC 8688 (Call-Info), and providers' own."""
    named = [name for name in response.headers if name in _EXPLAINING or _OWN_CAUSE.search(name)]
    lines = (
        f"{'-'.join(part.capitalize() for part in name.split('-'))}: {' '.join(value.split())}"
        for name in named
        for value in response.headers[name]
    )
    return tuple(line[:LONGEST_EXPLANATION] for line in lines if line.isprintable())[:MOST_EXPLANATIONS]

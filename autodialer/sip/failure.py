"""What is told of a call that was never answered."""

from autodialer.sip.events import CallFailed, FailureKind
from autodialer.sip.fields import parse_q850_cause, parse_retry_after
from autodialer.sip.message import Response

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
        message=message,
    )

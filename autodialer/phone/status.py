"""What the phones add to the live state of their trunk."""

from dataclasses import replace

from autodialer.model import TrunkStatus
from autodialer.phone.reach import Registered

RESTING = "resting"


def complete(status: TrunkStatus, problem: str | None, registration: Registered | None) -> TrunkStatus:
    """Live state of a trunk with why it has no phone (None: it has), and how its registration stands."""
    if problem is not None:
        status = replace(status, breaker_state=RESTING, breaker_cause=problem)
    if registration is None:
        return status
    return replace(
        status,
        registration_state=registration.standing.value,
        registration_since=registration.since,
        registration_error=registration.message,
    )

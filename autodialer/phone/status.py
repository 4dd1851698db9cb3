"""What the phones add to the live state of their trunk."""

from dataclasses import replace

from pyVoIP.VoIP.status import PhoneStatus

from autodialer.model import TrunkStatus
from autodialer.phone.reach import Registered
from autodialer.sip.events import RegistrationStanding as Standing

RESTING = "resting"
PHONE_STATUS = {
    Standing.OFF: PhoneStatus.REGISTERED,
    Standing.REGISTERING: PhoneStatus.REGISTERING,
    Standing.REGISTERED: PhoneStatus.REGISTERED,
    Standing.FAILED: PhoneStatus.FAILED,
}
"""pyVoIP has no word for a phone that need not register and may call."""


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

"""The phones of one trunk: one for each 250 channels."""

import math
from dataclasses import dataclass, field, replace

from autodialer.model import Trunk, TrunkStatus
from autodialer.phone.pyvoip.phone import Phone
from autodialer.phone.reach import Registered
from autodialer.sip.events import RegistrationStanding

CHANNELS_A_PHONE = 250
"""A phone is one SIP socket and one thread, and with shared media ports one RTP port."""
RESTING = "resting"


@dataclass(kw_only=True)
class TrunkPhones:
    """The phones of one trunk as it was when they started."""

    trunk: Trunk
    phones: list[Phone] = field(default_factory=list)
    look_again_at: float = math.inf
    """When the names are looked up again."""
    unused_since: float | None = None
    """When its last call ended after the trunk was no longer wanted."""

    @property
    def calls(self) -> int:
        """Calls under way."""
        return sum(len(phone.calls) for phone in self.phones)

    @property
    def free(self) -> int:
        """Calls that the phones can take now."""
        return sum(CHANNELS_A_PHONE - len(phone.calls) for phone in self.phones if phone.ready)

    @property
    def registration(self) -> Registered:
        """How the registration stands: as that of the phone for which it stands worst."""
        # A trunk with one phone that cannot register has fewer channels than its user thinks.
        worst = (RegistrationStanding.FAILED, RegistrationStanding.REGISTERING, RegistrationStanding.REGISTERED)
        found = [phone.registration for phone in self.phones]
        return next((one for standing in worst for one in found if one.standing is standing), Registered())

    def serves(self, trunk: Trunk) -> bool:
        """Whether `trunk` can go on with these phones: all of them work, and only its name and pacing changed."""
        # A phone whose loop has ended by an error is replaced like one with old settings.
        if not all(phone.alive for phone in self.phones):
            return False
        return self.trunk.as_phones_know_it() == trunk.as_phones_know_it() and len(self.phones) == phones_needed(trunk)


def phones_needed(trunk: Trunk) -> int:
    """How many phones carry the channels of the trunk; one at least."""
    return max(1, -(-trunk.max_channels // CHANNELS_A_PHONE))


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

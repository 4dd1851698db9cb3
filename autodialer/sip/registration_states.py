"""The states of a registration and their timers; `registration.TABLE` has the arrows."""

from collections.abc import Mapping
from enum import StrEnum


class RegistrationState(StrEnum):
    """What the registration waits for."""

    REGISTERING = "Registering"
    """The answer to the first REGISTER; the registrar does not know us."""
    REGISTERED = "Registered"
    """The time to refresh."""
    REFRESHING = "Refreshing"
    """The answer to a refresh; the registrar still knows us."""
    WAITING = "Waiting"
    """The time to try again: the registrar refused, or was silent for longer than it knew us."""
    UNREGISTERING = "Unregistering"
    """The answer to the REGISTER that takes our binding back."""
    TERMINATED = "Terminated"
    """Nothing."""


_S = RegistrationState
TIMERS: Mapping[RegistrationState, tuple[str, ...]] = {
    _S.REGISTERED: ("refresh", "expiry"),
    _S.REFRESHING: ("expiry",),
    _S.WAITING: ("retry",),
}
"""State -> its timers; entering a state stops all others."""

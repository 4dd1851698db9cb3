"""The state machine of a registration, as a table."""

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
TABLE: Mapping[tuple[RegistrationState, str], tuple[tuple[str, ...], RegistrationState]] = {
    (_S.REGISTERING, "2xx"): (("_take_binding",), _S.REGISTERED),
    (_S.REGISTERING, "again"): (("_send",), _S.REGISTERING),
    (_S.REGISTERING, "failure"): (("_lose", "_wait"), _S.WAITING),
    (_S.REGISTERING, "refusal"): (("_lose", "_wait"), _S.WAITING),
    (_S.REGISTERING, "stop"): (("_send_removal",), _S.UNREGISTERING),
    (_S.REGISTERED, "Timer refresh"): (("_begin_request", "_send"), _S.REFRESHING),
    (_S.REGISTERED, "Timer expiry"): (("_lose", "_tell_registering", "_begin_request", "_send"), _S.REGISTERING),
    (_S.REGISTERED, "stop"): (("_send_removal",), _S.UNREGISTERING),
    (_S.REFRESHING, "2xx"): (("_take_binding",), _S.REGISTERED),
    (_S.REFRESHING, "again"): (("_send",), _S.REFRESHING),
    (_S.REFRESHING, "failure"): (("_refresh_later",), _S.REGISTERED),
    (_S.REFRESHING, "refusal"): (("_lose", "_wait"), _S.WAITING),
    (_S.REFRESHING, "Timer expiry"): (("_lose", "_tell_registering"), _S.REGISTERING),
    (_S.REFRESHING, "stop"): (("_send_removal",), _S.UNREGISTERING),
    (_S.WAITING, "Timer retry"): (("_begin_request", "_send"), _S.REGISTERING),
    (_S.WAITING, "stop"): (("_tell_off",), _S.TERMINATED),
    (_S.UNREGISTERING, "again"): (("_send_removal",), _S.UNREGISTERING),
    (_S.UNREGISTERING, "2xx"): (("_tell_off",), _S.TERMINATED),
    (_S.UNREGISTERING, "failure"): (("_tell_off",), _S.TERMINATED),
    (_S.UNREGISTERING, "refusal"): (("_tell_off",), _S.TERMINATED),
}
"""State and happening -> actions (methods of Registration, in order) and the state after."""
TIMERS: Mapping[RegistrationState, tuple[str, ...]] = {
    _S.REGISTERED: ("refresh", "expiry"),
    _S.REFRESHING: ("expiry",),
    _S.WAITING: ("retry",),
}
"""State -> its timers; entering a state stops all others."""

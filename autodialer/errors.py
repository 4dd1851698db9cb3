"""All exceptions of the service, one tree. The docstring of each is its default message.

Exceptions are for bugs, misuse and dead infrastructure. What is expected to happen to a call (busy, no answer, a dead
gateway) is a value: `autodialer.model.CallOutcome`.
"""

from collections.abc import Sequence


class DialerError(Exception):
    """The dialer cannot do this."""

    code = "error"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class SettingsError(DialerError):
    """A setting has a value that it cannot take."""

    code = "settings"


class AlreadyRunning(DialerError):
    """Another service already works on this data folder."""

    code = "already_running"


class IncompatiblePyVoIP(DialerError):
    """This service needs pyVoIP 1.6.8 exactly; run `make setup`."""

    code = "incompatible_pyvoip"


class PortsExhausted(DialerError):
    """No free UDP port is left in the range; widen DIALER_RTP_PORTS or close what uses it."""

    code = "ports_exhausted"


class MediaUnavailable(DialerError):
    """The media process does not answer."""

    code = "media_unavailable"


class SoundImportFailed(DialerError):
    """The process that imports a sound failed by itself; the log says why."""

    code = "sound_import_failed"


class PhoneClosed(DialerError):
    """The phone has been stopped and makes no more calls."""

    code = "phone_closed"


class TrunkBusy(DialerError):
    """All channels of the trunk are in use, or its rate lets no further call start."""


class HostUnresolved(DialerError):
    """The host name does not resolve to an address."""

    code = "host_unresolved"

    def __init__(self, message: str | None = None, *, field: str = "host") -> None:
        super().__init__(message)
        self.field = field
        """Setting of a trunk that holds the name."""


class Unavailable(DialerError):
    """The service cannot do this right now; try again in a moment."""

    # No UserError: what makes a wrong upload fail for good must not take a locked database for one.
    code = "unavailable"


class UserError(DialerError):
    """The request cannot be carried out as it stands. Base of everything that a user can put right."""

    code = "bad_request"

    def __init__(self, message: str | None = None, *, field: str | None = None, details: Sequence[object] = ()) -> None:
        super().__init__(message)
        self.field = field
        """Name of the field at fault; None where no single field is."""
        self.details = list(details)
        """More for a program to read: strings or JSON objects."""


class Invalid(UserError):
    """A field has a value that it cannot take."""

    code = "invalid"


class AddressRefused(Invalid):
    """This address is not one of the open internet."""


class NotFound(UserError):
    """There is no such object, or it is not yours."""

    code = "not_found"


class Conflict(UserError):
    """The object is in a state that does not allow this."""

    code = "conflict"


class TooLarge(UserError):
    """The upload is larger than the limit."""

    code = "too_large"


class UnsupportedContent(UserError):
    """The uploaded file is of a kind that cannot be read."""

    code = "unsupported_content"


class Unauthorized(UserError):
    """The access token is missing, expired or revoked; get one from POST /srv1/auth/token."""

    code = "unauthorized"


class Forbidden(UserError):
    """Your role does not allow this."""

    code = "forbidden"


class InsufficientScope(Forbidden):
    """The access token does not have the scope that this needs."""

    code = "insufficient_scope"


class SecondFactorRequired(Forbidden):
    """An admin requires a second factor of you; set one up at POST /srv1/users/me/mfa."""

    code = "mfa_required"


class TooManyRequests(UserError):
    """Too many attempts; wait a little and try again."""

    code = "too_many_requests"

"""Why the SIP core ends a call by itself; each value is a sentence for the record of the call."""

from enum import StrEnum


class OwnEnd(StrEnum):
    """The reasons; `{}` takes what the peer said."""

    NOT_REFRESHED = "The callee's side did not refresh the session in time, so it counts as gone."
    REFRESH_REFUSED = "The callee's side did not let the session go on; it answered every refresh with {}."
    REFRESH_UNANSWERED = "The callee's side did not answer the refresh of the session, so it counts as gone."
    DIALOG_UNKNOWN = "The callee's side does not know the call any more; it answered {}."
    NOT_ACKNOWLEDGED = "The callee's side changed the call and never acknowledged our answer."
    MEDIA_UNUSABLE = "The callee's side changed the sound to something that cannot be sent: {}"
    RING_TIMEOUT = "Nobody answered within {} s."
    SHUTDOWN = "The dialer was shut down."

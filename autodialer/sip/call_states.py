"""The states of an outbound call; `call.TABLE` has their arrows."""

from enum import StrEnum


class CallState(StrEnum):
    """What the call waits for."""

    CALLING = "Calling"
    """The first response to the INVITE."""
    PROCEEDING = "Proceeding"
    """The final response; the phone may ring."""
    CANCEL_WANTED = "CancelWanted"
    """A provisional response: until then CANCEL must not be sent (RFC 3261 section 9.1)."""
    CANCELLING = "Cancelling"
    """The final response after our CANCEL."""
    CONFIRMED = "Confirmed"
    """A BYE, either way."""
    TERMINATED = "Terminated"
    """Nothing; the call's last transactions live on to answer what is sent again."""

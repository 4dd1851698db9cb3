"""The state machine of an outbound call, as a table."""

from collections.abc import Mapping
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


_S = CallState
TABLE: Mapping[tuple[CallState, str], tuple[tuple[str, ...], CallState]] = {
    (_S.CALLING, "1xx"): (("_time_ringing", "_note_progress"), _S.PROCEEDING),
    (_S.CALLING, "2xx"): (("_answer",), _S.CONFIRMED),
    (_S.CALLING, "challenge"): (("_send_invite",), _S.CALLING),
    (_S.CALLING, "too short"): (("_send_invite",), _S.CALLING),
    (_S.CALLING, "next hop"): (("_send_invite",), _S.CALLING),
    (_S.CALLING, "final"): (("_fail_final",), _S.TERMINATED),
    (_S.CALLING, "no response"): (("_fail_silent",), _S.TERMINATED),
    (_S.CALLING, "cancel"): ((), _S.CANCEL_WANTED),
    (_S.PROCEEDING, "1xx"): (("_time_ringing", "_note_progress"), _S.PROCEEDING),
    (_S.PROCEEDING, "2xx"): (("_answer",), _S.CONFIRMED),
    (_S.PROCEEDING, "challenge"): (("_send_invite",), _S.CALLING),
    (_S.PROCEEDING, "too short"): (("_send_invite",), _S.CALLING),
    (_S.PROCEEDING, "next hop"): (("_send_invite",), _S.CALLING),
    (_S.PROCEEDING, "final"): (("_fail_final",), _S.TERMINATED),
    (_S.PROCEEDING, "ring timeout"): (("_send_cancel",), _S.CANCELLING),
    (_S.PROCEEDING, "cancel"): (("_send_cancel",), _S.CANCELLING),
    (_S.CANCEL_WANTED, "1xx"): (("_note_progress", "_send_cancel"), _S.CANCELLING),
    (_S.CANCEL_WANTED, "2xx"): (("_hang_up_late", "_fail_cancelled"), _S.TERMINATED),
    (_S.CANCEL_WANTED, "final"): (("_fail_cancelled",), _S.TERMINATED),
    (_S.CANCEL_WANTED, "no response"): (("_fail_cancelled",), _S.TERMINATED),
    (_S.CANCELLING, "1xx"): (("_note_progress",), _S.CANCELLING),
    (_S.CANCELLING, "2xx"): (("_hang_up_late", "_fail_cancelled"), _S.TERMINATED),
    (_S.CANCELLING, "final"): (("_fail_cancelled",), _S.TERMINATED),
    (_S.CANCELLING, "give up"): (("_fail_cancelled", "_destroy_invite"), _S.TERMINATED),
    (_S.CONFIRMED, "2xx"): (("_hang_up_late",), _S.CONFIRMED),
    (_S.CONFIRMED, "bye"): (("_hang_up", "_end_by_us"), _S.TERMINATED),
    (_S.CONFIRMED, "BYE"): (("_end_by_callee",), _S.TERMINATED),
    (_S.TERMINATED, "2xx"): (("_hang_up_late",), _S.TERMINATED),
}
"""State and happening -> actions (methods of Call, in order) and the state after."""

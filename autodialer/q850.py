"""Causes of ITU-T Q.850: the telephone network's own word on why a call ended, beside the SIP code."""

from enum import IntEnum


class Q850(IntEnum):
    """The causes that say more than a SIP code, by their names in table 1 of Q.850."""

    NOT_DEFINED = 0
    """Not of Q.850: PBXs send it for a call that they ended without any cause from the network."""
    UNALLOCATED_NUMBER = 1
    NO_ROUTE_TO_DESTINATION = 3
    NORMAL_CALL_CLEARING = 16
    USER_BUSY = 17
    NO_USER_RESPONDING = 18
    NO_ANSWER_FROM_USER = 19
    SUBSCRIBER_ABSENT = 20
    CALL_REJECTED = 21
    DESTINATION_OUT_OF_ORDER = 27
    INVALID_NUMBER_FORMAT = 28
    NORMAL_UNSPECIFIED = 31
    NO_CIRCUIT_AVAILABLE = 34
    NETWORK_OUT_OF_ORDER = 38
    TEMPORARY_FAILURE = 41
    SWITCH_CONGESTION = 42
    CHANNEL_NOT_AVAILABLE = 44
    RECOVERY_ON_TIMER_EXPIRY = 102

    @property
    def words(self) -> str:
        """Its name for a person."""
        return self.name.lower().replace("_", " ")


UNREACHED = frozenset({Q850.NO_USER_RESPONDING, Q850.NO_ANSWER_FROM_USER, Q850.SUBSCRIBER_ABSENT})
"""The network found the callee's line, and nobody answered on it."""
WRONG_NUMBER = frozenset({Q850.UNALLOCATED_NUMBER, Q850.INVALID_NUMBER_FORMAT})
OF_CALLEE = UNREACHED | WRONG_NUMBER | {Q850.USER_BUSY}
"""The call got as far as the callee's exchange: whatever the code, no server on the way is at fault."""

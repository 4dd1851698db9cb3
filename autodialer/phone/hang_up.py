"""Why the dialer hangs up by itself; each value is a sentence for the record of the call.

What the SIP core ends by itself it says itself: `sip.own_end`.
"""

from enum import StrEnum

from autodialer.sip.own_end import OwnEnd


class HangUp(StrEnum):
    """The reasons; `{}` takes a detail."""

    SOUND_OVER = "The sound was played to its end."
    MAX_CALL = "The call had lasted as long as it may: {} s."
    TRANSFERRED = "The callee's side took the transfer over."
    TRANSFER_FAILED = "The transfer failed, and the campaign hangs up then."
    GONE_AFTER_TRANSFER = "After a failed transfer nothing was heard of the callee for {} s."
    MEDIA_DIED = "The media process of the dialer ended, and with it the sound."
    NO_PORT = "There was no free RTP port for the sound: {}"
    OPTED_OUT = "The callee pressed the key that asks for no more calls."
    OPERATOR = "An operator hung up this call."
    CAMPAIGN_STOPPED = "The campaign was stopped, and its calls with it."
    SHUTDOWN = OwnEnd.SHUTDOWN.value
    UNSENT = "It was cancelled before it left."
    CHECK_SILENT = "The check of the trunk waited no longer for an answer."
    REQUESTED = "The owner of the phone hung up."
    """The program that uses the phone gave no reason."""

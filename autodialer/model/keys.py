"""Keys: what a digit that the callee presses means in a campaign, and what it did."""

from dataclasses import dataclass
from enum import StrEnum

KEYS = "0123456789*#"
"""What stands on every phone."""
KEY_WAIT_S = 5.0
"""How long a campaign with keys waits for one after the sound, unless it says otherwise."""


class KeyAction(StrEnum):
    """What a key does."""

    CONFIRM = "confirm"
    """It is written down that the callee has confirmed."""
    OPT_OUT = "opt_out"
    """The number goes on the owner's DNC list, and the call ends."""
    REPEAT = "repeat"
    """The sound begins again."""
    TRANSFER = "transfer"
    """The callee's side is asked to call `transfer_to` in our place."""


class KeyEffect(StrEnum):
    """What came of a press."""

    DONE = "done"
    AGAIN = "again"
    """It had been done in this call, and once is enough."""
    IGNORED = "ignored"
    """Another key was at work: the call was being transferred, or ended."""
    ACCEPTED = "accepted"
    """Of a transfer: the party called in our place has answered, and we hung up."""
    REFUSED = "refused"
    """Of a transfer: the callee's side would not, or the party called in our place did not answer."""
    TIMEOUT = "timeout"
    """Of a transfer: the callee's side did not say how it ended within a minute."""
    UNKNOWN = "unknown"
    """Of a transfer: the call ended before we were told how it went."""


@dataclass(frozen=True, kw_only=True)
class KeyResult:
    """One press of a key that means something in the campaign."""

    digit: str
    action: KeyAction
    at_s: float
    """Seconds after the answer."""
    effect: KeyEffect
    code: int | None = None
    """Of a transfer: the last SIP status heard of it, None without."""

"""Digits into a live call, as the API asks for them: the dialer knows whether they can go, and the request waits."""

import re
import time
from uuid import UUID

from autodialer.errors import Conflict, Invalid, Unavailable
from autodialer.store import Store

_DIGITS = re.compile(r"[0-9*#A-D]{1,32}")
LOOK_S = 0.02
PATIENCE_S = 3.0
"""The dialer looks for commands at least every 100 ms."""


def check_digits(digits: str) -> str:
    """The digits themselves. Raises Invalid for what is no key."""
    if not _DIGITS.fullmatch(digits):
        raise Invalid("digits takes 1 to 32 of 0 to 9, *, # and A to D.", field="digits")
    return digits


def send_digits(store: Store, call_id: UUID, digits: str) -> None:
    """Have the dialer send digits. Raises Conflict when the call cannot take any, Unavailable without a dialer."""
    if store.live.dialer() is None:
        raise Unavailable("No dialer process is running, and only it can send digits; see the service's log.")
    key = store.commands.add("send_digits", call_id=call_id, digits=digits)
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        reply = store.commands.reply_to(key)
        if reply:
            raise Conflict(reply)
        if reply is not None:
            return
        time.sleep(LOOK_S)
    raise Unavailable("The dialer does not say whether it has sent the digits; see its log.")

"""Keep-alives (RFC 5626 section 3.5.1): line ends on every path in use, so that a NAT on it does not forget us."""

from collections.abc import Callable, Collection

from autodialer.sip.hop import Hop
from autodialer.sip.stack import Stack

PING = b"\r\n\r\n"
PONG = b"\r\n"


class KeepAlive:
    """Sleeps while no path is in use."""

    def __init__(self, stack: Stack, paths_in_use: Callable[[], Collection[Hop]]) -> None:
        self._stack = stack
        self._paths_in_use = paths_in_use
        self._awake = False

    def wake(self, now: float) -> None:
        """A path is, or will soon be, in use."""
        if not self._awake:
            self._awake = True
            self._stack.timers.start(now + self._stack.config.keep_alive_s, self._send)

    def _send(self, now: float) -> None:
        self._awake = False
        paths = self._paths_in_use()
        # Not logged: there is nothing to see in them.
        self._stack.outbox.extend((PING, hop) for hop in paths)
        if paths:
            self.wake(now)

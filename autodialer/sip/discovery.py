"""Asks a STUN server (RFC 5389) under which address the SIP socket is seen outside, and goes on asking.

Kept up for as long as it is wanted: a router that restarts gives a new address.
"""

from collections.abc import Callable

from autodialer import stun
from autodialer.sip.events import AddressDiscovered
from autodialer.sip.hop import Hop
from autodialer.sip.stack import Stack
from autodialer.sip.timers import Timer

TRIES = 4
"""Requests at 0, 0.5, 1.5 and 3.5 s; after 7.5 s the server counts as silent."""
AGAIN_S = 30.0
"""From an answer, or from giving up, to the next question."""


class Discovery:
    """One STUN server. Tells AddressDiscovered once at first, and whenever it says something else, or falls silent."""

    def __init__(self, stack: Stack, server: Hop, emit: Callable[[AddressDiscovered], None]) -> None:
        self._stack = stack
        self._server = server
        self._emit = emit
        self._transaction_id = b""
        self._tries = 0
        self._timer: Timer | None = None
        self._told: tuple[str, int] | None = None
        """None: silence, or an answer without an address."""
        self._has_told = False

    def ask(self, now: float) -> None:
        """Send a new question."""
        self._transaction_id = self._stack.config.random_bytes(stun.TRANSACTION_ID_OCTETS)
        self._tries = 0
        self._send(now)

    def stop(self) -> None:
        """Ask no more."""
        if self._timer is not None:
            self._stack.timers.stop(self._timer)

    def _send(self, now: float) -> None:
        if self._tries == TRIES:
            self._tell(None, now)
            self._wait(now + AGAIN_S, self.ask)
            return
        # Not by `send`, which logs and traces SIP messages.
        self._stack.outbox.append((stun.binding_request(self._transaction_id), self._server))
        self._wait(now + stun.FIRST_WAIT_S * 2**self._tries, self._send)
        self._tries += 1

    def _wait(self, when: float, then: Callable[[float], None]) -> None:
        self.stop()
        self._timer = self._stack.timers.start(when, then)

    def receive(self, response: stun.BindingResponse, now: float) -> bool:
        """Take an answer; whether it was one to our question."""
        if response.transaction_id != self._transaction_id:
            return False
        self._transaction_id = b""
        if response.mapped is not None:
            self._stack.map_address(response.mapped)
        self._tell(response.mapped, now)
        self._wait(now + AGAIN_S, self.ask)
        return True

    def _tell(self, address: tuple[str, int] | None, now: float) -> None:
        if not self._has_told or address != self._told:
            self._has_told, self._told = True, address
            self._emit(AddressDiscovered(at=now, address=address))

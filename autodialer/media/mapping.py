"""Asks a STUN server (RFC 5389) under which address one RTP socket is seen outside. Pure."""

from autodialer import stun
from autodialer.media.source import Address

TRIES = 3
"""Questions at 0, 0.5 and 1.5 s; after 3.5 s the server counts as silent."""


class MappingQuery:
    """One question with its repeats, and its answer."""

    def __init__(self, server: Address, transaction_id: bytes, now: float) -> None:
        self.server = server
        """Where the questions go."""
        self._transaction_id = transaction_id
        self._tries = 0
        self.due_at = now
        """When `next_question` has something to say, or the wait is over."""

    def next_question(self, now: float) -> bytes | None:
        """The question to send now; None: the server is silent, and waiting longer is useless."""
        if self._tries == TRIES:
            return None
        self.due_at = now + stun.FIRST_WAIT_S * 2**self._tries
        self._tries += 1
        return stun.binding_request(self._transaction_id)

    def answer(self, data: bytes) -> Address | None:
        """Our address in a datagram that answers the question; None for every other datagram."""
        response = stun.parse(data)
        if response is None or response.transaction_id != self._transaction_id:
            return None
        return response.mapped

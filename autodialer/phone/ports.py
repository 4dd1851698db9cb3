"""UDP ports for the sound: which are free, which call has which, and what follows when another program has one."""

import random
import threading

from autodialer.errors import PortsExhausted

TRIES = 100
"""Ports that are tried for one call before the range counts as full."""


def calls_within(rtp_ports: tuple[int, int]) -> int:
    """How many calls at once have a port of their own in the range (first, last)."""
    return len(range(rtp_ports[0] + rtp_ports[0] % 2, rtp_ports[1], 2))


class Ports:
    """The ports of one phone. The dialer's thread and the loop's thread both ask for ports."""

    def __init__(self, first: int, last: int, taken: list[int], *, shared: bool) -> None:
        """Ports from `first` to below `last`; `taken` is the list in which pyVoIP keeps what a phone has assigned.

        `shared`: all calls have one port, and are told apart by where their sound goes.
        """
        # RFC 3550 section 11: RTP has the even port, RTCP the odd one above it.
        self._even = range(first + first % 2, last, 2)
        self._taken = taken
        self._shared = shared
        self._common: int | None = None
        """The port that all calls have; None until the first call, and in a phone whose calls have their own."""
        self._lock = threading.Lock()

    def take(self) -> int:
        """A port that no call of this phone has. Raises PortsExhausted.

        Drawn, not counted up: other phones and programs take ports of the same range, and two that count from its
        start would meet at every call.
        """
        with self._lock:
            return self._draw()

    def take_common(self, *, instead_of: int | None = None) -> int:
        """The port that all calls have, another if it is still `instead_of`. Raises PortsExhausted.

        It stays taken when they are over: the next call would only want it again.
        """
        with self._lock:
            # Several calls may complain of the same port: only the first one changes it.
            if self._common is not None and self._common == instead_of:
                self._taken.remove(self._common)
                self._common = None
            if self._common is None:
                self._common = self._draw()
            return self._common

    def _draw(self) -> int:
        for _ in range(TRIES):
            port = random.choice(self._even)
            if port not in self._taken:
                self._taken.append(port)
                return port
        raise PortsExhausted

    def give_back(self, port: int) -> None:
        """The port is free again. Harmless when it is already."""
        with self._lock:
            if port in self._taken:
                self._taken.remove(port)

    def lease(self) -> "PortLease":
        """A port for a new call. Raises PortsExhausted."""
        return PortLease(self, common=self._shared)


class PortLease:
    """The port of one call, another when that one is not to be had."""

    def __init__(self, ports: Ports, *, common: bool) -> None:
        self._ports = ports
        self.common = common
        """Other calls have the port as well."""
        self.port = ports.take_common() if common else ports.take()
        self._tried = 0

    def take_next(self, complaint: str) -> None:
        """Another program has the port. Raises PortsExhausted once too many were tried."""
        self._count(complaint)
        if self.common:
            # Another call may have noticed first: then there is a new common port already.
            self.port = self._ports.take_common(instead_of=self.port)
        else:
            self._ports.give_back(self.port)
            self.port = self._ports.take()

    def take_own(self) -> None:
        """The common port cannot serve this call, or another program has its own. Raises PortsExhausted."""
        self._count("")
        self.give_back()
        self.port, self.common = self._ports.take(), False

    def give_back(self) -> None:
        """The call is over, or goes on elsewhere."""
        if not self.common:
            self._ports.give_back(self.port)

    def _count(self, complaint: str) -> None:
        self._tried += 1
        if self._tried == TRIES:
            raise PortsExhausted(f"No UDP port is free for the sound: {complaint}") if complaint else PortsExhausted

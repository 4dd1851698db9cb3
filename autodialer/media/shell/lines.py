"""Bound UDP ports and the sessions that use them: a port for one session, or one that many share."""

import contextlib
import socket
from collections.abc import Iterable

from autodialer.media.session import Address, Session, SessionStats
from autodialer.media.shell import socket_filter
from autodialer.media.shell.events import Command

EXPEDITED = 0xB8
"""DSCP EF, RFC 3246."""
IP_MTU_DISCOVER, IP_PMTUDISC_DO = 10, 2
"""Linux's numbers."""
_BUFFER = 4 * 1024 * 1024
"""Octets for a shared port: the packets of a slot leave, and those of many callees come, at once."""

MANY = 8
"""Calls on a shared port from which on a sample of the callees' audio does."""


class Port:
    """One UDP socket. Knows which session a packet belongs to."""

    def __init__(self, host: str, port: int, *, shared: bool) -> None:
        """Raises OSError, or OverflowError for what is no port."""
        self.shared = shared
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self.socket.settimeout(0)
            with contextlib.suppress(OSError):
                self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, EXPEDITED)
                self.socket.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
            if shared:
                for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                    self.socket.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
            self.socket.bind((host, port))
        except BaseException:
            self.socket.close()
            raise
        self.address: Address = self.socket.getsockname()
        self.descriptor = self.socket.fileno()
        self.lines: set[Line] = set()
        """Those that use it."""
        self._by_remote: dict[Address, Line] = {}
        self._settled: set[Line] = set()
        """Those of a shared port whose callee was heard."""
        self._sampled: bool | None = None
        """Whether the kernel drops most of what comes to a shared port; None: not tried yet."""

    def line_of(self, source: Address) -> "Line | None":
        """Whose packet it is that came from there."""
        if self.shared:
            return self._by_remote.get(source)
        return next(iter(self.lines), None)

    def asking(self) -> Iterable["Line"]:
        """The lines whose question to a STUN server may be answered here."""
        return self.lines

    def take(self, line: "Line", remote: Address) -> bool:
        """Packets from `remote` are this line's from now on; False: they are another one's already."""
        if not self.shared:
            return True
        if self._by_remote.setdefault(remote, line) is not line:
            return False
        self.release(line, but=remote)
        if self._sampled:
            line.session.sample(socket_filter.ONE_IN)
        return True

    def settle(self, line: "Line") -> None:
        """A callee of a shared port was heard: once there are many, a sample of their packets is enough.

        The kernel counts what it drops for the whole port, so that no call's loss can be told from then on.
        """
        self._settled.add(line)
        if self._sampled is None and len(self._settled) >= max(MANY, len(self.lines) // 2):
            self._sampled = socket_filter.attach(self.socket)
            for one in self.lines if self._sampled else ():
                one.session.sample(socket_filter.ONE_IN)

    def leave(self, line: "Line") -> None:
        """The line uses another port, or none."""
        self.release(line)
        self.lines.discard(line)
        self._settled.discard(line)

    def release(self, line: "Line", *, but: Address | None = None) -> None:
        """Packets are not this line's any more, except those from `but`."""
        for remote in [remote for remote, one in self._by_remote.items() if one is line and remote != but]:
            del self._by_remote[remote]

    def close(self) -> None:
        """Free the port."""
        self.socket.close()


class Line:
    """One session and the port that it uses."""

    def __init__(self, name: str, port: Port) -> None:
        self.name = name
        self.session = Session()
        self.port = port
        port.lines.add(self)
        self.waiting: Command | None = None
        """What is to be done once it has a port of its own."""
        self._drops_before: int | None = None
        """What the kernel had dropped when the filter was attached; None: there is none."""

    @property
    def socket(self) -> socket.socket:
        """What its packets leave by."""
        return self.port.socket

    @property
    def descriptor(self) -> int:
        """Of that socket."""
        return self.port.descriptor

    @property
    def shares_socket(self) -> bool:
        """Other sessions send through that socket too."""
        return self.port.shared

    def use(self, port: Port) -> None:
        """Another port from now on."""
        self.leave()
        self.port = port
        port.lines.add(self)

    def leave(self) -> None:
        """Use no port any more."""
        self.port.leave(self)

    def spare_audio(self) -> None:
        """Have the kernel drop what nobody listens to, once it is settled where the callee is."""
        if self._drops_before is not None or not self.session.settled:
            return
        if self.port.shared:
            self.port.settle(self)
        else:
            before = socket_filter.dropped(self.socket)
            if before is not None and socket_filter.attach(self.socket):
                self._drops_before = before

    def stats(self, now: float) -> SessionStats:
        """The session's figures, with what the kernel held back."""
        after = socket_filter.dropped(self.socket) if self._drops_before is not None else None
        held_back = after - self._drops_before if after is not None and self._drops_before is not None else 0
        return self.session.stats(now, held_back=held_back)

    def send_now(self, data: bytes, address: Address | None) -> None:
        """Send something beside the sound; if it cannot leave it is lost on its way like any other."""
        if address is not None:
            with contextlib.suppress(OSError):
                self.socket.sendto(data, address)

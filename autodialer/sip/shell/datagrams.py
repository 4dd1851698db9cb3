"""The UDP socket of a core, with what the kernel tells: when packets came, and which could not be delivered."""

import errno
import socket
import struct
import sys
import time
from collections.abc import Iterator

from autodialer.errors import PortsExhausted
from autodialer.sip.addresses import family_of
from autodialer.sip.invite import Address

_RECEIVE_BUFFER = 4 * 1024 * 1024
"""Octets. The usual 208 KiB are full after a hundred messages or so, which may come while this thread waits."""
_DATAGRAM = 65_536
"""Octets: no datagram is longer."""
_PORTS_TRIED = 1000
"""From the wanted one upward."""
_ERRORS_AT_ONCE = 64
"""Entries of the error queue that are read before packets have their turn again."""
_LINUX = sys.platform == "linux"
_RECVERR = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
"""IP_RECVERR and IPV6_RECVERR of linux/in.h and in6.h; Python's socket module does not name them."""
_MSG_ERRQUEUE = 0x2000
_SO_TIMESTAMPNS = 35
"""asm-generic/socket.h: the kernel says when each packet came."""
_TIMESPEC = struct.Struct("=qq")
_ANCILLARY = socket.CMSG_SPACE(_TIMESPEC.size) if _LINUX else 0
_LONGEST_WAIT_S = 5.0
"""A packet that seems to have waited longer came before the machine's clock was set."""
# EPERM and EACCES come from this machine's own firewall and routes, not from the peer.
_UNREACHABLE = frozenset((errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EPERM, errno.EACCES))
UNSENDABLE = _UNREACHABLE | {errno.EINVAL, errno.EMSGSIZE}
"""Error numbers of a packet that will never leave."""


class DatagramSocket:
    """One UDP socket that never blocks."""

    def __init__(self, host: str, port: int, *, with_listener: bool) -> None:
        """Bind `port`, or the next free one upward; port 0 takes any. Raises PortsExhausted.

        `with_listener` wants the TCP port of the same number as well.
        """
        self.listener: socket.socket | None = None
        """Listens for TCP connections on the same port."""
        self.socket = self._bind(host, port, with_listener=with_listener)
        self.address: Address = self.socket.getsockname()[:2]

    def _bind(self, host: str, port: int, *, with_listener: bool) -> socket.socket:
        last = min(65_535, port + _PORTS_TRIED)
        # With port 0 the kernel chooses, and may choose a port whose TCP half is taken: it is asked again.
        for candidate in range(port, last + 1) if port else [0] * _PORTS_TRIED:
            bound = open_socket(host, socket.SOCK_DGRAM)
            try:
                bound.bind((host, candidate))
                if with_listener:
                    self.listener = _listen(host, bound.getsockname()[1])
            except OSError as exc:
                bound.close()
                if exc.errno == errno.EADDRINUSE:
                    continue
                raise
            bound.settimeout(0.0)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            if _LINUX:
                # A socket that talks to many peers hears of ICMP errors only on request. Without them a closed port
                # looks like silence, and its calls fail by timer B, after 32 s.
                bound.setsockopt(*_RECVERR[bound.family], 1)
                # A BYE ends its call when it comes, not when this thread gets round to reading it.
                bound.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            return bound
        raise PortsExhausted(f"no free port from {port} to {last} on {host}; set DIALER_SIP_PORT to another one")

    def receive(self) -> tuple[bytes, Address, float]:
        """One packet, its source, and how many seconds it has waited to be read (0 where that is unknown).

        Raises BlockingIOError when no packet waits, OSError when an earlier packet was refused.
        """
        if not _LINUX:
            data, address = self.socket.recvfrom(_DATAGRAM)
            return data, (address[0], address[1]), 0.0
        data, ancillary, _, address = self.socket.recvmsg(_DATAGRAM, _ANCILLARY)
        return data, (address[0], address[1]), _waited_s(ancillary)

    def send(self, data: bytes, address: Address) -> int:
        """Error number, 0 when sent."""
        try:
            self.socket.sendto(data, address)
        except OSError as exc:
            return exc.errno or errno.EIO
        return 0

    def refused(self) -> Iterator[Address]:
        """Where packets could not be delivered, as the kernel's error queue says; empty where it has none."""
        if not _LINUX:
            return
        seen: set[Address] = set()
        for _ in range(_ERRORS_AT_ONCE):
            try:
                _, ancillary, _, address = self.socket.recvmsg(0, 512, _MSG_ERRQUEUE)
            except OSError:
                break
            for level, kind, data in ancillary:
                if (level, kind) == _RECVERR[self.socket.family] and _error_number(data) in _UNREACHABLE:
                    seen.add((address[0], address[1]))
        yield from seen

    def close(self) -> None:
        """Close what is open."""
        self.socket.close()
        if self.listener is not None:
            self.listener.close()


def _waited_s(ancillary: list[tuple[int, int, bytes]]) -> float:
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS) and len(data) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(data)
            waited = time.time() - seconds - nanoseconds * 1e-9
            return waited if 0.0 < waited < _LONGEST_WAIT_S else 0.0
    return 0.0


def _error_number(data: bytes) -> int:
    """ee_errno, the first field of struct sock_extended_err."""
    return int(struct.unpack_from("=I", data)[0])


def open_socket(host: str, kind: socket.SocketKind) -> socket.socket:
    """A socket of the family of this address."""
    if family_of(host) != 6:
        return socket.socket(socket.AF_INET, kind)
    opened = socket.socket(socket.AF_INET6, kind)
    # The port's IPv4 half may be another phone's.
    opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return opened


def share_port(bound: socket.socket) -> None:
    """Let a connection leave from the port that is listened on, so that peers find it again by our Contact."""
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "SO_REUSEPORT"):
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


def _listen(host: str, port: int) -> socket.socket:
    listener = open_socket(host, socket.SOCK_STREAM)
    try:
        share_port(listener)
        listener.bind((host, port))
        listener.listen(16)
        listener.settimeout(0.0)
    except OSError:
        listener.close()
        raise
    return listener

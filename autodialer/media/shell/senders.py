"""How the packets of a deck leave: on Linux straight from the deck's memory by `sendmmsg(2)` and `sendmsg(2)`.

Elsewhere each goes through a socket of Python's. The system is called through `ctypes.PyDLL`, which keeps the
interpreter lock: giving it up for a packet means waiting up to a switch interval for it while another thread is busy.
"""

import ctypes
import errno
import os
import socket
import sys
from itertools import repeat
from typing import Protocol

from autodialer.media.deck import MESSAGE_OCTETS, Deck
from autodialer.media.session import Session

_NO_ROOM = (errno.EAGAIN, errno.ENOBUFS)


class Line(Protocol):
    """A session and the socket that its packets leave by."""

    name: str
    session: Session

    @property
    def socket(self) -> socket.socket:
        """What its packets leave by."""

    @property
    def descriptor(self) -> int:
        """File descriptor of that socket."""

    @property
    def shares_socket(self) -> bool:
        """Other sessions send through that socket too."""

    def send_rtp(self, packet: bytes) -> None:
        """Send a packet beside the sound."""


class Sender(Protocol):
    """Sends one packet of each row of a deck. Both methods return the rows whose packet could not leave."""

    def send_shared(self, deck: Deck[Line], shared: socket.socket) -> list[int]:
        """All of them through one socket."""

    def send_each(self, deck: Deck[Line]) -> list[int]:
        """Each through its line's socket."""


class BatchSender:
    """64-bit Linux."""

    def __init__(self) -> None:
        library = ctypes.PyDLL(None, use_errno=True)
        self._sendmmsg = library.sendmmsg
        self._sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
        # Without argtypes, with the pointer in the form that ctypes passes on, and without keeping errno aside: a third
        # of the time that the call takes otherwise.
        self._sendmsg = ctypes.PyDLL(None).sendmsg
        self._sendmsg.restype = ctypes.c_ssize_t
        self._as_pointer = ctypes.c_void_p.from_param

    def send_shared(self, deck: Deck[Line], shared: socket.socket) -> list[int]:
        """As `Sender`."""
        failed: list[int] = []
        count, row, start, descriptor = deck.count, 0, deck.messages_at, shared.fileno()
        while row < count:
            sent = self._sendmmsg(descriptor, start + row * MESSAGE_OCTETS, count - row, socket.MSG_DONTWAIT)
            if sent > 0:
                row += sent
                continue
            if ctypes.get_errno() in _NO_ROOM:
                # The socket's buffer is full: what is left would only be refused one by one.
                failed += range(row, count)
                break
            # One bad address (no route, no permission) is skipped, and the system goes on with the rest.
            failed.append(row)
            row += 1
        return failed

    def send_each(self, deck: Deck[Line]) -> list[int]:
        """As `Sender`."""
        start = deck.messages_at
        messages = map(self._as_pointer, range(start, start + deck.count * MESSAGE_OCTETS, MESSAGE_OCTETS))
        # `map` runs no bytecode between two packets: that alone is half of what Python costs here.
        sent = list(map(self._sendmsg, deck.descriptors, messages, repeat(socket.MSG_DONTWAIT)))
        return [row for row, octets in enumerate(sent) if octets < 0] if min(sent, default=0) < 0 else []


class PortableSender:
    """Wherever Python has sockets."""

    def send_shared(self, deck: Deck[Line], shared: socket.socket) -> list[int]:
        """As `Sender`."""
        return self.send_each(deck)

    def send_each(self, deck: Deck[Line]) -> list[int]:
        """As `Sender`."""
        failed = []
        for row, line in enumerate(deck.owners):
            remote = deck.sessions[row].remote
            try:
                assert remote is not None
                line.socket.sendto(deck.packet(row), remote)
            except OSError:
                failed.append(row)
        return failed


def best_sender() -> Sender:
    """The fastest that this machine has; DIALER_MEDIA_SENDER=portable, set by tests, asks for the other one."""
    wanted = os.environ.get("DIALER_MEDIA_SENDER")
    if sys.platform == "linux" and sys.maxsize > 2**32 and sys.byteorder == "little" and wanted != "portable":
        return BatchSender()
    return PortableSender()

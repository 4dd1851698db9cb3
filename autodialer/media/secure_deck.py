"""A deck whose packets are encrypted: each is put together in its row and encrypted there, just before it leaves.

libsrtp works in place. Its Python side copies each packet three times, so that its C functions are called here by the
same names that it uses itself; nothing is allocated for a packet.
"""

import ctypes
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pylibsrtp import ffi, lib  # type: ignore[attr-defined]

from autodialer.media.deck import SMALLEST, Deck, DeckColumns, Owner
from autodialer.media.session import FRAME, Session
from autodialer.media.srtp import HEADER, LONGEST_TAG

_PLAIN = HEADER + FRAME
_ROOM = -(-(_PLAIN + LONGEST_TAG) // 8) * 8
"""Octets of a row's packet."""
# ctypes' own gives up the interpreter lock for a copy of 160 octets.
_COPY = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_copy = _COPY(ctypes.cast(ctypes.memmove, ctypes.c_void_p).value or 0)


@dataclass(kw_only=True)
class SecureColumns(DeckColumns):
    """As the plain ones, and the packets as they leave: the message of a row points there."""

    packets: NDArray[np.uint8] = field(init=False)
    lengths: NDArray[np.int32] = field(init=False)
    """Octets of the packet, which libsrtp reads and writes."""
    tags: NDArray[np.int32] = field(init=False)
    """Octets that the packet grows by."""
    codes_at: list[int] = field(init=False)
    """Memory address of the codes within each packet."""
    packets_at: list[Any] = field(init=False)
    lengths_at: list[Any] = field(init=False)
    """Pointers to both, in the form that libsrtp takes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        size = self.capacity
        self.packets = np.zeros((size, _ROOM), np.uint8)
        self.lengths = np.zeros(size, np.int32)
        self.tags = np.zeros(size, np.int32)
        start, step = int(self.packets.ctypes.data), self.lengths.itemsize
        self.codes_at = [start + row * _ROOM + HEADER for row in range(size)]
        self.packets_at = [ffi.cast("void *", at - HEADER) for at in self.codes_at]
        self.lengths_at = [ffi.cast("int *", int(self.lengths.ctypes.data) + row * step) for row in range(size)]
        # One vector a packet: what is encrypted has to lie in one
        # piece, and must not be the codes that all calls share.
        self.vectors["base"][:, 0] = [at - HEADER for at in self.codes_at]
        self.messages["vector_count"] = 1

    def move(self, source: int, target: int) -> None:
        """Copy a row; its packet is made again before it leaves."""
        super().move(source, target)
        self.tags[target] = self.tags[source]

    def grown(self) -> "SecureColumns":
        """Twice as many rows, with what these hold."""
        larger = super().grown()
        larger.tags[: self.capacity] = self.tags
        return larger


class SecureDeck(Deck[Owner]):
    """Rows of sessions that have a `protection`, which stays the same while they are in."""

    _columns: SecureColumns

    def __init__(self) -> None:
        super().__init__(SecureColumns(capacity=SMALLEST))
        self._handles: list[Any] = []
        """By row: libsrtp's."""

    def _enter(self, row: int, session: Session) -> None:
        assert session.protection is not None
        self._handles.append(session.protection.handle)
        self._columns.tags[row] = session.protection.tag_octets

    def _leave(self, row: int) -> None:
        # As `remove` does with the other columns: the last row fills the gap.
        last = self._handles.pop()
        if row < len(self._handles):
            self._handles[row] = last

    def prepare(self) -> list[int]:
        """Encrypt the next packet of each row."""
        count, columns = self.count, self._columns
        columns.packets[:count, :HEADER] = columns.headers[:count].view(np.uint8).reshape(count, HEADER)
        codes = columns.vectors["base"][:count, 1].tolist()
        # `map` runs no bytecode between two packets; `for` would double what Python costs here.
        for _ in map(_copy, columns.codes_at, codes, repeat(FRAME)):
            pass
        # libsrtp has written the length of the packet before over it.
        columns.lengths[:count] = _PLAIN
        done = list(map(lib.srtp_protect, self._handles, columns.packets_at, columns.lengths_at))
        columns.vectors["length"][:count, 0] = columns.lengths[:count]
        if not any(done):
            return []
        failed = [row for row, status in enumerate(done) if status]
        # What could not be encrypted must not leave: nothing does, instead.
        columns.packets[failed] = 0
        columns.vectors["length"][failed, 0] = 0
        return failed

    def packet(self, row: int) -> bytes:
        """The packet of a row as `prepare` has made it."""
        octets = int(self._columns.vectors["length"][row, 0])
        packet: bytes = self._columns.packets[row, :octets].tobytes()
        return packet

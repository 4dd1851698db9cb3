"""Sessions that send in the same slot, kept as columns: the packets of all are laid out once and advanced in bulk.

A row is one session that is sending: the header of its next packet, where the packet's 160 codes lie in memory, and
where it goes, in the form that `sendmmsg(2)` takes. Nothing is allocated for a packet. Pure: memory addresses are mere
numbers here, and the sender hands the messages to the system.
"""

from array import array
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from autodialer.media.session import FRAME, Session

_HEADER = np.dtype([("bits", "u1"), ("type", "u1"), ("sequence", ">u2"), ("timestamp", ">u4"), ("ssrc", ">u4")])
_VECTOR = np.dtype([("base", "u8"), ("length", "u8")])
_ADDRESS = np.dtype(
    {
        "names": ["family", "port", "ipv4", "ipv6"],
        "formats": ["u2", ">u2", ">u4", ("u1", 16)],
        "offsets": [0, 2, 4, 8],
        "itemsize": 28,
    }
)
"""struct sockaddr_in and struct sockaddr_in6, one over the other; the latter's flow label stands where `ipv4` does."""
_LENGTHS = {4: 16, 6: 28}
"""Octets of each."""
_MESSAGE = np.dtype(
    [
        ("name", "u8"),
        ("name_length", "u4"),
        ("pad1", "u4"),
        ("vectors", "u8"),
        ("vector_count", "u8"),
        ("control", "u8"),
        ("control_length", "u8"),
        ("flags", "u4"),
        ("pad2", "u4"),
        ("sent", "u4"),
        ("pad3", "u4"),
    ]
)
"""struct mmsghdr of 64-bit Linux."""
MESSAGE_OCTETS = _MESSAGE.itemsize
_VERSION_BITS = 0x80
_MARKER_BIT = 0x80
_FAMILIES = {4: 2, 6: 10}
"""AF_INET and AF_INET6 of Linux."""
SMALLEST = 64
"""Rows of a new deck."""


@dataclass(kw_only=True)
class DeckColumns:
    """The rows of a deck, by column; the first `Deck.count` of each are in use."""

    capacity: int
    headers: NDArray[Any] = field(init=False)
    vectors: NDArray[Any] = field(init=False)
    """Two a row: the header, then the codes."""
    addresses: NDArray[Any] = field(init=False)
    messages: NDArray[Any] = field(init=False)
    stride: NDArray[np.uint64] = field(init=False)
    """Octets from one packet's codes to the next's: 160, or 0 for silence."""
    left: NDArray[np.int64] = field(init=False)
    """Packets until the codes, or the silence, are at their end."""

    def __post_init__(self) -> None:
        size = self.capacity
        self.headers = np.zeros(size, _HEADER)
        self.vectors = np.zeros((size, 2), _VECTOR)
        self.addresses = np.zeros(size, _ADDRESS)
        self.messages = np.zeros(size, _MESSAGE)
        self.stride = np.zeros(size, np.uint64)
        self.left = np.zeros(size, np.int64)
        rows = np.arange(size, dtype=np.uint64)
        self.headers["bits"] = _VERSION_BITS
        self.addresses["family"] = _FAMILIES[4]
        # The addresses of a row never change, so they are laid down once, and a packet costs no Python.
        self.vectors["base"][:, 0] = self.headers.ctypes.data + rows * np.uint64(_HEADER.itemsize)
        self.vectors["length"] = (_HEADER.itemsize, FRAME)
        self.messages["name"] = self.addresses.ctypes.data + rows * np.uint64(_ADDRESS.itemsize)
        self.messages["name_length"] = _LENGTHS[4]
        self.messages["vectors"] = self.vectors.ctypes.data + rows * np.uint64(2 * _VECTOR.itemsize)
        # The system gathers header and codes from where they lie: the codes of a sound are never copied.
        self.messages["vector_count"] = 2

    def move(self, source: int, target: int) -> None:
        """Copy a row; the columns that point into the others point right already."""
        # Not the whole rows: pointers of the source row would have the target send the source's header.
        self.headers[target] = self.headers[source]
        self.vectors["base"][target, 1] = self.vectors["base"][source, 1]
        self.addresses[target] = self.addresses[source]
        self.messages["name_length"][target] = self.messages["name_length"][source]
        self.stride[target] = self.stride[source]
        self.left[target] = self.left[source]

    def grown(self) -> Self:
        """Twice as many rows, with what these hold."""
        larger = type(self)(capacity=2 * self.capacity)
        # Only what holds no address within the old arrays; `__post_init__` has laid down those of the new ones.
        for name in ("headers", "addresses", "stride", "left"):
            getattr(larger, name)[: self.capacity] = getattr(self, name)
        larger.vectors["base"][: self.capacity, 1] = self.vectors["base"][:, 1]
        larger.messages["name_length"][: self.capacity] = self.messages["name_length"]
        return larger


Owner = TypeVar("Owner")


class Deck(Generic[Owner]):
    """Rows of sessions. While a session is in, its numbers live here; `remove` gives them back."""

    def __init__(self, columns: DeckColumns | None = None) -> None:
        self._columns = columns or DeckColumns(capacity=SMALLEST)
        self.sessions: list[Session] = []
        """By row."""
        self.owners: list[Owner] = []
        """By row: whatever was given with the session."""
        self.descriptors = array("i")
        """By row: of the socket that its packets leave by, a mere number here."""
        self._rows: dict[Session, int] = {}
        self._first: list[Session] = []
        """Sessions whose next packet carries the marker."""

    @property
    def count(self) -> int:
        """Rows in use."""
        return len(self.sessions)

    @property
    def messages_at(self) -> int:
        """Memory address of the messages, MESSAGE_OCTETS each, in the order of the rows. Changes as rows are added."""
        return int(self._columns.messages.ctypes.data)

    def add(self, session: Session, owner: Owner, descriptor: int = -1) -> None:
        """Take a session in that is `playing`. Harmless when it is in. `descriptor`: of a socket of its own."""
        if session in self._rows:
            return
        if self.count == self._columns.capacity:
            self._columns = self._columns.grown()
        row = self.count
        self.sessions.append(session)
        self.owners.append(owner)
        self.descriptors.append(descriptor)
        self._rows[session] = row
        columns, now = self._columns, session.position()
        header = columns.headers[row]
        header["type"] = now.payload_type | (_MARKER_BIT if now.marker else 0)
        header["sequence"], header["timestamp"], header["ssrc"] = now.sequence, now.timestamp, now.ssrc
        if now.marker:
            self._first.append(session)
        self._load(row, session)
        self._enter(row, session)
        self.redirect(session)

    def _enter(self, row: int, session: Session) -> None:
        """The session has a row now."""

    def _load(self, row: int, session: Session) -> None:
        """Point the row at the session's sound, or at the silence around it."""
        codes, offset, frames = session.segment()
        # The address holds as long as the session keeps these very
        # bytes: `Session` changes them only while no deck has it.
        base = np.frombuffer(codes, np.uint8).ctypes.data
        columns = self._columns
        columns.vectors["base"][row, 1] = base + offset
        columns.stride[row] = FRAME if session.sounding else 0
        columns.left[row] = frames

    def redirect(self, session: Session) -> None:
        """Its packets go to another address from now on."""
        row = self._rows.get(session)
        if row is not None and session.remote is not None:
            host, address = ip_address(session.remote[0]), self._columns.addresses[row]
            address["family"], address["port"] = _FAMILIES[host.version], session.remote[1]
            address["ipv4"] = int(host) if host.version == 4 else 0
            if host.version == 6:
                address["ipv6"] = np.frombuffer(host.packed, np.uint8)
            self._columns.messages["name_length"][row] = _LENGTHS[host.version]

    def remove(self, session: Session) -> None:
        """Give the session its numbers back and let it go. Harmless when it is not in."""
        row = self._rows.pop(session, None)
        if row is None:
            return
        columns = self._columns
        header = columns.headers[row]
        # The deck alone has counted since `add`: without its numbers the session would send those of before once more.
        session.advance_to(
            sequence=int(header["sequence"]),
            timestamp=int(header["timestamp"]),
            frames_left=int(columns.left[row]),
            marker=bool(header["type"] & _MARKER_BIT),
        )
        self._leave(row)
        # The last row fills the gap, so that the rows in use stay together for `sendmmsg`; their order means nothing.
        last, owner, descriptor = self.sessions.pop(), self.owners.pop(), self.descriptors.pop()
        if last is not session:
            columns.move(self.count, row)
            self.sessions[row], self.owners[row], self.descriptors[row] = last, owner, descriptor
            self._rows[last] = row
        if session in self._first:
            self._first.remove(session)

    def _leave(self, row: int) -> None:
        """A session is about to lose its row to the last one."""

    def prepare(self) -> list[int]:
        """Make ready what is sent next; the rows whose packet must not leave."""
        return []

    def played_frames(self, session: Session) -> int:
        """Packets of the sound that have left so far, also of a session that is in."""
        row = self._rows.get(session)
        if row is None or not session.sounding:
            return session.played_frames
        return session.played_with(int(self._columns.left[row]))

    def standing(self, session: Session) -> tuple[int, int] | None:
        """The timestamp of the next packet and the packets left of the segment; None for a session not in the deck."""
        row = self._rows.get(session)
        if row is None:
            return None
        return int(self._columns.headers["timestamp"][row]), int(self._columns.left[row])

    def advance(self, failed: list[int]) -> list[tuple[Session, Owner]]:
        """All rows have had their turn, those in `failed` without a packet that left.

        The sessions that are now at the end of their sound, and send silence from the next turn on.
        """
        count, columns = self.count, self._columns
        for row in failed:
            self.sessions[row].count_failure()
        if self._first:
            self._clear_markers(failed)
        # A packet that could not leave counts on as well: to the callee it is lost, and the sound keeps its pace.
        # Sequence and timestamp wrap by the width of their columns, as RFC 3550 section 5.1 wants it.
        headers = columns.headers[:count]
        headers["sequence"] += 1
        headers["timestamp"] += FRAME
        columns.vectors["base"][:count, 1] += columns.stride[:count]
        left = columns.left[:count]
        left -= 1
        # Nearly every turn: only those at an end are looked at one by one.
        if left.all():
            return []
        return self._finish([(self.sessions[row], self.owners[row]) for row in np.flatnonzero(left == 0)])

    def _clear_markers(self, failed: list[int]) -> None:
        """The marker stands on the first packet that leaves."""
        unsent = {self.sessions[row] for row in failed}
        for session in self._first:
            if session not in unsent:
                self._columns.headers["type"][self._rows[session]] &= ~_MARKER_BIT & 0xFF
        self._first = [session for session in self._first if session in unsent]

    def _finish(self, ends: list[tuple[Session, Owner]]) -> list[tuple[Session, Owner]]:
        finished = []
        for session, owner in ends:
            if session.leading_in:
                session.end_lead_in()
            else:
                session.end_sound()
                finished.append((session, owner))
            self._load(self._rows[session], session)
        return finished

    def packet(self, row: int) -> bytes:
        """The next packet of a row, for a sender that sends them one by one."""
        session = self.sessions[row]
        codes, offset, frames = session.segment()
        done = frames - int(self._columns.left[row])
        start = offset + done * int(self._columns.stride[row])
        header: bytes = self._columns.headers[row].tobytes()
        return header + codes[start : start + FRAME]

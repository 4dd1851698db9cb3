"""Datagrams by the hundred: what sends back all that comes, with one system call for many (Linux).

It must take as little of its core as can be: `recvmmsg` and `sendmmsg` work on the same array, in which the sender's
address of what came is the target of what goes, and the packet information (IP_PKTINFO) that tells to which of our
addresses it came is what it goes from.
"""

import ctypes
import socket
import struct

import numpy as np

BATCH = 512
_OCTETS = 2048
_CONTROL = 64
_NAME = 16
_IP_PKTINFO = 8
_SO_ATTACH_FILTER = 26
_SO_MEMINFO, _DROPS, _MEMINFO_FIELDS = 55, 8, 9
_SO_RCVBUFFORCE = 33
SO_TIMESTAMPNS = 35

_MESSAGE = np.dtype(
    [
        ("name", "u8"),
        ("name_length", "u8"),
        ("vector", "u8"),
        ("vectors", "u8"),
        ("control", "u8"),
        ("control_length", "u8"),
        ("flags", "u8"),
        ("length", "u8"),
    ]
)
"""struct mmsghdr of 64-bit Linux; fields of 32 bits with their padding."""
_VECTOR = np.dtype([("base", "u8"), ("length", "u8")])


class Echo:
    """Sends everything that comes to a socket back to where it came from, from the address that it came to."""

    def __init__(self, bound: socket.socket) -> None:
        bound.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        library = ctypes.CDLL(None, use_errno=True)
        arguments = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
        self._receive, self._send = library.recvmmsg, library.sendmmsg
        self._receive.argtypes = (*arguments, ctypes.c_void_p)
        self._send.argtypes = arguments
        self._descriptor = bound.fileno()
        self._data = np.zeros((BATCH, _OCTETS), np.uint8)
        self._names = np.zeros((BATCH, _NAME), np.uint8)
        self._controls = np.zeros((BATCH, _CONTROL), np.uint8)
        self._vectors = np.zeros(BATCH, _VECTOR)
        self._messages = np.zeros(BATCH, _MESSAGE)
        self._at = self._messages.ctypes.data
        rows = np.arange(BATCH, dtype=np.uint64)
        self._vectors["base"] = self._data.ctypes.data + rows * np.uint64(_OCTETS)
        self._messages["name"] = self._names.ctypes.data + rows * np.uint64(_NAME)
        self._messages["vector"] = self._vectors.ctypes.data + rows * np.uint64(_VECTOR.itemsize)
        self._messages["vectors"] = 1
        self._messages["control"] = self._controls.ctypes.data + rows * np.uint64(_CONTROL)

    def turn(self) -> int:
        """Send back what has come, a batch at most; how many datagrams that was."""
        self._vectors["length"] = _OCTETS
        self._messages["name_length"] = _NAME
        self._messages["control_length"] = _CONTROL
        count = int(self._receive(self._descriptor, self._at, BATCH, socket.MSG_DONTWAIT, None))
        if count <= 0:
            return 0
        self._vectors["length"][:count] = self._messages["length"][:count]
        sent = 0
        while sent < count:
            more = self._send(self._descriptor, self._at + sent * _MESSAGE.itemsize, count - sent, socket.MSG_DONTWAIT)
            sent += max(1, more)  # a datagram that the kernel refuses counts as lost on its way
        return count


def drop_all(bound: socket.socket) -> None:
    """Have the kernel drop, and count, all that comes to a socket: the cheapest listener there is."""
    code = ctypes.create_string_buffer(struct.pack("=HBBI", 0x06, 0, 0, 0))  # return 0 octets
    program = struct.pack("HL" if struct.calcsize("P") == 4 else "H6xQ", 1, ctypes.addressof(code))
    bound.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def dropped(bound: socket.socket) -> int:
    """Datagrams that the kernel has dropped on a socket, by a filter or for lack of room."""
    fields = bound.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 4 * _MEMINFO_FIELDS)
    return int(struct.unpack_from("=I", fields, 4 * _DROPS)[0])


def enlarge_buffer(bound: socket.socket, octets: int) -> None:
    """Room for what comes, beyond the system's limit where the system lets us (root)."""
    for option in (socket.SO_RCVBUF, _SO_RCVBUFFORCE, socket.SO_SNDBUF):
        try:
            bound.setsockopt(socket.SOL_SOCKET, option, octets)
        except PermissionError:
            continue


def timestamp(ancillary: list[tuple[int, int, bytes]]) -> float | None:
    """When the kernel took the datagram in, UNIX seconds, from what `recvmsg` gives beside it."""
    for _level, kind, value in ancillary:
        if kind == SO_TIMESTAMPNS:
            whole, nanoseconds = struct.unpack("qq", value)
            return float(whole + nanoseconds * 1e-9)
    return None

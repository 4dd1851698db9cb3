"""Has the Linux kernel drop the callee's audio that nobody listens to, before it costs this process anything.

What gets through: one G.711 packet in 32 by its sequence number, telephone-events, and everything that is no RTP. The
socket's drop counter tells how many were held back.
"""

import contextlib
import ctypes
import socket
import struct
import sys

from autodialer.media.rtp import SEEN_ONE_IN

ONE_IN = SEEN_ONE_IN
_SO_ATTACH_FILTER = 26
_SO_MEMINFO = 55
_DROPS = 8
"""Index of SK_MEMINFO_DROPS in what SO_MEMINFO gives (linux/sock_diag.h)."""
_MEMINFO_FIELDS = 9
_UDP_HEADER = 8
"""The filter sees a datagram from its UDP header on."""

# Opcodes of classic BPF (linux/filter.h).
_LOAD_BYTE, _LOAD_HALF, _AND, _JUMP_EQUAL, _RETURN = 0x30, 0x28, 0x54, 0x15, 0x06
_ALL = 0xFFFFFFFF
_PROGRAM = (
    (_LOAD_BYTE, 0, 0, _UDP_HEADER),
    (_AND, 0, 0, 0xC0),
    (_JUMP_EQUAL, 0, 7, 0x80),  # not version 2: STUN, keep-alives
    (_LOAD_BYTE, 0, 0, _UDP_HEADER + 1),
    (_AND, 0, 0, 0x7F),
    (_JUMP_EQUAL, 1, 0, 0),  # PCMU
    (_JUMP_EQUAL, 0, 3, 8),  # PCMA
    (_LOAD_HALF, 0, 0, _UDP_HEADER + 2),
    (_AND, 0, 0, ONE_IN - 1),
    (_JUMP_EQUAL, 0, 1, 0),
    (_RETURN, 0, 0, _ALL),
    (_RETURN, 0, 0, 0),
)


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))


def attach(bound: socket.socket) -> bool:
    """Filter what comes to this UDP socket from now on; False where the platform cannot."""
    if sys.platform != "linux":
        return False
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in _PROGRAM))
    program = _Program(len(_PROGRAM), ctypes.addressof(code))
    with contextlib.suppress(OSError):
        bound.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, bytes(program))
        return True
    return False


def dropped(bound: socket.socket) -> int | None:
    """Datagrams that the kernel dropped on this socket, by the filter or for want of room; None: it cannot tell."""
    if sys.platform != "linux":
        return None
    with contextlib.suppress(OSError):
        fields = bound.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 4 * _MEMINFO_FIELDS)
        return int(struct.unpack_from("=I", fields, 4 * _DROPS)[0])
    return None

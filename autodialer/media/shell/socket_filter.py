"""Has the Linux kernel drop the callee's audio that nobody listens to, before it costs this process anything.

On a port of its own a call has one stream dropped, known by address, port, SSRC and payload type: one packet in 32 by
its sequence number gets through, and so does everything else, telephone-events, another stream, another source. On a
shared port it is all G.711, whatever its stream. The socket's drop counter tells how many were held back.
"""

import contextlib
import ctypes
import socket
import struct
import sys
from collections.abc import Sequence
from ipaddress import ip_address

from autodialer.media.rtp import SEEN_ONE_IN
from autodialer.media.session import Stream

ONE_IN = SEEN_ONE_IN
_SO_ATTACH_FILTER = 26
_SO_DETACH_FILTER = 27
_SO_MEMINFO = 55
"""Linux's numbers (asm-generic/socket.h), for which Python has no names."""
_DROPS = 8
"""Index of SK_MEMINFO_DROPS in what SO_MEMINFO gives (linux/sock_diag.h)."""
_MEMINFO_FIELDS = 9
_UDP_HEADER = 8
"""The filter sees a datagram from its UDP header on."""

_SOURCE_HOST = {4: 0xFFF00000 + 12, 6: 0xFFF00000 + 8}
"""The source address in the header of IPv4 and of IPv6, which SKF_NET_OFF leads to."""
_HEADER = 12
"""Octets of an RTP header without CSRC."""
_SHORTEST = 40
"""Octets of audio, 5 ms: what is shorter than that is seen."""

# Opcodes of classic BPF (linux/filter.h).
_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE, _LOAD_LENGTH = 0x20, 0x28, 0x30, 0x80
_AND, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x54, 0x15, 0x35, 0x06
_ALL = 0xFFFFFFFF
_Line = tuple[int, int, int, int]
"""Opcode, lines to skip if true, lines to skip if false, operand."""
_ANY_AUDIO: tuple[_Line, ...] = (
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


def _one_stream(stream: Stream) -> tuple[_Line, ...]:
    host, port = stream.source
    octets = ip_address(host).packed
    at = _SOURCE_HOST[4 if len(octets) == 4 else 6]
    same_host: tuple[tuple[_Line, ...], ...] = tuple(
        ((_LOAD_WORD, 0, 0, at + start), (_JUMP_EQUAL, 0, 0, int.from_bytes(octets[start : start + 4], "big")))
        for start in range(0, len(octets), 4)
    )
    # The length comes first: to load what is not there drops the datagram.
    tests: tuple[tuple[_Line, ...], ...] = (
        ((_LOAD_LENGTH, 0, 0, 0), (_JUMP_AT_LEAST, 0, 0, _UDP_HEADER + _HEADER + _SHORTEST)),
        *same_host,
        ((_LOAD_HALF, 0, 0, 0), (_JUMP_EQUAL, 0, 0, port)),
        ((_LOAD_BYTE, 0, 0, _UDP_HEADER), (_AND, 0, 0, 0xC0), (_JUMP_EQUAL, 0, 0, 0x80)),
        ((_LOAD_BYTE, 0, 0, _UDP_HEADER + 1), (_AND, 0, 0, 0x7F), (_JUMP_EQUAL, 0, 0, stream.payload_type)),
        ((_LOAD_WORD, 0, 0, _UDP_HEADER + 8), (_JUMP_EQUAL, 0, 0, stream.ssrc)),
    )
    lines = [line for test in tests for line in test]
    sampled: tuple[_Line, ...] = (
        (_LOAD_HALF, 0, 0, _UDP_HEADER + 2),
        (_AND, 0, 0, ONE_IN - 1),
        (_JUMP_EQUAL, 1, 0, 0),
        (_RETURN, 0, 0, 0),
        (_RETURN, 0, 0, _ALL),
    )
    # Whatever fails a test passes: only what is known for certain is dropped.
    passes_at = len(lines) + len(sampled) - 1
    for number, (code, _yes, _no, operand) in enumerate(lines):
        if code in (_JUMP_EQUAL, _JUMP_AT_LEAST):
            lines[number] = (code, 0, passes_at - number - 1, operand)
    return (*lines, *sampled)


class _Program(ctypes.Structure):
    """struct sock_fprog (linux/filter.h)."""

    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))


def attach(bound: socket.socket, stream: Stream | None = None) -> bool:
    """Filter what comes to this UDP socket from now on: the audio of a stream, or all G.711.

    It takes the place of the filter before. False where the platform cannot.
    """
    return _attach(bound, _ANY_AUDIO if stream is None else _one_stream(stream))


def _attach(bound: socket.socket, lines: Sequence[_Line]) -> bool:
    if sys.platform != "linux":
        return False
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in lines))
    program = _Program(len(lines), ctypes.addressof(code))
    with contextlib.suppress(OSError):
        bound.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, bytes(program))
        return True
    return False


def detach(bound: socket.socket) -> None:
    """Let everything through again."""
    with contextlib.suppress(OSError):
        bound.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)


def dropped(bound: socket.socket) -> int | None:
    """Datagrams that the kernel dropped on this socket, by the filter or for lack of room; None: it cannot tell."""
    if sys.platform != "linux":
        return None
    with contextlib.suppress(OSError):
        fields = bound.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 4 * _MEMINFO_FIELDS)
        return int(struct.unpack_from("=I", fields, 4 * _DROPS)[0])
    return None

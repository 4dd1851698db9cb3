"""STUN Binding (RFC 5389): what address a server outside sees us under. Pure: bytes in, bytes out, never an exception.

SIP and media both ask, each from its own socket: a NAT gives every socket a mapping of its own.
"""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

MAGIC_COOKIE = 0x2112A442
"""RFC 5389 section 6."""
TRANSACTION_ID_OCTETS = 12
FIRST_WAIT_S = 0.5
"""RTO of RFC 5389 section 7.2.1: the wait before the first repeat, doubled each time."""

_HEADER = struct.Struct("!HHI12s")
_ATTRIBUTE = struct.Struct("!HH")
_BINDING_REQUEST = 0x0001
_BINDING_SUCCESS = 0x0101
_BINDING_ERROR = 0x0111
_MAPPED_ADDRESS = 0x0001
_XOR_MAPPED_ADDRESS = 0x0020
_IPV4 = 0x01

Address = tuple[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class BindingResponse:
    """A server's answer."""

    transaction_id: bytes
    mapped: Address | None
    """Our address as the server sees it; None in an error response, or when it names none that is IPv4."""


def is_stun(data: bytes) -> bool:
    """Whether a datagram is STUN, neither SIP nor RTP nor RTCP (RFC 5389 section 6, RFC 7983)."""
    return len(data) >= _HEADER.size and data[0] < 4 and data[4:8] == MAGIC_COOKIE.to_bytes(4, "big")


def binding_request(transaction_id: bytes) -> bytes:
    """A Binding request without attributes; `transaction_id` is 12 random octets."""
    return _HEADER.pack(_BINDING_REQUEST, 0, MAGIC_COOKIE, transaction_id)


def parse(data: bytes) -> BindingResponse | None:
    """The Binding response in a datagram; None for everything else."""
    if not is_stun(data):
        return None
    kind, length, _, transaction_id = _HEADER.unpack_from(data)
    if kind not in (_BINDING_SUCCESS, _BINDING_ERROR) or length % 4 or length > len(data) - _HEADER.size:
        return None
    mapped = _find_address(data[_HEADER.size : _HEADER.size + length]) if kind == _BINDING_SUCCESS else None
    return BindingResponse(transaction_id=transaction_id, mapped=mapped)


def _find_address(attributes: bytes) -> Address | None:
    """XOR-MAPPED-ADDRESS, or MAPPED-ADDRESS where an old server sends only that (RFC 5389 section 15.1, 15.2)."""
    found: dict[int, Address] = {}
    position = 0
    while position + _ATTRIBUTE.size <= len(attributes):
        kind, length = _ATTRIBUTE.unpack_from(attributes, position)
        position += _ATTRIBUTE.size
        value = attributes[position : position + length]
        if len(value) < length:
            break
        position += (length + 3) // 4 * 4
        if kind in (_MAPPED_ADDRESS, _XOR_MAPPED_ADDRESS):
            address = _read_address(value, MAGIC_COOKIE if kind == _XOR_MAPPED_ADDRESS else 0)
            if address is not None:
                found.setdefault(kind, address)
    return found.get(_XOR_MAPPED_ADDRESS) or found.get(_MAPPED_ADDRESS)


def _read_address(value: bytes, mask: int) -> Address | None:
    if len(value) != 8 or value[1] != _IPV4:
        return None
    port, host = struct.unpack_from("!HI", value, 2)
    port ^= mask >> 16
    return (str(IPv4Address(host ^ mask)), port) if port else None

"""The SIP messages of one call as they are kept: credentials masked, with their times, in one small block of bytes."""

import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from autodialer.clock import from_epoch
from autodialer.sip.hop import Hop

SENT, RECEIVED = ">", "<"
"""Directions, as seen by us."""
Tracer = Callable[[str, str, bytes, Hop], None]
"""Told of every message of a core: its Call-ID, SENT or RECEIVED, the message, and where it went or came from."""
Noted = tuple[float, str, bytes, Hop]
"""Monotonic seconds, SENT or RECEIVED, the message, and where it went or came from."""

_FORMAT = b"1"
_LEVEL, _MEMORY = 1, 5
"""zlib's: 9 us a call; with its usual memory level, 8, clearing its tables costs more than the messages do."""
_MAY_HOLD = (b"authorization", b"authentication-info", b"crypto", b"key-mgmt", b"\nk=")
_CREDENTIALS = re.compile(
    rb"^((?:proxy-)?(?:authorization|authentication-info)[ \t]*:)(?:.*\n[ \t])*.*?(\r?)$", re.IGNORECASE | re.MULTILINE
)
"""Folded lines belong to the value (RFC 3261 section 7.3.1)."""
_MEDIA_KEYS = re.compile(
    rb"^([ \t]*(?:a[ \t]*=[ \t]*(?:crypto[ \t]*:(?:[ \t]*\d+[ \t]+\w+[ \t])?|key-mgmt[ \t]*:)|k=)).*?(\r?)$",
    re.IGNORECASE | re.MULTILINE,
)
"""Of session descriptions: RFC 4568, RFC 4567, and RFC 4566 section 5.12."""
_CALL_ID = b"\r\nCall-ID: "


@dataclass(frozen=True, kw_only=True)
class TracedMessage:
    """One message of a call."""

    after_s: float
    """Since the trace began, which is when the INVITE left."""
    sent: bool
    """By us; else received."""
    hop: Hop
    """Where it went, or came from."""
    data: bytes
    """Credentials and the keys of encrypted media are masked."""


@dataclass(frozen=True, kw_only=True)
class Trace:
    """The messages of a call in the order in which they left and came."""

    began_at: datetime
    messages: tuple[TracedMessage, ...]
    missed: int
    """Messages that came after the trace was full."""


def call_id_of(data: bytes) -> str | None:
    """The Call-ID of a message that we wrote ourselves; None when it is not a SIP message."""
    # Not `parse_message`: we spell the header in one way only, and this is asked of every packet that leaves.
    start = data.find(_CALL_ID)
    if start < 0:
        return None
    start += len(_CALL_ID)
    return data[start : data.index(b"\r", start)].decode("utf-8", "surrogateescape")


def mask_credentials(data: bytes) -> bytes:
    """The message without what could be used to find a password, or to listen in.

    That is digests and the keys of encrypted media, ours and the peer's.
    """
    if not _may_hold_credentials(data):
        return data
    return _MEDIA_KEYS.sub(rb"\1***\2", _CREDENTIALS.sub(rb"\1 ***\2", data))


def _may_hold_credentials(data: bytes) -> bool:
    """The cheap look before the thorough one."""
    lowered = data.lower()
    return any(word in lowered for word in _MAY_HOLD)


def pack(began: float, began_at: datetime, noted: Sequence[Noted], missed: int) -> bytes:
    """The block that is kept; `began` is the monotonic time of `began_at`."""
    mask = mask_credentials if _may_hold_credentials(b"".join([data for _, _, data, _ in noted])) else bytes
    parts = [b"%d %d %d\n" % (round(began_at.timestamp() * 1000), len(noted), missed)]
    for at, direction, data, hop in noted:
        masked = mask(data)
        line = f"{(at - began) * 1e6:.0f} {direction} {hop.host} {hop.port} {hop.transport} {len(masked)}\n"
        parts += (line.encode(), masked)
    compressor = zlib.compressobj(_LEVEL, memLevel=_MEMORY)
    return _FORMAT + compressor.compress(b"".join(parts)) + compressor.flush()


def unpack(packed: bytes) -> Trace:
    """The other way round. Raises ValueError for what `pack` has not made."""
    if packed[:1] != _FORMAT:
        raise ValueError("a trace of another format")
    try:
        data = zlib.decompress(packed[1:])
    except zlib.error as exc:
        raise ValueError("a damaged trace") from exc
    head, _, data = data.partition(b"\n")
    began_ms, count, missed = (int(word) for word in head.split())
    messages = []
    for _ in range(count):
        line, _, data = data.partition(b"\n")
        after_us, direction, host, port, transport, length = line.decode().split()
        message, data = data[: int(length)], data[int(length) :]
        hop = Hop(host, int(port), transport)
        messages.append(TracedMessage(after_s=int(after_us) / 1e6, sent=direction == SENT, hop=hop, data=message))
    return Trace(began_at=from_epoch(began_ms / 1000), messages=tuple(messages), missed=missed)

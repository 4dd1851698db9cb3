"""Messages in a stream of bytes (RFC 3261 section 18.3): cut by Content-Length. Pure."""

import re
from collections.abc import Iterator

LARGEST = 65_536
"""Octets of headers, and of a body: we want no larger SIP message."""
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_CONTENT_LENGTH = re.compile(rb"(?im)^(?:content-length|l)[ \t]*:[ \t]*([^\r\n]*?)[ \t]*\r?$")
_FOLD = re.compile(rb"[ \t]*\r?\n[ \t]+")
_PING = b"\r\n\r\n"
PONG = b"\r\n"
PING_S = 1.0
"""The two line ends of a ping leave together (RFC 5626 section 3.5.1); further apart they are two pongs."""


class BrokenStream(Exception):
    """Where the next message starts cannot be told: the connection is of no more use."""


class StreamReader:
    """Takes bytes as they come and gives whole messages."""

    def __init__(self) -> None:
        self._buffer = b""
        self._looked = 0
        """How far the buffer was searched for the end of the headers."""
        self._fed_at = 0.0

    def feed(self, data: bytes, now: float = 0.0) -> Iterator[bytes]:
        """The messages that are complete now, pings (two line ends) among them. `now` is monotonic seconds.

        Raises BrokenStream after the last good message; the reader must not be used after that.
        """
        if self._buffer == PONG and now - self._fed_at > PING_S:
            self._buffer = b""
        self._fed_at = now
        self._buffer += data
        while (message := self._next()) is not None:
            yield message

    def _next(self) -> bytes | None:
        # Line ends before a start line mean nothing (RFC 3261 section 7.5), and routers send NUL bytes.
        if self._buffer[:1] in (b"\r", b"\n", b"\0"):
            return self._next_line_ends()
        # Octets that were searched once are not searched again, however small the pieces are. Only an empty line that
        # was cut in two reaches back, by three octets.
        found = _END_OF_HEAD.search(self._buffer, max(0, self._looked - 3))
        if found is None:
            self._looked = len(self._buffer)
            if self._looked > LARGEST:
                raise BrokenStream("headers without an end")
            return None
        end = found.end() + _length_of_body(self._buffer[: found.start()])
        if len(self._buffer) < end:
            return None
        return self._take(end)

    def _next_line_ends(self) -> bytes | None:
        """A ping, or line ends that mean nothing; None when what follows has to be waited for."""
        if self._buffer.startswith(_PING):
            return self._take(len(_PING))
        # It may be the first half of a ping.
        if _PING.startswith(self._buffer):
            return None
        self._take(len(self._buffer) - len(self._buffer.lstrip(b"\r\n\0")) or 1)
        return self._next() if self._buffer else None

    def _take(self, octets: int) -> bytes:
        message, self._buffer = self._buffer[:octets], self._buffer[octets:]
        self._looked = 0
        return message


def _length_of_body(head: bytes) -> int:
    """Content-Length; without one there is no body (a stream must have one, RFC 3261 section 20.14)."""
    # The headers are not parsed here: the message may be incomplete, and this is the only header that framing needs.
    values = set(_CONTENT_LENGTH.findall(_FOLD.sub(b" ", head)))
    if not values:
        return 0
    value = values.pop()
    if values or not value.isdigit() or len(value) > 6 or int(value) > LARGEST:
        raise BrokenStream("an unusable Content-Length")
    return int(value)

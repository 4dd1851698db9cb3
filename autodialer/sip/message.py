"""SIP messages (RFC 3261 section 7): read tolerantly, written from templates.

`parse_message` never raises: a packet that is not a usable message is a `Discard`, to be counted. Only what every
message needs is read; other headers stay text until they are asked for.
"""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from autodialer.sip.fields import (
    TOKEN,
    Via,
    parse_cseq,
    parse_name_addr,
    parse_number,
    parse_tag,
    parse_via,
    split_values,
)

_FOLD = re.compile(r"[ \t]*\n[ \t]+")
_VERSION = re.compile(r"SIP/\d+\.\d+", re.ASCII | re.IGNORECASE)
_NOT_IN_URI = re.compile(r'[\s<>"\0]')
_LONG_NAMES = {
    # RFC 3261 section 20
    "c": "content-type",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "s": "subject",
    "t": "to",
    "v": "via",
    # RFC 6665, 3515, 3892, 4028, 8224 and 3841
    "o": "event",
    "u": "allow-events",
    "r": "refer-to",
    "b": "referred-by",
    "x": "session-expires",
    "y": "identity",
    "a": "accept-contact",
    "d": "request-disposition",
    "j": "reject-contact",
}
"""Compact form -> name."""
_SINGLE_HEADERS = ("from", "to", "call-id", "cseq")


class Discard(StrEnum):
    """Why a packet is not taken as a SIP message."""

    KEEPALIVE = "keepalive"
    """Line breaks or NUL bytes only (RFC 5626 section 3.5.1, and what routers send)."""
    START_LINE = "start_line"
    """Neither a request nor a response of SIP/2.0."""
    TRUNCATED = "truncated"
    """No end of the headers, or Content-Length says more than the datagram holds (RFC 3261 section 18.3)."""
    CONTENT_LENGTH = "content_length"
    """Not a number, negative, or two that differ."""
    HEADER = "header"
    """From, To, Call-ID, CSeq or Via is missing, unreadable or, but Via, there twice."""


class _StatusLine(NamedTuple):
    code: int
    reason: str


class _RequestLine(NamedTuple):
    method: str
    uri: str
    version: str


class Message:
    """What requests and responses have in common."""

    __slots__ = ("_top_via", "body", "call_id", "cseq", "cseq_method", "headers")

    def __init__(self, headers: dict[str, list[str]], body: bytes, cseq: tuple[int, str]) -> None:
        self.headers = headers
        """Lower-case long names to values in order."""
        self.body = body
        self.call_id = headers["call-id"][0]
        self.cseq, self.cseq_method = cseq
        self._top_via: Via | None = None

    def get(self, name: str) -> str | None:
        """First value of a header by its lower-case long name, None without."""
        values = self.headers.get(name)
        return values[0] if values else None

    def get_all(self, name: str) -> list[str]:
        """All values of a header, those on one line taken apart."""
        values = self.headers.get(name)
        return split_values(values) if values else []

    @property
    def from_tag(self) -> str | None:
        """Tag of From, None without."""
        return parse_tag(self.headers["from"][0])

    @property
    def to_tag(self) -> str | None:
        """Tag of To, None without."""
        return parse_tag(self.headers["to"][0])

    @property
    def top_via(self) -> Via | None:
        """The topmost Via, None when it cannot be read."""
        if self._top_via is None:
            values = self.get_all("via")
            self._top_via = parse_via(values[0]) if values else None
        return self._top_via

    @property
    def content_type(self) -> str | None:
        """Content-Type with its parameters, None without."""
        return self.get("content-type")


class Request(Message):
    """A request of a peer; or of ours, when a trace is read."""

    __slots__ = ("fault", "method", "uri")

    def __init__(
        self,
        method: str,
        uri: str,
        headers: dict[str, list[str]],
        body: bytes,
        cseq: tuple[int, str],
        fault: int | None = None,
    ) -> None:
        super().__init__(headers, body, cseq)
        self.method = method
        self.uri = uri
        self.fault = fault
        """The code to refuse it with, 400 or 505; None when it is well formed."""


class Response(Message):
    """A response to a request of ours; or of ours, when a trace is read."""

    __slots__ = ("code", "reason")

    def __init__(
        self, code: int, reason: str, headers: dict[str, list[str]], body: bytes, cseq: tuple[int, str]
    ) -> None:
        super().__init__(headers, body, cseq)
        self.code = code
        """100 to 699."""
        self.reason = reason


def parse_message(data: bytes) -> Request | Response | Discard:
    """Read one datagram. Lines may end with LF only, headers may be folded, compact or oddly spelled."""
    # RFC 3261 section 7.5: line ends before the start line mean nothing.
    data = data.lstrip(b"\r\n\0")
    if not data.strip():
        return Discard.KEEPALIVE
    # Nearly every message ends its headers like this. The regular expression is for lines that end with LF alone.
    head, separator, body = data.partition(b"\r\n\r\n")
    if not separator or b"\n\n" in head:
        head, separator, body = _split_at_empty_line(data)
        if not separator:
            return Discard.TRUNCATED
    # Bytes that are not UTF-8 come out again as they came in: To, Via and tags stand in our messages. A lone CR or NUL
    # must not stand there: `_build` refuses it.
    text = head.decode("utf-8", "surrogateescape").replace("\r\n", "\n").replace("\r", " ").replace("\0", " ")
    if "\n " in text or "\n\t" in text:
        text = _FOLD.sub(" ", text)
    start_line, _, rest = text.partition("\n")
    start = _parse_start_line(start_line)
    if start is None:
        return Discard.START_LINE
    headers = _parse_headers(rest)
    if not _has_needed_headers(headers):
        return Discard.HEADER
    return (
        _make_response(start, headers, body) if isinstance(start, _StatusLine) else _make_request(start, headers, body)
    )


def _make_response(start: _StatusLine, headers: dict[str, list[str]], body: bytes) -> Response | Discard:
    cseq = parse_cseq(headers["cseq"][0])
    if cseq is None:
        return Discard.HEADER
    checked = _check_length(headers, body)
    if isinstance(checked, Discard):
        return checked
    headers["to"] = [_respell_tag(headers["to"][0])]
    return Response(start.code, start.reason, headers, checked, cseq)


def _respell_tag(to: str) -> str:
    """A To value that comes back in our requests, its tag as nearly everybody spells it: some know it no other way."""
    params = to.rpartition(">")[2]
    if ";tag=" in params and '"' not in params:
        return to
    address = parse_name_addr(to)
    tag = address.params.get("tag", "") if address else ""
    return f"<{address.uri}>;tag={tag}" if address and TOKEN.fullmatch(tag) else to


def _make_request(start: _RequestLine, headers: dict[str, list[str]], body: bytes) -> Request | Discard:
    """A malformed request is read as far as its answer needs (RFC 3261 section 18.3, RFC 4475 section 3.1.2)."""
    method, uri, version = start
    checked = _check_length(headers, body)
    cseq = parse_cseq(headers["cseq"][0])
    fault: Discard | None = None
    if isinstance(checked, Discard):
        fault, checked = checked, b""
    elif version.upper() != "SIP/2.0" or _NOT_IN_URI.search(uri):
        fault = Discard.START_LINE
    elif cseq is None or cseq[1] != method or not _are_readable(headers):
        fault = Discard.HEADER
    if fault is not None and method == "ACK":
        return fault  # which nobody answers
    code = None if fault is None else 400 if version.upper() == "SIP/2.0" else 505
    # The number of an unreadable CSeq does not matter: the refusal repeats the header as it came.
    return Request(method, uri, headers, checked, cseq or (0, method), code)


def _are_readable(headers: dict[str, list[str]]) -> bool:
    return (
        all(parse_name_addr(headers[name][0]) for name in ("from", "to"))
        and all(parse_via(value) for value in split_values(headers["via"]))
        and parse_number(headers.get("max-forwards", ["70"])[0], 0, 255) is not None
    )


def _split_at_empty_line(data: bytes) -> tuple[bytes, bytes, bytes]:
    found = re.search(rb"\r?\n\r?\n", data)
    return (data[: found.start()], b"\n\n", data[found.end() :]) if found else (data, b"", b"")


def _parse_start_line(line: str) -> _StatusLine | _RequestLine | None:
    if line[:8].upper() == "SIP/2.0 ":
        code, _, reason = line[8:].lstrip().partition(" ")
        if len(code) == 3 and code.isascii() and code.isdigit() and "100" <= code <= "699":
            return _StatusLine(int(code), reason.strip())
        return None
    pieces = line.split()
    if len(pieces) >= 3 and _VERSION.fullmatch(pieces[-1]) and TOKEN.fullmatch(pieces[0]) and ":" in pieces[1]:
        # A URI with blanks is kept, so that the request can be refused with 400 (RFC 4475 section 3.1.2.8).
        return _RequestLine(pieces[0], " ".join(pieces[1:-1]), pieces[-1])
    return None


def _parse_headers(text: str) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    for line in text.split("\n"):
        name, colon, value = line.partition(":")
        if not colon:
            continue
        name = name.strip().lower()
        name = _LONG_NAMES.get(name, name)
        if name in headers:
            headers[name].append(value.strip())
        else:
            headers[name] = [value.strip()]
    return headers


def _has_needed_headers(headers: dict[str, list[str]]) -> bool:
    """Whether what every message needs is there, once and not empty."""
    # An answer repeats them (RFC 3261 section 8.2.6.2), and a transaction and a dialog are found by them.
    for name in _SINGLE_HEADERS:
        values = headers.get(name)
        if values is None or len(values) != 1 or not values[0]:
            return False
    return bool(headers.get("via")) and len(headers["call-id"][0].split()) == 1


def _check_length(headers: dict[str, list[str]], body: bytes) -> bytes | Discard:
    """The body by the rules for UDP (RFC 3261 section 18.3): what is over is cut off, what is missing is fatal."""
    values = headers.get("content-length")
    if not values:
        return body
    length = values[0]
    if not (length.isascii() and length.isdigit()) or len(length) > 10 or any(value != length for value in values):
        return Discard.CONTENT_LENGTH
    if int(length) > len(body):
        return Discard.TRUNCATED
    return body[: int(length)]


def build_request(
    method: str, uri: str, header_lines: Iterable[str], body: bytes = b"", content_type: str = ""
) -> bytes:
    """Write a request; `header_lines` are complete and in order. Raises ValueError for one with a line end or NUL."""
    return _build(f"{method} {uri} SIP/2.0", header_lines, body, content_type)


def build_response(
    request: Request, code: int, reason: str, *, via: str, to: str, header_lines: Iterable[str] = (), sdp: bytes = b""
) -> bytes:
    """Write a response to `request` as RFC 3261 section 8.2.6.2 asks, with its topmost Via given as `via`."""
    headers = request.headers
    lines = [f"Via: {value}" for value in (via, *request.get_all("via")[1:])]
    lines += [f"Record-Route: {value}" for value in headers.get("record-route", ())]
    lines += (f"From: {headers['from'][0]}", f"To: {to}", f"Call-ID: {request.call_id}", f"CSeq: {headers['cseq'][0]}")
    return _build(f"SIP/2.0 {code} {reason}", (*lines, *header_lines), sdp, "application/sdp")


def _build(start_line: str, header_lines: Iterable[str], body: bytes, content_type: str) -> bytes:
    lines = [start_line, *header_lines]
    if body:
        lines.append(f"Content-Type: {content_type}")
    lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join(lines)
    # Whatever let a line end into a value, it must not become a header of its own on the wire.
    if not head.count("\r") == head.count("\n") == len(lines) - 1 or "\0" in head:
        raise ValueError(f"A line end or NUL stands within a header of {start_line!r}.")
    return f"{head}\r\n\r\n".encode("utf-8", "surrogateescape") + body

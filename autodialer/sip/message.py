"""SIP messages (RFC 3261 section 7): read tolerantly, written from templates.

`parse_message` never raises: a packet that is no usable message is a `Discard`, to be counted. Only what every message
needs is looked at; other headers stay text until somebody asks.
"""

import re
from collections.abc import Iterable
from enum import StrEnum

from sipmessage.grammar import TOKEN
from sipmessage.message import COMPACT_FORMS

from autodialer.sip.fields import Via, parse_cseq, parse_tag, parse_via, split_values

_FOLD = re.compile(r"[ \t]*\n[ \t]+")
_TOKEN = re.compile(TOKEN)
_LONG_NAMES = {short: long.lower() for short, long in COMPACT_FORMS.items()}
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
    """From, To, Call-ID, CSeq or Via is missing, unreadable or there twice."""


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
    """A SIP request."""

    __slots__ = ("method", "uri")

    def __init__(
        self, method: str, uri: str, headers: dict[str, list[str]], body: bytes, cseq: tuple[int, str]
    ) -> None:
        super().__init__(headers, body, cseq)
        self.method = method
        self.uri = uri


class Response(Message):
    """A SIP response."""

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
    data = data.lstrip(b"\r\n\0")
    if not data.strip():
        return Discard.KEEPALIVE
    head, separator, body = data.partition(b"\r\n\r\n")
    if not separator or b"\n\n" in head:
        head, separator, body = _split_at_empty_line(data)
        if not separator:
            return Discard.TRUNCATED
    # Bytes that are no UTF-8 come out again as they came in.
    text = head.decode("utf-8", "surrogateescape").replace("\r\n", "\n").replace("\r", " ")
    if "\n " in text or "\n\t" in text:
        text = _FOLD.sub(" ", text)
    start_line, _, rest = text.partition("\n")
    start = _parse_start_line(start_line)
    if start is None:
        return Discard.START_LINE
    headers = _parse_headers(rest)
    cseq = _check_headers(headers)
    if cseq is None or (start[0] is not None and start[0] != cseq[1]):
        return Discard.HEADER
    checked = _check_length(headers, body)
    if isinstance(checked, Discard):
        return checked
    method, uri, code, reason = start
    if method is None:
        return Response(code, reason, headers, checked, cseq)
    return Request(method, uri, headers, checked, cseq)


def _split_at_empty_line(data: bytes) -> tuple[bytes, bytes, bytes]:
    found = re.search(rb"\r?\n\r?\n", data)
    return (data[: found.start()], b"\n\n", data[found.end() :]) if found else (data, b"", b"")


def _parse_start_line(line: str) -> tuple[str | None, str, int, str] | None:
    """Method (None for a response), Request-URI, code, reason phrase."""
    if line[:8].upper() == "SIP/2.0 ":
        code, _, reason = line[8:].lstrip().partition(" ")
        if len(code) == 3 and code.isascii() and code.isdigit() and "100" <= code <= "699":
            return None, "", int(code), reason.strip()
        return None
    pieces = line.split()
    if len(pieces) == 3 and pieces[2].upper() == "SIP/2.0" and _TOKEN.fullmatch(pieces[0]) and ":" in pieces[1]:
        return pieces[0], pieces[1], 0, ""
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


def _check_headers(headers: dict[str, list[str]]) -> tuple[int, str] | None:
    """The CSeq, or None when a header that every message needs is missing, empty, there twice or unreadable."""
    for name in _SINGLE_HEADERS:
        values = headers.get(name)
        if values is None or len(values) != 1 or not values[0]:
            return None
    if not headers.get("via") or len(headers["call-id"][0].split()) != 1:
        return None
    return parse_cseq(headers["cseq"][0])


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
    """Write a request; `header_lines` are complete and checked, in order, without line ends."""
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
    lines.append(f"Content-Length: {len(body)}\r\n\r\n")
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + body

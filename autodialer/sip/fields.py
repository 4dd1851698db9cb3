"""Values of SIP header fields (RFC 3261 section 20), read tolerantly: what peers really send, not only what the grammar
allows. Nothing here raises; what cannot be read comes back as None or empty.

No library does this: sipmessage's parsers refuse a host with an underscore and a display name in plain UTF-8.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from autodialer.sip.tokens import Kind, split, tokens

TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+")
"""A word of a header (RFC 3261 section 25.1)."""


class NameAddr(NamedTuple):
    """A From, To, Contact, Route or Record-Route value."""

    uri: str
    params: dict[str, str]
    """Header parameters, names in lower case, values unquoted, "" for a flag."""


class Via(NamedTuple):
    """One Via value."""

    transport: str
    """Upper case."""
    host: str
    """Lower case, without the brackets' meaning changed."""
    port: int | None
    params: dict[str, str]


class UriParts(NamedTuple):
    """What routing needs of a SIP URI."""

    scheme: str
    host: str
    port: int | None
    params: dict[str, str]


def split_values(values: list[str]) -> list[str]:
    """The values of a header that may stand on several lines or, with commas, on one (RFC 3261 section 7.3.1)."""
    if len(values) == 1 and "," not in values[0]:
        return values
    pieces = (piece.strip() for value in values for piece in split(value, ","))
    return [piece for piece in pieces if piece]


def unquote(text: str) -> str:
    """A quoted string without its quotes and escapes; anything else as it is."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    text = text[1:-1]
    if "\\" not in text:
        return text
    result, escaped = [], False
    for character in text:
        if character == "\\" and not escaped:
            escaped = True
            continue
        result.append(character)
        escaped = False
    return "".join(result)


def quote(text: str) -> str:
    """The text as a quoted string (RFC 3261 section 25.1); `unquote` gives it back."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def parse_params(text: str) -> dict[str, str]:
    """`;name=value;flag` as a dictionary with lower-case names; the first of equal names counts."""
    params: dict[str, str] = {}
    for piece in split(text, ";"):
        name, _, value = piece.partition("=")
        name = name.strip().lower()
        if name:
            params.setdefault(name, unquote(value.strip()))
    return params


def parse_name_addr(value: str) -> NameAddr | None:
    """A name-addr or addr-spec with its header parameters; None when there is no URI.

    Without angle brackets every parameter belongs to the header, not to the URI (RFC 3261 section 20.10).
    """
    value = value.strip()
    uri, params = _address_and_params(value)
    if ":" not in uri or len(uri.split()) != 1:
        return None
    return NameAddr(uri, parse_params(params))


def _address_and_params(value: str) -> tuple[str, str]:
    """The text of the URI, empty without one, and what follows it."""
    if value.startswith("<") and '"' not in value:
        # Nearly every value: no need for its tokens.
        uri, closing, params = value[1:].partition(">")
        return (uri.strip(), params) if closing else ("", "")
    for token in tokens(value):
        if token.kind is Kind.BRACKETED:
            return (token.text[1:-1].strip(), value[token.end :]) if token.closed else ("", "")
        if token.kind is Kind.SEPARATOR and ":" in value[: token.end - 1]:
            # An addr-spec; a display name without quotes may hold a semicolon, though it should not.
            return value[: token.end - 1].strip(), value[token.end :]
        if not token.closed:
            return "", ""
    return value, ""


def parse_tag(value: str) -> str | None:
    """The tag of a From or To value, None without; "" never counts as a tag."""
    # Nearly every value is <uri>;tag=x: no need to take it apart then.
    _, bracket, rest = value.rpartition(">")
    if bracket and rest.startswith(";tag=") and '"' not in rest:
        return rest[5:].partition(";")[0].strip() or None
    parsed = parse_name_addr(value)
    return (parsed.params.get("tag") or None) if parsed else None


def parse_via(value: str) -> Via | None:
    """One Via value; None when it has no transport, no host or a bad port."""
    protocol, _, params = value.strip().partition(";")
    head, slash, rest = protocol.rpartition("/")
    if not slash:
        return None
    # RFC 4475 section 3.1.1.1: there may be blanks around the slashes.
    name_and_version = "".join(head.split()).upper()
    transport, *sent_by = rest.split(maxsplit=1) or [""]
    host, port = split_host_port(sent_by[0] if sent_by else "")
    if name_and_version != "SIP/2.0" or not transport or not host or port == -1:
        return None
    return Via(transport.upper(), host.lower(), port, parse_params(params))


def split_host_port(text: str) -> tuple[str, int | None]:
    """Host and port of `host[:port]`; the port: None when it is missing, -1 when it is not a port number."""
    text = text.strip()
    if text.startswith("["):
        host, bracket, rest = text.partition("]")
        host, port = host + bracket, rest.strip().removeprefix(":")
    else:
        host, _, port = text.partition(":")
    port = port.strip()
    if not port:
        return host.strip(), None
    return host.strip(), parse_number(port, 1, 65535) or -1


def parse_number(text: str, least: int, most: int) -> int | None:
    """A number in decimal digits, with or without leading zeros; None when it is not a number or out of range."""
    if not (text.isascii() and text.isdigit()):
        return None
    # Python refuses to read numbers of thousands of digits.
    digits = text.lstrip("0") or "0"
    return int(digits) if len(digits) <= len(str(most)) and least <= int(digits) <= most else None


@lru_cache(maxsize=1024)
def parse_uri(uri: str) -> UriParts | None:
    """Host, port and parameters of a SIP or SIPS URI; None for anything else. Not to be changed: they are kept."""
    scheme, colon, rest = uri.partition(":")
    scheme = scheme.strip().lower()
    if not colon or scheme not in ("sip", "sips"):
        return None
    # The user part may hold ";" and "?", so parameters and headers start after the "@".
    user, at, after = rest.partition("@")
    host_and_params = (after if at else user).partition("?")[0].rpartition("@")[2]
    hostport, _, params = host_and_params.partition(";")
    host, port = split_host_port(hostport)
    if not host or port == -1:
        return None
    return UriParts(scheme, host.lower(), port, parse_params(params) if params else {})


def without_headers(uri: str) -> str:
    """A URI as it may become a Request-URI: headers in it must not (RFC 3261 section 19.1.1)."""
    user, at, rest = uri.partition("@")
    # The user part may hold a question mark.
    return user + at + rest.partition("?")[0] if at else uri.partition("?")[0]


def parse_cseq(value: str) -> tuple[int, str] | None:
    """Number (below 2**31, RFC 3261 section 8.1.1.5) and method of a CSeq value."""
    pieces = value.split()
    if len(pieces) != 2 or not (pieces[0].isascii() and pieces[0].isdigit()) or len(pieces[0]) > 10:
        return None
    number = int(pieces[0])
    return (number, pieces[1]) if number < 2**31 else None


def parse_q850_cause(values: list[str]) -> int | None:
    """The Q.850 cause in the Reason headers (RFC 3326), None without one."""
    for value in split_values(values):
        protocol, _, params = value.partition(";")
        cause = parse_params(params).get("cause", "")
        if protocol.strip().upper() == "Q.850" and cause.isascii() and cause.isdigit() and len(cause) <= 3:
            return int(cause)
    return None


LONGEST_RETRY_AFTER_S = 3600.0
"""A server that asks for more means something else, or is broken: it is asked again after an hour."""


def pause_asked_for(value: str | None) -> float | None:
    """Seconds of a Retry-After value as it is obeyed, None without."""
    asked = parse_retry_after(value)
    return None if asked is None else min(asked, LONGEST_RETRY_AFTER_S)


def parse_retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After value (RFC 3261 section 20.33), None when it is missing or not a number."""
    if value is None:
        return None
    # `120 (in a meeting);duration=3600` is a legal value.
    digits = value.partition(";")[0].partition("(")[0].strip()
    return float(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 10 else None

"""pyVoIP's message, parsed by our tolerant parser: what pyVoIP's API shows of a request or response."""

from itertools import takewhile
from typing import Any

from pyVoIP import SIP

from autodialer.sip.fields import parse_name_addr, parse_tag, unquote
from autodialer.sip.tokens import Kind, split, tokens


class SipMessage(SIP.SIPMessage):
    """A pyVoIP message that any well-meant SIP parses into; an unknown code counts as the x00 of its class."""

    def parse(self, data: bytes) -> None:
        """Fill pyVoIP's documented attributes. Never raises: what cannot be read is left out."""
        head, _, body = data.partition(b"\r\n\r\n")
        # A folded header goes on in the next line (RFC 3261 section 7.3.1).
        lines = head.decode("utf-8", errors="replace").replace("\r\n ", " ").replace("\r\n\t", " ").split("\r\n")
        self.heading = lines[0].encode()
        first, _, rest = lines[0].partition(" ")
        if first == "SIP/2.0":
            self.type = SIP.SIPMessageType.RESPONSE
            self.status = status_of(rest.partition(" ")[0])
        else:
            self.type = SIP.SIPMessageType.MESSAGE
            self.method = first
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if colon:
                self._take_header(name.strip(), value.strip())
        self.body = {"raw": body} if body else {}

    def _take_header(self, name: str, value: str) -> None:
        if name == "Via":
            self.headers["Via"].append(_via(value))
        elif name in ("From", "To"):
            self.headers[name] = _address(value)
        elif name == "CSeq":
            check, _, method = value.partition(" ")
            self.headers[name] = {"check": check, "method": method}
        elif name in ("Allow", "Supported"):
            self.headers[name] = [item.strip() for item in value.split(",")]
        elif name == "Content-Length":
            self.headers[name] = int(value) if value.isdigit() else 0
        else:
            self.headers[name] = value


def status_of(code: str) -> SIP.SIPStatus:
    """pyVoIP's status for a code; RFC 3261 section 8.1.3.2: an unknown one is treated as the x00 of its class."""
    number = int(code) if code.isdigit() else 500
    known = {status.value: status for status in SIP.SIPStatus}
    # Of an unknown 1xx it is 183 and not 100.
    fallback = {1: 183, 2: 200, 3: 300, 4: 400, 5: 500, 6: 600}.get(number // 100, 500)
    return known.get(number) or known[fallback]


def _via(value: str) -> dict[str, Any]:
    sent, *parameters = split(value, ";")
    protocol, _, by = sent.strip().partition(" ")
    host, _, port = by.strip().partition(":")
    via: dict[str, Any] = {"type": protocol, "address": (host, port or "5060")}
    for parameter in parameters:
        key, equals, text = parameter.strip().partition("=")
        via[key] = text if equals else None
    return via


def _address(value: str) -> dict[str, Any]:
    parsed = parse_name_addr(value)
    address = parsed.uri.removeprefix("sip:") if parsed is not None else ""
    number, at, host = address.partition("@")
    before = list(takewhile(lambda token: token.kind is not Kind.BRACKETED, tokens(value)))
    # Without brackets there is no display name, only an address (RFC 3261 section 20.10).
    is_bare = len(before) == len(list(tokens(value)))
    return {
        "raw": ";".join(piece for piece in split(value, ";") if not piece.strip().lower().startswith("tag=")),
        "tag": parse_tag(value) or "",
        "address": address,
        "number": number if at else None,
        "caller": "" if is_bare else unquote("".join(token.text for token in before).strip()),
        "host": host if at else address,
    }

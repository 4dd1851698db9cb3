"""waitress at this API's door: bodies refused by their headers alone, errors in JSON, and answers that arrive.

waitress reads a whole request body before it calls the application, up to one limit for all paths. Here every
operation has its own limit, large bodies need a good signature first, and a refused client gets to read why: closing a
socket with unread data resets the connection, and the client would see that instead of the answer.
"""

import json
import socket
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError

from autodialer.errors import TooLarge, Unavailable, UserError
from autodialer.web.connections import Connections
from autodialer.web.contract import BASE_PATH, MOST_BYTES, operations
from autodialer.web.errors import ErrorAnswer, answer_for
from autodialer.web.uploads import describe_limit, most_body_bytes

LINGER_S = 10.0
LINGER_CHUNK = 1 << 16
CODES: Mapping[int, str] = {413: "too_large", 431: "headers_too_large", 501: "not_implemented"}
SENTENCES: Mapping[int, str] = {
    413: f"The request body may have at most {MOST_BYTES} bytes.",
    431: "The request headers are too large.",
    501: "This transfer encoding is not supported.",
}

UPLOADS: Mapping[tuple[str, str], int] = {
    (method, BASE_PATH + path): operation["x-max-bytes"]
    for method, path, operation in operations()
    if "x-max-bytes" in operation
}
"""Largest file by method and path; no path with an id takes uploads."""


class _Adjustments:
    """waitress's adjustments with another body limit."""

    def __init__(self, adjustments: Any, most_bytes: int) -> None:
        self._adjustments = adjustments
        self.max_request_body_size = most_bytes + 1  # waitress refuses at, not above, this size

    def __getattr__(self, name: str) -> Any:
        return getattr(self._adjustments, name)


class _JsonError:
    """An error that waitress answers by itself."""

    def __init__(self, answer: ErrorAnswer) -> None:
        self._answer = answer
        self.code = answer.status

    def to_response(self, _ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        """waitress's hook."""
        headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store"), *self._answer.headers.items()]
        return (
            f"{self._answer.status} {HTTPStatus(self._answer.status).phrase}",
            headers,
            json.dumps(self._answer.body).encode(),
        )


def parser_class(check_token: Callable[[str], object]) -> type[HTTPRequestParser]:
    """The parser of a server; `check_token` raises for an Authorization header that cannot be good."""

    class Parser(HTTPRequestParser):  # type: ignore[misc]
        """Knows the limits of the operations."""

        adj: Any
        error: Any
        refusal: UserError | Unavailable | None = None
        too_large: TooLarge | None = None

        def parse_header(self, header_plus: bytes) -> None:
            """waitress's hook, called when the headers are there and before any of the body is read."""
            super().parse_header(header_plus)
            if self.chunked and "CONTENT_LENGTH" in self.headers:
                # Two lengths: a proxy that reads the other one would see another request behind (RFC 9112, 6.1).
                raise ParsingError("Content-Length beside Transfer-Encoding")
            most_file_bytes = UPLOADS.get((self.command, self.path))
            most_bytes = MOST_BYTES if most_file_bytes is None else most_body_bytes(most_file_bytes)
            self.adj = _Adjustments(self.adj, most_bytes)
            if most_file_bytes is not None:
                self._look_at_upload(most_file_bytes, most_bytes)

        def _look_at_upload(self, most_file_bytes: int, most_bytes: int) -> None:
            self.too_large = TooLarge(describe_limit(most_file_bytes), field="file")
            try:
                check_token(self.headers.get("AUTHORIZATION", ""))
            except (UserError, Unavailable) as exc:
                self.refusal = exc
                # The least that makes waitress refuse: nothing of the body is read.
                self.adj = _Adjustments(self.adj, 0)
            if self.refusal or self.content_length > most_bytes:
                self.expect_continue = False

        def received(self, data: bytes) -> int:
            """waitress's hook."""
            consumed: int = super().received(data)
            if self.error is not None and not isinstance(self.error, _JsonError):
                self.error = _JsonError(self._answer_for(self.error.code))
            return consumed

        def _answer_for(self, status: int) -> ErrorAnswer:
            if status == 413:
                said = self.refusal or self.too_large
                if said is not None:
                    return answer_for(said)
            message = SENTENCES.get(status, "The request is not HTTP that can be read.")
            return ErrorAnswer(status=status, code=CODES.get(status, "bad_request"), message=message)

    return Parser


class LingeringChannel(HTTPChannel):  # type: ignore[misc]
    """After a refusal: half-close, then swallow for a while what the client still sends, for it to read the answer."""

    connections: Connections
    refused = False
    lingers_until: float | None = None
    is_fresh = True

    def __init__(self, *args: Any, **options: Any) -> None:
        """waitress's hook: a client has connected."""
        super().__init__(*args, **options)
        self.waits_since = time.monotonic()
        self.connections.opened(self)

    def del_channel(self, map: Any = None) -> None:
        """waitress's hook: the connection is closed."""
        super().del_channel(map)
        self.connections.closed(self)

    def end(self) -> None:
        """Close it at once, without waiting for the client."""
        super().handle_close()

    def service(self) -> None:
        """waitress's hook, in a worker thread."""
        self.refused = self.refused or self.requests[0].error is not None
        super().service()
        self.is_fresh, self.waits_since = False, time.monotonic()

    def readable(self) -> bool:
        """waitress's hook."""
        return self.lingers_until is not None or super().readable()

    def writable(self) -> bool:
        """waitress's hook."""
        if self.lingers_until is not None:
            return time.monotonic() >= self.lingers_until
        return bool(super().writable())

    def handle_read(self) -> None:
        """waitress's hook."""
        if self.lingers_until is None:
            super().handle_read()
            return
        try:
            at_end = not self.socket.recv(LINGER_CHUNK)
        except BlockingIOError:
            at_end = False
        except OSError:
            at_end = True
        if at_end or time.monotonic() >= self.lingers_until:
            super().handle_close()

    def handle_write(self) -> None:
        """waitress's hook."""
        if self.lingers_until is None:
            super().handle_write()
        else:
            super().handle_close()

    def handle_close(self) -> None:
        """waitress's hook: the answer is out, or the client is gone."""
        if self.lingers_until is not None or not (self.refused and self.connected):
            super().handle_close()
            return
        try:
            self.socket.shutdown(socket.SHUT_WR)
            self.lingers_until = time.monotonic() + LINGER_S
        except OSError:
            super().handle_close()

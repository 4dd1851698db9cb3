"""One HTTP request to a stranger's server, with every limit that this takes."""

import contextlib
import functools
import http.client
import logging
import os
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from socket import IPPROTO_TCP, SHUT_RDWR, TCP_NODELAY, create_connection, socket
from types import TracebackType
from typing import Any, Self

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse
from urllib3.util import parse_url

from autodialer.errors import AddressRefused, HostUnresolved
from autodialer.webhooks.addresses import Network, resolve

logger = logging.getLogger(__name__)

LONGEST_S = 5.0
"""From the look-up of the name to the last byte of the answer."""
MOST_READ = 64 * 1024
"""Bytes of an answer."""
_CHUNK = 8 * 1024


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What came of a request."""

    status_code: int | None = None
    """None: there was no answer."""
    error: str | None = None
    """Why it did not arrive, a sentence; None: the receiver took it (a 2xx)."""
    retry_after_s: float | None = None
    """How long the receiver asks to be left alone."""


class Line:
    """A way to one receiver: a connection that is kept while requests follow each other. A context manager.

    The name is looked up here, and the connection goes to the very address that was judged: a name server that gives
    another answer to a second question cannot lead it elsewhere. Proxies of the environment and redirects are not
    followed. Used from one thread.
    """

    def __init__(self, url: str, networks: Sequence[Network], *, longest_s: float = LONGEST_S) -> None:
        self._url = parse_url(url)
        self._networks = networks
        self._longest_s = longest_s
        self._connection: _Plain | _Tls | None = None

    def post(self, body: bytes, headers: Mapping[str, str]) -> Answered:
        """Send it, and read what comes back."""
        with _Deadline(self._longest_s) as deadline:
            try:
                return self._post(body, headers, deadline)
            except (AddressRefused, HostUnresolved) as exc:
                return self._lost(str(exc))
            except ssl.SSLError as exc:
                return self._lost(deadline.or_else(f"TLS: {exc.reason or exc}"))
            except (HTTPError, http.client.HTTPException, OSError, ValueError) as exc:
                return self._lost(deadline.or_else(_why(exc)))

    def _post(self, body: bytes, headers: Mapping[str, str], deadline: "_Deadline") -> Answered:
        is_kept = self._connection is not None
        try:
            answer = self._send(body, headers, deadline)
        except (HTTPError, http.client.HTTPException, OSError):
            # A receiver may close a kept connection at any time. A repeated request has the same webhook-id.
            if not is_kept or deadline.is_over:
                raise
            self.close()
            answer = self._send(body, headers, deadline)
        whole = _read(answer)
        if deadline.is_over:
            # To the library the end that we made looks like the end of the headers.
            raise TimeoutError
        if not whole or answer.headers.get("connection", "").lower() == "close":
            self.close()
        return _judged(answer)

    def _send(self, body: bytes, headers: Mapping[str, str], deadline: "_Deadline") -> BaseHTTPResponse:
        if self._connection is None:
            self._connection = self._open()
        connection = self._connection
        connection.begin(deadline, self._networks)
        connection.request(
            "POST",
            self._url.request_uri,
            body=body,
            headers={"Accept-Encoding": "identity", **headers},
            preload_content=False,
            decode_content=False,
        )
        return connection.getresponse()

    def _open(self) -> "_Plain | _Tls":
        host, port = (self._url.host or "").strip("[]"), self._url.port
        if self._url.scheme == "https":
            return _Tls(host, port or 443, timeout=self._longest_s, ssl_context=trust())
        return _Plain(host, port or 80, timeout=self._longest_s)

    def _lost(self, error: str) -> Answered:
        self.close()
        return Answered(error=error)

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            with contextlib.suppress(OSError, HTTPError):
                self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class _Deadline:
    """Ends a request that takes too long, wherever it is: a socket's own timeout starts again with every byte."""

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._ends_at = time.monotonic() + longest_s
        self._lock = threading.Lock()
        self._watched: socket | None = None
        self._timer = threading.Timer(longest_s, self._end)
        self._timer.daemon = True
        self.is_over = False

    @property
    def left_s(self) -> float:
        """What is left of it."""
        return max(self._ends_at - time.monotonic(), 0.001)

    def watch(self, used: socket) -> None:
        """End this connection when the time is over. TLS takes the socket object over, hence another one for it."""
        with self._lock:
            self._release()
            self._watched = socket(fileno=os.dup(used.fileno()))

    def or_else(self, error: str) -> str:
        """Why a request failed."""
        return f"no answer within {self._longest_s:g} s" if self.is_over or self.left_s <= 0.001 else error

    def _end(self) -> None:
        with self._lock:
            self.is_over = True
            if self._watched is not None:
                with contextlib.suppress(OSError):
                    self._watched.shutdown(SHUT_RDWR)

    def _release(self) -> None:
        if self._watched is not None:
            self._watched.close()
            self._watched = None

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            self._release()


class _Judged(HTTPConnection):
    """A connection that opens its socket to an address that was judged; its host stays the name, for Host and TLS."""

    _deadline: _Deadline
    _networks: Sequence[Network]
    _used: socket | None = None

    def begin(self, deadline: _Deadline, networks: Sequence[Network]) -> None:
        """A request begins."""
        self._deadline = deadline
        self._networks = networks
        if self._used is not None and self.sock is not None:
            self.sock.settimeout(deadline.left_s)
            deadline.watch(self.sock)

    def _new_conn(self) -> socket:
        """What urllib3 calls to open the socket."""
        addresses = resolve(self.host, self._networks, timeout_s=self._deadline.left_s)
        failed: OSError = OSError(f"{self.host} has no address")
        for address in addresses:
            try:
                opened = create_connection((str(address), self.port or 0), timeout=self._deadline.left_s)
            except OSError as exc:
                failed = exc
                continue
            opened.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
            self._deadline.watch(opened)
            self._used = opened
            return opened
        raise failed


class _Plain(_Judged):
    """http."""


@functools.cache
def trust() -> ssl.SSLContext:
    """What the system trusts; read once, for it takes longer than a request."""
    return ssl.create_default_context()


class _Tls(_Judged, HTTPSConnection):
    """https: certificates are verified against those that the system trusts."""


def _read(answer: BaseHTTPResponse) -> bool:
    """Take the answer's body off the connection; False where it is too long to."""
    read = 0
    while read <= MOST_READ:
        chunk = answer.read(_CHUNK)
        if not chunk:
            return True
        read += len(chunk)
    return False


def _judged(answer: BaseHTTPResponse) -> Answered:
    status = answer.status
    if 200 <= status < 300:
        return Answered(status_code=status)
    if 300 <= status < 400:
        where = answer.headers.get("location", "elsewhere")[:200]
        error = f"the receiver answered {status} and points to {where!r}; redirects are not followed, so give that URL"
    else:
        error = f"the receiver answered {status}"
    return Answered(status_code=status, error=error, retry_after_s=_seconds(answer.headers.get("retry-after")))


def _seconds(value: str | None) -> float | None:
    """Retry-After in seconds (RFC 9110 section 10.2.3); its form of a date is left alone."""
    return float(value[:9]) if value and value.isascii() and value.isdigit() else None


def _why(exc: Exception) -> str:
    """The innermost reason: urllib3 wraps what the system said."""
    inner: Any = exc
    while True:
        deeper = getattr(inner, "reason", None) or inner.__cause__
        if not isinstance(deeper, BaseException):
            break
        inner = deeper
    if isinstance(inner, TimeoutError):
        return "no answer in time"
    said = getattr(inner, "strerror", None) or str(inner) or type(inner).__name__
    return f"{said}"[:300]

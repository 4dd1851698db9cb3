"""TCP and TLS connections of a core: made when something is to be sent, one a peer, and made again when they break."""

import errno
import logging
import selectors
import socket
import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from autodialer.sip.addresses import in_uri
from autodialer.sip.framing import BrokenStream, StreamReader
from autodialer.sip.hop import TCP, TLS, Hop
from autodialer.sip.invite import Address
from autodialer.sip.shell.datagrams import open_socket, share_port

logger = logging.getLogger(__name__)

CONNECT_S = 6.0
"""Time to connect, the TLS handshake included: long enough for two lost SYNs."""
INCOMING_KEPT = 64
"""Most connections that peers made to us; one more closes the connection that has been silent for longest."""
_READ = 65_536
"""Octets that are read or written at a time."""
_UNSENT_LIMIT = 4 * 1024 * 1024
"""Octets that may wait for a peer that does not read."""
_NOT_NOW = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


@dataclass(frozen=True, kw_only=True)
class TlsSettings:
    """The server and the issuers to trust."""

    server_name: str
    """Host name or address that the certificate must be made for (RFC 5922 section 4)."""
    ca_pem: str | None = field(default=None, repr=False)
    """Certificates of the issuers to trust, PEM; None: those that the system trusts."""

    def context(self) -> ssl.SSLContext:
        """What a connection is made with. Raises ssl.SSLError for certificates that cannot be read."""
        return ssl.create_default_context(cadata=self.ca_pem)


class ConnectionUser(Protocol):
    """The user of the connections, which is told what happens on them."""

    def on_message(self, data: bytes, hop: Hop) -> None:
        """A whole message came."""

    def on_made(self, hop: Hop, local_address: Address) -> None:
        """A connection is up."""

    def on_unreachable(self, hop: Hop, complaint: str) -> None:
        """A connection could not be made; what was to be sent on it is lost."""

    def on_lost(self, hop: Hop) -> None:
        """A connection that was up is gone."""


class Connection:
    """One socket and what is on its way."""

    def __init__(self, hop: Hop, bound: socket.socket, *, deadline: float | None) -> None:
        self.hop = hop
        self.socket = bound
        self.deadline = deadline
        """When an attempt to connect is given up; None once connected."""
        self.incoming = deadline is None
        self.heard_at = time.monotonic()
        self.reader = StreamReader()
        self.unsent = bytearray()

    @property
    def up(self) -> bool:
        """Whether data may be sent."""
        return self.deadline is None


class Connections:
    """All connections of one core. Used by its thread alone."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        user: ConnectionUser,
        *,
        local_address: Address,
        listener: socket.socket | None,
        tls: TlsSettings | None,
    ) -> None:
        self._selector = selector
        self._user = user
        self._local_address = local_address
        self._listener = listener
        self._tls = tls
        self._context: ssl.SSLContext | None = None
        self._by_hop: dict[Hop, Connection] = {}
        if listener is not None:
            selector.register(listener, selectors.EVENT_READ, self)

    def send(self, data: bytes, hop: Hop) -> None:
        """Send on the connection to `hop`, which is made if it does not exist yet."""
        connection = self._by_hop.get(hop) or self._connect(hop)
        if connection is None:
            return
        connection.unsent += data
        if len(connection.unsent) > _UNSENT_LIMIT:
            self._drop(connection, "it does not read what is sent")
        elif connection.up:
            self._write(connection)

    def handle(self, data: object, mask: int) -> None:
        """The selector named a connection, or the listener (`data` is this object then)."""
        if not isinstance(data, Connection):
            self._accept()
        # An earlier event of the same look at the selector has closed it.
        elif self._by_hop.get(data.hop) is not data:
            return
        elif not data.up:
            self._go_on_connecting(data)
        else:
            if mask & selectors.EVENT_WRITE:
                self._write(data)
            if mask & selectors.EVENT_READ:
                self._read(data)

    def next_deadline(self) -> float | None:
        """When `expire` is due; None when nothing is being connected."""
        return min((c.deadline for c in self._by_hop.values() if c.deadline is not None), default=None)

    def expire(self, now: float) -> None:
        """Give up attempts that take too long."""
        for connection in list(self._by_hop.values()):
            if connection.deadline is not None and now >= connection.deadline:
                self._drop(connection, "it does not answer")

    def close(self) -> None:
        """Close everything; nobody is told."""
        for connection in list(self._by_hop.values()):
            self._forget(connection)

    # Connecting.

    def _connect(self, hop: Hop) -> Connection | None:
        if hop.transport == TLS and self._tls is None:
            self._user.on_unreachable(hop, f"The provider wants TLS at {hop.host}, which this trunk is not set up for.")
            return None
        for shared in (True, False):
            made = open_socket(hop.host, socket.SOCK_STREAM)
            made.settimeout(0.0)
            # Messages are written whole: nothing is won by holding the end of one back until the peer acknowledges.
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                if shared:
                    share_port(made)
                made.bind(self._local_address if shared else (self._local_address[0], 0))
                code = made.connect_ex(hop.address)
            except OSError as exc:
                code = exc.errno or errno.EIO
            if code in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
                return self._add(Connection(hop, made, deadline=time.monotonic() + CONNECT_S))
            made.close()
            # The port is taken, or an earlier connection to there still lingers: another port will do.
        self._user.on_unreachable(hop, _cannot_connect(hop, errno.errorcode.get(code, str(code))))
        return None

    def _add(self, connection: Connection) -> Connection:
        events = selectors.EVENT_READ if connection.up else selectors.EVENT_WRITE
        self._selector.register(connection.socket, events, connection)
        self._by_hop[connection.hop] = connection
        return connection

    def _go_on_connecting(self, connection: Connection) -> None:
        code = connection.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._drop(connection, errno.errorcode.get(code, str(code)))
            return
        try:
            if connection.hop.transport == TLS and not self._agree_on_tls(connection):
                return
            local: Address = connection.socket.getsockname()[:2]
        except ssl.SSLCertVerificationError as exc:
            self._refuse(connection, self._certificate_complaint(exc))
            return
        except (OSError, ValueError) as exc:
            self._drop(connection, _reason(exc))
            return
        connection.deadline = None
        logger.info("connected to %s from %s:%d", connection.hop, *local)
        self._user.on_made(connection.hop, local)
        self._write(connection)

    def _agree_on_tls(self, connection: Connection) -> bool:
        """Go on with the handshake; whether it is done."""
        assert self._tls is not None
        if not isinstance(connection.socket, ssl.SSLSocket):
            self._context = self._context or self._tls.context()
            # The wrapped socket takes the descriptor over, so that the selector has to know it in place of the bare
            # one.
            bare = connection.socket
            connection.socket = self._context.wrap_socket(
                bare, server_hostname=self._tls.server_name, do_handshake_on_connect=False
            )
            self._selector.unregister(bare)
            self._selector.register(connection.socket, selectors.EVENT_WRITE, connection)
        try:
            # Only what the handshake waits for is watched: a connected socket is nearly always writable, and the loop
            # would spin.
            connection.socket.do_handshake()
        except ssl.SSLWantReadError:
            self._selector.modify(connection.socket, selectors.EVENT_READ, connection)
            return False
        except ssl.SSLWantWriteError:
            self._selector.modify(connection.socket, selectors.EVENT_WRITE, connection)
            return False
        return True

    def _certificate_complaint(self, exc: ssl.SSLCertVerificationError) -> str:
        name = self._tls.server_name if self._tls else ""
        return (
            f"The TLS certificate of {name} is refused: {exc.verify_message.rstrip('.')}. "
            "Name its issuer in ca_file, or the host by the name that the certificate was made for."
        )

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            accepted, address = self._listener.accept()
        except OSError:
            return
        accepted.settimeout(0.0)
        incoming = [connection for connection in self._by_hop.values() if connection.incoming]
        # Anybody may connect. The quietest makes room, so that strangers use up neither descriptors nor places.
        if len(incoming) >= INCOMING_KEPT:
            self._forget(min(incoming, key=lambda connection: connection.heard_at))
        self._add(Connection(Hop(address[0], address[1], TCP), accepted, deadline=None))

    # Data.

    def _write(self, connection: Connection) -> None:
        try:
            while connection.unsent:
                sent = connection.socket.send(bytes(connection.unsent[:_READ]))
                del connection.unsent[:sent]
        except _NOT_NOW:
            pass
        except OSError as exc:
            self._drop(connection, _reason(exc))
            return
        # Not EVENT_WRITE all the time: it would wake the loop without end.
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.unsent else 0)
        if self._selector.get_key(connection.socket).events != events:
            self._selector.modify(connection.socket, events, connection)

    def _read(self, connection: Connection) -> None:
        try:
            for data in _chunks(connection.socket):
                if not data:
                    self._drop(connection, "it closed the connection")
                    return
                connection.heard_at = time.monotonic()
                for message in connection.reader.feed(data, connection.heard_at):
                    self._user.on_message(message, connection.hop)
        except BrokenStream as exc:
            self._drop(connection, f"it sent {exc}")
        except OSError as exc:
            self._drop(connection, _reason(exc))

    def _drop(self, connection: Connection, why: str) -> None:
        """End a single connection: an attempt that failed, or a connection that was up and is gone."""
        self._forget(connection)
        if not connection.up:
            self._user.on_unreachable(connection.hop, _cannot_connect(connection.hop, why))
            return
        logger.info("the connection with %s is gone: %s", connection.hop, why)
        if not connection.incoming:
            self._user.on_lost(connection.hop)

    def _refuse(self, connection: Connection, complaint: str) -> None:
        self._forget(connection)
        logger.warning("%s", complaint)
        self._user.on_unreachable(connection.hop, complaint)

    def _forget(self, connection: Connection) -> None:
        if self._by_hop.get(connection.hop) is connection:
            del self._by_hop[connection.hop]
            self._selector.unregister(connection.socket)
            connection.socket.close()


def _chunks(bound: socket.socket) -> Iterable[bytes]:
    """What has come so far; an empty chunk is the end of the stream."""
    # Until nothing is left: what TLS has decrypted but not handed over yet wakes no selector.
    while True:
        try:
            data = bound.recv(_READ)
        except _NOT_NOW:
            return
        yield data
        if not data:
            return


def _cannot_connect(hop: Hop, why: str) -> str:
    words = {"ECONNREFUSED": "nothing listens there", "EHOSTUNREACH": "no route leads there"}
    return f"No {hop.transport} connection to {in_uri(hop.host)}:{hop.port} can be made: {words.get(why, why)}."


def _reason(exc: Exception) -> str:
    if isinstance(exc, ssl.SSLError):
        return f"TLS failed ({exc.reason or exc})"
    return (isinstance(exc, OSError) and exc.strerror) or str(exc)

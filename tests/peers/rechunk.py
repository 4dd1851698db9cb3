"""A TCP relay that cuts what passes into other segments: no judge, it neither reads nor changes a byte."""

import contextlib
import selectors
import socket
import threading
import time
from types import TracebackType
from typing import Self

from tests.peers.ports import LOCALHOST, free_port
from tests.timing import at_most

Address = tuple[str, int]


class Rechunk:
    """Relays connections to `address` on to `target`; a context manager.

    What comes back is handed on in pieces of `octets`, each in a segment of its own, after `hold_s` in which more of it
    may gather. `cut()` closes all connections.
    """

    def __init__(self, target: Address, *, octets: int, hold_s: float = 0.0) -> None:
        self.address: Address = (LOCALHOST, free_port())
        self._target = target
        self._octets = octets
        self._hold_s = hold_s
        self._listener = socket.create_server(self.address)
        self._ended = threading.Event()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._thread = threading.Thread(target=self._serve, name="rechunk", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join(at_most(5))
        self._listener.close()
        for pair in self._pairs:
            for end in pair:
                end.close()

    @property
    def connections(self) -> int:
        """How many were made."""
        return len(self._pairs)

    def cut(self) -> None:
        """Close what is open, as a peer that restarts does."""
        for pair in list(self._pairs):
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            while not self._ended.is_set():
                for key, _ in selector.select(0.05):
                    if key.fileobj is self._listener:
                        self._accept(selector)
                    else:
                        self._relay(selector, key)

    def _accept(self, selector: selectors.BaseSelector) -> None:
        near, _ = self._listener.accept()
        far = socket.create_connection(self._target, timeout=at_most(5))
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pairs.append((near, far))
        selector.register(near, selectors.EVENT_READ, (far, False))
        selector.register(far, selectors.EVENT_READ, (near, True))

    def _relay(self, selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
        source, (to, back) = key.fileobj, key.data
        assert isinstance(source, socket.socket)
        if back and self._hold_s:
            time.sleep(self._hold_s)
        try:
            data = source.recv(65_536)
            size = self._octets if back else len(data) or 1
            for at in range(0, len(data), size):
                to.sendall(data[at : at + size])
                if back:
                    # Long enough for the receiver to read each piece by itself.
                    time.sleep(0.001)
        except OSError:
            data = b""
        if not data:
            selector.unregister(source)
            with contextlib.suppress(OSError):
                to.shutdown(socket.SHUT_WR)

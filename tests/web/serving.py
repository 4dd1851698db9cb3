"""The real server on a free port of the loopback, in a thread."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from autodialer.config import Settings
from autodialer.web.app import App
from autodialer.web.server import ApiServer
from tests.timing import at_most


def free_port() -> int:
    """A TCP port that nobody has right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(settings: Settings, app: App) -> Iterator[str]:
    """Yields the base URL."""
    server = ApiServer(settings, app)
    thread = threading.Thread(target=server.run, name="api server")
    thread.start()
    try:
        yield f"http://{settings.http}"
    finally:
        server.stop()
        thread.join(at_most(20))
        assert not thread.is_alive()

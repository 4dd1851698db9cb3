"""waitress, set up for this API, with an end in good order."""

import logging
import socket
import tempfile
import threading
import time
from typing import Any

from waitress import wasyncore
from waitress.server import TcpWSGIServer, create_server

from autodialer.config import Settings
from autodialer.errors import SettingsError
from autodialer.web.app import App
from autodialer.web.connections import MOST, Connections
from autodialer.web.limits import UPLOADS, LingeringChannel, parser_class
from autodialer.web.uploads import most_body_bytes, sweep

logger = logging.getLogger(__name__)

THREADS = 23
"""More than all that may hold one for seconds at the same time: tables, sounds, downloads, checks, slices,
passwords and addresses outside have bounds of their own, and a request for anything else still finds a thread."""
MOST_HEADER_BYTES = 32_768
POLL_S = 0.5
HANDOVER_S = 5.0
"""How long the port is waited for: a service that was killed may have it for a moment yet."""
FINISH_S = 5.0
"""How long requests under way may take to finish once the server ends."""


class ApiServer:
    """The API on its TCP port. It listens as soon as it is made; `run` serves."""

    def __init__(
        self,
        settings: Settings,
        app: App,
        stopping: threading.Event | None = None,
        *,
        listener: socket.socket | None = None,
    ) -> None:
        """`stopping`, once set, ends `run`; `listener` comes from `listen`.

        Raises SettingsError when the address cannot be listened on.
        """
        # First of all: a second service on the same folder must not sweep away what the first one is receiving.
        listener = listener or listen(settings)
        uploads = settings.data / "uploads"
        uploads.mkdir(parents=True, exist_ok=True, mode=0o700)
        sweep(uploads)
        # Where waitress keeps large bodies: beside the data, not on a /tmp that may be small or in memory.
        tempfile.tempdir = str(uploads)
        self._map: dict[int, Any] = {}
        self._stopping = stopping
        # No event: its lock is not re-entrant, and a signal handler may interrupt the thread that holds it.
        self._is_asked_to_stop = False
        proxy = {"trusted_proxy": settings.trusted_proxy, "trusted_proxy_count": 1} if settings.trusted_proxy else {}
        headers = (
            {"trusted_proxy_headers": {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"}} if proxy else {}
        )
        try:
            self._server = create_server(
                app,
                map=self._map,
                sockets=[listener],
                threads=THREADS,
                connection_limit=2 * MOST,  # ours comes first: waitress's would leave the next client waiting unheard
                ident=None,
                max_request_body_size=most_body_bytes(max(UPLOADS.values())) + 1,
                max_request_header_size=MOST_HEADER_BYTES,
                clear_untrusted_proxy_headers=True,
                expose_tracebacks=False,
                asyncore_use_poll=True,
                **proxy,
                **headers,
            )
        except BaseException:
            listener.close()
            raise
        self._connections = Connections(trusted_proxy=settings.trusted_proxy)
        channel = type(
            "Channel",
            (LingeringChannel,),
            {"parser_class": parser_class(app.check_credentials), "connections": self._connections},
        )
        for each in self._listeners():
            each.channel_class = channel

    def run(self) -> None:
        """Serve until `stop`. What is under way then gets some seconds to finish."""
        while not self._is_asked_to_stop and not (self._stopping and self._stopping.is_set()):
            self._poll(POLL_S)
            self._connections.end_overdue()
        for listener in self._listeners():
            listener.del_channel()
            listener.socket.close()
        deadline = time.monotonic() + FINISH_S
        while self._is_busy() and time.monotonic() < deadline:
            self._poll(0.05)
        self._server.task_dispatcher.shutdown(timeout=1)
        wasyncore.close_all(self._map)

    def stop(self) -> None:
        """Make `run` return within half a second; from any thread or signal handler."""
        # A plain flag: a signal handler must not wait for a lock that the interrupted thread may hold, and a byte into
        # waitress's pipe could go to whatever has its descriptor once `run` has closed it.
        self._is_asked_to_stop = True

    def _poll(self, timeout_s: float) -> None:
        wasyncore.loop(timeout=timeout_s, use_poll=True, map=self._map, count=1)

    def _listeners(self) -> list[TcpWSGIServer]:
        return [item for item in self._map.values() if isinstance(item, TcpWSGIServer)]

    def _is_busy(self) -> bool:
        channels = [item for item in self._map.values() if isinstance(item, LingeringChannel)]
        return any(channel.requests or channel.total_outbufs_len for channel in channels)


def reserve(settings: Settings) -> socket.socket:
    """A socket that has the API's address and refuses clients, IPv4 only. Waits a little for a service just dying.

    Raises SettingsError.
    """
    deadline = time.monotonic() + HANDOVER_S
    while True:
        try:
            return _bind(settings)
        except SettingsError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(0.1)


def listen(settings: Settings) -> socket.socket:
    """A listening socket on the API's address; as `reserve` otherwise."""
    deadline = time.monotonic() + HANDOVER_S
    while True:
        listener = reserve(settings)
        try:
            listener.listen()
        except OSError as exc:  # two sockets may be bound to one address; only one of them may listen
            listener.close()
            if time.monotonic() >= deadline:
                raise _taken(settings) from exc
            time.sleep(0.1)
        else:
            return listener


def _bind(settings: Settings) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.http_host, settings.http_port))
    except (OSError, UnicodeError) as exc:
        listener.close()
        raise _taken(settings) from exc
    return listener


def _taken(settings: Settings) -> SettingsError:
    return SettingsError(
        f"DIALER_HTTP: {settings.http} cannot be listened on; another program has it, or it is not here."
    )

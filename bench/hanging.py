"""Beside a campaign: a webhook that wants every call, whose receiver takes connections and never answers."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

from autodialer.config import Settings
from autodialer.model.webhooks import EventKind
from autodialer.store import Store, WebhookSettings
from autodialer.webhooks.signing import new_secret


@contextmanager
def hanging_receiver(settings: Settings, store: Store, owner_key: int) -> Iterator[None]:
    """The receiver, the webhook, and the process that tries to deliver, as the supervisor runs it."""
    taken: list[socket.socket] = []

    def accept(listener: socket.socket) -> None:
        while True:
            try:
                taken.append(listener.accept()[0])
            except OSError:
                return

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        accepting = threading.Thread(target=accept, args=(listener,), daemon=True)
        accepting.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        store.webhooks.create(owner_key, WebhookSettings(url=url, events=tuple(EventKind)), secret=new_secret())
        environment = {**os.environ, "DIALER_DATA": str(settings.data), "DIALER_WEBHOOK_NETWORKS": "127.0.0.0/8"}
        process = subprocess.Popen([sys.executable, "-m", "autodialer.commands.deliveries"], env=environment)
        try:
            yield
        finally:
            process.terminate()
            process.wait()
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for connection in taken:
                connection.close()

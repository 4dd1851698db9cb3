"""Sends the messages of notices, one after the other, in a thread of the deliveries' process."""

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta

from autodialer.clock import Clock
from autodialer.errors import Unavailable
from autodialer.store import Store, Unsent
from autodialer.webhooks.addresses import Network
from autodialer.webhooks.stranger import Task, Told, apart

logger = logging.getLogger(__name__)

WAITS_S = (60, 300, 1800, 7200)
"""Between an attempt and the next; after the last one the message is dropped: it would come too late for anybody."""
LOOK_S = 1.0
BETWEEN_LOOKS_S = 30.0
AT_ONCE = 20
UNREADABLE = (
    "The address cannot be read: the key file in the data folder is not the one it was stored with. Give it again."
)


class Notifier:
    """One a data folder."""

    def __init__(
        self,
        store: Store,
        networks: Sequence[Network],
        clock: Clock | None = None,
        *,
        send: Callable[[Task], Told] = apart,
        look: Callable[[], None] = lambda: None,
    ) -> None:
        """`look` is called every half minute: it may find something to tell."""
        self._store = store
        self._networks = tuple(str(network) for network in networks)
        self._clock = clock or Clock()
        self._send = send
        self._look = look
        self._looks_at = 0.0
        self._stopping = threading.Event()

    def run(self) -> None:
        """Until `stop`."""
        while not self._stopping.wait(LOOK_S):
            try:
                self.step()
            except Unavailable as exc:
                logger.error("The database is not available; notices wait: %s", exc)
            except Exception:
                # A bug must not end this thread, and with it all notices until the service is started again.
                logger.exception("notices go on after a fault inside the service")

    def stop(self) -> None:
        """End; a message that is on its way may take its time."""
        self._stopping.set()

    def step(self) -> int:
        """Send what is due; how many messages were tried. Raises Unavailable."""
        if self._clock.monotonic() >= self._looks_at:
            self._looks_at = self._clock.monotonic() + BETWEEN_LOOKS_S
            self._look()
        messages = self._store.notices.due(AT_ONCE)
        for message in messages:
            if self._stopping.is_set():
                break
            self._try(message)
        return len(messages)

    def _try(self, message: Unsent) -> None:
        notice = self._store.notices.by_key(message.notice_key)
        if notice is None:
            return
        if not notice.url:
            self._store.notices.sent(message, note=UNREADABLE)
            return
        told = self._send(Task(url=notice.url, title=message.title, body=message.body, networks=self._networks))
        if told.error is None:
            self._store.notices.sent(message)
            return
        logger.warning("notice %s did not go out: %s", notice.id, told.error)
        next_at = None
        if message.attempts < len(WAITS_S):
            next_at = self._clock.utcnow() + timedelta(seconds=WAITS_S[message.attempts])
        note = f"The last message did not go out: {told.error.rstrip('.')}."
        self._store.notices.sent(message, note=note, next_at=next_at)

"""Large imports in the background: a few at once, one of each user, in turns, so that no user holds up another."""

import threading
from collections import deque
from collections.abc import Callable

from autodialer.errors import TooManyRequests

PROCESSES = 2
MOST_WAITING = 10
"""Of one user."""
RETRY_S = 60


class ImportTurns:
    """Runs steps in threads of its own, which are started when they are needed."""

    def __init__(self, *, at_once: int = PROCESSES, most_waiting: int = MOST_WAITING) -> None:
        self._at_once = at_once
        self._most_waiting = most_waiting
        self._waiting: dict[int, deque[Callable[[], None]]] = {}
        """Users in the order of their turns; a user whose import runs comes last."""
        self._running: set[int] = set()
        self._changed = threading.Condition()
        self._stopping = False
        self._workers: list[threading.Thread] = []

    def check_room(self, user_key: int) -> None:
        """Raises TooManyRequests when too much of this user's is waiting."""
        with self._changed:
            if len(self._waiting.get(user_key, ())) >= self._most_waiting:
                raise TooManyRequests(
                    f"{self._most_waiting} of your files wait to be imported; send this one once some are through.",
                    details=[{"retry_after_s": RETRY_S}],
                )

    def add(self, user_key: int, step: Callable[[], None]) -> None:
        """Do it when it is this user's turn. The step must not raise."""
        with self._changed:
            self._waiting.setdefault(user_key, deque()).append(step)
            if len(self._workers) < self._at_once:
                worker = threading.Thread(target=self._work, name="imports", daemon=True)
                self._workers.append(worker)
                worker.start()
            self._changed.notify_all()

    def stop(self, patience_s: float = 10.0) -> None:
        """Do what is left (each step finds out by itself that the service stops), then end."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for worker in self._workers:
            worker.join(patience_s)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._next() is not None or (self._stopping and not self._waiting))
                user_key = self._next()
                if user_key is None:
                    return
                steps = self._waiting.pop(user_key)
                step = steps.popleft()
                if steps:
                    self._waiting[user_key] = steps
                self._running.add(user_key)
            try:
                step()
            finally:
                with self._changed:
                    self._running.discard(user_key)
                    self._changed.notify_all()

    def _next(self) -> int | None:
        return next((user_key for user_key in self._waiting if user_key not in self._running), None)

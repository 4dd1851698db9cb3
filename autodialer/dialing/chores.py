"""Work that grows with the data, in a thread beside the tick: a tick must not take longer than calls can wait.

Each piece is one short transaction. Threads of a process queue for the write lock, so that a tick waits for one piece
at most, and there is a pause after each.
"""

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue

from autodialer.errors import Unavailable

logger = logging.getLogger(__name__)

BETWEEN_PIECES_S = 0.005
"""Between two pieces, in which a tick may have the write lock."""
TRY_AGAIN_S = 1.0
"""After the database refused."""


class Chores:
    """One thread in which chores take turns, a piece each, until they say that nothing is left of them."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[tuple[str, Callable[[], bool]] | None] = SimpleQueue()
        self._named: set[str] = set()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def want(self, name: str, piece: Callable[[], bool]) -> None:
        """Have `piece` called, in the thread, until it returns False. Nothing happens while one of that name waits."""
        # The dialer adds names and the thread takes them away, so that the set needs no lock.
        if name in self._named:
            return
        self._named.add(name)
        self._waiting.put((name, piece))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="chores", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End after the present piece; what is left is for the next dialer. Idempotent."""
        self._over.set()
        self._waiting.put(None)
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while (chore := self._waiting.get()) is not None and not self._over.is_set():
            name, piece = chore
            if self._do(name, piece):
                self._waiting.put(chore)
            else:
                self._named.discard(name)
            self._over.wait(BETWEEN_PIECES_S)

    def _do(self, name: str, piece: Callable[[], bool]) -> bool:
        """One piece; whether more is left."""
        try:
            return piece()
        except Unavailable as exc:
            logger.warning("%s has to wait: %s", name, exc)
            self._over.wait(TRY_AGAIN_S)
            return True
        except Exception:
            # It is wanted again at the next look; the thread must be there for the others.
            logger.exception("%s failed", name)
            return False

"""A check of a trunk as the API asks for it: the dialer does it, and the request waits for what it finds."""

import threading
import time
from collections.abc import Mapping
from typing import Any

from autodialer.errors import TooManyRequests, Unavailable
from autodialer.store import Store

AT_ONCE = 2
"""Requests that wait at the same time: the others of the API must not starve."""
LOOK_S = 0.1
SIGNALLING_S = 45.0
"""Names, OPTIONS, REGISTER, and TCP after UDP was silent."""
CALL_S = 130.0
"""A call that rings, is answered and hears the sound; or one that nobody answers."""


class WaitingChecks:
    """Asks for checks and waits."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._free = threading.BoundedSemaphore(AT_ONCE)

    def run(self, trunk_key: int, number: str | None) -> Mapping[str, Any]:
        """What a check found. Raises TooManyRequests, or Unavailable when no dialer does it."""
        if not self._free.acquire(blocking=False):
            raise TooManyRequests("Two checks are under way already; wait for their answers.")
        try:
            return self._wait(trunk_key, number)
        finally:
            self._free.release()

    def _wait(self, trunk_key: int, number: str | None) -> Mapping[str, Any]:
        self._expect_dialer()
        check_id = self._store.checks.ask(trunk_key, number)
        self._store.commands.add("check_trunk", call_id=check_id)
        deadline = time.monotonic() + SIGNALLING_S + (CALL_S if number else 0.0)
        while time.monotonic() < deadline:
            result = self._store.checks.result(check_id)
            if result is not None:
                return result
            time.sleep(LOOK_S)
        self._expect_dialer()
        raise Unavailable("The check takes too long; see the dialer's log.")

    def _expect_dialer(self) -> None:
        if self._store.live.dialer() is None:
            raise Unavailable("No dialer process is running, and only it can try a trunk; see the service's log.")

"""How often a user may have a thing done that costs a call, or that tells of others' machines."""

import threading
from collections import OrderedDict

from autodialer.errors import TooManyRequests

MOST_KEPT = 10_000
"""Users; those who asked longest ago are forgotten."""


class Brake:
    """Some at once, and from then on one each so many seconds. In memory: a restart forgets it."""

    def __init__(self, *, most: int, span_s: float, what: str) -> None:
        """At most `most` of `what` (in words) in `span_s` seconds."""
        self._most = most
        self._span_s = span_s
        self._what = what
        self._lock = threading.Lock()
        self._levels: OrderedDict[int, tuple[float, float]] = OrderedDict()
        """User -> how full, and when that was."""

    def take(self, user_key: int, now: float) -> None:
        """One of this user; `now` is monotonic. Raises TooManyRequests, which says when the next one is free."""
        with self._lock:
            level, at = self._levels.pop(user_key, (0.0, now))
            level = max(0.0, level - (now - at) * self._most / self._span_s)
            is_free = level + 1 <= self._most
            self._levels[user_key] = (level + 1 if is_free else level, now)
            while len(self._levels) > MOST_KEPT:
                self._levels.popitem(last=False)
        if not is_free:
            wait_s = int((level + 1 - self._most) * self._span_s / self._most) + 1
            raise TooManyRequests(
                f"You may make {self._most} {self._what} in {self._span_s:g} s; wait {wait_s} s.",
                details=[{"retry_after_s": wait_s}],
            )

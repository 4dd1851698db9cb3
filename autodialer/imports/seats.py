"""How many things may be done at once, for one user and for all of them."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from autodialer.errors import TooManyRequests, Unavailable

RETRY_S = 5


class Seats:
    """A request that finds no free seat is told to come again, and keeps no thread waiting."""

    def __init__(self, *, most: int, most_a_user: int) -> None:
        self._most = most
        self._most_a_user = most_a_user
        self._taken: Counter[int] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def taken(self, user_key: int) -> Iterator[None]:
        """A seat of this user. Raises TooManyRequests when the user has all of theirs, Unavailable when all are."""
        with self._lock:
            if self._taken[user_key] >= self._most_a_user:
                raise TooManyRequests(
                    f"{self._most_a_user} of your files are being read already; send this one again in a moment.",
                    details=[{"retry_after_s": RETRY_S}],
                )
            if self._taken.total() >= self._most:
                raise Unavailable("Files of other users are being read; send this one again in a moment.")
            self._taken[user_key] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken[user_key] -= 1
                self._taken += Counter()  # users who have none are forgotten

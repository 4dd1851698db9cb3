"""How many things may be done at once, for one user and for all of them."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from autodialer.errors import TooManyRequests, Unavailable

RETRY_S = 5


class Seats:
    """A request that finds no free seat is told to come again, and keeps no thread waiting."""

    def __init__(self, *, most: int, most_a_user: int, yours: str, others: str, retry_s: int = RETRY_S) -> None:
        """`yours` is told to a user who has all of a user's seats, `others` when all are taken: sentences."""
        self.most = most
        self.most_a_user = most_a_user
        self._yours = yours
        self._others = others
        self._retry_s = retry_s
        self._taken: Counter[int] = Counter()
        self._lock = threading.Lock()

    @property
    def total(self) -> int:
        """How many are taken."""
        with self._lock:
            return self._taken.total()

    def take(self, user_key: int) -> None:
        """A seat of this user. Raises TooManyRequests when the user has all of theirs, Unavailable when all are."""
        with self._lock:
            if self._taken[user_key] >= self.most_a_user:
                raise TooManyRequests(self._yours, details=[{"retry_after_s": self._retry_s}])
            if self._taken.total() >= self.most:
                raise Unavailable(self._others)
            self._taken[user_key] += 1

    def give_back(self, user_key: int) -> None:
        """It is free again."""
        with self._lock:
            self._taken -= Counter([user_key])  # which also forgets a user without any

    @contextmanager
    def taken(self, user_key: int) -> Iterator[None]:
        """Take one for as long as this lasts. Raises as `take`."""
        self.take(user_key)
        try:
            yield
        finally:
            self.give_back(user_key)

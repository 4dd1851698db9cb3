"""Work that holds one of the API's threads for seconds, in turn: a few requests run, a few wait, the rest come back.

Each upload that waits for its turn holds a thread; without a bound, uploads would hold all there are, and nobody would
be answered until the last was done.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from autodialer.seats import Seats

USERS_SERVED = 2
"""Of all users together; a user's own run one after the other, so that no user holds up another."""
MOST = 4
"""That run or wait, of all users together."""
MOST_OF_A_USER = 2
RETRY_AFTER_S = 3
"""What a client is told to wait: a usual recording is done by then."""


class UploadTurns:
    """Decides which request works now, which waits, and which is told to come back."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running: set[int] = set()
        self.seats = Seats(
            most=MOST,
            most_a_user=MOST_OF_A_USER,
            yours=f"{MOST_OF_A_USER} of your sounds are being read; send the next one when they are done.",
            others="Too many sounds are being read; send this one again in a few seconds.",
            retry_s=RETRY_AFTER_S,
        )

    @contextmanager
    def take(self, user_key: int) -> Iterator[None]:
        """A turn of the user's, once it comes.

        Raises at once TooManyRequests, when the user has enough under way, and Unavailable, when all users together do.
        """
        with self.seats.taken(user_key):
            with self._changed:
                self._changed.notify_all()
                self._changed.wait_for(lambda: user_key not in self._running and len(self._running) < USERS_SERVED)
                self._running.add(user_key)
            try:
                yield
            finally:
                with self._changed:
                    self._running.discard(user_key)
                    self._changed.notify_all()

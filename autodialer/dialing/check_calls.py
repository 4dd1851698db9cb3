"""Room for the test calls of trunk checks, within the channels and the CPS of their trunks."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from autodialer.campaign.scheduler import Scheduler
from autodialer.errors import TrunkBusy
from autodialer.model import Trunk

PATIENCE_S = 30.0
"""How long a test call waits for a free channel; the user who asked for the check waits for it too."""


@dataclass(eq=False, kw_only=True)
class Place:
    """What a test call holds of its trunk, or waits for."""

    trunk: Trunk
    granted: threading.Event = field(default_factory=threading.Event)


class CheckCalls:
    """Asked by the threads of checks, decided by the dialer's: only that one knows what is in the air."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        # Both are filled by threads and emptied by another: append and popleft of a deque need no lock.
        self._waiting: deque[Place] = deque()
        self._left: deque[Place] = deque()

    @contextmanager
    def place(self, trunk: Trunk) -> Iterator[None]:
        """A channel and a new call of the trunk, once there is one. Raises TrunkBusy. From the thread of a check."""
        place = Place(trunk=trunk)
        self._waiting.append(place)
        try:
            if not place.granted.wait(PATIENCE_S):
                raise TrunkBusy
            yield
        finally:
            # Also after an impatient end: it may be granted in this moment.
            self._left.append(place)

    def step(self, now: float) -> None:
        """Give places that are free, take back those of test calls that are over. From the dialer's thread."""
        for _ in range(len(self._waiting)):
            place = self._waiting.popleft()
            # Its check has lost patience, and would not use the channel.
            if place in self._left:
                continue
            if self._scheduler.check_starts(place.trunk, place, now):
                place.granted.set()
            else:
                self._waiting.append(place)
        while self._left:
            place = self._left.popleft()
            self._scheduler.check_ended(place.trunk.key, place)

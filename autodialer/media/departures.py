"""When the latest packets left: what leaves after a call has ended, but before this process hears of it, is not played.

Packets leave slot by slot, so the times are kept by slot and cost nothing a packet. Pure.
"""

from collections import deque
from collections.abc import Hashable
from itertools import islice

PERIODS_KEPT = 250
"""Periods, 5 s: the dialer tells of an ended call much sooner."""


class Departures:
    """The times at which the sessions of each slot sent lately. Sessions are told apart by any hashable."""

    def __init__(self, slots: int) -> None:
        self._times: list[deque[float]] = [deque(maxlen=PERIODS_KEPT) for _ in range(slots)]
        self._sends = [0] * slots
        """How often each slot has sent."""
        self._joined: dict[Hashable, tuple[int, int]] = {}
        """Session that is sending -> its slot, and how often that had sent before."""
        self._left: dict[Hashable, list[float]] = {}
        """Session that has stopped -> when its latest packets left."""

    def join(self, session: Hashable, slot: int) -> None:
        """The session sends in this slot from now on. Harmless when it does already."""
        self._joined.setdefault(session, (slot, self._sends[slot]))

    def sent(self, slot: int, now: float) -> None:
        """The slot has had its turn at the monotonic time `now`."""
        self._times[slot].append(now)
        self._sends[slot] += 1

    def leave(self, session: Hashable) -> None:
        """The session sends no more, or not for now. Harmless when it does not send."""
        joined = self._joined.pop(session, None)
        if joined is None:
            return
        slot, before = joined
        times = self._times[slot]
        # The turns before it joined were others'. Those that the deque has dropped are too old to be late.
        own = min(self._sends[slot] - before, len(times))
        # A hold, digits or a move take a session out of its slot and into another one: the times of both count.
        latest = [*self._left.get(session, ()), *islice(times, len(times) - own, None)]
        self._left[session] = latest[-PERIODS_KEPT:]

    def forget(self, session: Hashable, ended_at: float) -> int:
        """The session is closed: how many packets of it left after the monotonic time `ended_at`."""
        self.leave(session)
        return sum(time > ended_at for time in self._left.pop(session, ()))

"""Timers of the core: a heap that is told what time it is."""

import heapq
from collections.abc import Callable
from itertools import count


class Timer:
    """A call-back that is due at `when`, unless it is stopped before."""

    __slots__ = ("call_id", "callback", "when")

    def __init__(self, when: float, callback: Callable[[float], None], call_id: str) -> None:
        self.when = when
        """Monotonic seconds."""
        self.callback: Callable[[float], None] | None = callback
        """Takes `now`; None once stopped or due, so that a stopped timer keeps nothing alive."""
        self.call_id = call_id
        """Call that pays for an error in the call-back; empty for what belongs to no call."""


class TimerQueue:
    """Timers in the order in which they are due."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        # Two timers of one instant are told apart by this: a `Timer` itself has no order.
        self._order = count()
        self._stopped = 0
        self.fired: Timer | None = None
        """The timer that came due last."""

    def __len__(self) -> int:
        return len(self._heap) - self._stopped

    def start(self, when: float, callback: Callable[[float], None], *, call_id: str = "") -> Timer:
        """Have `callback(now)` called at `when`, for the sake of a call if it has one."""
        timer = Timer(when, callback, call_id)
        heapq.heappush(self._heap, (when, next(self._order), timer))
        return timer

    def stop(self, timer: Timer) -> None:
        """Forget a timer; harmless when it has been due or was stopped before."""
        if timer.callback is None:
            return
        timer.callback = None
        self._stopped += 1
        # Most timers are stopped long before they are due: they must not pile up. Half of the heap at a time, so that a
        # stop costs the same however many timers there are; a few are not worth it.
        if self._stopped > 64 and self._stopped * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].callback is not None]
            heapq.heapify(self._heap)
            self._stopped = 0

    def next_at(self) -> float | None:
        """When the next timer is due, None without any."""
        while self._heap and self._heap[0][2].callback is None:
            heapq.heappop(self._heap)
            self._stopped -= 1
        return self._heap[0][0] if self._heap else None

    def fire(self, now: float) -> None:
        """Call what is due. A call-back that raises has had its turn; the others keep theirs for the next call.

        `fired` then says whose it was.
        """
        while (when := self.next_at()) is not None and when <= now:
            self.fired = timer = heapq.heappop(self._heap)[2]
            # Emptied before the call: the call-back may stop its own timer, which is no longer in the heap.
            callback, timer.callback = timer.callback, None
            if callback is not None:
                callback(now)

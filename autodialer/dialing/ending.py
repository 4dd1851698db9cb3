"""How a dialer ends: no new calls, live ones get the drain time, then they are hung up."""

import time

POLL_S = 0.05
"""Between two looks at the flags: a signal's handler does not end a sleep (PEP 475)."""


class Ending:
    """Whether a dialer is asked to end, and how soon. Its requests come from signals and other threads.

    They set plain flags, which the loop reads. A threading.Event has a lock: a signal that comes while the main thread
    holds it, in `set` or `wait`, would wait for itself for ever.
    """

    def __init__(self, *, drain_s: float) -> None:
        self.drain_s = drain_s
        self._asked = False
        self._asked_to_hurry = False
        self._deadline: float | None = None
        self._hung_up_at: float | None = None

    def drain(self) -> None:
        """Start no new call; live ones get the drain time. Called a second time: hang up at once. Safe in a signal."""
        self._asked_to_hurry = self._asked_to_hurry or self._asked
        self._asked = True

    def hurry(self) -> None:
        """Start no new call and hang up what is up."""
        self._asked_to_hurry = True
        self._asked = True

    @property
    def asked(self) -> bool:
        """No new call may start."""
        return self._asked

    def wait(self, span_s: float) -> None:
        """Sleep, but not longer than until the end is asked for."""
        until = time.monotonic() + span_s
        while not self._asked and time.monotonic() < until:
            time.sleep(POLL_S)

    def begins(self, now: float) -> bool:
        """Whether the drain time begins now; says so once."""
        if not self.asked or self._deadline is not None:
            return False
        self._deadline = now + self.drain_s
        return True

    def is_time_to_hang_up(self, now: float) -> bool:
        """Whether the drain time is over; says so once."""
        if self._deadline is None or self._hung_up_at is not None:
            return False
        if not self._asked_to_hurry and now < self._deadline:
            return False
        self._hung_up_at = now
        return True

    def is_overdue(self, now: float, *, patience_s: float) -> bool:
        """Whether calls were hung up so long ago that nobody waits for their end now."""
        return self._hung_up_at is not None and now - self._hung_up_at > patience_s

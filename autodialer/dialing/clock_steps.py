"""The machine's clock was set while the dialer ran: numbers that wait for their retry wait as long as they were to.

What a window, a cap, a start or a record says is wall time and follows the clock; pacing, breakers and the timers of
calls are monotonic and never notice. A machine that slept is the same: its monotonic clock stood still.
"""

import logging
from datetime import timedelta

from autodialer.clock import Clock
from autodialer.dialing.chores import Chores
from autodialer.store import Store
from autodialer.store.queue.postponing import Postponement

logger = logging.getLogger(__name__)

SLEWED_S = 2.0
"""Least difference that counts as a step: clocks are slewed, and two clocks cannot be read at the same instant."""
LONGEST_S = 86_400.0
"""A clock that is set by more was plainly wrong before, and what waits may stem from a time when it was right."""


class ClockSteps:
    """Notices steps, however often it is asked."""

    def __init__(self, store: Store, clock: Clock, chores: Chores) -> None:
        self._store = store
        self._chores = chores
        self._steps = 0
        self._moving: list[Postponement] = []
        self._clock = clock
        self._offset_s = self._read()

    @property
    def made_due(self) -> bool:
        """Whether jobs may be due only because the clock was set: they are being moved, and nothing is to be claimed.

        A million of them take some minutes; retries of an hour in which the machine slept are all of them.
        """
        self._moving = [postponement for postponement in self._moving if postponement.made_due]
        return bool(self._moving)

    def _read(self) -> float:
        return self._clock.utcnow().timestamp() - self._clock.monotonic()

    def follow(self) -> None:
        """Move what waits by the step since the last time, if there was one. Raises Unavailable."""
        offset_s = self._read()
        step_s = offset_s - self._offset_s
        if abs(step_s) >= SLEWED_S:
            if abs(step_s) <= LONGEST_S:
                postponement = self._store.queue.postpone(timedelta(seconds=step_s), self._clock.utcnow())
                self._steps += 1
                self._moving.append(postponement)
                self._chores.want(f"moving what waits, {self._steps}", postponement.move_some)
            logger.warning("the clock was set %s by %.0f s", "forward" if step_s > 0 else "back", abs(step_s))
        # Last, so that a step which the database did not take is noticed again.
        self._offset_s = offset_s

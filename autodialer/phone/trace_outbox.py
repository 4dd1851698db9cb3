"""Between the phones, whose traces end at any time, and the database, which is written to once a second."""

import logging
import math
import threading
from collections import deque
from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from autodialer.errors import Unavailable
from autodialer.phone.trace import CallTrace

logger = logging.getLogger(__name__)

WRITE_S = 1.0
REFUSED_PAUSE_S = 10.0
"""After the database refused."""
PRUNE_S = 600.0
"""How often old traces are looked for while nothing is written."""
MOST_WAITING = 2000
"""Of some kilobytes each."""


class TraceStore(Protocol):
    """Where traces are kept."""

    def write(self, traces: Mapping[UUID, bytes], *, keep: int, longest: timedelta) -> bool:
        """Keep these, and of all not more than `keep`, none longer than `longest`.

        Whether more has to be removed than one transaction should remove. Raises Unavailable.
        """


class TraceOutbox:
    """Traces on their way to the database. They are for people: dialing never fails or waits for their sake.

    `put` may be called from any thread, the rest is for one.
    """

    def __init__(self, store: TraceStore, *, keep: int, days: float) -> None:
        self._store = store
        self._keep = keep
        self._longest = timedelta(days=days)
        self._waiting: deque[CallTrace] = deque()
        self._lock = threading.Lock()
        self._too_many = 0
        self._next_write = -math.inf
        self._next_prune = -math.inf
        self.dropped = 0
        """Traces that could not be written."""

    def put(self, trace: CallTrace) -> None:
        """Take a trace; a later one of the same call replaces it."""
        with self._lock:
            if len(self._waiting) < MOST_WAITING:
                self._waiting.append(trace)
            else:
                self._too_many += 1

    def write_due(self, now: float) -> None:
        """Write what waits if the last time was a second ago; `now` is monotonic."""
        if now >= self._next_write and (self._waiting or now >= self._next_prune):
            self._next_write = now + WRITE_S
            self._next_prune = now + PRUNE_S
            try:
                if self._write():
                    self._next_prune = now
            except Unavailable:
                self._next_write = now + REFUSED_PAUSE_S

    def write_last(self) -> None:
        """Write what waits; nothing more comes."""
        try:
            self._write()
        except Unavailable:
            pass

    def _write(self) -> bool:
        """Whether traces are left to be removed. What the database does not take is dropped; raises Unavailable."""
        with self._lock:
            # Taken out before the write: phones go on handing over while the database is slow.
            batch, self._waiting = self._waiting, deque()
            too_many, self._too_many = self._too_many, 0
        self._drop(too_many)
        try:
            traces = {trace.call_id: trace.packed for trace in batch}
            return self._store.write(traces, keep=self._keep, longest=self._longest)
        except Unavailable:
            # Not kept for another try: a database that is away for long would fill the memory.
            self._drop(len(batch))
            raise

    def _drop(self, count: int) -> None:
        if count:
            self.dropped += count
            logger.warning("the SIP messages of %d calls could not be kept, %d in all", count, self.dropped)

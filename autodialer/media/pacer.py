"""The pacing grid: one absolute raster of 20 ms in slots, over which the sessions are spread. Pure.

A slot that comes late is sent at once and the next is on time again. After a stall of a whole period or more the grid
is shifted instead of caught up: a burst of old packets would overflow the callee's jitter buffer and lose what the wait
has saved, while a shift only makes one pause.
"""

from collections.abc import Hashable

PERIOD_S = 0.02
# More slots spread the load of a period better; with fewer, one system call takes more packets of a shared port.
SLOTS = 4


class Pacer:
    """Which sessions are due when. Sessions are told apart by any hashable."""

    def __init__(self, now: float) -> None:
        self._slots: list[dict[Hashable, None]] = [{} for _ in range(SLOTS)]
        self._slot_of: dict[Hashable, int] = {}
        self._next_slot = 0
        self.deadline = now
        """Monotonic time of the next slot."""

    def add(self, session: Hashable) -> int:
        """Give the session a place in the emptiest slot, the next of equals; returns the slot's number."""
        if session in self._slot_of:
            return self._slot_of[session]
        # Of slots that are equally full, the next to have its turn: the sound begins as soon as it can.
        coming = [(self._next_slot + step) % SLOTS for step in range(SLOTS)]
        slot = min(coming, key=lambda number: len(self._slots[number]))
        self._slots[slot][session] = None
        self._slot_of[session] = slot
        return slot

    def remove(self, session: Hashable) -> None:
        """Take the session out; harmless when it is not in."""
        slot = self._slot_of.pop(session, None)
        if slot is not None:
            del self._slots[slot][session]

    def __len__(self) -> int:
        return len(self._slot_of)

    def slot_of(self, session: Hashable) -> int | None:
        """Where a session has its place, None when it is not in."""
        return self._slot_of.get(session)

    def next_turn(self, slot: int) -> float:
        """Monotonic time at which the slot is due next."""
        return self.deadline + (slot - self._next_slot) % SLOTS * PERIOD_S / SLOTS

    def sessions(self, slot: int) -> list[Hashable]:
        """The sessions of a slot."""
        return list(self._slots[slot])

    def due(self, now: float) -> int | None:
        """The next slot if its time has come, else None. Call again until `deadline` lies ahead."""
        if now < self.deadline:
            return None
        # Shorter delays are made up, so that the grid does not drift.
        if now - self.deadline >= PERIOD_S:
            self.deadline = now
        slot = self._next_slot
        self._next_slot = (slot + 1) % SLOTS
        self.deadline += PERIOD_S / SLOTS
        return slot

"""How late packets leave: each slot against its place on the 20 ms grid. Pure."""

from typing import Any

from autodialer.histogram import LATENESS_BOUNDS_S, Histogram

LATE_S = 0.010
"""So much after its time a packet counts as late: the gap before it was half as long again as it should be."""


class Lateness:
    """Counted since the media process started; costs two additions a slot, whatever the number of calls."""

    def __init__(self) -> None:
        self.slots = Histogram(LATENESS_BOUNDS_S)
        """Seconds that the slots with packets came late."""
        self.packets = 0
        self.late_packets = 0

    def add(self, late_s: float, packets: int) -> None:
        """A slot has sent so many packets, `late_s` after its time."""
        if not packets:
            return
        self.slots.add(late_s)
        self.packets += packets
        if late_s > LATE_S:
            self.late_packets += packets

    def as_json(self) -> dict[str, Any]:
        """For the dialer."""
        return {"slots": self.slots.as_json(), "packets": self.packets, "late": self.late_packets}

"""How often a span was how long: counts by bounds, cheap enough for every tick and every packet's slot."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

TICK_BOUNDS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.04, 0.1, 0.25, 1.0)
"""Of a dialer's tick, which comes every 40 ms: what is longer holds up the next."""
LATENESS_BOUNDS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
"""Of packets that leave every 20 ms."""


class Histogram:
    """Values counted since the start, as Prometheus wants them: how many were at most each bound, and their sum.

    Not thread-safe: one thread adds. Another may read; what it sees is at most one value behind.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        """`bounds` rise; what is above the last one is counted too."""
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        """By the first bound that a value does not exceed; the last: above all."""
        self.total = 0.0
        """Sum of the values."""

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def as_json(self) -> dict[str, Any]:
        """What `histogram_of` reads again."""
        return {"bounds": list(self.bounds), "counts": list(self.counts), "total": round(self.total, 6)}

    def cumulative(self) -> list[tuple[str, float]]:
        """Bound -> values that do not exceed it, with `+Inf` for all."""
        running, pairs = 0, []
        for bound, count in zip([*map(str, self.bounds), "+Inf"], self.counts, strict=True):
            running += count
            pairs.append((bound, float(running)))
        return pairs


def histogram_of(value: Any) -> Histogram | None:
    """The histogram that `as_json` wrote; None for anything else, as another version may have written it."""
    try:
        found = Histogram([float(bound) for bound in value["bounds"]])
        counts = [int(count) for count in value["counts"]]
        total = float(value["total"])
    except (KeyError, TypeError, ValueError):
        return None
    if len(counts) != len(found.counts):
        return None
    found.counts, found.total = counts, total
    return found

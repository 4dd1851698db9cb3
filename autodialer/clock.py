"""The only place that reads the time. Everything else is handed `now`."""

import time
from datetime import UTC, datetime


class Clock:
    """The machine's clocks. Tests hand in a subclass that stands still until it is moved."""

    def utcnow(self) -> datetime:
        """Wall time, aware UTC, for records."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never step back, for pacing and timers."""
        return time.monotonic()


def from_epoch(seconds: float) -> datetime:
    """The aware UTC time of a UNIX time in seconds."""
    return datetime.fromtimestamp(seconds, UTC)

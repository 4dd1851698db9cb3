"""The calling window of a campaign, as a value; what follows from it is in autodialer.campaign.window."""

from dataclasses import dataclass
from datetime import time

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SUBSCRIBER_ZONE = "subscriber"
"""As the time zone of a window: each subscriber's own."""


@dataclass(frozen=True, kw_only=True)
class CallingWindow:
    """When subscribers may be called, by local time."""

    start: time
    end: time
    """Not later than `start`: on the next day; the same: all day."""
    days: tuple[str, ...] = WEEKDAYS
    """Days on which it starts, of WEEKDAYS."""
    timezone: str
    """IANA name, or `subscriber`: each subscriber's own."""
    fallback_timezone: str | None = None
    """IANA name for subscribers without a known zone, where the callbase has no zone either; None: the callbase's."""

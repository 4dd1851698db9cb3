"""The diary of a campaign: what happened to it, a line an event."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class DiaryEvent(StrEnum):
    """What a line tells."""

    CREATED = "created"
    STARTED = "started"
    PAUSED = "paused"
    RESUMED = "resumed"
    STOPPED = "stopped"
    FINISHED = "finished"
    CHANGED = "changed"
    ARCHIVED = "archived"
    UNARCHIVED = "unarchived"
    IMPORT_ENDED = "import_ended"
    IMPORT_FAILED = "import_failed"
    WINDOW_CLOSED = "window_closed"
    """Nobody of it may be called at this hour, or before its start."""
    WINDOW_OPENED = "window_opened"
    TRUNK_RESTED = "trunk_rested"
    TRUNK_CAME_BACK = "trunk_came_back"
    TRUNK_UNREGISTERED = "trunk_unregistered"
    """Its provider refuses the registration, or does not answer it."""
    TRUNK_REGISTERED = "trunk_registered"


REOPENINGS = frozenset({DiaryEvent.WINDOW_OPENED, DiaryEvent.TRUNK_CAME_BACK, DiaryEvent.TRUNK_REGISTERED})
"""Events that are worth a line only after their opposite."""


@dataclass(frozen=True, kw_only=True)
class DiaryNote:
    """What the dialer has seen of a campaign: one of two opposite events."""

    campaign_key: int
    event: DiaryEvent
    subject: str
    """What it happened to: window, trunk 5, ...; its event before was the same or the opposite."""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DiaryLine:
    """A line of the diary."""

    at: datetime
    event: DiaryEvent
    by: str | None
    """Login of the user who did it; None: a rule did it, or it happened."""
    details: Mapping[str, Any]
    times: int
    """How often it happened; a flapping trunk's events are merged into one line an hour."""
    last_at: datetime
    """When it happened last."""

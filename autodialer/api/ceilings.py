"""Ceilings of a day: those that a new user or trunk begins with, and what is told of a ceiling that is reached."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypedDict

from autodialer import report
from autodialer.config import Settings
from autodialer.errors import TooManyRequests
from autodialer.model.ceilings import next_day
from autodialer.store import Store


class Ceilings(TypedDict, total=False):
    """Most calls and minutes of a day; None: no ceiling."""

    max_calls_day: int | None
    max_minutes_day: int | None


def first_ceilings(settings: Settings, given: Mapping[str, Any]) -> Ceilings:
    """Those of the service's settings that the client has not given others for."""
    first = Ceilings()
    if "max_calls_day" not in given:
        first["max_calls_day"] = settings.max_calls_day or None
    if "max_minutes_day" not in given:
        first["max_minutes_day"] = settings.max_minutes_day or None
    return first


def refuse_at_ceiling(store: Store, owner_key: int, trunk_key: int, now: datetime) -> None:
    """Raises TooManyRequests for a single call of a user, or over a trunk, with no call left today."""
    for standing in store.day_uses.standings(owner_key, [trunk_key], now):
        if standing.use.reached is not None:
            wait_s = int((next_day(now) - now).total_seconds()) + 1
            raise TooManyRequests(report.ceiling_sentence(standing), details=[{"retry_after_s": wait_s}])

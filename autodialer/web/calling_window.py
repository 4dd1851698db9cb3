"""A campaign's hours as the API writes them: window, holidays, start and end."""

import zoneinfo
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from functools import cache
from typing import Any

from autodialer.errors import Invalid
from autodialer.model import SUBSCRIBER_ZONE, WEEKDAYS, CallingWindow, Campaign

Json = dict[str, Any]
HOURS = frozenset({"window", "holidays", "starts_at", "ends_at"})


def hours(fields: Mapping[str, Any]) -> Json:
    """Those of HOURS that are given, as the store takes them. Raises Invalid that names the field."""
    values: Json = {}
    if "window" in fields:
        values["window"] = None if fields["window"] is None else _window(fields["window"])
    if "holidays" in fields:
        values["holidays"] = tuple(sorted({_day(text) for text in fields["holidays"]}))
    for name in ("starts_at", "ends_at"):
        if name in fields:
            values[name] = None if fields[name] is None else moment_of(fields[name], name)
    return values


def check_hours(values: Mapping[str, Any], callbase_zone: str | None) -> None:
    """What has to fit together, of a campaign as it will be. Raises Invalid."""
    window, starts_at, ends_at = values.get("window"), values.get("starts_at"), values.get("ends_at")
    if starts_at is not None and ends_at is not None and ends_at <= starts_at:
        raise Invalid("ends_at has to come after starts_at.", field="ends_at")
    if values.get("holidays") and window is None:
        raise Invalid("holidays takes a window; say by whose time zone a day is one.", field="holidays")
    if window is None or window.timezone != SUBSCRIBER_ZONE:
        return
    if window.fallback_timezone is None and callbase_zone is None:
        message = (
            "window.fallback_timezone is needed: the callbase has no time zone, and a number may tell none; name the "
            "zone of subscribers of whom none is known, such as Europe/Moscow."
        )
        raise Invalid(message, field="window.fallback_timezone")


def present_hours(campaign: Campaign) -> Json:
    """The hours of a campaign."""
    return {
        "window": _present_window(campaign.window),
        "holidays": [day.isoformat() for day in campaign.holidays],
        "starts_at": _present_moment(campaign.starts_at),
        "ends_at": _present_moment(campaign.ends_at),
    }


def _present_window(window: CallingWindow | None) -> Json | None:
    if window is None:
        return None
    return {
        "start": f"{window.start:%H:%M}",
        "end": f"{window.end:%H:%M}",
        "days": list(window.days),
        "timezone": window.timezone,
        "fallback_timezone": window.fallback_timezone,
    }


def _present_moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _window(fields: Mapping[str, Any]) -> CallingWindow:
    return CallingWindow(
        start=_clock(fields["start"], "window.start"),
        end=_clock(fields["end"], "window.end"),
        days=tuple(day for day in WEEKDAYS if day in fields.get("days", WEEKDAYS)),
        timezone=_zone(fields["timezone"], "window.timezone", also=SUBSCRIBER_ZONE),
        fallback_timezone=_zone(fields.get("fallback_timezone"), "window.fallback_timezone"),
    )


def _clock(text: str, field: str) -> time:
    try:
        return time.fromisoformat(text).replace(second=0, microsecond=0, tzinfo=None)
    except ValueError as exc:
        raise Invalid(f"{field} takes a time of day such as 09:00; {text!r} is none.", field=field) from exc


def _zone(name: str | None, field: str, *, also: str | None = None) -> Any:
    if name is None or name == also or name in _zones():
        return name
    word = f", or {also}" if also else ""
    raise Invalid(f"{field} takes a name such as Europe/Moscow{word}; {name!r} is none.", field=field)


@cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as exc:
        raise Invalid(f"holidays takes days such as 2027-01-01; {text!r} is none.", field="holidays") from exc


def moment_of(text: str, field: str) -> datetime:
    """A time with its offset. Raises Invalid that names the field."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise Invalid(
            f"{field} takes a time such as 2027-01-01T09:00:00+03:00; {text!r} is none.", field=field
        ) from exc
    if moment.tzinfo is None:
        raise Invalid(f"{field} needs its offset from UTC, such as {text}+03:00 or {text}Z.", field=field)
    return moment.astimezone(UTC)

"""A campaign's hours: window, holidays, start and end as the API writes them, and how many they let be called when."""

import zoneinfo
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import cache
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator

from autodialer.api import present
from autodialer.api.present import Json
from autodialer.campaign.calling_hours import fallback_zone, next_call, zones_of
from autodialer.errors import Invalid
from autodialer.model import SUBSCRIBER_ZONE, WEEKDAYS, CallingWindow, Campaign
from autodialer.store import Store, ZoneCount
from autodialer.web.fields import Fields


class WindowFields(Fields):
    """A calling window as it is sent."""

    start: str
    end: str
    days: Sequence[str] = WEEKDAYS
    timezone: str
    fallback_timezone: str | None = None


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
            "window.fallback_timezone is needed: the callbase has no time zone, and some numbers do not tell theirs; "
            "name the zone for such subscribers, as in Europe/Moscow."
        )
        raise Invalid(message, field="window.fallback_timezone")


def present_hours(campaign: Campaign) -> Json:
    """The hours of a campaign."""
    return {
        "window": present_window(campaign.window),
        "holidays": [day.isoformat() for day in campaign.holidays],
        "starts_at": present.time(campaign.starts_at),
        "ends_at": present.time(campaign.ends_at),
    }


def present_window(window: CallingWindow | None) -> Json | None:
    """None: no window, always."""
    if window is None:
        return None
    return {
        "start": f"{window.start:%H:%M}",
        "end": f"{window.end:%H:%M}",
        "days": list(window.days),
        "timezone": window.timezone,
        "fallback_timezone": window.fallback_timezone,
    }


def window_of(sent: Any) -> CallingWindow | None:
    """A calling window. Raises Invalid that names the field."""
    if sent is None:
        return None
    fields = WindowFields.model_validate(sent)
    return CallingWindow(
        start=_clock(fields.start, "window.start"),
        end=_clock(fields.end, "window.end"),
        days=tuple(day for day in WEEKDAYS if day in fields.days),
        timezone=_zone(fields.timezone, "window.timezone", also=SUBSCRIBER_ZONE) or "",
        fallback_timezone=_zone(fields.fallback_timezone, "window.fallback_timezone"),
    )


def holidays_of(sent: Sequence[str]) -> tuple[date, ...]:
    """Days in their order, each once. Raises Invalid."""
    return tuple(sorted({_day(text) for text in sent}))


def _clock(text: str, field: str) -> time:
    try:
        return time.fromisoformat(text).replace(second=0, microsecond=0, tzinfo=None)
    except ValueError as exc:
        raise Invalid(f"{field} takes a time of day such as 09:00, not {text!r}.", field=field) from exc


def _zone(name: str | None, field: str, *, also: str | None = None) -> str | None:
    if name is None or name == also or name in _zones():
        return name
    word = f", or {also}" if also else ""
    raise Invalid(f"{field} takes a name such as Europe/Moscow{word}, not {name!r}.", field=field)


@cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as exc:
        raise Invalid(f"holidays takes days such as 2027-01-01, not {text!r}.", field="holidays") from exc


def moment_of(text: str, field: str) -> datetime:
    """A time with its offset. Raises Invalid that names the field."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise Invalid(f"{field} takes a time such as 2027-01-01T09:00:00+03:00, not {text!r}.", field=field) from exc
    if moment.tzinfo is None:
        raise Invalid(f"{field} needs its offset from UTC, such as {text}+03:00 or {text}Z.", field=field)
    try:
        return moment.astimezone(UTC)
    except OverflowError as exc:
        raise Invalid(f"{field} is beyond the years 1 to 9999 in UTC: {text!r}.", field=field) from exc


def _moment_or_none(field: str) -> BeforeValidator:
    return BeforeValidator(lambda sent: None if sent is None else moment_of(sent, field))


Window = Annotated[CallingWindow | None, BeforeValidator(window_of)]
Holidays = Annotated[tuple[date, ...], BeforeValidator(holidays_of)]
StartsAt = Annotated[datetime | None, _moment_or_none("starts_at")]
EndsAt = Annotated[datetime | None, _moment_or_none("ends_at")]


@dataclass(frozen=True, kw_only=True)
class ZonePreview:
    """The subscribers of one time zone."""

    timezone: str | None
    """IANA name; None: the campaign has no window, so the zone does not matter."""
    found_by: str | None
    """column, number, plan, callbase or campaign; None: the zone does not matter."""
    subscribers: int
    open: bool
    """Whether a call may be placed to them at that time."""
    opens_at: datetime | None
    """When a call may be; None: never within the campaign."""


def preview(store: Store, campaign: Campaign, at: datetime) -> list[ZonePreview]:
    """By zone, the largest first. Subscribers who have been reached or excluded meanwhile are counted too."""
    counts = store.callbases.zones(campaign.callbase_key)
    begin = at if campaign.starts_at is None else max(at, campaign.starts_at)
    over = campaign.ends_at is not None and begin >= campaign.ends_at
    if campaign.window is None:
        total, opens_at = sum(count.subscribers for count in counts), None if over else begin
        none = ZonePreview(timezone=None, found_by=None, subscribers=total, open=opens_at == at, opens_at=opens_at)
        return [none]
    zones = zones_of(store, campaign)
    found: Counter[tuple[str, str]] = Counter()
    for count in counts:
        name = zones[count.zone or ""]
        found[name, _found_by(store, campaign, count, name)] += count.subscribers
    previews = []
    for (name, found_by), subscribers in found.most_common():
        opens_at = None if over else next_call(campaign, ZoneInfo(name), begin)
        previews.append(
            ZonePreview(
                timezone=name, found_by=found_by, subscribers=subscribers, open=opens_at == at, opens_at=opens_at
            )
        )
    return previews


def _found_by(store: Store, campaign: Campaign, count: ZoneCount, name: str) -> str:
    if campaign.window is not None and campaign.window.timezone != SUBSCRIBER_ZONE:
        return "campaign"
    if count.found_by is not None:
        return count.found_by
    callbase = store.callbases.by_key(campaign.callbase_key)
    return "callbase" if callbase.timezone == name == fallback_zone(store, campaign) else "campaign"

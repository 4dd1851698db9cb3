"""How many subscribers of a campaign may be called at a given time."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from autodialer.campaign.calling_hours import fallback_zone, next_call, zones_of
from autodialer.model import SUBSCRIBER_ZONE, Campaign
from autodialer.store import Store, ZoneCount


@dataclass(frozen=True, kw_only=True)
class ZonePreview:
    """The subscribers of one time zone."""

    timezone: str | None
    """IANA name; None: the campaign has no window, so that none matters."""
    found_by: str | None
    """column, number, plan, callbase or campaign; None: none matters."""
    subscribers: int
    open: bool
    """Whether a call may be placed to them at that time."""
    opens_at: datetime | None
    """When one may be; None: never within the campaign."""


def preview(store: Store, campaign: Campaign, at: datetime) -> list[ZonePreview]:
    """By zone, the largest first. Whoever has been reached or excluded meanwhile is counted too."""
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

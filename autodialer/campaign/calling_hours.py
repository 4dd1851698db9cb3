"""When the subscribers of a campaign may be called: its window in their time zones, within its start and end."""

from datetime import datetime
from zoneinfo import ZoneInfo

from autodialer.campaign.window import Window
from autodialer.model import SUBSCRIBER_ZONE, Campaign
from autodialer.store import Store

SET_UP_S = 10.0
"""From the INVITE to the first ring at most, mostly: with the ring timeout, how late a call may be answered."""


def zones_of(store: Store, campaign: Campaign) -> dict[str, str]:
    """The time zones of a campaign's subscribers: as the callbase counts them -> IANA name that counts."""
    assert campaign.window is not None
    counted = {count.zone or "" for count in store.callbases.zones(campaign.callbase_key)}
    if campaign.window.timezone != SUBSCRIBER_ZONE:
        return dict.fromkeys(counted, campaign.window.timezone)
    fallback = fallback_zone(store, campaign)
    return {zone: zone or fallback for zone in counted}


def fallback_zone(store: Store, campaign: Campaign) -> str:
    """The zone of subscribers without a known zone: the callbase's, else the window's."""
    assert campaign.window is not None
    return store.callbases.by_key(campaign.callbase_key).timezone or campaign.window.fallback_timezone or "UTC"


def next_call(campaign: Campaign, zone: ZoneInfo, at: datetime) -> datetime | None:
    """The first moment from `at` on when subscribers in that zone may be called; None: never within the campaign."""
    assert campaign.window is not None
    window = Window.of(campaign.window, campaign.holidays)
    moment = window.next_allowed(at, zone, for_s=campaign.ring_timeout_s + SET_UP_S)
    if moment is None or (campaign.ends_at is not None and moment >= campaign.ends_at):
        return None
    return moment

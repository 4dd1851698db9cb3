"""When a campaign will be over. Pure."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from autodialer.campaign.window import Window
from autodialer.model import SUBSCRIBER_ZONE, Campaign, CampaignState
from autodialer.store import CampaignProgress


def estimate_eta_s(campaign: Campaign, progress: CampaignProgress, now: datetime) -> float | None:
    """Seconds to the end at the pace so far; 0 once ended, None while there is nothing to go by.

    Those who wait are waited for, to the last of them. Pace and rest are counted in hours in which the window is open;
    where each subscriber has an own time zone, by the fallback zone's.
    """
    counts = progress.counts
    if campaign.state in (CampaignState.FINISHED, CampaignState.STOPPED):
        return 0.0
    done = counts.reached + counts.exhausted + counts.excluded
    if campaign.state is not CampaignState.RUNNING or campaign.started_at is None or done == 0:
        return None
    began = max(campaign.started_at, campaign.starts_at or campaign.started_at)
    ends_at = _end_at_pace(campaign, began, now, left=counts.total - done, done=done)
    if ends_at is None:
        return None
    last_due = progress.last_due or progress.next_due or now
    return round(max((max(ends_at, last_due) - now).total_seconds(), 0.0), 1)


def _end_at_pace(campaign: Campaign, began: datetime, now: datetime, *, left: int, done: int) -> datetime | None:
    if campaign.window is None:
        return now + timedelta(seconds=max(0.0, (now - began).total_seconds()) * left / done)
    named = campaign.window.timezone
    zone = ZoneInfo(named if named != SUBSCRIBER_ZONE else campaign.window.fallback_timezone or "UTC")
    window = Window.of(campaign.window, campaign.holidays)
    return window.after_open_s(now, window.open_s(began, now, zone) * left / done, zone)

"""The subscribers who may be called now by the calling windows and by the campaigns' own start and end."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from autodialer.campaign.calling_hours import next_call, zones_of
from autodialer.model import Campaign, CampaignLimit, CampaignStatus, ClaimRequest
from autodialer.store import Store

LOOK_AGAIN = timedelta(seconds=5)
"""How long what is found out holds at most."""
CLOSING = timedelta(seconds=1)
"""The same where a window counts: `next_call` says when it opens, and not when it closes. New zones may come, too."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What a campaign may do for a while."""

    campaign: Campaign
    looked_at: datetime
    valid_until: datetime
    limit: CampaignLimit | None = None
    """Why none of its subscribers may be called; None: some may."""
    until: datetime | None = None
    """When that ends."""
    open_zones: frozenset[str] | None = None
    opens_at: dict[str, datetime | None] = field(default_factory=dict)

    def holds(self, campaign: Campaign, now: datetime) -> bool:
        """Whether it is still true: the clock may have been set, and the campaign changed."""
        # All that a standing follows from; a change of anything else leaves it as it is.
        rules = (self.campaign.window, self.campaign.holidays, self.campaign.starts_at, self.campaign.ends_at)
        same = rules == (campaign.window, campaign.holidays, campaign.starts_at, campaign.ends_at)
        same = same and self.campaign.ring_timeout_s == campaign.ring_timeout_s
        return same and self.looked_at <= now < self.valid_until


class Hours:
    """The standings of the running campaigns."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._standings: dict[int, Standing] = {}

    def look(self, campaigns: Iterable[Campaign], now: datetime) -> None:
        """Find out what has changed."""
        before, self._standings = self._standings, {}
        for campaign in campaigns:
            known = before.get(campaign.key)
            holds = known is not None and known.holds(campaign, now)
            self._standings[campaign.key] = known if known and holds else self._standing(campaign, now)

    @property
    def shut(self) -> set[int]:
        """Campaigns of which nobody may be called now."""
        return {key for key, standing in self._standings.items() if standing.limit is not None}

    def within(self, requests: Sequence[ClaimRequest]) -> list[ClaimRequest]:
        """The same requests, for subscribers whose windows are open only."""
        return [self._within(request) for request in requests]

    def _within(self, request: ClaimRequest) -> ClaimRequest:
        standing = self._standings.get(request.campaign_key)
        if standing is None or standing.open_zones is None:
            return request
        return replace(request, open_zones=standing.open_zones, zones_open_at=standing.opens_at)

    def statuses(self, statuses: Sequence[CampaignStatus]) -> list[CampaignStatus]:
        """The same live states, with why a campaign that is shut dials nothing."""
        return [self._status(status) for status in statuses]

    def _status(self, status: CampaignStatus) -> CampaignStatus:
        standing = self._standings.get(status.campaign_key)
        if standing is None or standing.limit is None:
            return status
        return replace(status, limited_by=standing.limit, until=standing.until)

    def _standing(self, campaign: Campaign, now: datetime) -> Standing:
        later = now + LOOK_AGAIN
        if campaign.ends_at is not None and now >= campaign.ends_at:
            limit = CampaignLimit.AFTER_END
            return Standing(campaign=campaign, looked_at=now, valid_until=later, limit=limit)
        ends = [campaign.ends_at] if campaign.ends_at is not None else []
        if campaign.starts_at is not None and now < campaign.starts_at:
            return Standing(
                campaign=campaign,
                looked_at=now,
                valid_until=min([later, campaign.starts_at, *ends]),
                limit=CampaignLimit.BEFORE_START,
                until=campaign.starts_at,
            )
        if campaign.window is None:
            return Standing(campaign=campaign, looked_at=now, valid_until=min([later, *ends]))
        return self._by_window(campaign, now, min([later, *ends]))

    def _by_window(self, campaign: Campaign, now: datetime, valid_until: datetime) -> Standing:
        zones = {
            zone: next_call(campaign, ZoneInfo(name), now) for zone, name in zones_of(self._store, campaign).items()
        }
        open_zones = frozenset(zone for zone, moment in zones.items() if moment == now)
        opens_at = {zone: moment for zone, moment in zones.items() if zone not in open_zones}
        coming = [moment for moment in opens_at.values() if moment is not None]
        # A window that closes is noticed within CLOSING; a call that is allowed now may ring longer than that.
        standing = Standing(
            campaign=campaign,
            looked_at=now,
            valid_until=min([valid_until, now + CLOSING, *coming]),
            open_zones=open_zones,
            opens_at=opens_at,
        )
        # Where a zone never opens again, its subscribers must be claimed, and so excluded.
        if open_zones or None in opens_at.values() or not zones:
            return standing
        return replace(standing, limit=CampaignLimit.WINDOW_CLOSED, until=min(coming))

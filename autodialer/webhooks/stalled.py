"""Campaigns that run and yet call nobody, for a reason that a person has to deal with: their owners are told once."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from autodialer.clock import Clock
from autodialer.model import Campaign
from autodialer.store import Store
from autodialer.webhooks.sentences import STALLED, stalled_sentence

logger = logging.getLogger(__name__)

AFTER = timedelta(minutes=1)
"""What passes by itself within that is no news: a trunk that rests for 30 s, a dialer that starts again."""
KIND = "campaign.state"
"""Notices that want this event hear of it."""


class Reason(Protocol):
    """Why a campaign does not dial."""

    @property
    def code(self) -> str:
        """A word for programs."""

    @property
    def message(self) -> str:
        """A sentence in English."""


Why = Callable[[Campaign, datetime], Sequence[Reason]]
"""The reasons why a campaign calls nobody; empty when it calls, or may start a call now."""


class StalledCampaigns:
    """Looks after running campaigns. What it remembers is lost with the process: then a person is told once more."""

    def __init__(self, store: Store, why: Why, clock: Clock | None = None) -> None:
        self._store = store
        self._why = why
        self._clock = clock or Clock()
        self._since: dict[int, datetime] = {}
        self._told: set[int] = set()

    def look(self) -> None:
        """Look at each campaign of an owner who wants to know. Raises Unavailable."""
        owners = self._store.notices.owners_wanting(KIND)
        running = self._store.queue.running_campaigns() if owners else []
        wanted = {
            campaign.key: campaign for campaign in running if campaign.owner_key in owners and not campaign.hidden
        }
        self._since = {key: since for key, since in self._since.items() if key in wanted}
        self._told &= wanted.keys()
        now = self._clock.utcnow()
        for campaign in wanted.values():
            reason = next((each for each in self._why(campaign, now) if each.code in STALLED), None)
            if reason is None:
                self._since.pop(campaign.key, None)
                self._told.discard(campaign.key)
            elif now - self._since.setdefault(campaign.key, now) >= AFTER and campaign.key not in self._told:
                self._tell(campaign, reason)

    def _tell(self, campaign: Campaign, reason: Reason) -> None:
        logger.info("campaign %s calls nobody: %s", campaign.id, reason.code)
        with self._store.transaction(durable=False):
            for notice in self._store.notices.wanting(KIND, campaign.owner_key):
                said = stalled_sentence(campaign.name, reason.code, reason.message, notice.language)
                self._store.notices.send(notice.key, *said)
        self._told.add(campaign.key)

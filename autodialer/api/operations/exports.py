"""Whole tables of a campaign to download."""

import threading
from collections.abc import Callable
from uuid import UUID

from autodialer.api.operations.base import Operations
from autodialer.clock import Clock
from autodialer.config import Settings
from autodialer.errors import TooManyRequests
from autodialer.model import Campaign
from autodialer.store import Store
from autodialer.web.caller import Caller
from autodialer.web.exports import calls_table, subscribers_table
from autodialer.web.tables import Download, Table

MOST_AT_ONCE = 3
"""Of the API's 8 threads: a download keeps one until the client has taken it all."""


class ExportOperations(Operations):
    """One method an operation. Each raises NotFound, and TooManyRequests while others are downloading."""

    def __init__(self, settings: Settings, store: Store, clock: Clock | None = None) -> None:
        super().__init__(settings, store, clock)
        self._slots = threading.BoundedSemaphore(MOST_AT_ONCE)

    def export_calls_csv(self, caller: Caller, campaign_id: UUID) -> Download:
        """The finished calls of a campaign."""
        return Download(self._table(caller, campaign_id, calls_table), "csv")

    def export_calls_xlsx(self, caller: Caller, campaign_id: UUID) -> Download:
        """The same as a workbook."""
        return Download(self._table(caller, campaign_id, calls_table), "xlsx")

    def export_subscribers_csv(self, caller: Caller, campaign_id: UUID) -> Download:
        """The subscribers of a campaign, and what became of them."""
        return Download(self._table(caller, campaign_id, subscribers_table), "csv")

    def export_subscribers_xlsx(self, caller: Caller, campaign_id: UUID) -> Download:
        """The same as a workbook."""
        return Download(self._table(caller, campaign_id, subscribers_table), "xlsx")

    def _table(
        self, caller: Caller, campaign_id: UUID, make: Callable[[Store, Campaign, Callable[[], None]], Table]
    ) -> Table:
        campaign = self._store.campaigns.get(campaign_id, caller.owner_key)
        if not self._slots.acquire(blocking=False):
            raise TooManyRequests(f"{MOST_AT_ONCE} tables are being downloaded; wait until one is through.")
        try:
            return make(self._store, campaign, _once(self._slots.release))
        except BaseException:
            self._slots.release()
            raise


def _once(deed: Callable[[], None]) -> Callable[[], None]:
    """Does it the first time only."""
    left = [deed]

    def do() -> None:
        if left:
            left.pop()()

    return do

"""Clears away what was deleted, draws the people of large follow-up campaigns, and forgets once an hour what the
settings say is old: a thread of the API."""

import logging
import threading
import time
from datetime import timedelta
from pathlib import Path

from autodialer.clock import Clock
from autodialer.config import Settings
from autodialer.errors import Unavailable
from autodialer.store import Store

logger = logging.getLogger(__name__)

EVERY_S = 3600.0
LONGEST_WAIT_S = 10.0
"""For the thread in the end; what it leaves undone is found again at the next start."""
FIRST_S = 60.0
"""After the start, when everything else is up."""
REFUSALS_DAYS = 90
"""Refused log-ins in the audit: long enough to look into an attack, and no store of what strangers type."""
USES_DAYS = 90
"""Of calls and minutes by day: only the present day counts; the others are there for the admin's eye."""
LOOK_S = 1.0
"""How often what was deleted is looked for. It is found in the database, so that a restart loses none of it."""
REPLACED_KEPT_S = 2 * 86400.0
"""Longer than the longest call, which ends with the recording that it began with."""
BETWEEN_CLEARINGS_S = 0.005
"""Between two batches of what is cleared away."""


class Housekeeping:
    """Deletes calls after `DIALER_CALLS_DAYS` and callbases after `DIALER_SUBSCRIBERS_DAYS`; 0: never.

    Deliveries of webhooks go after `DIALER_DELIVERIES_DAYS`. Of the audit it deletes refused log-ins after 90 days, and
    all after `DIALER_AUDIT_DAYS`. The rows of a callbase that is deleted, by a user or by this, of a
    deleted campaign, and what a deleted user has left, go in batches of 500.
    """

    def __init__(self, settings: Settings, store: Store, clock: Clock | None = None) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock or Clock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; what is being deleted now may take some seconds."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(LONGEST_WAIT_S)

    def forget(self) -> None:
        """Forget what is old now. Raises Unavailable."""
        now = self._clock.utcnow()
        if self._settings.subscribers_days:
            for callbase_id in self._store.retention.delete_callbases(
                now - timedelta(days=self._settings.subscribers_days)
            ):
                logger.info("callbase %s is deleted: its campaigns ended long ago", callbase_id)
        if self._settings.calls_days:
            deleted = self._store.retention.delete_calls(now - timedelta(days=self._settings.calls_days))
            if deleted:
                logger.info("%d calls older than %d days are deleted", deleted, self._settings.calls_days)
        forgotten = self._store.deliveries.forget(now - timedelta(days=self._settings.deliveries_days))
        if forgotten:
            logger.info("%d deliveries of webhooks are forgotten", forgotten)
        self._store.audit.forget(now - timedelta(days=REFUSALS_DAYS), refusals_only=True)
        if self._settings.audit_days:
            self._store.audit.forget(now - timedelta(days=self._settings.audit_days), refusals_only=False)
        self._store.day_uses.forget(now - timedelta(days=USES_DAYS))

    def _step(self) -> bool:
        of_callbases = self._store.callbases.clear_some()
        of_campaigns = self._store.clearing.clear_some()
        of_users = self._store.leaving.clear_some()
        return self._store.slices.draw_some() or of_callbases or of_campaigns or of_users

    def remove_replaced_sounds(self) -> None:
        """Remove files of recordings that have been replaced, or whose import was killed. Raises Unavailable."""
        folder = self._settings.sounds
        kept = {Path(path).stem for path in self._store.sounds.paths()}
        before = self._clock.utcnow().timestamp() - REPLACED_KEPT_S
        for file in folder.iterdir() if folder.is_dir() else ():
            try:
                if file.name.partition(".")[0] not in kept and file.is_file() and file.stat().st_mtime < before:
                    file.unlink()
                    logger.info("%s is removed: no sound has it any more", file.name)
            except OSError as exc:
                logger.error("%s of a replaced sound cannot be removed: %s", file.name, exc)

    def _run(self) -> None:
        due = time.monotonic() + FIRST_S
        is_more_left = True
        while not self._stopping.wait(BETWEEN_CLEARINGS_S if is_more_left else LOOK_S):
            try:
                is_more_left = self._step()
                if time.monotonic() >= due:
                    due = time.monotonic() + EVERY_S
                    self.forget()
                    self.remove_replaced_sounds()
            except Unavailable as exc:
                is_more_left = False
                logger.error("The database is not available; what is deleted or old is cleared away later: %s", exc)

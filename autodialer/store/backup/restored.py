"""What is done to a database that was put back, before anything dials from it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, func, select, update

from autodialer.clock import Clock
from autodialer.model import CampaignState, JobState
from autodialer.store.accounts.audit import Audit
from autodialer.store.accounts.tables import api_keys, token_families
from autodialer.store.campaigns.tables import campaigns
from autodialer.store.live.tables import commands, dialers
from autodialer.store.queue.tables import call_jobs
from autodialer.store.sql.batches import BATCH_ROWS
from autodialer.store.sql.column_types import new_id
from autodialer.store.sql.engine import Database


@dataclass(frozen=True, kw_only=True)
class Settled:
    """What was found running in a backup."""

    paused: list[str]
    """Names of the campaigns that ran."""
    sample_calls: int
    """Sample calls that waited and are not made any more."""
    cut_off: int
    """Calls that were under way at the instant of the backup; the next dialer records them as `interrupted`."""
    sessions: int
    """Log-ins that have ended."""
    api_keys: int
    """Keys that are good, with any that were revoked since the backup."""


class Restored:
    """Used on a database that no service works on."""

    def __init__(self, database: Database, audit: Audit, clock: Clock) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock

    def settle(self, made_at: datetime) -> Settled:
        """Let nothing go on by itself that was under way at `made_at`, when the copy was made.

        A backup knows nothing of the calls made after it: a campaign that went on would call these people again. What
        the API asked of the dialer then (a hang-up, a check that calls a number) is long past. And a session that was
        ended since, because a token was stolen, would be good again. One transaction.
        """
        now = self._clock.utcnow()
        runs = campaigns.c.state == CampaignState.RUNNING.value
        who = f"The restore of the backup of {made_at:%Y-%m-%d %H:%M:%S} UTC, which knows nothing of calls made since,"
        moved = {"moved_at": now, "moved_by": who}
        stop = {"state": CampaignState.STOPPED.value, "finished_at": now, "final_total": 1}
        with self._database.write() as connection:
            cut_off = connection.execute(
                select(func.count()).select_from(call_jobs).where(call_jobs.c.state == JobState.DIALING.value)
            ).scalar_one()
            names = select(campaigns.c.name).where(runs, ~campaigns.c.hidden).order_by(campaigns.c.key)
            paused = list(connection.execute(names).scalars())
            pause = update(campaigns).where(runs, ~campaigns.c.hidden)
            connection.execute(pause.values(state=CampaignState.PAUSED.value, **moved))
            # Nobody could find the campaign behind a sample call to resume it.
            samples = connection.execute(update(campaigns).where(runs, campaigns.c.hidden).values(**stop, **moved))
            _renew_call_ids(connection)
            connection.execute(delete(commands).where(commands.c.taken_at.is_(None)))
            connection.execute(delete(dialers))
            live = token_families.c.revoked_at.is_(None)
            ended = connection.execute(update(token_families).where(live).values(revoked_at=now))
            self._audit.append(None, "database.restored", details={"backup_of": made_at.isoformat(), "paused": paused})
            good = connection.execute(select(func.count()).select_from(api_keys)).scalar_one()
        return Settled(
            paused=paused, sample_calls=samples.rowcount, cut_off=cut_off, sessions=ended.rowcount, api_keys=good
        )


def _renew_call_ids(connection: Connection) -> None:
    """Of the jobs that wait: since the backup their calls may have been made, and a Call-ID is never used again.

    RFC 3261 section 8.1.1.4. The job of a call that was under way keeps its id, by which the call is ended.
    """
    queued = select(call_jobs.c.key).where(call_jobs.c.state == JobState.QUEUED.value)
    keys = list(connection.execute(queued).scalars())
    renew = update(call_jobs).where(call_jobs.c.key == bindparam("job")).values(call_id=bindparam("new"))
    for start in range(0, len(keys), BATCH_ROWS):
        connection.execute(renew, [{"job": key, "new": new_id()} for key in keys[start : start + BATCH_ROWS]])

"""The clock was set: jobs that wait for a span wait on as long as they were to."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, or_, select, update

from autodialer.errors import Unavailable
from autodialer.model import JobState
from autodialer.model.admission import MOMENTS
from autodialer.store.campaigns.stopping import SMALL_BATCH_ROWS
from autodialer.store.queue.tables import call_jobs
from autodialer.store.sql.engine import AnyRow, Database
from autodialer.store.sql.prepared import Prepared
from autodialer.store.sql.transitions import is_one_of

# A retry waits for a span, and so does a first attempt, which is due at once: it must not be in the future because the
# clock was put back. A window or a cap lets a number be called at a moment of the wall clock, which follows the clock.
_WAIT_FOR_A_SPAN = select(call_jobs.c.key, call_jobs.c.not_before).where(
    is_one_of(call_jobs.c.state, JobState.QUEUED),
    or_(call_jobs.c.waits_for.is_(None), call_jobs.c.waits_for.not_in(MOMENTS)),
)
# Only what is still as it was when the clock was set: a job queued since goes by the new time already.
_MOVE = Prepared(
    update(call_jobs)
    .where(
        call_jobs.c.key == bindparam("of_job"),
        is_one_of(call_jobs.c.state, JobState.QUEUED),
        call_jobs.c.not_before == bindparam("before"),
    )
    .values(not_before=bindparam("after"))
)


class Postponement:
    """All jobs that waited for a span at one moment, moved in small transactions.

    It sees the queue as it was when it was made, by a read transaction that is held until the last of them is moved.
    """

    def __init__(self, database: Database, span: timedelta, now: datetime) -> None:
        """Cheap: it reads a row. `now` is the new time. Raises Unavailable."""
        self._database = database
        self._span = span
        with ExitStack() as stack:
            connection = stack.enter_context(database.read())
            # Only a statement makes the transaction see one state of the queue.
            connection.execute(_WAIT_FOR_A_SPAN.limit(1)).all()
            self._reading = stack.pop_all()
        self._batches = self._in_batches(connection, now)
        self._batch: Sequence[AnyRow] = ()
        self.made_due = True
        """Jobs may be left that only the step has made due: to claim now would be to call too early."""

    def _in_batches(self, connection: Connection, now: datetime) -> Iterator[Sequence[AnyRow]]:
        """Those first that are due by the new time."""
        # Until the first kind is moved the dialer claims nothing, so it comes first.
        for is_due in (call_jobs.c.not_before <= now, call_jobs.c.not_before > now):
            rows = connection.execute(_WAIT_FOR_A_SPAN.where(is_due))
            while batch := rows.fetchmany(SMALL_BATCH_ROWS):
                yield batch
            self.made_due = False

    def move_some(self) -> bool:
        """Move up to 25; returns whether more may be left. Raises Unavailable, and may then be called again."""
        try:
            return self._move_some()
        except Unavailable:
            raise
        except Exception:
            # Nobody comes back to it, and claims must not wait for it for ever.
            self.close()
            raise

    def _move_some(self) -> bool:
        self._batch = self._batch or next(self._batches, ())
        if not self._batch:
            self.close()
            return False
        moved = [
            {"of_job": row.key, "before": row.not_before, "after": row.not_before + self._span} for row in self._batch
        ]
        with self._database.write(durable=False) as connection:
            _MOVE.execute(connection, moved)
        self._batch = ()
        return True

    def close(self) -> None:
        """Let go of the queue as it was. Idempotent."""
        self.made_due = False
        self._reading.close()

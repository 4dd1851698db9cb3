"""Erasing a person: number and name go from all rows, the outcomes of the calls stay in the statistics."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, Text, delete, func, or_, select, type_coerce, union, update

from autodialer.clock import Clock
from autodialer.errors import NotFound
from autodialer.model import CONSENT, JobState
from autodialer.model.admission import EXCLUDED_ERASED
from autodialer.store.accounts.tables import audit
from autodialer.store.calls.tables import call_traces, calls
from autodialer.store.campaigns.tables import campaigns
from autodialer.store.live.tables import trunk_checks
from autodialer.store.queue.frequency import owner_of_call
from autodialer.store.queue.jobs_of_people import cancel_queued_of, live_jobs_of
from autodialer.store.setup.callbases import ERASED
from autodialer.store.setup.dnc import API, row_of
from autodialer.store.setup.notation import notations
from autodialer.store.setup.tables import callbases, dnc, subscribers, trunks
from autodialer.store.sql.batches import BATCH_ROWS, PAUSE_S
from autodialer.store.sql.engine import AnyRow, Database, insert_into
from autodialer.store.sql.owned import owned_by

ERASED_CALL: Mapping[str, Any] = {
    "number": "",
    "digits": "",
    "digit_times": (),
    "key_results": (),
    "message": None,
    # A proxy may name the number in a Warning.
    "refusal_headers": None,
    **dict.fromkeys(CONSENT),
}
"""What a call row of an erased person holds."""


@dataclass(frozen=True, kw_only=True)
class Erasure:
    """What was erased."""

    subscribers: int
    calls: int
    traces: int
    jobs_cancelled: int
    """Calls that were still to be made."""
    under_way: bool
    """The person is being called just now; that call is recorded without the number."""


class Erasing:
    """Erases people."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def erase(
        self,
        subscriber_id: UUID,
        owner_key: int | None,
        *,
        all_callbases: bool = True,
        dnc_too: bool = False,
        record: Callable[[], object] = lambda: None,
    ) -> Erasure:
        """Erase the person behind a subscriber: from this callbase, or from all callbases and calls of its owner.

        With `dnc_too` the number is entered in the owner's DNC list, so that it is not called again when it comes back
        in another file. Erasing an erased subscriber changes nothing. `record` writes the audit, in the first
        transaction. Raises NotFound, Unavailable.

        The audit has no index by number, so it is read through outside the write lock, and a number with very many
        calls loses them in batches. The subscriber goes in the last transaction: an erasure that was cut short still
        finds the numbers there, and is made whole by asking again.
        """
        writing = _Recorded(self._database, record)
        with self._database.read() as connection:
            row = _find(connection, subscriber_id, owner_key)
            known = _numbers_of(connection, row)
        if not known:
            with writing.write():
                pass
            return Erasure(subscribers=0, calls=0, traces=0, jobs_cancelled=0, under_way=False)
        numbers = [each for number in known for each in notations(number)]
        seen, named = self._erase_most_audit(writing, numbers)
        early_calls, early_traces = self._erase_most_calls(writing, row, numbers, all_callbases=all_callbases)
        with writing.write() as connection:
            people = _same_number(connection, row, numbers) if all_callbases else [row]
            keys = [person.key for person in people]
            jobs = live_jobs_of(connection, people)
            call_ids = _erase_calls(connection, _calls_of(row, numbers, None if all_callbases else keys))
            traces = _delete_traces(connection, [*call_ids, *(job.call_id for job in jobs)])
            _erase_beside(connection, row.owner_key, numbers)
            _blank_audit(connection, [*named, *connection.execute(_audit_of(numbers, after=seen)).scalars()])
            connection.execute(update(subscribers).where(subscribers.c.key.in_(keys)).values(ERASED))
            if dnc_too:
                entry = row_of(row.owner_key, known[0], source=API, at=self._clock.utcnow())
                connection.execute(insert_into(self._database.dialect, dnc).values(entry).on_conflict_do_nothing())
            return Erasure(
                subscribers=len(keys),
                calls=early_calls + len(call_ids),
                traces=early_traces + traces,
                jobs_cancelled=cancel_queued_of(connection, jobs, EXCLUDED_ERASED),
                under_way=any(job.state == JobState.DIALING for job in jobs),
            )

    def _erase_most_audit(self, writing: "_Recorded", numbers: Collection[str]) -> tuple[int, Sequence[int]]:
        """Blank the entries that name these numbers but the last batch, a transaction a batch.

        Returns the key up to which the audit was read, and the keys of the last batch.
        """
        with self._database.read() as connection:
            seen = connection.execute(select(func.coalesce(func.max(audit.c.key), 0))).scalar_one()
            named = connection.execute(_audit_of(numbers, after=0)).scalars().all()
        while len(named) > BATCH_ROWS:
            with writing.write() as connection:
                _blank_audit(connection, named[:BATCH_ROWS])
            named = named[BATCH_ROWS:]
        return int(seen), named

    def _erase_most_calls(
        self, writing: "_Recorded", row: AnyRow, numbers: Collection[str], *, all_callbases: bool
    ) -> tuple[int, int]:
        """Blank all calls but the last batch, a transaction a batch; how many calls and traces that were.

        An extension may have been called a hundred thousand times.
        """
        calls_erased = traces_erased = 0
        query = _calls_of(row, numbers, None if all_callbases else [row.key]).limit(BATCH_ROWS + 1)
        while True:
            with self._database.read() as connection:
                found = connection.execute(query).all()
            if len(found) <= BATCH_ROWS:
                return calls_erased, traces_erased
            with writing.write() as connection:
                call_ids = _erase_calls(connection, query.limit(BATCH_ROWS))
                traces_erased += _delete_traces(connection, call_ids)
            calls_erased += len(call_ids)
            time.sleep(PAUSE_S)


class _Recorded:
    """Write transactions of one erasure; the first of them holds the audit row, so that nothing goes without it."""

    def __init__(self, database: Database, record: Callable[[], object]) -> None:
        self._database = database
        self._record: Callable[[], object] | None = record

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One of them."""
        with self._database.write() as connection:
            if self._record is not None:
                self._record()
            yield connection
        self._record = None


_PERSON = select(
    subscribers.c.key,
    subscribers.c.number,
    subscribers.c.second_number,
    subscribers.c.callbase_key,
    subscribers.c.deleted_at,
    callbases.c.owner_key,
).join(callbases, callbases.c.key == subscribers.c.callbase_key)


def _find(connection: Connection, subscriber_id: UUID, owner_key: int | None) -> AnyRow:
    query = owned_by(_PERSON.where(subscribers.c.id == subscriber_id), callbases, owner_key)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound
    return row


def _numbers_of(connection: Connection, row: AnyRow) -> list[str]:
    """What is known of the person; of a deleted subscriber only the calls have it. Empty: erased already."""
    if row.deleted_at is None:
        return [number for number in (row.number, row.second_number) if number]
    of_callbase = select(campaigns.c.key).where(campaigns.c.callbase_key == row.callbase_key)
    of_person = calls.c.campaign_key.in_(of_callbase) & (calls.c.subscriber_key == row.key) & (calls.c.number != "")
    return list(connection.execute(select(calls.c.number).where(of_person).distinct()).scalars())


def _same_number(connection: Connection, row: AnyRow, numbers: Collection[str]) -> Sequence[AnyRow]:
    """The subscribers of the owner who have one of these numbers, as first or second number."""
    of_owner = _PERSON.where(callbases.c.owner_key == row.owner_key)
    # Apart, for SQLite answers an OR of the two by reading all subscribers of the owner.
    either = union(
        of_owner.where(subscribers.c.number.in_(numbers)), of_owner.where(subscribers.c.second_number.in_(numbers))
    )
    return connection.execute(either).all()


def _calls_of(row: AnyRow, numbers: Collection[str], subscriber_keys: Collection[int] | None) -> Select[Any]:
    """The owner's calls of these numbers, of some subscribers only where they are given."""
    query = select(calls.c.key, calls.c.id).where(calls.c.number.in_(numbers), owner_of_call() == row.owner_key)
    return query if subscriber_keys is None else query.where(calls.c.subscriber_key.in_(subscriber_keys))


def _erase_calls(connection: Connection, wanted: Select[Any]) -> Sequence[UUID]:
    """Blank these calls; returns their public ids."""
    found = connection.execute(wanted).all()
    if found:
        connection.execute(update(calls).where(calls.c.key.in_([row.key for row in found])).values(ERASED_CALL))
    return [row.id for row in found]


def _delete_traces(connection: Connection, call_ids: Collection[UUID]) -> int:
    if not call_ids:
        return 0
    return connection.execute(delete(call_traces).where(call_traces.c.call_id.in_(call_ids))).rowcount


def _audit_of(numbers: Collection[str], *, after: int) -> Select[Any]:
    """The keys of the audit entries behind `after` that name one of these numbers. Reads all of them."""
    details = type_coerce(audit.c.details, Text)
    named = or_(*(details.contains(f'"{number}"', autoescape=True) for number in numbers))
    return select(audit.c.key).where(audit.c.key > after, named)


def _blank_audit(connection: Connection, keys: Collection[int]) -> None:
    if keys:
        connection.execute(update(audit).where(audit.c.key.in_(keys)).values(details=None))


def _erase_beside(connection: Connection, owner_key: int, numbers: Collection[str]) -> None:
    """The number where else it stands beside subscribers and calls: checks of trunks, remarks in the DNC list."""
    of_owner = select(trunks.c.key).where(trunks.c.owner_key == owner_key).scalar_subquery()
    checked = trunk_checks.c.number.in_(numbers) & trunk_checks.c.trunk_key.in_(of_owner)
    connection.execute(update(trunk_checks).where(checked).values(number=None))
    remarked = (dnc.c.owner_key == owner_key) & dnc.c.number.in_(numbers)
    connection.execute(update(dnc).where(remarked).values(comment=None))

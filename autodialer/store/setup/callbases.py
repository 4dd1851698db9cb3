"""Callbases and their import: rows come in batches, so that a claim never waits long for the write lock."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    ScalarSelect,
    Table,
    and_,
    case,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from autodialer.clock import Clock
from autodialer.errors import Conflict, NotFound
from autodialer.model import CONSENT, Callbase
from autodialer.model.diary import DiaryEvent
from autodialer.store.accounts.idempotency import forget_making, making_of
from autodialer.store.campaigns.diary import write_to_all_on
from autodialer.store.campaigns.tables import campaigns
from autodialer.store.campaigns.usage import refuse_while_in_use
from autodialer.store.figures.tables import callbase_destinations, callbase_zones
from autodialer.store.setup.tables import callbases, rejected_rows, subscribers
from autodialer.store.sql.batches import BATCH_ROWS, PAUSE_S
from autodialer.store.sql.column_types import new_id
from autodialer.store.sql.engine import AnyRow, Database, insert_into
from autodialer.store.sql.filtering import ALL, Narrowed, narrow
from autodialer.store.sql.owned import fetch_owned, not_deleted, owned_by
from autodialer.store.sql.paging import DEFAULT_LIMIT, Page, fetch_page
from autodialer.store.sql.prepared import Prepared
from autodialer.store.sql.transitions import CallbaseState, is_one_of

MOST_REASONS = 100
IMPORT_ENDED = "The callbase was deleted, or its import has ended."
ERASED = {
    "number": None,
    "second_number": None,
    "name": None,
    "comment": None,
    "timezone": None,
    "extra": None,
    **dict.fromkeys(CONSENT),
    "number_zone": None,
    "doubt": None,
    "destination": None,
}


@dataclass(frozen=True, kw_only=True)
class NewSubscriber:
    """A row of an import that was understood."""

    number: str
    """E.164 with the plus, or as written for a `raw` callbase."""
    name: str | None = None
    comment: str | None = None
    timezone: str | None = None
    number_zone: str | None = None
    """IANA name of the time zone that the number tells; None: it tells none, or several."""
    number_zone_by: str | None = None
    """number or plan."""
    second_number: str | None = None
    """In the same notation; called once the attempts at `number` are used up."""
    doubt: str | None = None
    """Why the number may be wrong; it is then dialled only by campaigns that say so."""
    destination: str | None = None
    """Where `number` leads; None: not found yet."""
    consent_source: str | None = None
    """Where the person agreed to be called; the two below tell when and to what, all as written."""
    consent_at: str | None = None
    consent_text: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ZoneCount:
    """Subscribers of one time zone."""

    zone: str | None
    """IANA name; None: their zone is not known."""
    found_by: str | None
    """column, number or plan; None: by nothing."""
    subscribers: int


@dataclass(frozen=True, kw_only=True)
class RejectedRow:
    """A row of an import that was not."""

    row: int
    """Its number in the file, as a spreadsheet counts."""
    value: str
    reason: str
    """A sentence for a person."""
    column: str | None = None
    """The header of the column that is at fault, or its letter; None: not kept."""

    rows: int | None = None
    """How many rows of this column and reason there are, of which this is the first; None: not counted."""

    def shown(self) -> str:
        """As a message has it."""
        return f"row {self.row}, column {self.column!r}, {self.value!r}: {self.reason}"

    def as_row(self) -> dict[str, Any]:
        """As the tables of rejected rows have it."""
        return {"row": self.row, "value": self.value, "reason": self.reason, "column_name": self.column}


class Callbases:
    """The callbases."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create(
        self,
        owner_key: int,
        *,
        name: str,
        region: str,
        timezone: str | None = None,
        reading: Mapping[str, Any] | None = None,
    ) -> Callbase:
        """A new callbase in state `importing`; `reading` is how its file is read."""
        values = {
            "id": new_id(),
            "owner_key": owner_key,
            "name": name,
            "region": region,
            "timezone": timezone,
            "reading": reading,
            "created_at": self._clock.utcnow(),
        }
        with self._database.write() as connection:
            return callbase_from(connection.execute(insert(callbases).values(values).returning(*callbases.c)).one())

    def get(self, callbase_id: UUID, owner_key: int | None) -> Callbase:
        """Raises NotFound."""
        with self._database.read() as connection:
            return callbase_from(fetch_owned(connection, callbases, callbase_id, owner_key))

    def by_key(self, key: int) -> Callbase:
        """A deleted one too. Raises NotFound."""
        with self._database.read() as connection:
            row = connection.execute(select(callbases).where(callbases.c.key == key)).one_or_none()
        if row is None:
            raise NotFound
        return callbase_from(row)

    def page(
        self, owner_key: int | None, wanted: Narrowed = ALL, *, limit: int = DEFAULT_LIMIT, after: str | None = None
    ) -> Page[Callbase]:
        """The callbases a user sees."""
        query = owned_by(select(callbases).where(not_deleted(callbases), ~callbases.c.hidden), callbases, owner_key)
        query = narrow(query, callbases, wanted)
        with self._database.read() as connection:
            return fetch_page(connection, query, callbases.c.key, callbase_from, limit=limit, after=after)

    def destinations(self, callbase_key: int) -> dict[str, int]:
        """Where its subscribers' numbers lead -> how many do; empty: those that no release has looked at yet."""
        query = select(callbase_destinations.c.destination, callbase_destinations.c.subscribers).where(
            callbase_destinations.c.callbase_key == callbase_key, callbase_destinations.c.subscribers > 0
        )
        with self._database.read() as connection:
            return {row.destination: row.subscribers for row in connection.execute(query)}

    def zones(self, callbase_key: int) -> list[ZoneCount]:
        """Its subscribers by time zone, the largest first; a deleted one has none."""
        query = (
            select(callbase_zones)
            .join(callbases, callbases.c.key == callbase_zones.c.callbase_key)
            .where(callbases.c.key == callbase_key, not_deleted(callbases), callbase_zones.c.subscribers > 0)
        )
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(callbase_zones.c.subscribers.desc())).all()
        return [
            ZoneCount(zone=row.zone or None, found_by=row.found_by or None, subscribers=row.subscribers) for row in rows
        ]

    def add_rows(self, callbase_key: int, rows: Sequence[NewSubscriber]) -> int:
        """Add at most 500 subscribers; returns how many were new; the others are counted as duplicates.

        Raises Conflict when the callbase has been deleted meanwhile, which cancels its import.
        """
        _check_batch(rows)
        with self._database.write() as connection:
            _check_importing(connection, callbase_key)
            inserted = insert_subscribers(connection, callbase_key, rows)
            self._count(connection, callbase_key, imported=inserted, duplicates=len(rows) - inserted)
        return inserted

    def add_batch(
        self, callbase_key: int, good: Sequence[NewSubscriber], bad: Sequence[RejectedRow], *, rows: int, rows_done: int
    ) -> None:
        """What a batch of an import brings and how far the import is then, as one short commit.

        At most 500 rows in all. Raises Conflict as `add_rows`.
        """
        _check_batch([*good, *bad])
        adding = _ADD_SUBSCRIBER[self._database.dialect]
        bound = adding.bind(self._database.sql_dialect, _subscriber_values(callbase_key, good))
        rejected = [{"callbase_key": callbase_key, **row.as_row()} for row in bad]
        with self._database.write() as connection:
            _check_importing(connection, callbase_key)
            inserted = adding.run(connection, bound).rowcount if bound else 0
            if rejected:
                connection.execute(insert(rejected_rows), rejected)
            counts = {"imported": inserted, "duplicates": len(good) - inserted, "rejected": len(bad)}
            added = {name: callbases.c[name] + count for name, count in counts.items() if count}
            _change_import(connection, callbase_key, rows=rows, rows_done=rows_done, **added)

    def add_rejected(self, callbase_key: int, rows: Sequence[RejectedRow]) -> None:
        """Keep at most 500 rejected rows with their reasons. Raises Conflict as `add_rows`."""
        _check_batch(rows)
        if not rows:
            return
        values = [{"callbase_key": callbase_key, **row.as_row()} for row in rows]
        with self._database.write() as connection:
            self._count(connection, callbase_key, rejected=len(rows))
            connection.execute(insert(rejected_rows), values)

    def progress(self, callbase_key: int, *, rows: int, rows_done: int) -> None:
        """How far the import is. Raises Conflict as `add_rows`."""
        with self._database.write() as connection:
            _change_import(connection, callbase_key, rows=rows, rows_done=rows_done)

    def finish(self, callbase_key: int, *, rows: int) -> Callbase:
        """The import is over: from now on campaigns dial the callbase. Raises Conflict as `add_rows`."""
        with self._database.write() as connection:
            ready = CallbaseState.READY.value
            changes: dict[str, Any] = {"state": ready, "rows": rows, "rows_done": rows}
            made = callbase_from(
                _change_import(connection, callbase_key, doubtful=_doubtful_of(callbase_key), **changes)
            )
            counts = {"imported": made.imported, "duplicates": made.duplicates, "rejected": made.rejected}
            write_to_all_on(connection, callbase_key, DiaryEvent.IMPORT_ENDED, self._clock.utcnow(), **counts)
            return made

    def fail(self, callbase_key: int, error: str) -> None:
        """The import failed: no subscriber of it stays, the rejected rows do. `error` is a sentence for a person.

        May be repeated when the database refused half-way. Raises Conflict as `add_rows`.
        """
        try:
            self._mark_failed(callbase_key, error)
        except Conflict:
            if self.by_key(callbase_key).state != CallbaseState.FAILED.value:
                raise
        self._empty(subscribers, callbase_key)

    def fail_unfinished(self) -> int:
        """At the start of the process that imports: imports that died with the one before have failed.

        What they brought is left to `clear_some`: a million rows take a minute.
        """
        importing = select(callbases.c.key).where(
            is_one_of(callbases.c.state, CallbaseState.IMPORTING), not_deleted(callbases)
        )
        with self._database.read() as connection:
            keys = connection.execute(importing).scalars().all()
        for key in keys:
            self._mark_failed(key, "The service stopped during the import; upload the file again.")
        return len(keys)

    def discard(self, callbase_key: int) -> None:
        """As if it had never been uploaded; for an upload that is refused after all. Harmless when it is gone."""
        with self._database.read() as connection:
            callbase_id = connection.execute(
                select(callbases.c.id).where(callbases.c.key == callbase_key)
            ).scalar_one_or_none()
            if callbase_id is None:
                return
            audit_keys = making_of(connection, callbase_id)
        with self._database.write() as connection:
            forget_making(connection, callbase_id, audit_keys)
            gone = update(callbases).where(callbases.c.key == callbase_key).values(deleted_at=self._clock.utcnow())
            connection.execute(gone)
        self._empty(subscribers, callbase_key)
        self._empty(rejected_rows, callbase_key)
        with self._database.write() as connection:
            connection.execute(delete(callbases).where(callbases.c.key == callbase_key))

    def delete(self, callbase_id: UUID, owner_key: int | None) -> None:
        """It disappears with its subscribers; an import of it ends. Raises NotFound, Conflict.

        Campaigns that called it keep their counts and calls: their subscribers lose number, name and all, not their id.
        This only marks it, which hides all of it at once; `clear_some` then takes a million rows away bit by bit.
        """
        with self._database.write() as connection:
            row = fetch_owned(connection, callbases, callbase_id, owner_key)
            refuse_while_in_use(connection, callbases, row.key)
            gone = update(callbases).where(callbases.c.key == row.key).values(deleted_at=self._clock.utcnow())
            connection.execute(gone)

    def clear_some(self) -> bool:
        """Take away up to 500 rows that a deleted callbase or a failed import has left, as one transaction.

        Returns whether more may be left; finding nothing costs one cheap read. Raises Unavailable.
        """
        with self._database.read() as connection:
            row = connection.execute(_LEFT_BEHIND.limit(1)).first()
        if row is not None:
            self._clear_batch(row)
        return row is not None

    def purge_deleted(self) -> None:
        """Take away all of it. Raises Unavailable."""
        while self.clear_some():
            time.sleep(PAUSE_S)

    def rejected(
        self, callbase_id: UUID, owner_key: int | None, *, limit: int = DEFAULT_LIMIT, after: str | None = None
    ) -> Page[RejectedRow]:
        """The rejected rows of an import, in the order of the file. Raises NotFound."""
        with self._database.read() as connection:
            callbase = fetch_owned(connection, callbases, callbase_id, owner_key)
            query = select(rejected_rows).where(rejected_rows.c.callbase_key == callbase.key)
            return fetch_page(connection, query, rejected_rows.c.key, _rejected_from, limit=limit, after=after)

    def rejected_by_reason(self, callbase_id: UUID, owner_key: int | None) -> list[RejectedRow]:
        """The first row of each column and reason, with how many there are, the most first. Raises NotFound."""
        with self._database.read() as connection:
            callbase = fetch_owned(connection, callbases, callbase_id, owner_key)
            return by_reason(connection, rejected_rows, rejected_rows.c.callbase_key == callbase.key)

    def _mark_failed(self, callbase_key: int, error: str) -> None:
        with self._database.write() as connection:
            _change_import(connection, callbase_key, state=CallbaseState.FAILED.value, error=error, imported=0)
            write_to_all_on(connection, callbase_key, DiaryEvent.IMPORT_FAILED, self._clock.utcnow(), error=error)

    def _count(self, connection: Connection, callbase_key: int, **added: int) -> None:
        _change_import(connection, callbase_key, **{name: callbases.c[name] + count for name, count in added.items()})

    def _clear_batch(self, left: AnyRow) -> None:
        of_callbase = subscribers.c.callbase_key == left.key
        if left.has_people and left.keeps_ids:
            some = _some_of(subscribers, of_callbase, _HAS_NUMBER)
            change: Executable = update(subscribers).values(ERASED).where(subscribers.c.key.in_(some))
        elif left.has_people:
            change = delete(subscribers).where(subscribers.c.key.in_(_some_of(subscribers, of_callbase)))
        elif left.has_rejected_rows:
            some = _some_of(rejected_rows, rejected_rows.c.callbase_key == left.key)
            change = delete(rejected_rows).where(rejected_rows.c.key.in_(some))
        else:
            change = delete(callbases).where(callbases.c.key == left.key)
        with self._database.write() as connection:
            connection.execute(change)

    def _empty(self, table: Table, callbase_key: int) -> None:
        batch = _some_of(table, table.c.callbase_key == callbase_key)
        emptying = delete(table).where(table.c.key.in_(batch))
        while True:
            with self._database.write() as connection:
                changed = connection.execute(emptying).rowcount
            if changed < BATCH_ROWS:
                return
            time.sleep(PAUSE_S)


def _some_of(table: Table, *conditions: ColumnElement[bool]) -> ScalarSelect[int]:
    return select(table.c.key).where(*conditions).limit(BATCH_ROWS).scalar_subquery()


# True of every number. Of `IS NOT NULL` SQLite makes no range of the index: each batch would walk over all the rows
# that those before it have erased.
_HAS_NUMBER = subscribers.c.number >= ""
_IS_USED = exists().where(campaigns.c.callbase_key == callbases.c.key)
_HAS_PEOPLE = exists().where(subscribers.c.callbase_key == callbases.c.key)
_HAS_NUMBERS = exists().where(subscribers.c.callbase_key == callbases.c.key, _HAS_NUMBER)
_HAS_REJECTED_ROWS = exists().where(rejected_rows.c.callbase_key == callbases.c.key)
_IS_DELETED = callbases.c.deleted_at.is_not(None)
_KEEPS_IDS = and_(_IS_DELETED, _IS_USED)
_FAILED = and_(not_deleted(callbases), is_one_of(callbases.c.state, CallbaseState.FAILED))
_LEFT_BEHIND = select(
    callbases.c.key,
    _KEEPS_IDS.label("keeps_ids"),
    case((_KEEPS_IDS, _HAS_NUMBERS), else_=_HAS_PEOPLE).label("has_people"),
    and_(_IS_DELETED, _HAS_REJECTED_ROWS).label("has_rejected_rows"),
).where(or_(and_(_IS_DELETED, or_(~_IS_USED, _HAS_NUMBERS, _HAS_REJECTED_ROWS)), and_(_FAILED, _HAS_PEOPLE)))
"""Deleted callbases of which rows are left, and failed imports whose first rows are."""


def insert_subscribers(connection: Connection, callbase_key: int, rows: Sequence[NewSubscriber]) -> int:
    """Insert what the callbase does not have yet; returns how many that were."""
    if not rows:
        return 0
    adding = _ADD_SUBSCRIBER[connection.dialect.name]
    return adding.execute(connection, _subscriber_values(callbase_key, rows)).rowcount


def _subscriber_values(callbase_key: int, rows: Sequence[NewSubscriber]) -> list[dict[str, Any]]:
    return [{"id": new_id(), "callbase_key": callbase_key, **vars(row)} for row in rows]


_ADD_SUBSCRIBER = {
    dialect: Prepared(
        insert_into(dialect, subscribers).on_conflict_do_nothing(),
        columns=[column.name for column in subscribers.c if column.name not in ("key", "deleted_at")],
    )
    for dialect in ("sqlite", "postgresql")
}


def _doubtful_of(callbase_key: int) -> ScalarSelect[int]:
    doubtful = (subscribers.c.callbase_key == callbase_key) & subscribers.c.doubt.is_not(None)
    return select(func.count()).select_from(subscribers).where(doubtful).scalar_subquery()


def _importing(callbase_key: int) -> ColumnElement[bool]:
    return and_(
        callbases.c.key == callbase_key, is_one_of(callbases.c.state, CallbaseState.IMPORTING), not_deleted(callbases)
    )


def _check_importing(connection: Connection, callbase_key: int) -> None:
    if connection.execute(select(callbases.c.key).where(_importing(callbase_key))).first() is None:
        raise Conflict(IMPORT_ENDED)


def _change_import(connection: Connection, callbase_key: int, **values: Any) -> AnyRow:
    statement = update(callbases).where(_importing(callbase_key)).values(values).returning(*callbases.c)
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise Conflict(IMPORT_ENDED)
    return row


def _check_batch(rows: Sequence[object]) -> None:
    if len(rows) > BATCH_ROWS:
        raise ValueError(f"at most {BATCH_ROWS} rows a transaction, not {len(rows)}")


def _rejected_from(row: AnyRow) -> RejectedRow:
    return RejectedRow(row=row.row, value=row.value, reason=row.reason, column=row.column_name)


def by_reason(connection: Connection, table: Table, of_import: ColumnElement[bool]) -> list[RejectedRow]:
    """See `Callbases.rejected_by_reason`."""
    first = func.min(table.c.key)
    groups = select(first.label("first"), func.count().label("rows")).where(of_import)
    groups = groups.group_by(table.c.column_name, table.c.reason).order_by(func.count().desc(), first)
    chosen = groups.limit(MOST_REASONS).subquery()
    query = select(table, chosen.c.rows).join(chosen, chosen.c.first == table.c.key)
    rows = connection.execute(query.order_by(chosen.c.rows.desc(), table.c.key)).all()
    return [replace(_rejected_from(row), rows=row.rows) for row in rows]


def callbase_from(row: AnyRow) -> Callbase:
    """The value of a row of `callbases`."""
    return Callbase(
        key=row.key,
        id=row.id,
        owner_key=row.owner_key,
        name=row.name,
        region=row.region,
        timezone=row.timezone,
        state=row.state,
        rows=row.rows,
        rows_done=row.rows_done,
        imported=row.imported,
        duplicates=row.duplicates,
        rejected=row.rejected,
        error=row.error,
        hidden=row.hidden,
        created_at=row.created_at,
        doubtful=row.doubtful,
        reading=row.reading,
    )

"""The subscribers of callbases."""

from collections.abc import Callable, Collection, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, CompoundSelect, Connection, Select, select, true, union, update
from sqlalchemy.exc import IntegrityError

from autodialer.clock import Clock
from autodialer.errors import Conflict, NotFound
from autodialer.model import CONSENT, Callbase, JobState, Subscriber
from autodialer.model.admission import EXCLUDED_DELETED
from autodialer.store.queue.jobs_of_people import cancel_queued_of, decide_again, live_jobs_of
from autodialer.store.setup.callbases import ERASED, NewSubscriber, callbase_from, insert_subscribers
from autodialer.store.setup.notation import notations
from autodialer.store.setup.tables import callbases, subscribers
from autodialer.store.sql.engine import AnyRow, Database, is_duplicate
from autodialer.store.sql.filtering import fetch_searched_page, has_part
from autodialer.store.sql.owned import fetch_owned, not_deleted, owned_by
from autodialer.store.sql.paging import DEFAULT_LIMIT, Page, decode_cursor, encode_cursor, fetch_page
from autodialer.store.sql.transitions import CallbaseState


class Subscribers:
    """The subscribers."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def page(
        self,
        callbase_id: UUID,
        owner_key: int | None,
        *,
        only_doubtful: bool = False,
        number: str | None = None,
        part: str | None = None,
        limit: int = DEFAULT_LIMIT,
        after: str | None = None,
    ) -> Page[Subscriber]:
        """The subscribers of a callbase, in the order of the file. Raises NotFound.

        `number` is a first or second number in either notation; `part` one of a name, a comment or a number. A search
        for a part goes through 20 000 subscribers a page: see `fetch_searched_page`.
        """
        with self._database.read() as connection:
            callbase = fetch_owned(connection, callbases, callbase_id, owner_key)
            query = select(subscribers).where(subscribers.c.callbase_key == callbase.key, not_deleted(subscribers))
            if only_doubtful:
                query = query.where(subscribers.c.doubt.is_not(None))
            if number is not None:
                of_callbase = subscribers.c.callbase_key == callbase.key
                query = query.where(subscribers.c.key.in_(_with_number(number, of_callbase)))
            found = None if part is None else has_part(part, *_SEARCHED)
            return fetch_searched_page(
                connection, query, subscribers.c.key, subscriber_from, found=found, limit=limit, after=after
            )

    def by_id(self, subscriber_id: UUID, owner_key: int | None) -> Subscriber:
        """One of a deleted callbase too. Raises NotFound."""
        query = owned_by(_NOT_DELETED.where(subscribers.c.id == subscriber_id), callbases, owner_key)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFound
        return subscriber_from(row)

    def with_callbase(self, subscriber_id: UUID, owner_key: int | None) -> tuple[Subscriber, Callbase]:
        """A subscriber, and the callbase it stands in. Raises NotFound."""
        with self._database.read() as connection:
            row = _fetch(connection, subscriber_id, owner_key)
            callbase = connection.execute(select(callbases).where(callbases.c.key == row.callbase_key)).one()
        return subscriber_from(row), callbase_from(callbase)

    def callbase_ids(self, keys: Collection[int]) -> dict[int, UUID]:
        """The public ids of callbases by their keys."""
        query = select(callbases.c.key, callbases.c.id).where(callbases.c.key.in_(keys))
        with self._database.read() as connection:
            return {row.key: row.id for row in connection.execute(query)}

    def by_number(
        self, number: str, owner_key: int | None, *, limit: int = DEFAULT_LIMIT, after: str | None = None
    ) -> Page[Subscriber]:
        """Those with this first or second number, in either notation, in all callbases that the user sees."""
        seen = select(callbases.c.key).where(not_deleted(callbases), ~callbases.c.hidden)
        within = subscribers.c.callbase_key.in_(owned_by(seen, callbases, owner_key))
        found = select(subscribers).where(subscribers.c.key.in_(_with_number(number, within)))
        with self._database.read() as connection:
            return fetch_page(connection, found, subscribers.c.key, subscriber_from, limit=limit, after=after)

    def add(self, callbase_id: UUID, owner_key: int | None, new: NewSubscriber) -> Subscriber:
        """Add a subscriber to a callbase that is ready; running campaigns on it will call the subscriber too.

        Raises NotFound, and Conflict when the callbase has the number or is still being imported.
        """
        with self._database.write() as connection:
            callbase = fetch_owned(connection, callbases, callbase_id, owner_key)
            if callbase.state != CallbaseState.READY:
                raise Conflict(f"The callbase is {callbase.state}; subscribers can be added once it is ready.")
            if not insert_subscribers(connection, callbase.key, [new]):
                raise Conflict(f"The callbase has {new.number} already.", field="number")
            connection.execute(
                update(callbases)
                .where(callbases.c.key == callbase.key)
                .values(
                    imported=callbases.c.imported + 1,
                    doubtful=callbases.c.doubtful + (0 if new.doubt is None else 1),
                )
            )
            same = (subscribers.c.callbase_key == callbase.key) & (subscribers.c.number == new.number)
            return subscriber_from(connection.execute(select(subscribers).where(same)).one())

    def change(
        self,
        subscriber_id: UUID,
        owner_key: int | None,
        changes_of: Callable[[Subscriber, Callbase], Mapping[str, Any]],
    ) -> Subscriber:
        """Give it other values, by the names of the fields of `NewSubscriber`; its id, and its history, stay.

        A campaign that is not done with it calls the number that it has then: a job that waits for hours or a cap of
        the old one is decided again. A call under way goes on. Raises NotFound; Conflict when the
        callbase has the number already, is still being imported, or the subscriber was erased.
        """
        try:
            with self._database.write() as connection:
                row, callbase = _fetch_ready(connection, subscriber_id, owner_key, "changed")
                if row.number is None:
                    raise Conflict("This person was erased; add a new subscriber instead.")
                changes = changes_of(subscriber_from(row), callbase)
                if not changes:
                    return subscriber_from(row)
                changed = update(subscribers).where(subscribers.c.key == row.key).values(dict(changes))
                after = connection.execute(changed.returning(*subscribers.c)).one()
                _count_doubtful(connection, callbase.key, (after.doubt is not None) - (row.doubt is not None))
                decide_again(connection, live_jobs_of(connection, [row]), self._clock.utcnow())
                return subscriber_from(after)
        except IntegrityError as exc:
            if not is_duplicate(exc, "subscribers.callbase_key", "subscribers.number"):
                raise
            raise Conflict("The callbase has a subscriber with this number already.", field="number") from exc

    def delete(self, subscriber_id: UUID, owner_key: int | None) -> bool:
        """The person leaves the callbase; returns whether the person is being called just now.

        Nothing queued is dialled any more, and a call under way goes on. Calls that were made keep their number. Number
        and name go at once; the row stays for the campaigns that met it, which count it as excluded (`deleted`).
        Raises NotFound; Conflict while the callbase is being imported.
        """
        with self._database.write() as connection:
            row, callbase = _fetch_ready(connection, subscriber_id, owner_key, "deleted")
            jobs = live_jobs_of(connection, [row])
            cancel_queued_of(connection, jobs, EXCLUDED_DELETED)
            gone = {**ERASED, "deleted_at": self._clock.utcnow()}
            connection.execute(update(subscribers).where(subscribers.c.key == row.key).values(gone))
            _count_doubtful(connection, callbase.key, -(row.doubt is not None))
            return any(job.state == JobState.DIALING for job in jobs)

    def page_of_all(
        self, owner_key: int | None, *, limit: int = DEFAULT_LIMIT, after: str | None = None
    ) -> Page[Subscriber]:
        """The subscribers of all callbases of a user, one callbase after the other; of everybody for an admin."""
        visible = owned_by(
            select(callbases.c.key).where(not_deleted(callbases), ~callbases.c.hidden), callbases, owner_key
        )
        callbase_key, key = _position(after) if after is not None else (0, 0)
        # The rest of one callbase, then those behind it. As one condition over both keys SQLite would begin each page
        # at the first callbase; by the subscriber's key alone it would read others' rows.
        parts = (
            (visible.where(callbases.c.key == callbase_key), subscribers.c.key > key),
            (visible.where(callbases.c.key > callbase_key), true()),
        )
        rows: list[AnyRow] = []
        with self._database.read() as connection:
            for within, behind in parts:
                query = select(subscribers).where(subscribers.c.callbase_key.in_(within), behind)
                query = query.where(subscribers.c.number.is_not(None), not_deleted(subscribers))
                query = query.order_by(subscribers.c.callbase_key, subscribers.c.key).limit(limit + 1 - len(rows))
                rows += connection.execute(query).all()
        last = rows[limit - 1] if len(rows) > limit else None
        following = f"{encode_cursor(last.callbase_key)}.{encode_cursor(last.key)}" if last else None
        return [subscriber_from(row) for row in rows[:limit]], following


_SEARCHED = (subscribers.c.name, subscribers.c.comment, subscribers.c.number, subscribers.c.second_number)


def _with_number(number: str, within: ColumnElement[bool]) -> CompoundSelect[Any]:
    """The keys of those who have it. Apart, for of a condition over both columns SQLite makes no search in an index."""
    of_column = (
        select(subscribers.c.key).where(within, column.in_(notations(number)))
        for column in (subscribers.c.number, subscribers.c.second_number)
    )
    return union(*of_column)


_NOT_DELETED = (
    select(subscribers).join(callbases, callbases.c.key == subscribers.c.callbase_key).where(not_deleted(subscribers))
)


def _fetch(connection: Connection, subscriber_id: UUID, owner_key: int | None) -> AnyRow:
    query: Select[Any] = owned_by(
        _NOT_DELETED.where(subscribers.c.id == subscriber_id, not_deleted(callbases)), callbases, owner_key
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound
    return row


def _fetch_ready(
    connection: Connection, subscriber_id: UUID, owner_key: int | None, deed: str
) -> tuple[AnyRow, Callbase]:
    row = _fetch(connection, subscriber_id, owner_key)
    found = connection.execute(select(callbases).where(callbases.c.key == row.callbase_key)).one()
    if found.state != CallbaseState.READY:
        raise Conflict(f"The callbase is {found.state}; its subscribers can be {deed} once it is ready.")
    return row, callbase_from(found)


def _count_doubtful(connection: Connection, callbase_key: int, more: int) -> None:
    if more:
        counted = update(callbases).where(callbases.c.key == callbase_key)
        connection.execute(counted.values(doubtful=callbases.c.doubtful + more))


def _position(cursor: str) -> tuple[int, int]:
    callbase, _, subscriber = cursor.partition(".")
    return decode_cursor(callbase), decode_cursor(subscriber)


def subscriber_from(row: AnyRow) -> Subscriber:
    """The value of a row of `subscribers`; an erased one has an empty number."""
    return Subscriber(
        key=row.key,
        id=row.id,
        callbase_key=row.callbase_key,
        number=row.number or "",
        name=row.name,
        comment=row.comment,
        timezone=row.timezone,
        second_number=row.second_number,
        doubt=row.doubt,
        **{name: row._mapping[name] for name in CONSENT},
        extra=row.extra,
    )

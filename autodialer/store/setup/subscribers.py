"""The subscribers of callbases."""

from uuid import UUID

from sqlalchemy import select, true, update

from autodialer.clock import Clock
from autodialer.errors import Conflict, NotFound
from autodialer.model import Subscriber
from autodialer.store.setup.callbases import NewSubscriber, insert_subscribers
from autodialer.store.setup.tables import callbases, subscribers
from autodialer.store.sql.engine import AnyRow, Database
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
        limit: int = DEFAULT_LIMIT,
        after: str | None = None,
    ) -> Page[Subscriber]:
        """The subscribers of a callbase, in the order of the file. Raises NotFound."""
        with self._database.read() as connection:
            callbase = fetch_owned(connection, callbases, callbase_id, owner_key)
            query = select(subscribers).where(subscribers.c.callbase_key == callbase.key)
            if only_doubtful:
                query = query.where(subscribers.c.doubt.is_not(None))
            return fetch_page(connection, query, subscribers.c.key, subscriber_from, limit=limit, after=after)

    def by_id(self, subscriber_id: UUID, owner_key: int | None) -> Subscriber:
        """Raises NotFound."""
        query = select(subscribers).join(callbases, callbases.c.key == subscribers.c.callbase_key)
        query = owned_by(query.where(subscribers.c.id == subscriber_id), callbases, owner_key)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFound
        return subscriber_from(row)

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
                query = query.where(subscribers.c.number.is_not(None))
                query = query.order_by(subscribers.c.callbase_key, subscribers.c.key).limit(limit + 1 - len(rows))
                rows += connection.execute(query).all()
        last = rows[limit - 1] if len(rows) > limit else None
        following = f"{encode_cursor(last.callbase_key)}.{encode_cursor(last.key)}" if last else None
        return [subscriber_from(row) for row in rows[:limit]], following


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
        extra=row.extra,
    )

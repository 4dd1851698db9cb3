"""DNC: numbers that are never dialled. Each user keeps a list; admins may keep entries for everybody."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Select, case, delete, exists, or_, select

from autodialer.clock import Clock
from autodialer.errors import Forbidden, NotFound
from autodialer.store.setup.notation import notations, notations_of
from autodialer.store.setup.tables import dnc
from autodialer.store.sql.engine import AnyRow, Database, insert_into
from autodialer.store.sql.owned import has_owner, owned_by
from autodialer.store.sql.paging import DEFAULT_LIMIT, Page, fetch_page

API = "api"
"""Source of what came through the API one by one; an import's is `import:<file name>`."""
FOR_EVERYBODY = "An administrator keeps this number off for everybody; only an administrator can take it off the list."


@dataclass(frozen=True, kw_only=True)
class DncEntry:
    """A number that must not be dialled."""

    number: str
    """As subscribers have it: E.164 with the plus, or the text of a `raw` callbase."""
    source: str
    """Where it came from: `api`, `import:<file name>`, `opt_out:<call id>`."""
    comment: str | None
    for_everybody: bool
    """Holds for the campaigns of all users, not only for those of the one who entered it."""
    created_at: datetime


class Dnc:
    """The lists of all users."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(
        self,
        owner_key: int,
        number: str,
        *,
        source: str = API,
        comment: str | None = None,
        for_everybody: bool = False,
    ) -> DncEntry:
        """Enter a number in this user's list; once more changes nothing."""
        new = self._row(owner_key, number, source, comment=comment, for_everybody=for_everybody)
        with self._database.write() as connection:
            connection.execute(insert_into(self._database.dialect, dnc).values(new).on_conflict_do_nothing())
            return _mine(connection, owner_key, number)

    def put(self, owner_key: int, number: str, **said: Any) -> DncEntry:
        """As `add`, but an entry that is there takes what is said: `comment`, `for_everybody`."""
        new = self._row(owner_key, number, API, **said)
        with self._database.write() as connection:
            statement = insert_into(self._database.dialect, dnc).values(new)
            there = [dnc.c.number, dnc.c.owner_key]
            if said:
                connection.execute(statement.on_conflict_do_update(index_elements=there, set_=said))
            else:
                connection.execute(statement.on_conflict_do_nothing())
            return _mine(connection, owner_key, number)

    def opt_out(self, number: str, owner_key: int, call_id: UUID) -> DncEntry:
        """The callee asked for it during the call: this owner's campaigns do not dial the number again."""
        return self.add(owner_key, number, source=f"opt_out:{call_id}")

    def remove(self, owner_key: int | None, number: str) -> None:
        """Take a number off (None: everybody's entries of it).

        Raises NotFound, and Forbidden for an entry that only an administrator may take off.
        """
        same = dnc.c.number.in_(notations(number))
        mine = same if owner_key is None else same & (dnc.c.owner_key == owner_key)
        with self._database.write() as connection:
            gone = connection.execute(delete(dnc).where(mine)).rowcount
            if gone:
                return
            if connection.execute(_seen_by(select(dnc.c.key).where(same), owner_key)).first() is not None:
                raise Forbidden(FOR_EVERYBODY)
            raise NotFound

    def page(
        self,
        owner_key: int | None,
        *,
        for_everybody: bool = False,
        limit: int = DEFAULT_LIMIT,
        after: str | None = None,
    ) -> Page[DncEntry]:
        """The entries that a user made; all entries for an admin; with `for_everybody`, those that hold for all."""
        query = select(dnc).where(dnc.c.for_everybody) if for_everybody else owned_by(select(dnc), dnc, owner_key)
        with self._database.read() as connection:
            return fetch_page(connection, query, dnc.c.key, _entry_from, limit=limit, after=after)

    def get(self, owner_key: int | None, number: str) -> DncEntry:
        """The entry that holds for a user: the user's own before one for everybody. Raises NotFound."""
        query = _seen_by(select(dnc).where(dnc.c.number.in_(notations(number))), owner_key)
        own_first = case((dnc.c.owner_key == owner_key, 0), else_=1)
        with self._database.read() as connection:
            row = connection.execute(query.order_by(own_first, dnc.c.key).limit(1)).one_or_none()
        if row is None:
            raise NotFound
        return _entry_from(row)

    def contains(self, number: str, owner_key: int) -> bool:
        """Whether this user's campaigns may not dial it."""
        query = _seen_by(select(dnc.c.key).where(dnc.c.number.in_(notations(number))), owner_key)
        with self._database.read() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def _row(self, owner_key: int, number: str, source: str, **more: Any) -> dict[str, Any]:
        return row_of(owner_key, number, source=source, at=self._clock.utcnow(), **more)


def row_of(
    owner_key: int,
    number: str,
    *,
    source: str,
    at: datetime,
    comment: str | None = None,
    for_everybody: bool = False,
) -> dict[str, Any]:
    """What an entry is in the table."""
    return {
        "owner_key": owner_key,
        "number": number,
        "source": source,
        "comment": comment,
        "for_everybody": for_everybody,
        "created_at": at,
    }


def is_barred(number: ColumnElement[Any], owner_key: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether a column's number, in either notation, is on the list of that owner or on everybody's."""
    holds = or_(dnc.c.owner_key == owner_key, dnc.c.for_everybody)
    return exists().where(dnc.c.number.in_(notations_of(number)), holds)


def _seen_by(query: Select[Any], owner_key: int | None) -> Select[Any]:
    mine = has_owner(dnc) if owner_key is None else dnc.c.owner_key == owner_key
    return query.where(or_(mine, dnc.c.for_everybody))


def _mine(connection: Connection, owner_key: int, number: str) -> DncEntry:
    mine = (dnc.c.owner_key == owner_key) & (dnc.c.number == number)
    return _entry_from(connection.execute(select(dnc).where(mine)).one())


def _entry_from(row: AnyRow) -> DncEntry:
    return DncEntry(
        number=row.number,
        source=row.source,
        comment=row.comment,
        for_everybody=row.for_everybody,
        created_at=row.created_at,
    )

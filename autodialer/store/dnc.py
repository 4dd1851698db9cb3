"""DNC: numbers that are never dialled, whoever entered them."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select

from autodialer.clock import Clock
from autodialer.errors import NotFound
from autodialer.store.engine import AnyRow, Database, insert_into
from autodialer.store.owned import owned_by
from autodialer.store.paging import DEFAULT_LIMIT, Page, fetch_page
from autodialer.store.tables import dnc


@dataclass(frozen=True, kw_only=True)
class DncEntry:
    """A number that must not be dialled."""

    number: str
    """As subscribers have it: E.164 with the plus, or the text of a `raw` callbase."""
    source: str
    """Where it came from: api, import, key."""
    comment: str | None
    created_at: datetime


class Dnc:
    """The list. Each user keeps his own entries, and everybody's are obeyed."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(self, owner_key: int, number: str, *, source: str = "api", comment: str | None = None) -> DncEntry:
        """Enter a number; once more changes nothing."""
        values = {
            "owner_key": owner_key,
            "number": number,
            "source": source,
            "comment": comment,
            "created_at": self._clock.utcnow(),
        }
        mine = (dnc.c.owner_key == owner_key) & (dnc.c.number == number)
        with self._database.write() as connection:
            connection.execute(insert_into(self._database.dialect, dnc).values(values).on_conflict_do_nothing())
            return _entry_from(connection.execute(select(dnc).where(mine)).one())

    def remove(self, owner_key: int | None, number: str) -> None:
        """Take a number off (None: everybody's entries of it). Raises NotFound."""
        condition = dnc.c.number == number
        if owner_key is not None:
            condition &= dnc.c.owner_key == owner_key
        with self._database.write() as connection:
            if connection.execute(delete(dnc).where(condition)).rowcount == 0:
                raise NotFound

    def page(self, owner_key: int | None, *, limit: int = DEFAULT_LIMIT, after: str | None = None) -> Page[DncEntry]:
        """The entries of a user; everybody's for an admin."""
        with self._database.read() as connection:
            query = owned_by(select(dnc), dnc, owner_key)
            return fetch_page(connection, query, dnc.c.key, _entry_from, limit=limit, after=after)

    def contains(self, number: str) -> bool:
        """Whether anybody has entered it."""
        with self._database.read() as connection:
            return connection.execute(select(dnc.c.key).where(dnc.c.number == number).limit(1)).first() is not None


def _entry_from(row: AnyRow) -> DncEntry:
    return DncEntry(number=row.number, source=row.source, comment=row.comment, created_at=row.created_at)

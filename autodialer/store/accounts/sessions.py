"""Sessions as people see them: where somebody is logged in, and how to end one. Their tokens are in tokens.py."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, update

from autodialer.clock import Clock
from autodialer.errors import NotFound
from autodialer.store.accounts.tables import token_families
from autodialer.store.sql.engine import AnyRow, Database
from autodialer.store.sql.paging import DEFAULT_LIMIT, Page, fetch_page

USE_WRITTEN_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Session:
    """One log-in that has not ended."""

    id: UUID
    created_at: datetime
    last_used_at: datetime | None
    """Within a minute; None: not since the log-in."""
    expires_at: datetime
    """When it ends, unless it is renewed before."""
    address: str | None
    """Of the client that used it last."""
    program: str | None
    """What the client that logged in calls itself."""


class Sessions:
    """The sessions of all users."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def page(self, user_key: int, *, limit: int = DEFAULT_LIMIT, after: str | None = None) -> Page[Session]:
        """Those of a user that are alive, newest first."""
        query = select(token_families).where(
            token_families.c.user_key == user_key,
            token_families.c.revoked_at.is_(None),
            token_families.c.expires_at > self._clock.utcnow(),
        )
        with self._database.read() as connection:
            return fetch_page(
                connection, query, token_families.c.key, _session_from, limit=limit, after=after, newest_first=True
            )

    def end(self, session_id: UUID, user_key: int) -> None:
        """End a session of this user: its tokens are refused from now on. Raises NotFound where none is alive."""
        now = self._clock.utcnow()
        alive = (
            (token_families.c.id == session_id)
            & (token_families.c.user_key == user_key)
            & token_families.c.revoked_at.is_(None)
            & (token_families.c.expires_at > now)
        )
        with self._database.write() as connection:
            if connection.execute(update(token_families).where(alive).values(revoked_at=now)).rowcount == 0:
                raise NotFound

    def write_use(self, session_id: UUID, address: str | None) -> None:
        """Write down that the session is used now, from there. Raises Unavailable."""
        using = update(token_families).where(token_families.c.id == session_id)
        with self._database.write(durable=False) as connection:
            connection.execute(using.values(last_used_at=self._clock.utcnow(), address=address))


def is_use_due(last_used_at: datetime | None, now: datetime) -> bool:
    """Whether it is time to write down that a session is used: not at each request, which would write all the time."""
    return last_used_at is None or not now - USE_WRITTEN_EVERY < last_used_at <= now


def _session_from(row: AnyRow) -> Session:
    return Session(
        id=row.id,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        expires_at=row.expires_at,
        address=row.address,
        program=row.program,
    )

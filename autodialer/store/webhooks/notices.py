"""Notices: sentences for people, on their way to mail, messengers and the like. Their addresses are secrets."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, select, update

from autodialer.clock import Clock
from autodialer.errors import Conflict, NotFound, SettingsError
from autodialer.store.sql.column_types import new_id
from autodialer.store.sql.engine import AnyRow, Database
from autodialer.store.sql.owned import owned_by
from autodialer.store.sql.paging import DEFAULT_LIMIT, Page, fetch_page
from autodialer.store.sql.secrets import Secrets
from autodialer.store.webhooks.tables import notice_messages, notices

MOST_OF_AN_OWNER = 50
MOST_UNSENT = 100
"""Of one notice; further messages push the oldest out: nobody reads a hundred."""


@dataclass(frozen=True, kw_only=True)
class NoticeSettings:
    """What a user says of a notice."""

    name: str
    url: str = field(repr=False)
    """Where it goes, in the words of the apprise library, with its secrets."""
    shown: str
    """The same without secrets."""
    events: Sequence[str]
    language: str
    """ru or en."""
    active: bool = True


@dataclass(frozen=True, kw_only=True)
class Notice(NoticeSettings):
    """A notice, stored."""

    key: int
    id: UUID
    owner_key: int
    note: str | None
    """Why the last message did not go out, a sentence for a person; None: it did."""
    sent_at: datetime | None
    """When the last message went out; None: none has."""
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Unsent:
    """A message that is to go out."""

    key: int
    notice_key: int
    title: str
    body: str
    attempts: int


class Notices:
    """The notices."""

    def __init__(self, database: Database, secrets: Secrets, clock: Clock) -> None:
        self._database = database
        self._secrets = secrets
        self._clock = clock

    def create(self, owner_key: int, settings: NoticeSettings) -> Notice:
        """A new one. Raises Conflict when the owner has enough."""
        notice_id = new_id()
        values = self._columns(settings, notice_id)
        values |= {"id": notice_id, "owner_key": owner_key, "created_at": self._clock.utcnow()}
        count = select(func.count()).select_from(notices).where(notices.c.owner_key == owner_key)
        with self._database.write() as connection:
            if (has := connection.execute(count).scalar_one()) >= MOST_OF_AN_OWNER:
                raise Conflict(f"There are {has} notices already; delete one first.")
            connection.execute(insert(notices).values(values))
            return self._notice_from(_fetch(connection, notice_id, None))

    def get(self, notice_id: UUID, owner_key: int | None) -> Notice:
        """Raises NotFound."""
        with self._database.read() as connection:
            return self._notice_from(_fetch(connection, notice_id, owner_key))

    def by_key(self, key: int) -> Notice | None:
        """None: it has been deleted."""
        with self._database.read() as connection:
            row = connection.execute(select(notices).where(notices.c.key == key)).one_or_none()
        return None if row is None else self._notice_from(row)

    def page(self, owner_key: int | None, *, limit: int = DEFAULT_LIMIT, after: str | None = None) -> Page[Notice]:
        """Those that a user sees."""
        query = owned_by(select(notices), notices, owner_key)
        with self._database.read() as connection:
            return fetch_page(connection, query, notices.c.key, self._notice_from, limit=limit, after=after)

    def update(self, notice_id: UUID, owner_key: int | None, settings: NoticeSettings) -> Notice:
        """Take over these settings. Raises NotFound."""
        with self._database.write() as connection:
            row = _fetch(connection, notice_id, owner_key)
            before = self._notice_from(row)
            values = self._columns(settings, notice_id)
            if settings.url == before.url:
                # An address that cannot be read now must not be overwritten by the empty one it seems to be.
                del values["url"]
            else:
                values["note"] = None
            connection.execute(update(notices).where(notices.c.key == row.key).values(values))
            return self._notice_from(_fetch(connection, notice_id, owner_key))

    def delete(self, notice_id: UUID, owner_key: int | None) -> None:
        """It goes with its messages. Raises NotFound."""
        with self._database.write() as connection:
            row = _fetch(connection, notice_id, owner_key)
            connection.execute(delete(notices).where(notices.c.key == row.key))

    def wanting(self, kind: str, owner_key: int) -> list[Notice]:
        """The active ones of this owner that want such an event."""
        query = select(notices).where(notices.c.owner_key == owner_key, notices.c.active)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [self._notice_from(row) for row in rows if kind in row.events.split()]

    def owners_wanting(self, kind: str) -> set[int]:
        """Owners with an active notice that wants such an event."""
        with self._database.read() as connection:
            rows = connection.execute(select(notices.c.owner_key, notices.c.events).where(notices.c.active)).all()
        return {row.owner_key for row in rows if kind in row.events.split()}

    def send(self, notice_key: int, title: str, body: str) -> None:
        """It goes out as soon as can be."""
        now = self._clock.utcnow()
        values = {"notice_key": notice_key, "title": title, "body": body, "at": now, "next_at": now}
        of_notice = select(notice_messages.c.key).where(notice_messages.c.notice_key == notice_key)
        too_old = of_notice.order_by(notice_messages.c.key.desc()).offset(MOST_UNSENT)
        with self._database.write(durable=False) as connection:
            connection.execute(insert(notice_messages).values(values))
            connection.execute(delete(notice_messages).where(notice_messages.c.key.in_(too_old.limit(MOST_UNSENT))))

    def due(self, limit: int) -> list[Unsent]:
        """Messages whose turn has come, the oldest first."""
        query = select(notice_messages).where(notice_messages.c.next_at <= self._clock.utcnow())
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(notice_messages.c.next_at).limit(limit)).all()
        return [
            Unsent(key=row.key, notice_key=row.notice_key, title=row.title, body=row.body, attempts=row.attempts)
            for row in rows
        ]

    def sent(self, message: Unsent, *, note: str | None = None, next_at: datetime | None = None) -> None:
        """It went out, or, for the reason in `note`, did not; it is tried again at `next_at`, and never without."""
        this = notice_messages.c.key == message.key
        with self._database.write(durable=False) as connection:
            if next_at is None:
                connection.execute(delete(notice_messages).where(this))
            else:
                again = {"next_at": next_at, "attempts": message.attempts + 1}
                connection.execute(update(notice_messages).where(this).values(again))
            values: dict[str, Any] = {"note": note}
            if note is None:
                values["sent_at"] = self._clock.utcnow()
            connection.execute(update(notices).where(notices.c.key == message.notice_key).values(values))

    def _columns(self, settings: NoticeSettings, notice_id: UUID) -> dict[str, Any]:
        return {
            "name": settings.name,
            "url": self._secrets.encrypt(settings.url, context=notice_id.bytes),
            "shown": settings.shown,
            "events": " ".join(settings.events),
            "language": settings.language,
            "active": settings.active,
        }

    def _notice_from(self, row: AnyRow) -> Notice:
        try:
            url = self._secrets.decrypt(row.url, context=row.id.bytes)
        except SettingsError:
            url = ""
        return Notice(
            key=row.key,
            id=row.id,
            owner_key=row.owner_key,
            name=row.name,
            url=url,
            shown=row.shown,
            events=tuple(row.events.split()),
            language=row.language,
            active=row.active,
            note=row.note,
            sent_at=row.sent_at,
            created_at=row.created_at,
        )


def _fetch(connection: Connection, notice_id: UUID, owner_key: int | None) -> AnyRow:
    query = owned_by(select(notices).where(notices.c.id == notice_id), notices, owner_key)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound
    return row

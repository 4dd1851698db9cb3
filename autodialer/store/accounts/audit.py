"""Audit: who did what, and when."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, select

from autodialer.clock import Clock
from autodialer.store.accounts.tables import audit, users
from autodialer.store.sql.engine import AnyRow, Database
from autodialer.store.sql.paging import DEFAULT_LIMIT, Page, fetch_page


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """Something that was done."""

    at: datetime
    user_id: UUID | None
    """None: the service itself, or a person who could not log in."""
    login: str | None
    """Of a deleted user: the one it had."""
    action: str
    """A verb and what it was done to: campaign.start, auth.refused."""
    object_kind: str | None
    object_id: UUID | None
    details: Mapping[str, Any]
    """Never a password or a token."""
    address: str | None
    """Of the client."""


class Audit:
    """The record. It only grows."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def append(
        self,
        user_key: int | None,
        action: str,
        *,
        object_kind: str | None = None,
        object_id: UUID | None = None,
        details: Mapping[str, Any] | None = None,
        address: str | None = None,
    ) -> None:
        """Write down that `user_key` did it, now."""
        values = {
            "at": self._clock.utcnow(),
            "user_key": user_key,
            "action": action,
            "object_kind": object_kind,
            "object_id": object_id,
            "details": details,
            "address": address,
        }
        with self._database.write() as connection:
            connection.execute(insert(audit).values(values))

    def page(self, *, limit: int = DEFAULT_LIMIT, after: str | None = None) -> Page[AuditEntry]:
        """All entries, newest first."""
        login = func.coalesce(users.c.former_login, users.c.login).label("login")
        query = select(audit, users.c.id.label("user_id"), login).outerjoin(users, users.c.key == audit.c.user_key)
        with self._database.read() as connection:
            return fetch_page(connection, query, audit.c.key, _entry_from, limit=limit, after=after, newest_first=True)


def _entry_from(row: AnyRow) -> AuditEntry:
    return AuditEntry(
        at=row.at,
        user_id=row.user_id,
        login=row.login,
        action=row.action,
        object_kind=row.object_kind,
        object_id=row.object_id,
        details=row.details,
        address=row.address,
    )

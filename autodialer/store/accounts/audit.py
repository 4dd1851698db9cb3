"""Audit: who did what, and when."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, or_, select

from autodialer.clock import Clock
from autodialer.store.accounts.tables import audit, users
from autodialer.store.accounts.users import fold_login
from autodialer.store.sql.batches import BATCH_ROWS, PAUSE_S
from autodialer.store.sql.engine import AnyRow, Database, insert_into
from autodialer.store.sql.filtering import ALL, Narrowed, within
from autodialer.store.sql.paging import DEFAULT_LIMIT, Page, fetch_page

REFUSED = "auth.refused"
"""A log-in with a wrong login or password."""


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
    times: int = 1
    """How often it happened: of refused log-ins, those of a login from an address within an hour are one entry."""


class Audit:
    """The record. What was done is never changed, and kept as long as the settings say."""

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

    def append_refusal(self, login: str, address: str | None) -> None:
        """Write down a refused log-in, by login and address one row an hour: a guesser must not fill the disk."""
        now = self._clock.utcnow()
        added = insert_into("sqlite", audit)  # PostgreSQL takes the same words
        statement = added.values(
            at=now,
            action=REFUSED,
            details={"login": login},
            address=address,
            merged_by=json.dumps([f"{now:%Y-%m-%dT%H}", address, login]),
        ).on_conflict_do_update(
            index_elements=[audit.c.merged_by],
            index_where=audit.c.merged_by.is_not(None),
            set_={"times": audit.c.times + 1, "at": added.excluded.at},
        )
        with self._database.write() as connection:
            connection.execute(statement)

    def forget(self, before: datetime, *, refusals_only: bool) -> int:
        """Delete entries from before then, refused log-ins alone or all; returns how many."""
        old = select(audit.c.key).where(audit.c.at < before)
        if refusals_only:
            old = old.where(audit.c.action == REFUSED)
        deleted = after = 0
        while True:
            # Found outside the write lock: the search walks over what stays.
            with self._database.read() as connection:
                keys = (
                    connection.execute(old.where(audit.c.key > after).order_by(audit.c.key).limit(BATCH_ROWS))
                    .scalars()
                    .all()
                )
            if not keys:
                return deleted
            after = keys[-1]
            with self._database.write() as connection:
                deleted += connection.execute(delete(audit).where(audit.c.key.in_(keys))).rowcount
            time.sleep(PAUSE_S)

    def page(
        self,
        wanted: Narrowed = ALL,
        *,
        login: str | None = None,
        action: str | None = None,
        limit: int = DEFAULT_LIMIT,
        after: str | None = None,
    ) -> Page[AuditEntry]:
        """The entries, newest first; of one user, or of one action, where they are named."""
        shown = func.coalesce(users.c.former_login, users.c.login).label("login")
        query = select(audit, users.c.id.label("user_id"), shown).outerjoin(users, users.c.key == audit.c.user_key)
        query = within(query, audit.c.at, wanted)
        if login is not None:
            query = query.where(audit.c.user_key.in_(self._keys_of(login)))
        if action is not None:
            query = query.where(audit.c.action == action)
        with self._database.read() as connection:
            return fetch_page(connection, query, audit.c.key, _entry_from, limit=limit, after=after, newest_first=True)

    def _keys_of(self, login: str) -> list[int]:
        """The user who has this login, and the deleted ones who had it.

        Asked for by themselves: from the users SQLite would not read the audit in the order of the page.
        """
        folded = fold_login(login)
        had = select(users.c.key).where(or_(users.c.login == folded, users.c.former_login == folded))
        with self._database.read() as connection:
            return list(connection.execute(had).scalars())


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
        times=row.times,
    )

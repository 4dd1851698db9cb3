"""Checks of trunks: asked by the API, done by the dialer."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, insert, select, update

from autodialer.clock import Clock
from autodialer.store.live.tables import trunk_checks
from autodialer.store.sql.column_types import new_id
from autodialer.store.sql.engine import Database

CHECKS_KEPT_FOR = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class AskedCheck:
    """A check that the dialer is to do."""

    id: UUID
    trunk_key: int
    number: str | None
    """To call, E.164 or as written; None: no call."""


class Checks:
    """The checks."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def ask(self, trunk_key: int, number: str | None) -> UUID:
        """A new check; its id. Those of yesterday are forgotten."""
        check_id, now = new_id(), self._clock.utcnow()
        values = {"id": check_id, "trunk_key": trunk_key, "number": number, "asked_at": now}
        with self._database.write() as connection:
            connection.execute(delete(trunk_checks).where(trunk_checks.c.asked_at < now - CHECKS_KEPT_FOR))
            connection.execute(insert(trunk_checks).values(values))
        return check_id

    def asked(self, check_id: UUID) -> AskedCheck | None:
        """What a check is to do; None when it is done or forgotten."""
        query = select(trunk_checks).where(trunk_checks.c.id == check_id, trunk_checks.c.ended_at.is_(None))
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return AskedCheck(id=row.id, trunk_key=row.trunk_key, number=row.number) if row is not None else None

    def record(self, check_id: UUID, result: Mapping[str, Any]) -> None:
        """What the check found."""
        with self._database.write() as connection:
            statement = update(trunk_checks).where(trunk_checks.c.id == check_id)
            connection.execute(statement.values(ended_at=self._clock.utcnow(), result=result))

    def result(self, check_id: UUID) -> Mapping[str, Any] | None:
        """What the check found, None while it runs."""
        query = select(trunk_checks.c.ended_at, trunk_checks.c.result).where(trunk_checks.c.id == check_id)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return row.result if row is not None and row.ended_at is not None else None

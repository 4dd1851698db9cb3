"""Idempotency keys: a creating request that a client repeats gets the object of the first one."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection, delete, select

from autodialer.clock import Clock
from autodialer.errors import Conflict
from autodialer.store.accounts.tables import audit, idempotency_keys
from autodialer.store.sql.engine import Database, insert_into
from autodialer.store.sql.secrets import Secrets

KEYS_KEPT_FOR = timedelta(hours=24)


class Idempotency:
    """The keys of all users."""

    def __init__(self, database: Database, secrets: Secrets, clock: Clock) -> None:
        self._database = database
        self._secrets = secrets
        self._clock = clock

    def fingerprint(self, asked: str) -> str:
        """What tells this request from others with the same key. The content cannot be guessed from it."""
        return self._secrets.fingerprint(asked)

    def look_up(self, key: str, user_key: int, operation: str, *, fingerprint: str = "") -> UUID | None:
        """The object that a request with this key made; None when there was none in the last 24 hours.

        Raises Conflict when that request had another fingerprint (a digest of its content).
        """
        query = select(idempotency_keys).where(
            idempotency_keys.c.user_key == user_key,
            idempotency_keys.c.operation == operation,
            idempotency_keys.c.idempotency_key == key,
            idempotency_keys.c.created_at > self._clock.utcnow() - KEYS_KEPT_FOR,
        )
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        if row.fingerprint != fingerprint:
            raise Conflict("This Idempotency-Key was used for another request.", field="Idempotency-Key")
        found: UUID = row.response_id
        return found

    def remember(self, key: str, user_key: int, operation: str, response_id: UUID, *, fingerprint: str = "") -> UUID:
        """Keep what the request made; returns the object of the first request with this key.

        Called within the transaction that makes the object, so that there is never the one without the other.
        """
        now = self._clock.utcnow()
        values = {
            "user_key": user_key,
            "operation": operation,
            "idempotency_key": key,
            "fingerprint": fingerprint,
            "response_id": response_id,
            "created_at": now,
        }
        with self._database.write() as connection:
            connection.execute(delete(idempotency_keys).where(idempotency_keys.c.created_at <= now - KEYS_KEPT_FOR))
            statement = insert_into(self._database.dialect, idempotency_keys).values(values)
            connection.execute(statement.on_conflict_do_nothing())
            return self.look_up(key, user_key, operation, fingerprint=fingerprint) or response_id


def making_of(connection: Connection, object_id: UUID) -> Sequence[int]:
    """The keys of the audit rows about an object. Reads the whole audit, so not within a write transaction."""
    return connection.execute(select(audit.c.key).where(audit.c.object_id == object_id)).scalars().all()


def forget_making(connection: Connection, object_id: UUID, audit_keys: Sequence[int]) -> None:
    """The request that made the object is refused after all: it leaves no audit row, and repeated it is a new one.

    `audit_keys` comes from `making_of`. In the transaction that takes the object away.
    """
    connection.execute(delete(idempotency_keys).where(idempotency_keys.c.response_id == object_id))
    connection.execute(delete(audit).where(audit.c.key.in_(audit_keys)))

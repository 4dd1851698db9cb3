"""Events on their way from the triggers, which write them down, to the deliveries."""

from collections.abc import Sequence

from sqlalchemy import delete, select

from autodialer.model.webhooks import Event, EventKind
from autodialer.store.sql.engine import Database
from autodialer.store.webhooks.tables import events


class Events:
    """Those that are not yet told."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def oldest(self, limit: int) -> list[Event]:
        """The first ones, in the order in which they happened."""
        with self._database.read() as connection:
            rows = connection.execute(select(events).order_by(events.c.key).limit(limit)).all()
        return [
            Event(
                key=row.key,
                kind=EventKind(row.kind),
                at=row.at,
                campaign_key=row.campaign_key,
                object_key=row.object_key,
                details=row.details,
            )
            for row in rows
        ]

    def remove(self, keys: Sequence[int]) -> None:
        """They have become deliveries. In the transaction that makes these."""
        with self._database.write(durable=False) as connection:
            connection.execute(delete(events).where(events.c.key.in_(list(keys))))

"""Live state, written by the dialer and read by the API: trunks, and whether a dialer is there at all."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from autodialer.clock import Clock
from autodialer.model import TrunkStatus
from autodialer.store.engine import AnyRow, Database, insert_into
from autodialer.store.tables import dialers, trunk_status

STATUS_COLUMNS = tuple(field.name for field in fields(TrunkStatus))
FORGOTTEN = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class DialerSeen:
    """A dialer that has been heard of lately."""

    instance: str
    pid: int
    started_at: datetime
    seen_at: datetime


class Live:
    """What the dialer says of itself."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        statement = insert_into(database.dialect, trunk_status)
        replaced = {column.name: column for column in statement.excluded if column.name != "trunk_key"}
        self._replace_status = statement.on_conflict_do_update(index_elements=["trunk_key"], set_=replaced)

    def write_trunks(self, statuses: Sequence[TrunkStatus]) -> None:
        """Replace the states of these trunks."""
        if not statuses:
            return
        now = self._clock.utcnow()
        values = [{name: getattr(status, name) for name in STATUS_COLUMNS} | {"written_at": now} for status in statuses]
        with self._database.write() as connection:
            connection.execute(self._replace_status, values)

    def trunk(self, trunk_key: int) -> TrunkStatus | None:
        """None when no dialer has written anything of it."""
        with self._database.read() as connection:
            row = connection.execute(select(trunk_status).where(trunk_status.c.trunk_key == trunk_key)).one_or_none()
        return _status_from(row) if row is not None else None

    def trunks(self) -> dict[int, TrunkStatus]:
        """All that is known, by trunk key."""
        with self._database.read() as connection:
            return {row.trunk_key: _status_from(row) for row in connection.execute(select(trunk_status))}

    def heartbeat(self, instance: str, pid: int) -> None:
        """The dialer is alive; say it once a second."""
        now = self._clock.utcnow()
        statement = insert_into(self._database.dialect, dialers)
        statement = statement.values(instance=instance, pid=pid, started_at=now, seen_at=now)
        with self._database.write() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["instance"], set_={"seen_at": now}))

    def goodbye(self, instance: str) -> None:
        """The dialer ends in good order: nobody need wait for its heartbeat to run out."""
        with self._database.write() as connection:
            forgotten = dialers.c.seen_at < self._clock.utcnow() - FORGOTTEN
            connection.execute(delete(dialers).where((dialers.c.instance == instance) | forgotten))

    def dialer(self, *, within_s: float = 5.0) -> DialerSeen | None:
        """The dialer that was heard of last, None when that is longer ago than `within_s`."""
        since = self._clock.utcnow() - timedelta(seconds=within_s)
        query = select(dialers).where(dialers.c.seen_at >= since).order_by(dialers.c.seen_at.desc()).limit(1)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return DialerSeen(**row._asdict()) if row is not None else None


def _status_from(row: AnyRow) -> TrunkStatus:
    return TrunkStatus(**{name: getattr(row, name) for name in STATUS_COLUMNS})

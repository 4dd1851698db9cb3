"""Live state, written by the dialer and read by the API: trunks, and whether a dialer is there at all."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Table, delete, select

from autodialer.clock import Clock
from autodialer.model import CampaignLimit, CampaignStatus, TrunkStatus
from autodialer.store.live.tables import campaign_status, dialers, trunk_status
from autodialer.store.sql.engine import AnyRow, Database, insert_into

STATUS_COLUMNS = tuple(field.name for field in fields(TrunkStatus))
FORGOTTEN = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class DialerSeen:
    """A dialer that has been heard of lately."""

    instance: str
    pid: int
    started_at: datetime
    seen_at: datetime
    vitals: Mapping[str, Any]
    """What it counted since its start, see autodialer/dialing/vitals.py; empty: nothing yet."""


class Live:
    """What the dialer says about itself."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._replace_trunk = _replace(database, trunk_status, "trunk_key")
        self._replace_campaign = _replace(database, campaign_status, "campaign_key")

    def write_trunks(self, statuses: Sequence[TrunkStatus]) -> None:
        """Replace the states of these trunks."""
        if not statuses:
            return
        now = self._clock.utcnow()
        values = [{name: getattr(status, name) for name in STATUS_COLUMNS} | {"written_at": now} for status in statuses]
        with self._database.write(durable=False) as connection:
            connection.execute(self._replace_trunk, values)

    def write_campaigns(self, statuses: Sequence[CampaignStatus]) -> None:
        """Replace the states of these campaigns."""
        if not statuses:
            return
        now = self._clock.utcnow()
        values = [{**asdict(status), "written_at": now} for status in statuses]
        with self._database.write(durable=False) as connection:
            connection.execute(self._replace_campaign, values)

    def campaign(self, campaign_key: int, *, within_s: float = 5.0) -> CampaignStatus:
        """What the dialer said of it lately; says nothing when that is longer ago than `within_s`."""
        since = self._clock.utcnow() - timedelta(seconds=within_s)
        found = (campaign_status.c.campaign_key == campaign_key) & (campaign_status.c.written_at >= since)
        with self._database.read() as connection:
            row = connection.execute(select(campaign_status).where(found)).one_or_none()
        if row is None or row.limited_by is None:
            return CampaignStatus(campaign_key=campaign_key)
        return CampaignStatus(campaign_key=campaign_key, limited_by=CampaignLimit(row.limited_by), until=row.until)

    def trunk(self, trunk_key: int) -> TrunkStatus | None:
        """None when no dialer has written anything of it."""
        with self._database.read() as connection:
            row = connection.execute(select(trunk_status).where(trunk_status.c.trunk_key == trunk_key)).one_or_none()
        return _status_from(row) if row is not None else None

    def trunks(self) -> dict[int, TrunkStatus]:
        """All that is known, by trunk key."""
        with self._database.read() as connection:
            return {row.trunk_key: _status_from(row) for row in connection.execute(select(trunk_status))}

    def heartbeat(self, instance: str, pid: int, vitals: Mapping[str, Any] | None = None) -> None:
        """The dialer is alive; say it once a second, with what it has counted."""
        now = self._clock.utcnow()
        statement = insert_into(self._database.dialect, dialers)
        statement = statement.values(instance=instance, pid=pid, started_at=now, seen_at=now, vitals=vitals)
        replaced = {"seen_at": now, "vitals": statement.excluded.vitals}
        with self._database.write(durable=False) as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["instance"], set_=replaced))

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


def _replace(database: Database, table: Table, key: str) -> Any:
    """Insert rows, or write them over those with the same key."""
    statement = insert_into(database.dialect, table)
    replaced = {column.name: column for column in statement.excluded if column.name != key}
    return statement.on_conflict_do_update(index_elements=[key], set_=replaced)


def _status_from(row: AnyRow) -> TrunkStatus:
    return TrunkStatus(**{name: getattr(row, name) for name in STATUS_COLUMNS})

"""What events are about: the rows that their receivers are told of."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, bindparam, select

from autodialer.model import CampaignState
from autodialer.store.accounts.tables import audit, users
from autodialer.store.calls.tables import calls
from autodialer.store.campaigns.progress import CampaignProgress, progress_by_key
from autodialer.store.campaigns.tables import campaign_trunks, campaigns
from autodialer.store.queue.tables import call_jobs
from autodialer.store.setup.tables import callbases, dnc, dnc_imports, subscribers, trunks
from autodialer.store.sql.engine import AnyRow, Database
from autodialer.store.sql.transitions import is_one_of

_CALLS = (
    select(
        calls,
        campaigns.c.id.label("campaign_id"),
        campaigns.c.name.label("campaign_name"),
        trunks.c.id.label("trunk_id"),
        subscribers.c.id.label("subscriber_id"),
        subscribers.c.name.label("subscriber_name"),
        subscribers.c.comment.label("subscriber_comment"),
        subscribers.c.extra.label("subscriber_extra"),
    )
    .join(campaigns, campaigns.c.key == calls.c.campaign_key)
    .outerjoin(trunks, trunks.c.key == calls.c.trunk_key)
    .outerjoin(subscribers, subscribers.c.key == calls.c.subscriber_key)
    .where(calls.c.key.in_(bindparam("keys", expanding=True)))
)
_NOT_ENDED = is_one_of(campaigns.c.state, CampaignState.DRAFT, CampaignState.RUNNING, CampaignState.PAUSED)


class Subjects:
    """Reads them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def calls(self, keys: Sequence[int]) -> dict[int, AnyRow]:
        """Finished calls with their people, by key; a call that has been forgotten is not there."""
        with self._database.read() as connection:
            return {row.key: row for row in connection.execute(_CALLS, {"keys": list(keys)})}

    def owners_of_campaigns(self, keys: Sequence[int]) -> dict[int, int]:
        """Campaign key -> its owner's."""
        query = select(campaigns.c.key, campaigns.c.owner_key).where(campaigns.c.key.in_(list(keys)))
        with self._database.read() as connection:
            return {row.key: row.owner_key for row in connection.execute(query)}

    def campaign(self, key: int) -> tuple[AnyRow, CampaignProgress] | None:
        """A campaign and how far it is; None: it is gone."""
        with self._database.read() as connection:
            row = connection.execute(select(campaigns).where(campaigns.c.key == key)).one_or_none()
            return None if row is None else (row, progress_by_key(connection, [key])[key])

    def trunk(self, key: int) -> tuple[AnyRow, Sequence[int]] | None:
        """A trunk, and the keys of the campaigns on it that have not ended; None: it is gone."""
        with self._database.read() as connection:
            row = connection.execute(select(trunks).where(trunks.c.key == key)).one_or_none()
            return None if row is None else (row, connection.execute(_campaigns_on(key)).scalars().all())

    def imported(self, into: str, key: int) -> tuple[AnyRow, Sequence[int]] | None:
        """A callbase, or an import of a stop list (`into` dnc), and the campaigns on it that have not ended."""
        with self._database.read() as connection:
            if into == "dnc":
                row = connection.execute(select(dnc_imports).where(dnc_imports.c.key == key)).one_or_none()
                return None if row is None else (row, ())
            row = connection.execute(select(callbases).where(callbases.c.key == key)).one_or_none()
            of_callbase = select(campaigns.c.key).where(campaigns.c.callbase_key == key, _NOT_ENDED)
            return None if row is None else (row, connection.execute(of_callbase).scalars().all())

    def ceiling(self, key: int) -> tuple[AnyRow, int, Sequence[int]] | None:
        """An entry of the audit that says which ceiling was reached, its owner, and the campaigns that it holds up."""
        with self._database.read() as connection:
            entry = connection.execute(select(audit).where(audit.c.key == key)).one_or_none()
            if entry is None:
                return None
            if entry.object_kind == "trunks":
                found = connection.execute(select(trunks).where(trunks.c.id == entry.object_id)).one_or_none()
                if found is None:
                    return None
                return entry, found.owner_key, connection.execute(_campaigns_on(found.key)).scalars().all()
            owner = connection.execute(select(users.c.key).where(users.c.id == entry.object_id)).scalar_one_or_none()
            if owner is None:
                return None
            theirs = select(campaigns.c.key).where(campaigns.c.owner_key == owner, _NOT_ENDED)
            return entry, owner, connection.execute(theirs).scalars().all()

    def opt_outs(self, keys: Sequence[int]) -> dict[int, AnyRow]:
        """Entries of stop lists, by key; an entry that has been taken off since is not there."""
        with self._database.read() as connection:
            return {row.key: row for row in connection.execute(select(dnc).where(dnc.c.key.in_(list(keys))))}

    def campaign_of_call(self, call_id: UUID) -> AnyRow | None:
        """Of a call under way or a finished one: the campaign's key, id and name; None: it is gone."""
        with self._database.read() as connection:
            return _campaign_of(connection, call_jobs, call_id) or _campaign_of(connection, calls, call_id)


def _campaigns_on(trunk_key: int) -> Select[Any]:
    return (
        select(campaigns.c.key)
        .join(campaign_trunks, campaign_trunks.c.campaign_key == campaigns.c.key)
        .where(campaign_trunks.c.trunk_key == trunk_key, _NOT_ENDED)
    )


def _campaign_of(connection: Connection, table: object, call_id: UUID) -> AnyRow | None:
    columns = table.c  # type: ignore[attr-defined]
    id_column = columns.call_id if table is call_jobs else columns.id
    query = (
        select(campaigns.c.key, campaigns.c.id, campaigns.c.name)
        .join(table, columns.campaign_key == campaigns.c.key)  # type: ignore[arg-type]
        .where(id_column == call_id)
    )
    return connection.execute(query.limit(1)).one_or_none()

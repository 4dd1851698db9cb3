"""What trunks, sounds, callbases and campaigns have in common: an owner, and being in use."""

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, Table, select

from autodialer.errors import Conflict, NotFound
from autodialer.model import CampaignState
from autodialer.store.campaigns.tables import campaign_trunks, campaigns
from autodialer.store.sql.engine import AnyRow
from autodialer.store.sql.transitions import is_one_of


def owned_by(query: Select[Any], table: Table, owner_key: int | None) -> Select[Any]:
    """Only what this user may see; None is an admin, who sees all."""
    return query if owner_key is None else query.where(table.c.owner_key == owner_key)


def not_deleted(table: Table) -> Any:
    """The row is not marked as deleted."""
    return table.c.deleted_at.is_(None)


def fetch_owned(connection: Connection, table: Table, public_id: UUID, owner_key: int | None) -> AnyRow:
    """The row of an object that has not been deleted. Raises NotFound."""
    query = owned_by(select(table).where(table.c.id == public_id, not_deleted(table)), table, owner_key)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound
    return row


def refuse_while_in_use(connection: Connection, table: Table, key: int) -> None:
    """Raises Conflict while a running or paused campaign needs this trunk, sound or callbase."""
    query = select(campaigns.c.name).where(is_one_of(campaigns.c.state, CampaignState.RUNNING, CampaignState.PAUSED))
    if table.name == "trunks":
        query = query.join(campaign_trunks, campaign_trunks.c.campaign_key == campaigns.c.key)
        query = query.where(campaign_trunks.c.trunk_key == key)
    else:
        query = query.where(campaigns.c[f"{table.name[:-1]}_key"] == key)
    name = connection.execute(query.limit(1)).scalar_one_or_none()
    if name is not None:
        raise Conflict(f"The campaign {name!r} still needs it; stop that campaign first.")

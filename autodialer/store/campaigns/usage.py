"""What a campaign that runs or is paused needs must not be deleted."""

from sqlalchemy import Connection, Table, select

from autodialer.errors import Conflict
from autodialer.model import CampaignState
from autodialer.store.campaigns.tables import campaign_trunks, campaigns
from autodialer.store.sql.transitions import is_one_of


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

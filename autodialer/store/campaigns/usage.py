"""What a campaign that runs or is paused needs must not be deleted."""

from sqlalchemy import ColumnElement, Connection, Table, exists, func, select

from autodialer.errors import Conflict
from autodialer.model import CampaignState, JobState
from autodialer.store.campaigns.tables import campaign_trunks, campaigns
from autodialer.store.queue.tables import call_jobs
from autodialer.store.sql.transitions import is_one_of


def refuse_while_in_use(connection: Connection, table: Table, key: int) -> None:
    """Raises Conflict while a running or paused campaign needs this trunk, sound or callbase.

    A sound also stays while a call of a stopped campaign is under way, which may yet be answered and play it.
    """
    query = select(campaigns.c.name).where(_is_under_way())
    if table.name == "trunks":
        query = query.join(campaign_trunks, campaign_trunks.c.campaign_key == campaigns.c.key)
        query = query.where(campaign_trunks.c.trunk_key == key)
    else:
        query = query.where(campaigns.c[f"{table.name[:-1]}_key"] == key)
    name = connection.execute(query.limit(1)).scalar_one_or_none()
    if name is not None:
        raise Conflict(f"The campaign {name!r} still needs it; stop that campaign first.")
    if table.name == "sounds":
        dialing = is_one_of(call_jobs.c.state, JobState.DIALING)
        live = select(func.count()).join_from(call_jobs, campaigns, call_jobs.c.campaign_key == campaigns.c.key)
        count = connection.execute(live.where(dialing, campaigns.c.sound_key == key)).scalar_one()
        if count:
            raise Conflict(f"Calls that may play it are still under way ({count}); let them end, or hang them up.")


def needs_trunk(trunk_key: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether a running or paused campaign needs the trunk."""
    of_trunk = (campaign_trunks.c.campaign_key == campaigns.c.key) & (campaign_trunks.c.trunk_key == trunk_key)
    return exists().where(of_trunk, _is_under_way())


def _is_under_way() -> ColumnElement[bool]:
    return is_one_of(campaigns.c.state, CampaignState.RUNNING, CampaignState.PAUSED)

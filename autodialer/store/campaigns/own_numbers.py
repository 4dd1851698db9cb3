"""Subscribers that are handed to a campaign itself: they go to its callbase, where it finds them within a second."""

from collections.abc import Sequence

from sqlalchemy import Connection, select, update

from autodialer.errors import Conflict
from autodialer.model import Campaign, CampaignState
from autodialer.store.campaigns.tables import campaigns
from autodialer.store.setup.callbases import NewSubscriber, insert_subscribers
from autodialer.store.setup.tables import callbases, subscribers
from autodialer.store.sql.batches import BATCH_ROWS
from autodialer.store.sql.owned import not_deleted
from autodialer.store.sql.transitions import CallbaseState, is_one_of

_ENDED = (CampaignState.FINISHED, CampaignState.STOPPED)


def add_subscribers(connection: Connection, campaign: Campaign, rows: Sequence[NewSubscriber]) -> int:
    """Add at most 500 that the campaign's callbase does not have; how many these were.

    Raises Conflict when the campaign has ended, when its callbase is not ready, or when another campaign that has begun
    would call them too.
    """
    if len(rows) > BATCH_ROWS:
        raise ValueError(f"at most {BATCH_ROWS} rows a transaction, not {len(rows)}")
    _check_takes_them(connection, campaign)
    wanted = {row.number: row for row in reversed(rows)}
    of_callbase = subscribers.c.callbase_key == campaign.callbase_key
    there = select(subscribers.c.number).where(of_callbase, subscribers.c.number.in_(wanted))
    known = set(connection.execute(there).scalars())
    # In the order of the request, of a number that comes twice the first: they are called in this order.
    new = [row for row in rows if row.number not in known and wanted[row.number] is row]
    insert_subscribers(connection, campaign.callbase_key, new)
    counted = {
        "imported": callbases.c.imported + len(new),
        "doubtful": callbases.c.doubtful + sum(row.doubt is not None for row in new),
    }
    connection.execute(update(callbases).where(callbases.c.key == campaign.callbase_key).values(counted))
    return len(new)


def _check_takes_them(connection: Connection, campaign: Campaign) -> None:
    if campaign.state in _ENDED:
        raise Conflict(f"The campaign is {campaign.state}; clone it, or make a new one, and add the numbers there.")
    state = connection.execute(
        select(callbases.c.state).where(callbases.c.key == campaign.callbase_key, not_deleted(callbases))
    ).scalar_one_or_none()
    if state is None:
        raise Conflict("Its callbase was deleted; make a new campaign.", field="callbase_id")
    if state != CallbaseState.READY:
        raise Conflict(f"Its callbase is {state}; numbers can be added once it is ready.", field="callbase_id")
    others = select(campaigns.c.name).where(
        campaigns.c.callbase_key == campaign.callbase_key,
        campaigns.c.key != campaign.key,
        is_one_of(campaigns.c.state, CampaignState.RUNNING, CampaignState.PAUSED),
    )
    other = connection.execute(others.limit(1)).scalar_one_or_none()
    if other is not None:
        raise Conflict(
            f"The campaign {other!r} is on the same callbase and would call these numbers too. If it shall, add them to"
            " the callbase; otherwise make a campaign without callbase_id, which has a callbase of its own.",
            field="callbase_id",
        )

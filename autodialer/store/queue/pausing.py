"""A campaign that pauses once so many of its people have been called: counted and paused in the claim's transaction."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, bindparam, case, literal_column, update

from autodialer.model import CampaignState
from autodialer.store.campaigns.tables import campaigns
from autodialer.store.sql.engine import AnyRow
from autodialer.store.sql.transitions import is_one_of


def up_to_the_pause(rows: Sequence[AnyRow]) -> tuple[list[AnyRow], int]:
    """Of the candidates of one campaign those that may be claimed before it pauses, and how many are first calls."""
    chosen: list[AnyRow] = []
    first_calls = 0
    for row in rows:
        if row.is_first_call:
            if row.pause_after is not None and row.people_called + first_calls >= row.pause_after:
                continue
            first_calls += 1
        chosen.append(row)
    return chosen, first_calls


_PAUSED: ColumnElement[str] = literal_column(f"'{CampaignState.PAUSED.value}'")
_RUNNING: ColumnElement[str] = literal_column(f"'{CampaignState.RUNNING.value}'")
_OF_CAMPAIGN = campaigns.c.key == bindparam("of_campaign")
_CALLED = campaigns.c.people_called + bindparam("people")
_COUNT = update(campaigns).where(_OF_CAMPAIGN).values(people_called=_CALLED)
_PAUSE = (
    update(campaigns)
    .where(
        _OF_CAMPAIGN,
        is_one_of(campaigns.c.state, CampaignState.RUNNING),
        campaigns.c.people_called >= campaigns.c.pause_after,
    )
    .values(state=_PAUSED, moved_at=bindparam("now"), moved_by=None)
)
_HAD_PAUSED = and_(
    is_one_of(campaigns.c.state, CampaignState.PAUSED), campaigns.c.people_called >= campaigns.c.pause_after
)
_UNCOUNT = (
    update(campaigns)
    .where(_OF_CAMPAIGN)
    .values(
        people_called=campaigns.c.people_called - bindparam("people"),
        state=case((_HAD_PAUSED, _RUNNING), else_=campaigns.c.state),
    )
)


def count_called(connection: Connection, campaign_key: int, people: int, now: datetime) -> None:
    """So many people are called for the first time; with the last of them the campaign pauses."""
    of_campaign = {"of_campaign": campaign_key}
    connection.execute(_COUNT, {**of_campaign, "people": people})
    connection.execute(_PAUSE, {**of_campaign, "now": now})


def uncount_called(connection: Connection, campaign_key: int, people: int) -> None:
    """The first calls of so many people could not leave: a campaign that has paused after them goes on to call them."""
    connection.execute(_UNCOUNT, {"of_campaign": campaign_key, "people": people})

"""A campaign that pauses once so many of its people have been called: counted and paused in the claim's transaction."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, bindparam, literal_column, update

from autodialer.model import CampaignState
from autodialer.model.diary import DiaryEvent
from autodialer.store.campaigns.diary import write_line
from autodialer.store.campaigns.tables import campaigns
from autodialer.store.sql.engine import AnyRow
from autodialer.store.sql.prepared import Prepared
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
_COUNT = Prepared(update(campaigns).where(_OF_CAMPAIGN).values(people_called=_CALLED))
_PAUSE = (
    update(campaigns)
    .where(
        _OF_CAMPAIGN,
        is_one_of(campaigns.c.state, CampaignState.RUNNING),
        campaigns.c.people_called >= campaigns.c.pause_after,
    )
    .values(state=_PAUSED, moved_at=bindparam("now"), moved_by=None)
    .returning(campaigns.c.people_called)
)
_HAD_PAUSED = and_(
    is_one_of(campaigns.c.state, CampaignState.PAUSED), campaigns.c.people_called >= campaigns.c.pause_after
)
_GO_ON = update(campaigns).where(_OF_CAMPAIGN, _HAD_PAUSED).values(state=_RUNNING, moved_at=bindparam("now"))
_UNCOUNT = update(campaigns).where(_OF_CAMPAIGN).values(people_called=campaigns.c.people_called - bindparam("people"))


def count_called(connection: Connection, candidate: AnyRow, campaign_key: int, people: int, now: datetime) -> None:
    """So many people are called for the first time; with the last of them the campaign pauses.

    `candidate` is any of them, as it was before: most ticks are spared the look whether it is time.
    """
    of_campaign = {"of_campaign": campaign_key}
    _COUNT.execute(connection, [{**of_campaign, "people": people}])
    if candidate.pause_after is None or candidate.people_called + people < candidate.pause_after:
        return
    called = connection.execute(_PAUSE, {**of_campaign, "now": now}).scalar_one_or_none()
    if called is not None:
        write_line(connection, campaign_key, DiaryEvent.PAUSED, now, rule="pause_after", people=called)


def uncount_called(connection: Connection, campaign_key: int, people: int, now: datetime) -> None:
    """The first calls of so many people could not leave: a campaign that has paused after them goes on to call them."""
    of_campaign = {"of_campaign": campaign_key}
    if connection.execute(_GO_ON, {**of_campaign, "now": now}).rowcount:
        write_line(connection, campaign_key, DiaryEvent.RESUMED, now, rule="call_put_back")
    connection.execute(_UNCOUNT, {**of_campaign, "people": people})

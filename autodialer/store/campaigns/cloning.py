"""A campaign once more: the same rules, for everybody or for some of its people."""

from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from autodialer.errors import Conflict
from autodialer.model import Campaign, CampaignState, Only, People, Slice, SubscriberState
from autodialer.store.campaigns.rows import add_trunks, drawn_to
from autodialer.store.campaigns.tables import campaign_origins, campaign_subscribers, campaigns
from autodialer.store.setup.tables import subscribers
from autodialer.store.sql.column_types import new_id
from autodialer.store.sql.transitions import is_one_of

REACHED_BEFORE = "reached_before"
"""Why a subscriber is excluded: an earlier campaign reached them, and this campaign is for the others."""

LIFE = frozenset(
    {
        "key",
        "id",
        "name",
        "state",
        "hidden",
        "next_subscriber_key",
        "created_at",
        "started_at",
        "finished_at",
        "final_total",
        "moved_at",
        "moved_by",
        "archived_at",
        "deleted_at",
        "drawn_from",
        "drawn_by",
        "drawn_up_to",
        "drawn_people",
        "people_called",
    }
)
"""Columns of a campaign that say how it went; all others are its rules."""

WAS_REACHED = (
    select(campaign_subscribers.c.subscriber_key)
    .select_from(campaign_origins)
    .join(campaign_subscribers, campaign_subscribers.c.campaign_key == campaign_origins.c.origin_key)
    .where(
        campaign_origins.c.campaign_key == campaigns.c.key,
        campaign_subscribers.c.subscriber_key == subscribers.c.key,
        is_one_of(campaign_subscribers.c.state, SubscriberState.REACHED),
    )
    .correlate(campaigns, subscribers)
    .exists()
)
"""Whether an origin of the campaign reached the subscriber; for a statement on `campaigns` and `subscribers`."""


def check_may_follow(origin: Campaign, only: Only) -> None:
    """Raises Conflict where the people that are wanted are not known yet."""
    has_ended = origin.state in (CampaignState.FINISHED, CampaignState.STOPPED)
    if only is not People.ALL and not has_ended:
        wanted = "the subscribers it did not reach are" if only is People.UNREACHED else "the outcome is"
        raise Conflict(f"The campaign is {origin.state}; {wanted} known once it has ended. Stop it, or wait.")
    if origin.drawn is not None and not origin.drawn.is_complete:
        raise Conflict("The people of that campaign are still being looked for; try again in a moment.")


def follow(connection: Connection, key: int, origin: Campaign, only: Only) -> None:
    """Have a new campaign on the callbase of `origin` call only the people that are wanted of it."""
    if only is People.UNREACHED:
        earlier = select(campaign_origins.c.origin_key).where(campaign_origins.c.campaign_key == origin.key)
        origins = {origin.key, *connection.execute(earlier).scalars()}
        connection.execute(
            insert(campaign_origins), [{"campaign_key": key, "origin_key": each} for each in sorted(origins)]
        )
    if isinstance(only, Slice) or origin.drawn is not None:
        connection.execute(update(campaigns).where(campaigns.c.key == key).values(drawn_to(origin, only)))


def clone(connection: Connection, campaign: Campaign, *, name: str, only: Only, now: datetime) -> int:
    """A draft with the rules of `campaign`; returns its key. Its caller has checked that the campaign may be cloned."""
    rules = [column for column in campaigns.c if column.name not in LIFE]
    row = connection.execute(select(*rules).where(campaigns.c.key == campaign.key)).one()
    values = {**row._asdict(), "id": new_id(), "name": name, "created_at": now}
    key: int = connection.execute(insert(campaigns).values(values).returning(campaigns.c.key)).scalar_one()
    add_trunks(connection, key, campaign.trunk_keys)
    follow(connection, key, campaign, only)
    return key

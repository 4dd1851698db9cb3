"""A campaign once more: the same rules, for everybody or for those that it did not reach."""

from datetime import datetime

from sqlalchemy import Connection, insert, select

from autodialer.model import Campaign, SubscriberState
from autodialer.store.campaigns.rows import add_trunks
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


def clone(connection: Connection, campaign: Campaign, *, name: str, only_unreached: bool, now: datetime) -> int:
    """A draft with the rules of `campaign`; returns its key. Its caller has checked that the campaign may be cloned."""
    rules = [column for column in campaigns.c if column.name not in LIFE]
    row = connection.execute(select(*rules).where(campaigns.c.key == campaign.key)).one()
    values = {**row._asdict(), "id": new_id(), "name": name, "created_at": now}
    key: int = connection.execute(insert(campaigns).values(values).returning(campaigns.c.key)).scalar_one()
    add_trunks(connection, key, campaign.trunk_keys)
    if only_unreached:
        earlier = select(campaign_origins.c.origin_key).where(campaign_origins.c.campaign_key == campaign.key)
        origins = {campaign.key, *connection.execute(earlier).scalars()}
        connection.execute(
            insert(campaign_origins), [{"campaign_key": key, "origin_key": origin} for origin in sorted(origins)]
        )
    return key

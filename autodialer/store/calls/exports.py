"""Whole tables of a campaign, page by page: no read holds the database for longer than a page takes.

Ids and times come as the text that a table shows, JSON as it is stored: see store.sql.written.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, and_, case, func, select

from autodialer.model import CONSENT, Campaign
from autodialer.store.calls.tables import calls
from autodialer.store.campaigns.tables import campaign_slices, campaign_subscribers, campaigns
from autodialer.store.setup.tables import callbases, subscribers, trunks
from autodialer.store.sql.engine import AnyRow, Database
from autodialer.store.sql.owned import not_deleted
from autodialer.store.sql.written import written

PAGE_ROWS = 1000
Rows = Sequence[AnyRow]
Called = Mapping[int, AnyRow]
"""Subscriber key -> the subscriber's last call."""


class Exports:
    """What is downloaded as a table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def extra_names(self, callbase_key: int) -> list[str]:
        """Names of the columns that subscribers of a callbase have beyond the fields, in the order of the file."""
        each = func.json_each(subscribers.c.extra).table_valued("key")
        # DISTINCT keeps the names it has met; GROUP BY would sort a million rows for the same.
        query = (
            select(each.c.key)
            .select_from(subscribers.join(each, subscribers.c.key.is_not(None)))
            .join(callbases, callbases.c.key == subscribers.c.callbase_key)
            .where(subscribers.c.callbase_key == callbase_key, not_deleted(callbases))
            .distinct()
        )
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def calls(self, campaign_key: int) -> Iterator[Rows]:
        """The calls that have ended by now, in the order of their end, with their subscribers and trunks."""
        newest = select(func.max(calls.c.key)).where(calls.c.campaign_key == campaign_key)
        with self._database.read() as connection:
            last = connection.execute(newest).scalar_one() or 0
        query = _CALLS.where(calls.c.campaign_key == campaign_key, calls.c.key <= last).order_by(calls.c.key)
        after = 0
        while page := self._read(query.where(calls.c.key > after)):
            yield page
            after = page[-1].key

    def subscribers(self, campaign: Campaign) -> Iterator[tuple[Rows, Called]]:
        """All subscribers in the order of the file, with their states in the campaign; and each page's last calls."""
        query = _people(campaign).order_by(subscribers.c.key)
        left, after = self._total(campaign), 0
        while left > 0:
            with self._database.read() as connection:
                page = connection.execute(query.where(subscribers.c.key > after).limit(min(left, PAGE_ROWS))).all()
                if not page:
                    return
                called = _last_calls(connection, campaign.key, page[0].key, page[-1].key)
            yield page, called
            left, after = left - len(page), page[-1].key

    def _read(self, query: Select[Any]) -> Rows:
        with self._database.read() as connection:
            return connection.execute(query.limit(PAGE_ROWS)).all()

    def _total(self, campaign: Campaign) -> int:
        """How many subscribers it had when it ended: a subscriber added to the callbase later does not belong to it."""
        ended_with = select(campaigns.c.final_total).where(campaigns.c.key == campaign.key)
        there_are = select(func.count()).where(subscribers.c.callbase_key == campaign.callbase_key)
        if campaign.drawn is not None:
            there_are = select(func.count()).where(campaign_slices.c.campaign_key == campaign.key)
        with self._database.read() as connection:
            final: int | None = connection.execute(ended_with).scalar_one()
            return connection.execute(there_are).scalar_one() if final is None else final


_PERSON = {
    name: case((callbases.c.deleted_at.is_(None), written(subscribers.c[name]))).label(name)
    for name in ("number", "second_number", "name", "comment", "timezone", *CONSENT, "extra")
}
"""What tells of a person: nothing any more once the callbase is deleted, even if its rows are still being cleared."""

_NOT_SHOWN = ("campaign_key", "digit_times", "retry_after_s")
_OF_CALL = [written(column).label(column.name) for column in calls.c if column.name not in _NOT_SHOWN]
_CALLS = (
    select(
        *_OF_CALL,
        written(subscribers.c.id).label("subscriber_id"),
        *(_PERSON[name] for name in ("name", "comment", "extra")),
        trunks.c.name.label("trunk"),
    )
    .outerjoin(subscribers, subscribers.c.key == calls.c.subscriber_key)
    .outerjoin(callbases, callbases.c.key == subscribers.c.callbase_key)
    .outerjoin(trunks, trunks.c.key == calls.c.trunk_key)
)


def _people(campaign: Campaign) -> Select[Any]:
    within = and_(
        campaign_subscribers.c.campaign_key == campaign.key,
        campaign_subscribers.c.subscriber_key == subscribers.c.key,
    )
    of_campaign = (campaign_subscribers.c.state, campaign_subscribers.c.reason, campaign_subscribers.c.attempts)
    people = (
        select(subscribers.c.key, written(subscribers.c.id).label("id"), *_PERSON.values(), *of_campaign)
        .join(callbases, callbases.c.key == subscribers.c.callbase_key)
        .outerjoin(campaign_subscribers, within)
        .where(subscribers.c.callbase_key == campaign.callbase_key)
    )
    if campaign.drawn is None:
        return people
    drawn = and_(campaign_slices.c.campaign_key == campaign.key, campaign_slices.c.subscriber_key == subscribers.c.key)
    return people.join(campaign_slices, drawn)


def _last_calls(connection: Connection, campaign_key: int, first: int, last: int) -> Called:
    newest = (
        select(func.max(calls.c.key))
        .where(calls.c.campaign_key == campaign_key, calls.c.subscriber_key.between(first, last))
        .group_by(calls.c.subscriber_key)
    )
    return {row.subscriber_key: row for row in connection.execute(select(*_OF_CALL).where(calls.c.key.in_(newest)))}

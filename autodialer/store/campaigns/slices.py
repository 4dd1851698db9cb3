"""Draws the people of a follow-up campaign from an ended one: looked for outside the write lock, written bit by bit.

The people are drawn once and written down, not looked for while dialing: so their number is known, nothing on the
dialer's ticks grows with the campaign that they come from, and it does not matter when that one is deleted. The
request and the housekeeping may draw at the same time: how far a campaign is drawn moves in the transaction that
writes.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from autodialer.model import Campaign, SubscriberState
from autodialer.model.slices import Only, People, Slice, only_from_json
from autodialer.store.calls.tables import calls
from autodialer.store.campaigns.cloning import WAS_REACHED, check_may_follow
from autodialer.store.campaigns.tables import campaign_slices, campaign_subscribers, campaigns
from autodialer.store.setup.dnc import is_barred
from autodialer.store.setup.tables import subscribers
from autodialer.store.sql.batches import BATCH_ROWS, PAUSE_S
from autodialer.store.sql.engine import Database
from autodialer.store.sql.owned import not_deleted
from autodialer.store.sql.transitions import is_one_of

LOOKED_AT = 10_000
"""Most people that one read looks at: it takes some 50 ms."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where people are drawn from, and by which conditions."""

    origin_key: int
    callbase_key: int
    owner_key: int
    """Of the campaign that is to call them: the owner's DNC list counts."""
    only: Only
    origin_is_drawn: bool
    """The origin is for drawn people itself, and not for its whole callbase."""


class Slices:
    """The people of follow-up campaigns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def count(self, origin: Campaign, only: Only, owner_key: int) -> int:
        """How many people a campaign of this owner would be for. Writes nothing. Raises Conflict as a clone."""
        check_may_follow(origin, only)
        source = Source(
            origin_key=origin.key,
            callbase_key=origin.callbase_key,
            owner_key=owner_key,
            only=only,
            origin_is_drawn=origin.drawn is not None,
        )
        found, after = 0, 0
        while True:
            with self._database.read() as connection:
                end = _end_of_look(connection, source, after)
                if end is None:
                    return found
                people = _people(source).where(subscribers.c.key > after, subscribers.c.key <= end)
                found += connection.execute(select(func.count()).select_from(people.subquery())).scalar_one()
            after = end

    def draw(self, campaign_key: int, *, within_s: float) -> None:
        """Draw the people of a campaign; those who are not found within that time are `draw_some`'s to find."""
        deadline = time.monotonic() + within_s
        while self._draw_batch(campaign_key):
            if time.monotonic() >= deadline:
                return
            time.sleep(PAUSE_S)

    def draw_some(self) -> bool:
        """Draw up to 500 people of a campaign that is not drawn completely, as one transaction.

        Returns whether there was one; otherwise this costs one cheap read. Raises Unavailable.
        """
        with self._database.read() as connection:
            key = connection.execute(_INCOMPLETE).scalar_one_or_none()
        if key is None:
            return False
        self._draw_batch(key)
        return True

    def _draw_batch(self, campaign_key: int) -> bool:
        """Returns whether more people may be left."""
        with self._database.read() as connection:
            row = connection.execute(_DRAWING, {"key": campaign_key}).one_or_none()
            if row is None:
                return False
            after = row.drawn_up_to
            source = Source(
                origin_key=row.drawn_from,
                callbase_key=row.callbase_key,
                owner_key=row.owner_key,
                only=only_from_json(row.drawn_by["only"]),
                origin_is_drawn=row.origin_is_drawn,
            )
            end = _end_of_look(connection, source, after)
            found: Sequence[int] = []
            if end is not None:
                people = _people(source).where(subscribers.c.key > after, subscribers.c.key <= end)
                found = connection.execute(people.order_by(subscribers.c.key).limit(BATCH_ROWS)).scalars().all()
                end = found[-1] if len(found) == BATCH_ROWS else end
        with self._database.write() as connection:
            moved = (
                update(campaigns)
                .where(campaigns.c.key == campaign_key, campaigns.c.drawn_up_to == after)
                .values(drawn_up_to=end, drawn_people=campaigns.c.drawn_people + len(found))
            )
            if connection.execute(moved).rowcount and found:
                rows = [{"campaign_key": campaign_key, "subscriber_key": key} for key in found]
                connection.execute(insert(campaign_slices), rows)
        return end is not None


_ORIGIN = campaigns.alias("origin")
_DRAWING = (
    select(
        campaigns.c.callbase_key,
        campaigns.c.owner_key,
        campaigns.c.drawn_from,
        campaigns.c.drawn_by,
        campaigns.c.drawn_up_to,
        _ORIGIN.c.drawn_people.is_not(None).label("origin_is_drawn"),
    )
    .join(_ORIGIN, _ORIGIN.c.key == campaigns.c.drawn_from)
    .where(campaigns.c.key == bindparam("key"), campaigns.c.drawn_up_to.is_not(None))
)
_INCOMPLETE = select(campaigns.c.key).where(campaigns.c.drawn_up_to.is_not(None), not_deleted(campaigns)).limit(1)


def _pool(source: Source) -> Select[Any]:
    """Everybody that the origin is for."""
    of_callbase = select(subscribers.c.key).where(subscribers.c.callbase_key == source.callbase_key)
    if not source.origin_is_drawn:
        return of_callbase
    return of_callbase.join(
        campaign_slices,
        and_(
            campaign_slices.c.campaign_key == source.origin_key,
            campaign_slices.c.subscriber_key == subscribers.c.key,
        ),
    )


def _end_of_look(connection: Connection, source: Source, after: int) -> int | None:
    """The last of the people that the next read looks at; None: nobody is left."""
    keys = _pool(source).where(subscribers.c.key > after).order_by(subscribers.c.key).limit(LOOKED_AT).subquery()
    end: int | None = connection.execute(select(func.max(keys.c.key))).scalar_one()
    return end


def _people(source: Source) -> Select[Any]:
    """The keys of the people who are drawn."""
    within = and_(
        campaign_subscribers.c.campaign_key == source.origin_key,
        campaign_subscribers.c.subscriber_key == subscribers.c.key,
    )
    owner = literal(source.owner_key)
    return (
        _pool(source)
        .outerjoin(campaign_subscribers, within)
        .join(campaigns, campaigns.c.key == source.origin_key)
        .where(
            # Erased people have no number.
            subscribers.c.number.is_not(None),
            ~is_barred(subscribers.c.number, owner),
            or_(subscribers.c.second_number.is_(None), ~is_barred(subscribers.c.second_number, owner)),
            *_conditions(source),
        )
    )


def _conditions(source: Source) -> Sequence[ColumnElement[bool]]:
    if source.only is People.ALL:
        return ()
    if source.only is People.UNREACHED:
        reached = is_one_of(_STATE, SubscriberState.REACHED)
        return (or_(_STATE.is_(None), ~reached), ~WAS_REACHED)
    kinds = []
    if source.only.wants_called:
        kinds.append(and_(_WAS_CALLED, *_of_called(source.origin_key, source.only)))
    if source.only.never_called:
        kinds.append(and_(_WAS_NOT_CALLED, ~WAS_REACHED))
    return (or_(*kinds),)


_STATE = campaign_subscribers.c.state
# By the state, not by the rows of calls: retention deletes those after a while.
_WAS_CALLED = is_one_of(_STATE, SubscriberState.IN_PROGRESS, SubscriberState.REACHED, SubscriberState.EXHAUSTED)
_WAS_NOT_CALLED = or_(_STATE.is_(None), is_one_of(_STATE, SubscriberState.PENDING))


def _of_called(origin_key: int, only: Slice) -> Sequence[ColumnElement[bool]]:
    """What must be true of the calls of a person."""
    theirs = and_(calls.c.campaign_key == origin_key, calls.c.subscriber_key == subscribers.c.key)
    found: list[ColumnElement[bool]] = []
    if only.dispositions:
        newest = select(func.max(calls.c.key)).where(theirs).correlate(subscribers).scalar_subquery()
        last = calls.alias("last")
        ended = last.c.disposition.in_([each.value for each in only.dispositions])
        found.append(exists().where(last.c.key == newest, ended))
    if only.keys:
        pressed = or_(*(calls.c.digits.contains(key, autoescape=True) for key in only.keys))
        found.append(exists().where(theirs, pressed))
    most = select(func.max(calls.c.played_share)).where(theirs).correlate(subscribers).scalar_subquery()
    if only.heard_below is not None:
        found.append(most < only.heard_below)
    if only.heard_above is not None:
        found.append(most >= only.heard_above)
    return found

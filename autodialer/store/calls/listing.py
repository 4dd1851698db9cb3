"""Lists of finished calls, narrowed down: of one campaign in the order of their end, of a user the newest first."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, and_, func, literal, select, tuple_

from autodialer.store.accounts.tables import users
from autodialer.store.calls.tables import calls
from autodialer.store.setup.notation import notations
from autodialer.store.setup.tables import subscribers
from autodialer.store.sql.column_types import EPOCH, MILLISECOND, to_milliseconds
from autodialer.store.sql.engine import AnyRow
from autodialer.store.sql.filtering import ALL, ROWS_A_PAGE, Narrowed, fetch_searched_page, has_part, within
from autodialer.store.sql.owned import has_owner, not_deleted
from autodialer.store.sql.paging import Page, decode_cursor, encode_cursor

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class CallsWanted:
    """Which calls of a list are wanted; by default all."""

    dispositions: Collection[str] = ()
    """None of them: however they ended."""
    number: str | None = None
    """The number that was called, in either notation."""
    narrowed: Narrowed = ALL
    """By the time of the INVITE, and a part of the number or of the subscriber's name."""


ALL_CALLS = CallsWanted()


class _Place(NamedTuple):
    """Of a call in a list of the newest first."""

    invited_at: datetime
    key: int


_PLACE = tuple_(calls.c.invited_at, calls.c.key)


def _bound(place: _Place) -> Any:
    # With its type: by itself SQLAlchemy would hand the time over as a text, and every number is less than a text.
    return tuple_(literal(place.invited_at, calls.c.invited_at.type), literal(place.key))


def page_of_campaign(
    connection: Connection, query: Select[Any], campaign_key: int, wanted: CallsWanted, *, limit: int, after: str | None
) -> Page[AnyRow]:
    """The calls of a campaign in the order of their end."""
    dispositions = wanted.dispositions
    found: list[ColumnElement[bool]] = []
    of_campaign = calls.c.campaign_key == campaign_key
    if wanted.number is not None:
        # Not by the index of the campaign, of which one may have a million calls.
        query = query.where(calls.c.number.in_(notations(wanted.number)), calls.c.campaign_key + 0 == campaign_key)
    else:
        query = query.where(of_campaign)
        query = _between(connection, query, of_campaign, wanted.narrowed)
    if len(dispositions) == 1:
        query = query.where(calls.c.disposition.in_(dispositions))
    elif dispositions:
        found.append(calls.c.disposition.in_(dispositions))
    if wanted.narrowed.part is not None:
        found.append(_has_part(wanted.narrowed.part))
    return fetch_searched_page(
        connection,
        within(query, calls.c.invited_at, wanted.narrowed),
        calls.c.key,
        lambda row: row,
        found=and_(*found) if found else None,
        limit=limit,
        after=after,
    )


def _between(
    connection: Connection, query: Select[Any], of_campaign: ColumnElement[bool], wanted: Narrowed
) -> Select[Any]:
    """Without the calls before the first and behind the last of that time: keys rise with the end of a call."""
    if wanted.since is None and wanted.until is None:
        return query
    ends = within(select(func.min(calls.c.key), func.max(calls.c.key)).where(of_campaign), calls.c.invited_at, wanted)
    first, last = connection.execute(ends).one()
    return query.where(calls.c.key >= (first or 0), calls.c.key <= (last or 0))


_OWNERS = select(users.c.key).where(not_deleted(users))


def page_of_owner(
    connection: Connection,
    query: Select[Any],
    owner_key: int | None,
    wanted: CallsWanted,
    *,
    limit: int,
    after: str | None,
) -> Page[AnyRow]:
    """The calls of a user over all campaigns, of everybody for None, the newest first.

    It looks at 20 000 calls of a user at most: see `fetch_searched_page`.
    """
    found = _conditions(wanted)
    place = None if after is None else _place_of(after)
    if wanted.number is not None:
        query = query.where(calls.c.number.in_(notations(wanted.number)))
        owners: Sequence[ColumnElement[bool]] = [
            # Plus nothing: the index of the number is the one to be used.
            has_owner(calls) if owner_key is None else calls.c.owner_key + 0 == owner_key
        ]
    else:
        # Of everybody, user by user: then one index serves both.
        keys = [owner_key] if owner_key is not None else connection.execute(_OWNERS).scalars().all()
        owners = [calls.c.owner_key == key for key in keys]
    rows: list[AnyRow] = []
    seen: list[_Place] = []
    for of_owner in owners:
        in_order = _newest_first(query.where(of_owner), wanted.narrowed, place)
        last = _last_looked_at(connection, in_order) if found else None
        if last is not None:
            seen.append(last)
            in_order = in_order.where(_bound(last) <= _PLACE)
        rows += connection.execute(in_order.where(*found).limit(limit + 1)).all()
    # What lies behind the place up to which one user's calls were looked at may have others before it.
    frontier = max(seen, default=None)
    rows = [row for row in rows if frontier is None or _Place(row.invited_at, row.key) >= frontier]
    rows.sort(key=lambda row: (row.invited_at, row.key), reverse=True)
    end = _Place(rows[limit - 1].invited_at, rows[limit - 1].key) if len(rows) > limit else frontier
    return rows[:limit], None if end is None else _cursor_of(end)


def _conditions(wanted: CallsWanted) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.dispositions:
        found.append(calls.c.disposition.in_(wanted.dispositions))
    if wanted.narrowed.part is not None:
        found.append(_has_part(wanted.narrowed.part))
    return found


def _has_part(part: str) -> ColumnElement[bool]:
    return has_part(part, calls.c.number, subscribers.c.name)


def _newest_first(query: Select[Any], wanted: Narrowed, place: _Place | None) -> Select[Any]:
    query = within(query, calls.c.invited_at, wanted)
    if place is not None:
        query = query.where(_bound(place) > _PLACE)
    return query.order_by(calls.c.invited_at.desc(), calls.c.key.desc())


def _last_looked_at(connection: Connection, in_order: Select[Any]) -> _Place | None:
    """The place of the call at which a page ends whatever it has found; None: there are fewer."""
    only = in_order.with_only_columns(calls.c.invited_at, calls.c.key).limit(1).offset(ROWS_A_PAGE - 1)
    row = connection.execute(only).one_or_none()
    return None if row is None else _Place(row.invited_at, row.key)


def _cursor_of(place: _Place) -> str:
    return f"{encode_cursor(to_milliseconds(place.invited_at))}.{encode_cursor(place.key)}"


def _place_of(cursor: str) -> _Place:
    at, _, key = cursor.partition(".")
    try:
        return _Place(EPOCH + decode_cursor(at) * MILLISECOND, decode_cursor(key))
    except OverflowError:
        return _Place(EPOCH, 0)

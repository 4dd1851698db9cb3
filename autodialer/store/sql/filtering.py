"""Lists narrowed down: by state, by time, and by a part of a name, in capitals or not."""

import unicodedata
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Column, ColumnElement, Connection, Select, Table, Text, or_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

from autodialer.store.sql.engine import AnyRow, fold
from autodialer.store.sql.paging import Page, decode_cursor, encode_cursor, fetch_page

T = TypeVar("T")
ROWS_A_PAGE = 20_000
"""Most rows that a page is looked for in: a search for a part of a text reads them one by one."""


class folded(GenericFunction[str]):  # noqa: N801 -- the name of the function in SQL
    """A text without the difference between capitals and small letters, of any alphabet."""

    type = Text()
    inherit_cache = True


@compiles(folded, "postgresql")
def _folded_on_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    return f"lower({compiler.process(element.clauses, **options)})"


def has_part(text: str, *columns: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether one of these columns has the text in it, in capitals or not."""
    part = fold(unicodedata.normalize("NFC", text.strip()))
    return or_(*(folded(column).contains(part, autoescape=True) for column in columns))


@dataclass(frozen=True, kw_only=True)
class Narrowed:
    """What is wanted of a list; by default all of it."""

    part: str | None = None
    """Part of the name."""
    states: Collection[str] = ()
    """None of them: every state."""
    since: datetime | None = None
    until: datetime | None = None
    """Not this moment itself."""


ALL = Narrowed()


def narrow(query: Select[Any], table: Table, wanted: Narrowed, *names: Column[Any]) -> Select[Any]:
    """Objects by their `created_at`, their `state`, and a part of one of `names` (by default of `name`)."""
    if wanted.states:
        query = query.where(table.c.state.in_(wanted.states))
    if wanted.part:
        query = query.where(has_part(wanted.part, *(names or (table.c.name,))))
    return within(query, table.c.created_at, wanted)


def within(query: Select[Any], moment: Column[Any], wanted: Narrowed) -> Select[Any]:
    """Rows of that time."""
    if wanted.since is not None:
        query = query.where(moment >= wanted.since)
    return query if wanted.until is None else query.where(moment < wanted.until)


def fetch_searched_page(
    connection: Connection,
    query: Select[Any],
    key: Column[Any],
    make: Callable[[AnyRow], T],
    *,
    found: ColumnElement[bool] | None,
    limit: int,
    after: str | None,
    newest_first: bool = False,
) -> Page[T]:
    """One page of those rows of `query` for which `found` is true; as `fetch_page`, which it is without `found`.

    It looks at 20 000 rows at most, so that a page may have fewer items than `limit`, even none, and yet a next one.
    """
    if found is None:
        return fetch_page(connection, query, key, make, limit=limit, after=after, newest_first=newest_first)
    behind = query
    if after is not None:
        position = decode_cursor(after)
        behind = query.where(key < position if newest_first else key > position)
    in_order = behind.with_only_columns(key).order_by(key.desc() if newest_first else key)
    last: int | None = connection.execute(in_order.limit(1).offset(ROWS_A_PAGE - 1)).scalar()
    if last is not None:
        behind = behind.where(key >= last if newest_first else key <= last)
    items, following = fetch_page(
        connection, behind.where(found), key, make, limit=limit, after=None, newest_first=newest_first
    )
    return items, following or (encode_cursor(last) if last is not None else None)

"""Lists by cursor: a page starts after the last key of the one before, however deep, at the same cost."""

import base64
import binascii
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Column, Connection, Select

from autodialer.errors import Invalid
from autodialer.store.sql.engine import AnyRow

T = TypeVar("T")
Page = tuple[list[T], str | None]
"""The items, and the cursor of the next page (None: this page is the last)."""
DEFAULT_LIMIT = 100


def encode_cursor(key: int) -> str:
    """An opaque word for a key."""
    return base64.urlsafe_b64encode(b"k%d" % key).decode().rstrip("=")


def decode_cursor(cursor: str) -> int:
    """The key of a cursor. Raises Invalid for what `encode_cursor` did not make."""
    try:
        plain = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        # 18 digits: more might not fit the 64 bits of a key, and would be an error of the database.
        if not plain.startswith(b"k") or len(plain) > 19:
            raise ValueError(cursor)
        return int(plain[1:])
    except (binascii.Error, ValueError) as exc:
        raise Invalid("`after` takes the `next` of the page before.", field="after") from exc


def fetch_page(
    connection: Connection,
    query: Select[Any],
    key: Column[Any],
    make: Callable[[AnyRow], T],
    *,
    limit: int,
    after: str | None,
    newest_first: bool = False,
) -> Page[T]:
    """One page of `query`, ordered by `key`, which must be among its columns as `key`."""
    if after is not None:
        position = decode_cursor(after)
        query = query.where(key < position if newest_first else key > position)
    # One row more than asked for tells, without a count, whether another page follows.
    query = query.order_by(key.desc() if newest_first else key).limit(limit + 1)
    rows = connection.execute(query).all()
    more = len(rows) > limit
    rows = rows[:limit]
    return [make(row) for row in rows], encode_cursor(rows[-1].key) if more and rows else None

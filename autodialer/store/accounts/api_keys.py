"""API keys: what a program sends in place of an access token. The key itself is not kept, only its hash."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_urlsafe
from typing import Any
from uuid import UUID
from zlib import crc32

from sqlalchemy import Connection, Select, bindparam, delete, func, insert, or_, select, update

from autodialer.clock import Clock
from autodialer.errors import Conflict, NotFound
from autodialer.model import Scope, User
from autodialer.model.rights import in_words, parse_scopes
from autodialer.store.accounts.tables import USER, api_keys, users
from autodialer.store.accounts.tokens import user_from
from autodialer.store.sql.column_types import new_id
from autodialer.store.sql.engine import AnyRow, Database
from autodialer.store.sql.paging import DEFAULT_LIMIT, Page, fetch_page

MARK = "dialer_"
"""Every key begins with it, so that people and scanners of source code see what was left lying about."""
RANDOM_BYTES = 32
CHECK_DIGITS = 8
LENGTH = len(MARK) + len(token_urlsafe(RANDOM_BYTES)) + CHECK_DIGITS
SHOWN = len(MARK) + 6
"""Characters by which a key is told from others. What is left has 220 random bits."""
MOST_KEYS = 100
"""Of a user."""
USE_WRITTEN_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """What is known of a key."""

    key: int
    id: UUID
    user_id: UUID
    login: str
    name: str
    prefix: str
    """How the key begins."""
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None
    """None: it does not run out."""
    last_used_at: datetime | None
    """Within a minute; None: never."""


@dataclass(frozen=True, kw_only=True)
class KeyHolder:
    """What a key that was sent says of the sender."""

    user: User
    key_id: UUID
    scopes: frozenset[Scope]
    is_use_due: bool
    """Whether it is time to write down that the key is used."""


class ApiKeys:
    """The keys of all users."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create(
        self, user_key: int, *, name: str, scopes: frozenset[Scope], expires_at: datetime | None
    ) -> tuple[ApiKey, str]:
        """A new key, and its text, which nobody can get again. Raises Conflict for a user with too many."""
        text = new_text()
        values = {
            "id": new_id(),
            "user_key": user_key,
            "name": name,
            "prefix": text[:SHOWN],
            "key_hash": hash_key(text),
            "scope": in_words(scopes),
            "created_at": self._clock.utcnow(),
            "expires_at": expires_at,
        }
        count = select(func.count()).select_from(api_keys).where(api_keys.c.user_key == user_key)
        with self._database.write() as connection:
            if connection.execute(count).scalar_one() >= MOST_KEYS:
                raise Conflict(f"You have {MOST_KEYS} keys already; revoke those that nobody uses.")
            connection.execute(insert(api_keys).values(values))
            return _key_from(connection.execute(_KEYS.where(api_keys.c.id == values["id"])).one()), text

    def holder(self, text: str) -> KeyHolder | None:
        """The user of a key; None for a key that is unknown, revoked or expired, or whose user cannot log in."""
        now = self._clock.utcnow()
        with self._database.read() as connection:
            row = connection.execute(_HOLDER, {"key_hash": hash_key(text), "now": now}).one_or_none()
        if row is None:
            return None
        return KeyHolder(
            user=user_from(row),
            key_id=row.key_id,
            scopes=parse_scopes(row.scope) or frozenset(),
            is_use_due=row.last_used_at is None or row.last_used_at <= now - USE_WRITTEN_EVERY,
        )

    def write_use(self, key_id: UUID) -> None:
        """Write down that the key is used now. Raises Unavailable."""
        using = update(api_keys).where(api_keys.c.id == key_id).values(last_used_at=self._clock.utcnow())
        with self._database.write(durable=False) as connection:
            connection.execute(using)

    def get(self, key_id: UUID, user_key: int | None) -> ApiKey:
        """A key of this user, of any user for None. Raises NotFound."""
        with self._database.read() as connection:
            row = connection.execute(_of_user(user_key).where(api_keys.c.id == key_id)).one_or_none()
        if row is None:
            raise NotFound
        return _key_from(row)

    def page(self, user_key: int | None, *, limit: int = DEFAULT_LIMIT, after: str | None = None) -> Page[ApiKey]:
        """The keys of this user, of all users for None."""
        with self._database.read() as connection:
            return fetch_page(connection, _of_user(user_key), api_keys.c.key, _key_from, limit=limit, after=after)

    def revoke(self, key_id: UUID, user_key: int | None) -> ApiKey:
        """It stops working at once. Raises NotFound."""
        with self._database.write() as connection:
            found = self.get(key_id, user_key)
            connection.execute(delete(api_keys).where(api_keys.c.key == found.key))
        return found


def new_text() -> str:
    """A new key: the mark, 256 random bits, and a checksum, by which a mistyped key is refused without a search."""
    begun = MARK + token_urlsafe(RANDOM_BYTES)
    return begun + _check_digits(begun)


def is_well_formed(text: str) -> bool:
    """Whether it can be a key: length and checksum."""
    return len(text) == LENGTH and text.isascii() and _check_digits(text[:-CHECK_DIGITS]) == text[-CHECK_DIGITS:]


def _check_digits(begun: str) -> str:
    return f"{crc32(begun.encode()):08x}"


def hash_key(text: str) -> bytes:
    """SHA-256. A slow hash and a salt slow down guessing, and nobody can guess 256 random bits; this is asked at every
    request.
    """
    return hashlib.sha256(text.encode()).digest()


def end_keys(connection: Connection, user_key: int) -> int:
    """End all keys of a user, within the caller's transaction; how many there were."""
    return connection.execute(delete(api_keys).where(api_keys.c.user_key == user_key)).rowcount


_KEYS = select(api_keys, users.c.id.label("user_id"), users.c.login).join(users, users.c.key == api_keys.c.user_key)
_HOLDER = (
    select(*USER, api_keys.c.id.label("key_id"), api_keys.c.scope, api_keys.c.last_used_at)
    .select_from(api_keys)
    .join(users, users.c.key == api_keys.c.user_key)
    .where(
        api_keys.c.key_hash == bindparam("key_hash"),
        or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > bindparam("now")),
        users.c.password_hash.is_not(None),
    )
)


def _of_user(user_key: int | None) -> Select[Any]:
    return _KEYS if user_key is None else _KEYS.where(api_keys.c.user_key == user_key)


def _key_from(row: AnyRow) -> ApiKey:
    return ApiKey(
        key=row.key,
        id=row.id,
        user_id=row.user_id,
        login=row.login,
        name=row.name,
        prefix=row.prefix,
        scopes=parse_scopes(row.scope) or frozenset(),
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )

"""Sessions: families of refresh tokens. One log-in makes a family; revoking it ends all that came of that log-in."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from secrets import token_urlsafe
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, bindparam, delete, insert, select, update

from autodialer.clock import Clock
from autodialer.model import SCOPES_OF, Role, Scope, User
from autodialer.model.rights import in_words, parse_scopes
from autodialer.store.accounts.sessions import is_use_due
from autodialer.store.accounts.tables import USER, refresh_tokens, token_families, users
from autodialer.store.sql.column_types import new_id
from autodialer.store.sql.engine import AnyRow, Database

REFRESH_LIFETIME = timedelta(days=30)


@dataclass(frozen=True, kw_only=True)
class Issued:
    """A new session."""

    family_id: UUID
    refresh_token: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Rotated:
    """A session that goes on with a new refresh token."""

    user: User
    family_id: UUID
    scopes: frozenset[Scope]
    """What the session was begun with, as far as the role still allows it."""
    refresh_token: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class SessionHolder:
    """What a session that an access token names says of the sender."""

    user: User
    is_use_due: bool
    """Whether it is time to write down that the session is used."""


_ALIVE = (
    select(*USER, token_families.c.last_used_at)
    .join(token_families, token_families.c.user_key == users.c.key)
    .where(
        token_families.c.id == bindparam("family_id"),
        token_families.c.revoked_at.is_(None),
        token_families.c.expires_at > bindparam("now"),
        # The sessions of a deleted user are cleared away bit by bit.
        users.c.deleted_at.is_(None),
    )
)


_OF_REFRESH_TOKEN = (
    select(
        refresh_tokens.c.key.label("token_key"),
        token_families.c.key.label("family_key"),
        token_families.c.id.label("family_id"),
        token_families.c.expires_at,
        token_families.c.revoked_at,
        token_families.c.scope,
        *USER,
    )
    .select_from(refresh_tokens)
    .join(token_families, token_families.c.key == refresh_tokens.c.family_key)
    .join(users, users.c.key == token_families.c.user_key)
    .where(refresh_tokens.c.token_hash == bindparam("token_hash"))
)


class Tokens:
    """The sessions of all users."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def new_family(
        self,
        user_key: int,
        scopes: frozenset[Scope] | None = None,
        *,
        address: str | None = None,
        program: str | None = None,
    ) -> Issued:
        """Start a session. Sessions that have run out are cleared away on the way.

        `scopes` limits it; None: all that the role of the user allows, whatever that will be. `address` and `program`
        are the client's, for the list of sessions.
        """
        now = self._clock.utcnow()
        family_id = new_id()
        with self._database.write() as connection:
            connection.execute(delete(token_families).where(token_families.c.expires_at <= now))
            family_key = connection.execute(
                insert(token_families)
                .values(
                    id=family_id,
                    user_key=user_key,
                    created_at=now,
                    expires_at=now + REFRESH_LIFETIME,
                    scope=None if scopes is None else in_words(scopes),
                    address=address,
                    program=program,
                )
                .returning(token_families.c.key)
            ).scalar_one()
            return Issued(family_id=family_id, refresh_token=_issue(connection, family_key, now))

    def rotate(self, refresh_token: str) -> Rotated | None:
        """Use a refresh token up for the next one; None when it is unknown, expired or revoked.

        A token used a second time revokes its family: either a thief has it, or its owner lost a race with a thief
        (RFC 6819 section 5.2.2.3). A client that repeats a request whose answer got lost looks the same, and has to log
        in again.
        """
        now = self._clock.utcnow()
        with self._database.write() as connection:
            row = connection.execute(_OF_REFRESH_TOKEN, {"token_hash": hash_token(refresh_token)}).one_or_none()
            if row is None or row.revoked_at is not None or row.expires_at <= now or row.deleted_at is not None:
                return None
            family = token_families.c.key == row.family_key
            unused = (refresh_tokens.c.key == row.token_key) & refresh_tokens.c.used_at.is_(None)
            # Asked of the row itself, not of what was read: two requests with one token may come at the same moment.
            if connection.execute(update(refresh_tokens).where(unused).values(used_at=now)).rowcount == 0:
                connection.execute(update(token_families).where(family).values(revoked_at=now))
                return None
            connection.execute(update(token_families).where(family).values(expires_at=now + REFRESH_LIFETIME))
            token = _issue(connection, row.family_key, now)
        return Rotated(user=user_from(row), family_id=row.family_id, scopes=_scopes_from(row), refresh_token=token)

    def scopes_of(self, refresh_token: str) -> frozenset[Scope] | None:
        """What a refresh token may be renewed for, without using it up; None for an unknown one."""
        with self._database.read() as connection:
            row = connection.execute(_OF_REFRESH_TOKEN, {"token_hash": hash_token(refresh_token)}).one_or_none()
        return _scopes_from(row) if row is not None else None

    def revoke(self, refresh_token: str) -> bool:
        """End the session of a refresh token (RFC 7009); False when there is no such token."""
        family_key = (
            select(refresh_tokens.c.family_key)
            .where(refresh_tokens.c.token_hash == hash_token(refresh_token))
            .scalar_subquery()
        )
        return self._revoke(token_families.c.key == family_key)

    def revoke_family(self, family_id: UUID) -> bool:
        """End one session; False when no such session is alive."""
        return self._revoke(token_families.c.id == family_id)

    def holder(self, family_id: UUID) -> SessionHolder | None:
        """The user of the session; None when its access tokens are not valid, or no longer. Asked on every request."""
        now = self._clock.utcnow()
        with self._database.read() as connection:
            row = connection.execute(_ALIVE, {"family_id": family_id, "now": now}).one_or_none()
        if row is None:
            return None
        return SessionHolder(user=user_from(row), is_use_due=is_use_due(row.last_used_at, now))

    def user_of_family(self, family_id: UUID) -> User | None:
        """The user of the session; None when it is not alive."""
        found = self.holder(family_id)
        return found.user if found is not None else None

    def revoke_all(self, user_key: int) -> None:
        """End all sessions of a user."""
        with self._database.write() as connection:
            revoke_families(connection, user_key, self._clock.utcnow())

    def _revoke(self, condition: ColumnElement[bool]) -> bool:
        alive = update(token_families).where(condition, token_families.c.revoked_at.is_(None))
        with self._database.write() as connection:
            return connection.execute(alive.values(revoked_at=self._clock.utcnow())).rowcount > 0


def revoke_families(connection: Connection, user_key: int, now: datetime) -> None:
    """End all sessions of a user, within the caller's transaction."""
    connection.execute(
        update(token_families)
        .where(token_families.c.user_key == user_key, token_families.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )


def hash_token(refresh_token: str) -> bytes:
    """SHA-256; a token of 256 random bits needs no salt and no slow hash."""
    return hashlib.sha256(refresh_token.encode()).digest()


def _issue(connection: Connection, family_key: int, now: datetime) -> str:
    token = token_urlsafe(32)
    connection.execute(
        insert(refresh_tokens).values(family_key=family_key, token_hash=hash_token(token), created_at=now)
    )
    return token


def _scopes_from(row: AnyRow) -> frozenset[Scope]:
    allowed = frozenset(SCOPES_OF[Role(row.role)])
    return allowed if row.scope is None else allowed & (parse_scopes(row.scope) or frozenset())


def user_from(row: AnyRow) -> User:
    """The value of a row with the columns `USER`."""
    return User(
        key=row.key,
        id=row.id,
        login=row.login,
        name=row.name,
        role=Role(row.role),
        comment=row.comment,
        can_log_in=row.password_hash is not None,
        created_at=row.created_at,
        works_for_key=row.works_for_key,
        works_for=row.works_for,
        max_calls_day=row.max_calls_day,
        max_minutes_day=row.max_minutes_day,
        mfa_required=row.mfa_required,
        mfa_enabled=row.mfa_enabled,
    )

"""Users and their passwords."""

import unicodedata
from dataclasses import dataclass, field
from secrets import token_urlsafe
from typing import Any, TypedDict, Unpack
from uuid import UUID

from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from autodialer.clock import Clock
from autodialer.errors import Conflict, Invalid, NotFound
from autodialer.model import OWNING, Role, User
from autodialer.model.rights import rank_of
from autodialer.store.accounts.api_keys import end_keys
from autodialer.store.accounts.tables import USER, users
from autodialer.store.accounts.tokens import revoke_families, user_from
from autodialer.store.sql.column_types import new_id
from autodialer.store.sql.engine import AnyRow, Database, is_duplicate
from autodialer.store.sql.filtering import ALL, Narrowed, narrow
from autodialer.store.sql.owned import not_deleted
from autodialer.store.sql.paging import DEFAULT_LIMIT, Page, fetch_page
from autodialer.store.sql.secrets import Secrets

DEFAULT_ADMIN_LOGIN = "admin"


class UserChanges(TypedDict, total=False):
    """What an admin may change; what is absent stays."""

    name: str
    role: Role
    comment: str | None
    works_for: str | None
    """Login of the user with whose objects an operator or a viewer works."""
    max_calls_day: int | None
    max_minutes_day: int | None
    mfa_required: bool


@dataclass(frozen=True, kw_only=True)
class PasswordHash:
    """A password as it is stored."""

    hashed: str = field(repr=False)


class Users:
    """The users."""

    def __init__(self, database: Database, secrets: Secrets, clock: Clock) -> None:
        self._database = database
        self._secrets = secrets
        self._clock = clock

    def hash_password(self, password: str) -> PasswordHash:
        """What `create` and `set_password` also take: the slow part (tens of milliseconds), to be done before a write
        transaction rather than within.
        """
        return PasswordHash(hashed=self._secrets.hash_password(password))

    def create(
        self,
        *,
        login: str,
        password: str | PasswordHash | None,
        name: str = "",
        role: Role = Role.USER,
        comment: str | None = None,
        works_for: str | None = None,
        max_calls_day: int | None = None,
        max_minutes_day: int | None = None,
        mfa_required: bool = False,
    ) -> User:
        """A new user, who cannot log in without a password. Raises Conflict when the login is taken.

        `works_for` is the login of the user with whose objects an operator or a viewer works. Raises Invalid.
        """
        values = {
            "id": new_id(),
            "login": fold_login(login),
            "name": name or login,
            "role": role.value,
            "comment": comment,
            "password_hash": self._hashed(password) if password is not None else None,
            "created_at": self._clock.utcnow(),
            "max_calls_day": max_calls_day,
            "max_minutes_day": max_minutes_day,
            "mfa_required": mfa_required,
        }
        try:
            with self._database.write() as connection:
                values["works_for_key"] = _employer(connection, role, works_for)
                key = connection.execute(insert(users).values(values).returning(users.c.key)).scalar_one()
                return user_from(connection.execute(select(*USER).where(users.c.key == key)).one())
        except IntegrityError as exc:
            if not is_duplicate(exc, "users.login"):
                raise
            raise Conflict(f"There is a user with the login {login!r} already.", field="login") from exc

    def by_id(self, user_id: UUID) -> User:
        """Raises NotFound."""
        return self._one(users.c.id == user_id)

    def by_key(self, key: int) -> User:
        """Raises NotFound."""
        return self._one(users.c.key == key)

    def by_login(self, login: str) -> User | None:
        """None when nobody has it."""
        with self._database.read() as connection:
            row = _row_of_login(connection, login)
        return user_from(row) if row is not None else None

    def is_deleted(self, key: int) -> bool:
        """Whether the user of this key has been deleted."""
        with self._database.read() as connection:
            return connection.execute(_DELETED, {"key": key}).first() is not None

    def verify(self, login: str, password: str) -> User | None:
        """The user whose login and password these are. A wrong login takes as long as a wrong password."""
        with self._database.read() as connection:
            row = _row_of_login(connection, login)
        password_hash = row.password_hash if row is not None else None
        if not self._secrets.password_fits(password_hash, password) or row is None:
            return None
        if self._secrets.is_outdated(row.password_hash):
            renewed = self._secrets.hash_password(password)
            with self._database.write() as connection:
                same = (users.c.key == row.key) & (users.c.password_hash == row.password_hash)
                connection.execute(update(users).where(same).values(password_hash=renewed))
        return user_from(row)

    def password_hash_of(self, key: int) -> str | None:
        """What tells whether the password was changed meanwhile; None for a user who cannot log in."""
        with self._database.read() as connection:
            found: str | None = connection.execute(
                select(users.c.password_hash).where(users.c.key == key)
            ).scalar_one_or_none()
        return found

    def set_password(self, user_key: int, password: str | PasswordHash) -> None:
        """The new password; all sessions of the user end in the same moment. Raises NotFound."""
        password_hash = self._hashed(password)
        with self._database.write() as connection:
            changed = connection.execute(
                update(users).where(users.c.key == user_key).values(password_hash=password_hash)
            )
            if changed.rowcount == 0:
                raise NotFound
            revoke_families(connection, user_key, self._clock.utcnow())

    def page(self, wanted: Narrowed = ALL, *, limit: int = DEFAULT_LIMIT, after: str | None = None) -> Page[User]:
        """All users; a part of the name may be one of the login."""
        query = narrow(select(*USER).where(not_deleted(users)), users, wanted, users.c.name, users.c.login)
        with self._database.read() as connection:
            return fetch_page(connection, query, users.c.key, user_from, limit=limit, after=after)

    def update(self, user_id: UUID, **changes: Unpack[UserChanges]) -> User:
        """Change what is given. A role that allows less, or another `works_for`, ends the user's API keys.

        Raises NotFound, Conflict for taking the role from the last admin or from a user that others work for, and
        Invalid for a `works_for` that does not go with the role.
        """
        with self._database.write() as connection:
            row = connection.execute(select(*USER).where(users.c.id == user_id, not_deleted(users))).one_or_none()
            if row is None:
                raise NotFound
            role = Role(changes.get("role", row.role))
            if role is not Role.ADMIN and is_last_admin(connection, row):
                raise Conflict("This is the only admin who can log in; make another one first.", field="role")
            values: dict[str, Any] = {name: value for name, value in changes.items() if name != "works_for"}
            if {"role", "works_for"} & changes.keys():
                values["works_for_key"] = _changed_employer(connection, row, role, changes)
            employer = values.get("works_for_key", row.works_for_key)
            if rank_of(role) < rank_of(Role(row.role)) or employer != row.works_for_key:
                end_keys(connection, row.key)
            if values:
                connection.execute(update(users).where(users.c.key == row.key).values(values))
            return user_from(connection.execute(select(*USER).where(users.c.key == row.key)).one())

    def has_admin(self) -> bool:
        """Whether there is an admin who can log in."""
        with self._database.read() as connection:
            return connection.execute(select(users.c.key).where(_can_administer()).limit(1)).first() is not None

    def ensure_admin(self, login: str | None, password: str | None) -> str | None:
        """On the first start, make the admin (or give an existing user of that login the role and the password).

        Returns the password when it had to be made up; None when it was given, or there is an admin already. An admin
        without a password does not count.
        """
        if self.has_admin():
            return None
        chosen = password or token_urlsafe(12)
        existing = self.by_login(login or DEFAULT_ADMIN_LOGIN)
        if existing is None:
            self.create(login=login or DEFAULT_ADMIN_LOGIN, password=chosen, role=Role.ADMIN)
        else:
            self.set_password(existing.key, chosen)
            self.update(existing.id, role=Role.ADMIN)
        return None if password else chosen

    def _hashed(self, password: str | PasswordHash) -> str:
        return password.hashed if isinstance(password, PasswordHash) else self._secrets.hash_password(password)

    def _one(self, condition: Any) -> User:
        with self._database.read() as connection:
            row = connection.execute(select(*USER).where(condition, not_deleted(users))).one_or_none()
        if row is None:
            raise NotFound
        return user_from(row)


_DELETED = select(users.c.key).where(users.c.key == bindparam("key"), users.c.deleted_at.is_not(None))


def fold_login(login: str) -> str:
    """The one spelling under which a login is stored: keyboards differ in how they compose an accented letter."""
    return unicodedata.normalize("NFC", login.strip())


def _row_of_login(connection: Connection, login: str) -> AnyRow | None:
    query = select(*USER).where(users.c.login == fold_login(login), not_deleted(users))
    return connection.execute(query).one_or_none()


def _employer(connection: Connection, role: Role, works_for: str | None) -> int | None:
    """The key of the user with whose objects a user of this role works; None for a role with objects of its own."""
    if role in OWNING:
        if works_for is not None:
            raise Invalid(f"works_for goes with the roles operator and viewer, not with {role}.", field="works_for")
        return None
    if works_for is None:
        raise Invalid(f"works_for takes the login of the user with whose objects the {role} works.", field="works_for")
    row = _row_of_login(connection, works_for)
    if row is None or Role(row.role) not in OWNING:
        raise Invalid(f"works_for takes the login of a user or an admin, not {works_for!r}.", field="works_for")
    key: int = row.key
    return key


def _changed_employer(connection: Connection, row: AnyRow, role: Role, changes: UserChanges) -> int | None:
    if role not in OWNING:
        working = select(users.c.login).where(users.c.works_for_key == row.key).order_by(users.c.key).limit(1)
        login = connection.execute(working).scalar_one_or_none()
        if login is not None:
            raise Conflict(f"{login!r} works for this user; change its works_for first.", field="role")
    # With a role that has objects of its own, what was there before goes by itself.
    kept = row.works_for if role not in OWNING else None
    return _employer(connection, role, changes.get("works_for", kept))


def _can_administer() -> Any:
    return (users.c.role == Role.ADMIN.value) & users.c.password_hash.is_not(None)


def is_last_admin(connection: Connection, row: AnyRow) -> bool:
    """Whether this row of `users` is the only admin who can log in."""
    if row.role != Role.ADMIN or row.password_hash is None:
        return False
    others = select(users.c.key).where(_can_administer() & (users.c.key != row.key)).limit(1)
    return connection.execute(others).first() is None

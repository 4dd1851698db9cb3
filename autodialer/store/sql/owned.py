"""What trunks, sounds, callbases and campaigns have in common: an owner."""

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, Table, column, select
from sqlalchemy import table as table_of

from autodialer.errors import NotFound
from autodialer.store.sql.engine import AnyRow

_users = table_of("users", column("key"), column("deleted_at"))


def owned_by(query: Select[Any], table: Table, owner_key: int | None) -> Select[Any]:
    """Only what this user may see; None is an admin, who sees all, but for what a deleted user has left."""
    return query.where(has_owner(table) if owner_key is None else table.c.owner_key == owner_key)


def has_owner(table: Table) -> Any:
    """The owner has not been deleted: its objects are nobody's until they are given to another user or cleared away."""
    return table.c.owner_key.not_in(select(_users.c.key).where(_users.c.deleted_at.is_not(None)))


def not_deleted(table: Table) -> Any:
    """The row is not marked as deleted."""
    return table.c.deleted_at.is_(None)


def fetch_owned(connection: Connection, table: Table, public_id: UUID, owner_key: int | None) -> AnyRow:
    """The row of an object that has not been deleted. Raises NotFound."""
    query = owned_by(select(table).where(table.c.id == public_id, not_deleted(table)), table, owner_key)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound
    return row

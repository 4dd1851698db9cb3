"""The metadata, and the shapes that the columns of all tables take."""

from typing import Any

from sqlalchemy import Boolean, Column, Float, ForeignKey, Integer, MetaData, Text, text

from autodialer.store.sql.column_types import Key, PublicId, UtcTime
from autodialer.store.sql.transitions import StateColumn

metadata = MetaData(
    # SQLite gives constraints no names, and a migration can only drop what has one.
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s",
        "uq": "%(table_name)s_%(column_0_N_name)s_once",
        "ck": "%(table_name)s_%(constraint_name)s_known",
        "fk": "%(table_name)s_%(column_0_N_name)s_there",
        "pk": "%(table_name)s_key",
    }
)


def words(name: str, **options: Any) -> Column[Any]:
    """A text, NOT NULL unless `nullable` is given."""
    return Column(name, Text, nullable=options.pop("nullable", False), **options)


def integer(name: str, **options: Any) -> Column[Any]:
    """An integer, NOT NULL."""
    return Column(name, Integer, nullable=False, **options)


def seconds(name: str, *, nullable: bool = False, comment: str | None = None) -> Column[Any]:
    """A span in seconds, NOT NULL unless said."""
    return Column(name, Float, nullable=nullable, comment=comment)


def at(name: str, *, nullable: bool = True, comment: str | None = None) -> Column[Any]:
    """A time in UTC (`UtcTime`), NULL until it is known unless said."""
    return Column(name, UtcTime, nullable=nullable, comment=comment)


def flag(name: str, comment: str | None = None) -> Column[Any]:
    """A boolean that is false unless a row says otherwise."""
    return Column(name, Boolean, nullable=False, server_default=text("0"), comment=comment)


def count(name: str, comment: str | None = None) -> Column[Any]:
    """An integer that starts at 0."""
    return integer(name, server_default=text("0"), comment=comment)


def state_of(column: StateColumn, initial: str) -> Column[Any]:
    """The state, with its transitions in the comment."""
    return words("state", server_default=text(f"'{initial}'"), comment=column.comment())


def refers(name: str, to: str, *, nullable: bool = False, cascade: bool = False) -> Column[Any]:
    """A foreign key. `cascade`: the row is deleted together with the row that it refers to."""
    return Column(name, Key, ForeignKey(to, ondelete="CASCADE" if cascade else None), nullable=nullable)


def own_key() -> Column[Any]:
    """The primary key: an integer, SQLite's rowid."""
    return Column("key", Key, primary_key=True)


def public_id() -> Column[Any]:
    """The UUID that the API shows."""
    return Column("id", PublicId, nullable=False, unique=True)

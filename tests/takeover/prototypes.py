"""Databases of the prototype, made from the description of their tables alone."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE Users (uid INTEGER PRIMARY KEY, name TEXT, login TEXT, password TEXT, acc_token TEXT, expired REAL,
    comment TEXT);
CREATE TABLE Callbase (cid INTEGER PRIMARY KEY, name TEXT, number TEXT, comment TEXT);
"""
USERS: Sequence[tuple[Any, ...]] = (
    (1, "Administrator", "admin", "the old password", "an.old.token", 1700000000.5, "the boss"),
    (2, "Анна", "anna", "1", None, None, None),
)
CALLBASE: Sequence[tuple[Any, ...]] = (
    (1, "Борис", "+79160000001", "flat 1"),
    (2, "Вера", "89160000002", None),
    (5, "nobody", "none", None),
)


def make_prototype(
    path: Path,
    *,
    users: Sequence[tuple[Any, ...]] = USERS,
    callbase: Sequence[tuple[Any, ...]] = CALLBASE,
    schema: str = SCHEMA,
    before: str = "",
) -> Path:
    """A database with these rows; `before` is SQL that comes first (an encoding, a journal mode)."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(before + schema)
        for table, rows in (("Users", users), ("Callbase", callbase)):
            for row in rows:
                connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
    return path


def contents(path: Path) -> list[str]:
    """All that a database of the prototype holds."""
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = bytes
        rows: list[str] = []
        for table in ("Users", "Callbase"):
            rows += [repr(row) for row in connection.execute(f"SELECT * FROM {table}")]
        return rows

"""Tells the database of the prototype from ours: both are SQLite files, and may stand under one name."""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

BUSY_TIMEOUT_S = 5.0


def connect_to_existing(path: Path) -> sqlite3.Connection:
    """A connection that makes no file, and reads texts as bytes: not all may be UTF-8.

    It may write, for SQLite ends what a killed program left half-done.
    """
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode=rw", uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None
    )
    connection.text_factory = bytes
    return connection


def holds_prototype(path: Path) -> bool:
    """Whether the file holds the prototype's tables (Users with uid, Callbase with cid) and not ours.

    False for what is no database. Raises sqlite3.OperationalError for a locked file.
    """
    if not path.is_file():
        return False
    with closing(connect_to_existing(path)) as connection:
        try:
            tables = tables_of(connection)
            if "alembic_version" in tables:
                return False
            found = {name: columns_of(connection, tables[name]) for name in ("users", "callbase") if name in tables}
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            return False
    return "uid" in found.get("users", ()) or "cid" in found.get("callbase", ()) or len(found) == 2


def tables_of(connection: sqlite3.Connection) -> dict[str, str]:
    """The tables by their names in lower case, as SQLite compares them."""
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    names = [name.decode("utf-8", "replace") for (name,) in rows]
    return {name.lower(): name for name in names}


def columns_of(connection: sqlite3.Connection, table: str) -> list[str]:
    """The columns of a table, in lower case."""
    quoted = table.replace('"', '""')
    described = connection.execute(f'SELECT * FROM "{quoted}" LIMIT 0').description  # noqa: S608 -- a quoted name
    return [column[0].lower() for column in described]

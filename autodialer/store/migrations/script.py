"""sqlite/script.sql, the schema for people and for `sqlite3 db < script.sql`; `make script` writes it.

Made from a database that the migrations made, so that it is never another schema, and stamped with their version.
"""

import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from autodialer.store.migrations import migrate

HEAD = """\
-- The database of the dialer, with sample data: sqlite3 db.sqlite3 < script.sql
-- Generated from the migrations by `make script`; do not edit.
--
-- Keys are integers and stay inside the service; id is the public UUID (version 7) as its 16 bytes.
-- Times (..._at) are milliseconds since 1970-01-01 UTC, spans (..._s) are seconds.

PRAGMA journal_mode = WAL;
PRAGMA foreign_keys = ON;
BEGIN;
"""

SAMPLES = """\
-- Three sample users. None can log in until `python main.py set-password LOGIN`.
INSERT INTO users ("key", id, login, name, role, password_hash, comment, created_at) VALUES
    (1, X'019b5000000070008000000000000001', 'anna', 'Anna', 'user', NULL, 'sample', 1767225600000),
    (2, X'019b5000000070008000000000000002', 'boris', 'Boris', 'user', NULL, 'sample', 1767225600000),
    (3, X'019b5000000070008000000000000003', 'vera', 'Vera', 'user', NULL, 'sample', 1767225600000);

-- Three sample subscribers. Their numbers are of a range that Ofcom keeps for drama: they belong to nobody.
INSERT INTO callbases ("key", id, owner_key, name, region, timezone, state, rows, rows_done, imported, created_at)
VALUES
    (1, X'019b5000000070008000000000000011', 1, 'sample', 'GB', 'Europe/London', 'ready', 3, 3, 3, 1767225600000);
INSERT INTO subscribers ("key", id, callbase_key, number, name, comment) VALUES
    (1, X'019b5000000070008000000000000021', 1, '+442079460101', 'Alice Sample', 'belongs to nobody'),
    (2, X'019b5000000070008000000000000022', 1, '+442079460102', 'Bob Sample', 'belongs to nobody'),
    (3, X'019b5000000070008000000000000023', 1, '+442079460103', 'Carol Sample', 'belongs to nobody');
"""

TAIL = "COMMIT;\n"


def script() -> str:
    """The whole text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "db.sqlite3"
        migrate(f"sqlite:///{path}")
        connection = sqlite3.connect(path)
        try:
            return "\n".join([HEAD, *_schema(connection), _version(connection), SAMPLES, TAIL])
        finally:
            connection.close()


def _schema(connection: sqlite3.Connection) -> Iterator[str]:
    """Each table with its indexes and triggers, the tables in the order in which they were made."""
    tables = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' "
        "ORDER BY rowid"
    ).fetchall()
    for table, sql in tables:
        others = connection.execute(
            "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND type IN ('index', 'trigger') AND sql IS NOT NULL "
            "ORDER BY type, name",
            (table,),
        ).fetchall()
        yield f"{sql};\n" + "".join(f"{statement};\n" for (statement,) in others)


def _version(connection: sqlite3.Connection) -> str:
    (version,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return f"-- The migration that this schema corresponds to.\nINSERT INTO alembic_version VALUES ('{version}');\n"


if __name__ == "__main__":
    sys.stdout.write(script())

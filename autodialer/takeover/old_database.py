"""The prototype's database: two tables, of which any column may be missing and any value of any type."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from autodialer.errors import SettingsError, Unavailable
from autodialer.store.migrations.prototype import columns_of, connect_to_existing, tables_of

USERS, CALLBASE = "users", "callbase"
USED: Mapping[str, tuple[str, ...]] = {
    USERS: ("uid", "name", "login", "password", "comment"),
    CALLBASE: ("cid", "name", "number", "comment"),
}
"""The columns that are taken over. `acc_token` and `expired` of Users are sessions: everybody logs in again."""
OLD_ENCODING = "cp1251"
"""Of texts that are not UTF-8: what Windows wrote where the prototype's users live."""
HARMLESS = ("NULL value", "CHECK constraint", "non-unique", "row ", "wrong # of entries")
"""How findings of SQLite's check begin that are no damage to what is read here: rows, without any index."""

Values = Mapping[str, str | None]


class OldDatabase:
    """One file, held so that no one else writes to it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._tables = tables_of(connection)
        self.odd_texts = 0
        """Texts read so far that were not UTF-8."""

    def missing(self) -> list[str]:
        """What a prototype's database has and this one does not: tables, and columns as `Users.login`."""
        found: list[str] = []
        for table, used in USED.items():
            if table not in self._tables:
                found.append(table.capitalize())
                continue
            there = columns_of(self._connection, self._tables[table])
            found += [f"{table.capitalize()}.{column}" for column in used if column not in there]
        return found

    def rows(self, table: str) -> Iterator[tuple[int, Values]]:
        """The rows of a table, each with its number from 1 and its texts; a missing column is None throughout."""
        if table not in self._tables:
            return
        quoted = self._tables[table].replace('"', '""')
        cursor = self._connection.execute(f'SELECT * FROM "{quoted}"')  # noqa: S608 -- a quoted name
        columns = [column[0].lower() for column in cursor.description]
        for number, row in enumerate(cursor, 1):
            values = dict(zip(columns, row, strict=True))
            yield number, {name: self._text(values.get(name)) for name in USED[table]}

    def _text(self, value: Any) -> str | None:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if value is None or not isinstance(value, bytes):
            return None if value is None else str(value)
        try:
            text = value.decode("utf-8")
        except UnicodeDecodeError:
            self.odd_texts += 1
            text = value.decode(OLD_ENCODING, "replace")
        return text.replace("\x00", "")


@contextmanager
def held(path: Path) -> Iterator[OldDatabase]:
    """The database in `path`, one file without a journal beside it, and locked.

    Raises Unavailable while another program uses it, SettingsError when it is damaged.
    """
    connection = connect_to_existing(path)
    try:
        # One file is kept under another name: what a WAL holds must be in it. Fails while others have the file open.
        connection.execute("PRAGMA journal_mode = DELETE").fetchall()
        connection.execute("BEGIN EXCLUSIVE")
        _check(connection)
        yield OldDatabase(connection)
    except sqlite3.OperationalError as exc:
        raise Unavailable(
            f"The prototype's database {path} cannot be taken over now ({exc}): stop the prototype and whatever else "
            "uses the file, see that this user may write to it, then start again. Nothing has been changed."
        ) from exc
    except sqlite3.DatabaseError as exc:
        raise SettingsError(
            f"The prototype's database {path} is damaged ({exc}). Repair it (sqlite3 OLD .recover | sqlite3 NEW), or "
            "move it away to start without its users and subscribers. Nothing has been changed."
        ) from exc
    finally:
        connection.close()


def _check(connection: sqlite3.Connection) -> None:
    for (found,) in connection.execute("PRAGMA quick_check(20)"):
        sentence = found.decode("utf-8", "replace")
        if sentence != "ok" and not sentence.startswith(HARMLESS):
            raise sqlite3.DatabaseError(sentence.replace("\n", " "))

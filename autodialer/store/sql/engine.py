"""The connection to the database: many readers, one writer a process, and what SQLite must be told for that."""

import logging
import os
import sqlite3
import threading
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, Dialect, Engine, Row, Table, create_engine, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionLeft
from sqlalchemy.pool import QueuePool

from autodialer.errors import SettingsError, Unavailable

AnyRow = Row[*tuple[Any, ...]]
"""A row whose columns are known by name."""

logger = logging.getLogger(__name__)

SYNCHRONOUS = ("NORMAL", "FULL")
# Connections that stay open. Further ones, up to more than the API has threads, come and go.
READERS = 8
MOST_READERS = 24
LOCK_POLL_S = 0.001
AUTOCHECKPOINT_PAGES = 1000
"""SQLite's own: a commit that finds a longer write-ahead log brings it into the database file."""
BEGIN_READ = "BEGIN"
BEGIN_WRITE = "BEGIN IMMEDIATE"
"""First in a transaction, said outright: with an event listener SQLAlchemy asks for events at every statement."""


@dataclass(kw_only=True)
class Busy:
    """How busy a database has been for this process, counted since its start."""

    transactions: int = 0
    """Write transactions that began."""
    waited_s: float = 0.0
    """What they waited for other processes, in all."""
    refused: int = 0
    """Transactions that failed: locked for too long, a full disk, no connection left."""


class Database:
    """One database, used by one process.

    In WAL mode readers and the writer do not wait for each other. A write transaction starts with BEGIN IMMEDIATE: one
    that starts as a reader and then writes would fail at once, without the busy timeout, when another process wrote
    in between.
    """

    def __init__(
        self,
        url: str,
        *,
        synchronous: str = "NORMAL",
        busy_timeout_s: float = 10.0,
        autocheckpoint_pages: int = AUTOCHECKPOINT_PAGES,
    ) -> None:
        self._engine = make_engine(
            url, synchronous=synchronous, busy_timeout_s=busy_timeout_s, autocheckpoint_pages=autocheckpoint_pages
        )
        self._synchronous = synchronous
        self._write_lock = threading.Lock()
        self._open = _OpenTransaction()
        self._busy_timeout_s = busy_timeout_s
        self.busy = Busy()
        self._commits = _Commits(self._engine)
        self.dialect: str = self._engine.dialect.name
        self.sql_dialect: Dialect = self._engine.dialect

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one state of the database throughout. Raises Unavailable.

        Within a write transaction of the same thread it is that one's connection, which sees what was written.
        """
        outer = self._open.connection
        with self._dead_as_unavailable():
            if outer is not None:
                yield outer
                return
            with self._engine.connect() as connection:
                connection.exec_driver_sql(BEGIN_READ)
                yield connection

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Connection]:
        """A write transaction: committed at the end, rolled back by an exception. Raises Unavailable.

        Threads of this process queue for it here; other processes are waited for up to the busy timeout. One within
        another of the same thread is part of it: the outer one commits both, an exception in the inner one undoes the
        inner one's writes even if the outer one goes on.

        With `durable` False the commit does not wait for the disk, whatever the database's `synchronous`: after a power
        loss it may be undone, with all that came after it and never without that. The next durable commit makes it so.
        """
        outer = self._open.connection
        with self._dead_as_unavailable():
            if outer is not None:
                with outer.begin_nested():
                    yield outer
                return
            # The lock first: threads that wait for it hold no connection, which readers need.
            with self._write_lock, self._engine.begin() as connection:
                # Before BEGIN: SQLite does not change it within a transaction.
                _set_synchronous(connection, self._synchronous if durable else "NORMAL")
                self._begin_write(connection)
                self._open.connection = connection
                try:
                    yield connection
                finally:
                    self._open.connection = None

    def checkpoint(self) -> None:
        """Bring what commits have left in the write-ahead log into the database file. Raises Unavailable.

        It waits for the disk, but neither readers nor the writer wait for it.
        """
        with self._dead_as_unavailable(), self._engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")

    def version(self) -> tuple[int, int]:
        """Another value after every commit of any process, and the same one as long as nothing is committed.

        It costs a hundredth of a query: what was read after it was asked for still holds while it is the same. Raises
        Unavailable.
        """
        with self._dead_as_unavailable():
            return self._commits.seen()

    def close(self) -> None:
        """Close all connections. A later use would open others."""
        self._commits.close()
        self._engine.dispose()

    @contextmanager
    def _dead_as_unavailable(self) -> Iterator[None]:
        try:
            yield
        except (OperationalError, NoConnectionLeft) as exc:
            logger.error("the database refuses: %s", exc)
            self.busy.refused += 1
            raise Unavailable("The database is locked or its disk is full; try again in a moment.") from exc

    def _begin_write(self, connection: Connection) -> None:
        """Take the write lock. SQLite itself looks for it ever more rarely, and beside bulk changes seldom finds it."""
        began = time.monotonic()
        deadline = began + self._busy_timeout_s
        while True:
            try:
                with _without_waiting(connection, self._busy_timeout_s):
                    connection.exec_driver_sql(BEGIN_WRITE)
                self.busy.transactions += 1
                self.busy.waited_s += time.monotonic() - began
                return
            except OperationalError as exc:
                # SQLite has one error class for a lock, a full disk and a broken file; only a lock passes by itself.
                if "locked" not in str(exc.orig) or time.monotonic() > deadline:
                    raise
            time.sleep(LOCK_POLL_S)


class _Commits:
    """A connection that only ever asks whether the others have committed anything.

    SQLite counts the commits of other connections, and not those of the connection that asks: `PRAGMA data_version`.
    Hence a connection that never writes, and one for all threads, for each connection counts from a number of its own.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._opened = 0

    def seen(self) -> tuple[int, int]:
        """Which connection counts, and its count."""
        with self._lock:
            if self._connection is None:
                connection = self._engine.raw_connection()
                self._connection = cast(sqlite3.Connection, connection.driver_connection)
                connection.detach()
                self._opened += 1
            try:
                [count] = self._connection.execute("PRAGMA data_version").fetchone()
            except sqlite3.OperationalError as exc:
                raise OperationalError("PRAGMA data_version", None, exc) from exc
            return self._opened, count

    def close(self) -> None:
        """The next question opens another connection."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


class _OpenTransaction(threading.local):
    """The write transaction that the current thread has open."""

    connection: Connection | None = None


def make_engine(
    url: str,
    *,
    synchronous: str,
    busy_timeout_s: float,
    foreign_keys: bool = True,
    autocheckpoint_pages: int = AUTOCHECKPOINT_PAGES,
) -> Engine:
    """An engine whose connections are set up; they begin no transaction by themselves.

    Raises SettingsError for a database that is not supported.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        raise SettingsError(f"DIALER_DATABASE_URL takes sqlite:///path/to/a/file for now; it is {parsed!r}")
    if synchronous not in SYNCHRONOUS:
        raise SettingsError(f"synchronous is one of {SYNCHRONOUS}, not {synchronous!r}")
    engine = create_engine(
        parsed,
        # Errors of the database are logged, and what they would show are people's numbers.
        hide_parameters=True,
        poolclass=QueuePool,
        pool_size=READERS,
        max_overflow=MOST_READERS - READERS,
        # The pool hands a connection from one thread to another, never to two at a time.
        connect_args={"timeout": busy_timeout_s, "check_same_thread": False},
    )
    # Off for migrations: SQLite drops a table that is rebuilt by deleting its rows, and what refers to them would go
    # too.
    on = "ON" if foreign_keys else "OFF"
    pragmas = (
        f"PRAGMA foreign_keys = {on}",
        f"PRAGMA synchronous = {synchronous}",
        f"PRAGMA wal_autocheckpoint = {autocheckpoint_pages}",
        "PRAGMA temp_store = MEMORY",
    )

    def set_up(connection: sqlite3.Connection, _record: Any) -> None:
        # Without this the driver begins transactions by itself: late, deferred, and not at all before DDL.
        connection.isolation_level = None
        for pragma in pragmas:
            connection.execute(pragma)
        # SQLite's own lower() and LIKE know the capitals of ASCII only.
        connection.create_function("folded", 1, fold, deterministic=True)

    event.listen(engine, "connect", set_up)
    return engine


def fold(text: str | None) -> str | None:
    """A text as `store.sql.filtering` compares it."""
    if text is None or text.isascii():
        return text and text.lower()
    return unicodedata.normalize("NFC", text).casefold()


def create_file(url: str) -> None:
    """Make the database file, readable by its owner only; SQLite gives the -wal and -shm beside it the same mode."""
    path = Path(make_url(url).database or "")
    path.parent.mkdir(parents=True, exist_ok=True)
    # Made by us and not by SQLite, whose files take the mode that the umask leaves.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    # The file may be an older one, or restored from a backup.
    os.chmod(path, 0o600)


def insert_into(dialect: str, table: Table) -> sqlite.Insert:
    """An INSERT that has `on_conflict_do_nothing` and `on_conflict_do_update`; PostgreSQL's has the same methods."""
    return cast(sqlite.Insert, {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[dialect](table))


def is_duplicate(error: IntegrityError, *columns: str) -> bool:
    """Whether a UNIQUE constraint over just these columns (`users.login`) refused the row."""
    return f"UNIQUE constraint failed: {', '.join(columns)}" in str(error.orig)


def ping(database: Database) -> None:
    """Raises Unavailable when the database does not answer."""
    with database.read() as connection:
        connection.execute(text("SELECT 1"))


def _set_synchronous(connection: Connection, wanted: str) -> None:
    """For the next transaction; asked of the database only where the connection's last one had another."""
    if connection.info.get("synchronous") != wanted:
        connection.exec_driver_sql(f"PRAGMA synchronous = {wanted}")
        connection.info["synchronous"] = wanted


@contextmanager
def _without_waiting(connection: Connection, busy_timeout_s: float) -> Iterator[None]:
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        yield
    finally:
        driver.execute(f"PRAGMA busy_timeout = {round(busy_timeout_s * 1000)}")

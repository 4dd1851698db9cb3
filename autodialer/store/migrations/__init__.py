"""Migrations: every database, new or old, comes to its tables through these (Alembic, driven from here)."""

import logging
import sqlite3
import time
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, make_url, text
from sqlalchemy.exc import OperationalError

from autodialer.clock import Clock
from autodialer.errors import SettingsError, Unavailable
from autodialer.store.backup.snapshot import keep_before_migration
from autodialer.store.migrations.prototype import holds_prototype
from autodialer.store.sql.engine import BEGIN_WRITE, create_file, make_engine

logger = logging.getLogger(__name__)

FOLDER = Path(__file__).parent
BUSY_TIMEOUT_S = 30.0


def migrate(url: str) -> None:
    """Bring the database to the newest version; make it when it does not exist.

    One transaction: it is done or it never was, and of two processes that start together one waits for the other.
    A database of an older version is copied first, and the three newest copies are kept. Raises SettingsError when the
    file is not a database, is the prototype's, comes from a newer version of the service or cannot be copied,
    Unavailable when it is locked for too long.
    """
    engine = make_engine(url, synchronous="FULL", busy_timeout_s=BUSY_TIMEOUT_S, foreign_keys=False)
    try:
        _refuse_prototype(url)
        create_file(url)
        _switch_to_wal(url)
        with engine.begin() as connection:
            connection.exec_driver_sql(BEGIN_WRITE)
            _keep_a_copy(url, connection)
            command.upgrade(make_config(connection), "head")
            _check_references(connection)
    except CommandError as exc:
        raise SettingsError(f"The database {url} was made by a newer version of this service: {exc}") from exc
    except OperationalError as exc:
        raise Unavailable(f"The database {url} cannot be prepared: {exc.orig}") from exc
    except sqlite3.OperationalError as exc:
        raise Unavailable(f"The database {url} cannot be prepared: {exc}") from exc
    except (sqlite3.DatabaseError, OSError) as exc:
        raise SettingsError(f"{url} is not a database that can be used: {exc}") from exc
    finally:
        engine.dispose()


def make_config(connection: Connection, **options: Any) -> Config:
    """What Alembic is told; env.py finds the connection in its attributes."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("file_template", "v%%(rev)s_%%(slug)s")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    config.attributes.update(options)
    return config


def _refuse_prototype(url: str) -> None:
    path = Path(make_url(url).database or "")
    if holds_prototype(path):
        raise SettingsError(
            f"{path} is a database of the prototype. Start the service with `python main.py`: it takes the users and "
            "subscribers over, and keeps the old file under another name."
        )


def _switch_to_wal(url: str) -> None:
    # SQLite does not wait here, whatever the busy timeout: two processes that switch at once refuse each other.
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        connection = sqlite3.connect(make_url(url).database or "", timeout=1.0)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as exc:
            if "locked" not in str(exc) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        finally:
            connection.close()


def _keep_a_copy(url: str, connection: Connection) -> None:
    """Of a database that is about to be changed: the way back to the version of the service that made it.

    Within the transaction, which so far has written nothing: of two processes that start together one makes the copy.
    """
    revision = MigrationContext.configure(connection).get_current_revision()
    versions = ScriptDirectory.from_config(make_config(connection))
    # A version that is not known is of a newer service and is refused: a copy at each try would push good ones out.
    known = {script.revision for script in versions.walk_revisions()}
    if revision not in known or revision == versions.get_current_head():
        return
    kept = keep_before_migration(Path(make_url(url).database or "").resolve(), revision, Clock().utcnow())
    logger.info("the database is of version %s; a copy is kept as %s before it is upgraded", revision, kept)


def _check_references(connection: Connection) -> None:
    broken = connection.execute(text("PRAGMA foreign_key_check")).first()
    if broken is not None:
        raise SettingsError(f"The database is damaged: {broken[0]} refers to a row of {broken[2]} that is not there")

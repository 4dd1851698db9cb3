"""A copy of a database that is in use: one state of it, whole."""

import os
import shutil
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from autodialer.errors import SettingsError, Unavailable

BUSY_TIMEOUT_S = 10.0
KEPT_FOLDER = "backups"
KEPT = 3
"""Copies made before migrations that are kept, the newest."""
ROOM = 20_000_000
"""Bytes that must be left on the disk after a copy, so that the service can still write."""


def copy_database(source: Path, to: Path) -> None:
    """Copy what is committed in `source` to the new file `to`, mode 0600.

    All pages in one step, which sees one state: copied page by page, SQLite would begin again at each commit of the
    dialer, and so for ever. In WAL mode no writer waits for it. Raises Unavailable when the database is locked or the
    disk is full, SettingsError when the file is damaged or is not a database; then `to` is not there.
    """
    os.close(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        _copy(source, to)
        check_whole(to)
        with to.open("rb") as file:
            os.fsync(file.fileno())
    except BaseException:
        to.unlink(missing_ok=True)
        raise


def _copy(source: Path, to: Path) -> None:
    try:
        with (
            closing(sqlite3.connect(source, timeout=BUSY_TIMEOUT_S)) as old,
            closing(sqlite3.connect(to, timeout=BUSY_TIMEOUT_S)) as new,
        ):
            old.execute("PRAGMA query_only = ON")
            old.backup(new, pages=-1)
            # One file: a copy in WAL mode would grow a -wal beside it as soon as somebody looks at it.
            new.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError as exc:
        raise Unavailable(f"{source} cannot be copied to {to}: {exc}.") from exc
    except sqlite3.DatabaseError as exc:
        raise SettingsError(f"{source} cannot be copied: {exc}.") from exc


def check_whole(path: Path) -> None:
    """Raises SettingsError when the database is damaged, or the file is not a database."""
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_S)) as connection:
            [found] = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as exc:
        raise SettingsError(f"{path} is not a database that can be used: {exc}.") from exc
    if found != "ok":
        raise SettingsError(f"The database is damaged ({found}), so that a copy of it is worth nothing.")


def keep_before_migration(path: Path, revision: str, now: datetime) -> Path:
    """Keep a copy of the database as it was before a migration, and the two before that; the new one.

    Raises SettingsError when there is no room for it or its folder cannot be written, else as `copy_database`.
    """
    folder = path.parent / KEPT_FOLDER
    kept = folder / f"{path.stem}-{now:%Y%m%dT%H%M%SZ}-{revision}.sqlite3"
    copies = f"{path.stem}-*Z-"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        _check_room(path, folder)
        draft = kept.with_name(f"{kept.name}.draft")
        draft.unlink(missing_ok=True)
        copy_database(path, draft)
        draft.replace(kept)
        # A migration that fails is tried again at each start: that must not push the copies of other versions out.
        same = [old for old in folder.glob(f"{copies}{revision}.sqlite3") if old != kept]
        for old in [*same, *sorted(set(folder.glob(f"{copies}*.sqlite3")) - set(same))[:-KEPT]]:
            old.unlink()
    except OSError as exc:
        raise SettingsError(
            f"The database must be upgraded, and is copied to {folder} before; that failed: {exc.strerror or exc}. "
            "Give this user the right to write there, then start again. Nothing has been changed."
        ) from exc
    return kept


def _check_room(path: Path, folder: Path) -> None:
    wanted = path.stat().st_size + ROOM
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise SettingsError(
            f"The database must be upgraded, and is copied to {folder} before. That takes {wanted // 1_000_000} MB, "
            f"and {free // 1_000_000} MB are free: make room, then start again. Nothing has been changed."
        )

"""Databases that are ready to be used, without the time that the migrations take."""

import os
import tempfile
from functools import cache
from pathlib import Path

from autodialer.store import migrate


def make_database(url: str) -> None:
    """What `migrate` makes of an SQLite file that is not there yet; the migrations run once a process."""
    path = url.removeprefix("sqlite:///")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(_migrated())


@cache
def _migrated() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "db.sqlite3"
        migrate(f"sqlite:///{path}")
        return path.read_bytes()

"""Databases that are ready to be used, without the time that the migrations take."""

import os
import tempfile
from functools import cache
from pathlib import Path

from argon2 import PasswordHasher

from autodialer.store import Secrets, migrate


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


def cheap_secrets(keys: Path) -> Secrets:
    """Secrets whose passwords cost nothing to hash: opening them with the real costs takes 0.2 s."""
    return Secrets(keys, hasher=PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))

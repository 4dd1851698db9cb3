"""Before a migration the database is copied: the way back to the version of the service that made it."""

import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command

from autodialer.commands.restore import run_restore
from autodialer.config import Settings
from autodialer.errors import SettingsError, Unavailable
from autodialer.store import migrate
from autodialer.store.backup import snapshot
from autodialer.store.backup.snapshot import copy_database, keep_before_migration
from autodialer.store.migrations import make_config
from autodialer.store.sql.engine import make_engine
from tests.databases import make_database

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def make_old(path: Path, revision: str = "0031") -> str:
    """A database of an older version, with a user."""
    url = f"sqlite:///{path}"
    engine = make_engine(url, synchronous="NORMAL", busy_timeout_s=1.0)
    with engine.begin() as connection:
        command.upgrade(make_config(connection), revision)
    engine.dispose()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "INSERT INTO users (key, id, login, name, role, comment, created_at)"
            " VALUES (1, zeroblob(16), 'anna', '', 'admin', '', 0)"
        )
    return url


def revision_of(path: Path) -> str:
    with closing(sqlite3.connect(path)) as database:
        [revision] = database.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(revision)


def test_an_upgrade_keeps_the_database_as_it_was_and_a_start_without_one_keeps_nothing(tmp_path: Path) -> None:
    url = make_old(tmp_path / "db.sqlite3")
    migrate(url)
    [kept] = (tmp_path / "backups").iterdir()
    assert revision_of(kept) == "0031" != revision_of(tmp_path / "db.sqlite3")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "backups").stat().st_mode) == 0o700
    migrate(url)
    assert [*(tmp_path / "backups").iterdir()] == [kept]


def test_a_new_database_keeps_nothing(tmp_path: Path) -> None:
    migrate(f"sqlite:///{tmp_path / 'db.sqlite3'}")
    assert not (tmp_path / "backups").exists()


def test_an_upgrade_that_fails_has_changed_nothing_and_pushes_no_other_copy_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "db.sqlite3"
    url = make_old(path)
    for days, revision in enumerate(("0001", "0002")):
        keep_before_migration(path, revision, NOW + timedelta(days=days))
    monkeypatch.setattr("autodialer.store.migrations._check_references", lambda _connection: 1 / 0)
    for _ in range(5):
        with pytest.raises(ZeroDivisionError):
            migrate(url)
    assert revision_of(path) == "0031"
    assert sorted(kept.stem.rpartition("-")[2] for kept in (tmp_path / "backups").iterdir()) == ["0001", "0002", "0031"]


def test_the_three_newest_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "db.sqlite3"
    make_old(path)
    for version in range(1, 8):
        keep_before_migration(path, f"{version:04}", NOW + timedelta(days=version))
    found = sorted(kept.stem.rpartition("-")[2] for kept in (tmp_path / "backups").iterdir())
    assert found == ["0005", "0006", "0007"]


def test_a_copy_is_put_back_for_the_version_that_made_it(tmp_path: Path, capsys: Any) -> None:
    """As docs/deploy.md says to roll back; here the present version, which upgrades it again."""
    settings = Settings(data=tmp_path)
    migrate(make_old(tmp_path / "db.sqlite3"))
    with closing(sqlite3.connect(tmp_path / "db.sqlite3")) as database, database:
        database.execute("UPDATE users SET name = 'changed since'")
    [kept] = (tmp_path / "backups").iterdir()
    assert run_restore(settings, str(kept), force=True) == 0
    with closing(sqlite3.connect(tmp_path / "db.sqlite3")) as database:
        assert database.execute("SELECT login, name FROM users").fetchall() == [("anna", "")]
    assert kept.exists()


def no_room(patch: pytest.MonkeyPatch, folder: Path) -> None:
    usage = snapshot.shutil.disk_usage(folder)
    patch.setattr(snapshot.shutil, "disk_usage", lambda _path: usage._replace(free=1_000_000))


def no_folder(patch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / "backups").write_text("in the way")


@pytest.mark.parametrize("fault", [no_room, no_folder])
def test_without_a_copy_nothing_is_upgraded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Callable[[pytest.MonkeyPatch, Path], None]
) -> None:
    url = make_old(tmp_path / "db.sqlite3")
    fault(monkeypatch, tmp_path)
    with pytest.raises(SettingsError, match="Nothing has been changed"):
        migrate(url)
    assert revision_of(tmp_path / "db.sqlite3") == "0031"


def test_a_copy_is_of_one_state_although_others_write_all_the_time(tmp_path: Path) -> None:
    path = tmp_path / "db.sqlite3"
    make_database(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE pairs (a, b)")
        database.commit()
        database.execute("BEGIN IMMEDIATE")
        database.executemany("INSERT INTO pairs VALUES (?, ?)", [(each, "x" * 500) for each in range(20_000)])
        copy_database(path, tmp_path / "during")
        database.commit()
    copy_database(path, tmp_path / "after")
    counts = []
    for name in ("during", "after"):
        with closing(sqlite3.connect(tmp_path / name)) as copy:
            counts.append(copy.execute("SELECT count(*) FROM pairs").fetchone()[0])
    assert counts == [0, 20_000]


def test_a_damaged_database_is_not_copied_as_if_it_were_whole(tmp_path: Path) -> None:
    path = tmp_path / "db.sqlite3"
    make_database(f"sqlite:///{path}")
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + bytes(len(whole) // 2) + whole[8192 + len(whole) // 2 :])
    with pytest.raises((SettingsError, Unavailable)):
        copy_database(path, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()

"""A backup is whole or is not there, and a restore loses nothing and lets nothing go on by itself."""

import io
import json
import os
import shutil
import sqlite3
import stat
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import main
from autodialer.commands import archive, restore
from autodialer.commands.backup import run_backup
from autodialer.commands.restore import run_restore
from autodialer.config import Settings
from autodialer.errors import AlreadyRunning, Conflict, Invalid, NotFound, SettingsError, Unavailable
from autodialer.model import CampaignState
from autodialer.report import explain
from autodialer.store import Secrets, Store
from autodialer.supervisor import RESTORING, DataFolderLock
from tests.databases import cheap_secrets, make_database
from tests.dialer.world import World

ADDRESS = ("127.0.0.1", 5999)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A service's data with a campaign that runs, and nobody at work."""
    made = World.make(tmp_path / "data")
    (made.settings.sounds / "deep").mkdir()
    (made.settings.sounds / "deep" / "Überraschung 1.mp3").write_bytes(b"x" * 3_000_000)
    made.campaign(ADDRESS, ["7000000001", "7000000002"])
    yield made
    made.store.close()


@pytest.fixture
def backup(world: World, tmp_path: Path) -> Path:
    """Of that world."""
    file = tmp_path / "backup.tar"
    assert run_backup(world.settings, str(file)) == 0
    return file


def contents(folder: Path) -> dict[str, bytes]:
    """Of keys and sounds."""
    files = [path for room in ("keys", "sounds") for path in (folder / room).rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def opened(settings: Settings) -> Store:
    return Store(settings.url, secrets=cheap_secrets(settings.keys))


@pytest.mark.parametrize("name", ["backup.tar", "backup.tar.gz", "b.tgz"])
def test_what_is_restored_is_what_was_backed_up(world: World, tmp_path: Path, name: str) -> None:
    before = contents(world.settings.data)
    trunk = world.store.trunks.page(None)[0][0]
    assert run_backup(world.settings, str(tmp_path / name)) == 0
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"data", name}, "no draft is left"
    elsewhere = Settings(data=tmp_path / "new")
    elsewhere.data.mkdir()
    assert run_restore(elsewhere, str(tmp_path / name), force=False) == 0
    assert contents(elsewhere.data) == before
    assert len(before) > 4
    store = opened(elsewhere)
    assert store.trunks.page(None)[0][0].password == trunk.password == "secret", "its keys came with it"
    store.close()
    modes = {stat.S_IMODE(path.stat().st_mode) for path in elsewhere.data.rglob("*") if path.is_file()}
    assert modes <= {0o600, 0o644} and stat.S_IMODE((elsewhere.data / "db.sqlite3").stat().st_mode) == 0o600
    assert {path.name for path in elsewhere.data.iterdir()} >= {"db.sqlite3", "keys", "sounds"}
    assert not [path for path in elsewhere.data.iterdir() if path.name.startswith(".restore")]


def test_a_running_campaign_comes_back_paused_with_the_reason(world: World, backup: Path, capsys: Any) -> None:
    world.store.close()
    assert run_restore(world.settings, str(backup), force=True) == 0
    said = capsys.readouterr().out
    assert "PEOPLE CALLED SINCE WOULD BE CALLED AGAIN" in said and "'campaign'" in said
    store = opened(world.settings)
    [campaign] = store.campaigns.page(None)[0]
    assert campaign.state is CampaignState.PAUSED
    [reason] = explain(store, campaign, datetime.now(UTC)).reasons
    assert "backup of 20" in reason.message and "calls made since" in reason.message
    assert store.audit.page(limit=1)[0][0].action == "database.restored"
    store.close()


def test_what_waited_for_the_dialer_then_is_not_done_now(world: World, tmp_path: Path) -> None:
    store = world.store
    family = store.tokens.new_family(world.owner)
    trunk = store.trunks.page(None)[0][0]
    store.checks.ask(trunk.key, "7000000009")
    store.campaigns.create_sample_call(world.owner, trunk_key=trunk.key, sound_key=world.sound, number="7000000003")
    assert len(store.queue.running_campaigns()) == 2
    run_backup(world.settings, str(tmp_path / "b"))
    store.close()
    run_restore(world.settings, str(tmp_path / "b"), force=True)
    store = opened(world.settings)
    assert store.queue.running_campaigns() == []
    assert store.commands.new() == []
    assert store.tokens.user_of_family(family.family_id) is None
    assert store.live.dialer() is None
    store.close()


# -- never half a file


def test_a_file_that_is_there_is_not_replaced(world: World, tmp_path: Path) -> None:
    (tmp_path / "b").write_text("mine")
    with pytest.raises(Conflict, match="another name"):
        run_backup(world.settings, str(tmp_path / "b"))
    assert (tmp_path / "b").read_text() == "mine"


@pytest.mark.parametrize("failure", [OSError(28, "No space left"), Unavailable("locked"), KeyboardInterrupt()])
@pytest.mark.parametrize("at", range(4))
def test_a_backup_that_fails_leaves_nothing(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException, at: int
) -> None:
    steps = iter(range(100))
    add = archive.ArchiveWriter.add

    def fail(self: archive.ArchiveWriter, path: Path, name: str) -> None:
        if next(steps) == at:
            raise failure
        add(self, path, name)

    monkeypatch.setattr(archive.ArchiveWriter, "add", fail)
    with pytest.raises((Invalid, Unavailable, KeyboardInterrupt)):
        run_backup(world.settings, str(tmp_path / "b"))
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


def test_without_a_database_or_a_folder_it_says_so(tmp_path: Path, world: World) -> None:
    with pytest.raises(NotFound, match="DIALER_DATA"):
        run_backup(Settings(data=tmp_path / "nothing"), str(tmp_path / "b"))
    with pytest.raises(Invalid, match="no folder"):
        run_backup(world.settings, str(tmp_path / "missing" / "b"))


# -- nothing is put in place that is not a whole backup


def test_a_file_that_was_cut_short_anywhere_is_refused_and_changes_nothing(
    world: World, backup: Path, tmp_path: Path
) -> None:
    whole, target = backup.read_bytes(), Settings(data=tmp_path / "new")
    target.data.mkdir()
    # The padding after the last member is no part of it.
    with tarfile.open(backup) as opened_backup:
        last = opened_backup.getmembers()[-1]
        end = last.offset_data + last.size
    for length in [0, 1, 100, 512, 700, *range(1000, end, end // 40), end - 1]:
        (tmp_path / "cut").write_bytes(whole[:length])
        with pytest.raises(Invalid):
            run_restore(target, str(tmp_path / "cut"), force=False)
        assert not [path for path in target.data.iterdir() if not path.name.endswith(".lock")]


def with_member(name: str, **fields: Any) -> Callable[[tarfile.TarFile], None]:
    def add(made: tarfile.TarFile) -> None:
        member = tarfile.TarInfo(name)
        for field, value in fields.items():
            setattr(member, field, value)
        member.size = 1 if member.isreg() else 0
        made.addfile(member, io.BytesIO(b"x"))

    return add


@pytest.mark.parametrize(
    "add",
    [
        with_member("../evil"),
        with_member("/etc/evil"),
        with_member("sounds/../../evil"),
        with_member("keys/./x"),
        with_member("keys//x"),
        with_member("evil"),
        with_member("db.sqlite3/x"),
        with_member("sounds/link", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        with_member("sounds/link", type=tarfile.LNKTYPE, linkname="/etc/passwd"),
        with_member("sounds/fifo", type=tarfile.FIFOTYPE),
        with_member("sounds/x"),
    ],
)
def test_what_does_not_belong_into_a_backup_is_refused(
    backup: Path, tmp_path: Path, add: Callable[[tarfile.TarFile], None]
) -> None:
    forged, target = tmp_path / "forged", Settings(data=tmp_path / "new")
    target.data.mkdir()
    with tarfile.open(backup) as source, tarfile.open(forged, "w") as made:
        for member in source.getmembers():
            if member.name == archive.SUMS:
                add(made)
            made.addfile(member, source.extractfile(member))
    with pytest.raises(Invalid, match="not a whole backup"):
        run_restore(target, str(forged), force=False)
    assert not (tmp_path / "evil").exists()
    assert not [path for path in target.data.iterdir() if not path.name.endswith(".lock")]


@pytest.mark.parametrize("about", [{"format": 2, "made_at": "2026-01-01T00:00:00+00:00"}, {"format": 1}, [], 1])
def test_a_backup_of_another_format_is_refused(backup: Path, tmp_path: Path, about: Any) -> None:
    other = tmp_path / "other"
    with tarfile.open(other, "w") as made:
        data = json.dumps(about).encode()
        member = tarfile.TarInfo(archive.ABOUT)
        member.size = len(data)
        made.addfile(member, io.BytesIO(data))
    (tmp_path / "new").mkdir()
    with pytest.raises(Invalid):
        run_restore(Settings(data=tmp_path / "new"), str(other), force=False)


# -- what is in place


def test_data_in_place_are_refused_without_force_and_kept_with_it(world: World, backup: Path) -> None:
    data = world.settings.data
    world.store.users.create(login="new", password=None)
    world.store.close()
    (data / "keys" / "later").write_bytes(b"k")
    before = contents(data)
    with pytest.raises(Conflict, match="--force"):
        run_restore(world.settings, str(backup), force=False)
    assert contents(data) == before
    assert run_restore(world.settings, str(backup), force=True) == 0
    [aside] = data.glob("before-restore-*")
    assert contents(aside) == before
    assert stat.S_IMODE(aside.stat().st_mode) == 0o700
    store, old = opened(world.settings), Store(f"sqlite:///{aside / 'db.sqlite3'}", secrets=Secrets(aside / "keys"))
    assert store.users.by_login("new") is None and old.users.by_login("new") is not None
    old.close()
    store.close()


@pytest.mark.parametrize("program", ["dialer", "API"])
def test_while_a_service_runs_nothing_is_restored(world: World, backup: Path, program: str) -> None:
    with DataFolderLock(world.settings.data, program).held(), pytest.raises(AlreadyRunning, match="stop it first"):
        run_restore(world.settings, str(backup), force=True)


@pytest.mark.parametrize("step", range(8))
def test_cut_short_at_any_step_no_service_starts_and_another_restore_ends_it(
    world: World, backup: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    data = world.settings.data
    world.store.close()
    expected = contents(data)

    class Killed(BaseException):
        pass

    steps = iter(range(100))
    rename, copy = Path.rename, restore.copy_database

    def die_or(do: Callable[..., Any]) -> Callable[..., Any]:
        def step_of(*values: Any) -> Any:
            if (data / RESTORING).exists() and next(steps) == step:
                raise Killed
            return do(*values)

        return step_of

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", die_or(rename))
        patch.setattr(restore, "copy_database", die_or(copy))
        try:
            run_restore(world.settings, str(backup), force=True)
        except Killed:
            with pytest.raises(AlreadyRunning, match="cut short"):
                DataFolderLock(data, "API").acquire()
            with pytest.raises(AlreadyRunning, match="cut short"):
                main.supervise(world.settings)
            run_restore(world.settings, str(backup), force=True)
    assert contents(data) == expected
    assert not (data / RESTORING).exists()
    with DataFolderLock(data).held():
        pass
    store = opened(world.settings)
    assert store.users.by_login("owner") is not None
    store.close()
    kept = []
    for path in data.glob("before-*/db.*3"):
        with closing(sqlite3.connect(path)) as old:
            kept.append(old.execute("SELECT count(*) FROM users").fetchone())
    assert (1,) in kept, "the old database is somewhere"


def test_a_damaged_or_newer_database_is_not_put_in_place(world: World, backup: Path, tmp_path: Path) -> None:
    world.store.close()
    before = (world.settings.data / "db.sqlite3").read_bytes()
    newer = tmp_path / "newer.sqlite3"
    shutil.copy(world.settings.data / "db.sqlite3", newer)
    with closing(sqlite3.connect(newer)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    torn = tmp_path / "torn.sqlite3"
    torn.write_bytes(before[:5000] + os.urandom(20_000) + before[25_000:])
    for source in (newer, torn):
        with pytest.raises((SettingsError, Unavailable)):
            run_restore(world.settings, str(source), force=True)
    assert (world.settings.data / "db.sqlite3").read_bytes() == before
    assert not list(world.settings.data.glob("before-*"))


def test_the_commands_speak_for_themselves(world: World, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setenv("DIALER_DATA", str(world.settings.data))
    monkeypatch.chdir(tmp_path)
    assert main.main(["backup", "b.tar"]) == 0
    assert "keep it safe" in capsys.readouterr().out
    assert main.main(["backup", "b.tar"]) == 2
    assert "another name" in capsys.readouterr().err
    assert main.main(["restore", "b.tar"]) == 2
    assert "--force" in capsys.readouterr().err
    world.store.close()
    assert main.main(["restore", "--force", "b.tar"]) == 0
    assert main.main(["restore", "missing.tar"]) == 2


def test_a_database_elsewhere_is_put_back_there(world: World, backup: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    settings = Settings(data=tmp_path / "new", database_url=f"sqlite:///{tmp_path / 'other' / 'my.sqlite3'}")
    assert run_restore(settings, str(backup), force=False) == 0
    assert (tmp_path / "other" / "my.sqlite3").exists()
    assert not (settings.data / "db.sqlite3").exists()
    make_database(f"sqlite:///{tmp_path / 'new' / 'db.sqlite3'}")

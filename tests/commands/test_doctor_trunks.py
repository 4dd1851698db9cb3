"""The doctor asks the trunks' providers, which are SIPp here, and tells a folder that cannot be written as such."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from autodialer.commands.doctor import examine
from autodialer.commands.doctor_trunks import examine_trunks
from autodialer.config import Settings
from autodialer.errors import SettingsError
from autodialer.model import TrunkSettings
from autodialer.phone.checks.check import clock_ahead_s
from autodialer.store import Store
from autodialer.supervisor import DataFolderLock, why_unwritable
from tests.databases import cheap_secrets, make_database
from tests.peers.ports import LOCALHOST, free_port
from tests.peers.providers import provider
from tests.peers.sipp import SippGateway

pytestmark = pytest.mark.loopback

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 11, 29, 12, 0, 0, 500_000, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A data folder with a database, on this machine's own address."""
    made = Settings(data=tmp_path / "data", sip_address=LOCALHOST, sip_port=free_port())
    made.data.mkdir()
    make_database(made.url)
    return made


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    """With nothing in it but an owner."""
    opened = Store(settings.url, secrets=cheap_secrets(settings.keys))
    opened.users.create(login="anna", password=None)
    yield opened
    opened.close()


def add_trunk(store: Store, address: tuple[str, int], name: str = "Provider") -> None:
    owner = store.users.page()[0][0].key
    store.trunks.create(owner, TrunkSettings(name=name, host=address[0], port=address[1], username="user"))


def said(settings: Settings, word: str) -> tuple[str, str]:
    [found] = [(each.grade, each.sentence) for each in examine_trunks(settings) if word in each.sentence]
    return found


@pytest.mark.peer("sipp")
@pytest.mark.parametrize(
    ("off_s", "grade", "words"),
    [(0, "ok", "is right"), (-40, "note", "40 s ahead"), (40, "note", "s behind"), (4000, "bad", "s behind")],
)
def test_a_provider_that_answers_is_told_with_the_clock(
    settings: Settings, store: Store, tmp_path: Path, off_s: int, grade: str, words: str
) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=off_s), usegmt=True)
    with SippGateway(provider(date=date), calls=5, folder=tmp_path, timeout_s=60) as gateway:
        add_trunk(store, gateway.address)
        findings = {each.sentence: each.grade for each in examine_trunks(settings)}
    [trunk] = [sentence for sentence in findings if "'Provider' answers" in sentence]
    assert findings[trunk] == "ok"
    [clock] = [sentence for sentence in findings if "clock" in sentence]
    if off_s == -40:
        words = "s ahead"
    assert words in clock and findings[clock] == grade


@pytest.mark.peer("sipp")
def test_without_a_date_the_clock_is_unknown(settings: Settings, store: Store, tmp_path: Path) -> None:
    with SippGateway(provider(), calls=5, folder=tmp_path, timeout_s=60) as gateway:
        add_trunk(store, gateway.address)
        assert said(settings, "clock")[0] == "note"


def test_a_trunk_whose_server_is_not_there_is_bad_and_says_why(settings: Settings, store: Store) -> None:
    add_trunk(store, (LOCALHOST, free_port()))
    grade, sentence = said(settings, "'Provider'")
    assert grade == "bad" and "nothing listens" in sentence.lower()


def test_a_name_that_is_not_found_is_bad(settings: Settings, store: Store) -> None:
    add_trunk(store, ("no-such-host.invalid", 5060))
    assert said(settings, "'Provider'")[0] == "bad"


def test_before_the_first_start_nothing_is_made(tmp_path: Path) -> None:
    empty = Settings(data=tmp_path)
    assert [each.grade for each in examine_trunks(empty)] == ["ok", "note"]
    assert not list(tmp_path.iterdir())


def test_a_database_of_another_version_is_a_note_and_stays_as_it_is(settings: Settings, store: Store) -> None:
    (settings.data / "db.sqlite3").write_bytes(b"SQLite format 3\0" + bytes(1000))
    assert said(settings, "cannot be read")[0] == "note"


@pytest.mark.parametrize(
    ("date", "ahead_s"),
    [
        ("Sun, 29 Nov 2026 12:00:00 GMT", -0.05),
        ("Sun, 29 Nov 2026 11:59:00 GMT", 59.95),
        ("Sun, 29 Nov 2026 12:00:00", None),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_a_date_is_compared_with_our_clock(date: str | None, ahead_s: float | None) -> None:
    """RFC 3261 section 20.17: GMT alone."""
    found = clock_ahead_s(date, NOW, 0.1)
    assert found == ahead_s if ahead_s is None else found == pytest.approx(ahead_s)


# -- a folder that cannot be written


def test_a_folder_of_another_user_is_told_with_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o500)
    monkeypatch.setattr(os, "access", lambda _path, mode: mode != os.W_OK)
    told = why_unwritable(tmp_path)
    assert told is not None and "mode 0500" in told and "DIALER_DATA" in told
    [found] = [each for each in examine(Settings(data=tmp_path)) if "mode 0500" in each.sentence]
    assert found.grade == "bad"


def test_a_database_that_cannot_be_written_is_told_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "db.sqlite3").touch()
    monkeypatch.setattr(os, "access", lambda path, _mode: path == tmp_path)
    assert "db.sqlite3" in (why_unwritable(tmp_path) or "")


def test_a_service_does_not_start_on_a_folder_that_is_not_to_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "access", lambda _path, mode: mode != os.W_OK)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(SettingsError, match="cannot be written"):
        DataFolderLock(tmp_path).acquire()


@pytest.mark.peer("mount")
@pytest.mark.netns
@pytest.mark.parametrize("arguments", [("doctor",), ()])
def test_a_read_only_file_system_is_told_as_what_it_is(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    command = f"mount -t tmpfs -o ro none {tmp_path} && exec {sys.executable} {ROOT / 'main.py'} {' '.join(arguments)}"
    environment = {**os.environ, "DIALER_DATA": str(tmp_path)}
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", command], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "mounted read-only" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr

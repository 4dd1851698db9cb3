"""A prototype's database in place of ours: what is taken over, what is kept, and what odd files do."""

import logging
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from autodialer.commands.accounts import make_administrator
from autodialer.commands.takeover import take_over_prototype
from autodialer.config import Settings, sqlite_url
from autodialer.errors import SettingsError, Unavailable
from autodialer.model import Role
from autodialer.store import Secrets, Store, migrate
from autodialer.store.migrations import prototype
from autodialer.takeover import takeover
from autodialer.takeover.takeover import Takeover, take_over
from tests.takeover.prototypes import CALLBASE, SCHEMA, USERS, contents, make_prototype

Say = Callable[[], str]


@pytest.fixture
def path(settings: Settings) -> Path:
    """Where our database belongs."""
    return settings.data / "db.sqlite3"


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prototype, "BUSY_TIMEOUT_S", 0.0)


@contextmanager
def opened(settings: Settings) -> Iterator[Store]:
    """Our store, in place of the prototype's."""
    migrate(settings.url)
    with closing(Store(settings.url, secrets=Secrets(settings.keys))) as store:
        yield store


def files(settings: Settings) -> list[str]:
    return sorted(file.name for file in settings.data.iterdir() if file.is_file())


KEPT = "db-prototype.sqlite3"


@pytest.mark.slow
def test_users_log_in_with_their_old_passwords_and_the_old_admin_is_the_administrator(
    settings: Settings, path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    make_prototype(path)
    take_over_prototype(settings)
    make_administrator(settings)
    said = capsys.readouterr().out
    assert "First start" not in said
    assert "Passwords under 8 characters, to be changed: anna." in said
    assert all(sentence in caplog.text for sentence in said.splitlines())
    assert "the old password" not in said + caplog.text
    with opened(settings) as store:
        admin, anna = store.users.verify("admin", "the old password"), store.users.verify("anna", "1")
    assert admin and anna
    assert (admin.role, admin.name, admin.comment) == (Role.ADMIN, "Administrator", "the boss")
    assert (anna.role, anna.name, anna.comment) == (Role.USER, "Анна", None)
    # Not in the clear anywhere in the new file.
    assert b"the old password" not in path.read_bytes()
    take_over_prototype(settings)
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_subscribers_become_a_callbase_of_the_administrator_and_rejected_rows_keep_their_reasons(
    settings: Settings, path: Path
) -> None:
    before = contents(make_prototype(path, callbase=[*CALLBASE, (7, "again", "+7 916 000-00-01", None)]))
    done = take_over(settings)
    assert done and done.callbase
    with opened(settings) as store:
        admin = store.users.by_login("admin")
        assert admin
        [callbase], _ = store.callbases.page(admin.key)
        counts = (callbase.rows, callbase.rows_done, callbase.imported, callbase.duplicates, callbase.rejected)
        assert counts == (4, 4, 2, 1, 1)
        assert (callbase.name, callbase.region, callbase.state) == ("prototype", "raw", "ready")
        people, _ = store.subscribers.page_of_all(admin.key)
        [rejected], _ = store.callbases.rejected(callbase.id, admin.key)
        audit, _ = store.audit.page()
    told = [(each.name, each.number, each.comment) for each in people]
    assert told == [("Борис", "+79160000001", "flat 1"), ("Вера", "89160000002", None)]
    assert (rejected.row, rejected.value) == (5, "none")
    assert "not dialable" in rejected.reason
    assert [entry.action for entry in audit] == ["prototype.taken_over"]
    assert contents(settings.data / KEPT) == before
    assert stat.S_IMODE((settings.data / KEPT).stat().st_mode) == stat.S_IMODE(path.stat().st_mode) == 0o600
    assert files(settings) == [KEPT, "db.sqlite3"]


@pytest.mark.slow
@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 1200])
def test_a_callbase_of_any_length_is_taken_over_whole(settings: Settings, path: Path, count: int) -> None:
    make_prototype(path, callbase=[(cid, f"person {cid}", f"8916{cid:07}", None) for cid in range(1, count + 1)])
    done = take_over(settings)
    assert done
    assert (done.callbase.imported if done.callbase else 0) == count
    with opened(settings) as store:
        numbers = [each.number for each in store.subscribers.page_of_all(None, limit=2000)[0]]
    assert numbers == [f"8916{cid:07}" for cid in range(1, count + 1)]


@pytest.mark.slow
def test_an_administrator_is_made_up_when_no_user_has_the_login_and_the_password_is_shown_once(
    settings: Settings, path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    make_prototype(path, users=[(2, "Анна", "anna", "anna's password", None, None, None)])
    take_over_prototype(settings)
    password = capsys.readouterr().out.partition("password: ")[2].split()[0]
    assert password not in caplog.text
    make_administrator(settings)
    assert capsys.readouterr().out == ""
    with opened(settings) as store:
        assert store.users.verify("admin", password)
        assert store.users.verify("anna", "anna's password")


@pytest.mark.slow
def test_the_setting_says_which_user_of_the_prototype_is_the_administrator_and_the_password_stays(
    settings: Settings, path: Path
) -> None:
    make_prototype(path)
    take_over_prototype(Settings(data=settings.data, admin_login="anna", admin_password="another one"))
    with opened(settings) as store:
        anna, admin = store.users.verify("anna", "1"), store.users.by_login("admin")
        [callbase], _ = store.callbases.page(None)
    assert anna and admin
    assert (anna.role, admin.role, callbase.owner_key) == (Role.ADMIN, Role.USER, anna.key)


@pytest.mark.slow
def test_an_administrator_without_a_password_gets_one(
    settings: Settings, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_prototype(path, users=[(1, "Boss", "admin", None, None, None, None)])
    take_over_prototype(settings)
    password = capsys.readouterr().out.partition("password: ")[2].split()[0]
    with opened(settings) as store:
        assert store.users.verify("admin", password)


ODD_USERS: list[tuple[Any, ...]] = [
    (1, None, "admin", "x" * 300, None, None, None),
    (2, 7, 1234, 5678901234, None, "never", 3.5),
    (3, b"\xc0\xed\xed\xe0", "anna", b"password", None, None, None),
    (4, "again", "anna", "another", None, None, None),
    (5, "nobody", None, "p", None, None, None),
    (6, "", "", "p", None, None, None),
    (7, "a space", "two words", "p", None, None, None),
    (8, "digest", "petr", "5f4dcc3b5aa765d61d8327deb882cf99", None, None, None),
]


@pytest.mark.slow
def test_odd_users_are_taken_as_far_as_they_go_and_the_others_are_told_with_the_reason(
    settings: Settings, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(make_prototype(path, users=ODD_USERS))
    take_over_prototype(settings)
    said = capsys.readouterr().out
    with opened(settings) as store:
        assert {user.login: user.name for user in store.users.page()[0]} == {
            "admin": "admin",
            "1234": "7",
            "anna": "Анна",
            "petr": "digest",
        }
        assert store.users.verify("1234", "5678901234")
        assert store.users.verify("anna", "password")
        audit, _ = store.audit.page()
    refused = {entry.details["uid"]: entry.details["reason"] for entry in audit if "refused" in entry.action}
    assert refused.keys() == {"4", "5", "6", "7"}
    assert "user 4 (anna): another user before it has the same login" in said
    assert "Perhaps digests instead of passwords" in said and "petr" in said
    assert "not UTF-8 and were read as Windows-1251: 1." in said
    assert "Administrator: admin" in said
    assert "No log-in" in said
    assert contents(settings.data / KEPT) == before


@pytest.mark.slow
def test_odd_subscribers_are_taken_or_rejected_and_none_is_left_out(settings: Settings, path: Path) -> None:
    rows: list[tuple[Any, ...]] = [
        (1, None, 89160000001, None),
        (2, 5, 89160000002.0, 6),
        (3, b"\xc2\xe5\xf0\xe0", b"89160000003", b"\xff"),
        (4, "a\x00b", "89160000004", "x" * 5000),
        (5, "none", None, None),
        (6, "empty", "", None),
        (7, "blob", b"\x00\x01\xfe", None),
        (8, "large", 2**62, None),
        (9, "real", 8.9e15, None),
        (10, "fraction", 0.5, None),
        (11, "long", "8" * 10000, None),
    ]
    make_prototype(path, callbase=rows)
    done = take_over(settings)
    assert done and done.callbase
    assert done.callbase.imported + done.callbase.rejected + done.callbase.duplicates == len(rows)
    with opened(settings) as store:
        people, _ = store.subscribers.page_of_all(None)
        rejected, _ = store.callbases.rejected(done.callbase.id, None)
    assert [(each.name, each.number) for each in people][:4] == [
        (None, "89160000001"),
        ("5", "89160000002"),
        ("Вера", "89160000003"),
        ("ab", "89160000004"),
    ]
    assert {5, 6, 7, 10, 11} <= {row.row for row in rejected}
    assert all(row.reason for row in rejected)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("schema", "missing"),
    [
        ("CREATE TABLE Users (uid INTEGER, login TEXT)", "Users.name, Users.password, Users.comment, Callbase"),
        ("CREATE TABLE users (UID INTEGER); CREATE TABLE CALLBASE (cid INTEGER)", "Callbase.number"),
        ("CREATE TABLE Callbase (cid INTEGER, number TEXT)", "Users, Callbase.name, Callbase.comment"),
        ("CREATE TABLE Users (login TEXT); CREATE TABLE Callbase (number TEXT, more TEXT)", "Users.uid"),
    ],
)  # fmt: skip
def test_what_an_old_file_does_not_have_is_named(settings: Settings, path: Path, schema: str, missing: str) -> None:
    make_prototype(path, users=(), callbase=(), schema=schema)
    done = take_over(settings)
    assert done
    assert missing in done.notes[0]
    assert files(settings) == [KEPT, "db.sqlite3"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "before",
    [
        "PRAGMA journal_mode = WAL;",
        "PRAGMA encoding = 'UTF-16le';",
        "PRAGMA page_size = 512;",
        "PRAGMA auto_vacuum = 1;",
    ],
)
def test_an_old_file_of_any_make_is_taken_over(settings: Settings, path: Path, before: str) -> None:
    was = contents(make_prototype(path, before=before))
    done = take_over(settings)
    assert done and done.callbase
    assert (done.users, done.callbase.imported) == (2, 2)
    assert contents(settings.data / KEPT) == was
    assert files(settings) == [KEPT, "db.sqlite3"]


@pytest.mark.slow
def test_what_a_killed_prototype_left_in_its_wal_is_taken_over_and_kept(settings: Settings, path: Path) -> None:
    source = settings.data / "source"
    with closing(sqlite3.connect(make_prototype(source, before="PRAGMA journal_mode = WAL;"))) as connection:
        connection.execute("INSERT INTO Users VALUES (9, 'late', 'late', 'late password', NULL, NULL, NULL)")
        connection.commit()
        for ending in ("", "-wal"):
            path.with_name(path.name + ending).write_bytes(source.with_name(source.name + ending).read_bytes())
    for left in settings.data.glob("source*"):
        left.unlink()
    done = take_over(settings)
    assert done
    assert done.users == 3
    assert "late password" in str(contents(settings.data / KEPT))
    assert files(settings) == [KEPT, "db.sqlite3"]


@pytest.mark.parametrize("statement", ["BEGIN EXCLUSIVE", "BEGIN IMMEDIATE", "BEGIN; SELECT * FROM Users"])
@pytest.mark.parametrize("before", ["", "PRAGMA journal_mode = WAL;"])
def test_a_file_in_use_is_left_alone_and_the_message_says_what_to_do(
    settings: Settings, path: Path, statement: str, before: str
) -> None:
    was = contents(make_prototype(path, before=before))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        for each in statement.split(";"):
            other.execute(each).fetchall()
        with pytest.raises(Unavailable, match="stop"):
            take_over(settings)
    assert contents(path) == was
    assert not list(settings.data.glob("*prototype*")) and not list(settings.data.glob("*draft*"))


def taken_over_or_refused(settings: Settings) -> tuple[Takeover | None, str | None]:
    """What was taken over, and why it was not, if so."""
    try:
        return take_over(settings), None
    except SettingsError as exc:
        return None, str(exc)


@pytest.mark.parametrize("place", [100, 1500, 4096, 5000, 8192, 9000, 12288, 20000])
@pytest.mark.parametrize("damage", [b"\x00" * 300, b"\xff" * 300, b"\x0d" * 300])
@pytest.mark.slow
def test_a_damaged_file_is_either_taken_over_whole_or_left_alone(
    settings: Settings, path: Path, place: int, damage: bytes
) -> None:
    rows = [(cid, f"person {cid}", f"8916{cid:07}", "x" * 40) for cid in range(1, 301)]
    make_prototype(path, callbase=rows)
    data = bytearray(path.read_bytes())
    data[place : place + len(damage)] = damage
    path.write_bytes(data)
    done, refusal = taken_over_or_refused(settings)
    if refusal:
        assert "damaged" in refusal and str(path) in refusal
        assert path.read_bytes() == data
        return
    if done is None:  # no SQLite file any more, or none whose tables can be read
        with pytest.raises(SettingsError):
            migrate(settings.url)
        assert path.read_bytes() == data
        return
    kept = contents(settings.data / KEPT)
    assert done.callbase and len(kept) == len(USERS) + done.callbase.rows


@pytest.mark.parametrize("cut", [0, 10, 100, 1000, 5000])
@pytest.mark.slow
def test_a_file_cut_short_is_left_alone(settings: Settings, path: Path, cut: int) -> None:
    make_prototype(path, callbase=[(cid, "name", f"8916{cid:07}", "x" * 100) for cid in range(1, 301)])
    path.write_bytes(data := path.read_bytes()[:cut])
    done, refusal = taken_over_or_refused(settings)
    assert done is None
    assert refusal is None or "damaged" in refusal
    assert path.read_bytes() == data


OTHERS = [
    "CREATE TABLE other (a)",
    "CREATE TABLE Users (id INTEGER PRIMARY KEY, login TEXT)",
    "CREATE TABLE alembic_version (version_num TEXT); CREATE TABLE Users (uid); CREATE TABLE Callbase (cid)",
    "CREATE VIEW Users AS SELECT 1 AS uid",
    "",
]


@pytest.mark.parametrize("schema", OTHERS)
def test_another_database_is_not_taken_for_the_prototypes(settings: Settings, path: Path, schema: str) -> None:
    make_prototype(path, users=(), callbase=(), schema=schema)
    assert take_over(settings) is None
    assert not (settings.data / KEPT).exists()


@pytest.mark.slow
def test_our_own_database_is_left_alone(settings: Settings, path: Path) -> None:
    migrate(settings.url)
    was = path.read_bytes()
    assert take_over(settings) is None
    assert path.read_bytes() == was


def test_no_database_is_none(settings: Settings) -> None:
    assert take_over(settings) is None
    assert files(settings) == []


def test_what_does_not_take_over_says_how_to(settings: Settings, path: Path) -> None:
    was = contents(make_prototype(path))
    with pytest.raises(SettingsError, match=r"prototype.*main\.py"):
        migrate(settings.url)
    assert contents(path) == was


@pytest.mark.slow
def test_names_that_are_taken_are_left_to_those_who_have_them(settings: Settings, path: Path) -> None:
    make_prototype(path)
    (settings.data / KEPT).write_text("another file")
    (settings.data / "db-prototype-2.sqlite3").mkdir()
    done = take_over(settings)
    assert done
    assert done.kept.name == "db-prototype-3.sqlite3"
    assert (settings.data / KEPT).read_text() == "another file"


@pytest.mark.slow
@pytest.mark.parametrize("linked", [True, False])
def test_a_database_elsewhere_or_behind_a_link_is_taken_over_where_it_is(
    settings: Settings, tmp_path: Path, linked: bool
) -> None:
    elsewhere = tmp_path / "else where%20?"
    elsewhere.mkdir()
    was = contents(make_prototype(elsewhere / "old#1.db"))
    if linked:
        (settings.data / "db.sqlite3").symlink_to(elsewhere / "old#1.db")
    else:
        settings = Settings(data=settings.data, database_url=sqlite_url(elsewhere / "old#1.db"))
    assert take_over(settings)
    assert contents(elsewhere / "old#1-prototype.db") == was
    assert (settings.data / "db.sqlite3").is_symlink() is linked


@pytest.mark.slow
@pytest.mark.parametrize("broken", ["os.replace", "os.link", "os.chmod", "takeover._fill", "takeover._flush"])
def test_a_fault_at_any_step_changes_nothing_and_the_next_start_takes_over_once(
    settings: Settings, path: Path, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    was = contents(make_prototype(path))
    owner, _, name = broken.partition(".")

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr({"os": os, "takeover": takeover}[owner], name, fail)
        patched.setattr(takeover, "_copy", fail)
        with pytest.raises(SettingsError, match="No space left"):
            take_over(settings)
    assert contents(path) == was
    assert not list(settings.data.glob("*draft*"))
    done = take_over(settings)
    assert done
    assert contents(settings.data / KEPT) == was
    assert files(settings) == [KEPT, "db.sqlite3"]


@pytest.mark.slow
def test_without_hard_links_the_old_file_is_copied(
    settings: Settings, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    was = contents(make_prototype(path))

    link = os.link

    def no_links(source: Path, target: Path) -> None:
        if source == path:
            raise OSError(95, "Operation not supported")
        link(source, target)

    monkeypatch.setattr(os, "link", no_links)
    assert take_over(settings)
    assert contents(settings.data / KEPT) == was
    assert files(settings) == [KEPT, "db.sqlite3"]


def test_the_schema_here_is_the_one_described() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMA)
        columns = {
            table: [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            for table in ("Users", "Callbase")
        }
    assert columns == {
        "Users": ["uid", "name", "login", "password", "acc_token", "expired", "comment"],
        "Callbase": ["cid", "name", "number", "comment"],
    }

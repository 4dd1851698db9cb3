"""The migrations, the tables and sqlite/script.sql say the same."""

import os
import re
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from autodialer.errors import SettingsError
from autodialer.store import Secrets, Store, migrate
from autodialer.store.calls.owning import OWNING_TRIGGERS
from autodialer.store.figures.counting import COUNTING_TRIGGERS
from autodialer.store.migrations import make_config
from autodialer.store.migrations.script import script
from autodialer.store.schema import metadata
from autodialer.store.sql.engine import make_engine
from autodialer.store.sql.transitions import STATE_COLUMNS
from autodialer.store.webhooks.triggers import TELLING_TRIGGERS
from tests.databases import cheap_secrets
from tests.timing import at_most

ROOT = Path(__file__).resolve().parents[2]


def schema(path: Path) -> dict[str, str]:
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    connection.close()
    return dict(rows)


def test_the_migrations_make_just_the_tables_of_the_code(tmp_path: Path) -> None:
    migrate(url := f"sqlite:///{tmp_path / 'db.sqlite3'}")
    engine = make_engine(url, synchronous="NORMAL", busy_timeout_s=1.0)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_the_migrations_and_the_tables_have_the_same_comments_and_checks(tmp_path: Path) -> None:
    migrate(f"sqlite:///{tmp_path / 'migrated.sqlite3'}")
    engine = make_engine(f"sqlite:///{tmp_path / 'made.sqlite3'}", synchronous="NORMAL", busy_timeout_s=1.0)
    metadata.create_all(engine)
    engine.dispose()
    migrated, made = schema(tmp_path / "migrated.sqlite3"), schema(tmp_path / "made.sqlite3")
    for name, sql in made.items():
        # Constraints come in another order.
        assert _parts(sql) == _parts(migrated[name]), name


def _parts(sql: str) -> list[str]:
    """Columns, constraints and comments. A column that was added later stands on the line of the one before."""
    return sorted(part.strip() for part in re.split(r",?\s*\n\s*|, ", sql))


def test_the_triggers_are_those_of_the_transition_tables_the_counters_and_the_events(tmp_path: Path) -> None:
    migrate(f"sqlite:///{tmp_path / 'db.sqlite3'}")
    found = schema(tmp_path / "db.sqlite3")
    assert {name: sql for name, sql in found.items() if sql.startswith("CREATE TRIGGER")} == {
        **{f"{column.table}_state": column.trigger("sqlite") for column in STATE_COLUMNS},
        **COUNTING_TRIGGERS["sqlite"],
        **TELLING_TRIGGERS["sqlite"],
        **OWNING_TRIGGERS["sqlite"],
    }


def test_the_script_in_the_repository_is_the_generated_one() -> None:
    assert (ROOT / "sqlite/script.sql").read_text() == script(), "run `make script`"


def test_a_database_made_with_the_script_starts(tmp_path: Path) -> None:
    path = tmp_path / "db.sqlite3"
    connection = sqlite3.connect(path)
    connection.executescript(script())
    connection.close()
    migrate(f"sqlite:///{path}")
    store = Store(f"sqlite:///{path}", secrets=cheap_secrets(tmp_path / "keys"))
    users, _ = store.users.page()
    assert [(user.login, user.can_log_in) for user in users] == [("anna", False), ("boris", False), ("vera", False)]
    assert store.users.verify("anna", "") is None
    generated = store.users.ensure_admin(None, None)
    assert generated and store.users.verify("admin", generated)
    [callbase], _ = store.callbases.page(None)
    subscribers, _ = store.subscribers.page(callbase.id, users[0].key)
    assert len(subscribers) == callbase.imported == 3
    assert all(subscriber.number.startswith("+442079460") for subscriber in subscribers)
    assert all(found.id.version == 7 for found in [*users, callbase, *subscribers])
    store.users.set_password(users[0].key, "anna's password")
    assert store.users.verify("anna", "anna's password")
    store.close()


def test_the_script_says_every_state_with_its_transitions() -> None:
    text = script()
    for column in STATE_COLUMNS:
        for line in column.comment().splitlines():
            assert f"    -- {line}\n" in text


def test_a_sound_of_an_older_database_keeps_what_is_known_of_it(tmp_path: Path, secrets: Secrets) -> None:
    url = f"sqlite:///{tmp_path / 'db.sqlite3'}"
    engine = make_engine(url, synchronous="NORMAL", busy_timeout_s=1.0)
    with engine.begin() as connection:
        command.upgrade(make_config(connection), "0005")
    engine.dispose()
    database = sqlite3.connect(tmp_path / "db.sqlite3")
    database.executescript(
        "INSERT INTO users (key, id, login, name, role, comment, created_at) VALUES (1, x'01', 'a', '', 'user', '', 0);"
        "INSERT INTO sounds (key, id, owner_key, name, duration_s, peak_dbfs, sample_rate, channels, path,"
        " original_path, created_at) VALUES (1, zeroblob(16), 1, 'old', 2.5, -3, 8000, 1, 'a.wav', 'a.original', 0)"
    )
    database.close()
    migrate(url)
    store = Store(url, secrets=secrets)
    old = store.sounds.by_key(1)
    store.close()
    assert (old.duration_s, old.peak_dbfs, old.loudness_lufs, old.gain_db) == (2.5, -3, None, None)


def test_a_trunk_that_led_to_extensions_still_does_after_an_upgrade(tmp_path: Path, secrets: Secrets) -> None:
    url = f"sqlite:///{tmp_path / 'db.sqlite3'}"
    engine = make_engine(url, synchronous="NORMAL", busy_timeout_s=1.0)
    with engine.begin() as connection:
        command.upgrade(make_config(connection), "0032")
    engine.dispose()
    database = sqlite3.connect(tmp_path / "db.sqlite3")
    database.execute(
        "INSERT INTO users (key, id, login, name, role, comment, created_at) VALUES (1, x'01', 'a', '', 'user', '', 0)"
    )
    database.execute(
        "INSERT INTO sounds (key, id, owner_key, name, duration_s, peak_dbfs, sample_rate, channels, path,"
        " original_path, created_at) VALUES (1, zeroblob(16), 1, 'old', 2.5, -3, 8000, 1, 'a.wav', 'a.original', 0)"
    )
    for key, region in ((1, "raw"), (2, "RU")):
        database.execute(
            "INSERT INTO trunks (key, id, owner_key, name, host, transport, username, number_format, max_channels, cps,"
            " codecs, created_at) VALUES (?, ?, 1, 't', 'h', 'udp', '', '{e164}', 1, 1, 'PCMA', 0)",
            (key, bytes(15) + bytes([key])),
        )
        database.execute(
            "INSERT INTO callbases (key, id, owner_key, name, region, state, created_at)"
            " VALUES (?, ?, 1, 'c', ?, 'ready', 0)",
            (key, bytes(15) + bytes([key]), region),
        )
        database.execute(
            "INSERT INTO subscribers (id, callbase_key, number) VALUES (?, ?, '205')",
            (bytes(15) + bytes([9 + key]), key),
        )
        database.execute(
            "INSERT INTO campaigns (key, id, owner_key, name, sound_key, callbase_key, max_channels, cps,"
            " ring_timeout_s, max_call_s, lead_in_ms, max_attempts, created_at)"
            " VALUES (?, ?, 1, 'old', 1, ?, 10, 1.5, 40, 600, 0, 3, 0)",
            (key, bytes(15) + bytes([key]), key),
        )
        database.execute("INSERT INTO campaign_trunks (campaign_key, position, trunk_key) VALUES (?, 0, ?)", (key, key))
    database.commit()
    database.close()
    migrate(url)
    store = Store(url, secrets=secrets)
    assert [store.trunks.by_key(key).allowed_special for key in (1, 2)] == [("short", "as_written"), ()]
    assert store.callbases.destinations(1) == {"": 1}
    store.close()


@pytest.mark.slow
def test_limits_of_an_older_campaign_stay_and_may_be_taken_away(tmp_path: Path, secrets: Secrets) -> None:
    url = f"sqlite:///{tmp_path / 'db.sqlite3'}"
    engine = make_engine(url, synchronous="NORMAL", busy_timeout_s=1.0)
    with engine.begin() as connection:
        command.upgrade(make_config(connection), "0017")
    engine.dispose()
    database = sqlite3.connect(tmp_path / "db.sqlite3")
    database.executescript(
        "INSERT INTO users (key, id, login, name, role, comment, created_at) VALUES (1, x'01', 'a', '', 'user', '', 0);"
        "INSERT INTO sounds (key, id, owner_key, name, duration_s, peak_dbfs, sample_rate, channels, path,"
        " original_path, created_at) VALUES (1, zeroblob(16), 1, 'old', 2.5, -3, 8000, 1, 'a.wav', 'a.original', 0);"
        "INSERT INTO callbases (key, id, owner_key, name, region, state, created_at)"
        " VALUES (1, zeroblob(16), 1, 'c', 'GB', 'ready', 0);"
        "INSERT INTO campaigns (key, id, owner_key, name, sound_key, callbase_key, max_channels, cps, ring_timeout_s,"
        " max_call_s, lead_in_ms, max_attempts, created_at)"
        " VALUES (7, zeroblob(16), 1, 'old', 1, 1, 10, 1.5, 40, 600, 0, 3, 0)"
    )
    database.close()
    migrate(url)
    store = Store(url, secrets=secrets)
    old = store.campaigns.by_key(7)
    assert (old.max_channels, old.cps) == (10, 1.5)
    free = store.campaigns.update(old.id, None, max_channels=None, cps=None)
    assert (free.max_channels, free.cps) == (None, None)
    store.close()
    database = sqlite3.connect(tmp_path / "db.sqlite3")
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    database.close()


def test_migrating_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "db.sqlite3"
    migrate(f"sqlite:///{path}")
    before = schema(path)
    migrate(f"sqlite:///{path}")
    assert schema(path) == before


@pytest.mark.slow
def test_a_new_cause_is_taken_without_copying_the_calls(tmp_path: Path) -> None:
    path = tmp_path / "db.sqlite3"
    found = []
    for version in ("0018", "0020"):
        engine = make_engine(f"sqlite:///{path}", synchronous="FULL", busy_timeout_s=1.0, foreign_keys=False)
        with engine.begin() as connection:
            command.upgrade(make_config(connection), version)
        engine.dispose()
        found.append(schema(path)["calls"])
    before, after = found
    assert "'internal_error'" not in before and after == before.replace(
        "'trunk_limit')", "'trunk_limit', 'internal_error')"
    )
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    with pytest.raises(sqlite3.IntegrityError, match="NOT NULL"):
        connection.execute("INSERT INTO calls (cause) VALUES ('internal_error')")
    connection.close()


def test_only_the_owner_may_read_the_database(tmp_path: Path, secrets: Secrets) -> None:
    path = tmp_path / "new" / "db.sqlite3"
    migrate(url := f"sqlite:///{path}")
    store = Store(url, secrets=secrets)
    store.users.create(login="olga", password=None)
    modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in path.parent.iterdir()}
    assert modes == {"db.sqlite3": 0o600, "db.sqlite3-wal": 0o600, "db.sqlite3-shm": 0o600}
    store.close()


@pytest.mark.process
def test_two_processes_that_start_together_both_find_the_tables(tmp_path: Path) -> None:
    code = f"from autodialer.store import migrate; migrate('sqlite:///{tmp_path / 'db.sqlite3'}')"
    children = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) for _ in range(2)]
    assert [child.wait(at_most(60)) for child in children] == [0, 0]


def test_a_database_of_a_newer_version_is_refused_with_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "db.sqlite3"
    migrate(f"sqlite:///{path}")
    connection = sqlite3.connect(path)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    with pytest.raises(SettingsError, match="newer version"):
        migrate(f"sqlite:///{path}")


def test_a_file_that_is_no_database_is_refused_with_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "db.sqlite3"
    path.write_text("not a database " * 100)
    with pytest.raises(SettingsError, match="not a database"):
        migrate(f"sqlite:///{path}")


@pytest.mark.parametrize("url", ["postgresql://127.0.0.1/db", "sqlite://", "sqlite:///:memory:"])
def test_a_database_that_is_not_supported_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="DIALER_DATABASE_URL"):
        migrate(url)


@pytest.mark.process
def test_a_new_migration_is_written_from_what_the_tables_have_become(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "repository"
    subprocess.run(["cp", "-r", ROOT / "autodialer", copy], check=True)
    package = tmp_path / "autodialer"
    os.rename(copy, package)
    accounts = package / "store/accounts/tables.py"
    more = 'words("name"),\n    words("nickname", nullable=True),'
    accounts.write_text(accounts.read_text().replace('words("name"),', more, 1))
    made = subprocess.run(
        [sys.executable, "-m", "autodialer.store.migrations", "nicknames"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    newest = max((package / "store/migrations/versions").glob("v*.py"))
    assert str(newest) in made.stderr
    assert "nickname" in newest.read_text() and "nicknames" in newest.name

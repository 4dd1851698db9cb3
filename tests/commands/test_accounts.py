"""Accounts from the machine's console, and a database made from the script."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from autodialer.commands.accounts import make_administrator, set_password
from autodialer.config import Settings
from autodialer.errors import Invalid, NotFound
from autodialer.store import Store
from tests.databases import cheap_secrets
from tests.dialer.world import ROOT
from tests.timing import at_most


@pytest.fixture
def from_script(settings: Settings) -> Settings:
    """A data folder whose database was made with sqlite/script.sql."""
    with sqlite3.connect(settings.data / "db.sqlite3") as database:
        database.executescript((ROOT / "sqlite" / "script.sql").read_text())
    database.close()
    return settings


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    class Input:
        def isatty(self) -> bool:
            return False

        def readline(self) -> str:
            return f"{text}\n"

    monkeypatch.setattr(sys, "stdin", Input())


@pytest.mark.slow
def test_a_sample_user_of_the_script_logs_in_only_after_a_password_was_set(
    from_script: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(from_script.url, secrets=cheap_secrets(from_script.keys))
    samples, _ = store.users.page(limit=10, after=None)
    assert len(samples) == 3
    assert not any(user.can_log_in for user in samples)
    login = samples[0].login
    assert store.users.verify(login, "") is None
    typed(monkeypatch, "four quiet paper boats")
    assert set_password(from_script, login) == 0
    assert login in capsys.readouterr().out
    verified = store.users.verify(login, "four quiet paper boats")
    recorded = store.audit.page()[0][0]
    store.close()
    assert verified is not None
    assert (recorded.action, recorded.object_id, recorded.login) == ("users.set_password", verified.id, None)


def test_the_scripts_database_has_three_subscribers(from_script: Settings) -> None:
    store = Store(from_script.url, secrets=cheap_secrets(from_script.keys))
    subscribers = store.subscribers.page_of_all(None, limit=10)[0]
    store.close()
    assert len(subscribers) == 3


def test_a_short_password_and_an_unknown_login_are_refused(
    from_script: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, "short")
    with pytest.raises(NotFound, match="nobody"):
        set_password(from_script, "nobody")
    make_administrator(from_script)
    with pytest.raises(Invalid, match="at least 15"):
        set_password(from_script, "admin")


@pytest.mark.slow
def test_the_first_administrators_password_is_shown_once(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    make_administrator(settings)
    first = capsys.readouterr().out
    assert "Administrator: admin" in first
    make_administrator(settings)
    assert capsys.readouterr().out == ""
    store = Store(settings.url, secrets=cheap_secrets(settings.keys))
    password = first.partition("password: ")[2].split()[0]
    verified = store.users.verify("admin", password)
    store.close()
    assert verified is not None


@pytest.mark.loopback
def test_a_wrong_setting_ends_the_start_with_one_clear_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "main.py")],
        env={"PATH": "", "DIALER_DATA": str(tmp_path), "DIALER_HTTP": "nonsense"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=at_most(30),
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "DIALER_HTTP takes host:port, for example 127.0.0.1:8080; it is 'nonsense'\n"

# ruff: noqa: F811 -- fixtures are imported by the names under which tests ask for them
"""The console client against the real server."""

import json
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyotp
import pytest

import api_client
from autodialer.config import Settings
from autodialer.store import Store
from tests.web.client import wav
from tests.web.conftest import PASSWORD, StandingClock, app, clock, store  # noqa: F401 -- fixtures
from tests.web.serving import free_port, serving

pytestmark = pytest.mark.loopback

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def settings(settings: Settings) -> Iterator[Settings]:
    """With a port of its own."""
    before = tempfile.tempdir
    yield Settings(data=settings.data, http=f"127.0.0.1:{free_port()}")
    tempfile.tempdir = before


@pytest.fixture
def session_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the client keeps its session."""
    path = tmp_path / "home" / "session.json"
    monkeypatch.setenv("DIALER_SESSION", str(path))
    for name in ("DIALER_URL", "DIALER_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    return path


@pytest.fixture
def run(
    settings: Settings,
    app: Any,
    session_file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Run]:
    """Runs a command; its exit status, output and errors."""
    monkeypatch.setattr("getpass.getpass", lambda _prompt: PASSWORD)
    with serving(settings, app) as url:

        def one(*arguments: str) -> tuple[int, str, str]:
            status = api_client.main(["--url", url, *arguments])
            said = capsys.readouterr()
            return status, said.out, said.err

        yield one


def made(run: Run, *arguments: str) -> dict[str, Any]:
    """The object that a command answers."""
    status, out, err = run("--json", *arguments)
    assert status == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        api_client.main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for operation in api_client.load_operations():
        assert operation.command in shown


@pytest.mark.parametrize("command", [operation.command for operation in api_client.load_operations()])
def test_help_of_every_command_is_readable(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        api_client.main([command, "--help"])
    assert ended.value.code == 0
    assert "usage" in capsys.readouterr().out


def test_a_campaign_from_the_console(run: Run, tmp_path: Path, session_file: Path) -> None:
    assert run("login", "anna")[0] == 0
    assert stat.S_IMODE(session_file.stat().st_mode) == 0o600
    (tmp_path / "hello.wav").write_bytes(wav())
    (tmp_path / "base.csv").write_text("89160000001\n12\n")
    trunk = made(run, "create-trunk", "--name", "t", "--host", "127.0.0.1", "--cps", "2", "--codecs", "PCMU,PCMA")
    assert (trunk["cps"], trunk["codecs"]) == (2, ["PCMU", "PCMA"])
    assert made(run, "change-trunk", trunk["id"], "--port", "5080")["port"] == 5080
    assert made(run, "change-trunk", trunk["id"], "--port", "null")["port"] is None
    sound = made(run, "create-sound", "--file", str(tmp_path / "hello.wav"), "--trim", "yes")
    assert (sound["duration_s"], sound["loudness_lufs"]) == (0.5, pytest.approx(-20, abs=0.1))
    callbase = made(run, "create-callbase", "--file", str(tmp_path / "base.csv"), "--region", "RU")
    rules = ["--trunk-ids", trunk["id"], "--sound-id", sound["id"], "--callbase-id", callbase["id"]]
    retry = ["--retry", '{"busy": {"after_s": 1, "times": 1}}']
    campaign = made(run, "create-campaign", "--name", "c", "--idempotency-key", "one", *rules, *retry)
    assert campaign["retry"]["busy"] == {"after_s": 1, "times": 1}
    assert made(run, "start-campaign", campaign["id"])["state"] == "running"
    assert made(run, "read-why", campaign["id"])["reasons"][0]["code"] == "dialer_down"
    assert made(run, "stop-campaign", campaign["id"], "--hangup", "yes")["state"] == "stopped"
    assert made(run, "list-calls", campaign["id"])["items"] == []
    heard = tmp_path / "heard.wav"
    assert run("read-sound-audio", sound["id"], "--output", str(heard))[0] == 0
    assert heard.read_bytes()[:4] == b"RIFF"
    table = tmp_path / "table.xlsx"
    assert run("export-subscribers-xlsx", campaign["id"], "--output", str(table))[0] == 0
    assert table.read_bytes()[:2] == b"PK"
    assert run("list-rejected", callbase["id"], "--csv")[1].startswith("row,column,value,reason")
    status, out, _ = run("list-campaigns")
    assert status == 0
    assert campaign["id"] in out
    assert "stopped" in run("read-campaign", campaign["id"])[1]
    assert run("delete-trunk", trunk["id"])[1] == "done\n"


def test_a_login_asks_for_the_code_of_a_second_factor(
    run: Run, clock: StandingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("login", "anna")
    secret = made(run, "enrol-mfa", "--password", PASSWORD)["secret"]
    code = pyotp.TOTP(secret).at(clock.now)
    codes = made(run, "confirm-mfa", "--code", code)["recovery_codes"]
    assert run("login", "anna", "--otp", codes[0])[0] == 0
    asked: list[str] = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return codes[1] if prompt.startswith("code") else PASSWORD

    monkeypatch.setattr("getpass.getpass", answer)
    assert run("login", "anna")[1].startswith("logged in")
    assert len(asked) == 2
    status, _, err = run("login", "anna")
    assert (status, err.startswith("400 invalid_grant: The code is wrong")) == (1, True)


def test_errors_are_told_and_end_with_status_1(run: Run) -> None:
    status, _, err = run("list-trunks")
    assert (status, err.startswith("401 unauthorized")) == (1, True)
    run("login", "anna")
    status, _, err = run("create-trunk", "--name", "x", "--host", "a..b")
    assert (status, err.startswith("422 invalid: host")) == (1, True)
    assert run("create-sound", "--file", "/nothing/here.wav")[2].startswith("/nothing/here.wav cannot be read")
    assert run("create-trunk", "--name", "x", "--host", "h", "--port", "abc")[2].startswith("--port takes integer")


def test_a_service_that_is_down_is_told(session_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert api_client.main(["--url", f"http://127.0.0.1:{free_port()}", "list-trunks"]) == 1
    assert "does not answer" in capsys.readouterr().err


def test_an_expired_token_is_renewed_without_a_word(run: Run, clock: StandingClock, session_file: Path) -> None:
    run("login", "anna")
    before = json.loads(session_file.read_text())
    clock.move(700)
    assert made(run, "read-me")["login"] == "anna"
    assert json.loads(session_file.read_text())["refresh_token"] != before["refresh_token"]


def test_logging_out_ends_the_session(run: Run, session_file: Path) -> None:
    run("login", "anna")
    token = json.loads(session_file.read_text())["access_token"]
    assert run("logout")[0] == 0
    assert not session_file.exists()
    assert run("read-me")[0] == 1
    assert token


def test_a_token_from_the_environment_is_used(run: Run, monkeypatch: pytest.MonkeyPatch, session_file: Path) -> None:
    answer = made(run, "prototype-login", "--login", "boris", "--password", PASSWORD)
    monkeypatch.setenv("DIALER_TOKEN", answer["acc_token"])
    assert made(run, "read-me")["login"] == "boris"
    assert not session_file.exists()


def test_the_password_is_asked_for(run: Run, store: Store) -> None:
    run("login", "anna")
    assert run("change-password")[1] == "done\n"
    assert run("read-me")[0] == 1


def test_check_tries_every_list(run: Run) -> None:
    run("login", "admin")
    status, out, _ = run("check")
    assert status == 0
    for command in ("list-trunks", "list-campaigns", "list-users", "read-me"):
        assert command in out
    run("login", "anna")
    assert "403 forbidden" in run("check")[1]

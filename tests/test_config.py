"""Settings: defaults, files, and errors that name the variable and what it takes."""

import ast
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from autodialer.config import WHAT_IT_TAKES, Settings, load_settings, variable_of
from autodialer.errors import SettingsError


@pytest.fixture(autouse=True)
def _empty_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in WHAT_IT_TAKES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_defaults_are_those_of_the_documentation() -> None:
    settings = load_settings()
    assert settings.http == "127.0.0.1:8080"
    assert settings.base_url == "http://127.0.0.1:8080"
    assert (settings.sip_port, settings.rtp_ports, settings.drain_s) == (5060, (10000, 19999), 30.0)
    assert settings.data.is_dir()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DIALER_HTTP", "8080"),
        ("DIALER_HTTP", "127.0.0.1:99999"),
        ("DIALER_SIP_ADDRESS", "[::1]"),
        ("DIALER_SIP_PORT", "80"),
        ("DIALER_RTP_PORTS", "10000"),
        ("DIALER_RTP_PORTS", "20000-10000"),
        ("DIALER_DRAIN_S", "soon"),
        ("DIALER_LOG", "LOUD"),
        ("DIALER_TRACE_CALLS", "-1"),
        ("DIALER_TRACE_DAYS", "0"),
        ("DIALER_CALLS_DAYS", "3"),
        ("DIALER_SUBSCRIBERS_DAYS", "-1"),
        ("DIALER_SUBSCRIBERS_DAYS", "1"),
        ("DIALER_SUBSCRIBERS_DAYS", "6"),
        ("DIALER_ADMIN_PASSWORD", "short"),
    ],
)
def test_a_wrong_value_is_refused_with_the_variable_and_what_it_takes(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert f"{variable} takes {WHAT_IT_TAKES[variable]}" in str(caught.value)
    assert (value in str(caught.value)) is (variable != "DIALER_ADMIN_PASSWORD")


def test_a_data_folder_that_cannot_be_made_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DIALER_DATA", str(tmp_path / "file" / "data"))
    with pytest.raises(SettingsError, match="DIALER_DATA"):
        load_settings()


def test_a_dotenv_file_is_read_and_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("DIALER_SIP_PORT=6000\nDIALER_DRAIN_S=5\n")
    monkeypatch.setenv("DIALER_SIP_PORT", "7000")
    settings = load_settings()
    assert (settings.sip_port, settings.drain_s) == (7000, 5.0)


@pytest.mark.parametrize("name", ["plain", "a b", "100%20", "what?", "what?a=b#c", "папка"])
def test_the_database_is_in_a_data_folder_of_any_name(name: str, tmp_path: Path) -> None:
    url = Settings(data=tmp_path / name).url
    assert make_url(url).database == str(tmp_path / name / "db.sqlite3")


def test_secrets_are_not_shown() -> None:
    assert "hunter22" not in repr(Settings(admin_password="hunter22", jwt_key="hunter22", data=Path()))


ROOT = Path(__file__).resolve().parents[1]
PROGRAM = [ROOT / "main.py", ROOT / "dialer.py", ROOT / "api_srv.py", *(ROOT / "autodialer").rglob("*.py")]


def names_read(source: str, of: str) -> set[str]:
    """The attributes that a program reads of its variables `of` and `_of`."""
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)]
    owners = {f".{of}", f"._{of}", f".{of}()"}
    return {node.attr for node in found if f".{ast.unparse(node.value)}".endswith(tuple(owners))}


@pytest.mark.slow
def test_every_setting_is_read_by_the_service() -> None:
    """A setting that nothing reads is a promise: JWT_KEY was documented for months and did nothing."""
    read: set[str] = set()
    for path in PROGRAM:
        if path.name != "config.py":
            read |= names_read(path.read_text(encoding="utf-8"), "settings")
    # What a property that is read reads of the settings counts as read, too.
    of_property = {
        node.name: names_read(ast.unparse(node), "self")
        for node in ast.walk(ast.parse((ROOT / "autodialer/config.py").read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    for name in list(read):
        read |= of_property.get(name, set())
    assert set(Settings.model_fields) - read == set()


def test_every_setting_is_documented_with_what_it_takes_and_the_other_way_round() -> None:
    assert {variable_of(name) for name in Settings.model_fields} == set(WHAT_IT_TAKES)


@pytest.mark.parametrize("key", ["x", "twelve bytes", "ключ"])
def test_the_prototypes_key_has_the_prototypes_name_and_any_length(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text(f"JWT_KEY={key}\n", encoding="utf-8")
    assert load_settings().jwt_key == key
    monkeypatch.setenv("JWT_KEY", "")
    assert load_settings().jwt_key is None

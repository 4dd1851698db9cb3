# ruff: noqa: F811 -- fixtures are imported by the names under which tests ask for them
"""The console client as people and scripts run it: a process, its exit status, what fits on a terminal."""

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

import api_client
from autodialer.config import Settings
from autodialer.store import Store
from tests.peers.by_number import by_number
from tests.peers.sipp import SippGateway
from tests.test_readme import PASSWORD as SERVICE_PASSWORD
from tests.test_readme import service  # noqa: F401 -- a fixture
from tests.timing import at_most
from tests.web.client import Client, wav
from tests.web.conftest import (  # noqa: F401 -- fixtures
    PASSWORD,
    StandingClock,
    anna,
    app,
    client,
    clock,
    log_in,
    objects,
    store,
)
from tests.web.dialing import DONE, answered, claim, record
from tests.web.serving import free_port, serving

ROOT = Path(__file__).resolve().parents[1]
NEEDED = ("requests", "yaml", "rich")
"""What the client says that it needs, and what those bring along."""
BROUGHT_ALONG = ("urllib3", "certifi", "idna", "charset_normalizer", "markdown_it", "mdurl", "pygments")
LONG_NAMES = (
    "Анна Сергеевна Константинопольская-Задунайская",
    "渡辺 健太郎 様 東京都 港区 六本木",
    "😀😀😀 праздник 😀😀😀",
)
Done = subprocess.CompletedProcess[str]
RunClient = Callable[..., Done]

pytestmark = [pytest.mark.loopback, pytest.mark.process]


@pytest.fixture
def settings(settings: Settings) -> Iterator[Settings]:
    """With a port of its own."""
    before = tempfile.tempdir
    yield Settings(data=settings.data, http=f"127.0.0.1:{free_port()}")
    tempfile.tempdir = before


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """A folder with the client, the contract and nothing else."""
    folder = tmp_path / "alone"
    folder.mkdir()
    for name in ("api_client.py", "swagger.yaml"):
        shutil.copy(ROOT / name, folder)
    return folder


def environment(folder: Path, url: str, width: int = 100) -> dict[str, str]:
    """Of a terminal of so many columns."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DIALER_")}
    return {**kept, "DIALER_SESSION": str(folder / "home" / "session.json"), "DIALER_URL": url, "COLUMNS": str(width)}


def run_client(folder: Path, url: str, arguments: Sequence[str], *, width: int = 100, typed: str = "") -> Done:
    """The client in its folder, as a process."""
    return subprocess.run(
        [sys.executable, "api_client.py", *arguments],
        cwd=folder,
        env=environment(folder, url, width),
        input=typed,
        capture_output=True,
        text=True,
        timeout=at_most(60),
        check=False,
    )


@pytest.fixture
def run(alone: Path, settings: Settings, app: Any) -> Iterator[RunClient]:
    """Runs the client against a service on which Anna has logged in."""
    with serving(settings, app) as url:

        def one(*arguments: str, **how: Any) -> Done:
            return run_client(alone, url, arguments, **how)

        assert one("login", "anna", "--password", PASSWORD).returncode == 0
        yield one


def a_sample(folder: Path) -> str:
    (folder / "hello.wav").write_bytes(wav())
    return "hello.wav"


STATUSES = [
    ("done", ["list-trunks"], 0, ""),
    ("refused by the service", ["create-trunk", "--name", "x", "--host", "a..b"], 1, "422 invalid: host"),
    ("no such id", ["read-trunk", "00000000-0000-7000-8000-000000000000"], 1, "404 not_found"),
    ("no such name", ["read-trunk", "nothing"], 2, "No trunk is called 'nothing'"),
    ("a file that is not there", ["create-sound", "--file", "/nothing/here.wav"], 2, "cannot be read"),
    ("a value of another type", ["create-trunk", "--name", "x", "--host", "h", "--port", "abc"], 2, "takes integer"),
    ("an unknown command", ["fly"], 2, "invalid choice"),
    ("an option that is missing", ["create-trunk"], 2, "required"),
    ("no trunk to call over", ["dial", "a.wav", "b.csv", "--yes", "--region", "RU"], 1, "create-trunk"),
]


@pytest.mark.parametrize(("arguments", "status", "said"), [case[1:] for case in STATUSES], ids=[c[0] for c in STATUSES])
def test_the_exit_status_and_the_words_say_what_went_wrong(
    run: RunClient, arguments: list[str], status: int, said: str
) -> None:
    done = run(*arguments)
    assert (done.returncode, said in done.stderr, "Traceback" in done.stderr) == (status, True, False), done.stderr


@pytest.mark.parametrize("kept", [None, "", "{", "[]", '{"url": 1}', '{"url": null}'])
def test_without_a_readable_session_the_client_says_how_to_log_in(
    alone: Path, settings: Settings, app: Any, kept: str | None
) -> None:
    if kept is not None:
        (alone / "home").mkdir()
        (alone / "home" / "session.json").write_text(kept)
    with serving(settings, app) as url:
        done = run_client(alone, url, ["list-trunks"])
    assert (done.returncode, "api_client.py login LOGIN" in done.stderr) == (4, True), done.stderr


def test_a_service_that_does_not_answer_and_one_that_is_another_are_told_apart_from_a_refusal(
    alone: Path, tmp_path: Path
) -> None:
    (tmp_path / "site").mkdir()
    port = free_port()
    done = run_client(alone, f"http://127.0.0.1:{port}", ["list-trunks"])
    assert (done.returncode, "make run" in done.stderr) == (3, True), done.stderr
    with subprocess.Popen(
        [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(tmp_path / "site"), str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as other:
        try:
            assert other.stdout
            assert b"Serving" in other.stdout.readline()
            done = run_client(alone, f"http://127.0.0.1:{port}", ["list-trunks"])
        finally:
            other.terminate()
    assert (done.returncode, "not as the dialer's API does" in done.stderr) == (3, True), done.stderr


def test_it_runs_in_an_empty_folder_with_nothing_but_the_packages_that_it_names(alone: Path, tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    for name in (*NEEDED, *BROUGHT_ALONG):
        found = importlib.util.find_spec(name)
        assert found and found.submodule_search_locations
        (packages / name).symlink_to(found.submodule_search_locations[0])
    done = subprocess.run(
        [sys.executable, "-S", "-s", "api_client.py", "list-trunks"],
        cwd=alone,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(packages), "DIALER_URL": f"http://127.0.0.1:{free_port()}"},
        capture_output=True,
        text=True,
        timeout=at_most(60),
        check=False,
    )
    assert (done.returncode, "Is the service up?" in done.stderr) == (3, True), done.stderr


# -- names for ids


def test_an_object_is_found_by_its_name_wherever_an_id_is_wanted(run: RunClient, alone: Path) -> None:
    base = alone / "base.csv"
    base.write_text("телефон;имя\n+79160000001;Анна\n")
    assert run("create-trunk", "--name", "Провайдер", "--host", "127.0.0.1").returncode == 0
    assert run("create-sound", "--file", a_sample(alone), "--name", "привет").returncode == 0
    assert run("create-callbase", "--file", str(base), "--name", "Пациенты", "--region", "RU").returncode == 0
    rules = ["--trunk-ids", "Провайдер", "--sound-id", "привет", "--callbase-id", "Пациенты"]
    assert run("create-campaign", "--name", "Понедельник", *rules).returncode == 0
    assert "+79160000001" in run("list-subscribers", "пациенты").stdout
    assert json.loads(run("--json", "campaign", "start", "понедельник").stdout)["state"] == "running"
    assert run("create-trunk", "--name", "Провайдер", "--host", "127.0.0.2").returncode == 0
    done = run("read-trunk", "Провайдер")
    assert done.returncode == 2
    assert all(word in done.stderr for word in ("More than one trunk", "127.0.0.1", "127.0.0.2"))
    for trunk in json.loads(run("list-trunks", "--json").stdout)["items"]:
        assert trunk["id"] in done.stderr
    assert "There are: Пациенты." in run("read-callbase", "никто").stderr


def test_every_list_of_named_objects_is_known_by_the_parameter_that_means_one_of_them() -> None:
    lists = api_client.lists_of_names(api_client.load_operations())
    assert {f"{name}_id" for name in ("trunk", "sound", "callbase", "campaign", "user", "key", "notice")} <= set(lists)


# -- options


def test_a_webhooks_url_is_not_taken_for_the_services(run: RunClient) -> None:
    done = run("create-webhook", "--url", "https://93.184.216.34/hook", "--events", "call.ended", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["url"] == "https://93.184.216.34/hook"


def test_no_parameter_of_an_operation_is_kept_under_the_name_of_another_option() -> None:
    operations = api_client.load_operations()
    parser = api_client.build_parser(operations)
    [commands] = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for operation in operations:
        kept = [action.dest for action in commands.choices[operation.command]._actions]
        assert len(kept) == len(set(kept)), operation.command


def test_help_shows_the_defaults_of_the_contract(run: RunClient) -> None:
    shown = " ".join(run("create-trunk", "--help").stdout.split())
    assert 'udp|tcp|tls (default "udp")' in shown
    assert "most simultaneous calls (default 10)" in shown


# -- what is shown


@pytest.fixture
def a_campaign(anna: Client, objects: dict[str, Any], store: Store, clock: StandingClock) -> str:
    """Its name; every subscriber has a long name, and one call of three has ended."""
    table = "phone;name\n" + "".join(f"+7916000000{n};{name}\n" for n, name in enumerate(LONG_NAMES, 1))
    callbase = anna.post("/srv1/callbases", files={"file": ("b.csv", table.encode())}, data={"region": "RU"}).json()
    fields = objects["fields"] | {"name": f"Обзвон {LONG_NAMES[0]}", "callbase_id": callbase["id"]}
    made = anna.post("/srv1/campaigns", json=fields).json()
    anna.post(f"/srv1/campaigns/{made['id']}/start")
    [job] = claim(store, clock.now, 1)
    record(store, clock.now, job, answered(clock.now), DONE)
    return str(made["name"])


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_no_table_is_wider_than_the_terminal(run: RunClient, a_campaign: str, width: int) -> None:
    commands = [["list-campaigns"], ["list-calls", a_campaign], ["list-trunks"], ["list-sounds"], ["list-callbases"]]
    commands += [["campaign", "report", a_campaign], ["campaign", "why", a_campaign], ["read-campaign", a_campaign]]
    for command in commands:
        done = run(*command, width=width)
        assert done.returncode == 0, done.stderr
        assert max(cell_len(line) for line in done.stdout.splitlines()) <= width, command


def test_a_list_of_campaigns_and_one_of_calls_say_what_people_look_for(run: RunClient, a_campaign: str) -> None:
    shown = run("list-campaigns", width=100).stdout
    assert [word for word in ("running", "1/3") if word not in shown] == []
    header, call = run("list-calls", a_campaign, width=100).stdout.splitlines()[:2]
    assert header.split()[:6] == ["number", "name", "outcome", "when", "talk", "s"]
    assert call.startswith("+79160000001  Анна")
    assert "answered" in call
    found = json.loads(run("list-calls", a_campaign, "--json").stdout)["items"]
    assert [(each["name"], call.endswith(each["id"])) for each in found] == [(LONG_NAMES[0], True)]


LISTS = [
    operation.command
    for operation in api_client.load_operations()
    if operation.method == "GET"
    and "{" not in operation.path
    and not any(parameter.get("required") for parameter in operation.parameters)
]


def test_json_is_all_that_a_program_reads_and_may_stand_before_or_after_the_command(run: RunClient) -> None:
    for command in ("list-trunks", "read-me", "check"):
        before, after = run("--json", command), run(command, "--json")
        assert json.loads(before.stdout), command
        assert type(json.loads(after.stdout)) is type(json.loads(before.stdout))
    refused = run("--json", "read-trunk", "00000000-0000-7000-8000-000000000000")
    assert (refused.stdout, json.loads(refused.stderr)["answer"]["error"]) == ("", "not_found")
    assert {each["command"] for each in json.loads(run("check", "--json").stdout)} == set(LISTS)


def test_what_a_file_has_put_into_a_name_does_not_steer_the_terminal(run: RunClient) -> None:
    assert run("create-trunk", "--name", "a[red]b", "--host", "127.0.0.1").returncode == 0
    assert "a[red]b" in run("list-trunks").stdout
    assert api_client._text("\x1b]0;owned\x07\r\nx") == " ]0;owned   x"


# -- the session


def test_two_clients_at_once_renew_one_session_once(
    run: RunClient, alone: Path, clock: StandingClock, settings: Settings
) -> None:
    clock.move(700)
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: run("read-me"), range(4)))
    assert [(each.returncode, each.stderr) for each in done] == [(0, "")] * 4
    assert (alone / "home" / "session.json").stat().st_mode & 0o777 == 0o600


# -- the menu


def test_the_menu_does_what_the_prototypes_tester_did(
    alone: Path, settings: Settings, app: Any, objects: dict[str, Any]
) -> None:
    with serving(settings, app) as url:
        first = run_client(alone, url, [], typed="3\nnobody\n99\n0\n")
        assert first.returncode == 0
        assert [word for word in ("log in", "add a user", "sample call", "leave") if word not in first.stdout] == []
        assert "login LOGIN" in first.stderr
        assert "is not a number from 0" in first.stdout
        assert run_client(alone, url, ["login", "anna", "--password", PASSWORD]).returncode == 0
        callbase = json.loads(run_client(alone, url, ["list-callbases", "--json"]).stdout)["items"][0]
        # The end of the input ends the menu.
        done = run_client(alone, url, [], typed=f"3\n{callbase['name']}\n")
    assert (done.returncode, "+7" in done.stdout) == (0, True), done.stderr


# -- completion


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        (["camp"], {"campaign"}),
        (["campaign", "st"], {"start", "stop"}),
        (["dial", "--tr"], {"--trunk"}),
        (["list-tr"], {"list-trunks"}),
        (["create-trunk", "--max-ch"], {"--max-channels"}),
    ],
)
def test_bash_completes_commands_and_options(alone: Path, line: list[str], offered: set[str]) -> None:
    script = run_client(alone, "http://127.0.0.1:1", ["completion", "bash", "--for", "dialer"])
    assert script.returncode == 0, script.stderr
    words = f"COMP_WORDS=(dialer {' '.join(line)}); COMP_CWORD={len(line)}; _shtab_dialer"
    asked = f"{words}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    done = subprocess.run(
        ["bash", "-c", script.stdout + "\n" + asked], capture_output=True, text=True, timeout=at_most(30), check=True
    )
    assert set(done.stdout.split()) == offered


@pytest.mark.peer("zsh")
def test_zsh_takes_the_completion(alone: Path) -> None:
    script = run_client(alone, "http://127.0.0.1:1", ["completion", "zsh", "--for", "dialer"])
    (alone / "script").write_text(script.stdout)
    done = subprocess.run(
        ["zsh", "-f", "-c", 'autoload -U compinit; compinit -D -u; eval "$(<script)"; print $_comps[dialer]'],
        cwd=alone,
        env={**os.environ, "HOME": str(alone)},
        capture_output=True,
        text=True,
        timeout=at_most(30),
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == ("_shtab_dialer", "")


# -- from two files to the report


@pytest.mark.peer("sipp", "sox")
def test_one_command_calls_everybody_in_a_table_and_reports(service: str, alone: Path) -> None:
    subprocess.run(
        ["sox", str(ROOT / "autodialer/gateway/sample.flac"), "hello.wav", "trim", "0", "1"], cwd=alone, check=True
    )
    (alone / "люди.csv").write_text("имя;телефон\nАнна;8 916 000-00-00\nБорис;+79160000005\nничей;112\n", "cp1251")
    assert run_client(alone, service, ["login", "admin", "--password", SERVICE_PASSWORD]).returncode == 0
    with SippGateway(by_number(), calls=4, timeout_s=60) as gateway:
        host = ["--host", "127.0.0.1", "--port", str(gateway.address[1]), "--cps", "20"]
        assert run_client(alone, service, ["create-trunk", "--name", "провайдер", *host]).returncode == 0
        refused = run_client(alone, service, ["dial", "hello.wav", "люди.csv"], typed="RU\nn\n")
        assert (refused.returncode, "Nothing was started" in refused.stderr) == (2, True)
        done = run_client(alone, service, ["dial", "hello.wav", "люди.csv"], typed="RU\ny\n", width=80)
        assert done.returncode == 0, done.stderr
        again = run_client(alone, service, ["dial", "hello", "люди", "--yes", "--json"])
        gateway.expect_success(timeout_s=20)
    told = (
        "телефон",
        "number",
        "+79160000000",
        "2 imported",
        "1 rejected",
        "is finished",
        "2/2 done",
        "invalid_number",
    )
    for said in told:
        assert said in done.stdout
    assert json.loads(again.stdout)["counts"]["total"] == 2

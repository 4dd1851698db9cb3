"""The real server: refusals before the body is read, that arrive; large imports; an end in good order."""

import errno
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from waitress.adjustments import Adjustments

import main
from autodialer.api import sounds as sound_files
from autodialer.config import Settings
from autodialer.errors import SettingsError
from autodialer.media.shell.importing import import_apart
from autodialer.store import Store
from autodialer.supervisor import EXIT_CONFIG
from autodialer.web.server import ApiServer
from tests.locks import locks_taken
from tests.peers.ports import wait_until
from tests.timing import at_most
from tests.web.client import wav
from tests.web.conftest import PASSWORD
from tests.web.serving import free_port, serving

pytestmark = pytest.mark.loopback
ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def settings(settings: Settings) -> Iterator[Settings]:
    """With a port of its own; the folder for temporary files is put back in the end."""
    before = tempfile.tempdir
    yield Settings(data=settings.data, http=f"127.0.0.1:{free_port()}")
    tempfile.tempdir = before


@pytest.fixture
def url(settings: Settings, app: Any) -> Iterator[str]:
    """Where the service is."""
    with serving(settings, app) as base:
        yield base


@pytest.fixture
def http(url: str) -> Iterator[requests.Session]:
    """Anna's connection."""
    with requests.Session() as session:
        form = {"grant_type": "password", "username": "anna", "password": PASSWORD}
        token = session.post(f"{url}/srv1/auth/token", data=form).json()["access_token"]
        session.headers["Authorization"] = f"Bearer {token}"
        yield session


def read_to_end(connection: socket.socket) -> bytes:
    answer = b""
    while part := connection.recv(65536):
        answer += part
    return answer


def expect_no_uploads(settings: Settings) -> None:
    """No upload is left; the reader of an upload clears it away a moment after its answer."""
    wait_until(
        lambda: not list((settings.data / "uploads").iterdir()), what="the uploads to be cleared away", timeout_s=30
    )


def test_pages_documentation_and_health_are_served(url: str) -> None:
    assert "not running" in requests.get(f"{url}/").text
    for path in ("/api/doc", "/api/doc/"):
        answer = requests.get(url + path)
        assert answer.status_code == 200
        assert answer.url == f"{url}/api/doc/"
        assert "swagger-ui" in answer.text
    assert requests.get(f"{url}/api/doc/swagger-ui-bundle.js").headers["Content-Type"].startswith("text/javascript")
    contract = requests.get(f"{url}/swagger.json").json()
    assert (contract["swagger"], contract["basePath"]) == ("2.0", "/srv1")
    assert contract["securityDefinitions"]["oauth2"]["tokenUrl"] == "/srv1/auth/token"
    assert requests.get(f"{url}/healthz").json() == {"status": "degraded", "database": "ok", "dialer": "not running"}


def test_health_knows_the_dialer(url: str, store: Store) -> None:
    store.live.heartbeat("x", 1)
    assert requests.get(f"{url}/healthz").json()["dialer"] == "running"
    assert "running" in requests.get(f"{url}/").text


def test_the_server_does_not_say_what_it_is(url: str) -> None:
    headers = requests.get(f"{url}/healthz").headers
    assert "Server" not in headers
    assert "waitress" not in str(headers).lower()


def test_a_sound_goes_up_is_imported_apart_and_comes_down(
    url: str, http: requests.Session, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sound_files, "import_apart", import_apart)
    big = wav(seconds=60, rate=44100)
    sound = http.post(f"{url}/srv1/sounds", files={"file": ("big.wav", big)}).json()
    audio = http.get(f"{url}/srv1/sounds/{sound['id']}/audio")
    assert audio.content[:4] == b"RIFF"
    assert len(audio.content) == pytest.approx(60 * 16000, rel=0.01)
    expect_no_uploads(settings)


@pytest.mark.parametrize("expect", [True, False])
def test_a_60_mb_sound_is_refused_before_it_is_read_and_the_client_gets_to_know(
    url: str, http: requests.Session, settings: Settings, expect: bool
) -> None:
    """Over a bare socket, to see when the answer comes: after the headers, not after the body."""
    host, port = settings.http_host, settings.http_port
    head = (
        f"POST /srv1/sounds HTTP/1.1\r\nHost: {host}\r\nAuthorization: {http.headers['Authorization']}\r\n"
        f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 60000000\r\n"
        + ("Expect: 100-continue\r\n" if expect else "")
        + "\r\n"
    )
    with socket.create_connection((host, port), timeout=at_most(10)) as connection:
        connection.sendall(head.encode())
        answer = read_to_end(connection).decode()
        assert answer.startswith("HTTP/1.1 413 ")
        assert "50 MB" in answer
        assert '"field": "file"' in answer
    expect_no_uploads(settings)


def test_a_client_that_sends_a_60_mb_sound_regardless_reads_why_not(url: str, http: requests.Session) -> None:
    answer = http.post(f"{url}/srv1/sounds", files={"file": ("x.wav", bytes(60_000_000))})
    assert answer.status_code == 413
    assert answer.json()["details"][0]["field"] == "file"


def test_an_upload_without_a_good_token_is_refused_before_it_is_read(url: str, settings: Settings) -> None:
    for headers in ({}, {"Authorization": "Bearer rubbish"}):
        answer = requests.post(f"{url}/srv1/callbases", files={"file": ("x.csv", bytes(5_000_000))}, headers=headers)
        assert answer.status_code == 401
        assert answer.json()["error"] == "unauthorized"
        assert "WWW-Authenticate" in answer.headers
    expect_no_uploads(settings)


def test_a_chunked_body_is_held_to_the_limit(url: str, http: requests.Session, settings: Settings) -> None:
    def chunks() -> Iterator[bytes]:
        yield from (bytes(100_000) for _ in range(30))

    answer = http.post(f"{url}/srv1/trunks", data=chunks(), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]) == (413, "too_large")
    small = http.post(
        f"{url}/srv1/trunks",
        data=iter([b'{"name": "x", ', b'"host": "127.0.0.1"}']),
        headers={"Content-Type": "application/json"},
    )
    assert small.status_code == 201


def test_what_is_no_http_is_answered_in_json(url: str, settings: Settings) -> None:
    for text, status in (
        (b"rubbish\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 40_000 + b"\r\n\r\n", b"431"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", b"501"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", b"400"),
    ):
        with socket.create_connection((settings.http_host, settings.http_port), timeout=at_most(10)) as connection:
            connection.sendall(text)
            answer = read_to_end(connection)
        assert status in answer.split(b"\r\n")[0]
        assert b'{"error": "' in answer
        assert b"<" not in answer


def test_a_large_callbase_is_imported_in_the_background(url: str, http: requests.Session, settings: Settings) -> None:
    rows = "".join(f"8916{index:07d}\n" for index in range(10_500)).encode()
    answer = http.post(f"{url}/srv1/callbases", files={"file": ("big.csv", rows)}, data={"region": "RU"})
    assert (answer.status_code, answer.json()["state"]) == (202, "importing")
    path = f"{url}/srv1/callbases/{answer.json()['id']}"
    deadline = time.monotonic() + at_most(60)
    while (callbase := http.get(path).json())["state"] == "importing" and time.monotonic() < deadline:
        assert callbase["rows_done"] <= 10_500
        time.sleep(0.1)
    assert (callbase["state"], callbase["imported"]) == ("ready", 10_500)
    expect_no_uploads(settings)


def test_a_large_callbase_of_rubbish_fails_and_says_why(url: str, http: requests.Session, settings: Settings) -> None:
    # The rows that a file is judged by are good; what follows them is not.
    rows = b"".join(b"8916%07d\n" % row for row in range(100)) + b"12\n" * 10_500
    answer = http.post(f"{url}/srv1/callbases", files={"file": ("big.csv", rows)}, data={"region": "RU"})
    path = f"{url}/srv1/callbases/{answer.json()['id']}"
    deadline = time.monotonic() + at_most(60)
    while (callbase := http.get(path).json())["state"] == "importing" and time.monotonic() < deadline:
        time.sleep(0.1)
    assert (callbase["state"], callbase["imported"]) == ("failed", 0)
    assert "region" in callbase["error"]
    expect_no_uploads(settings)


def test_deleting_a_callbase_cancels_its_import(
    url: str, http: requests.Session, settings: Settings, store: Store
) -> None:
    rows = "".join(f"8916{index:07d}\n" for index in range(60_000)).encode()
    answer = http.post(f"{url}/srv1/callbases", files={"file": ("big.csv", rows)}, data={"region": "RU"})
    assert answer.status_code == 202
    assert http.delete(f"{url}/srv1/callbases/{answer.json()['id']}").status_code == 204
    expect_no_uploads(settings)
    assert store.subscribers.page_of_all(None, limit=10)[0] == []


def test_two_requests_with_one_idempotency_key_at_once_make_one_object(url: str, http: requests.Session) -> None:
    found: list[str] = []

    def post() -> None:
        headers = {"Idempotency-Key": "one", "Authorization": str(http.headers["Authorization"])}
        answer = requests.post(f"{url}/srv1/trunks", json={"name": "x", "host": "127.0.0.1"}, headers=headers)
        found.append(answer.json()["id"])

    threads = [threading.Thread(target=post) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len(set(found)) == 1
    assert len(http.get(f"{url}/srv1/trunks").json()["items"]) == 1


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections on which nothing happens are closed after a second, not after two minutes."""
    monkeypatch.setattr(Adjustments, "channel_timeout", 1)
    monkeypatch.setattr(Adjustments, "cleanup_interval", 1)


@pytest.mark.usefixtures("impatient")
def test_a_check_that_takes_longer_than_a_connection_may_be_idle_is_answered(
    settings: Settings, app: Any, store: Store
) -> None:
    """A dialer that answers after four seconds and does nothing else."""
    store.live.heartbeat("dialer-1", 1)
    verdict = {"ok": False, "stage": "call", "sip_code": None, "reason": None, "verdict": "No answer at all."}
    verdict |= {"public_address": None, "rtt_ms": None}

    def dialer() -> None:
        wait_until(lambda: bool(store.commands.new()), what="the command", timeout_s=at_most(10))
        [command] = store.commands.new()
        assert command.call_id is not None
        time.sleep(4.0)
        store.checks.record(command.call_id, verdict)

    with serving(settings, app) as url, requests.Session() as session:
        form = {"grant_type": "password", "username": "anna", "password": PASSWORD}
        token = session.post(f"{url}/srv1/auth/token", data=form).json()["access_token"]
        session.headers["Authorization"] = f"Bearer {token}"
        trunk = session.post(f"{url}/srv1/trunks", json={"name": "t", "host": "127.0.0.1"}).json()
        thread = threading.Thread(target=dialer)
        thread.start()
        answer = session.post(
            f"{url}/srv1/trunks/{trunk['id']}/check", json={"number": "+79160000001"}, timeout=at_most(60)
        )
        thread.join()
    assert (answer.status_code, answer.json()) == (200, verdict)


def test_a_port_that_is_taken_is_a_wrong_setting(settings: Settings, app: Any) -> None:
    with socket.socket() as taken:
        taken.bind((settings.http_host, settings.http_port))
        taken.listen()
        with pytest.raises(SettingsError, match="DIALER_HTTP"):
            ApiServer(settings, app)


def test_serve_ends_when_it_is_told_to_and_fails_unfinished_imports(settings: Settings, store: Store) -> None:
    owner = store.users.by_login("anna")
    assert owner
    store.callbases.create(owner.key, name="cut off", region="RU")
    stopping = threading.Event()
    thread = threading.Thread(target=main.serve, args=(settings, stopping))
    thread.start()
    deadline = time.monotonic() + at_most(30)
    while time.monotonic() < deadline:
        try:
            assert requests.get(f"http://{settings.http}/healthz").status_code == 200
            break
        except requests.ConnectionError:
            time.sleep(0.05)
    stopping.set()
    thread.join(at_most(20))
    assert not thread.is_alive()
    [callbase] = store.callbases.page(None)[0]
    assert callbase.state == "failed"
    with socket.socket() as probe:
        assert probe.connect_ex((settings.http_host, settings.http_port)) != 0


@pytest.mark.parametrize("way", ["signal", "pipe"])
def test_the_api_process_ends_on_a_signal_and_with_its_parent(settings: Settings, store: Store, way: str) -> None:
    environment = {
        **os.environ,
        "DIALER_DATA": str(settings.data),
        "DIALER_HTTP": settings.http,
        "DIALER_SUPERVISED": "1",
    }
    code = "import main; from autodialer.config import load_settings; main.serve(load_settings())"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment, stdin=subprocess.PIPE)
    assert process.stdin
    try:
        deadline = time.monotonic() + at_most(30)
        while True:
            try:
                requests.get(f"http://{settings.http}/healthz")
                break
            except requests.ConnectionError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        if way == "signal":
            process.send_signal(signal.SIGTERM)
        else:
            process.stdin.close()
        assert process.wait(at_most(15)) == 0
    finally:
        process.kill()
        process.wait()
        process.stdin.close()


@pytest.mark.parametrize("command", [[], ["serve"]], ids=["service", "api"])
@pytest.mark.parametrize("port", ["same port", "another port"])
def test_a_second_start_on_a_data_folder_touches_nothing_of_the_first(
    settings: Settings, store: Store, command: list[str], port: str
) -> None:
    owner = store.users.by_login("anna")
    assert owner
    environment = {**os.environ, "DIALER_DATA": str(settings.data), "DIALER_HTTP": settings.http}
    start = [sys.executable, "main.py"]
    first = subprocess.Popen([*start, "serve"], cwd=ROOT, env=environment)
    try:
        wait_until(lambda: is_served(settings), what="the first one", timeout_s=30)
        store.callbases.create(owner.key, name="under way", region="RU")
        receiving = settings.data / "uploads" / "upload-half"
        receiving.write_bytes(b"half")
        if port == "another port":
            environment["DIALER_HTTP"] = f"127.0.0.1:{free_port()}"
        second = subprocess.run([*start, *command], cwd=ROOT, env=environment, capture_output=True, timeout=at_most(40))
        assert second.returncode == EXIT_CONFIG
        assert b"Another API already works on" in second.stderr
        assert receiving.exists()
        assert [callbase.state for callbase in store.callbases.page(None)[0]] == ["importing"]
        assert first.poll() is None
    finally:
        first.terminate()
        assert first.wait(at_most(20)) == 0


def test_a_port_that_is_taken_leaves_the_data_folder_alone(settings: Settings, store: Store) -> None:
    owner = store.users.by_login("anna")
    assert owner
    store.callbases.create(owner.key, name="under way", region="RU")
    with socket.socket() as taken:
        taken.bind((settings.http_host, settings.http_port))
        taken.listen()
        with pytest.raises(SettingsError, match="DIALER_HTTP"):
            main.serve(settings)
    assert [callbase.state for callbase in store.callbases.page(None)[0]] == ["importing"]


def test_a_client_that_comes_before_the_api_is_refused_not_taken_in_and_reset(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    met: list[int] = []

    def knock(settings: Settings) -> None:
        with socket.socket() as client:
            met.append(client.connect_ex((settings.http_host, settings.http_port)))

    monkeypatch.setattr(main, "make_administrator", knock)
    monkeypatch.setattr(main, "run_service", lambda *_args, **_options: 0)
    assert main.supervise(settings) == 0
    assert met == [errno.ECONNREFUSED]


def is_served(settings: Settings) -> bool:
    """Whether the API answers."""
    try:
        return requests.get(f"http://{settings.http}/healthz", timeout=at_most(10)).ok
    except requests.ConnectionError:
        return False


def test_stopping_takes_no_lock_for_a_signal_handler_calls_it(settings: Settings, app: Any) -> None:
    server = ApiServer(settings, app)
    assert locks_taken(server.stop) == []
    server.run()
    server.stop()


def test_health_is_answered_while_ten_sounds_arrive_and_those_that_find_no_room_are_told_when_to_come_back(
    http: requests.Session, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    answers: list[requests.Response] = []

    def slow(*arguments: Any, **options: Any) -> Any:
        assert go_on.wait(at_most(120))
        return import_apart(*arguments, **options)

    def send() -> None:
        files = {"file": ("x.wav", wav())}
        answers.append(
            requests.post(f"{url}/srv1/sounds", files=files, headers=dict(http.headers), timeout=at_most(120))
        )

    monkeypatch.setattr(sound_files, "import_apart", slow)
    senders = [threading.Thread(target=send) for _ in range(10)]
    try:
        for sender in senders:
            sender.start()
        wait_until(lambda: len(answers) >= 8, what="the sounds without room to be refused", timeout_s=at_most(30))
        assert requests.get(f"{url}/healthz", timeout=at_most(30)).status_code == 200
        assert [answer.status_code for answer in answers] == [429] * 8
        assert {answer.headers["Retry-After"] for answer in answers} == {"3"}
    finally:
        go_on.set()
        for sender in senders:
            sender.join(at_most(120))
    assert sorted(answer.status_code for answer in answers) == [201] * 2 + [429] * 8

"""While hostile files arrive, the server answers others, and other users' files are imported."""

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from autodialer.api import outside, slices, tables, trunks, upload_turns
from autodialer.config import Settings
from autodialer.imports import apart, imports
from autodialer.imports.process import ImportJob, start_import
from autodialer.store.sql import engine, secrets
from autodialer.web.server import THREADS
from tests.peers.ports import wait_until
from tests.timing import at_most
from tests.web.conftest import PASSWORD
from tests.web.serving import free_port, serving

pytestmark = pytest.mark.loopback
HOSTILE = b"hold me up\n"
GOOD = b"89160000001\n89160000002\n"
FILES = 20
ASKED = 30


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With a port of its own."""
    return Settings(data=settings.data, http=f"127.0.0.1:{free_port()}")


@pytest.fixture
def url(settings: Settings, app: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where the service is; a hostile file keeps its process for as long as that may live."""
    pipe = subprocess.PIPE

    def start(job: ImportJob) -> subprocess.Popen[bytes]:
        if Path(job.file).read_bytes() != HOSTILE:
            return start_import(job)
        return subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=pipe, stdout=pipe)

    monkeypatch.setattr(apart, "start_import", start)
    monkeypatch.setattr(apart, "DEADLINE_S", at_most(20))
    monkeypatch.setattr(imports, "LookApart", apart.LookApart)
    with serving(settings, app) as base:
        yield base


def logged_in(url: str, login: str) -> dict[str, str]:
    form = {"grant_type": "password", "username": login, "password": PASSWORD}
    return {"Authorization": "Bearer " + requests.post(f"{url}/srv1/auth/token", data=form).json()["access_token"]}


def send(url: str, headers: dict[str, str], content: bytes) -> requests.Response:
    form = {"region": "RU"}
    return requests.post(f"{url}/srv1/callbases", files={"file": ("a.csv", content)}, data=form, headers=headers)


def test_twenty_hostile_files_leave_the_api_and_other_users_alone(url: str, settings: Settings) -> None:
    anna, boris = logged_in(url, "anna"), logged_in(url, "boris")
    answers: list[requests.Response] = []
    threads = [
        threading.Thread(target=lambda: answers.append(send(url, anna, HOSTILE)), daemon=True) for _ in range(FILES)
    ]
    for thread in threads:
        thread.start()
    # All but those that have a seat are refused at once: nobody waits for the deadline of another's file.
    refused = FILES - imports.LOOKS_OF_A_USER
    wait_until(lambda: len(answers) >= refused, what="the refusals", timeout_s=15)
    assert Counter(answer.status_code for answer in answers) == {429: refused}
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers)

    slowest = 0.0
    for _ in range(ASKED):
        began = time.monotonic()
        assert requests.get(f"{url}/healthz").status_code == 200
        slowest = max(slowest, time.monotonic() - began)
    made = send(url, boris, GOOD)
    assert (made.status_code, made.json()["state"], made.json()["imported"]) == (201, "ready", 2)
    assert len(answers) == refused, "the hostile files were still being read all the while"
    assert slowest < at_most(5.0), "the deadline of a hostile file was waited for"

    for thread in threads:
        thread.join(at_most(60))
    assert Counter(answer.status_code for answer in answers) == {429: refused, 413: FILES - refused}
    assert not list((settings.data / "uploads").iterdir())


def test_all_that_holds_threads_for_seconds_leaves_some_for_others() -> None:
    assert imports.LOOKS_OF_A_USER < imports.LOOKS_AT_ONCE
    assert tables.MOST_OF_A_USER < tables.MOST_AT_ONCE
    passwords = secrets.HASHED_AT_ONCE + secrets.MOST_WAITING
    held = (
        imports.LOOKS_AT_ONCE
        + tables.MOST_AT_ONCE
        + upload_turns.MOST
        + trunks.CHECKS_AT_ONCE
        + outside.AT_ONCE
        + slices.LARGE_AT_ONCE
        + passwords
    )
    assert held <= THREADS - 4
    # Each thread may read, the housekeeping too.
    assert engine.MOST_READERS > THREADS

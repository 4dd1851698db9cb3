"""What else the service has to do while its calls are up: answer requests, import a million rows."""

import http.client
import json
import multiprocessing
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

from bench.service import PASSWORD

REQUESTS_PER_S = 200
CLIENTS = 4
ROWS = 1_000_000
_FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True, kw_only=True)
class Api:
    """The service's API, for one who has logged in."""

    host: str
    token: str

    @classmethod
    def log_in(cls, host: str) -> "Api":
        """As `owner`."""
        form = {"grant_type": "password", "username": "owner", "password": PASSWORD}
        connection = http.client.HTTPConnection(host, timeout=10)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/srv1/auth/token", urllib.parse.urlencode(form), headers)
        answer = json.load(connection.getresponse())
        connection.close()
        return cls(host=host, token=answer["access_token"])

    def headers(self, **more: str) -> dict[str, str]:
        """Of a request."""
        return {"Authorization": f"Bearer {self.token}", **more}


@contextmanager
def requests(api: Api, campaign: str, figures: dict[str, float]) -> Iterator[None]:
    """GET the campaign 200 times a second meanwhile; `figures` gets how many a second were answered."""
    answered = _FORK.Value("q", 0)
    stop = _FORK.Event()
    asker = _FORK.Process(target=_ask, args=(api, f"/srv1/campaigns/{campaign}", answered, stop), daemon=True)
    asker.start()
    started = time.monotonic()
    try:
        yield
    finally:
        figures["api_requests_per_s"] = answered.value / (time.monotonic() - started)
        stop.set()
        asker.join(15)
        asker.terminate()


def _ask(api: Api, path: str, answered: "Synchronized[int]", stop: threading.Event) -> None:
    def ask() -> None:
        connection = http.client.HTTPConnection(api.host, timeout=10)
        due = time.monotonic()
        while not stop.is_set():
            connection.request("GET", path, headers=api.headers())
            answer = connection.getresponse()
            answer.read()
            if answer.status == http.client.OK:
                with answered.get_lock():
                    answered.value += 1
            due += CLIENTS / REQUESTS_PER_S
            time.sleep(max(0.0, due - time.monotonic()))

    clients = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()


@contextmanager
def importing(api: Api, file: Path, figures: dict[str, float]) -> Iterator[None]:
    """A million rows come in meanwhile; `figures` gets how many did."""
    callbase = _FORK.Queue()
    uploader = _FORK.Process(target=_upload, args=(api, file, callbase), daemon=True)
    uploader.start()
    try:
        yield
        path = f"/srv1/callbases/{callbase.get(timeout=30)}"
        connection = http.client.HTTPConnection(api.host, timeout=30)
        connection.request("GET", path, headers=api.headers())
        found = json.load(connection.getresponse())
        figures["import_rows"] = float(found["rows_done"])
        connection.request("DELETE", path, headers=api.headers())
        connection.getresponse().read()
        connection.close()
    finally:
        uploader.terminate()
        uploader.join()


def write_rows(file: Path, rows: int = ROWS) -> None:
    """A callbase of so many numbers."""
    with file.open("w") as text:
        text.write("name;phone;comment\n")
        text.writelines(f"Subscriber {number};+7916{number:07d};flat {number}\n" for number in range(rows))


def _upload(api: Api, file: Path, callbase: "multiprocessing.Queue[str]") -> None:
    boundary = "bench-boundary"
    part = f"--{boundary}\r\nContent-Disposition: form-data; name="
    head = f'{part}"name"\r\n\r\nmillion\r\n{part}"region"\r\n\r\nRU\r\n'
    head += f'{part}"file"; filename="rows.csv"\r\nContent-Type: text/csv\r\n\r\n'
    body = head.encode() + file.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
    connection = http.client.HTTPConnection(api.host, timeout=120)
    kind = f"multipart/form-data; boundary={boundary}"
    connection.request("POST", "/srv1/callbases", body, api.headers(**{"Content-Type": kind}))
    callbase.put(json.load(connection.getresponse())["id"])

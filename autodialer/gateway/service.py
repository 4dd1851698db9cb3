"""The demo's own copy of the service, as a user would start it, and the API as a user would call it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import requests

ROOT = Path(__file__).resolve().parents[2]
START_S = 30.0
END_S = 15.0
LOGIN, PASSWORD = "admin", "demo-password"


class DemoFailed(Exception):
    """The demo cannot go on; the message says why, for a person."""


class Service:
    """`python main.py` on a data folder and ports of its own; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.log = folder / "service.log"
        self.http = f"127.0.0.1:{free_tcp_port(8080)}"
        self._process: subprocess.Popen[bytes] | None = None
        self._session = requests.Session()

    def __enter__(self) -> Self:
        environment = {
            **os.environ,
            "DIALER_DATA": str(self._folder / "data"),
            "DIALER_HTTP": self.http,
            "DIALER_ADMIN_LOGIN": LOGIN,
            "DIALER_ADMIN_PASSWORD": PASSWORD,
            "DIALER_DRAIN_S": "2",
            "DIALER_SIP_ADDRESS": "127.0.0.1",
        }
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(ROOT / "main.py")],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait_healthy()
            self._log_in()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()
        if self._process and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def get(self, path: str) -> Any:
        """The JSON of a GET below /srv1."""
        return self._call("GET", path)

    def post(self, path: str, **arguments: Any) -> Any:
        """The JSON of a POST below /srv1."""
        return self._call("POST", path, **arguments)

    def pages(self, path: str) -> Iterator[Mapping[str, Any]]:
        """Every item of a list."""
        after = ""
        while True:
            page = self.get(f"{path}?limit=1000{after}")
            yield from page["items"]
            if not page["next"]:
                return
            after = f"&after={page['next']}"

    def _call(self, method: str, path: str, **arguments: Any) -> Any:
        try:
            answer = self._session.request(method, f"http://{self.http}/srv1{path}", timeout=30, **arguments)
        except requests.RequestException as exc:
            raise DemoFailed(f"The service does not answer any more. {self._last_lines()}") from exc
        if not answer.ok:
            raise DemoFailed(f"{method} {path} was refused: {answer.text}")
        return answer.json()

    def _wait_healthy(self) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if self._process and self._process.poll() is not None:
                raise DemoFailed(f"The service ended at once. {self._last_lines()}")
            try:
                health = requests.get(f"http://{self.http}/healthz", timeout=2)
                if health.ok and health.json()["status"] == "ok":
                    return
            except requests.RequestException:
                pass
            time.sleep(0.1)
        raise DemoFailed(f"The service did not start within {START_S:.0f} s. {self._last_lines()}")

    def _log_in(self) -> None:
        form = {"grant_type": "password", "username": LOGIN, "password": PASSWORD}
        token = self.post("/auth/token", data=form)["access_token"]
        self._session.headers["Authorization"] = f"Bearer {token}"

    def _last_lines(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-8:]
        return "\n".join([f"The end of {self.log}:", *lines])


def free_tcp_port(first: int) -> int:
    """`first` if nothing listens there, else the next free TCP port of loopback."""
    for port in range(first, first + 200):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise DemoFailed(f"No TCP port from {first} to {first + 199} is free.")

"""The API as a process of its own, and a client that is logged in."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.dialer.world import ROOT, World
from tests.peers.ports import free_port, wait_until

PASSWORD = "bench password"


@contextmanager
def api_of(world: World) -> Iterator[tuple[str, requests.Session, int]]:
    """Serve the API on the world's data folder: its address, a session of the owner, the server's process id."""
    world.store.users.set_password(world.owner, PASSWORD)
    http = f"127.0.0.1:{free_port()}"
    environment = {
        **os.environ,
        "DIALER_DATA": str(world.settings.data),
        "DIALER_HTTP": http,
        "DIALER_LOG": "WARNING",
    }
    server = subprocess.Popen([sys.executable, "main.py", "serve"], cwd=ROOT, env=environment)
    try:
        wait_until(lambda: is_up(http), what="the API", timeout_s=30, poll_s=0.1)
        with requests.Session() as session:
            form = {"grant_type": "password", "username": "owner", "password": PASSWORD}
            token = session.post(f"http://{http}/srv1/auth/token", data=form, timeout=10).json()["access_token"]
            session.headers["Authorization"] = f"Bearer {token}"
            yield f"http://{http}", session, server.pid
    finally:
        server.terminate()
        server.wait(15)


def peak_rss_mb(pid: int) -> float:
    """The largest memory that a process has had so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise LookupError("VmHWM")


def is_up(http: str) -> bool:
    """Whether the API answers."""
    try:
        return requests.get(f"http://{http}/healthz", timeout=1).ok
    except requests.RequestException:
        return False

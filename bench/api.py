"""Reading a campaign over HTTP, while nothing dials."""

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import quantiles

import requests

from tests.dialer.world import ROOT, World
from tests.peers.ports import free_port, wait_until

REQUESTS = 1000
SUBSCRIBERS = 10_000
PASSWORD = "bench password"


def measure(folder: Path) -> dict[str, float]:
    """GET /srv1/campaigns/{id} of a campaign with 10 000 subscribers, one request after another."""
    world = World.make(folder / "data")
    world.store.users.set_password(world.owner, PASSWORD)
    numbers = [f"7000{number:07d}" for number in range(SUBSCRIBERS)]
    campaign = world.campaign(("127.0.0.1", free_port()), numbers)
    world.store.campaigns.pause(campaign.id, world.owner)
    world.store.close()
    http = f"127.0.0.1:{free_port()}"
    environment = {**os.environ, "DIALER_DATA": str(folder / "data"), "DIALER_HTTP": http, "DIALER_LOG": "WARNING"}
    server = subprocess.Popen([sys.executable, "main.py", "serve"], cwd=ROOT, env=environment)
    try:
        wait_until(lambda: _is_up(http), what="the API", timeout_s=30, poll_s=0.1)
        with requests.Session() as session:
            spans = _ask(session, http, str(campaign.id))
    finally:
        server.terminate()
        server.wait(15)
    return {
        "api.get_campaign_per_s": REQUESTS / sum(spans),
        "api.get_campaign_p99_ms": quantiles(spans, n=100)[98] * 1000,
    }


def _is_up(http: str) -> bool:
    try:
        return requests.get(f"http://{http}/healthz", timeout=1).ok
    except requests.RequestException:
        return False


def _ask(session: requests.Session, http: str, campaign: str) -> list[float]:
    form = {"grant_type": "password", "username": "owner", "password": PASSWORD}
    token = session.post(f"http://{http}/srv1/auth/token", data=form, timeout=10).json()["access_token"]
    session.headers["Authorization"] = f"Bearer {token}"
    spans = []
    for _ in range(REQUESTS):
        started = time.perf_counter()
        answer = session.get(f"http://{http}/srv1/campaigns/{campaign}", timeout=10)
        spans.append(time.perf_counter() - started)
        assert answer.ok
    return spans

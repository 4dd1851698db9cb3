"""GET of a campaign through the real server: while nothing happens, and beside a process that commits as a dialer."""

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from urllib.parse import urlsplit

from bench.processes import cpu_s
from bench.service import api_of
from tests.dialer.world import World
from tests.peers.ports import free_port

REQUESTS = 3000
TICK_S = 0.04
SUBSCRIBERS = 10_000


def measure(folder: Path) -> dict[str, float]:
    """GET /srv1/campaigns/{id} of a campaign with 10 000 subscribers, one request after another."""
    world = World.make(folder / "data")
    numbers = [f"7000{number:07d}" for number in range(SUBSCRIBERS)]
    campaign = world.campaign(("127.0.0.1", free_port()), numbers)
    world.store.campaigns.pause(campaign.id, world.owner)
    found = {}
    with api_of(world) as (url, session, pid):
        headers = {"Authorization": str(session.headers["Authorization"])}
        path = f"/srv1/campaigns/{campaign.id}"
        found |= _ask(url, path, headers, pid, suffix="")
        with _commits(world):
            found |= _ask(url, path, headers, pid, suffix="_beside_commits")
    world.store.close()
    return found


def _ask(url: str, path: str, headers: dict[str, str], pid: int, *, suffix: str) -> dict[str, float]:
    # http.client and not requests, which takes more time than the server does.
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    spans, spent = [], cpu_s(pid)
    for _ in range(REQUESTS):
        started = time.perf_counter()
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        spans.append(time.perf_counter() - started)
        assert answer.status == 200
    connection.close()
    return {
        f"api.get_campaign_per_s{suffix}": REQUESTS / sum(spans),
        f"api.get_campaign_p99_ms{suffix}": quantiles(spans, n=100)[98] * 1000,
        f"api.get_campaign_cpu_ms{suffix}": (cpu_s(pid) - spent) / REQUESTS * 1000,
    }


@contextmanager
def _commits(world: World) -> Iterator[None]:
    """Something is committed every 40 ms, as by a dialer at work."""
    done = threading.Event()

    def commit() -> None:
        while not done.wait(TICK_S):
            world.store.live.heartbeat("bench", 1)

    thread = threading.Thread(target=commit)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()

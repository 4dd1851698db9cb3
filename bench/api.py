"""GET of a campaign through the real server, while nothing dials."""

import time
from pathlib import Path
from statistics import quantiles

import requests

from bench.service import api_of
from tests.dialer.world import World
from tests.peers.ports import free_port

REQUESTS = 1000
SUBSCRIBERS = 10_000


def measure(folder: Path) -> dict[str, float]:
    """GET /srv1/campaigns/{id} of a campaign with 10 000 subscribers, one request after another."""
    world = World.make(folder / "data")
    numbers = [f"7000{number:07d}" for number in range(SUBSCRIBERS)]
    campaign = world.campaign(("127.0.0.1", free_port()), numbers)
    world.store.campaigns.pause(campaign.id, world.owner)
    with api_of(world) as (url, session, _pid):
        spans = _ask(session, f"{url}/srv1/campaigns/{campaign.id}")
    world.store.close()
    return {
        "api.get_campaign_per_s": REQUESTS / sum(spans),
        "api.get_campaign_p99_ms": quantiles(spans, n=100)[98] * 1000,
    }


def _ask(session: requests.Session, url: str) -> list[float]:
    spans = []
    for _ in range(REQUESTS):
        started = time.perf_counter()
        answer = session.get(url, timeout=10)
        spans.append(time.perf_counter() - started)
        assert answer.ok
    return spans

"""How long a claim waits while a person is erased, and while old calls are deleted, beside a million calls.

`python -m bench.forgetting URL KEYS WHAT ID_OR_TIME` is the process that forgets, as the API's is one of its own.
"""

import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from autodialer.campaign.admission import admit
from autodialer.model import Campaign, ClaimRequest
from autodialer.store import Secrets, Store
from tests.dialer.world import World
from tests.peers.ports import free_port

CLAIMED = 5_000
TICK_S = 0.02
LONGEST_S = 300.0
OLD = datetime.fromtimestamp(1_760_000_000 + 4 * 3600, UTC)
"""A twelfth of the calls of bench.report ended before this."""


def measure(world: World, campaign: Campaign) -> dict[str, float]:
    """The longest wait of a claim, in ms, beside each; `campaign` has a million calls and is ended by this."""
    people, _ = world.store.subscribers.page(campaign.callbase_id, None, limit=2)
    numbers = [f"7001{number:07d}" for number in range(CLAIMED)]
    dialled = world.campaign(("127.0.0.1", free_port()), numbers)
    world.store.queue.enqueue_due(dialled.created_at, batch=CLAIMED)
    found = {"report.claim_beside_erasing_max_ms": _longest_claim_ms(world, dialled, "erase", str(people[1].id))}
    world.store.campaigns.stop(campaign.id, None, hangup=False)
    found["report.claim_beside_forgetting_max_ms"] = _longest_claim_ms(world, dialled, "forget", OLD.isoformat())
    return found


def _longest_claim_ms(world: World, dialled: Campaign, what: str, argument: str) -> float:
    request = ClaimRequest(campaign_key=dialled.key, trunk_key=dialled.trunk_keys[0], limit=1)
    dialer = Store(world.settings.url, secrets=Secrets(world.settings.keys), synchronous="FULL")
    command = [sys.executable, "-m", "bench.forgetting", world.settings.url, str(world.settings.keys), what, argument]
    longest, started = 0.0, time.monotonic()
    with subprocess.Popen(command) as process:
        while process.poll() is None and time.monotonic() - started < LONGEST_S:
            began = time.perf_counter()
            dialer.queue.claim([request], "bench", datetime.now(UTC), admit)
            longest = max(longest, time.perf_counter() - began)
            time.sleep(TICK_S)
        process.kill()
    dialer.close()
    assert process.returncode == 0, process.returncode
    return longest * 1000


def forget(url: str, keys: Path, what: str, argument: str) -> None:
    """What the API does in its process."""
    store = Store(url, secrets=Secrets(keys))
    if what == "erase":
        assert store.erasing.erase(UUID(argument), None).subscribers
    else:
        print("  deleted", store.retention.delete_calls(datetime.fromisoformat(argument)), "calls")
    store.close()


if __name__ == "__main__":
    forget(sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4])

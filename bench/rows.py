"""Import of a million rows by the process that does it, beside a dialer that claims."""

import random
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles

from autodialer.campaign.admission import admit
from autodialer.imports.process import CALLBASE, ImportJob, start_import
from autodialer.model import ClaimRequest
from autodialer.store import Secrets, Store
from bench.processes import cpu_s
from bench.service import peak_rss_mb
from tests.dialer.world import World
from tests.peers.ports import free_port

ROWS = 1_000_000
CLAIMED = 20_000
TICK_S = 0.02
LONGEST_S = 400.0


def measure(folder: Path) -> dict[str, float]:
    """Rows a second, CPU and memory of an import of random mobile numbers, one row in twenty bad; how long claims wait.

    A claim is the transaction of a dialer's tick, fifty a second, each of one job.
    """
    world = World.make(folder / "data")
    file = write_file(folder / "base.csv")
    campaign = world.campaign(("127.0.0.1", free_port()), [f"7000{number:07d}" for number in range(CLAIMED)])
    world.store.queue.enqueue_due(campaign.created_at, batch=CLAIMED)
    request = ClaimRequest(campaign_key=campaign.key, trunk_key=campaign.trunk_keys[0], limit=1)
    callbase = world.store.callbases.create(world.owner, name="base", region="RU")
    settings = world.settings
    keys = str(settings.keys)
    job = ImportJob(url=settings.url, keys=keys, into=CALLBASE, key=callbase.key, file=str(file), region="RU")
    dialer = Store(settings.url, secrets=Secrets(settings.keys), synchronous="FULL")
    waits, rss, cpu = [], 0.0, 0.0
    started = time.monotonic()
    with start_import(job) as process:
        while process.poll() is None and time.monotonic() - started < LONGEST_S:
            try:
                rss, cpu = peak_rss_mb(process.pid), cpu_s(process.pid)
            except (LookupError, OSError, IndexError):
                break  # it has just ended
            began = time.perf_counter()
            dialer.queue.claim([request], "bench", datetime.now(UTC), admit)
            waits.append(time.perf_counter() - began)
            time.sleep(TICK_S)
    seconds = time.monotonic() - started
    done = world.store.callbases.by_key(callbase.key)
    assert done.rows == ROWS, done
    dialer.close()
    world.store.close()
    return {
        "import.rows_per_s": ROWS / seconds,
        "import.cpu_us_per_row": cpu / ROWS * 1e6,
        "import.rss_mb": rss,
        "import.claim_p99_ms": quantiles(waits, n=100)[98] * 1000,
    }


def write_file(file: Path) -> Path:
    """Random numbers: in order they would be spared the cost of an index that is filled everywhere at once."""
    chance = random.Random(1)
    with file.open("w") as text:
        text.write("name;phone;comment\n")
        for row in range(ROWS):
            number = "112" if row % 20 == 19 else f"+79{chance.randrange(10**9):09d}"
            text.write(f"Subscriber {row};{number};flat {row}\n")
    return file

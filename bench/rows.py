"""Import of a callbase from a CSV."""

import resource
import time
from pathlib import Path

from autodialer.campaign.importer import import_callbase, inspect
from tests.dialer.world import World

ROWS = 100_000


def measure(folder: Path) -> dict[str, float]:
    """Rows a second and memory of an import of 100 000 rows, one in twenty of them bad."""
    world = World.make(folder / "data")
    file = folder / "base.csv"
    with file.open("w") as text:
        text.write("name;phone;comment\n")
        for number in range(ROWS):
            text.write(f"Subscriber {number};+7916{number:07d};flat {number}\n" if number % 20 else "nobody;112;\n")
    callbase = world.store.callbases.create(world.owner, name="base", region="RU")
    started = time.monotonic()
    done = import_callbase(world.store, callbase, inspect(file))
    seconds = time.monotonic() - started
    world.store.close()
    assert done.rows == ROWS
    return {
        "import.rows_per_s": ROWS / seconds,
        "import.rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }

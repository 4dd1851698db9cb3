"""The dialer's tick beside a queue of a million rows: what it takes while 200 000 of them are being cancelled."""

import math
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from autodialer.clock import Clock
from autodialer.model import CallOutcome, Disposition
from autodialer.phone.plan import CallEvent, CallPlan
from autodialer.store import Secrets, Store
from autodialer.store.sql.engine import Database
from autodialer.supervisor import pause_rarely_for_garbage
from dialer import TICK_S, Dialer
from tests.dialer.world import World

ROWS = 1_000_000
OVERDUE = 200_000
RUN_S = 40.0
WARM_UP_S = 2.0
CPS = 50

# The store's own ways take minutes to wait for a million retries.
FILL = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
INSERT INTO {into} SELECT {values} FROM n
"""


def measure(folder: Path) -> dict[str, float]:
    """How long the longest of a thousand ticks takes, in ms of the clock and of a processor.

    On a machine with other work the clock measures that too: a tick that waits for a processor is a long one. A tick
    also waits for the disk, once: the wait of a bare write of two pages, in the same rhythm, stands beside it.
    """
    world = World.make(folder / "data", sound_s=1.0)
    gateway = ("127.0.0.1", 5060)
    dialled = world.campaign(gateway, [f"7000{number:07d}" for number in range(5000)], cps=CPS, max_channels=500)
    waiting = world.campaign(gateway, ["70010000000"], cps=CPS)
    overdue = world.campaign(gateway, ["70020000000"], cps=CPS, ends_at=datetime.now(UTC) + timedelta(hours=1))
    _fill(world.settings.url, waiting.key, waiting.callbase_key, ROWS - OVERDUE)
    _fill(world.settings.url, overdue.key, overdue.callbase_key, OVERDUE)
    phones = Phones()
    # As `run_dialer` makes it.
    store = Store(world.settings.url, secrets=Secrets(world.settings.keys), synchronous="FULL", checkpoints_apart=True)
    dialer = Dialer(
        store,
        phones,  # type: ignore[arg-type]
        SimpleNamespace(write_due=lambda _now: None, write_last=lambda: None),  # type: ignore[arg-type]
        sounds_folder=world.settings.data,
        drain_s=1.0,
        clock=Clock(),
    )
    pause_rarely_for_garbage()
    dialer.recover()
    ticks = [_tick(dialer, phones) for _ in range(int(WARM_UP_S / TICK_S))]
    world.store.campaigns.update(overdue.id, None, ends_at=datetime.now(UTC))
    ticks = [_tick(dialer, phones) for _ in range(int(RUN_S / TICK_S))]
    calls = world.store.campaigns.progress(dialled.key).counts.reached
    left = world.store.campaigns.progress(overdue.key).counts.in_progress
    dialer._chores.stop()
    store.close()
    world.store.close()
    assert calls > CPS * RUN_S / 2, calls
    syncs = sorted(_bare_syncs(folder / "bare"))
    by_clock, by_processor = (sorted(each) for each in zip(*ticks, strict=True))
    return {
        "queue.tick_p999_ms": by_clock[math.ceil(len(ticks) * 0.999) - 1] * 1000,
        "queue.tick_p50_ms": by_clock[len(ticks) // 2] * 1000,
        "queue.tick_cpu_p999_ms": by_processor[math.ceil(len(ticks) * 0.999) - 1] * 1000,
        "queue.bare_sync_p999_ms": syncs[math.ceil(len(syncs) * 0.999) - 1] * 1000,
        "queue.cancelled_per_s": (OVERDUE - left) / RUN_S,
    }


def _tick(dialer: Dialer, phones: "Phones") -> tuple[float, float]:
    """Seconds of the clock, and of a processor for this thread."""
    phones.end_calls()
    began, used = time.perf_counter(), time.thread_time()
    dialer.step()
    took = time.perf_counter() - began, time.thread_time() - used
    time.sleep(TICK_S)
    return took


def _bare_syncs(path: Path) -> list[float]:
    """Seconds that the disk takes to keep 8 KiB, a thousand times and more: the least that a commit can take."""
    taken = []
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    for number in range(int(RUN_S / TICK_S)):
        os.pwrite(descriptor, os.urandom(8192), number * 8192)
        began = time.perf_counter()
        os.fdatasync(descriptor)
        taken.append(time.perf_counter() - began)
        time.sleep(TICK_S)
    os.close(descriptor)
    return taken


def _fill(url: str, campaign_key: int, callbase_key: int, rows: int) -> None:
    """So many subscribers of a campaign who wait for their next attempt."""
    database = Database(url, synchronous="NORMAL", busy_timeout_s=30.0)
    later = round((time.time() + 86_400) * 1000)
    with database.write() as connection:
        first = connection.exec_driver_sql("SELECT COALESCE(MAX(key), 0) FROM subscribers").scalar_one() + 1
        for into, values in (
            ("subscribers (key, id, callbase_key, number)", f"{first} + i, randomblob(16), {callbase_key}, '79' || i"),
            (
                "campaign_subscribers (campaign_key, subscriber_key, state, attempts)",
                f"{campaign_key}, {first} + i, 'in_progress', 1",
            ),
            (
                "call_jobs (call_id, campaign_key, subscriber_key, not_before, waits_for)",
                f"randomblob(16), {campaign_key}, {first} + i, {later} + i, 'busy'",
            ),
        ):
            connection.exec_driver_sql(FILL.format(into=into, values=values, rows=rows))
        connection.exec_driver_sql(
            "UPDATE campaigns SET next_subscriber_key = ? WHERE key = ?", (first + rows, campaign_key)
        )
    database.close()


class Phones:
    """Stands where the phones stand: every call is answered and over by the next tick."""

    def __init__(self) -> None:
        self.on_event: Any = None
        self._trunks: dict[int, Any] = {}
        self._calls: list[object] = []

    def end_calls(self) -> None:
        now = datetime.now(UTC)
        for reference in self._calls:
            outcome = CallOutcome(
                disposition=Disposition.ANSWERED, invited_at=now, answered_at=now, ended_at=now, played_s=1.0
            )
            self.on_event(CallEvent(reference=reference, outcome=outcome))
        self._calls.clear()

    def update(self, trunks: dict[int, Any]) -> None:
        self._trunks = trunks

    def usable(self) -> dict[int, int]:
        return dict.fromkeys(self._trunks, 250)

    def problems(self) -> dict[int, str]:
        return {}

    def registrations(self) -> dict[int, Any]:
        return {}

    def call(self, _trunk_key: int, _number: str, plan: CallPlan) -> None:
        self._calls.append(plan.reference)

    def find(self, _reference: object) -> None:
        return None

    def ready_phones(self, _trunk_key: int) -> list[Any]:
        return []

    def acknowledge(self, _references: Any) -> None:
        pass

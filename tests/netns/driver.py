"""One real phone with a real media process on the dialer's host: `python -m tests.netns.driver PLAN.json`.

Runs in a namespace of its own, so it talks to the test by files: a plan comes in, a line of JSON a call goes out.
"""

import json
import logging
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from autodialer.media.sound import import_sound
from autodialer.model import CallOutcome
from autodialer.phone.plan import CallPlan
from tests.peers.ports import wait_until
from tests.peers.sox import make_sweep
from tests.phone.desk import Desk, NoErrors


@dataclass(frozen=True, kw_only=True)
class Dialled:
    """One call of a plan."""

    number: str
    sound_s: float = 1.0
    """A sweep of this length is played, unless the plan names a file."""
    ring_timeout_s: float = 60.0


@dataclass(frozen=True, kw_only=True)
class DrivePlan:
    """What the driver is to do."""

    gateway: tuple[str, int]
    calls: tuple[Dialled, ...]
    address: str
    """Our own on the way to the gateway."""
    account: dict[str, Any] = field(default_factory=dict)
    """Fields of Account that differ from those of a plain desk."""
    sound: str | None = None
    """File to play; None: sweeps."""
    concurrent: int = 20
    rate: float = 20.0
    """New calls a second."""
    limit_s: float = 120.0
    """After this the calls that have no outcome are given up, and named."""
    ready_s: float = 15.0
    """How long the phone has to find its way out."""
    linger_s: float = 0.0
    """From the last outcome to the phone's end: it still answers what the gateway sends again."""


@dataclass(frozen=True, kw_only=True)
class Driven:
    """The outcome of a plan."""

    outcomes: dict[str, dict[str, Any]]
    """Number -> its CallOutcome, enums and times as text."""
    errors: list[str]
    """What was logged as an error."""
    unfinished: list[str]
    """Numbers without an outcome."""


def drive(plan: DrivePlan, folder: Path) -> Iterator[tuple[str, CallOutcome]]:
    """Make the calls; number and outcome of each that ended in time. Sounds are left in the folder: played-0.wav ..."""
    stems = dict(_sounds(plan, folder))
    with Desk.make(plan.gateway, folder, sound_s=0.3, address=plan.address, **plan.account) as desk:
        wait_until(lambda: desk.phone.ready, what="the phone to be ready", timeout_s=plan.ready_s)
        told, started, begun = 0, 0, time.monotonic()
        while told < len(plan.calls) and time.monotonic() - begun < plan.limit_s:
            due = started < begun_by(plan, time.monotonic() - begun)
            if due and started - told < plan.concurrent and started < len(plan.calls):
                call = plan.calls[started]
                stem, sound_s = stems[call.sound_s]
                desk.phone.call(
                    call.number,
                    CallPlan(
                        reference=call.number,
                        sound_stem=str(stem),
                        sound_s=sound_s,
                        ring_timeout_s=call.ring_timeout_s,
                        max_call_s=plan.limit_s,
                    ),
                )
                started += 1
            outcomes = [(str(event.reference), event.outcome) for event in list(desk.events) if event.outcome]
            yield from outcomes[told:]
            told = len(outcomes)
            time.sleep(0.005)
        time.sleep(plan.linger_s)


def begun_by(plan: DrivePlan, elapsed_s: float) -> float:
    """How many calls may have begun by now."""
    return 1 + elapsed_s * plan.rate


def _sounds(plan: DrivePlan, folder: Path) -> Iterator[tuple[float, tuple[Path, float]]]:
    for number, seconds in enumerate(sorted({call.sound_s for call in plan.calls})):
        file, stem = folder / f"play-{number}.wav", folder / f"played-{number}"
        if plan.sound is None:
            make_sweep(file, seconds=seconds)
        info = import_sound(file if plan.sound is None else Path(plan.sound), stem)
        yield seconds, (stem, info.duration_s)


def main() -> None:
    """Read the plan, make the calls, print their outcomes."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    errors = NoErrors()
    logging.getLogger().addHandler(errors)
    read = json.loads(Path(sys.argv[1]).read_text())
    plan = DrivePlan(
        **{**read, "calls": [Dialled(**call) for call in read["calls"]], "gateway": tuple(read["gateway"])}
    )
    for number, outcome in drive(plan, Path(sys.argv[1]).parent):
        print(json.dumps({"number": number, "outcome": asdict(outcome)}, default=str), flush=True)
    print(json.dumps({"errors": [record.getMessage() for record in errors.records]}), flush=True)


if __name__ == "__main__":
    main()

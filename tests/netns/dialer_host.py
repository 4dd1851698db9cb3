"""The test's side of the driver: start it on the inner host, read what it tells."""

import json
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from tests.dialer.world import ROOT
from tests.netns.driver import Driven, DrivePlan
from tests.peers.namespaces import Host
from tests.peers.process import Process


class DialerHost:
    """The driver at work on a host; a context manager."""

    def __init__(self, host: Host, plan: DrivePlan, *, folder: Path) -> None:
        self._host = host
        self._plan = plan
        self._folder = folder
        self._limit_s = plan.ready_s + plan.limit_s + plan.linger_s + 30
        self._process: Process | None = None

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / "plan.json"
        file.write_text(json.dumps(asdict(self._plan)))
        self._process = Process(
            sys.executable,
            ["-m", "tests.netns.driver", str(file.resolve())],
            output=self._folder / "driver.log",
            limit_s=self._limit_s + 10,
            cwd=ROOT,
            namespace=self._host.namespace,
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.stop()

    @property
    def log(self) -> str:
        """All that the driver wrote, for people."""
        return (self._folder / "driver.log").read_text(errors="replace")

    def finish(self) -> Driven:
        """Wait for the end; every call has told exactly one outcome or is unfinished."""
        assert self._process
        status = self._process.wait(self._limit_s)
        assert status == 0, self.log[-4000:]
        told: list[dict[str, Any]] = [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]
        calls = [entry for entry in told if "number" in entry]
        (errors,) = (entry["errors"] for entry in told if "errors" in entry)
        twice = [number for number, count in Counter(entry["number"] for entry in calls).items() if count > 1]
        assert not twice, f"more than one outcome for {twice}"
        outcomes = {entry["number"]: entry["outcome"] for entry in calls}
        unfinished = [call.number for call in self._plan.calls if call.number not in outcomes]
        return Driven(outcomes=outcomes, errors=errors, unfinished=unfinished)

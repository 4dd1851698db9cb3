"""A disk that fills up during an import: the import waits and goes on, or has failed and says why."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from autodialer.config import Settings
from autodialer.errors import Unavailable
from autodialer.imports import imports as imports_module
from autodialer.imports.imports import OUT_OF_REACH, Imports
from autodialer.imports.process import ROOT, ImportJob
from autodialer.model import Callbase
from autodialer.store import Secrets, Store, migrate
from tests.imports.test_process import csv_of, new_callbase, uploaded
from tests.peers.mounts import fill, on_small_disk
from tests.peers.ports import wait_until

pytestmark = [pytest.mark.loopback, pytest.mark.peer("mount"), pytest.mark.timeout(300)]

ROWS = 60_000
IMPORTED = ROWS * 18 // 20
"""Of twenty rows one holds no number and one is a duplicate."""
MEGABYTES = 64
IMPATIENT = (
    "from autodialer.imports import process; process.run.__kwdefaults__['patience_s'] = 1.0;"
    " raise SystemExit(process.main())"
)


@dataclass(kw_only=True)
class Office:
    """A data folder on a disk of its own, which can be filled."""

    folder: Path
    store: Store
    imports: Imports
    owner: int

    @property
    def filler(self) -> Path:
        return self.folder / "filler"

    def begin(self) -> Callbase:
        """An import that has brought its first rows and is far from its end."""
        file = csv_of(self.folder, ROWS)
        made = self.imports.import_file(uploaded(self.owner, file), new_callbase(self.store, self.owner, "base"))
        wait_until(lambda: self.read(made).rows_done > 0, what="the first rows", timeout_s=60, poll_s=0.001)
        return made

    def read(self, callbase: Callbase) -> Callbase:
        return self.store.callbases.by_key(callbase.key)

    def fill_up(self, callbase: Callbase) -> int:
        """Fill the disk; how many rows were written when the import met it."""
        fill(self.filler)
        # What the log has room for is still written.
        done = [-1, self.read(callbase).rows_done]
        while done[-1] != done[-2]:
            time.sleep(1.0)
            done.append(self.read(callbase).rows_done)
        assert self.read(callbase).state == "importing" and 0 < done[-1] < ROWS
        with pytest.raises(Unavailable):
            self.store.users.create(login="boris", password=None)
        return done[-1]


@contextmanager
def office(folder: Path) -> Iterator[Office]:
    settings = Settings(data=folder)
    migrate(settings.url)
    store = Store(settings.url, secrets=Secrets(settings.keys))
    imports = Imports(settings, store)
    try:
        yield Office(
            folder=folder,
            store=store,
            imports=imports,
            owner=store.users.create(login="vera", password=None).key,
        )
    finally:
        imports.stop()
        store.close()


def test_an_import_goes_on_once_a_full_disk_has_room_again(tmp_path: Path) -> None:
    def body() -> None:
        with office(tmp_path / "data") as world:
            callbase = world.begin()
            world.fill_up(callbase)
            world.filler.unlink()
            wait_until(lambda: world.read(callbase).state != "importing", what="the end", timeout_s=120, poll_s=0.1)
            ended = world.read(callbase)
            assert (ended.state, ended.rows, ended.imported) == ("ready", ROWS, IMPORTED)
            assert ended.imported + ended.duplicates + ended.rejected == ROWS, "no batch is missing, and none is twice"

    on_small_disk(tmp_path / "data", MEGABYTES, body)


def test_an_import_that_a_full_disk_keeps_waiting_too_long_has_failed_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start_impatient(job: ImportJob) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", IMPATIENT, json.dumps(asdict(job))]
        return subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT)

    def body() -> None:
        with office(tmp_path / "data") as world:
            callbase = world.begin()
            world.fill_up(callbase)
            processes = list(world.imports._processes)
            wait_until(lambda: all(each.poll() is not None for each in processes), what="its patience", timeout_s=60)
            assert world.read(callbase).state == "importing", "that it failed cannot be written either"
            world.filler.unlink()
            wait_until(lambda: world.read(callbase).state == "failed", what="the end", timeout_s=60)
            assert world.read(callbase).error == OUT_OF_REACH
            wait_until(
                lambda: world.store.subscribers.page(callbase.id, None)[0] == [], what="what it had brought to go"
            )

    monkeypatch.setattr(imports_module, "start_import", start_impatient)
    on_small_disk(tmp_path / "data", MEGABYTES, body)

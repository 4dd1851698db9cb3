"""Takes a prototype's database over and is killed at a step: python killed.py FOLDER STRIDE.

A step is a file made, opened, linked, renamed, removed or flushed, or a database opened, in the data folder, as
Python's audit hooks tell them. Each goes on a fresh copy in a process of its own, and is followed by a start that
nobody kills. One JSON object a step says what was there after both; the last has `step: null` and the number of steps.
"""

import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher

from autodialer.config import Settings
from autodialer.store import Secrets, Store
from autodialer.store.migrations.prototype import holds_prototype
from autodialer.takeover import takeover
from tests.takeover.prototypes import contents, make_prototype

STEPS = ("open", "os.link", "os.rename", "os.remove", "os.chmod", "os.truncate", "sqlite3.connect")
DECIDING = ("os.link", "os.rename", "os.chmod")
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class QuickSecrets(Secrets):
    """Hashes in no time: the hashes are not what is tested here."""

    def __init__(self, keys_folder: Path) -> None:
        super().__init__(keys_folder, hasher=QUICK)


def start(settings: Settings, kill_at: int) -> tuple[bool, list[str]]:
    """Take over in a process of its own, killed at a step (0: at none). Whether it was, and the steps it came to."""
    steps = settings.data.parent / "steps"
    steps.unlink(missing_ok=True)
    pid = os.fork()
    if pid == 0:
        _take_over(settings, kill_at, steps)
    _, status = os.waitpid(pid, 0)
    assert status in (0, signal.SIGKILL), status
    return status != 0, steps.read_text().split() if steps.exists() else []


def _take_over(settings: Settings, kill_at: int, steps: Path) -> None:
    log = os.open(steps, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    came_to = 0

    def on_event(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal came_to
        if event in STEPS and str(settings.data) in os.fsdecode(str(arguments[0])):
            came_to += 1
            os.write(log, f"{event}\n".encode())
            if came_to == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(on_event)
    try:
        takeover.take_over(settings)
    except BaseException:  # noqa: BLE001 -- the forked process must never go on with what the test does next
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def found(settings: Settings) -> dict[str, Any]:
    """What there is in the data folder."""
    path = settings.data / "db.sqlite3"
    kept = sorted(settings.data.glob("*-prototype*"))
    is_old = holds_prototype(path)
    state: dict[str, Any] = {
        "files": sorted(file.name for file in settings.data.iterdir() if file.is_file()),
        "place": contents(path) if is_old else "ours",
        "kept": [contents(file) for file in kept],
    }
    if not is_old:
        with closing(Store(settings.url, secrets=QuickSecrets(settings.keys))) as store:
            state["users"] = sorted(user.login for user in store.users.page()[0])
            state["callbases"] = [(each.name, each.state, each.imported) for each in store.callbases.page(None)[0]]
            state["subscribers"] = [each.number for each in store.subscribers.page_of_all(None)[0]]
            state["can_log_in"] = store.users.verify("anna", "1") is not None
    return state


def main(folder: Path, stride: int, say: Callable[[str], object]) -> None:
    """Every step that decides, and every `stride`-th of the others."""
    takeover.Secrets = QuickSecrets  # type: ignore[misc]
    source = make_prototype(folder / "source")

    def fresh() -> Settings:
        data = folder / "data"
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir()
        shutil.copyfile(source, data / "db.sqlite3")
        return Settings(data=data)

    killed, steps = start(fresh(), 0)
    assert not killed and steps
    chosen = [number for number, step in enumerate(steps, 1) if step in DECIDING or number % stride == 0]
    for number in chosen:
        settings = fresh()
        killed, _ = start(settings, number)
        after_kill = found(settings)
        start(settings, 0)
        say(json.dumps({"step": steps[number - 1], "killed": killed, "first": after_kill, "then": found(settings)}))
    say(json.dumps({"step": None, "steps": len(steps), "chosen": len(chosen), "source": contents(source)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), lambda line: print(line, flush=True))

"""The supervisor with real processes: restarts, drains, leaves no orphan."""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from autodialer.errors import AlreadyRunning
from autodialer.supervisor import EXIT_CONFIG, Child, DataFolderLock, Supervisor
from tests.locks import locks_taken
from tests.timing import at_most

pytestmark = pytest.mark.loopback

PARENT = """
import sys
from autodialer.supervisor import Child, Supervisor, python
sys.exit(Supervisor([Child(name="child", argv=python("-c", sys.argv[1]))], drain_s=float(sys.argv[2])).run())
"""
WATCHING = """
import os, sys, time
from autodialer.supervisor import watch_parent
watch_parent(lambda: os._exit(0))
print(os.getpid(), flush=True)
time.sleep(60)
"""
DYING = """
import os
print(os.getpid(), flush=True)
os._exit(7)
"""
MISCONFIGURED = f"import sys; print('no', flush=True); sys.exit({EXIT_CONFIG})"


def supervise(child: str, drain_s: float = 1.0) -> subprocess.Popen[str]:
    root = str(Path(__file__).resolve().parents[1])
    return subprocess.Popen(
        [sys.executable, "-c", PARENT, child, str(drain_s)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    )


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    tick = threading.Event()
    while time.monotonic() < deadline:
        if condition():
            return True
        tick.wait(0.02)
    return False


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def test_a_child_that_dies_is_started_again() -> None:
    parent = supervise(DYING)
    try:
        assert line_of(parent) != line_of(parent)
    finally:
        parent.send_signal(signal.SIGTERM)
        parent.communicate(timeout=at_most(10))


def test_kill_9_of_the_supervisor_ends_its_children() -> None:
    parent = supervise(WATCHING)
    child = int(line_of(parent))
    parent.kill()
    parent.wait()
    assert wait_until(lambda: is_gone(child))
    parent.communicate()


def test_sigterm_ends_the_children_and_then_the_supervisor() -> None:
    parent = supervise(WATCHING)
    child = int(line_of(parent))
    parent.send_signal(signal.SIGTERM)
    parent.communicate(timeout=at_most(10))
    assert parent.returncode == 0
    assert is_gone(child)


def test_a_child_that_a_restart_would_not_mend_ends_the_service_with_its_status() -> None:
    parent = supervise(MISCONFIGURED)
    output, _ = parent.communicate(timeout=at_most(10))
    assert parent.returncode == EXIT_CONFIG
    assert output.split() == ["no"]


def test_the_pause_before_a_restart_doubles_and_a_healthy_child_starts_anew() -> None:
    child = Child(name="c", argv=[])
    pauses = []
    for _ in range(8):
        child.plan_restart(now=0.0)
        pauses.append(child.backoff_s)
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30]
    child.plan_restart(now=120.0)
    assert child.backoff_s == 0.5


def test_a_second_dialer_on_a_data_folder_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    first, second = DataFolderLock(tmp_path), DataFolderLock(tmp_path)
    first.acquire()
    with pytest.raises(AlreadyRunning, match="Another dialer"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


DYING_AT_ONCE_LATER = f"""
import os, pathlib, sys
mark = pathlib.Path(os.environ["MARK"])
first = not mark.exists()
mark.touch()
print(os.getpid(), flush=True)
sys.exit(7 if first else {EXIT_CONFIG})
"""


def test_a_child_that_has_run_before_is_started_again_whatever_its_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port that somebody else took meanwhile must not end the calls of the other children."""
    monkeypatch.setenv("MARK", str(tmp_path / "mark"))
    parent = supervise(DYING_AT_ONCE_LATER)
    try:
        assert len({line_of(parent) for _ in range(3)}) == 3
        assert parent.poll() is None
    finally:
        parent.send_signal(signal.SIGTERM)
        parent.communicate(timeout=at_most(10))


def test_a_child_that_dies_again_and_again_is_started_ever_more_seldom() -> None:
    parent = supervise(DYING)
    started = []
    try:
        for _ in range(4):
            line_of(parent)
            started.append(time.monotonic())
    finally:
        parent.send_signal(signal.SIGTERM)
        parent.communicate(timeout=at_most(10))
    pauses = [later - earlier for earlier, later in itertools.pairwise(started)]
    assert all(pause > 0.8 * backoff for pause, backoff in zip(pauses, (0.5, 1.0, 2.0), strict=True)), pauses


def test_a_lock_that_is_given_up_in_a_moment_is_waited_for(tmp_path: Path) -> None:
    first, second = DataFolderLock(tmp_path), DataFolderLock(tmp_path)
    first.acquire()
    threading.Timer(0.3, first.release).start()
    second.acquire(patience_s=5.0)
    second.release()


def test_the_signal_handler_takes_no_lock() -> None:
    assert locks_taken(threading.Event().set)
    supervisor = Supervisor([], drain_s=0)
    assert locks_taken(lambda: supervisor._on_signal(signal.SIGTERM, None)) == []


STUBBORN = """
import signal, sys, time
asked = 0
def on_signal(*_):
    global asked
    asked += 1
    print(asked, flush=True)
    if asked == 2:
        sys.exit(0)
signal.signal(signal.SIGTERM, on_signal)
print("up", flush=True)
time.sleep(60)
"""


def test_a_second_signal_is_passed_on_while_a_child_drains() -> None:
    parent = supervise(STUBBORN, drain_s=40)
    assert line_of(parent) == "up"
    for asked in ("1", "2"):
        parent.send_signal(signal.SIGTERM)
        assert line_of(parent) == asked
    parent.communicate(timeout=at_most(10))
    assert parent.returncode == 0

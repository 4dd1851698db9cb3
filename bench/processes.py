"""CPU time, memory and cores of other processes, from the system's own accounting."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

CORES = os.sched_getaffinity(0)
"""Those that this program was given."""
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """User and system seconds that a process has used so far, its threads included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def child_named(pid: int, name: str) -> int:
    """The id of the process below `pid` whose command line holds `name`."""
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, tasks.read_text().split()):
            if name in Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode():
                return child
            try:
                return child_named(child, name)
            except LookupError:
                continue
    raise LookupError(name)


@contextlib.contextmanager
def pinned(core: int) -> Iterator[None]:
    """What is started meanwhile runs on one core, if this machine has that one; then this process has all again."""
    before = os.sched_getaffinity(0)
    if core in CORES:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def unpin(pid: int) -> None:
    """Let a process, with what it starts from now on, run on all cores that this one has."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), CORES)


def is_running(pid: int) -> bool:
    """Whether it runs; a process that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def threads(pid: int) -> int:
    """How many threads a process has."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def rss_mb(pids: Iterable[int]) -> float:
    """Memory that processes have in use, what they share counted for each of them."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

"""Holds a test to its tier: without a marker it opens no socket, starts no process and does not sleep.

An audit hook sees what C code does too; it cannot be removed, so it is added once and looks at `_watched`.
"""

import multiprocessing.process
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

IMPURE = ("loopback", "peer", "browser", "netns", "process", "bench")
"""Tests with one of these may meet the world outside; `slow` alone does not allow it."""

LONGEST_PAUSE_S = 0.02
"""Bulk writes pause for milliseconds between batches, and the API polls for a reply every 20 ms. More is a wait."""

_OUTSIDE = frozenset(
    {"socket.bind", "socket.connect", "socket.sendto", "subprocess.Popen", "os.fork", "os.posix_spawn", "os.system"}
)
_watched: list[str] | None = None


class Impure(BaseException):
    """A test without a marker did what needs one. No `except Exception` of the code under test hides it."""


def _refuse(what: str) -> None:
    if _watched is not None:
        _watched.append(what)
        raise Impure(what)


def _audit(event: str, _arguments: tuple[object, ...]) -> None:
    if event in _OUTSIDE:
        _refuse(event)


sys.addaudithook(_audit)


@contextmanager
def purity(item: pytest.Item) -> Iterator[None]:
    """Fail the test if it leaves its tier, also where the exception was lost in a thread."""
    global _watched
    if any(item.get_closest_marker(name) for name in IMPURE):
        yield
        return
    _watched = seen = []
    really_sleep = time.sleep
    start = multiprocessing.process.BaseProcess.start

    def no_sleep(seconds: float) -> None:
        if seconds > LONGEST_PAUSE_S:
            _refuse(f"time.sleep({seconds})")
        really_sleep(seconds)

    def no_start(_process: multiprocessing.process.BaseProcess) -> None:
        _refuse("multiprocessing.Process.start")

    time.sleep = no_sleep
    multiprocessing.process.BaseProcess.start = no_start  # type: ignore[method-assign]
    try:
        yield
    finally:
        _watched = None
        time.sleep = really_sleep
        multiprocessing.process.BaseProcess.start = start  # type: ignore[method-assign]
    if seen:
        pytest.fail(f"no marker, but: {', '.join(sorted(set(seen)))}; see the markers in pyproject.toml", pytrace=False)

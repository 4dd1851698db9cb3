"""How a dialer is asked to end, from signals too."""

import _thread
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from autodialer.dialing.ending import Ending
from tests.timing import at_most


def locks_taken_by(act: Callable[[], None]) -> list[str]:
    """C functions on locks that are called meanwhile."""
    seen: list[str] = []

    def watch(_frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call" and isinstance(getattr(called, "__self__", None), (_thread.LockType, _thread.RLock)):
            seen.append(called.__name__)

    sys.setprofile(watch)
    try:
        act()
    finally:
        sys.setprofile(None)
    return seen


def test_what_a_signal_asks_takes_no_lock_that_the_main_thread_may_hold() -> None:
    ending, event = Ending(drain_s=1.0), threading.Event()
    assert locks_taken_by(event.set), "an event would"
    assert locks_taken_by(ending.drain) == locks_taken_by(ending.drain) == locks_taken_by(ending.hurry) == []


def test_a_second_request_hangs_up_at_once() -> None:
    ending = Ending(drain_s=30.0)
    ending.drain()
    assert ending.asked and ending.begins(1.0) and not ending.begins(1.0)
    assert not ending.is_time_to_hang_up(2.0)
    ending.drain()
    assert ending.is_time_to_hang_up(2.0) and not ending.is_time_to_hang_up(2.0)


@pytest.mark.loopback
def test_a_wait_ends_soon_after_a_signal_asks_for_the_end() -> None:
    ending = Ending(drain_s=1.0)
    before = signal.signal(signal.SIGUSR2, lambda _signum, _frame: ending.drain())
    try:
        threading.Timer(0.1, lambda: signal.raise_signal(signal.SIGUSR2)).start()
        began = time.monotonic()
        ending.wait(at_most(60.0))
        assert time.monotonic() - began < at_most(30.0)
    finally:
        signal.signal(signal.SIGUSR2, before)

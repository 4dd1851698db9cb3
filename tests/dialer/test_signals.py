"""A signal must never leave the pool waiting for ever."""

import os
import signal
import threading
import time
from pathlib import Path
from types import FrameType

import pytest

from autodialer.clock import Clock
from autodialer.phone.pool import PhonePool
from autodialer.phone.trace_outbox import TraceOutbox
from dialer import Dialer
from tests.dialer.world import World

pytestmark = [pytest.mark.loopback, pytest.mark.timeout(60)]

SLOW_HANDLER_S = 0.002
SIGNALS = 150


def test_signals_that_meet_the_end_of_a_wait_do_not_stop_the_pool(tmp_path: Path) -> None:
    """queue.SimpleQueue.get(timeout) of CPython 3.11 waits for ever when a signal handler outlasts the timeout."""
    world = World.make(tmp_path / "data")
    clock = Clock()
    phones = PhonePool(sip_address="127.0.0.1", sip_port=25000, rtp_ports=(30000, 30100), clock=clock)
    traces = TraceOutbox(world.store.traces, keep=0, days=1)
    dialer = Dialer(world.store, phones, traces, sounds_folder=tmp_path, drain_s=0, clock=clock)

    def slow(_signum: int, _frame: FrameType | None) -> None:
        until = time.perf_counter() + SLOW_HANDLER_S
        while time.perf_counter() < until:
            pass

    def send_signals() -> None:
        pause = threading.Event()
        for _ in range(SIGNALS):
            os.kill(os.getpid(), signal.SIGUSR1)
            pause.wait(0.0137)
        dialer.drain()

    before = signal.signal(signal.SIGUSR1, slow)
    sender = threading.Thread(target=send_signals)
    sender.start()
    try:
        dialer.run()
    finally:
        sender.join()
        signal.signal(signal.SIGUSR1, before)
        world.store.close()

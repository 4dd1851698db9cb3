"""The far end of thousands of calls: each has an address of its own, all have one port; a sample of them is timed.

All of 127.0.0.0/8 is this machine, so that one socket bound to no address in particular takes what goes to any of the
callees, and drops it in the kernel or sends it back. The sampled callees have sockets bound to their own addresses,
which the kernel prefers. The times are the kernel's own: the reader may be late.
"""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import selectors
import socket
import time
from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bench.datagrams import SO_TIMESTAMPNS, Echo, drop_all, dropped, enlarge_buffer, timestamp

SAMPLES = 40
READ_S = 0.25
"""A sample's socket holds more than so much of a call."""
TOGETHER_S = 0.001
"""How long an echo waits for more: waking for each packet would cost the sender's core, too."""
_BULK_BUFFER = 32 << 20
_SAMPLE_BUFFER = 2 << 20
_FORK = multiprocessing.get_context("fork")
Times = dict[int, list[float]]


def host(number: int) -> str:
    """The address of one callee."""
    return f"127.{10 + number // 62500}.{number // 250 % 250}.{1 + number % 250}"


class Callees:
    """`calls` callees at `port`; a context manager. Its process runs on the cores that the caller is bound to."""

    def __init__(self, calls: int, port: int, *, echo: bool) -> None:
        self.addresses = [(host(number), port) for number in range(calls)]
        self.echoes = echo
        """Whether they send back what they hear."""
        self._sampled = range(0, calls, max(1, calls // SAMPLES))
        self._stack = contextlib.ExitStack()
        self._echoed = _FORK.Value("Q", 0, lock=False)

    def __enter__(self) -> Self:
        port = self.addresses[0][1]
        self._bulk = self._bind(("", port))
        enlarge_buffer(self._bulk, _BULK_BUFFER)
        drop_all(self._bind(("", port + 1)))  # RTCP
        samples = {number: self._bind(self.addresses[number]) for number in self._sampled}
        for one in samples.values():
            enlarge_buffer(one, _SAMPLE_BUFFER)
            one.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        if not self.echoes:
            drop_all(self._bulk)
        self._ours, theirs = _FORK.Pipe()
        self._process = _FORK.Process(target=self._run, args=(samples, theirs), daemon=True)
        self._process.start()
        return self

    def _bind(self, address: tuple[str, int]) -> socket.socket:
        bound = self._stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.settimeout(0)
        bound.bind(address)
        return bound

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()
        self._ours.close()
        self._stack.close()

    @property
    def bulk_packets(self) -> int:
        """Packets that came to callees outside the sample so far."""
        return dropped(self._bulk) + int(self._echoed.value)

    @property
    def overrun(self) -> int:
        """Packets that an echo could not take in so far, for lack of time: then it does not measure the sender."""
        return dropped(self._bulk) if self.echoes else 0

    def times(self) -> list[NDArray[np.float64]]:
        """When the packets of each sampled callee came so far, UNIX seconds; then they are forgotten."""
        self._ours.send(None)
        found: Times = self._ours.recv()
        return [np.array(times) for times in found.values()]

    @property
    def sampled(self) -> int:
        """How many callees are in the sample."""
        return len(self._sampled)

    # In the child process.

    def _run(self, samples: dict[int, socket.socket], asked: "multiprocessing.connection.Connection") -> None:
        # A neighbour on a shared machine is not to be taken for a callee that cannot keep up.
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        times: Times = {number: [] for number in samples}
        echo = Echo(self._bulk) if self.echoes else None
        selector = selectors.DefaultSelector()
        selector.register(asked, selectors.EVENT_READ)
        if echo:
            for number, one in ((None, self._bulk), *samples.items()):
                selector.register(one, selectors.EVENT_READ, number)
        while True:
            ready = [key for key, _mask in selector.select(READ_S)]
            if echo:
                time.sleep(TOGETHER_S)
                while (count := echo.turn()) > 0:
                    self._echoed.value += count
            for number in [key.data for key in ready if key.data is not None] if echo else samples:
                self._read(samples[number], times[number])
            if any(key.fileobj is asked for key in ready):
                asked.recv()
                asked.send(times)
                times = {number: [] for number in samples}

    def _read(self, sample: socket.socket, times: list[float]) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                data, ancillary, _flags, source = sample.recvmsg(2048, 64)
                came = timestamp(ancillary)
                if came is not None:
                    times.append(came)
                if self.echoes:
                    sample.sendto(data, source)


def gaps_ms(times: Sequence[NDArray[np.float64]], since: float, until: float) -> NDArray[np.float64]:
    """All gaps between one packet of a call and the next, sorted, of packets that came in that span of time."""
    inside = [one[(one >= since) & (one < until)] for one in times]
    return np.sort(np.concatenate([np.diff(one) for one in inside] or [np.zeros(0)])) * 1000

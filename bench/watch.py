"""Measures a sender of thousands of streams while all of them are up."""

import contextlib
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.callees import Callees, gaps_ms
from bench.processes import cpu_s, is_running, rss_mb, threads

PACKETS_PER_S = 50
ALL_UP = 0.998
"""Of the packets that are sent when all calls are up."""
LOOK_S = 0.5
START_S = 90.0
SETTLE_S = 1.0
LATE_MS = 30.0
SHORTEST_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Watched:
    """Whose work it is."""

    sender: int
    """The process that sends the packets."""
    dialer: int | None = None
    """The process that makes the calls, if that is another one."""
    service: Callable[[], list[int]] | None = None
    """All processes of the service."""


def watch(
    callees: Callees,
    watched: Watched,
    *,
    call_s: float,
    cps: float,
    beside: AbstractContextManager[None] | None = None,
) -> dict[str, float]:
    """The figures from when all calls are up, or should be, until the first one ends."""
    _wait_first(callees, watched)
    first = time.time()
    calls = len(callees.addresses)
    before_it_all = callees.times()
    # Nobody waits for a sender that cannot keep up at all; the service is given time to get there.
    own = watched.dialer is not None
    _wait_all_up(callees, limit_s=call_s - 2 * SETTLE_S - SHORTEST_S - 1 if own else calls / cps + 5)
    until = first + call_s - SETTLE_S
    with beside or contextlib.nullcontext():
        time.sleep(SETTLE_S)
        if until - time.time() < SHORTEST_S:
            raise TimeoutError(f"calls of {call_s} s at {cps} a second: the first one ends before {calls} are up")
        since, bulk, overrun = time.time(), callees.bulk_packets, callees.overrun
        pids = [pid for pid in (watched.sender, watched.dialer) if pid is not None]
        used = [cpu_s(pid) for pid in pids]
        time.sleep(until - since)
        spent = [cpu_s(pid) - start for pid, start in zip(pids, used, strict=True)]
        now, packets = time.time(), callees.bulk_packets - bulk
        figures = _sizes(watched)
    times = [np.concatenate(both) for both in zip(before_it_all, callees.times(), strict=True)]
    packets += sum(int(np.count_nonzero((one >= since) & (one < now))) for one in times)
    call_seconds = packets / PACKETS_PER_S
    figures["packets_per_call_s"] = packets / calls / (now - since)
    figures["cpu_ms_per_call_s"] = spent[0] * 1000 / call_seconds
    if watched.dialer is not None:
        figures["dialer_cpu_ms_per_call_s"] = spent[1] * 1000 / call_seconds
    if callees.echoes:
        figures["echo_lost_share"] = (callees.overrun - overrun) / packets
    figures["ramp_gap_p99_ms"] = _share(gaps_ms(times, first, since), 0.99)
    return figures | _gaps(gaps_ms(times, since, now))


def _sizes(watched: Watched) -> dict[str, float]:
    figures: dict[str, float] = {}
    if watched.service is not None:
        figures["threads"] = threads(watched.sender)
        figures["rss_mb"] = rss_mb(watched.service())
    if watched.dialer is not None:
        figures["dialer_threads"] = threads(watched.dialer)
    return figures


def _gaps(gaps: NDArray[np.float64]) -> dict[str, float]:
    return {
        "gap_p50_ms": _share(gaps, 0.5),
        "gap_p99_ms": _share(gaps, 0.99),
        "gap_p999_ms": _share(gaps, 0.999),
        "late_30ms_share": float(np.mean(gaps > LATE_MS)),
    }


def _share(gaps: NDArray[np.float64], share: float) -> float:
    return float(np.quantile(gaps, share)) if len(gaps) else float("nan")


def _wait_first(callees: Callees, watched: Watched) -> None:
    """Return with the first packet."""
    end = time.monotonic() + START_S
    before = callees.bulk_packets
    while callees.bulk_packets == before:
        if time.monotonic() > end or not is_running(watched.sender):
            raise TimeoutError("no packet came to the callees")
        time.sleep(0.02)


def _wait_all_up(callees: Callees, limit_s: float) -> None:
    """Return when packets come as they do with all calls up, and after `limit_s` at the latest."""
    end = time.monotonic() + limit_s
    wanted = ALL_UP * PACKETS_PER_S * (len(callees.addresses) - callees.sampled)
    while time.monotonic() < end:
        before, at = callees.bulk_packets, time.monotonic()
        time.sleep(LOOK_S)
        if (callees.bulk_packets - before) / (time.monotonic() - at) >= wanted:
            return

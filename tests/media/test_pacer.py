"""The 20 ms grid, with time stepped by hand."""

from collections.abc import Hashable
from itertools import pairwise

import pytest

from autodialer.media.pacer import PERIOD_S, SLOTS, Pacer

STEP_S = PERIOD_S / SLOTS


def serve(pacer: Pacer, now: float) -> list[Hashable]:
    """All that is due by `now`, as the shell asks for it."""
    due: list[Hashable] = []
    while (slot := pacer.due(now)) is not None:
        due += pacer.sessions(slot)
    return due


def at_slot(pacer: Pacer, now: float) -> list[Hashable]:
    """The sessions of the slot that is due."""
    slot = pacer.due(now)
    assert slot is not None
    return pacer.sessions(slot)


def run(pacer: Pacer, start: float, end: float, *, tick_s: float = 0.001) -> dict[Hashable, list[float]]:
    """When each session was served between two times, looking at the clock every `tick_s`."""
    served: dict[Hashable, list[float]] = {}
    for tick in range(round((end - start) / tick_s)):
        now = start + tick * tick_s
        for session in serve(pacer, now):
            served.setdefault(session, []).append(now)
    return served


def test_a_session_is_served_once_in_20_ms() -> None:
    pacer = Pacer(100.0)
    pacer.add("a")
    times = run(pacer, 100.0, 102.0)["a"]
    assert len(times) == 100
    assert [late - early for early, late in pairwise(times)] == pytest.approx([0.02] * 99, abs=0.0011)


def test_the_grid_does_not_drift_however_late_it_is_served() -> None:
    pacer = Pacer(0.0)
    pacer.add("a")
    times = run(pacer, 0.0, 60.0, tick_s=0.0037)["a"]
    assert len(times) == 3000
    assert all(number * PERIOD_S <= now + 1e-6 < number * PERIOD_S + 0.0038 for number, now in enumerate(times))


def test_the_first_packet_leaves_within_one_slot_when_nobody_else_talks() -> None:
    pacer = Pacer(0.0)
    pacer.add("a")
    assert serve(pacer, 0.0) == ["a"]
    pacer.add("b")
    assert run(pacer, 0.001, 0.02)["b"][0] <= STEP_S


def test_sessions_spread_evenly_over_the_slots() -> None:
    pacer = Pacer(0.0)
    for number in range(103):
        pacer.add(number)
    sizes = [len(at_slot(pacer, (slot + 0.5) * STEP_S)) for slot in range(SLOTS)]
    assert sum(sizes) == len(pacer) == 103
    assert max(sizes) - min(sizes) <= 1


def test_a_place_that_is_given_up_is_the_next_to_be_taken() -> None:
    pacer = Pacer(0.0)
    for number in range(8):
        pacer.add(number)
    before = [set(at_slot(pacer, (slot + 0.5) * STEP_S)) for slot in range(SLOTS)]
    pacer.remove(5)
    pacer.add("new")
    after = [set(at_slot(pacer, PERIOD_S + (slot + 0.5) * STEP_S)) for slot in range(SLOTS)]
    assert [{"new" if session == 5 else session for session in slot} for slot in before] == after


def test_coming_and_going_moves_no_other_session() -> None:
    pacer = Pacer(0.0)
    pacer.add("steady")
    times: list[float] = []
    for tick in range(2000):
        now = tick * 0.001
        pacer.add(("passing", tick))
        pacer.remove(("passing", tick - 37))
        times += [now for session in serve(pacer, now) if session == "steady"]
    assert len(times) == 100
    assert [late - early for early, late in pairwise(times)] == pytest.approx([0.02] * 99, abs=0.0011)


def test_a_short_delay_is_made_up_and_the_next_packet_is_on_time() -> None:
    pacer = Pacer(0.0)
    pacer.add("a")
    assert serve(pacer, 0.0) == ["a"]
    assert serve(pacer, 0.024) == ["a"]
    assert serve(pacer, 0.0399) == []
    assert serve(pacer, 0.0401) == ["a"]


@pytest.mark.parametrize("stall_s", [0.021, 0.1, 1.0, 3600.0])
def test_after_a_stall_nobody_gets_two_packets_at_once(stall_s: float) -> None:
    pacer = Pacer(0.0)
    for number in range(20):
        pacer.add(number)
    run(pacer, 0.0, 0.2)
    resumed = 0.2 + stall_s
    at_once = serve(pacer, resumed)
    assert len(at_once) == len(set(at_once)) <= 20
    served = run(pacer, resumed + 0.001, resumed + 0.201)
    assert all(9 <= len(times) <= 11 for times in served.values()) and len(served) == 20
    for times in served.values():
        assert min(late - early for early, late in pairwise(times)) > 0.015


def test_a_stall_costs_time_and_no_packets() -> None:
    pacer = Pacer(0.0)
    pacer.add("a")
    before = run(pacer, 0.0, 1.0)["a"]
    after = run(pacer, 3.5, 4.5)["a"]
    assert (len(before), len(after)) == (50, 50)


def test_adding_twice_serves_once_and_removing_twice_does_no_harm() -> None:
    pacer = Pacer(0.0)
    pacer.add("a")
    pacer.add("a")
    assert len(pacer) == 1
    pacer.remove("a")
    pacer.remove("a")
    assert len(pacer) == 0
    assert run(pacer, 0.0, 0.1) == {}

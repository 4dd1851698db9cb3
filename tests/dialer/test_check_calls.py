"""Test calls of checks take their part of a trunk's channels and CPS, and wait for it."""

import threading

import pytest

from autodialer.campaign.scheduler import Scheduler
from autodialer.dialing import check_calls
from autodialer.dialing.check_calls import CheckCalls
from autodialer.errors import TrunkBusy
from tests.campaign.factories import campaign, job
from tests.campaign.test_scheduler import trunk
from tests.timing import at_most


class Asker:
    """The thread of a check: asks for a place, holds it until told to leave."""

    def __init__(self, calls: CheckCalls) -> None:
        self.has_place, self.leave = threading.Event(), threading.Event()
        self.refused = False
        self._calls = calls
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self) -> None:
        try:
            with self._calls.place(TRUNK):
                self.has_place.set()
                self.leave.wait(at_most(10))
        except TrunkBusy:
            self.refused = True

    def end(self) -> None:
        self.leave.set()
        self._thread.join(at_most(10))


TRUNK = trunk(max_channels=1, cps=1.0)


def until_asked(calls: CheckCalls) -> None:
    while not calls._waiting:
        pass


def test_a_test_call_takes_a_channel_and_a_token_of_its_trunk_and_gives_the_channel_back() -> None:
    plan = Scheduler()
    plan.update([campaign(cps=100.0)], {1: TRUNK}, 0.0)
    calls = CheckCalls(plan)
    asker = Asker(calls)
    until_asked(calls)
    calls.step(0.0)
    assert asker.has_place.wait(at_most(10))
    assert plan.requests(5.0, {1: 250}) == [], "the only channel is the test call's"
    asker.end()
    calls.step(5.0)
    assert [request.limit for request in plan.requests(5.0, {1: 250})] == [1]


def test_a_test_call_waits_while_a_campaign_has_the_only_channel() -> None:
    plan = Scheduler()
    plan.update([campaign(cps=100.0)], {1: TRUNK}, 0.0)
    plan.requests(0.0, {1: 250})
    plan.started(job(trunk_key=1, campaign_key=1), 0.0)
    calls = CheckCalls(plan)
    asker = Asker(calls)
    until_asked(calls)
    calls.step(5.0)
    assert not asker.has_place.is_set()
    plan.unstarted(job(trunk_key=1, campaign_key=1))
    calls.step(6.0)
    assert asker.has_place.wait(at_most(10))
    asker.end()


def test_the_next_test_call_of_an_idle_trunk_waits_for_its_rate() -> None:
    calls = CheckCalls(Scheduler())
    first = Asker(calls)
    until_asked(calls)
    calls.step(0.0)
    assert first.has_place.wait(at_most(10))
    first.end()
    calls.step(0.1)
    second = Asker(calls)
    until_asked(calls)
    calls.step(0.2)
    assert not second.has_place.is_set()
    calls.step(1.2)
    assert second.has_place.wait(at_most(10))
    second.end()


def test_a_test_call_without_room_gives_up_and_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_calls, "PATIENCE_S", 0.01)
    plan = Scheduler()
    calls = CheckCalls(plan)
    asker = Asker(calls)
    asker._thread.join(at_most(10))
    assert asker.refused
    calls.step(0.0)
    assert plan.check_starts(TRUNK, object(), 0.0), "nobody holds the channel"

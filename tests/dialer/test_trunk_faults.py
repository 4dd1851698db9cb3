"""Trunks that fail, rest, are probed, restarted into and mended: nobody is lost by any of it.

Whatever happens: nobody's attempts end by a trunk's fault, the trunk's fault counts in no attempt and no cap, and once
the trunks work everybody is dialled and heard. Given up are only numbers that a trunk refuses while it puts others
through.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from autodialer.campaign.breaker import LONGEST_REST_S, TRIP_AFTER
from autodialer.model import Campaign, Cause, Disposition, RetryRule, Trunk, TrunkSettings
from autodialer.report import explain
from autodialer.store import NewSubscriber
from tests.dialer.machine import TIMEOUT_S, Air, DialingMachine, how_many

PEOPLE = 9
FAULTS: list[dict[str, Any]] = [
    {"disposition": Disposition.FAILED, "cause": Cause.TRANSPORT_ERROR},
    {"disposition": Disposition.FAILED, "cause": Cause.NO_RESPONSE},
    {"disposition": Disposition.FAILED, "cause": Cause.AUTH_FAILED, "sip_code": 401},
    {"disposition": Disposition.FAILED, "cause": Cause.FORBIDDEN, "sip_code": 403},
    {"disposition": Disposition.FAILED, "cause": Cause.FORBIDDEN, "sip_code": 402},
    {"disposition": Disposition.NO_ANSWER, "cause": None, "sip_code": 408},
    {"disposition": Disposition.CONGESTION, "cause": None, "sip_code": 503},
    {"disposition": Disposition.CONGESTION, "cause": None, "sip_code": 503, "retry_after_s": 20.0},
]
CURES = [{"host": "127.0.0.2"}, {"port": 5070}, {"password": "right"}, {"outbound_proxy": "127.0.0.3"}]


class RandomFaults(DialingMachine):
    """One campaign that calls each person once, on one trunk or two."""

    @initialize(trunks=st.integers(1, 2), people=st.integers(1, PEOPLE), caps=st.booleans())
    def set_up(self, trunks: int, people: int, *, caps: bool) -> None:
        self.broken: dict[int, dict[str, Any]] = {}
        """Trunk -> what every call by it ends with."""
        self.reached: set[str] = set()
        self.through: Counter[int] = Counter()
        """Trunk -> calls that it has put through."""
        self.refused_at: dict[tuple[int, str], int] = {}
        """(trunk, number) -> the same count when it refused that number last."""
        self.to_blame: set[str] = set()
        """Numbers that a trunk refused before and after it had put five others through."""
        self.open()
        self.trunks = [
            self.store.trunks.create(
                self.owner, TrunkSettings(name=f"t{index}", host="127.0.0.1", cps=50.0, max_channels=4)
            )
            for index in range(trunks)
        ]
        self.numbers = [f"+4420794600{index:02}" for index in range(people)]
        self.campaign = self.start_callbase(
            [NewSubscriber(number=number) for number in self.numbers],
            [trunk.key for trunk in self.trunks],
            max_attempts=1,
            cap_day=1 if caps else None,
            cps=50.0,
            max_channels=8,
            # A trunk that is full now and then uses up this budget, and no other.
            retry={"congestion": RetryRule(after_s=10, times=1000)},
        )

    def judge(self, air: Air, campaign: Campaign) -> None:
        assert air.number not in self.reached

    def note_end(self, air: Air, disposition: Disposition, *, heard: bool) -> None:
        if heard:
            self.reached.add(air.number)

    # The calls of this machine end as their trunks are, not at random; what cuts a call off is another matter, for a
    # phone may have rung.

    def end_call(self) -> None:  # type: ignore[override]
        """Replaces a rule of the machine."""

    @precondition(lambda self: self.air)
    @rule(data=st.data())
    def call_ends(self, data: st.DataObject) -> None:
        air = data.draw(st.sampled_from(self.calls_up()))
        self.end_as_the_trunk_is(air)

    def end_as_the_trunk_is(self, air: Air) -> None:
        fault = self.broken.get(air.trunk_key)
        if fault is None:
            self.through[air.trunk_key] += 1
            self.end(air, Disposition.ANSWERED, 4.0)
        else:
            through, refused = self.through[air.trunk_key], (air.trunk_key, air.number)
            if through - self.refused_at.get(refused, through) >= TRIP_AFTER:
                self.to_blame.add(air.number)
            self.refused_at[refused] = through
            self.end(air, fault["disposition"], 0.0, **{k: v for k, v in fault.items() if k != "disposition"})

    @rule(index=st.integers(0, 1), fault=st.sampled_from(FAULTS))
    def breaks(self, index: int, fault: dict[str, Any]) -> None:
        self.broken[self.trunks[index % len(self.trunks)].key] = fault

    @rule(index=st.integers(0, 1), cure=st.sampled_from(CURES), told=st.booleans())
    def mended(self, index: int, cure: dict[str, Any], *, told: bool) -> None:
        trunk = self.trunks[index % len(self.trunks)]
        self.broken.pop(trunk.key, None)
        if told:
            self.store.trunks.update(trunk.id, None, replace(trunk, **cure))
        self.look()

    @rule(span_s=st.sampled_from([1.0, 31.0, LONGEST_REST_S, 7200.0]))
    def time_passes(self, span_s: float) -> None:
        """And whatever is called meanwhile ends."""
        until = self.clock.elapsed_s + span_s
        while self.clock.elapsed_s < until:
            self.clock.elapsed_s += span_s / 20
            self.dialer.step()
            for air in list(self.air.values()):
                self.end_as_the_trunk_is(air)

    def dialer_dies(self) -> None:  # type: ignore[override]
        """Replaces a rule of the machine."""

    @rule()
    def dialer_is_restarted(self) -> None:
        """In good order: its calls have ended."""
        for air in list(self.air.values()):
            self.end_as_the_trunk_is(air)
        self.dialer.step()
        for air in list(self.air.values()):
            self.end_as_the_trunk_is(air)
        if not self.air:
            self.restart()

    def teardown(self) -> None:
        self.broken = {}
        super().teardown()

    def check_end(self, campaign: Campaign) -> None:
        super().check_end(campaign)
        assert set(self.numbers) - self.to_blame <= self.reached, "everybody is dialled"


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.slow
class TestRandomFaults(RandomFaults.TestCase):
    """As pytest sees it."""

    settings = how_many(25)


class Desk(DialingMachine):
    """The same dialer and store, without chance."""

    def judge(self, air: Air, campaign: Campaign) -> None:
        """Every call may be placed."""

    def note_end(self, air: Air, disposition: Disposition, *, heard: bool) -> None:
        """Nothing is judged."""

    def trunk(self, name: str, **fields: Any) -> Trunk:
        return self.store.trunks.create(
            self.owner, TrunkSettings(name=name, host="127.0.0.1", **{"cps": 50.0, "max_channels": 9, **fields})
        )

    def run_on(self, seconds: float, end: Callable[[Air], None] = lambda _air: None) -> None:
        for _ in range(int(seconds / 0.2)):
            self.clock.elapsed_s += 0.2
            self.dialer.step()
            for air in self.calls_up():
                end(air)

    def run_out(self, campaign: Campaign, end: Callable[[Air], None], *, within_s: float) -> None:
        """Until nobody is left to be called. While everybody waits for another attempt, time passes in longer steps."""
        deadline = self.clock.elapsed_s + within_s
        while self.clock.elapsed_s < deadline:
            counts = self.store.campaigns.progress(campaign.key).counts
            if not counts.pending and not counts.in_progress:
                return
            self.clock.elapsed_s += 0.0 if counts.pending or self.air else 4.8
            self.run_on(0.2, end)
        raise AssertionError(f"{counts} after {within_s:g} s")


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    made.open()
    yield made
    made.store.close()
    shutil.rmtree(made.folder)


def people(count: int) -> list[NewSubscriber]:
    return [NewSubscriber(number=f"+4420794600{index:02}") for index in range(count)]


@pytest.mark.parametrize("fault", FAULTS[3:])
@pytest.mark.slow
def test_one_number_that_the_trunk_refuses_is_given_up_and_does_not_keep_the_others_waiting(
    desk: Desk, fault: dict[str, Any]
) -> None:
    campaign = desk.start_callbase(people(60), [desk.trunk("t", max_channels=1, cps=1.0).key], max_attempts=3)
    known = {name: value for name, value in fault.items() if name != "disposition"}
    refused: list[float] = []

    def end(air: Air) -> None:
        if air.number == "+442079460007":
            refused.append(desk.clock.elapsed_s)
            desk.end(air, fault["disposition"], 0.0, **known)
        else:
            desk.end(air, Disposition.ANSWERED, 4.0)

    desk.run_out(campaign, end, within_s=4500)
    counts = desk.store.campaigns.progress(campaign.key).counts
    assert (counts.reached, counts.exhausted) == (counts.total - 1, 1)
    assert len(refused) <= 8


def test_a_call_that_an_operator_hung_up_is_not_dialled_again(desk: Desk) -> None:
    campaign = desk.start_callbase(people(1), [desk.trunk("t").key], cap_day=1)
    desk.run_on(1)
    [air] = desk.calls_up()
    desk.store.commands.add("hangup_call", call_id=air.call_id)
    desk.run_on(0.4)
    assert desk.phones.hung_up == [air.call_id]
    desk.end(air, Disposition.CANCELLED, 0.0)
    desk.run_on(30)
    assert desk.air == {}
    [call], _ = desk.store.calls.page(campaign.key)
    assert (call.attempt, call.next_rule, call.next_at) == (1, "hung_up", None)
    assert desk.store.campaigns.progress(campaign.key).counts.exhausted == 1
    again = desk.start_callbase(people(1), [desk.trunk("u").key], cap_day=1)
    desk.run_on(5)
    assert desk.air == {}, "it was an attempt: the cap counts it"
    assert desk.store.waiting_lists.waiting(again.key, desk.clock.utcnow())[0].rule == "cap_day"


def test_a_call_hung_up_by_stopping_everything_goes_back_to_the_queue(desk: Desk) -> None:
    campaign = desk.start_callbase(people(1), [desk.trunk("t").key])
    desk.run_on(1)
    [air] = desk.calls_up()
    desk.end(air, Disposition.CANCELLED, 0.0)
    desk.run_on(10)
    assert [again.number for again in desk.calls_up()] == [air.number]
    assert desk.store.campaigns.progress(campaign.key).counts.exhausted == 0


def test_a_trunk_that_is_woken_by_hand_is_tried_at_once(desk: Desk) -> None:
    trunk = desk.trunk("t")
    desk.start_callbase(people(3), [trunk.key])
    desk.run_on(1)
    desk.end(desk.calls_up()[0], Disposition.FAILED, 0.0, cause=Cause.AUTH_FAILED, sip_code=401)
    for air in desk.calls_up():
        desk.end(air, Disposition.CANCELLED, 0.0)
    desk.run_on(10)
    assert desk.air == {}
    desk.store.commands.add("wake_trunk", trunk_key=trunk.key)
    desk.run_on(0.4)
    assert len(desk.air) == 2
    status = desk.store.live.trunk(trunk.key)
    assert status is not None and (status.breaker_state, status.breaker_cause) == ("closed", None)


def test_a_trunk_whose_password_cannot_be_read_is_told_and_the_others_dial(desk: Desk) -> None:
    locked = desk.trunk("locked", password="s3cret")
    only_locked = desk.start_callbase(people(1), [locked.key])
    both = desk.start_callbase(people(1), [locked.key, desk.trunk("open").key])
    desk.store.close()
    (desk.folder / "keys" / "secrets.key").write_bytes(b"x" * 32)
    desk.reopen()
    desk.run_on(3)
    assert [air.campaign_key for air in desk.calls_up()] == [both.key]
    status = desk.store.live.trunk(locked.key)
    assert status is not None and status.breaker_state == "resting" and "Enter the password" in status.breaker_cause
    now = desk.clock.utcnow()
    why = explain(desk.store, only_locked, now)
    assert (why.dialing, [reason.code for reason in why.reasons]) == (False, ["trunk_unusable"])
    assert explain(desk.store, both, now).dialing
    desk.store.trunks.update(locked.id, None, replace(locked, password="again"))
    desk.run_on(3)
    assert {air.campaign_key for air in desk.calls_up()} == {only_locked.key, both.key}


@pytest.mark.slow
def test_congestion_leaves_all_attempts_to_a_callee_who_is_busy(desk: Desk) -> None:
    retry = {"congestion": RetryRule(after_s=10, times=5), "busy": RetryRule(after_s=10, times=5)}
    campaign = desk.start_callbase(people(2), [desk.trunk("t", max_channels=1).key], max_attempts=3, retry=retry)
    ends = {"+442079460000": [Disposition.CONGESTION] * 4 + [Disposition.BUSY] * 3, "+442079460001": []}

    def end(air: Air) -> None:
        left = ends[air.number]
        desk.end(air, left.pop(0) if left else Disposition.BUSY, 0.0)

    desk.run_on(200, end)
    calls, _ = desk.store.calls.page(campaign.key, limit=100)
    mine = [call for call in calls if call.number == "+442079460000"]
    assert [call.attempt for call in mine] == [1, 1, 1, 1, 1, 2, 3]
    assert mine[-1].next_rule == "max_attempts"

"""Trunks that fail, rest, are probed, restarted into and mended: nobody is lost by any of it.

Whatever happens: nobody's attempts end by a trunk's fault, the trunk's fault counts in no attempt and no cap, and once
the trunks work everybody is dialled and heard.
"""

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from autodialer.campaign.breaker import LONGEST_REST_S
from autodialer.model import Campaign, Cause, Disposition, RetryRule
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
        self.open()
        self.trunks = [
            self.store.trunks.create(self.owner, name=f"t{index}", host="127.0.0.1", cps=50.0, max_channels=4)
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
            self.end(air, Disposition.ANSWERED, 4.0)
        else:
            self.end(air, fault["disposition"], 0.0, **{k: v for k, v in fault.items() if k != "disposition"})

    @rule(index=st.integers(0, 1), fault=st.sampled_from(FAULTS))
    def breaks(self, index: int, fault: dict[str, Any]) -> None:
        self.broken[self.trunks[index % len(self.trunks)].key] = fault

    @rule(index=st.integers(0, 1), cure=st.sampled_from(CURES), told=st.booleans())
    def mended(self, index: int, cure: dict[str, Any], *, told: bool) -> None:
        trunk = self.trunks[index % len(self.trunks)]
        self.broken.pop(trunk.key, None)
        if told:
            self.store.trunks.update(trunk.id, None, **cure)
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
        assert self.store.campaigns.progress(campaign.key).counts.reached == len(self.numbers), "everybody is dialled"
        assert self.reached == set(self.numbers)


@pytest.mark.timeout(TIMEOUT_S)
class TestRandomFaults(RandomFaults.TestCase):
    """As pytest sees it."""

    settings = how_many(25)

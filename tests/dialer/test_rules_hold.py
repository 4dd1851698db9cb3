"""Random campaigns and what holds them: rates, channels, retries, a dialer that dies.

Whatever happens: never over CPS or channels, never outside a window, never more attempts than allowed or earlier than
the retry rule says, no number called again after a call has reached it, no number called by two calls at a time, no
call by a trunk that has just failed five times in a row, and every subscriber ends.
"""

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import time
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, initialize, rule

from autodialer.campaign.breaker import FIRST_REST_S, TRIP_AFTER
from autodialer.campaign.calling_hours import SET_UP_S
from autodialer.campaign.pacing import TokenBucket
from autodialer.campaign.retry import TRUNK_DELAY_S
from autodialer.campaign.window import Window
from autodialer.errors import Conflict
from autodialer.model import CallingWindow, Campaign, Disposition, RetryRule, TrunkSettings
from autodialer.store import NewSubscriber
from tests.dialer.machine import TIMEOUT_S, TRUNK_SIDE, Air, DialingMachine, how_many

BURST_S = TokenBucket.BURST_S
"""What TokenBucket may save up."""
RETRY = {
    "busy": RetryRule(after_s=60, times=2),
    "no_answer": RetryRule(after_s=300, times=1),
    "congestion": RetryRule(after_s=10, times=3),
    "failed": RetryRule(after_s=30, times=1),
    "interrupted": RetryRule(after_s=20, times=1),
    "short": RetryRule(after_s=15, times=1),
}
WINDOWS = [
    None,
    CallingWindow(start=time(9), end=time(9, 30), timezone="UTC"),
    CallingWindow(start=time(13, 10), end=time(2), timezone="Europe/Moscow"),
]
NUMBERS = [f"+4420794600{index:02}" for index in range(24)]


class RandomCampaigns(DialingMachine):
    """Two trunks, up to three campaigns that share them and their numbers."""

    campaigns = Bundle("campaigns")

    @initialize(
        cps=st.tuples(*[st.sampled_from([0.2, 1.0, 7.5, 50.0])] * 2), channels=st.tuples(*[st.integers(1, 6)] * 2)
    )
    def set_up(self, cps: tuple[float, float], channels: tuple[int, int]) -> None:
        self.open()
        self.trunks = [
            self.store.trunks.create(
                self.owner, TrunkSettings(name=f"t{index}", host="127.0.0.1", cps=rate, max_channels=limit)
            )
            for index, (rate, limit) in enumerate(zip(cps, channels, strict=True))
        ]
        self.cps = {trunk.key: trunk.cps for trunk in self.trunks}
        self.campaign_cps: dict[int, float] = {}
        self.channels = {trunk.key: trunk.max_channels for trunk in self.trunks}
        self.ended: dict[tuple[int, str], list[tuple[float, Disposition, bool]]] = {}
        """(campaign, number) -> when its calls ended, how, and whether the sound was heard."""

    def restart(self) -> None:
        """The rates start again from zero."""
        self.starts: dict[tuple[str, int], list[float]] = {}
        self.failed_in_a_row: Counter[int] = Counter()
        self.rests_since: dict[int, float] = {}
        super().restart()

    # -- what is checked at each call

    def judge(self, air: Air, campaign: Campaign) -> None:
        number = air.number
        assert number not in {other.number for other in self.air.values() if other.campaign_key == campaign.key}
        if campaign.window is not None:
            zone = ZoneInfo(campaign.window.timezone)
            assert Window.of(campaign.window).allows(
                self.clock.utcnow(), zone, for_s=campaign.ring_timeout_s + SET_UP_S
            )
        self.check_rate(("trunk", air.trunk_key), self.cps[air.trunk_key])
        self.check_rate(("campaign", campaign.key), self.campaign_cps[campaign.key])
        self.check_history(campaign.key, number, campaign.max_attempts)
        rests_since = self.rests_since.get(air.trunk_key)
        assert rests_since is None or self.clock.elapsed_s >= rests_since + FIRST_REST_S, "a trunk that failed rests"
        calls = [air, *self.air.values()]
        assert len([each for each in calls if each.trunk_key == air.trunk_key]) <= self.channels[air.trunk_key]
        assert len([each for each in calls if each.campaign_key == campaign.key]) <= campaign.max_channels

    def note_end(self, air: Air, disposition: Disposition, *, heard: bool) -> None:
        entry = (self.clock.elapsed_s, disposition, heard)
        self.ended.setdefault((air.campaign_key, air.number), []).append(entry)
        if disposition in (Disposition.FAILED, Disposition.CONGESTION):
            self.failed_in_a_row[air.trunk_key] += 1
            if self.failed_in_a_row[air.trunk_key] == TRIP_AFTER:
                self.rests_since.setdefault(air.trunk_key, self.clock.elapsed_s)
        elif disposition is not Disposition.CANCELLED:
            self.note_ring(air)

    def note_ring(self, air: Air) -> None:
        self.failed_in_a_row[air.trunk_key] = 0

    def check_rate(self, whose: tuple[str, int], cps: float) -> None:
        """In no span of time start more calls than the rate brings, one in stock and the burst of a look."""
        now = self.clock.elapsed_s
        starts = self.starts.setdefault(whose, [])
        starts.append(now)
        for index, then in enumerate(starts):
            assert len(starts) - index <= 1 + cps * (BURST_S + now - then) + 1e-6, whose

    def check_history(self, campaign_key: int, number: str, max_attempts: int) -> None:
        history = self.ended.get((campaign_key, number), [])
        counted = [entry for entry in history if entry[1] is not Disposition.CANCELLED]
        assert len([entry for entry in counted if entry[1] not in TRUNK_SIDE]) < max_attempts
        for disposition in set(Disposition) - set(TRUNK_SIDE):
            allowed = RETRY.get("short" if disposition is Disposition.ANSWERED else disposition.value)
            if disposition is Disposition.CANCELLED:
                continue
            assert len([entry for entry in counted if entry[1] is disposition]) <= (allowed.times if allowed else 0)
        if counted and counted[-1] is history[-1]:
            ended_at, disposition, heard = counted[-1]
            assert not heard, "a subscriber who was reached is not called again"
            rule_name = "short" if disposition is Disposition.ANSWERED else disposition.value
            # The store keeps whole milliseconds.
            after_s = RETRY[rule_name].after_s
            if disposition in TRUNK_SIDE:
                after_s = min(after_s, TRUNK_DELAY_S)
            assert self.clock.elapsed_s >= ended_at + after_s - 0.001

    # -- what may happen

    @rule(
        target=campaigns,
        count=st.integers(0, len(NUMBERS)),
        first=st.integers(0, 8),
        order=st.permutations([0, 1]),
        only_one=st.booleans(),
        cps=st.sampled_from([0.5, 3.0, 40.0]),
        max_channels=st.integers(1, 8),
        max_attempts=st.integers(1, 4),
        min_played_s=st.sampled_from([None, 2.0]),
        window=st.sampled_from(WINDOWS),
    )
    def start_campaign(
        self, count: int, first: int, order: list[int], *, only_one: bool, cps: float, **rules: Any
    ) -> UUID:
        numbers = NUMBERS[first : first + count]
        keys = [self.trunks[index].key for index in order]
        made = self.start_callbase(
            [NewSubscriber(number=number) for number in numbers],
            keys[:1] if only_one else keys,
            retry=RETRY,
            cps=cps,
            **rules,
        )
        self.campaign_cps[made.key] = cps
        return made.id

    @rule(span_s=st.floats(0.1, 900))
    def sleep(self, span_s: float) -> None:
        """The machine slept, or had better things to do."""
        self.clock.elapsed_s += span_s
        self.dialer.step()

    @rule(index=st.integers(0, 1), disposition=st.sampled_from([Disposition.FAILED, Disposition.CONGESTION]))
    def trunk_fails(self, index: int, disposition: Disposition) -> None:
        """Every call by it, for some seconds."""
        for _ in range(8):
            for air in [air for air in self.air.values() if air.trunk_key == self.trunks[index].key]:
                self.end(air, disposition, 0.0)
            self.clock.elapsed_s += 1.0
            self.dialer.step()

    @rule(out=st.booleans())
    def ports_run_out(self, *, out: bool) -> None:
        self.phones.out_of_ports = out

    @rule(campaign_id=campaigns, deed=st.sampled_from(["pause", "resume", "stop"]))
    def interfere(self, campaign_id: UUID, deed: str) -> None:
        with suppress(Conflict):
            if deed == "stop":
                self.store.campaigns.stop(campaign_id, None, hangup=False)
            else:
                getattr(self.store.campaigns, deed)(campaign_id, None)
        self.look()

    @rule(campaign_id=campaigns, max_channels=st.integers(1, 8), max_attempts=st.integers(1, 4))
    def change_rules(self, campaign_id: UUID, max_channels: int, max_attempts: int) -> None:
        with suppress(Conflict):
            self.store.campaigns.update(campaign_id, None, max_channels=max_channels, max_attempts=max_attempts)
        self.look()

    @rule(index=st.integers(0, 1), max_channels=st.integers(1, 6))
    def change_trunk(self, index: int, max_channels: int) -> None:
        trunk = self.trunks[index]
        self.channels[trunk.key] = max(max_channels, self.channels[trunk.key])
        self.store.trunks.update(trunk.id, None, replace(trunk, max_channels=max_channels))
        self.look()
        self.channels[trunk.key] = max(max_channels, len([a for a in self.air.values() if a.trunk_key == trunk.key]))


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.slow
class TestRandomCampaigns(RandomCampaigns.TestCase):
    """As pytest sees it."""

    settings = how_many(20)

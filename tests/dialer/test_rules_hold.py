"""Random campaigns through the real dialer and store, on a clock that is moved by hand and phones that do as told.

Whatever happens: never over CPS or channels, never outside a window, never more attempts than allowed or earlier than
the retry rule says, nobody called again whom a call has reached, nobody twice at a time, and every subscriber ends.
"""

import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, time, timedelta
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from argon2 import PasswordHasher
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from autodialer.campaign.calling_hours import SET_UP_S
from autodialer.campaign.pacing import TokenBucket
from autodialer.campaign.window import Window
from autodialer.clock import Clock
from autodialer.errors import Conflict, PortsExhausted
from autodialer.model import (
    CallingWindow,
    CallOutcome,
    CampaignState,
    Cause,
    Disposition,
    EndedBy,
    RetryRule,
    SubscriberState,
    Trunk,
)
from autodialer.phone.plan import CallEvent, CallPlan, Progress
from autodialer.store import NewSubscriber, Secrets, Store, migrate
from dialer import Dialer

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TICK_S = 0.02
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
FINAL = (SubscriberState.REACHED, SubscriberState.EXHAUSTED, SubscriberState.EXCLUDED)


@cache
def empty_database() -> bytes:
    """The file that the migrations make."""
    with tempfile.TemporaryDirectory() as folder:
        migrate(f"sqlite:///{Path(folder) / 'db.sqlite3'}")
        return (Path(folder) / "db.sqlite3").read_bytes()


class HandClock(Clock):
    """Both clocks move together, when they are told to."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0

    def utcnow(self) -> datetime:
        return START + timedelta(seconds=self.elapsed_s)

    def monotonic(self) -> float:
        return 1000.0 + self.elapsed_s


class ObedientPhones:
    """Stands where the phones stand: takes calls, and says of them what the test wants said."""

    def __init__(self, on_call: Any) -> None:
        self.on_event: Any = None
        self._on_call = on_call
        self._trunks: Mapping[int, Trunk] = {}
        self.out_of_ports = False

    def update(self, trunks: Mapping[int, Trunk]) -> None:
        self._trunks = trunks

    def usable(self) -> dict[int, int]:
        return dict.fromkeys(self._trunks, 250)

    def problems(self) -> dict[int, str]:
        return {}

    def registrations(self) -> dict[int, Any]:
        return {}

    def call(self, trunk_key: int, number: str, plan: CallPlan) -> None:
        if self.out_of_ports:
            raise PortsExhausted
        self._on_call(trunk_key, number, plan.reference)

    def ready_phones(self, trunk_key: int) -> list[Any]:
        return []

    def acknowledge(self, references: Any) -> None:
        pass

    def hang_up(self, reference: object) -> None:
        pass


class Air(SimpleNamespace):
    """A call that is up."""

    call_id: UUID
    campaign_key: int
    trunk_key: int
    number: str


class RandomCampaigns(RuleBasedStateMachine):
    """Two trunks, up to three campaigns that share them and their numbers."""

    campaigns = Bundle("campaigns")

    @initialize(
        cps=st.tuples(*[st.sampled_from([0.2, 1.0, 7.5, 50.0])] * 2), channels=st.tuples(*[st.integers(1, 6)] * 2)
    )
    def set_up(self, cps: tuple[float, float], channels: tuple[int, int]) -> None:
        self.folder = Path(tempfile.mkdtemp())
        (self.folder / "db.sqlite3").write_bytes(empty_database())
        url = f"sqlite:///{self.folder / 'db.sqlite3'}"
        self.clock = HandClock()
        hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        self.store = Store(url, secrets=Secrets(self.folder / "keys", hasher=hasher), clock=self.clock)
        self.owner = self.store.users.create(login="olga", password=None).key
        self.sound = self.store.sounds.create(
            self.owner,
            name="s",
            duration_s=4.0,
            peak_dbfs=-1.0,
            loudness_lufs=None,
            sample_rate=8000,
            channels=1,
            path="s.wav",
            original_path="s.ogg",
        ).key
        for extension in (".alaw", ".ulaw"):
            (self.folder / f"s{extension}").write_bytes(b"\xd5" * 160)
        self.trunks = [
            self.store.trunks.create(self.owner, name=f"t{index}", host="127.0.0.1", cps=rate, max_channels=limit)
            for index, (rate, limit) in enumerate(zip(cps, channels, strict=True))
        ]
        self.cps = {trunk.key: trunk.cps for trunk in self.trunks}
        self.campaign_cps: dict[int, float] = {}
        self.channels = {trunk.key: trunk.max_channels for trunk in self.trunks}
        self.air: dict[UUID, Air] = {}
        self.starts: dict[tuple[str, int], list[float]] = {}
        self.ended: dict[tuple[int, str], list[tuple[float, Disposition, bool]]] = {}
        """(campaign, number) -> when its calls ended, how, and whether the sound was heard."""
        self.restart()

    def restart(self) -> None:
        """A dialer that knows only what the database knows."""
        self.phones = ObedientPhones(self.called)
        self.starts.clear()
        for air in self.air.values():
            self.ended.setdefault((air.campaign_key, air.number), []).append(
                (self.clock.elapsed_s, Disposition.INTERRUPTED, False)
            )
        self.air.clear()
        traces = SimpleNamespace(write_due=lambda now: None)
        self.dialer = Dialer(
            self.store,
            self.phones,  # type: ignore[arg-type]
            traces,  # type: ignore[arg-type]
            sounds_folder=self.folder,
            drain_s=1.0,
            clock=self.clock,
        )
        self.dialer.recover()

    # -- what is checked at each call

    def called(self, trunk_key: int, number: str, call_id: object) -> None:
        assert isinstance(call_id, UUID)
        record = self.store.calls.get(call_id, None)
        campaign = self.store.campaigns.get(record.campaign_id, None)
        number = record.number
        assert campaign.state is CampaignState.RUNNING
        assert number not in {air.number for air in self.air.values() if air.campaign_key == campaign.key}
        if campaign.window is not None:
            zone = ZoneInfo(campaign.window.timezone)
            assert Window.of(campaign.window).allows(
                self.clock.utcnow(), zone, for_s=campaign.ring_timeout_s + SET_UP_S
            )
        self.check_rate(("trunk", trunk_key), self.cps[trunk_key])
        self.check_rate(("campaign", campaign.key), self.campaign_cps[campaign.key])
        self.check_history(campaign.key, number, campaign.max_attempts, campaign.min_played_s)
        self.air[call_id] = Air(call_id=call_id, campaign_key=campaign.key, trunk_key=trunk_key, number=number)
        on_trunk = [air for air in self.air.values() if air.trunk_key == trunk_key]
        assert len(on_trunk) <= self.channels[trunk_key]
        assert len([air for air in self.air.values() if air.campaign_key == campaign.key]) <= campaign.max_channels

    def check_rate(self, whose: tuple[str, int], cps: float) -> None:
        """In no span of time start more calls than the rate brings, one in stock and the burst of a look."""
        now = self.clock.elapsed_s
        starts = self.starts.setdefault(whose, [])
        starts.append(now)
        for index, then in enumerate(starts):
            assert len(starts) - index <= 1 + cps * (BURST_S + now - then) + 1e-6, whose

    def check_history(self, campaign_key: int, number: str, max_attempts: int, min_played_s: float | None) -> None:
        history = self.ended.get((campaign_key, number), [])
        counted = [entry for entry in history if entry[1] is not Disposition.CANCELLED]
        assert len(counted) < max_attempts
        for disposition in Disposition:
            allowed = RETRY.get("short" if disposition is Disposition.ANSWERED else disposition.value)
            if disposition is Disposition.CANCELLED:
                continue
            assert len([entry for entry in counted if entry[1] is disposition]) <= (allowed.times if allowed else 0)
        if counted and counted[-1] is history[-1]:
            ended_at, disposition, heard = counted[-1]
            assert not heard, "whom a call has reached is not called again"
            rule_name = "short" if disposition is Disposition.ANSWERED else disposition.value
            # The store keeps whole milliseconds.
            assert self.clock.elapsed_s >= ended_at + RETRY[rule_name].after_s - 0.001

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
        callbase = self.store.callbases.create(self.owner, name="c", region="GB")
        self.store.callbases.add_rows(callbase.key, [NewSubscriber(number=number) for number in numbers])
        self.store.callbases.finish(callbase.key, rows=len(numbers))
        keys = [self.trunks[index].key for index in order]
        made = self.store.campaigns.create(
            self.owner,
            name="x",
            trunk_keys=keys[:1] if only_one else keys,
            sound_key=self.sound,
            callbase_key=callbase.key,
            retry=RETRY,
            cps=cps,
            **rules,
        )
        self.campaign_cps[made.key] = cps
        self.store.campaigns.start(made.id, None)
        return made.id

    @rule(ticks=st.integers(1, 60))
    def tick(self, ticks: int) -> None:
        for _ in range(ticks):
            self.clock.elapsed_s += TICK_S
            self.dialer.step()

    @rule(span_s=st.floats(0.1, 900))
    def sleep(self, span_s: float) -> None:
        """The machine slept, or had better things to do."""
        self.clock.elapsed_s += span_s
        self.dialer.step()

    @precondition(lambda self: self.air)
    @rule(
        data=st.data(),
        disposition=st.sampled_from(sorted(set(Disposition) - {Disposition.INTERRUPTED, Disposition.MACHINE})),
        played_s=st.sampled_from([0.0, 1.0, 4.0]),
        rang=st.booleans(),
    )
    def end_call(self, data: st.DataObject, disposition: Disposition, played_s: float, *, rang: bool) -> None:
        air = self.air[data.draw(st.sampled_from(sorted(self.air)))]
        answered = disposition in (Disposition.ANSWERED,)
        if rang or answered:
            self.phones.on_event(CallEvent(reference=air.call_id, progress=Progress.RANG))
        self.end(air, disposition, played_s if answered else 0.0, answered=answered)

    def end(self, air: Air, disposition: Disposition, played_s: float, *, answered: bool) -> None:
        now = self.clock.utcnow()
        cause = Cause.NO_RESPONSE if disposition is Disposition.FAILED else None
        outcome = CallOutcome(
            disposition=disposition,
            cause=cause,
            invited_at=now,
            ended_at=now,
            answered_at=now if answered else None,
            played_s=played_s,
            ended_by=EndedBy.US if answered else None,
        )
        campaign = self.store.campaigns.by_key(air.campaign_key)
        heard = answered and not (campaign.min_played_s is not None and played_s < campaign.min_played_s)
        self.ended.setdefault((air.campaign_key, air.number), []).append((self.clock.elapsed_s, disposition, heard))
        del self.air[air.call_id]
        self.phones.on_event(CallEvent(reference=air.call_id, outcome=outcome))
        self.dialer.step()

    @precondition(lambda self: self.air)
    @rule(data=st.data())
    def call_could_not_leave(self, data: st.DataObject) -> None:
        call_id = data.draw(st.sampled_from(sorted(self.air)))
        del self.air[call_id]
        self.phones.on_event(CallEvent(reference=call_id, unstarted="the media process died"))
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
        self.store.trunks.update(trunk.id, None, max_channels=max_channels)
        self.look()
        self.channels[trunk.key] = max(max_channels, len([a for a in self.air.values() if a.trunk_key == trunk.key]))

    @rule()
    def dialer_dies(self) -> None:
        self.restart()

    def look(self) -> None:
        """Let the dialer notice what was changed."""
        self.clock.elapsed_s += 0.11
        self.dialer.step()

    # -- what always holds

    @invariant()
    def a_job_is_being_dialled_for_each_call_and_no_other(self) -> None:
        if hasattr(self, "store"):
            assert sum(self.store.queue.dialing_counts().values()) == len(self.air)

    def teardown(self) -> None:
        """Let everything go its way: every subscriber ends."""
        if not hasattr(self, "store"):
            return
        try:
            self.phones.out_of_ports = False
            page, _ = self.store.campaigns.page(None, limit=1000)
            for campaign in page:
                if campaign.state is CampaignState.PAUSED:
                    self.store.campaigns.resume(campaign.id, None)
            for step in range(3000):
                for air in list(self.air.values()):
                    self.end(air, Disposition.ANSWERED, 4.0, answered=True)
                if not self.store.queue.running_campaigns():
                    break
                # To the next opening of a window it may be a day.
                self.clock.elapsed_s += 2.0 if step < 100 else 300.0
                self.dialer.step()
            for campaign in page:
                self.check_end(campaign.key)
        finally:
            self.store.close()
            shutil.rmtree(self.folder)

    def check_end(self, campaign_key: int) -> None:
        campaign = self.store.campaigns.by_key(campaign_key)
        counts = self.store.campaigns.progress(campaign_key).counts
        assert campaign.state in (CampaignState.FINISHED, CampaignState.STOPPED)
        assert counts.in_progress == 0
        if campaign.state is CampaignState.FINISHED:
            assert counts.pending == 0
            assert counts.reached + counts.exhausted + counts.excluded == counts.total


class TestRandomCampaigns(RandomCampaigns.TestCase):
    """As pytest sees it."""

    settings = settings(
        max_examples=30,
        stateful_step_count=30,
        deadline=None,
        # To see the smallest failing case, add Phase.shrink: it takes minutes.
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )

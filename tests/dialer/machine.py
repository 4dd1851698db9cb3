"""What state machines of campaigns stand on: the real dialer and store, a clock moved by hand, obedient phones."""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar
from uuid import UUID

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from autodialer.campaign.breaker import is_trunk_side
from autodialer.campaign.retry import ERRORS_FORGIVEN
from autodialer.clock import Clock
from autodialer.dialing.chores import Chores
from autodialer.errors import PortsExhausted
from autodialer.model import CallOutcome, Campaign, CampaignState, Cause, Disposition, EndedBy, MediaState, Trunk
from autodialer.phone.plan import CallEvent, CallPlan, Progress
from autodialer.store import NewSubscriber, Store
from dialer import Dialer
from tests.databases import cheap_secrets, make_database

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TICK_S = 0.02
LONGEST_PAUSE_S = 600.0
"""Shorter than any window of a machine is open."""


TRUNK_SIDE = (Disposition.FAILED, Disposition.CONGESTION)
"""How calls of a machine end by their trunk's fault, where it says nothing else: it costs no attempt."""

SOAK = 20 if os.environ.get("SOAK") else 1
TIMEOUT_S = 300 * SOAK


def how_many(examples: int) -> settings:
    """Settings of a machine that is tried so many times, always the same ones; `make soak` looks for new ones."""
    return settings(
        max_examples=examples * SOAK,
        derandomize=SOAK == 1,
        stateful_step_count=30,
        deadline=None,
        # To see the smallest failing case, add Phase.shrink: it takes minutes.
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


class HandClock(Clock):
    """Both clocks move together, when they are told to."""

    def __init__(self, start: datetime) -> None:
        self.start = start
        self.elapsed_s = 0.0

    def utcnow(self) -> datetime:
        return self.start + timedelta(seconds=self.elapsed_s)

    def monotonic(self) -> float:
        return 1000.0 + self.elapsed_s


class ObedientPhones:
    """Stands where the phones stand: takes calls, and says of them what the test wants said."""

    def __init__(self, on_call: Any) -> None:
        self.on_event: Any = None
        self._on_call = on_call
        self._trunks: Mapping[int, Trunk] = {}
        self.out_of_ports = False
        self.errors_left = 0
        """How many of the next calls meet an error that nobody expected."""
        self.hung_up: list[object] = []

    def update(self, trunks: Mapping[int, Trunk]) -> None:
        self._trunks = trunks

    def usable(self) -> dict[int, int]:
        return dict.fromkeys(self._trunks, 250)

    def problems(self) -> dict[int, str]:
        return {}

    def registrations(self) -> dict[int, Any]:
        return {}

    media_state = MediaState.RUNNING
    media_pacing: ClassVar[dict[str, Any]] = {}

    def call(self, trunk_key: int, number: str, plan: CallPlan) -> None:
        if self.out_of_ports:
            raise PortsExhausted
        if self.errors_left:
            self.errors_left -= 1
            raise RuntimeError("nobody expected this")
        self._on_call(trunk_key, plan.reference)

    def find(self, reference: object) -> None:
        """No phone has anything of the call but what the machine says."""

    def ready_phones(self, trunk_key: int) -> list[Any]:
        return []

    def acknowledge(self, references: Any) -> None:
        pass

    def hang_up(self, reference: object, why: str) -> None:
        self.hung_up.append(reference)


class DoneAtOnce(Chores):
    """Does a chore when it is wanted: a thread would make a run another one each time."""

    def want(self, name: str, piece: Callable[[], bool]) -> None:
        while piece():
            pass


class Air(SimpleNamespace):
    """A call that is up."""

    call_id: UUID
    campaign_key: int
    trunk_key: int
    subscriber_id: UUID
    number: str
    began_s: float


class DialingMachine(RuleBasedStateMachine):
    """One user's campaigns, and what happens to their calls. Subclasses say what is called and judge each call."""

    def open(self, start: datetime = START) -> None:
        """An empty database, and a dialer on it."""
        self.folder = Path(tempfile.mkdtemp())
        make_database(f"sqlite:///{self.folder / 'db.sqlite3'}")
        self.clock = HandClock(start)
        self.open_store()
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
        self.air: dict[UUID, Air] = {}
        self.errors_spared = ERRORS_FORGIVEN
        """So many errors of ours end the attempts at nobody, even if one person has them all."""
        self.restart()

    def open_store(self) -> None:
        """The store of that folder."""
        url = f"sqlite:///{self.folder / 'db.sqlite3'}"
        self.store = Store(url, secrets=cheap_secrets(self.folder / "keys"), clock=self.clock)

    def reopen(self) -> None:
        """The service starts again."""
        self.open_store()
        self.restart()

    def restart(self) -> None:
        """A dialer that knows only what the database knows."""
        self.phones = ObedientPhones(self.placed)
        for air in list(self.air.values()):
            self.note_end(air, Disposition.INTERRUPTED, heard=False)
        self.air.clear()
        traces = SimpleNamespace(write_due=lambda now: None)
        self.dialer = Dialer(
            self.store,
            self.phones,  # type: ignore[arg-type]
            traces,  # type: ignore[arg-type]
            sounds_folder=self.folder,
            drain_s=1.0,
            clock=self.clock,
            chores=DoneAtOnce(),
        )
        self.dialer.recover()

    def start_callbase(
        self, rows: list[NewSubscriber], trunk_keys: list[int], *, timezone: str | None = None, **rules: Any
    ) -> Campaign:
        """A campaign that runs, on a callbase of its own."""
        callbase = self.store.callbases.create(self.owner, name="c", region="GB", timezone=timezone)
        self.store.callbases.add_rows(callbase.key, rows)
        self.store.callbases.finish(callbase.key, rows=len(rows))
        made = self.store.campaigns.create(
            self.owner, name="x", trunk_keys=trunk_keys, sound_key=self.sound, callbase_key=callbase.key, **rules
        )
        return self.store.campaigns.start(made.id, None)

    def placed(self, trunk_key: int, call_id: object) -> None:
        """The dialer places a call: it is judged, and then up."""
        assert isinstance(call_id, UUID)
        record = self.store.calls.get(call_id, None)
        campaign = self.store.campaigns.get(record.campaign_id, None)
        assert campaign.state is CampaignState.RUNNING
        air = Air(
            call_id=call_id,
            campaign_key=campaign.key,
            trunk_key=trunk_key,
            subscriber_id=record.subscriber_id,
            number=record.number,
            began_s=self.clock.elapsed_s,
        )
        self.judge(air, campaign)
        self.air[call_id] = air

    def calls_up(self) -> list[Air]:
        """In an order that is the same at each run, which that of their ids is not."""
        return sorted(self.air.values(), key=lambda air: (air.campaign_key, air.number))

    def judge(self, air: Air, campaign: Campaign) -> None:
        """Whether this call may be placed now."""
        raise NotImplementedError

    def note_end(self, air: Air, disposition: Disposition, *, heard: bool) -> None:
        """A call is over; `heard` tells whether it has reached its callee."""
        raise NotImplementedError

    def note_ring(self, air: Air) -> None:
        """A call has got through to its callee."""

    # -- what may happen

    @rule(ticks=st.integers(1, 60))
    def tick(self, ticks: int) -> None:
        for _ in range(ticks):
            self.clock.elapsed_s += TICK_S
            self.dialer.step()

    @precondition(lambda self: self.air)
    @rule(
        data=st.data(),
        disposition=st.sampled_from(sorted(set(Disposition) - {Disposition.INTERRUPTED, Disposition.MACHINE})),
        played_s=st.sampled_from([0.0, 1.0, 4.0]),
        rang=st.booleans(),
    )
    def end_call(self, data: st.DataObject, disposition: Disposition, played_s: float, *, rang: bool) -> None:
        air = data.draw(st.sampled_from(self.calls_up()))
        answered = disposition is Disposition.ANSWERED
        if rang or answered:
            self.note_ring(air)
            self.phones.on_event(CallEvent(reference=air.call_id, progress=Progress.RANG))
        self.end(air, disposition, played_s if answered else 0.0)

    def end(self, air: Air, disposition: Disposition, played_s: float, **known: Any) -> None:
        """The phone says how a call ended; `known` are further fields of the outcome."""
        answered = disposition is Disposition.ANSWERED
        known = {"cause": Cause.NO_RESPONSE if disposition is Disposition.FAILED else None, **known}
        outcome = CallOutcome(
            disposition=disposition,
            invited_at=self.clock.start + timedelta(seconds=air.began_s),
            ended_at=self.clock.utcnow(),
            answered_at=self.clock.utcnow() if answered else None,
            played_s=played_s,
            ended_by=EndedBy.US if answered else None,
            **known,
        )
        campaign = self.store.campaigns.by_key(air.campaign_key)
        heard = answered and not (campaign.min_played_s is not None and played_s < campaign.min_played_s)
        self.note_end(air, disposition, heard=heard)
        del self.air[air.call_id]
        self.phones.on_event(CallEvent(reference=air.call_id, outcome=outcome))
        self.dialer.step()

    @precondition(lambda self: self.air)
    @rule(data=st.data())
    def call_could_not_leave(self, data: st.DataObject) -> None:
        air = data.draw(st.sampled_from(self.calls_up()))
        del self.air[air.call_id]
        self.phones.on_event(CallEvent(reference=air.call_id, unstarted="the media process died"))
        self.dialer.step()

    @precondition(lambda self: self.errors_spared)
    @rule()
    def the_next_call_meets_an_error_of_ours(self) -> None:
        self.errors_spared -= 1
        self.phones.errors_left += 1

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
            # What met an error of ours is recorded by the next tick's commit.
            unrecorded = len(self.dialer._unrecorded)
            assert sum(self.store.queue.dialing_counts().values()) == len(self.air) + unrecorded

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
            pause_s = 1.0
            for _ in range(6000):
                if not self.air and not self.store.queue.running_campaigns():
                    break
                pause_s = 1.0 if self.air else min(2 * pause_s, LONGEST_PAUSE_S)
                for air in list(self.air.values()):
                    self.end(air, Disposition.ANSWERED, 4.0)
                self.clock.elapsed_s += max(pause_s, self.nothing_due_for_s())
                self.dialer.step()
            for campaign in page:
                self.check_end(self.store.campaigns.by_key(campaign.key))
        finally:
            self.store.close()
            shutil.rmtree(self.folder)

    def nothing_due_for_s(self) -> float:
        """Until a cap lets a number be called it may be a week."""
        keys = [campaign.key for campaign in self.store.queue.running_campaigns()]
        due = [progress.next_due for progress in self.store.campaigns.progress_of_all(keys).values()]
        waits = [0.0 if at is None else (at - self.clock.utcnow()).total_seconds() for at in due]
        return min(waits, default=0.0)

    def check_end(self, campaign: Campaign) -> None:
        """Every subscriber has ended, except those not called yet when the campaign was stopped or came to its end.

        The running figures are what a plain count of the calls makes of them.
        """
        progress = self.store.campaigns.progress(campaign.key)
        counts = progress.counts
        assert campaign.state in (CampaignState.FINISHED, CampaignState.STOPPED)
        assert counts.in_progress == 0
        assert counts.pending + counts.reached + counts.exhausted + counts.excluded == counts.total
        if campaign.state is CampaignState.FINISHED and campaign.ends_at is None:
            assert counts.pending == 0
        calls, _ = self.store.calls.page(campaign.key, limit=1000)
        attempts: dict[UUID, list[int]] = {}
        dispositions: dict[str, int] = {}
        for call in calls:
            assert call.outcome is not None and call.next_rule is not None
            ended = call.outcome.disposition
            dispositions[ended.value] = dispositions.get(ended.value, 0) + 1
            is_ours = ended is Disposition.CANCELLED or call.outcome.cause is Cause.INTERNAL_ERROR
            if not is_ours and not is_trunk_side(call.outcome):
                attempts.setdefault(call.subscriber_id, []).append(call.attempt)
        assert progress.dispositions == dispositions
        for made in attempts.values():
            assert made == list(range(1, len(made) + 1)), "attempts are counted without a gap"

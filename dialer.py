"""The pool: phones, queue, outcomes. `python dialer.py` runs dialing alone; `main.py` runs it beside the API.

One main thread walks the queue: it claims what pacing allows (committed before the INVITE leaves), hands each job to a
phone, takes the outcomes that the phones report, asks the retry policy what follows, and records it in one transaction.
A call costs no thread: each phone has one for its SIP socket and timers, and the media process sends the sound.
"""

import autodialer.environment  # noqa: F401 -- first of all: it may end the program with a message

# isort: split

import logging
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

from autodialer.campaign.admission import admit
from autodialer.campaign.breaker import BreakerState
from autodialer.campaign.keys import KeyPad
from autodialer.campaign.numbers import dial_string
from autodialer.campaign.pacing import UNLIMITED
from autodialer.campaign.retry import CANCELLED_DELAY_S, asked_pause_s, decide_next
from autodialer.campaign.scheduler import Scheduler
from autodialer.clock import Clock
from autodialer.config import Settings, load_settings
from autodialer.dialing.check_calls import CheckCalls
from autodialer.dialing.chores import Chores
from autodialer.dialing.clock_steps import ClockSteps
from autodialer.dialing.commands import CommandRunner
from autodialer.dialing.destinations import Destinations
from autodialer.dialing.dialogs import LeftCalls
from autodialer.dialing.diary import Diaries
from autodialer.dialing.ending import Ending
from autodialer.dialing.farewells import Farewells, is_answered
from autodialer.dialing.hours import Hours
from autodialer.dialing.keys import Keys
from autodialer.dialing.outage import BETWEEN_TRIES_S, Outage
from autodialer.dialing.playable import PlayableSounds
from autodialer.dialing.vitals import Vitals
from autodialer.errors import (
    AlreadyRunning,
    Invalid,
    MediaUnavailable,
    PhoneClosed,
    PortsExhausted,
    SettingsError,
    Unavailable,
)
from autodialer.logs import start_logging
from autodialer.model import (
    CallOutcome,
    Campaign,
    Cause,
    ClaimedJob,
    Disposition,
    JobResult,
    NextStep,
    Trunk,
    TrunkStatus,
)
from autodialer.phone.checks.checks import TrunkChecks
from autodialer.phone.closed_networks import ClosedNetworks
from autodialer.phone.hang_up import HangUp
from autodialer.phone.outcome import BROKEN
from autodialer.phone.plan import CallEvent, CallPlan, Progress
from autodialer.phone.pool import PhonePool
from autodialer.phone.ports import calls_within
from autodialer.phone.resolver import Resolver
from autodialer.phone.trace_outbox import TraceOutbox
from autodialer.phone.trunk_phones import complete
from autodialer.store import Secrets, Store, migrate, new_id
from autodialer.supervisor import (
    EXIT_CONFIG,
    HANDOVER_S,
    DataFolderLock,
    pause_rarely_for_garbage,
    watch_parent,
)

logger = logging.getLogger(__name__)

SAMPLE = Path(__file__).resolve().parent / "autodialer" / "gateway" / "sample.flac"
"""What the test call of a check plays."""
TICK_S = 0.04
"""How often calls are claimed and outcomes recorded. Each tick is a commit, which costs as much as a call."""
LOOK_S = 0.1
"""How often commands, campaigns and changed limits are read."""
ENQUEUED_ROWS = 100
ENQUEUED_BATCHES = 2
"""Subscribers that become jobs in one tick: 3 ms a batch, and 2500 a second are more than is dialled."""
REPORT_S = 1.0
"""How often live state is written."""
HANG_UP_S = 1.5
"""How long hung-up calls get to end before the phones close: a dialer whose parent died is gone within 2 s."""


@dataclass(frozen=True, kw_only=True)
class LiveCall:
    """A job that is being dialled, with the rules that held when it was claimed."""

    job: ClaimedJob
    campaign: Campaign
    pad: KeyPad


class Dialer:
    """Works through the queue until it is told to drain and every call has ended."""

    def __init__(
        self,
        store: Store,
        phones: PhonePool,
        traces: TraceOutbox,
        *,
        sounds_folder: Path,
        drain_s: float,
        clock: Clock,
        chores: Chores | None = None,
        room: int = UNLIMITED,
    ) -> None:
        """`chores` does what is too long for a tick; None: a thread of its own. `room`: most calls at once."""
        self._store = store
        self._phones = phones
        self._ending = Ending(drain_s=drain_s)
        self._traces = traces
        self._clock = clock
        self._instance = str(new_id())
        self._scheduler = Scheduler(room)
        self._campaigns: dict[int, Campaign] = {}
        self._all_trunks: Mapping[int, Trunk] = {}
        self._trunks: dict[int, Trunk] = {}
        self._unusable: dict[int, str] = {}
        """Trunks that cannot be used as they are stored -> why."""
        self._full: set[int] = set()
        """Trunks that have made all calls or minutes of their day."""
        self._sounds = PlayableSounds(store, sounds_folder)
        self._live: dict[object, LiveCall] = {}
        self._dry: set[int] = set()
        self._is_hungry = False
        """A campaign may have too few jobs that are due."""
        self._unrecorded: list[JobResult] = []
        self._unstarted: list[ClaimedJob] = []
        self._events: deque[CallEvent] = deque()
        """From the phones' threads. Nobody waits on it, so that an event costs no change of thread."""
        self._destinations = Destinations(store)
        self._keys = Keys(store, phones, self._destinations)
        self._check_calls = CheckCalls(self._scheduler)
        checks = TrunkChecks(phones, sample=SAMPLE, folder=sounds_folder, place=self._check_calls.place)
        self._commands = CommandRunner(store, phones, checks, self._wake)
        self._dialogs = LeftCalls(phones)
        self._farewells = Farewells(store, phones, clock)
        self._outage = Outage()
        self._vitals = Vitals()
        self._chores = chores or Chores()
        self._clock_steps = ClockSteps(store, clock, self._chores)
        self._hours = Hours(store)
        self._diaries = Diaries(store)
        self._next_look = self._next_report = 0.0
        phones.on_event = self._events.append

    def drain(self) -> None:
        """Start no new call; live ones get the drain time. Called a second time: hang up at once. Safe in a signal."""
        self._ending.drain()

    def hurry(self) -> None:
        """Start no new call and hang up what is up: the parent died."""
        self._ending.hurry()

    def run(self) -> None:
        """Dial until drained."""
        # Until this has succeeded nothing is claimed: it takes every open claim for one of a dead dialer.
        work = self.recover
        while not self._has_ended():
            try:
                work()
                work = self.step
                self._outage.is_over(self._clock.monotonic())
            except Unavailable as exc:
                self._outage.goes_on(exc, self._clock.monotonic())
                self._ending.wait(BETWEEN_TRIES_S)
            self._tend_drain(self._clock.monotonic())
            # A whole tick, not up to the first event: claims and outcomes of one tick share a commit.
            busy = self._campaigns or self._live or self._unrecorded or self._unstarted
            time.sleep(TICK_S if busy else LOOK_S)
        self._phones.stop()
        self._chores.stop()
        self._traces.write_last()
        with suppress(Unavailable):
            self._store.live.goodbye(self._instance)

    def recover(self) -> None:
        """Close the books of calls that an earlier dialer left open. Raises Unavailable; harmless to repeat."""
        picked_up = {kept.call_id for kept in self._store.dialogs.all() if is_answered(kept)}

        def decide(campaign: Campaign, job: ClaimedJob) -> NextStep:
            answered, now = job.call_id in picked_up, self._clock.utcnow()
            return decide_next(campaign, job, Disposition.INTERRUPTED, played_s=0.0, answered=answered, now=now)

        interrupted = self._store.queue.recover(None, self._clock.utcnow(), decide)
        if interrupted:
            logger.warning("%d calls were cut off by the end of an earlier dialer and are now interrupted", interrupted)
        self._farewells.begin()

    def step(self) -> None:
        """One tick: take what the phones told, record it, and start the calls that may start. Raises Unavailable."""
        began = time.perf_counter()
        try:
            self._tick()
        finally:
            self._vitals.ticks.add(time.perf_counter() - began)

    def _tick(self) -> None:
        while self._events:
            self._take_event(self._events.popleft())
        now = self._clock.monotonic()
        if now >= self._next_look:
            self._next_look = now + LOOK_S
            self._look()
        self._enqueue()
        # Before the claims: a trunk that campaigns keep full would never have room for a check.
        self._check_calls.step(now)
        self._dial(now, self._record_and_claim(now))
        self._farewells.step(now)
        if now >= self._next_report:
            self._next_report = now + REPORT_S
            self._report(now)
        self._traces.write_due(now)

    # -- what the phones tell

    def _take_event(self, event: CallEvent) -> None:
        # A call may have ended here already, by an error of ours, while its phone still tells of it.
        live = self._live.get(event.reference)
        if live is None:
            return
        if event.unstarted is not None:
            self._put_back(live.job, event.unstarted)
            return
        self._keys.take(event, live.pad, live.job, live.campaign, self._trunks.get(live.job.trunk_key))
        if event.dialog is not None:
            self._dialogs.add(live.job, event.dialog)
        changed = False
        if event.progress is Progress.HEARD:
            self._scheduler.heard(live.job)
        elif event.progress is Progress.RANG:
            changed = self._scheduler.rang(live.job)
        if event.outcome:
            changed = self._end_call(live, event.outcome)
        # A breaker that has changed is shown at once.
        if changed:
            self._next_report = 0.0

    def _end_call(self, live: LiveCall, outcome: CallOutcome) -> bool:
        del self._live[live.job.call_id]
        self._dialogs.discard(live.job)
        # The present rules decide, which may have changed since the claim; for a campaign that no longer runs, those of
        # the claim.
        campaign = self._campaigns.get(live.job.campaign_key, live.campaign)
        ended = self._scheduler.ended(live.job, outcome, self._clock.monotonic())
        step = decide_next(
            campaign,
            live.job,
            outcome.disposition,
            played_s=outcome.played_s,
            answered=outcome.answered_at is not None,
            now=self._clock.utcnow(),
            fault=ended.fault,
            hung_up=self._commands.has_hung_up(live.job.call_id),
            cause=outcome.cause,
            retry_after_s=asked_pause_s(outcome.sip_code, outcome.retry_after_s),
        )
        step, pressed = live.pad.step_after(step), live.pad.results
        self._unrecorded.append(JobResult(job=live.job, outcome=outcome, next_step=step, key_results=pressed))
        self._vitals.ended(self._trunks.get(live.job.trunk_key), outcome)
        logger.info("call %s to %s ended: %s", live.job.call_id, live.job.number, outcome.summary)
        return ended.trunk_changed

    # -- what the API asks, and what runs

    def _look(self) -> None:
        self._commands.obey_new([live.job for live in self._live.values()])
        self._clock_steps.follow()
        campaigns = self._store.queue.running_campaigns()
        self._campaigns = {campaign.key: campaign for campaign in campaigns}
        keys = {key for campaign in campaigns for key in campaign.trunk_keys}
        keys |= {live.job.trunk_key for live in self._live.values()}
        keys |= self._store.trunks.keys_to_register() | self._farewells.trunk_keys
        trunks = self._all_trunks = self._store.trunks.by_keys(sorted(keys)) if keys else {}
        self._trunks = {key: trunk for key, trunk in trunks.items() if trunk.problem is None}
        self._unusable = {key: trunk.problem for key, trunk in trunks.items() if trunk.problem is not None}
        self._hours.look(campaigns, self._clock.utcnow())
        self._destinations.look(campaigns, trunks)
        self._sounds.learn({campaign.sound_key: campaign.sound_path for campaign in campaigns})
        audible = [campaign for campaign in campaigns if campaign.sound_key in self._sounds]
        self._scheduler.update(audible, self._trunks, self._clock.monotonic())
        self._phones.update(self._wanting_phones())
        # Of these the campaigns' next trunk gets the calls; the claim itself looks once more.
        self._full = self._store.day_uses.full_trunks(self._trunks, self._clock.utcnow())
        self._dry.clear()
        self._is_hungry = bool(campaigns)

    def _enqueue(self) -> None:
        """Have jobs for the claims to come: so few rows a tick that no call waits for it, tick after tick."""
        if self._is_hungry and not self._ending.asked:
            queue = self._store.queue
            made = queue.enqueue_due(self._clock.utcnow(), ENQUEUED_ROWS, most_batches=ENQUEUED_BATCHES)
            self._is_hungry = made.is_more

    def _wanting_phones(self) -> dict[int, Trunk]:
        """All trunks but deleted ones: their calls under way keep the phones that they have. A deleted trunk on which a
        dead dialer left calls up has phones until these are hung up."""
        needed = self._farewells.trunk_keys
        return {key: trunk for key, trunk in self._trunks.items() if not trunk.deleted or key in needed}

    def _wake(self, trunk_key: int) -> None:
        if self._scheduler.wake(trunk_key):
            self._next_report = 0.0

    # -- dialing

    def _record_and_claim(self, now: float) -> list[ClaimedJob]:
        """Write what ended and claim what may start, as one commit.

        When the database fails, nothing is claimed, and what ended is kept and tried again.
        """
        # First, so that no campaign claims a number whose opt-out the database did not take before.
        self._keys.write_opt_outs()
        is_held = self._ending.asked or self._clock_steps.made_due
        skip = self._dry | self._hours.shut
        requests = [] if is_held else self._scheduler.requests(now, self._usable_phones(), skip=skip)
        utcnow = self._clock.utcnow()
        jobs = self._store.queue.record_and_claim(
            self._unrecorded,
            self._destinations.within(self._hours.within(requests)),
            self._instance,
            utcnow,
            admit,
            answered=self._dialogs.unkept,
        )
        # Only now may the ACKs leave: if this dialer is killed before the commit, the gateways repeat their 2xx to the
        # next one.
        self._dialogs.kept()
        self._unrecorded.clear()
        # A campaign with nothing due is not asked again before the next look.
        self._dry |= {request.campaign_key for request in requests} - {job.campaign_key for job in jobs}
        return jobs

    def _usable_phones(self) -> dict[int, int]:
        """Trunk -> calls that its phones can take; phones of a trunk that has become unusable linger for a while."""
        usable = self._phones.usable().items()
        return {key: calls for key, calls in usable if key in self._trunks and key not in self._full}

    def _dial(self, now: float, jobs: Sequence[ClaimedJob]) -> None:
        for job in jobs:
            self._start_call(job, now)
        if self._unstarted:
            not_before = self._clock.utcnow() + timedelta(seconds=CANCELLED_DELAY_S)
            self._store.queue.release(self._unstarted, not_before)
            self._unstarted.clear()

    def _start_call(self, job: ClaimedJob, now: float) -> None:
        campaign = self._campaigns[job.campaign_key]
        live = self._live[job.call_id] = LiveCall(job=job, campaign=campaign, pad=KeyPad(campaign.keys))
        self._scheduler.started(job, now)
        self._vitals.started()
        try:
            self._place_call(job, campaign)
        except Invalid as exc:
            logger.error("call %s to %s cannot be made: %s", job.call_id, job.number, exc)
            self._end_call(live, self._not_made(Cause.PROTOCOL_ERROR, str(exc)))
        # What this machine lacks for the moment is no fault of the number; what cannot be written as SIP never will be.
        except (PortsExhausted, MediaUnavailable, PhoneClosed) as exc:
            self._put_back(job, str(exc))
        except Exception:
            # Whatever is wrong with this call, hundreds of others are up.
            logger.exception("call %s to %s cannot be made by an error in the dialer", job.call_id, job.number)
            self._end_call(live, self._not_made(Cause.INTERNAL_ERROR, BROKEN))

    def _place_call(self, job: ClaimedJob, campaign: Campaign) -> None:
        sound, trunk = self._sounds[campaign.sound_key], self._trunks[job.trunk_key]
        plan = CallPlan(
            reference=job.call_id,
            sound_stem=sound.stem,
            sound_s=sound.duration_s,
            lead_in_ms=campaign.lead_in_ms,
            key_wait_s=campaign.waits_for_key_s,
            ring_timeout_s=campaign.ring_timeout_s,
            max_call_s=campaign.max_call_s,
            caller_id=campaign.caller_id,
            survives_failed_transfer=campaign.after_failed_transfer == "continue",
            keeps_dialog=True,
        )
        self._phones.call(trunk.key, dial_string(job.number, trunk.number_format), plan)
        logger.info("call %s to %s starts on trunk %s, attempt %d", job.call_id, job.number, trunk.name, job.attempt)

    def _put_back(self, job: ClaimedJob, why: str) -> None:
        """Nothing has left this machine, so the number has not been called."""
        logger.error("call %s to %s could not start and goes back to the queue: %s", job.call_id, job.number, why)
        del self._live[job.call_id]
        self._scheduler.unstarted(job)
        self._vitals.put_back()
        self._unstarted.append(job)

    def _not_made(self, cause: Cause, message: str) -> CallOutcome:
        """The outcome of a call of which nothing has left: it cannot be written as SIP, or we failed at it."""
        now = self._clock.utcnow()
        return CallOutcome(disposition=Disposition.FAILED, cause=cause, invited_at=now, ended_at=now, message=message)

    # -- what people see, and the end

    def _report(self, now: float) -> None:
        utcnow = self._clock.utcnow()
        problems, registrations = self._phones.problems(), self._phones.registrations()
        statuses = [
            complete(status, problems.get(status.trunk_key), registrations.get(status.trunk_key))
            for status in self._scheduler.statuses(now, utcnow)
            if status.trunk_key not in self._unusable
        ]
        statuses += [
            TrunkStatus(trunk_key=key, breaker_state=BreakerState.RESTING.value, breaker_cause=problem)
            for key, problem in self._unusable.items()
        ]
        # Without an fsync: what is shown is written again in a second.
        with self._store.transaction(durable=False):
            self._store.live.heartbeat(self._instance, os.getpid(), self._seen_of_itself())
            self._store.live.write_trunks(statuses)
            campaign_statuses = self._hours.statuses(self._scheduler.campaign_statuses(utcnow))
            self._store.live.write_campaigns(campaign_statuses)
        self._diaries.tell(self._campaigns, campaign_statuses, self._all_trunks, statuses)
        self._chores.want("bringing the log into the database", self._checkpoint)
        if self._store.queue.has_to_cancel(utcnow):
            self._chores.want("cancelling jobs", lambda: self._store.queue.cancel_some(self._clock.utcnow()))
        for campaign_id in [*self._store.queue.end_overdue(utcnow), *self._store.queue.finish_campaigns(utcnow)]:
            logger.info("campaign %s is finished", campaign_id)

    def _seen_of_itself(self) -> dict[str, Any]:
        return self._vitals.as_json(
            active_calls=len(self._live),
            media=self._phones.media_state,
            pacing=self._phones.media_pacing,
            busy=self._store.busy,
        )

    def _checkpoint(self) -> bool:
        """Beside the ticks: a tick whose commit makes a checkpoint waits for the disk for 100 ms and more."""
        self._store.checkpoint()
        return False

    def _tend_drain(self, now: float) -> None:
        if self._ending.begins(now):
            logger.info("draining: %d calls get %.0f s to finish", len(self._live), self._ending.drain_s)
        if self._ending.is_time_to_hang_up(now):
            self._phones.hang_up_all(HangUp.SHUTDOWN)

    def _has_ended(self) -> bool:
        if not self._ending.asked:
            return False
        if not self._live and not self._unrecorded and not self._unstarted:
            return True
        return self._ending.is_overdue(self._clock.monotonic(), patience_s=HANG_UP_S)


def run_dialer(settings: Settings) -> None:
    """Dial for this data folder until a signal or the parent's end. Raises AlreadyRunning for a second dialer."""
    lock = DataFolderLock(settings.data)
    # Before the migration: a second dialer must not change the tables under the first.
    lock.acquire(patience_s=HANDOVER_S)
    try:
        migrate(settings.url)
        clock = Clock()
        # FULL: a claim is on the disk before its INVITE leaves. After a power failure the number counts as called.
        store = Store(settings.url, secrets=Secrets(settings.keys), synchronous="FULL", checkpoints_apart=True)
        phones = PhonePool(
            sip_address=settings.sip_address,
            sip_port=settings.sip_port,
            rtp_ports=settings.rtp_ports,
            clock=clock,
            resolver=Resolver(closed=ClosedNetworks(settings.deny_networks, own=settings.sip_address)),
        )
        traces = TraceOutbox(store.traces, keep=settings.trace_calls, days=settings.trace_days)
        phones.on_trace = traces.put if settings.trace_calls else None
        dialer = Dialer(
            store,
            phones,
            traces,
            sounds_folder=settings.data,
            drain_s=settings.drain_s,
            clock=clock,
            room=calls_within(settings.rtp_ports),
        )

        def on_signal(_signum: int, _frame: FrameType | None) -> None:
            dialer.drain()

        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, on_signal)
        watch_parent(dialer.hurry)
        pause_rarely_for_garbage()
        try:
            dialer.run()
        finally:
            # After an error too: calls that are up get their BYE, and bindings are taken back.
            phones.stop()
            store.close()
    finally:
        lock.release()


def main() -> int:
    """Run dialing alone; its exit status."""
    try:
        settings = load_settings()
        start_logging(settings.log, "dialer", settings.log_format)
        run_dialer(settings)
    except (SettingsError, AlreadyRunning) as exc:
        sys.stderr.write(f"{exc}\n")
        return EXIT_CONFIG
    except Unavailable as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

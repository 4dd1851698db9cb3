"""One real phone with a real media process, and what it reports."""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from autodialer.media.shell import MediaDied, MediaEvent, MediaProcess
from autodialer.media.sound import import_sound
from autodialer.model import CallOutcome
from autodialer.phone.names import NameFinder
from autodialer.phone.plan import Account, CallEvent, CallPlan
from autodialer.phone.pyvoip.call import Call
from autodialer.phone.pyvoip.phone import Phone
from autodialer.phone.trace import CallTrace
from autodialer.sip.locate import Targets
from tests.peers.ports import free_port, wait_until
from tests.peers.sox import make_sweep
from tests.timing import at_most

Address = tuple[str, int]
LOCALHOST = "127.0.0.1"


@dataclass(kw_only=True)
class Desk:
    """A phone at work; a context manager. It checks at the end that nothing was left behind."""

    phone: Phone
    media: MediaProcess
    stem: Path
    """The imported sound without .wav, .alaw, .ulaw."""
    sound_s: float
    events: list[CallEvent] = field(default_factory=list)
    traces: list[CallTrace] = field(default_factory=list)

    @classmethod
    def make(
        cls,
        gateway: Address,
        folder: Path,
        *,
        sound: Path | None = None,
        sound_s: float = 1.0,
        codecs: Sequence[str] = ("PCMA", "PCMU"),
        username: str = "user",
        password: str = "secret",
        address: str = LOCALHOST,
        traced: bool = True,
        targets: Targets | None = None,
        names: NameFinder | None = None,
        **account_fields: Any,
    ) -> Self:
        """A phone for `gateway` with a sound: a sweep, or the file given. `address` is our own towards the gateway."""
        if sound is None:
            sound = folder / "sweep.wav"
            make_sweep(sound, seconds=sound_s)
        info = import_sound(sound, folder / "sound")
        events: list[CallEvent] = []
        traces: list[CallTrace] = []
        desks: list[Desk] = []

        def on_media(event: MediaEvent) -> None:
            if isinstance(event, MediaDied):
                desks[0].phone.media_died(event.played_frames)
            else:
                desks[0].phone.media_event(event)

        media = MediaProcess(on_media)
        given = {"domain": gateway[0], "caller_id": "74950000000", **account_fields}
        account = Account(auth_username=username, codecs=tuple(codecs), **given)
        phone = Phone(
            *gateway,
            username,
            password,
            address,
            sipPort=free_port(address),
            rtpPortLow=33000,
            rtpPortHigh=60000,
            account=account,
            media=media,
            on_event=events.append,
            on_trace=traces.append if traced else None,
            targets=targets,
            names=names,
        )
        desk = cls(
            phone=phone, media=media, stem=folder / "sound", sound_s=info.duration_s, events=events, traces=traces
        )
        desks.append(desk)
        return desk

    def __enter__(self) -> Self:
        self.media.start()
        self.phone.start()
        self._threads = threading.active_count()
        return self

    def __exit__(self, *_: object) -> None:
        self.phone.stop()
        self.media.stop()

    def call(
        self,
        number: str = "79160000000",
        *,
        ring_timeout_s: float = 20.0,
        max_call_s: float = 60.0,
        key_wait_s: float = 0.0,
        survives_failed_transfer: bool = True,
        reference: object = None,
    ) -> Call:
        """Call and return at once. Without a reference it is the number."""
        plan = CallPlan(
            reference=reference or number,
            sound_stem=str(self.stem),
            sound_s=self.sound_s,
            ring_timeout_s=ring_timeout_s,
            max_call_s=max_call_s,
            key_wait_s=key_wait_s,
            survives_failed_transfer=survives_failed_transfer,
        )
        started = time.monotonic()
        call = self.phone.call(number, plan)
        assert time.monotonic() - started < at_most(5.0)
        return call

    def wait_ready(self, *, timeout_s: float = 10.0) -> None:
        """Return once calls may leave."""
        wait_until(lambda: self.phone.ready, what="the phone to be ready", timeout_s=timeout_s)

    def outcome(self, call: Call, *, timeout_s: float = 40.0) -> CallOutcome:
        """How the call ended; everything it held has been given back, and no error was logged."""
        wait_until(lambda: call.outcome is not None, what="the outcome", timeout_s=timeout_s)
        assert call.outcome
        kept = 1 if self.phone.sip.account.shared_media_port else 0
        wait_until(
            lambda: not self.phone.calls and len(self.phone.assignedPorts) == kept, what="the port to be given back"
        )
        told = [event.outcome for event in self.events if event.outcome and event.reference == call.plan.reference]
        assert told == [call.outcome]
        assert threading.active_count() <= self._threads
        return call.outcome


class NoErrors(logging.Handler):
    """Collects what is logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

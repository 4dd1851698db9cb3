"""Runs checks of trunks beside the dialing: each in a thread of its own, with a phone of its own for the test call."""

import dataclasses
import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path

from autodialer.errors import PhoneClosed, PortsExhausted
from autodialer.media.shell.importing import import_apart
from autodialer.model import CallOutcome, Cause, CheckResult, CheckStage, Disposition, Trunk
from autodialer.phone.checks.check import TrunkCheck
from autodialer.phone.hang_up import HangUp
from autodialer.phone.plan import CallPlan
from autodialer.phone.pool import PhonePool
from autodialer.phone.provider import Provider
from autodialer.phone.pyvoip.call import Call
from autodialer.phone.pyvoip.phone import Phone

logger = logging.getLogger(__name__)

READY_S = 15.0
"""For the phone of a test call to register."""
RING_S = 30.0
CALL_S = 15.0
"""The sound of a test call takes less."""
CHECKS_TOGETHER = 4
"""Threads; further checks wait for their turn."""


class TrunkChecks:
    """Starts checks and hands on what they find."""

    def __init__(
        self,
        phones: PhonePool,
        *,
        sample: Path,
        folder: Path,
        place: Callable[[Trunk], AbstractContextManager[None]],
    ) -> None:
        """`sample` is the recording that a test call plays, encoded into `folder` when it is first needed.

        `place` waits for room for a test call among the other calls of its trunk and holds it; it raises TrunkBusy.
        """
        self._place = place
        self._phones = phones
        self._sample = sample
        self._stem = folder / "check"
        self._sound_s = 0.0
        self._lock = threading.Lock()
        self._free = threading.Semaphore(CHECKS_TOGETHER)

    def start(self, trunk: Trunk, number: str | None, record: Callable[[CheckResult], None]) -> None:
        """Check `trunk`, with a call to `number` as it is dialled (None: without), and have `record` called.

        Used by the pool's thread; `record` is called in another one.
        """
        if number is not None:
            # Here, because the pool belongs to this thread; without
            # running campaigns there may be no media process yet.
            self._phones.want_media()

        def run() -> None:
            with self._free:
                try:
                    result = self._check(trunk, number)
                except Exception:
                    logger.exception("the check of trunk %s failed by itself", trunk.name)
                    result = _broken("The check failed by itself; the log of the dialer says why.")
                record(result)

        threading.Thread(target=run, name=f"check {trunk.name}", daemon=True).start()

    def _check(self, trunk: Trunk, number: str | None) -> CheckResult:
        def call(provider: Provider, *, media_encryption: str, silence_s: float | None) -> CallOutcome:
            assert number is not None
            return self._call(trunk, provider, number, media_encryption, silence_s)

        check = TrunkCheck(
            trunk,
            resolver=self._phones.names,
            address_for=self._phones.local_address,
            sip_port=self._phones.sip_port,
            call=call if number is not None else None,
            nonces=self._phones.nonces_of(trunk),
            families=self._phones.families(),
        )
        try:
            return check.run()
        except PortsExhausted as exc:
            return _broken(str(exc))

    def _call(
        self, trunk: Trunk, provider: Provider, number: str, media_encryption: str, silence_s: float | None
    ) -> CallOutcome:
        """One short call. A registered trunk calls by the phone that is registered, others by one of their own.

        So does a call with another `media_encryption` than the trunk's, and it does not register: that would take the
        provider's calls away from the phone that did.
        """
        self._encode_sample()
        plan = CallPlan(
            reference=object(),
            sound_stem=str(self._stem),
            sound_s=self._sound_s,
            ring_timeout_s=RING_S,
            max_call_s=CALL_S,
        )
        own = media_encryption == trunk.media_encryption
        guest = trunk if own else dataclasses.replace(trunk, media_encryption=media_encryption, register=False)
        with ExitStack() as held:
            phone = self._phones.registered_phone(trunk) if own else None
            if phone is None:
                phone = held.enter_context(self._phones.guest(guest, provider))
                _wait_until_ready(phone)
            # After the phone is ready: a registration that takes seconds must not hold a channel of the campaigns.
            held.enter_context(self._place(trunk))
            call = phone.call(number, plan)
            outcome = _wait_for(call, silence_s)
            if outcome is not None:
                return outcome
            # The verdict need not wait, but phone and channel stay: a late answer must still be hung up.
            call.hangup(HangUp.CHECK_SILENT)
            threading.Thread(target=_see_off, args=(call, held.pop_all()), name="check call", daemon=True).start()
        now = phone.utcnow()
        return CallOutcome(disposition=Disposition.FAILED, cause=Cause.NO_RESPONSE, invited_at=now, ended_at=now)

    def _encode_sample(self) -> None:
        with self._lock:
            if not self._sound_s:
                self._stem.parent.mkdir(parents=True, exist_ok=True)
                # In a process of its own, or the dialer would carry the libraries of imports from then on.
                self._sound_s = import_apart(self._sample, self._stem).duration_s


def _wait_until_ready(phone: Phone) -> None:
    deadline = time.monotonic() + READY_S
    while not phone.ready:
        if time.monotonic() >= deadline:
            raise PhoneClosed(phone.registration.message or "the provider has not answered the registration")
        time.sleep(0.05)


def _wait_for(call: Call, silence_s: float | None) -> CallOutcome | None:
    """How the call ended; None when nothing has been heard of it for so long. Raises PhoneClosed."""
    # Timer B, the ring timeout after it, and 64*T1 for a CANCEL that is not answered.
    longest_s = 32.0 + RING_S + CALL_S + 32.0
    began = time.monotonic()
    while not call.over and (waited_s := time.monotonic() - began) < longest_s:
        if silence_s is not None and waited_s >= silence_s and not call.heard:
            return None
        time.sleep(0.05)
    if call.outcome is None:
        raise PhoneClosed("the call did not start, or did not end")
    return call.outcome


def _see_off(call: Call, held: ExitStack) -> None:
    """Wait for the end of a call that was given up, then let go of what it needed."""
    with held, suppress(PhoneClosed):
        _wait_for(call, None)


def _broken(verdict: str) -> CheckResult:
    return CheckResult(
        ok=False, stage=CheckStage.DNS, sip_code=None, reason=None, verdict=verdict, public_address=None, rtt_ms=None
    )

"""Tries a trunk step by step, and says in plain words what is wrong with it.

A check has SIP sockets of its own and changes nothing at the provider: REGISTER is sent without a Contact, which only
asks what is registered. It blocks: run it in a thread.
"""

import queue
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol, TypeVar

from autodialer.errors import HostUnresolved, Invalid, MediaUnavailable, PhoneClosed, PortsExhausted, TrunkBusy
from autodialer.model import CallOutcome, Cause, CheckResult, CheckStage, Disposition, Trunk
from autodialer.phone.checks import verdicts
from autodialer.phone.foreign_caller import foreign_caller
from autodialer.phone.plan import Account
from autodialer.phone.provider import Provider, account_for, find_provider
from autodialer.phone.reach import may_be_translated
from autodialer.phone.resolver import Resolver
from autodialer.sip.events import AddressDiscovered, Event, ProbeEnded
from autodialer.sip.hop import TCP, UDP, Hop
from autodialer.sip.invite import sip_uri
from autodialer.sip.nonces import Nonces
from autodialer.sip.probe import ProbeRequest
from autodialer.sip.shell import SipLoop

ANSWER_S = 5.0
"""A server that has not answered by then has been asked five times."""
STUN_S = 8.0
"""The SIP core asks a STUN server four times, and gives it up after 7.5 s."""
SILENCE_S = 10.0
"""The same of an INVITE. Timer B takes 32 s (RFC 3261 section 17.1.1.2), and a proxy before the API often gives up on a
request after 60 s: the user would never read the verdict."""
_NO_REGISTRAR = (404, 405, 481, 501)
"""Answers to REGISTER of a gateway that needs none."""

E = TypeVar("E")

_NOT_STARTED = (Invalid, MediaUnavailable, PhoneClosed, PortsExhausted, TrunkBusy)
_GOT_THROUGH = (Disposition.ANSWERED, Disposition.BUSY, Disposition.NO_ANSWER, Disposition.REJECTED)
_REFUSED_UNRUNG = (415, 488, 606)
"""The offered media were refused before a phone rang."""


class CallOnce(Protocol):
    """Makes one short call over the trunk."""

    def __call__(self, provider: Provider, *, media_encryption: str, silence_s: float | None) -> CallOutcome:
        """How it ended; no response for so long is an end (None: the INVITE's own timer decides).

        It offers what `media_encryption` says. Raises as `Phone.call` when nothing could leave.
        """


def clock_ahead_s(date: str | None, now: datetime, round_trip_s: float | None) -> float | None:
    """By how much a clock that says `now` is ahead of the clock of a peer whose answer, just come, has this Date.

    RFC 3261 section 20.17: seconds without a fraction, so that the peer's clock is half a second further on average.
    None without a date that can be read.
    """
    try:
        told = parsedate_to_datetime(date or "")
    except ValueError:
        return None
    if told.tzinfo is None:
        return None
    return (now - told).total_seconds() - 0.5 - (round_trip_s or 0.0) / 2


class TrunkCheck:
    """One check of one trunk."""

    def __init__(
        self,
        trunk: Trunk,
        *,
        resolver: Resolver,
        address_for: Callable[[Provider], str],
        sip_port: int,
        call: CallOnce | None,
        nonces: Nonces | None = None,
        families: Sequence[int] = (4, 6),
    ) -> None:
        """`address_for` gives our local address towards the provider; `call`: None without a number to call.

        `nonces` are those of the trunk's phones, None: it has none; `families` of addresses are tried in this order.
        """
        self._nonces = nonces
        self._families = families
        self._trunk = trunk
        self._resolver = resolver
        self._address_for = address_for
        self._sip_port = sip_port
        self._call = call
        self._events: queue.Queue[Event] = queue.Queue()
        self._public_address: str | None = None
        self._rtt_ms: float | None = None
        self._notes: list[str] = []
        self.clock_ahead_s: float | None = None
        """By how much our clock is ahead of the provider's, to a second or so; None: it told no Date."""

    def run(self) -> CheckResult:
        """Try it; takes seconds, and as long as the call lasts."""
        try:
            provider = find_provider(self._trunk, self._resolver, self._families)
        except HostUnresolved as exc:
            return self._result(CheckStage.DNS, verdicts.unresolved(exc), ok=False)
        try:
            local = self._address_for(provider)
        except OSError as exc:
            return self._result(CheckStage.CONNECT, verdicts.no_route(provider.targets[0], exc), ok=False)
        account = account_for(self._trunk, provider, self._nonces)
        with self._loop(local, account) as loop:
            failure = self._try_signalling(loop, local, provider, account)
        if failure is not None:
            return failure
        if self._call is None:
            return self._signalling_works()
        behind_nat = may_be_translated(local, provider.targets[0].host)
        result = self._try_call(provider, account, behind_nat=behind_nat)
        if result is not None:
            return result
        with self._loop(local, account) as loop:
            return self._explain_silence(loop, local, provider.targets[0], account, stage=CheckStage.CALL)

    @contextmanager
    def _loop(self, local: str, account: Account) -> Iterator[SipLoop]:
        loop = SipLoop(
            host=local,
            port=self._sip_port,
            on_event=self._events.put,
            tls=account.tls,
            nonces=account.nonces,
            name="check",
        )
        loop.start()
        try:
            yield loop
        finally:
            loop.stop(0.0)

    def _result(
        self, stage: CheckStage, verdict: str, *, ok: bool, code: int | None = None, reason: str | None = None
    ) -> CheckResult:
        return CheckResult(
            ok=ok,
            stage=stage,
            sip_code=code,
            reason=reason,
            verdict=" ".join((verdict, *self._notes)),
            public_address=self._public_address,
            rtt_ms=self._rtt_ms,
        )

    # Signalling.

    def _try_signalling(self, loop: SipLoop, local: str, provider: Provider, account: Account) -> CheckResult | None:
        """STUN, OPTIONS, REGISTER. None: all is well so far."""
        if account.stun_server is not None and not self._discover(loop, Hop(*account.stun_server)):
            self._notes.append(verdicts.stun_silent(account.stun_server))
        hop = provider.targets[0]
        options = self._probe(loop, "OPTIONS", hop, account)
        if options.failure == "unreachable":
            return self._result(CheckStage.CONNECT, verdicts.unreachable(options), ok=False)
        self._options = options
        self._register: ProbeEnded | None = None
        # Also where the trunk does not register: the answer shows whether the password is right.
        if self._trunk.register or self._trunk.password:
            self._register = self._probe(loop, "REGISTER", hop, account)
        if options.code is None:
            # Many gateways drop OPTIONS of peers that are not registered, and take their calls: it proves nothing.
            self._notes.append(verdicts.OPTIONS_IGNORED)
        if self._answered or (self._call is not None and not self._trunk.register):
            return self._judge_registration()
        return self._explain_silence(loop, local, hop, account, stage=CheckStage.OPTIONS)

    @property
    def _answered(self) -> bool:
        """Whether the provider has answered any question."""
        return self._options.code is not None or (self._register is not None and self._register.code is not None)

    def _discover(self, loop: SipLoop, server: Hop) -> bool:
        """Ask the STUN server; whether it answered."""
        loop.run(lambda user_agent, now: user_agent.discover_address(server, now))
        event = self._wait(AddressDiscovered, STUN_S)
        return event is not None and event.address is not None

    def _probe(self, loop: SipLoop, method: str, hop: Hop, account: Account) -> ProbeEnded:
        user = self._trunk.username or account.caller_id
        request = ProbeRequest(
            method=method,
            hop=hop,
            target=sip_uri("", account.domain),
            from_uri=sip_uri(user, account.domain),
            route=account.route,
            credentials=(account.auth_username, self._trunk.password) if self._trunk.password else None,
            give_up_s=ANSWER_S,
        )
        loop.run(lambda user_agent, now: user_agent.probe(request, now))
        # The core gives up at ANSWER_S; the rest is for a machine that is busy.
        ended = self._wait(ProbeEnded, ANSWER_S + 5.0)
        assert ended is not None
        if ended.round_trip_s is not None:
            self._rtt_ms = self._rtt_ms or round(ended.round_trip_s * 1000, 1)
        if self.clock_ahead_s is None:
            self.clock_ahead_s = clock_ahead_s(ended.date, datetime.now(UTC), ended.round_trip_s)
        if ended.public_address is not None:
            self._public_address = "{}:{}".format(*ended.public_address)
        return ended

    def _wait(self, kind: type[E], limit_s: float) -> E | None:
        """The next event of a kind."""
        while True:
            try:
                event = self._events.get(timeout=limit_s)
            except queue.Empty:
                return None
            if isinstance(event, kind):
                return event

    def _explain_silence(
        self, loop: SipLoop, local: str, hop: Hop, account: Account, *, stage: CheckStage
    ) -> CheckResult:
        """Nothing came back at all: perhaps the answers do not find their way. `stage` is how far the check went."""
        # The verdict says more than the note.
        self._notes.remove(verdicts.OPTIONS_IGNORED)
        behind_nat = may_be_translated(local, hop.host)
        if hop.transport == UDP:
            # Nothing but the transport is another: an answer now shows that the silence is UDP's.
            by_tcp = self._probe(loop, "OPTIONS", hop._replace(transport=TCP), account)
            if by_tcp.code is not None:
                verdict = verdicts.only_by_tcp(hop, behind_nat=behind_nat)
                return self._result(CheckStage.OPTIONS, verdict, ok=False, code=by_tcp.code, reason=by_tcp.reason)
        verdict = verdicts.silent(hop, behind_nat=behind_nat, called=stage is CheckStage.CALL)
        return self._result(stage, verdict, ok=False)

    def _judge_registration(self) -> CheckResult | None:
        answer = self._register
        if answer is None or (answer.code is None and not self._trunk.register):
            return None
        code = answer.code
        if code is None:
            return self._result(CheckStage.REGISTER, verdicts.REGISTRAR_SILENT, ok=False)
        if code < 300 or (code in _NO_REGISTRAR and not self._trunk.register):
            return None
        if self._call is not None and not self._trunk.register:
            # Dialing would not register either, so only the call can say whether the refusal matters.
            self._notes.append(verdicts.unwanted_registration_refused(code, answer.reason))
            return None
        verdict = verdicts.registration_refused(code, answer.reason, has_password=bool(self._trunk.password))
        return self._result(CheckStage.REGISTER, verdict, ok=False, code=code, reason=answer.reason)

    def _signalling_works(self) -> CheckResult:
        last = self._register if self._register is not None and self._register.code is not None else self._options
        stage = CheckStage.REGISTER if last is self._register else CheckStage.OPTIONS
        verdict = verdicts.signalling_works(registered=stage is CheckStage.REGISTER and (last.code or 0) < 300)
        return self._result(stage, verdict, ok=True, code=last.code, reason=last.reason)

    # The call.

    def _try_call(self, provider: Provider, account: Account, *, behind_nat: bool) -> CheckResult | None:
        """What the call shows. None: it met the same silence as the questions before it."""
        assert self._call is not None
        try:
            # A provider that has answered a question gets all the time that a call gives it.
            silence_s = None if self._answered else SILENCE_S
            outcome = self._call(provider, media_encryption=self._trunk.media_encryption, silence_s=silence_s)
        except _NOT_STARTED as exc:
            return self._result(CheckStage.CALL, verdicts.could_not_call(exc), ok=False)
        if outcome.cause is Cause.NO_RESPONSE and not self._answered:
            return None
        known = self._register is not None and (self._register.code or 999) < 300
        offered = verdicts.OfferedMedia(
            encryption=self._trunk.media_encryption,
            tls=account.tls is not None,
            other_works=self._works_otherwise(provider, outcome, account),
        )
        judged = verdicts.of_call(
            outcome,
            registers=self._trunk.register,
            registrar_knows_us=known,
            has_password=bool(self._trunk.password),
            foreign=foreign_caller(
                account.caller_id,
                caller_id_header=account.caller_id_header,
                username=self._trunk.username,
                auth_username=account.auth_username,
                login_proved=known,
            ),
            offered=offered,
            behind_nat=behind_nat,
        )
        return self._result(
            CheckStage.CALL, judged.verdict, ok=judged.ok, code=outcome.sip_code, reason=outcome.sip_reason
        )

    def _works_otherwise(self, provider: Provider, outcome: CallOutcome, account: Account) -> bool:
        """Whether a call gets through that is encrypted where this one was plain, or plain where it was encrypted.

        Codecs and encryption are refused with the same codes, and only a second call tells them apart.
        """
        other = {"none": "required", "required": "none"}.get(self._trunk.media_encryption)
        if outcome.sip_code not in _REFUSED_UNRUNG or other is None or account.tls is None or self._call is None:
            return False
        try:
            second = self._call(provider, media_encryption=other, silence_s=None)
        except _NOT_STARTED:
            return False
        return second.disposition in _GOT_THROUGH

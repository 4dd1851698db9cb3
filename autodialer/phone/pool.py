"""The phones of all trunks and the media process they share: one phone a trunk for each 250 channels."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from autodialer.clock import Clock
from autodialer.errors import HostUnresolved, MediaUnavailable, PhoneClosed, PortsExhausted
from autodialer.media.shell import MediaDied, MediaEvent, MediaProcess
from autodialer.model import MediaState, Trunk
from autodialer.phone.names import NameFinder
from autodialer.phone.plan import CallEvent, CallPlan
from autodialer.phone.provider import Provider, account_for, address_towards, families_here, find_provider
from autodialer.phone.pyvoip.call import Call
from autodialer.phone.pyvoip.phone import Phone
from autodialer.phone.reach import Registered
from autodialer.phone.resolver import Resolver
from autodialer.phone.trace import CallTrace
from autodialer.phone.trunk_phones import TrunkPhones, phones_needed
from autodialer.sip.locate import Targets
from autodialer.sip.nonces import Nonces

logger = logging.getLogger(__name__)

SHORTEST_TTL_S = 30.0
"""Names are not looked up more often, whatever their TTL says."""
LINGER_S = 40.0
"""After the last call of phones that are no longer wanted: longer than a gateway re-sends (64*T1 = 32 s)."""
RETRY_S = 5.0
"""After a trunk's phones or the media process could not start, or died."""


class PhonePool:
    """Starts, changes and ends phones as the trunks say. Used by one thread; events come from the phones' threads."""

    def __init__(
        self,
        *,
        sip_address: str | None,
        sip_port: int,
        rtp_ports: tuple[int, int],
        clock: Clock,
        resolver: Resolver | None = None,
    ) -> None:
        self.on_event: Callable[[CallEvent], None] = lambda _event: None
        """Called with every event of every call, from the phones' threads."""
        self.on_trace: Callable[[CallTrace], None] | None = None
        """Called with the SIP messages of calls, from the phones' threads; None: they are not kept."""
        self._sip_address = sip_address
        self.sip_port = sip_port
        """First to try for a new phone."""
        self._guests: list[Phone] = []
        self._stopping: list[threading.Thread] = []
        self._rtp_ports = rtp_ports
        self._clock = clock
        self._media: MediaProcess | None = None
        self._media_retry_at = 0.0
        self._media_was_wanted = False
        self._by_trunk: dict[int, TrunkPhones] = {}
        self._retired: list[TrunkPhones] = []
        self._problems: dict[int, str] = {}
        self._retry_at: dict[int, float] = {}
        self._resolver = ThreadPoolExecutor(max_workers=2, thread_name_prefix="resolver")
        self._lookups: dict[tuple[object, ...], Future[Provider]] = {}
        self.names = resolver or Resolver()
        self._name_finder = NameFinder(self.names)
        self._nonces: dict[int, Nonces] = {}
        """By trunk. They outlive its phones, because the provider's nonces do."""
        self._calls: dict[object, Call] = {}
        self._lock = threading.Lock()

    def update(self, trunks: Mapping[int, Trunk]) -> None:
        """Have phones for these trunks, with their present settings.

        Those of other trunks take their registration back at once, and end a while after their last call.
        """
        # A service without a trunk needs no media process either.
        if not trunks and not self._by_trunk and not self._retired:
            self._media_was_wanted = False
            return
        self._revive_media()
        for key, trunk in trunks.items():
            present = self._by_trunk.get(key)
            if present and not present.serves(trunk):
                self._retire(self._by_trunk.pop(key))
                present = None
            if present:
                self._look_again(present)
            else:
                self._start(trunk)
        for key in [key for key, phones in self._by_trunk.items() if key not in trunks and phones.trunk.register]:
            # Deleted: its registrar must not keep a binding. Phones that do not register may be wanted again soon.
            self._retire(self._by_trunk.pop(key))
        self._end_unused(trunks)

    def _end_unused(self, trunks: Mapping[int, Trunk]) -> None:
        """Phones that nobody wants end a while after their last call, so that what is re-sent still gets its answer."""
        now = self._clock.monotonic()
        wanted = [self._by_trunk[key] for key in trunks if key in self._by_trunk]
        for phones in [*self._by_trunk.values(), *self._retired]:
            if phones in wanted or phones.calls:
                phones.unused_since = None
            elif phones.unused_since is None:
                phones.unused_since = now
            elif now - phones.unused_since > LINGER_S:
                self._stop(phones)
                phones.phones.clear()
        self._by_trunk = {key: phones for key, phones in self._by_trunk.items() if phones.phones}
        self._retired = [phones for phones in self._retired if phones.phones]

    def usable(self) -> dict[int, int]:
        """Trunk key -> calls that its phones can take now; a trunk that cannot call is absent."""
        if not self._media or not self._media.alive:
            return {}
        return {key: free for key, phones in self._by_trunk.items() if (free := phones.free) > 0}

    def registrations(self) -> dict[int, Registered]:
        """Trunk key -> how its registration stands, of trunks that have phones."""
        return {key: phones.registration for key, phones in self._by_trunk.items()}

    def problems(self) -> dict[int, str]:
        """Trunk key -> why it has no phone, a sentence for a person."""
        return dict(self._problems)

    @property
    def media_pid(self) -> int | None:
        """Process id of the media process; None while it is not running."""
        return self._media.pid if self._media else None

    @property
    def media_state(self) -> MediaState:
        """Whether the media process is there; it is not before a trunk is wanted."""
        if self._media is not None and self._media.alive:
            return MediaState.RUNNING
        return MediaState.DOWN if self._media_was_wanted else MediaState.NOT_WANTED

    @property
    def media_pacing(self) -> dict[str, Any]:
        """How late packets have left since the media process started, see `Lateness.as_json`; empty: none has."""
        return self._media.pacing if self._media is not None else {}

    def sip_ports(self, trunk_key: int) -> list[int]:
        """The UDP ports of the trunk's phones."""
        phones = self._by_trunk.get(trunk_key)
        return [phone.sip.myPort for phone in phones.phones] if phones else []

    def call(self, trunk_key: int, number: str, plan: CallPlan) -> None:
        """Call over the least busy phone of the trunk. Raises as `Phone.call` when nothing could leave."""
        assert self._media
        ready = self.ready_phones(trunk_key)
        if not ready:
            raise PhoneClosed("the trunk's phones are not ready")
        call = min(ready, key=lambda phone: len(phone.calls)).call(number, plan)
        with self._lock:
            # The phone's thread may have ended the call already: entered now, it would stay in the book for ever.
            if not call.over:
                self._calls[plan.reference] = call

    def ready_phones(self, trunk_key: int) -> list[Phone]:
        """The trunk's phones that may talk to the provider."""
        phones = self._by_trunk.get(trunk_key)
        return [phone for phone in phones.phones if phone.ready] if phones else []

    def acknowledge(self, references: Iterable[object]) -> None:
        """The dialogs of these calls are written down: let their ACKs leave."""
        for reference in references:
            if call := self.find(reference):
                call.acknowledge()

    def find(self, reference: object) -> Call | None:
        """The call of that reference, if it is under way."""
        with self._lock:
            return self._calls.get(reference)

    def hang_up(self, reference: object, why: str) -> None:
        """CANCEL or BYE the call of that reference, if it is under way; `why` is a sentence for its record."""
        call = self.find(reference)
        if call:
            call.hangup(why)

    def hang_up_all(self, why: str) -> None:
        """CANCEL or BYE every call; `why` is a sentence for their records."""
        with self._lock:
            calls = list(self._calls.values())
        for call in calls:
            call.hangup(why)

    def show_trace(self, call_id: UUID) -> None:
        """Have `on_trace` called with the messages so far of a call that is under way or has just ended."""
        for phones in [*self._by_trunk.values(), *self._retired]:
            for phone in phones.phones:
                phone.show_trace(call_id)

    # -- checks

    def want_media(self) -> None:
        """Start the media process unless it is running."""
        self._revive_media()

    def local_address(self, provider: Provider) -> str:
        """Ours towards the provider. Raises OSError when there is no route."""
        first = provider.targets[0]
        return self._sip_address or address_towards(first.host, first.port)

    def families(self) -> tuple[int, ...]:
        """The families of addresses that calls may use, 4 and 6, the better first. From any thread."""
        return families_here(self._sip_address)

    def nonces_of(self, trunk: Trunk) -> Nonces:
        """What the trunk's servers were told by any of its phones. From any thread."""
        with self._lock:
            return self._nonces.setdefault(trunk.key, Nonces())

    def registered_phone(self, trunk: Trunk) -> Phone | None:
        """A phone of the trunk that is registered, None without one. From any thread."""
        phones = self._by_trunk.get(trunk.key)
        if phones is None or not trunk.register or not phones.serves(trunk):
            return None
        return next((phone for phone in phones.phones if phone.ready), None)

    @contextmanager
    def guest(self, trunk: Trunk, provider: Provider) -> Iterator[Phone]:
        """A phone of the trunk for a while, beside those that dial. From any thread. Raises MediaUnavailable."""
        if self._media is None:
            raise MediaUnavailable
        phone = self._make_phone(trunk, provider, self._media)
        self._guests.append(phone)
        try:
            phone.start()
            yield phone
        finally:
            phone.stop()
            self._guests.remove(phone)

    def stop(self) -> None:
        """End every phone and the media process. Idempotent."""
        for phones in [*self._by_trunk.values(), *self._retired]:
            self._stop(phones)
        self._by_trunk.clear()
        self._retired.clear()
        for thread in self._stopping:
            thread.join()
        self._resolver.shutdown(wait=False, cancel_futures=True)
        self._name_finder.close()
        if self._media:
            self._media.stop()
            self._media = None

    # -- phones

    def _start(self, trunk: Trunk) -> None:
        """Resolve the host without making the other trunks wait, then start the phones."""
        now = self._clock.monotonic()
        if not self._media or now < self._retry_at.get(trunk.key, 0.0):
            return
        lookup = self._look_up(trunk)
        if lookup is None:
            return
        phones = TrunkPhones(trunk=trunk)
        try:
            self._start_phones(phones, lookup.result(), self._media)
        except (HostUnresolved, PortsExhausted, OSError) as exc:
            self._stop(phones)
            self._problems[trunk.key] = f"Trunk {trunk.name} cannot start: {exc}"
            self._retry_at[trunk.key] = now + RETRY_S
            logger.error("trunk %s cannot start: %s", trunk.name, exc)
            return
        self._problems.pop(trunk.key, None)
        self._by_trunk[trunk.key] = phones

    def _look_up(self, trunk: Trunk) -> Future[Provider] | None:
        """The look-up of the trunk's names when it is done; None while it is under way."""
        # All that the answer depends on, so that a trunk changed meanwhile gets a look-up of its own.
        asked = (trunk.key, trunk.host, trunk.port, trunk.transport, trunk.outbound_proxy, trunk.stun_server)
        lookup = self._lookups.get(asked)
        if lookup is None:
            self._lookups[asked] = self._resolver.submit(find_provider, trunk, self.names, self.families())
        elif lookup.done():
            return self._lookups.pop(asked)
        return None

    def _look_again(self, phones: TrunkPhones) -> None:
        """Names are looked up again when their time has come; phones go on with the old addresses meanwhile."""
        now = self._clock.monotonic()
        if now < phones.look_again_at:
            return
        lookup = self._look_up(phones.trunk)
        if lookup is None:
            return
        try:
            provider = lookup.result()
        except HostUnresolved as exc:
            logger.warning("trunk %s: %s; it goes on with what was known", phones.trunk.name, exc)
            # A name server that is away must not end what works by the addresses of before.
            phones.look_again_at = now + SHORTEST_TTL_S
            return
        phones.look_again_at = now + max(provider.ttl_s, SHORTEST_TTL_S)
        for phone in phones.phones:
            phone.use_targets(provider.targets)

    def _start_phones(self, phones: TrunkPhones, provider: Provider, media: MediaProcess) -> None:
        trunk = phones.trunk
        first = provider.targets[0]
        my_address = self.local_address(provider)
        for _ in range(phones_needed(trunk)):
            phone = self._make_phone(trunk, provider, media)
            phone.start()
            phones.phones.append(phone)
        phones.look_again_at = self._clock.monotonic() + max(provider.ttl_s, SHORTEST_TTL_S)
        ports = [phone.sip.myPort for phone in phones.phones]
        logger.info("trunk %s calls %s from %s, ports %s", trunk.name, first, my_address, ports)

    def _make_phone(self, trunk: Trunk, provider: Provider, media: MediaProcess) -> Phone:
        low, high = self._rtp_ports
        return Phone(
            *provider.targets[0].address,
            trunk.username,
            trunk.password,
            self.local_address(provider),
            sipPort=self.sip_port,
            rtpPortLow=low,
            rtpPortHigh=high,
            account=account_for(trunk, provider, self.nonces_of(trunk)),
            media=media,
            on_event=self._on_call_event,
            targets=Targets(provider.targets),
            names=self._name_finder,
            clock=self._clock,
            on_trace=self.on_trace,
        )

    def _retire(self, phones: TrunkPhones) -> None:
        """They make no new calls; a registration of theirs would stand in the way of the new phones'."""
        self._retired.append(phones)
        for phone in phones.phones:
            phone.retire()

    def _stop(self, phones: TrunkPhones) -> None:
        """End them, each in a thread: a registrar that does not answer the farewell holds up nobody."""
        self._stopping = [thread for thread in self._stopping if thread.is_alive()]
        for phone in phones.phones:
            thread = threading.Thread(target=phone.stop, name="phone stop", daemon=True)
            thread.start()
            self._stopping.append(thread)

    def _on_call_event(self, event: CallEvent) -> None:
        if event.outcome or event.unstarted:
            with self._lock:
                self._calls.pop(event.reference, None)
        self.on_event(event)

    # -- media

    def _revive_media(self) -> None:
        if self._media and self._media.alive:
            return
        self._media_was_wanted = True
        now = self._clock.monotonic()
        if now < self._media_retry_at:
            return
        # Before the start: a process that dies at once must not be tried again at every tick.
        self._media_retry_at = now + RETRY_S
        media = MediaProcess(self._on_media_event)
        try:
            media.start()
        except MediaUnavailable as exc:
            logger.error("the media process cannot start: %s", exc)
            return
        if self._media:
            # Only once there is another: phones hold the old one until then, and its calls have ended with it.
            self._media.stop()
        self._media = media
        for phones in [*self._by_trunk.values(), *self._retired]:
            for phone in phones.phones:
                phone.media = media

    def _on_media_event(self, event: MediaEvent) -> None:
        groups = [*self._by_trunk.values(), *self._retired]
        phones = [*(phone for group in groups for phone in group.phones), *self._guests]
        if isinstance(event, MediaDied):
            for phone in phones:
                phone.media_died(event.played_frames)
            return
        for phone in phones:
            if event.session_id in phone.calls:
                phone.media_event(event)
                return

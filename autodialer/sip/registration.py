"""Registration of our Contact with a provider (RFC 3261 section 10, RFC 3608): one binding, kept until taken back."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from autodialer.sip.auth import Authenticator
from autodialer.sip.capabilities import ALLOW, SUPPORTED
from autodialer.sip.events import RegistrationChanged, RegistrationStanding
from autodialer.sip.fields import parse_name_addr, parse_uri, pause_asked_for
from autodialer.sip.hop import Hop, routes_over
from autodialer.sip.invite import new_call_id
from autodialer.sip.message import Response
from autodialer.sip.outgoing import OutgoingRequest
from autodialer.sip.stack import Stack
from autodialer.sip.timers import Timer
from autodialer.sip.transaction import ClientTransaction, NonInviteClient

logger = logging.getLogger(__name__)

_ROUND_TRIP_S = 35.0
"""Left before a binding expires for a refresh that has to be sent again up to 64*T1."""
_BRIEF_TRIES = 3
"""REGISTERs sent again because the interval was too brief (423); a registrar may want a longer one each time."""
_SENTENCES = {
    401: "The provider refuses the login or password.",
    403: "The provider forbids this account to register.",
    404: "The provider does not know this account.",
    407: "The provider refuses the login or password.",
}
_SILENT = "The provider's registrar does not answer."


class RegistrationState(StrEnum):
    """What the registration waits for."""

    REGISTERING = "Registering"
    """The answer to the first REGISTER; the registrar does not know us."""
    REGISTERED = "Registered"
    """The time to refresh."""
    REFRESHING = "Refreshing"
    """The answer to a refresh; the registrar still knows us."""
    WAITING = "Waiting"
    """The time to try again: the registrar refused, or was silent for longer than it knew us."""
    UNREGISTERING = "Unregistering"
    """The answer to the REGISTER that takes our binding back."""
    TERMINATED = "Terminated"
    """Nothing."""


_S = RegistrationState
TIMERS: Mapping[RegistrationState, tuple[str, ...]] = {
    _S.REGISTERED: ("refresh", "expiry"),
    _S.REFRESHING: ("expiry",),
    _S.WAITING: ("retry",),
}
"""State -> its timers; entering a state stops all others."""


@dataclass(frozen=True, kw_only=True)
class RegistrationRequest:
    """What to register, and where."""

    registrar: str
    """SIP URI without a user: the Request-URI."""
    address_of_record: str
    """SIP URI: From and To."""
    contact_user: str = ""
    hops: tuple[Hop, ...]
    """The provider's servers in the order in which they are tried."""
    route: tuple[str, ...] = ()
    """URIs of the outbound proxy, first hop first."""
    route_names_hop: bool = False
    """There are several proxies: the first URI of `route` becomes the address of the proxy that is asked."""
    credentials: tuple[str, str] | None = field(default=None, repr=False)
    expires_s: int = 600
    """What we ask for; the registrar grants what it likes."""
    first_wait_s: float = 30.0
    """After a first failure, doubled with each further one (RFC 5626 section 4.5)."""
    longest_wait_s: float = 1800.0


class Registration:
    """Keeps one binding alive: tells RegistrationChanged whenever it stands otherwise than before."""

    def __init__(self, stack: Stack, request: RegistrationRequest, emit: Callable[[RegistrationChanged], None]) -> None:
        self._stack = stack
        self._request = request
        self._emit = emit
        self._auth = Authenticator(stack, request.credentials)
        self.state = RegistrationState.REGISTERING
        self._call_id = new_call_id()
        self._tag = stack.token()
        self._cseq = 0
        self.hops = request.hops
        """The provider's servers."""
        self._hop_number = 0
        self._expires = request.expires_s
        self._bound = ""
        """URI of the Contact that the registrar has; "" while it has no Contact."""
        self._asked = ""
        """URI of the Contact in the last REGISTER."""
        self._expires_at = 0.0
        self._granted_s = 0
        self._service_routes: list[str] = []
        self._moved = False
        """We refresh for a new address; a NAT that changes it each time is not followed for ever."""
        self._hops_failed = 0
        self._brief_tries = 0
        self._failures = 0
        self._refusal: tuple[str, Response | None] = ("", None)
        self._transaction: ClientTransaction | None = None
        self._running: dict[str, Timer] = {}
        self.service_route: tuple[str, ...] = ()
        """URIs that calls take on their way out (RFC 3608)."""
        self._told: tuple[object, ...] = ()

    @property
    def hop(self) -> Hop:
        """The registrar that is spoken to now."""
        return self.hops[self._hop_number % len(self.hops)]

    @property
    def bound(self) -> bool:
        """Whether the registrar knows us."""
        return self.state in (RegistrationState.REGISTERED, RegistrationState.REFRESHING)

    @property
    def ended(self) -> bool:
        """Whether the binding has been taken back."""
        return self.state is RegistrationState.TERMINATED

    def start(self, now: float) -> None:
        """Send the first REGISTER."""
        self._tell_registering(now)
        self._begin_request(now)
        self._send(now)

    def stop(self, now: float) -> None:
        """Take the binding back; what the registrar says to that ends it."""
        self._begin_request(now)
        self._feed("stop", now)

    def move(self, hops: Sequence[Hop]) -> None:
        """The provider's servers are these now; the server that knows us stays first while it is among them."""
        present = self.hop
        self.hops = tuple(hops)
        self._hop_number = self.hops.index(present) if present in self.hops else 0

    # The machine.

    def _feed(self, happening: str, now: float) -> None:
        arrow = TABLE.get((self.state, happening))
        if arrow is None:
            return
        actions, state = arrow
        if state is not self.state:
            logger.debug("registration %s: %s -> %s", self._request.address_of_record, self.state, state)
            self.state = state
            for name in [name for name in self._running if name not in TIMERS.get(state, ())]:
                self._stack.timers.stop(self._running.pop(name))
        for action in actions:
            action(self, now)

    def _start_timer(self, name: str, when: float) -> None:
        if name in self._running:
            self._stack.timers.stop(self._running[name])
        self._running[name] = self._stack.timers.start(when, lambda now: self._on_timer(name, now))

    def _on_timer(self, name: str, now: float) -> None:
        self._running.pop(name, None)
        self._feed(f"Timer {name}", now)

    # What the registrar answers.

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """A response to our last REGISTER."""
        # An answer to an earlier REGISTER, such as a refresh that we have stopped meanwhile, counts no more.
        if response.code < 200 or transaction is not self._transaction:
            return
        is_challenged = self._auth.is_challenged(response, transaction.hop)
        if response.code < 300:
            self._granted_s = self._granted(response)
            self._service_routes = response.get_all("service-route")
            # A 200 that grants nothing leaves no binding: no call would find us.
            if self._granted_s > 0:
                self._feed("2xx", now)
            else:
                self._refusal = ("The provider accepted the registration and forgot it at once.", response)
                self._feed("refusal", now)
            return
        message = self._auth.learn(response, transaction.hop) if is_challenged else ""
        if message is None or (response.code == 423 and self._asks_for_longer(response)):
            self._feed("again", now)
            return
        lead = _SENTENCES.get(response.code) or message or "The provider refuses the registration."
        self._refusal = (f"{lead} It said: {response.code} {response.reason}".strip() + ".", response)
        if response.code == 503 and self._go_on_elsewhere():
            self._feed("again", now)
        else:
            # A registrar in trouble still knows us until the binding ends; a refusal is its last word.
            self._feed(
                "failure" if response.code >= 500 and not self._must_wait_longer(response, now) else "refusal", now
            )

    def on_no_response(self, transaction: ClientTransaction, now: float, happening: str) -> None:
        """The registrar is silent or cannot be reached."""
        if transaction is not self._transaction:
            return
        self._refusal = (self._stack.complaint_of(transaction.hop) or _SILENT, None)
        self._feed("again" if self._go_on_elsewhere() else "failure", now)

    def on_terminated(self, transaction: ClientTransaction, now: float) -> None:
        """Nothing is kept."""

    def _must_wait_longer(self, response: Response, now: float) -> bool:
        """Whether Retry-After forbids to ask again before the binding ends: then it is as good as lost."""
        asked = pause_asked_for(response.get("retry-after"))
        return asked is not None and now + asked >= self._expires_at

    def _asks_for_longer(self, response: Response) -> bool:
        """423: the interval was too brief (RFC 3261 section 10.2.8)."""
        wanted = _number(response.get("min-expires"))
        self._brief_tries += 1
        if wanted is None or wanted <= self._expires or self._brief_tries > _BRIEF_TRIES:
            return False
        self._expires = wanted
        return True

    def _go_on_elsewhere(self) -> bool:
        """Take the next server, unless each has had its turn (RFC 3263 section 4.3)."""
        self._hops_failed += 1
        if self._hops_failed >= len(self.hops):
            return False
        self._hop_number = (self._hop_number + 1) % len(self.hops)
        self._auth.start_request()
        return True

    # Actions.

    def _begin_request(self, _now: float) -> None:
        self._auth.start_request()
        self._hops_failed = self._brief_tries = 0

    def _send(self, now: float) -> None:
        uri = self._stack.contact_uri(self._request.contact_user, self.hop)
        contacts = [f"Contact: <{uri}>"]
        if self._bound and self._bound != uri:
            # A NAT gave us another address: the old binding leads nowhere.
            contacts.append(f"Contact: <{self._bound}>;expires=0")
        self._asked = uri
        self._register((*contacts, f"Expires: {self._expires}"), now)

    def _send_removal(self, now: float) -> None:
        self._register((f"Contact: <{self._bound or self._asked}>", "Expires: 0"), now)

    def _register(self, lines: tuple[str, ...], now: float) -> None:
        request, stack, hop = self._request, self._stack, self.hop
        branch = stack.new_branch()
        self._cseq += 1
        outgoing = OutgoingRequest(
            method="REGISTER",
            uri=request.registrar,
            hop=hop,
            branch=branch,
            via=stack.via(branch, hop),
            routes=routes_over(hop, request.route, names_hop=request.route_names_hop),
            from_=f"From: <{request.address_of_record}>;tag={self._tag}",
            to=f"To: <{request.address_of_record}>",
            call_id=self._call_id,
            cseq=self._cseq,
            lines=(
                *lines,
                *self._auth.lines("REGISTER", request.registrar, hop),
                SUPPORTED,
                ALLOW,
                f"User-Agent: {stack.config.user_agent}",
            ),
        )
        self._transaction = NonInviteClient(stack, outgoing, self)
        self._transaction.begin(now)

    def _take_binding(self, now: float) -> None:
        self._bound, self._failures = self._asked, 0
        parsed = [parse_name_addr(value) for value in self._service_routes]
        self.service_route = tuple(route.uri for route in parsed if route is not None)
        self._expires_at = now + self._granted_s
        moved = self._stack.contact_uri(self._request.contact_user, self.hop) != self._bound
        refresh_s = 0.0 if moved and not self._moved else _refresh_after(self._granted_s) * self._jitter(0.9)
        self._moved = moved
        self._start_timer("expiry", self._expires_at)
        self._start_timer("refresh", now + refresh_s)
        self._tell(RegistrationStanding.REGISTERED, now)

    def _granted(self, response: Response) -> int:
        """Seconds until the binding expires (RFC 3261 section 10.2.4): our Contact's, else the header's."""
        ours = parse_uri(self._asked)
        expires = _number(response.get("expires"))
        parsed = [parse_name_addr(value) for value in response.get_all("contact")]
        contacts = [contact for contact in parsed if contact is not None]
        for contact in contacts:
            uri = parse_uri(contact.uri)
            if uri and ours and (uri.host, uri.port) == (ours.host, ours.port):
                granted = _number(contact.params.get("expires"))
                return granted if granted is not None else expires if expires is not None else self._expires
        default = expires if expires is not None else self._expires
        # A gateway on the way that writes its own address into our Contact, perhaps beside others: the first to end may
        # be ours.
        stated = [_number(contact.params.get("expires")) for contact in contacts]
        spans = [span if span is not None else default for span in stated]
        return min((span for span in spans if span > 0), default=min(spans, default=default))

    def _refresh_later(self, now: float) -> None:
        """The registrar did not answer a refresh, but knows us until the binding expires."""
        self._start_timer("expiry", self._expires_at)
        response = self._refusal[1]
        asked = pause_asked_for(response.get("retry-after")) if response else None
        self._start_timer("refresh", now + max(asked or 0.0, self._wait_s()))
        self._tell(RegistrationStanding.REGISTERED, now, self._refusal[0])

    def _lose(self, _now: float) -> None:
        self._bound = ""
        self.service_route = ()

    def _wait(self, now: float) -> None:
        message, response = self._refusal
        asked = pause_asked_for(response.get("retry-after")) if response else None
        wait_s = max(asked or 0.0, self._wait_s())
        # Another server may do better next time.
        self._hop_number = (self._hop_number + 1) % len(self.hops)
        self._start_timer("retry", now + wait_s)
        logger.warning("registration %s: %s Next try in %.0f s.", self._request.address_of_record, message, wait_s)
        self._tell(RegistrationStanding.FAILED, now, message)

    def _wait_s(self) -> float:
        """RFC 5626 section 4.5: doubled with each failure, with jitter."""
        wait_s = min(self._request.first_wait_s * 2.0**self._failures, self._request.longest_wait_s)
        # Bounded, because 2.0**1024 is an OverflowError: a provider may be away for weeks.
        self._failures = min(self._failures + 1, 30)
        return wait_s * self._jitter(0.5)

    def _jitter(self, least: float) -> float:
        return least + (1.0 - least) * self._stack.config.random_bytes(1)[0] / 255

    def _tell_registering(self, now: float) -> None:
        self._tell(RegistrationStanding.REGISTERING, now, self._refusal[0])

    def _tell_off(self, now: float) -> None:
        self._lose(now)
        self._tell(RegistrationStanding.OFF, now)

    def _tell(self, standing: RegistrationStanding, now: float, message: str = "") -> None:
        if self._told == (standing, message, self.service_route):
            return
        self._told = (standing, message, self.service_route)
        response = self._refusal[1] if message else None
        self._emit(
            RegistrationChanged(
                at=now,
                standing=standing,
                code=response.code if response else None,
                message=message or None,
                service_route=self.service_route,
            )
        )


def _refresh_after(granted_s: int) -> float:
    """Seconds until the refresh: late enough to spare the registrar, early enough to be sent again."""
    return max(granted_s / 2, min(0.85 * granted_s, granted_s - _ROUND_TRIP_S))


def _number(value: str | None) -> int | None:
    digits = (value or "").partition(";")[0].strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 9 else None


Action = Callable[[Registration, float], None]
TABLE: Mapping[tuple[RegistrationState, str], tuple[tuple[Action, ...], RegistrationState]] = {
    (_S.REGISTERING, "2xx"): ((Registration._take_binding,), _S.REGISTERED),
    (_S.REGISTERING, "again"): ((Registration._send,), _S.REGISTERING),
    (_S.REGISTERING, "failure"): ((Registration._lose, Registration._wait), _S.WAITING),
    (_S.REGISTERING, "refusal"): ((Registration._lose, Registration._wait), _S.WAITING),
    # The binding may have been made: the answer is on its way.
    (_S.REGISTERING, "stop"): ((Registration._send_removal,), _S.UNREGISTERING),
    (_S.REGISTERED, "Timer refresh"): ((Registration._begin_request, Registration._send), _S.REFRESHING),
    (_S.REGISTERED, "Timer expiry"): (
        (Registration._lose, Registration._tell_registering, Registration._begin_request, Registration._send),
        _S.REGISTERING,
    ),
    (_S.REGISTERED, "stop"): ((Registration._send_removal,), _S.UNREGISTERING),
    (_S.REFRESHING, "2xx"): ((Registration._take_binding,), _S.REGISTERED),
    (_S.REFRESHING, "again"): ((Registration._send,), _S.REFRESHING),
    (_S.REFRESHING, "failure"): ((Registration._refresh_later,), _S.REGISTERED),
    (_S.REFRESHING, "refusal"): ((Registration._lose, Registration._wait), _S.WAITING),
    # No REGISTER: the refresh is under way, and its answer may yet win the binding back.
    (_S.REFRESHING, "Timer expiry"): ((Registration._lose, Registration._tell_registering), _S.REGISTERING),
    (_S.REFRESHING, "stop"): ((Registration._send_removal,), _S.UNREGISTERING),
    (_S.WAITING, "Timer retry"): ((Registration._begin_request, Registration._send), _S.REGISTERING),
    # There is no binding to take back.
    (_S.WAITING, "stop"): ((Registration._tell_off,), _S.TERMINATED),
    (_S.UNREGISTERING, "again"): ((Registration._send_removal,), _S.UNREGISTERING),
    (_S.UNREGISTERING, "2xx"): ((Registration._tell_off,), _S.TERMINATED),
    (_S.UNREGISTERING, "failure"): ((Registration._tell_off,), _S.TERMINATED),
    (_S.UNREGISTERING, "refusal"): ((Registration._tell_off,), _S.TERMINATED),
}
"""State and happening -> actions in order, and the state after."""

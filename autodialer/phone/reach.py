"""How a phone gets through to its provider: what it learns of its own address, and its registration.

First a STUN server is asked where the trunk names one. Then the phone registers, or, where a NAT may stand between,
sends OPTIONS: the answer tells under which address the provider sees us. Calls may leave after that.
Everything happens in the thread of the phone's loop.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from autodialer.clock import Clock
from autodialer.phone.plan import Account
from autodialer.sip.addresses import is_inside
from autodialer.sip.events import AddressDiscovered, Event, ProbeEnded, RegistrationChanged, RegistrationStanding
from autodialer.sip.hop import Hop
from autodialer.sip.invite import sip_uri
from autodialer.sip.locate import Targets
from autodialer.sip.probe import ProbeRequest
from autodialer.sip.registration import RegistrationRequest
from autodialer.sip.user_agent import UserAgent

logger = logging.getLogger(__name__)

PROBE_S = 2.0
"""A provider that does not answer OPTIONS by then never does: calls go out with the local address."""


@dataclass(frozen=True, kw_only=True)
class Registered:
    """How the registration stands."""

    standing: RegistrationStanding = RegistrationStanding.OFF
    since: datetime | None = None
    message: str | None = None
    """Why it failed; a sentence for a person."""


class Reach:
    """One phone's way out."""

    def __init__(
        self,
        account: Account,
        targets: Targets,
        *,
        contact_user: str,
        credentials: tuple[str, str] | None,
        run: Callable[[Callable[[UserAgent, float], object]], bool],
        clock: Clock,
    ) -> None:
        self._account = account
        self._targets = targets
        self._contact_user = contact_user
        self._credentials = credentials
        self._run = run
        self._clock = clock
        self._open = False
        self.stun_server = account.stun_server
        """Asked about each RTP port; None while it is silent, or every call would wait for it."""
        self.registration = Registered()
        self.service_route: tuple[str, ...] = ()
        """URIs that the registrar wants calls to take (RFC 3608)."""

    @property
    def ready(self) -> bool:
        """Whether calls may leave: never by a trunk that must be registered and is not."""
        registered = self.registration.standing is RegistrationStanding.REGISTERED
        return self._open and (registered or not self._account.register)

    def begin(self, user_agent: UserAgent, now: float) -> None:
        """Ask the STUN server, or go on without one."""
        if self._account.stun_server is None:
            self._go_on(user_agent, now)
        else:
            user_agent.discover_address(Hop(*self._account.stun_server), now)

    def _go_on(self, user_agent: UserAgent, now: float) -> None:
        hop = self._targets.order(now)[0]
        local = user_agent.public_address(hop)[0]
        if self._account.register:
            # Before the registrar's answer: `ready` waits for it by itself,
            # and a registration that is lost later closes the way.
            self._open = True
            user_agent.register(self._registration_request(now), now)
        elif not user_agent.knows_public_address(hop) and may_be_translated(local, hop.host):
            domain = self._account.domain
            request = ProbeRequest(
                hop=hop,
                target=sip_uri("", domain),
                from_uri=sip_uri(self._contact_user, domain),
                route=self._account.route,
                give_up_s=PROBE_S,
            )
            user_agent.probe(request, now)
        else:
            self._open = True

    def behind_nat(self, user_agent: UserAgent, hop: Hop, local: str) -> bool:
        """Whether a NAT stands between us at `local` and the peer, by what anybody has told, or by the addresses."""
        if user_agent.knows_public_address(hop):
            return user_agent.public_address(hop)[0] != local
        return may_be_translated(local, hop.host)

    def _registration_request(self, now: float) -> RegistrationRequest:
        domain = self._account.domain
        return RegistrationRequest(
            registrar=sip_uri("", domain),
            address_of_record=sip_uri(self._contact_user, domain),
            contact_user=self._contact_user,
            hops=self._targets.order(now),
            route=self._account.route,
            route_names_hop=self._account.several_proxies,
            credentials=self._credentials,
        )

    def take(self, event: Event) -> None:
        """Carry on with what the SIP core tells."""
        if isinstance(event, RegistrationChanged):
            self.service_route = event.service_route
            self.registration = Registered(standing=event.standing, since=self._clock.utcnow(), message=event.message)
        elif isinstance(event, AddressDiscovered):
            self.stun_server = self._account.stun_server if event.address is not None else None
            if event.address is None:
                logger.warning("the STUN server %s does not answer", self._account.stun_server)
            # STUN is asked again every 30 s; only the first answer begins anything.
            if not self._open:
                self._run(self._go_on)
        elif isinstance(event, ProbeEnded):
            self._open = True


def may_be_translated(local: str, peer: str) -> bool:
    """Whether a NAT may stand between: our address is private and the peer's is not."""
    return is_inside(local) and not is_inside(peer)

"""What transactions, dialogs and calls share: settings, timers, the packets to send and the live transactions.

Here is also what is known of our own addresses: where we listen, and as what the peers see us through a NAT.
"""

import logging
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from autodialer.sip.addresses import family_of, in_uri, is_address, plain
from autodialer.sip.fields import Via, parse_number, parse_uri, split_host_port
from autodialer.sip.hop import DEFAULT_PORTS, TLS, UDP, Hop
from autodialer.sip.invite import Address, sip_uri
from autodialer.sip.nonces import Nonces
from autodialer.sip.timers import TimerQueue
from autodialer.sip.trace import SENT, Tracer, call_id_of, mask_credentials
from autodialer.sip.transaction import ClientTransaction, ServerTransaction

logger = logging.getLogger(__name__)

MAGIC_COOKIE = "z9hG4bK"
"""RFC 3261 section 8.1.1.7."""
_PEERS_KEPT = 256
"""Peers of which something is remembered, the latest: each callee may name another one in its Contact."""
_Peer = TypeVar("_Peer")
_Value = TypeVar("_Value")


class Entropy:
    """Random bytes of the system, fetched by the thousand: each fetch gives up the interpreter lock. For one thread."""

    def __init__(self) -> None:
        self._left = b""

    def __call__(self, octets: int) -> bytes:
        """So many of them, none twice."""
        if len(self._left) < octets:
            self._left = os.urandom(4096)
        taken, self._left = self._left[:octets], self._left[octets:]
        return taken


@dataclass(frozen=True, kw_only=True)
class UserAgentConfig:
    """Settings of the SIP core."""

    local_address: Address
    """Where our socket listens; stands in Via and Contact."""
    user_agent: str = "autodialer"
    """User-Agent header."""
    known_hosts: frozenset[str] = frozenset()
    """IP addresses whose messages are taken although no call went there yet."""
    strict_source: bool = True
    """Take responses from where their request went alone, and requests within a dialog from its own hosts alone, as far
    as those are known; False: from every host that knows the branch or the tags."""
    t1: float = 0.5
    """Seconds, RFC 3261 section 17.1.1.1: the round trip estimate."""
    t2: float = 4.0
    """Seconds: longest retransmission interval of all but INVITE requests."""
    t4: float = 5.0
    """Seconds that a message lives in the network."""
    keep_alive_s: float = 15.0
    """Seconds between keep-alives on every path in use: routers forget UDP after 20 s or more."""
    nonces: Nonces = field(default_factory=Nonces)
    """What the trunk's servers were told, shared with the other cores of the trunk."""
    random_bytes: Callable[[int], bytes] = field(default_factory=Entropy)
    """Makes tags, branches and cnonces; tests hand in their own."""
    tracer: Tracer | None = None
    """Told of every message; None: nobody listens."""


class Stack:
    """The common ground of everything in one SIP core."""

    def __init__(self, config: UserAgentConfig) -> None:
        self.config = config
        self.tracer = config.tracer
        self.nonces = config.nonces
        self.timers = TimerQueue()
        self.outbox: list[tuple[bytes, Hop]] = []
        self.arrived_at = 0.0
        """Monotonic time at which the message that is being taken reached this machine."""
        self.discarded: Counter[str] = Counter()
        """Packets that were dropped, by reason."""
        self.clients: dict[tuple[str, str], ClientTransaction] = {}
        """Branch and method (RFC 3261 section 17.1.3): a CANCEL has the branch of its INVITE."""
        self.servers: dict[tuple[str, ...], ServerTransaction] = {}
        """What RFC 3261 section 17.2.3 compares."""
        self._without_tcp: dict[Address, None] = {}
        """Peers that take requests by UDP but not by TCP."""
        self._complaints: dict[Hop, str] = {}
        """Why a peer cannot be reached, where the system says so: sentences for people."""
        self._seen_as: dict[Hop, Address] = {}
        """Peer -> what it says our address is (RFC 3581)."""
        self._mapped: Address | None = None
        """What a STUN server says our address is."""
        self._sent_by = {config.local_address}
        """What our Vias say and said: responses name one of them."""
        self._vias = _via_starts(config.local_address)

    def token(self, octets: int = 8) -> str:
        """A random hexadecimal word for tags and cnonces: of 64 bits, where RFC 3261 section 19.3 asks for 32."""
        return self.config.random_bytes(octets).hex()

    def new_branch(self) -> str:
        """A branch that no other transaction has."""
        return MAGIC_COOKIE + self.token()

    def via(self, branch: str, hop: Hop) -> str:
        """Our Via header line; asks for symmetric responses (RFC 3581)."""
        return self._vias[hop.transport] + branch

    def contact(self, user: str, hop: Hop) -> str:
        """Our Contact header line as a peer at `hop` can reach us."""
        return f"Contact: <{self.contact_uri(user, hop)}>"

    def contact_uri(self, user: str, hop: Hop) -> str:
        """The URI in it; the transport is named where it is not UDP."""
        uri = sip_uri(user, *self.public_address(hop))
        return uri if hop.transport == UDP else f"{uri};transport={hop.transport.lower()}"

    def public_address(self, hop: Hop) -> Address:
        """Our address as the peer at `hop` sees it: by its own word, else by a STUN server's, else the local one."""
        return self._seen_as.get(hop) or self._mapped or self.config.local_address

    def knows_public_address(self, hop: Hop) -> bool:
        """Whether anybody outside has said what our address is."""
        return hop in self._seen_as or self._mapped is not None

    def learn_address(self, via: Via, hop: Hop) -> None:
        """Take `received` and `rport` of our Via in a response from `hop` (RFC 3581 section 4)."""
        # RFC 3261 section 18.2.1: a peer leaves `received` out where our Via was right.
        host = plain((via.params.get("received") or via.host).lower())
        ours = self._mapped or self.config.local_address
        # An address of the other family cannot be one of our socket's.
        if family_of(host) != family_of(ours[0]):
            return
        seen = (host, parse_number(via.params.get("rport", ""), 1, 65535) or ours[1])
        if self._seen_as.get(hop, ours) != seen:
            logger.info("%s sees us as %s:%d", hop, *seen)
        elif hop in self._seen_as:
            return
        _remember(self._seen_as, hop, seen)

    def learn_local_address(self, hop: Hop, address: Address) -> None:
        """A connection to `hop` was made from `address`, which need not be where we listen."""
        # What the peer says counts for more: there may be a NAT between us.
        if address != self.config.local_address and hop not in self._seen_as:
            _remember(self._seen_as, hop, address)

    def map_address(self, address: Address) -> None:
        """A STUN server sees us as `address`: say so in Via and Contact from now on."""
        if address != self._mapped:
            logger.info("the STUN server sees us as %s:%d", *address)
            self._mapped = address
            # The old address stays one of ours: responses to what left before name it.
            self._sent_by.add(address)
            self._vias = _via_starts(address)

    def is_ours(self, via: Via) -> bool:
        """Whether a Via names us as the sender (RFC 3261 section 18.1.2)."""
        return (plain(via.host), via.port or DEFAULT_PORTS.get(via.transport, 0)) in self._sent_by

    def own_via(self, line: str) -> None:
        """Take a Via header line of an earlier process for ours: its responses come here if they come at all."""
        sent_by = line.partition(";")[0].rpartition(" ")[2]
        host, port = split_host_port(sent_by)
        transport = line.partition("SIP/2.0/")[2].partition(" ")[0]
        self._sent_by.add((plain(host), port or DEFAULT_PORTS.get(transport, 0)))

    def takes_tcp(self, address: Address) -> bool:
        """Whether a peer may take a request by TCP: False where it took one by UDP alone."""
        return address not in self._without_tcp

    def learn_without_tcp(self, address: Address) -> None:
        """A peer took no request by TCP, which now goes by UDP."""
        _remember(self._without_tcp, address, None)

    def complaint_of(self, hop: Hop) -> str | None:
        """Why `hop` cannot be reached, where the system says so."""
        return self._complaints.get(hop)

    def learn_complaint(self, hop: Hop, complaint: str | None) -> None:
        """The system says why `hop` cannot be reached; None: it can be reached."""
        if complaint is None:
            self._complaints.pop(hop, None)
        else:
            _remember(self._complaints, hop, complaint)

    def send(self, data: bytes, hop: Hop) -> None:
        """Queue a packet for `hop`."""
        self.outbox.append((data, hop))
        if self.tracer is not None and (call_id := call_id_of(data)) is not None:
            self.tracer(call_id, SENT, data, hop)
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("> %s\n%s", hop, printable(data))

    def forget_all(self) -> None:
        """Drop every transaction and timer."""
        self.clients.clear()
        self.servers.clear()
        self.timers = TimerQueue()


def _remember(kept: dict[_Peer, _Value], peer: _Peer, value: _Value) -> None:
    """Put it in as the newest, and let the oldest peer go where there are too many."""
    kept.pop(peer, None)
    if len(kept) == _PEERS_KEPT:
        del kept[next(iter(kept))]
    kept[peer] = value


def printable(data: bytes) -> str:
    """A message for the log, credentials masked."""
    return mask_credentials(data).decode("utf-8", "replace").replace("\r\n", "\n")


def _via_starts(address: Address) -> dict[str, str]:
    return {name: f"Via: SIP/2.0/{name} {in_uri(address[0])}:{address[1]};rport;branch=" for name in DEFAULT_PORTS}


class Place(NamedTuple):
    """Where a URI leads, in its own words."""

    host: str
    """An address or a name."""
    port: int | None
    transport: str | None
    """None: the URI does not say."""


def place_of(uri: str) -> Place | None:
    """Where a request for this URI goes; None for what is no SIP URI."""
    parts = parse_uri(uri)
    if parts is None:
        return None
    named = parts.params.get("transport", "").upper()
    # RFC 3261 section 26.2.2: sips is TLS, over whatever reliable transport is named.
    transport = TLS if parts.scheme == "sips" else named if named in DEFAULT_PORTS else None
    return Place(plain(parts.params.get("maddr") or parts.host), parts.port, transport)


def hop_of(uri: str) -> Hop | None:
    """Where a request for this URI goes; None when the URI names no IP address (RFC 3263 finds it then)."""
    place = place_of(uri)
    if place is None or not is_address(place.host):
        return None
    transport = place.transport or UDP
    return Hop(place.host, place.port or DEFAULT_PORTS[transport], transport)

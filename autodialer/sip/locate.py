"""Where a provider's servers are (RFC 3263 section 4), and which of them to try first.

Pure: what DNS says comes through `Lookups`, time from the caller.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from autodialer.errors import HostUnresolved
from autodialer.sip.addresses import family_of, is_address, plain
from autodialer.sip.hop import DEFAULT_PORTS, TCP, TLS, UDP, Hop

REST_S = 60.0
"""How long a target that failed is tried last."""
MAX_SRV_TARGETS = 16
"""SRV records followed to their addresses; a name with more is a mistake or an attack."""

_SRV_PREFIX = {UDP: "_sip._udp.", TCP: "_sip._tcp.", TLS: "_sips._tcp."}
_RECORDS = {4: "A", 6: "AAAA"}
_NAPTR_SERVICE = {UDP: "SIP+D2U", TCP: "SIP+D2T", TLS: "SIPS+D2T"}

Record = TypeVar("Record", covariant=True)


@dataclass(frozen=True, kw_only=True)
class Naptr:
    """A NAPTR record (RFC 3403 section 4.1)."""

    flags: str
    """`s`: the replacement is a name with SRV records."""
    service: str
    """As `SIP+D2U` (RFC 3263 section 4.1)."""
    replacement: str
    """The name to ask next, without the final dot."""


@dataclass(frozen=True, kw_only=True)
class Srv:
    """An SRV record (RFC 2782)."""

    port: int
    """Of the target."""
    target: str
    """A name without the final dot; empty or `.` where the service is decidedly not available."""


@dataclass(frozen=True, kw_only=True)
class Answer(Generic[Record]):
    """What the name server said."""

    records: tuple[Record, ...] = ()
    """Empty where there is no record of this kind."""
    ttl_s: float = math.inf
    """Smallest TTL of the records and of the CNAMEs that led to them."""
    exists: bool = True
    """Whether the name has records of any kind (False: NXDOMAIN)."""


class Lookups(Protocol):
    """Asks DNS, following CNAMEs. Each method raises HostUnresolved where no answer came, not where it is empty."""

    def naptr(self, name: str) -> Answer[Naptr]:
        """The NAPTR records of a name, in the order to try them (RFC 3403 section 4.1)."""

    def srv(self, name: str) -> Answer[Srv]:
        """The SRV records of a name, in the order to try them: by priority, then drawn by weight (RFC 2782)."""

    def a(self, name: str) -> Answer[str]:
        """The IPv4 addresses of a name."""

    def aaaa(self, name: str) -> Answer[str]:
        """The IPv6 addresses of a name."""


@dataclass(frozen=True, kw_only=True)
class Located:
    """The servers of a provider."""

    targets: tuple[Hop, ...]
    """In the order to try them; never empty."""
    ttl_s: float
    """Smallest TTL that was used: look again after it. Infinite for an address."""


def locate(
    host: str, port: int | None, transport: str, *, lookups: Lookups, families: Sequence[int] = (4, 6)
) -> Located:
    """The servers of `host` by RFC 3263 section 4.2, the transport being given.

    All are of one family, the first of `families` (4, 6) that has any: a phone has one address (RFC 6157 section 3).
    `port` None means that it was not given: only then NAPTR and SRV are asked. Raises HostUnresolved with a sentence
    for a person.
    """
    name = plain(host.rstrip("."))
    for family in families:
        found = _locate(name, port, transport, family, lookups)
        if found is not None:
            return found
    raise HostUnresolved(_why_not(name, families, lookups))


def _locate(name: str, port: int | None, transport: str, family: int, lookups: Lookups) -> Located | None:
    """None: there are servers, perhaps, and none has an address of this family."""
    if port is None and not is_address(name):
        for service, ttl_s in _service_names(name, transport, lookups):
            answer = lookups.srv(service)
            if answer.records:
                # RFC 3263 section 4.2: where there are SRV records, the name's own addresses do not count.
                found = _servers(name, service, answer.records, transport, family, lookups)
                if found is None:
                    return None
                return Located(targets=found.targets, ttl_s=min(ttl_s, answer.ttl_s, found.ttl_s))
    addresses = _addresses(name, family, lookups)
    if not addresses.records:
        return None
    return Located(targets=_hops(addresses.records, port or DEFAULT_PORTS[transport], transport), ttl_s=addresses.ttl_s)


def _service_names(name: str, transport: str, lookups: Lookups) -> Iterator[tuple[str, float]]:
    """The names to ask for SRV, each with the TTL of what named it: the NAPTR replacements, then the plain one."""
    usual = _SRV_PREFIX[transport] + name
    try:
        answer = lookups.naptr(name)
    except HostUnresolved:
        # Some forwarders do not pass NAPTR on; SRV, which most providers have instead, tells whether DNS is dead.
        answer = Answer()
    ours = [
        naptr
        for naptr in answer.records
        if naptr.service.upper() == _NAPTR_SERVICE[transport] and naptr.flags.lower() == "s"
    ]
    replacements = dict.fromkeys(naptr.replacement.lower() for naptr in ours)
    for replacement in replacements:
        yield replacement, answer.ttl_s
    if usual.lower() not in replacements:
        yield usual, math.inf


def _servers(
    name: str, service: str, records: Sequence[Srv], transport: str, family: int, lookups: Lookups
) -> Located | None:
    """The addresses of the SRV targets; a target that does not resolve is left out where another does."""
    usable = [srv for srv in records if srv.target not in ("", ".") and srv.port]
    if not usable:
        raise HostUnresolved(
            f"{name} says that it takes no SIP over {transport} (its SRV record {service} names no server);"
            " choose another transport, or give the port"
        )
    targets: list[Hop] = []
    ttl_s = math.inf
    first_problem: HostUnresolved | None = None
    for srv in usable[:MAX_SRV_TARGETS]:
        try:
            addresses = _addresses(srv.target, family, lookups)
        except HostUnresolved as exc:
            first_problem = first_problem or exc
            continue
        targets += _hops(addresses.records, srv.port, transport)
        ttl_s = min(ttl_s, addresses.ttl_s)
    if not targets and first_problem is None:
        return None
    if not targets:
        raise HostUnresolved(f"{first_problem}, and the SRV record {service} names no other server") from first_problem
    return Located(targets=tuple(dict.fromkeys(targets)), ttl_s=ttl_s)


def _addresses(name: str, family: int, lookups: Lookups) -> Answer[str]:
    """The addresses of that family, which may be none. Raises HostUnresolved for a name that does not exist."""
    if is_address(name):
        return Answer(records=(name,) if family_of(name) == family else ())
    answer = lookups.a(name) if family == 4 else lookups.aaaa(name)
    if not answer.records and not answer.exists:
        raise HostUnresolved(f"the name {name} does not exist")
    return answer


def _why_not(name: str, families: Sequence[int], lookups: Lookups) -> str:
    if len(families) > 1:
        return f"the name {name} has neither an IPv4 nor an IPv6 address (A, AAAA)"
    # The families are 4 and 6.
    wanted, other = families[0], 10 - families[0]
    if is_address(name):
        return f"{name} is an IPv{other} address, and IPv{wanted} is spoken here"
    try:
        others = _addresses(name, other, lookups).records
    except HostUnresolved:
        others = ()
    if others:
        return f"the name {name} has only IPv{other} addresses ({_RECORDS[other]}), and IPv{wanted} is spoken here"
    return f"the name {name} has no IPv{wanted} address ({_RECORDS[wanted]})"


def _hops(addresses: Iterable[str], port: int, transport: str) -> tuple[Hop, ...]:
    return tuple(Hop(address, port, transport) for address in addresses)


class Targets:
    """The servers of one trunk and which of them failed lately (RFC 3263 section 4.3). Used by one thread."""

    def __init__(self, targets: Iterable[Hop]) -> None:
        self._targets = tuple(targets)
        self._rests_until: dict[Hop, float] = {}

    def order(self, now: float) -> tuple[Hop, ...]:
        """All targets in the order to try: those that failed lately come last, the soonest rested first."""
        # Sorting is stable: servers that are well stay in the order that DNS asks for.
        return tuple(sorted(self._targets, key=lambda hop: max(self._rests_until.get(hop, now), now)))

    def failed(self, hop: Hop, now: float, retry_after_s: float | None = None) -> None:
        """Silence, a transport error or a 503 came from there; `retry_after_s` as the 503 says, None where it does not.

        Never shortens a rest.
        """
        if hop in self._targets:
            # A Retry-After of 0 is a rest of 0 s, not a missing one.
            until = now + (REST_S if retry_after_s is None else retry_after_s)
            self._rests_until[hop] = max(until, self._rests_until.get(hop, until))

    def rests(self, hop: Hop, now: float) -> bool:
        """Whether it failed lately."""
        return self._rests_until.get(hop, now) > now

    def replace(self, targets: Iterable[Hop]) -> None:
        """Take over a new look-up; what stays keeps its health."""
        self._targets = tuple(targets)
        self._rests_until = {hop: until for hop, until in self._rests_until.items() if hop in self._targets}

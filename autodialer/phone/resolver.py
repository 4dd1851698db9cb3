"""Asks DNS, the hosts file and the operating system where a provider's servers are; `sip.locate` says what to ask."""

import logging
import os
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import dns.exception
import dns.name
import dns.nameserver
import dns.resolver

from autodialer.errors import HostUnresolved
from autodialer.phone.closed_networks import ClosedNetworks
from autodialer.sip.addresses import family_of, is_address, plain
from autodialer.sip.hop import DEFAULT_PORTS, UDP
from autodialer.sip.locate import Answer, Located, Naptr, Srv, locate

logger = logging.getLogger(__name__)

LIFETIME_S = 5.0
"""For all questions of one look-up together."""
NAPTR_SHARE = 0.4
"""Of that time: NAPTR is a hint, and some forwarders leave it without an answer."""
TRY_S = 1.0
"""Before a name server is asked again, or the next one."""
ORDERED = ("NAPTR", "SRV")
"""Records that say in which order to try them (RFC 3403 section 4.1, RFC 2782)."""
SYSTEM_TTL_S = 60.0
"""Of what does not come from DNS and so has no TTL."""
RESOLV_CONF = Path("/etc/resolv.conf")
HOSTS_FILE = (
    Path(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32/drivers/etc/hosts")
    if os.name == "nt"
    else Path("/etc/hosts")
)

Record = TypeVar("Record")


class Resolver:
    """Finds the servers of trunks. Any number of threads may use one."""

    def __init__(
        self,
        nameservers: Sequence[tuple[str, int]] | None = None,
        *,
        lifetime_s: float = LIFETIME_S,
        system_names: bool = True,
        hosts_file: Path = HOSTS_FILE,
        resolv_conf: Path = RESOLV_CONF,
        closed: ClosedNetworks | None = None,
    ) -> None:
        """`nameservers` are (IPv4 address, port); None takes the system's, read again at each look-up.
        `closed`: addresses that are not given out, whatever names them; None: all are.

        `system_names`: the operating system is asked for a name that DNS does not know (search domains, mDNS, WINS).
        """
        self._nameservers = nameservers
        self._lifetime_s = lifetime_s
        self._system_names = system_names
        self._hosts_file = hosts_file
        self._resolv_conf = resolv_conf
        self._closed = closed or ClosedNetworks()

    def locate(
        self, host: str, port: int | None = None, transport: str = UDP, *, families: Sequence[int] = (4, 6)
    ) -> Located:
        """The servers of `host`, as `autodialer.sip.locate.locate`. Blocks. Raises HostUnresolved.

        A name in the hosts file, and one without a dot, is the machine's own affair: it has addresses and no SRV.
        The operating system, asked about names that DNS does not know, keeps to its own time limit.
        """
        if not is_address(plain(host)):
            # What cannot be a name is told before anything is asked, and not as a fault of the name server.
            _absolute(host)
        questions = _Questions(
            self._dns(),
            lifetime_s=self._lifetime_s,
            hosts=read_hosts(self._hosts_file),
            system_names=self._system_names,
        )
        if port is None and not is_address(plain(host)) and questions.is_local(host.rstrip(".")):
            # With a port there is no look-up of SRV records (RFC 3263 section 4.2), which no hosts file has.
            port = DEFAULT_PORTS[transport]
        located = locate(host, port, transport, lookups=questions, families=families)
        logger.debug("%s is at %s for %s s", host, ", ".join(map(str, located.targets)), located.ttl_s)
        return self._open_ones(host, located)

    def _open_ones(self, host: str, located: Located) -> Located:
        """Without the servers in closed networks. Raises HostUnresolved when no other is left."""
        networks = [self._closed.network_of(target.host) for target in located.targets]
        targets = tuple(each for each, network in zip(located.targets, networks, strict=True) if network is None)
        if not targets:
            raise HostUnresolved(
                f"{host} is in {networks[0]}, a network where this service calls nobody; the person who runs it can"
                " open it (DIALER_DENY_NETWORKS)"
            )
        return replace(located, targets=targets)

    def _dns(self) -> dns.resolver.Resolver | None:
        """None where the system has no name server."""
        if self._nameservers is None:
            try:
                asking = dns.resolver.Resolver(filename=str(self._resolv_conf))
            except dns.resolver.NoResolverConfiguration:
                return None
        else:
            asking = dns.resolver.Resolver(configure=False)
            asking.nameservers = [dns.nameserver.Do53Nameserver(host, port) for host, port in self._nameservers]
        asking.timeout = TRY_S
        return asking


class _Questions:
    """What one look-up asks, within one time limit. `sip.locate.Lookups`."""

    def __init__(
        self,
        asking: dns.resolver.Resolver | None,
        *,
        lifetime_s: float,
        hosts: Mapping[str, Sequence[str]],
        system_names: bool,
    ) -> None:
        self._dns = asking
        self._lifetime_s = lifetime_s
        self._deadline = time.monotonic() + lifetime_s
        self._hosts = hosts
        self._system_names = system_names

    def is_local(self, name: str) -> bool:
        """Whether DNS has no say on this name."""
        return name.lower() in self._hosts or "." not in name

    def naptr(self, name: str) -> Answer[Naptr]:
        return self._ask(name, "NAPTR", _to_naptr, limit_s=self._lifetime_s * NAPTR_SHARE)

    def srv(self, name: str) -> Answer[Srv]:
        return self._ask(name, "SRV", _to_srv)

    def a(self, name: str) -> Answer[str]:
        return self._addresses(name, "A", 4)

    def aaaa(self, name: str) -> Answer[str]:
        return self._addresses(name, "AAAA", 6)

    def _addresses(self, name: str, kind: str, family: int) -> Answer[str]:
        if name.lower() in self._hosts:
            of_family = [address for address in self._hosts[name.lower()] if family_of(address) == family]
            return Answer(records=tuple(of_family), ttl_s=SYSTEM_TTL_S)
        of_socket = socket.AF_INET if family == 4 else socket.AF_INET6
        if self.is_local(name):
            return _ask_system(name, of_socket)
        answer = self._ask(name, kind, _to_address)
        if answer.records or not self._system_names:
            return answer
        of_system = _ask_system(name, of_socket)
        return of_system if of_system.records else answer

    def _ask(
        self, name: str, kind: str, convert: Callable[[Any], Record], *, limit_s: float | None = None
    ) -> Answer[Record]:
        if self._dns is None:
            return Answer(exists=False)
        asked = f"asked for the {kind} record of {name}"
        silence = f"the name server did not answer within {self._lifetime_s:g} s ({asked})"
        began = time.monotonic()
        remaining_s = self._deadline - began
        if remaining_s <= 0.0:
            raise HostUnresolved(silence)
        try:
            found = self._dns.resolve(
                _absolute(name), kind, raise_on_no_answer=False, lifetime=min(remaining_s, limit_s or remaining_s)
            )
        except dns.resolver.NXDOMAIN:
            return Answer(exists=False)
        except dns.exception.Timeout as exc:
            raise HostUnresolved(silence) from exc
        except dns.exception.DNSException as exc:
            raise HostUnresolved(f"the name server gave no usable answer ({asked}{_refusals(exc)})") from exc
        finally:
            if time.monotonic() - began >= TRY_S:
                # The server that kept us waiting is asked last from now on: a dead first one would eat the whole time.
                self._dns.nameservers = [*self._dns.nameservers[1:], *self._dns.nameservers[:1]]
        if found.rrset is None:
            return Answer()
        # Addresses stay as the name server has them: it turns them round itself, and dnspython would shuffle them.
        records = found.rrset.processing_order() if kind in ORDERED else found.rrset
        # The TTL is the shortest along a chain of CNAMEs.
        return Answer(records=tuple(map(convert, records)), ttl_s=float(found.chaining_result.minimum_ttl))


def read_hosts(file: Path) -> dict[str, list[str]]:
    """Name in lower case -> its IP addresses, as the system's hosts file has them; empty where it cannot be read."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    hosts: dict[str, list[str]] = {}
    for line in lines:
        words = line.partition("#")[0].split()
        if words and family_of(words[0]):
            for name in words[1:]:
                hosts.setdefault(name.lower().rstrip("."), []).append(words[0])
    return hosts


def _ask_system(name: str, family: socket.AddressFamily) -> Answer[str]:
    try:
        found = socket.getaddrinfo(name, None, socket.AF_UNSPEC, socket.SOCK_DGRAM)
    # Python encodes the name first, and a label that is too long fails there.
    except (OSError, UnicodeError):
        return Answer(exists=False)
    addresses = dict.fromkeys(str(entry[4][0]) for entry in found if entry[0] == family)
    return Answer(records=tuple(addresses), ttl_s=SYSTEM_TTL_S)


def _absolute(name: str) -> dns.name.Name:
    try:
        return dns.name.from_text(name)
    except (dns.exception.DNSException, UnicodeError) as exc:
        raise HostUnresolved(f"{name} cannot be a host name") from exc


def _refusals(error: dns.exception.DNSException) -> str:
    """What each name server said, where dnspython tells: `; 192.0.2.1: SERVFAIL`."""
    errors: Iterable[tuple[Any, ...]] = (getattr(error, "kwargs", None) or {}).get("errors", ())
    said = dict.fromkeys(f"{server.removeprefix('Do53:')}: {problem}" for server, _, _, problem, *_ in errors)
    return "".join(f"; {entry}" for entry in said)


def _to_naptr(record: Any) -> Naptr:
    return Naptr(
        flags=record.flags.decode("ascii", "replace"),
        service=record.service.decode("ascii", "replace"),
        replacement=record.replacement.to_text(omit_final_dot=True),
    )


def _to_srv(record: Any) -> Srv:
    return Srv(
        port=record.port,
        target=record.target.to_text(omit_final_dot=True),
    )


def _to_address(record: Any) -> str:
    return str(record.address)

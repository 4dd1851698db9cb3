"""What a trunk's settings mean for its phones: where the provider's servers are, and who we are to the provider."""

import logging
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace

from autodialer.errors import HostUnresolved
from autodialer.model import Trunk
from autodialer.phone.plan import Account, Address
from autodialer.phone.resolver import Resolver
from autodialer.sip.addresses import family_of, plain
from autodialer.sip.fields import split_host_port
from autodialer.sip.hop import TLS, UDP, Hop
from autodialer.sip.invite import extra_header
from autodialer.sip.locate import Located
from autodialer.sip.nonces import Nonces
from autodialer.sip.shell import TlsSettings
from autodialer.sip.shell.datagrams import open_socket

logger = logging.getLogger(__name__)

_SOMEWHERE = "192.0.2.1"
"""An address outside (RFC 5737); nothing is sent there."""
LOOK_AGAIN_S = 60.0
"""A second server that was not found is looked for again so soon."""
STUN_PORT = 3478
"""RFC 5389 section 9."""


@dataclass(frozen=True, kw_only=True)
class Provider:
    """Where a trunk leads, as the name servers say."""

    targets: tuple[Hop, ...]
    """The provider's servers, or those of the outbound proxy, in the order in which they are tried."""
    ttl_s: float
    """How long that holds; infinite for an address."""
    stun_server: Address | None


def find_provider(trunk: Trunk, resolver: Resolver, families: Sequence[int] = (4, 6)) -> Provider:
    """Look the names of a trunk up. Takes seconds at worst. Raises HostUnresolved.

    `families` that may be used, 4 and 6, the better first: see `families_here`.
    """
    if trunk.outbound_proxy:
        host, port = split_host_port(trunk.outbound_proxy)
        located = _locate(resolver, "outbound_proxy", host, port, trunk.transport.upper(), families)
    else:
        located = _locate(resolver, "host", trunk.host, trunk.port, trunk.transport.upper(), families)
    if trunk.backup_host:
        located = _with_backup(located, trunk.backup_host, resolver, trunk.transport.upper())
    if not trunk.stun_server or family_of(located.targets[0].host) == 6:
        # No NAT stands between where IPv6 is spoken, and STUN is asked by IPv4 alone.
        return Provider(targets=located.targets, ttl_s=located.ttl_s, stun_server=None)
    host, port = split_host_port(trunk.stun_server)
    found = _locate(resolver, "stun_server", host, port or STUN_PORT, UDP, (4,))
    ttl_s = min(located.ttl_s, found.ttl_s)
    return Provider(targets=located.targets, ttl_s=ttl_s, stun_server=found.targets[0].address)


def _with_backup(first: Located, backup: str, resolver: Resolver, transport: str) -> Located:
    """The provider's servers, and after them those of the second host, which are tried while the first are down."""
    host, port = split_host_port(backup)
    try:
        # A phone speaks one family, so that the second server has to be of the first one's.
        family = family_of(first.targets[0].host) or 4
        second = _locate(resolver, "backup_host", host, port, transport, (family,))
    except HostUnresolved:
        # The second server is there for bad times; it must not make any.
        logger.warning("backup_host %s is not found, so there is no other server for now", backup)
        return replace(first, ttl_s=min(first.ttl_s, LOOK_AGAIN_S))
    # Both names may lead to one server: a failed one would be tried once more as its own backup.
    targets = dict.fromkeys((*first.targets, *second.targets))
    return replace(first, targets=tuple(targets), ttl_s=min(first.ttl_s, second.ttl_s))


def _locate(
    resolver: Resolver, field: str, host: str, port: int | None, transport: str, families: Sequence[int]
) -> Located:
    try:
        return resolver.locate(host, port, transport, families=families)
    except HostUnresolved as exc:
        raise HostUnresolved(f"{field}: {exc}", field=field) from exc


def account_for(trunk: Trunk, provider: Provider, nonces: Nonces | None = None) -> Account:
    """Who we are to the provider, and how to reach it; `nonces` of the trunk's other phones, None: there are none."""
    transport = trunk.transport.upper()
    entrance = plain(split_host_port(trunk.outbound_proxy)[0]) if trunk.outbound_proxy else trunk.host
    return Account(
        domain=trunk.domain or trunk.host,
        auth_username=trunk.auth_username or trunk.username,
        caller_id=trunk.caller_id or trunk.username or "anonymous",
        codecs=trunk.codecs,
        transport=transport,
        # The certificate is the proxy's where there is one: the connection goes there.
        tls=TlsSettings(server_name=entrance, ca_pem=trunk.ca_file) if transport == TLS else None,
        register=trunk.register,
        outbound_proxy=_proxy_uri(trunk.outbound_proxy, transport) if trunk.outbound_proxy else None,
        several_proxies=trunk.outbound_proxy is not None and trunk.backup_host is not None,
        caller_id_header=trunk.caller_id_header,
        extra_headers=tuple(extra_header(line) for line in trunk.extra_headers),
        stun_server=provider.stun_server,
        media_encryption=trunk.media_encryption,
        symmetric_rtp=trunk.symmetric_rtp,
        strict_source=trunk.strict_source,
        shared_media_port=trunk.media_ports == "shared",
        nonces=nonces or Nonces(),
    )


def _proxy_uri(proxy: str, transport: str) -> str:
    """A loose route (RFC 3261 section 19.1.1)."""
    named = "" if transport == UDP else f";transport={transport.lower()}"
    return f"sip:{proxy}{named};lr"


def families_here(sip_address: str | None = None) -> tuple[int, ...]:
    """The families that calls may use, 4 and 6, the better first: that of our own address where one is set.

    Else IPv4 first, because more providers serve it well, unless this machine has no way out by it (RFC 6157 section 3
    leaves the choice to the SIP path).
    """
    if sip_address is not None:
        return (family_of(sip_address) or 4,)
    try:
        address_towards(_SOMEWHERE, 9)
    except OSError:
        return (6, 4)
    return (4, 6)


def address_towards(server: str, port: int) -> str:
    """The local address that routes to the server; nothing is sent."""
    with open_socket(server, socket.SOCK_DGRAM) as probe:
        probe.connect((server, port))
        return str(probe.getsockname()[0])

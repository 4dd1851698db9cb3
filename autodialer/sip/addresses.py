"""IP addresses as SIP writes them: an IPv6 address stands in brackets in URIs and Via (RFC 3261 section 25.1)."""

import ipaddress
from functools import lru_cache

# Not `is_private`: it leaves out the shared addresses of RFC 6598, takes in the networks of documentation, and means
# something else in other versions of Python.
_INSIDE = [
    ipaddress.ip_network(network)
    for network in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8"),
        *("fc00::/7", "fe80::/10", "::1/128"),
    )
]


@lru_cache(maxsize=1024)
def family_of(host: str) -> int | None:
    """4 or 6 for an address of that family without brackets; None for a name."""
    try:
        # An interface of the peer's (%eth0) means nothing here.
        return ipaddress.ip_address(host).version if "%" not in host else None
    except ValueError:
        return None


def is_address(host: str) -> bool:
    """Whether `host` is an IP address, so that no packet to it waits for a name server."""
    return family_of(host) is not None


@lru_cache(maxsize=1024)
def plain(host: str) -> str:
    """A host of a URI or Via: an IPv6 address without its brackets and as RFC 5952 spells it, all else as it is."""
    inner = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    return str(ipaddress.IPv6Address(inner)) if ":" in inner and family_of(inner) == 6 else host


def in_uri(host: str) -> str:
    """A host as it stands in a URI or Via: an IPv6 address in brackets."""
    return f"[{host}]" if family_of(host) == 6 else host


@lru_cache(maxsize=1024)
def is_inside(host: str) -> bool:
    """Whether the address means something only within some network: private, shared (RFC 6598), link-local, or us."""
    address = ipaddress.ip_address(host)
    return any(address in network for network in _INSIDE if network.version == address.version)

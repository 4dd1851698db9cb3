"""IP addresses as SIP writes them."""

import ipaddress
from functools import lru_cache

_INSIDE = [
    ipaddress.ip_network(network)
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8")
]


@lru_cache(maxsize=1024)
def is_ipv4(host: str) -> bool:
    """Whether `host` is a dotted IPv4 address, so that no packet to it waits for a name server."""
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=1024)
def is_inside(host: str) -> bool:
    """Whether the address means something only within some network: private, shared (RFC 6598), link-local, or us."""
    address = ipaddress.IPv4Address(host)
    return any(address in network for network in _INSIDE)

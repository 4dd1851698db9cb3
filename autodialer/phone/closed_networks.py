"""Networks in which no trunk leads anywhere: a user who names hosts must not reach what only this machine reaches."""

import ipaddress
from collections.abc import Sequence

from autodialer.sip.addresses import family_of

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class ClosedNetworks:
    """Tells whether an address is closed. It is asked after a name was looked up, so that no name gets round it."""

    def __init__(self, networks: Sequence[str] = (), *, own: str | None = None) -> None:
        """`networks` are CIDR; `own` is our SIP address: the networks that it is in are open, for we are there."""
        known = [ipaddress.ip_network(network, strict=False) for network in networks]
        ours = ipaddress.ip_address(own) if own else None
        self._networks = [network for network in known if ours is None or ours not in network]

    def network_of(self, host: str) -> str | None:
        """The closed network in which an address is; None: it is open, or a name."""
        if family_of(host) is None:
            return None
        found = _meanings(ipaddress.ip_address(host))
        return next((str(network) for network in self._networks if any(each in network for each in found)), None)


def _meanings(address: Address) -> list[Address]:
    """The address, and the IPv4 address within it: the system sends to that (RFC 4291 section 2.5.5)."""
    if isinstance(address, ipaddress.IPv6Address):
        last = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in NAT64 else None
        return [address, *(each for each in (address.ipv4_mapped, address.sixtofour, last) if each is not None)]
    return [address]


NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""RFC 6052 section 2.1."""

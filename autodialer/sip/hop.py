"""The next hop of RFC 3261 section 8.1.2 and RFC 3263: where a message goes, and by which transport."""

from typing import NamedTuple

from autodialer.sip.addresses import in_uri

UDP, TCP, TLS = "UDP", "TCP", "TLS"
"""As they stand in Via (RFC 3261 section 20.42)."""
RELIABLE = frozenset((TCP, TLS))
"""Transports that deliver in order or say that they cannot: nothing is sent twice on them."""
DEFAULT_PORTS = {UDP: 5060, TCP: 5060, TLS: 5061}
"""RFC 3261 section 19.1.2."""


class Hop(NamedTuple):
    """An IP address, a port and the transport to use there."""

    host: str
    """Without brackets."""
    port: int
    transport: str = UDP

    @property
    def address(self) -> tuple[str, int]:
        """Host and port alone."""
        return self.host, self.port

    @property
    def reliable(self) -> bool:
        """Whether the transport delivers by itself."""
        return self.transport in RELIABLE

    def __str__(self) -> str:
        return f"{self.transport.lower()}:{in_uri(self.host)}:{self.port}"


def routes_over(hop: Hop, route: tuple[str, ...], *, names_hop: bool) -> tuple[str, ...]:
    """Route header lines of a request that goes to `hop` first.

    `names_hop`: the first URI of `route` stands for one of several proxies. The proxy that is asked knows its own
    address, and would forward to the other one what names that.
    """
    if names_hop and route:
        named = "" if hop.transport == UDP else f";transport={hop.transport.lower()}"
        route = (f"sip:{in_uri(hop.host)}:{hop.port}{named};lr", *route[1:])
    return tuple(f"Route: <{uri}>" for uri in route)

"""Which addresses a user may have the service speak to: those of the open internet, and what the administrator names.

A user of the API who could make the service post to any address could reach what only this machine can: other
services on it, the provider's metadata service, the routers of its network.
"""

import ipaddress
import queue
import socket
import threading
from collections.abc import Sequence

from autodialer.errors import AddressRefused, HostUnresolved

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# IANA's IPv4 Special-Purpose Address Registry (RFC 6890), multicast and the reserved rest.
_SPECIAL_4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
        ),
    )
)
# The internet of IPv6 is 2000::/3 (RFC 4291 section 2.4). Outside of it are loopback, link-local, unique local and
# multicast addresses, and those that carry an IPv4 address: mapped ones and NAT64's.
_GLOBAL_6 = ipaddress.IPv6Network("2000::/3")
# IANA's IPv6 Special-Purpose Address Registry: Teredo and its neighbours, documentation, 6to4 (an IPv4 address inside).
_SPECIAL_6 = tuple(map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))


def is_permitted(address: Address, networks: Sequence[Network]) -> bool:
    """Whether the service may speak to it; `networks` are those that the administrator permits beside the internet."""
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        return False
    if any(address.version == network.version and address in network for network in networks):
        return True
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _SPECIAL_4)
    return address in _GLOBAL_6 and not any(address in network for network in _SPECIAL_6)


def check_address(address: Address, networks: Sequence[Network], host: str) -> None:
    """Raises AddressRefused that names the setting."""
    if not is_permitted(address, networks):
        named = str(address) if host == str(address) else f"{host} is at {address}, which"
        raise AddressRefused(
            f"{named} is not an address of the open internet. An administrator may permit its network with"
            " DIALER_WEBHOOK_NETWORKS.",
            field="url",
        )


def resolve(host: str, networks: Sequence[Network], *, timeout_s: float) -> list[Address]:
    """The addresses of a host, all of them permitted. Raises AddressRefused, HostUnresolved.

    An address that is not permitted spoils them all: a name that leads inside and outside is a mistake or a trick.
    """
    found = _literal(host)
    addresses = [found] if found is not None else _look_up(host, timeout_s)
    for address in addresses:
        check_address(address, networks, host)
    return addresses


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _look_up(host: str, timeout_s: float) -> list[Address]:
    """As the system does it, hosts file and all. It cannot be told how long to try: its thread may be left behind."""
    answers: queue.SimpleQueue[list[Address] | None] = queue.SimpleQueue()

    def run() -> None:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            answers.put(list(dict.fromkeys(ipaddress.ip_address(entry[4][0]) for entry in found)))
        except (OSError, UnicodeError, ValueError):
            answers.put(None)

    threading.Thread(target=run, name="look up", daemon=True).start()
    try:
        addresses = answers.get(timeout=max(timeout_s, 0.001))
    except queue.Empty:
        raise HostUnresolved(f"{host} did not resolve within {timeout_s:.0f} s.", field="url") from None
    if not addresses:
        raise HostUnresolved(f"{host} does not resolve to an address; check the spelling.", field="url")
    return addresses

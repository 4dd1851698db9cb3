"""Host names of trunks: IPv4 only, looked up in bounded time before a trunk is stored."""

import ipaddress
import re
import socket
import threading

from autodialer.errors import HostUnresolved, Invalid

LOOK_UP_S = 3.0
LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


def check_host(host: str, *, timeout_s: float = LOOK_UP_S) -> str:
    """The host in its stored spelling. Raises Invalid for what is no IPv4 host, HostUnresolved without address."""
    host = host.strip().rstrip(".")
    address = _address(host)
    if isinstance(address, ipaddress.IPv6Address):
        raise Invalid(f"host takes an IPv4 address or a name; {host} is IPv6, which is not supported.", field="host")
    if address is not None:
        if address.is_unspecified or address.is_multicast or address == ipaddress.IPv4Address("255.255.255.255"):
            raise Invalid(f"host takes the address of one machine; {host} is none.", field="host")
        return str(address)
    labels = host.split(".")
    if not all(LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        raise Invalid(
            f"host takes an IPv4 address or a name like sip.provider.example, without sip: and port; it is {host!r}.",
            field="host",
        )
    _look_up(host, timeout_s)
    return host.lower()


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def _look_up(host: str, timeout_s: float) -> None:
    """The system's resolver cannot be told how long to try, so it tries in a thread that may be left behind."""
    found: list[object] = []
    failed: list[OSError] = []

    def look_up() -> None:
        try:
            found.extend(socket.getaddrinfo(host, None, family=socket.AF_INET, type=socket.SOCK_DGRAM))
        except OSError as exc:
            failed.append(exc)

    thread = threading.Thread(target=look_up, name=f"look up {host}", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if found:
        return
    what = "has no IPv4 address" if failed else f"did not resolve within {timeout_s:.0f} s"
    raise HostUnresolved(
        f"host: {host} {what}; check the spelling and this machine's DNS, or give the provider's IPv4 address."
    ) from (failed[0] if failed else None)

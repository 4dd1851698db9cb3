"""Hosts of trunks: addresses, or names that are looked up in bounded time before a trunk is stored."""

import ipaddress
import re
import threading
from collections.abc import Callable

from autodialer.config import Settings
from autodialer.errors import HostUnresolved, Invalid
from autodialer.phone.closed_networks import ClosedNetworks
from autodialer.phone.resolver import Resolver

LOOK_UP_S = 6.0
LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


def check_host(host: str, field: str = "host") -> str:
    """The host in its stored spelling. Raises Invalid for text that is no host; no name is looked up."""
    host = host.strip().rstrip(".")
    address = _address(host)
    if address is not None:
        no_machine = address.is_unspecified or address.is_multicast or str(address) == "255.255.255.255"
        if no_machine or "%" in host:
            raise Invalid(f"{field} takes the address of one machine, which {host} is not.", field=field)
        return str(address)
    labels = host.split(".")
    if not all(LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        raise Invalid(
            f"{field} takes an IP address or a name like sip.provider.example, without sip: before it; it is {host!r}.",
            field=field,
        )
    return host.lower()


def check_endpoint(endpoint: str, field: str) -> str:
    """`host` or `host:port` in its stored spelling. Raises Invalid."""
    endpoint = endpoint.strip()
    address, host = _address(endpoint), endpoint
    if isinstance(address, ipaddress.IPv6Address):
        return f"[{check_host(endpoint, field)}]"
    bracketed, bracket, rest = endpoint.partition("]")
    host, colon, port = (bracketed + bracket, rest[:1], rest[1:]) if bracket else endpoint.partition(":")
    checked = check_host(host, field)
    checked = f"[{checked}]" if bracket else checked
    if colon not in ("", ":"):
        raise Invalid(f"{field} takes host or host:port; it is {endpoint!r}.", field=field)
    if not colon:
        return checked
    if not (port.isascii() and port.isdigit()) or not 0 < int(port[:6]) < 65536:
        raise Invalid(f"{field} takes host or host:port with a port from 1 to 65535; it is {endpoint!r}.", field=field)
    return f"{checked}:{int(port)}"


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def resolver_of(settings: Settings) -> Resolver:
    """Finds the hosts of trunks for the API, in networks that are not closed."""
    closed = ClosedNetworks(settings.deny_networks, own=settings.sip_address)
    return Resolver(lifetime_s=LOOK_UP_S / 2, closed=closed)


def look_up_in_time(look_up: Callable[[], object], *, timeout_s: float = LOOK_UP_S) -> None:
    """Have names looked up. Raises HostUnresolved that names the field.

    The system's resolver cannot be told how long to try, so it tries in a thread that may be left behind.
    """
    failed: list[HostUnresolved] = []
    done = threading.Event()

    def run() -> None:
        try:
            look_up()
        except HostUnresolved as exc:
            failed.append(exc)
        finally:
            done.set()

    threading.Thread(target=run, name="look up", daemon=True).start()
    if not done.wait(timeout_s):
        raise HostUnresolved(f"The names did not resolve within {timeout_s:.0f} s; check this machine's DNS.")
    if failed:
        raise HostUnresolved(
            f"{failed[0]}; check the spelling and this machine's DNS, or give the address.", field=failed[0].field
        ) from failed[0]

"""Hosts in network namespaces of their own: a dialer's host, a provider's host, and a router with NAT or loss between.

Names are unique, links are made inside the namespaces and nothing leads out of them, so runs side by side never meet
and no packet can reach a real network. Needs root, and `ip` and `nft`.
"""

import contextlib
import ctypes
import itertools
import os
import re
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.peers.requirements import explain_missing, find_program
from tests.timing import at_most

INSIDE_ADDRESS, ROUTER_INSIDE = "10.77.1.2", "10.77.1.1"
OUTSIDE_ADDRESSES = ("198.51.100.10", "198.51.100.11", "198.51.100.12")
PUBLIC_ADDRESS = "198.51.100.1"
"""What the dialer's host is seen as from outside when there is NAT; the router's outer address."""
CONNTRACK_TIMEOUT_S = 20
"""Home routers forget idle UDP after 30 s and more; a dialer that bears 20 s bears them."""

_CLONE_NEWNET = 0x40000000
_numbers = itertools.count(1)
_lock = threading.Lock()


class NamespaceFailed(RuntimeError):
    """A namespace, link or rule could not be made; the message carries what `ip` or `nft` said."""


class Masquerade(StrEnum):
    """How the router chooses the outer port of a new UDP flow."""

    PRESERVING = "preserving"
    """The inner one, wherever the packet goes."""
    RANDOM = "random"
    """Another one for each address and port outside: a symmetric NAT."""


@dataclass(frozen=True, kw_only=True)
class Host:
    """One namespace."""

    namespace: str
    addresses: tuple[str, ...]

    @property
    def address(self) -> str:
        """The first address."""
        return self.addresses[0]


@dataclass(frozen=True, kw_only=True)
class Network:
    """The hosts of one test."""

    inside: Host
    """The dialer's."""
    outside: Host
    """The provider's, with several addresses."""
    router: Host | None = None
    """What lies between; None where they share a link."""

    def dropped(self) -> tuple[int, int]:
        """How many packets `loss_percent` has taken: of those going out, of those coming in."""
        counts = [_counter(host, "lost") for host in (self.outside, self.inside)]
        return counts[0], counts[1]

    def refused(self) -> int:
        """How many packets from outside the router has let fall because nobody inside had asked for them."""
        if self.router is None:
            return 0
        return _counter(self.router, "refused")


@contextlib.contextmanager
def within(namespace: str | None) -> Iterator[None]:
    """Open sockets and /proc/net files as that namespace's in this thread meanwhile; None changes nothing.

    A socket stays in the namespace it was opened in.
    """
    if namespace is None:
        yield
        return
    own, other = Path("/proc/thread-self/ns/net"), Path("/run/netns") / namespace
    with own.open("rb") as before:
        with other.open("rb") as there:
            _enter(there.fileno())
        try:
            yield
        finally:
            _enter(before.fileno())


def _enter(descriptor: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")


_RTP_PACKET_OCTETS = 200
"""20 ms of G.711 with the headers of RTP, UDP and IP."""
_PROBATION_RULES = """
table ip probation {{
    chain input {{
        type filter hook input priority filter
        udp dport {low}-{high} udp length {length} quota until {octets} bytes drop
    }}
}}
"""


@contextlib.contextmanager
def direct(*, loss_percent: int = 0) -> Iterator[Network]:
    """`inside` and `outside` on one link that loses so many percent of the packets each way."""
    with contextlib.ExitStack() as stack:
        inside = _host(stack, "inside", INSIDE_ADDRESS)
        outside = _host(stack, "outside", *OUTSIDE_ADDRESSES)
        _link(inside, outside)
        _ip(inside, "route", "add", "default", "dev", "eth0")
        _ip(outside, "route", "add", "default", "dev", "eth0")
        _lose(inside, outside, loss_percent)
        yield Network(inside=inside, outside=outside)


@contextlib.contextmanager
def behind_nat(masquerade: Masquerade, *, loss_percent: int = 0) -> Iterator[Network]:
    """`inside` behind a router that masquerades, forgets UDP flows after 20 s and lets nothing in unasked."""
    with contextlib.ExitStack() as stack:
        inside = _host(stack, "inside", INSIDE_ADDRESS)
        router = _host(stack, "router", ROUTER_INSIDE, PUBLIC_ADDRESS)
        outside = _host(stack, "outside", *OUTSIDE_ADDRESSES)
        _link(inside, router, b_device="lan", b_addresses=(ROUTER_INSIDE,))
        _link(outside, router, b_device="wan", b_addresses=(PUBLIC_ADDRESS,))
        _ip(inside, "route", "add", "default", "via", ROUTER_INSIDE)
        _ip(outside, "route", "add", "default", "via", PUBLIC_ADDRESS)
        _rules(router, _ROUTER_RULES.format(how="" if masquerade is Masquerade.PRESERVING else "random,fully-random"))
        _set(router, "ipv4/ip_forward", 1)
        for name in ("nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"):
            _set(router, f"netfilter/{name}", CONNTRACK_TIMEOUT_S)
        _lose(inside, outside, loss_percent)
        yield Network(inside=inside, outside=outside, router=router)


_ROUTER_RULES = """
table ip router {{
    counter refused {{
    }}
    chain out {{
        type nat hook postrouting priority srcnat
        oifname "wan" masquerade {how}
    }}
    chain forward {{
        type filter hook forward priority filter
        iifname "lan" accept
        ct state established,related accept
        counter name refused drop
    }}
    chain input {{
        type filter hook input priority filter
        iifname "wan" counter name refused drop
    }}
}}
"""

# Lost on arrival, as on a wire: a packet dropped on its way out would be an error to its sender.
_LOSS_RULES = """
table ip line {{
    counter lost {{
    }}
    chain input {{
        type filter hook input priority raw
        iifname "eth0" numgen random mod 100 < {percent} counter name lost drop
    }}
}}
"""


def put_on_probation(host: Host, ports: Sequence[int], *, packets: int) -> None:
    """Have the host's programs miss the first RTP packets of 20 ms that come to these ports, as many as given.

    Gateways that send to where packets come from first see a source for a while (Asterisk's `strictrtp`: 4 packets).
    """
    octets = packets * _RTP_PACKET_OCTETS
    _rules(
        host, _PROBATION_RULES.format(low=min(ports), high=max(ports), length=_RTP_PACKET_OCTETS - 20, octets=octets)
    )


def _host(stack: contextlib.ExitStack, role: str, *addresses: str) -> Host:
    with _lock:
        name = f"autodialer-{os.getpid()}-{next(_numbers)}-{role}"
    _run("ip", "netns", "add", name)
    stack.callback(_run, "ip", "netns", "delete", name)
    host = Host(namespace=name, addresses=addresses)
    _ip(host, "link", "set", "lo", "up")
    # A socket that is still open somewhere keeps a namespace alive after its name is gone, but not its links.
    stack.callback(_unlink, host)
    return host


def _link(a: Host, b: Host, *, b_device: str = "eth0", b_addresses: Sequence[str] | None = None) -> None:
    """One wire from a's eth0 to b, whose addresses it carries at both ends."""
    _ip(a, "link", "add", "eth0", "type", "veth", "peer", "name", b_device, "netns", b.namespace)
    ends = ((a, "eth0", a.addresses), (b, b_device, b.addresses if b_addresses is None else b_addresses))
    for host, device, addresses in ends:
        for address in addresses:
            _ip(host, "address", "add", f"{address}/24", "dev", device)
        _ip(host, "link", "set", device, "up")


def _unlink(host: Host) -> None:
    for device in re.findall(r"^\d+: ([^:@]+)@", _ip(host, "-o", "link"), re.MULTILINE):
        _ip(host, "link", "delete", device)


def _lose(inside: Host, outside: Host, percent: int) -> None:
    for host in (inside, outside):
        _rules(host, _LOSS_RULES.format(percent=percent))


def _set(host: Host, name: str, value: int) -> None:
    with within(host.namespace):
        (Path("/proc/sys/net") / name).write_text(str(value))


def _rules(host: Host, text: str) -> None:
    _run("ip", "netns", "exec", host.namespace, _path("nft"), "-f", "-", text=text)


def _counter(host: Host, name: str) -> int:
    shown = _run("ip", "netns", "exec", host.namespace, _path("nft"), "list", "counters")
    found = re.search(rf"counter {name} \{{\s*packets (\d+)", shown)
    if found is None:
        raise NamespaceFailed(f"no counter {name} in {host.namespace}:\n{shown}")
    return int(found[1])


def _ip(host: Host, *arguments: str) -> str:
    return _run("ip", "-n", host.namespace, *arguments)


def _path(program: str) -> str:
    found = find_program(program)
    if found is None:
        raise NamespaceFailed(explain_missing([program]))
    return found


def _run(program: str, *arguments: str, text: str = "") -> str:
    command = [_path(program), *arguments]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=at_most(30), check=False)
    if done.returncode != 0:
        raise NamespaceFailed(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout

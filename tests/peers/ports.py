"""Ports and addresses of 127.0.0.0/8 for tests, so that two runs side by side never meet.

A port handed out is held by an abstract Unix socket named after it for as long as this process lives: the kernel lets
one process have the name, and takes it back when the process dies however it dies.
"""

import contextlib
import itertools
import random
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.peers.namespaces import within
from tests.timing import at_most

LOCALHOST = "127.0.0.1"
FIRST_PORT, LAST_PORT = 20000, 31999
"""Above the dialer's own RTP ports (10000-19999), below the ephemeral ports of Linux (32768-60999)."""

_holds: dict[int, socket.socket] = {}
_hosts: Iterator[int] | None = None


class NoFreePort(RuntimeError):
    """No port is free in the range that tests use."""


def free_port(host: str = LOCALHOST, *, namespace: str | None = None) -> int:
    """A port free for UDP and TCP, held for this process until it ends."""
    return free_ports(1, host=host, namespace=namespace)[0]


def free_ports(count: int, *, host: str = LOCALHOST, even: bool = False, namespace: str | None = None) -> range:
    """`count` ports in a row, free for UDP and TCP, held for this process until it ends.

    `even` starts them at an even number, as RTP wants (RFC 3550 section 11). Raises NoFreePort.
    """
    first, last, step = _where(count)
    starts = list(range(first, last - count + 2, max(step, 2 if even else 1)))
    offset = random.randrange(len(starts))
    for start in itertools.chain(starts[offset:], starts[:offset]):
        wanted = range(start, start + count)
        if _take(wanted, host, namespace):
            return wanted
    raise NoFreePort(f"no {count} ports in a row are free in {FIRST_PORT}-{LAST_PORT}")


def _where(count: int) -> tuple[int, int, int]:
    """First and last port, and a step, for so many in a row: single ones all over the range would leave no room."""
    if count >= 50:
        return 30000, LAST_PORT, 100
    if count >= 10:
        return 26000, 29999, 20
    return FIRST_PORT, min(LAST_PORT, 25999), 1


def other_host() -> str:
    """An address of 127.0.0.0/8 other than 127.0.0.1, not given out before in this process."""
    global _hosts
    if _hosts is None:
        _hosts = itertools.count(random.randrange(256, 200 * 65536))
    number = next(_hosts)
    return f"127.{1 + number // 65536 % 250}.{number // 256 % 256}.{1 + number % 254}"


@contextlib.contextmanager
def silent_host(host: str = LOCALHOST) -> Iterator[tuple[str, int]]:
    """The address of a gateway that takes every datagram in and never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((host, free_port(host)))
        yield silent.getsockname()


def _take(ports: range, host: str, namespace: str | None) -> bool:
    with contextlib.ExitStack() as stack:
        taken: dict[int, socket.socket] = {}
        for port in ports:
            if port in _holds or not _can_bind(host, port, namespace):
                return False
            hold = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            try:
                hold.bind(f"\0autodialer-test-port-{port}")
            except OSError:
                return False
            taken[port] = hold
        stack.pop_all()
        _holds.update(taken)
    return True


def _can_bind(host: str, port: int, namespace: str | None) -> bool:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with within(namespace), socket.socket(family, kind) as probe:
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True


def is_bound(host: str, port: int, *, tcp: bool = False, namespace: str | None = None) -> bool:
    """Whether any process has the port open at this address or at all addresses, as the kernel's tables say."""
    octets = socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    # Words in the machine's order.
    words = [octets[start : start + 4][::-1].hex().upper() for start in range(0, len(octets), 4)]
    addresses = {"0" * 8 * len(words), "".join(words)}
    table = ("tcp" if tcp else "udp") + ("6" if ":" in host else "")
    with within(namespace):
        lines = Path("/proc/thread-self/net", table).read_text().splitlines()[1:]
    local = [line.split()[1] for line in lines if not tcp or line.split()[3] == "0A"]
    return any(f"{address}:{port:04X}" in local for address in addresses)


def wait_until(condition: Callable[[], bool], *, what: str, timeout_s: float = 10.0, poll_s: float = 0.01) -> None:
    """Return as soon as the condition holds; raise TimeoutError naming `what` after `timeout_s`."""
    deadline = time.monotonic() + at_most(timeout_s)
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_s} s without success for {what}")
        time.sleep(poll_s)

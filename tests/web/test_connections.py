"""Clients that send half a request, or nothing at all, keep nobody else out."""

import contextlib
import http.client
import select
import socket
import tempfile
import time
from collections.abc import Iterator

import pytest
import requests

from autodialer.config import Settings
from autodialer.web import connections
from autodialer.web.app import App
from tests.peers.ports import wait_until
from tests.timing import at_most
from tests.web.serving import free_port, serving

pytestmark = pytest.mark.loopback
HALF = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow:"
WHOLE = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def settings(settings: Settings) -> Iterator[Settings]:
    """With a port of its own; the folder for temporary files is put back in the end."""
    before = tempfile.tempdir
    yield Settings(data=settings.data, http=f"127.0.0.1:{free_port()}")
    tempfile.tempdir = before


@pytest.fixture
def address(settings: Settings, app: App) -> Iterator[tuple[str, int]]:
    """Where the server listens."""
    with serving(settings, app):
        yield settings.http_host, settings.http_port


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    """Closes what a test has opened."""
    with contextlib.ExitStack() as opened:
        yield opened


def connect(address: tuple[str, int], stack: contextlib.ExitStack, first: bytes) -> socket.socket:
    client = stack.enter_context(socket.create_connection(address, timeout=at_most(10)))
    client.sendall(first)
    return client


def is_answered(client: socket.socket) -> bool:
    """Reads one answer to its end; whether it is good."""
    answer = http.client.HTTPResponse(client)
    answer.begin()
    return bool(answer.read()) and answer.status == 200


def is_closed(client: socket.socket) -> bool:
    """Whether the server has ended it; nothing was answered on it."""
    # Not select.select: that takes no descriptor over 1023.
    waiting = select.poll()
    waiting.register(client, select.POLLIN)
    if not waiting.poll(0):
        return False
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def test_five_hundred_half_sent_requests_leave_the_others_their_answers(
    address: tuple[str, int], stack: contextlib.ExitStack
) -> None:
    half_open = [connect(address, stack, HALF) for _ in range(500)]
    assert requests.get(f"http://{address[0]}:{address[1]}/healthz", timeout=at_most(10)).status_code == 200
    # The last of them are kept, for a slow client is no attacker; the first have made room.
    wait_until(lambda: sum(is_closed(client) for client in half_open) >= 400, what="room", timeout_s=20)
    assert not any(is_closed(client) for client in half_open[-connections.MOST_PER_ADDRESS + 2 :])
    half_open[-1].sendall(b" 1\r\n\r\n")
    assert is_answered(half_open[-1])


def test_headers_that_drip_are_cut_off_and_an_idle_connection_is_not(
    address: tuple[str, int], stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEADERS_S", 1.0)
    idle = connect(address, stack, WHOLE)
    assert is_answered(idle)
    silent, dripping = connect(address, stack, b""), connect(address, stack, HALF)

    def drips_on() -> bool:
        with contextlib.suppress(OSError):
            dripping.sendall(b"a")
        return not (is_closed(dripping) and is_closed(silent))

    wait_until(lambda: not drips_on(), what="both cut off", timeout_s=20, poll_s=0.1)
    idle.sendall(WHOLE)
    assert is_answered(idle)


def test_an_idle_connection_ends_after_its_own_time(
    address: tuple[str, int], stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "IDLE_S", 0.5)
    idle = connect(address, stack, WHOLE)
    assert is_answered(idle)
    wait_until(lambda: is_closed(idle), what="its end", timeout_s=20)


class FakeChannel:
    """A connection as the connections know it."""

    def __init__(self, address: str, *, at_work: bool = False) -> None:
        self.addr, self.requests, self.request = (address, 1), ["x"] if at_work else [], None
        self.waits_since, self.is_fresh, self.total_outbufs_len = time.monotonic(), True, 0
        self.kept: connections.Connections | None = None

    def end(self) -> None:
        """As the real one: the connections are told."""
        assert self.kept
        self.kept.closed(self)


def taken(addresses: list[str], *, proxy: str | None = None, at_work: bool = False) -> list[int]:
    """The places of those that stay, of clients that come one after the other."""
    kept = connections.Connections(trusted_proxy=proxy)
    channels = [FakeChannel(address, at_work=at_work) for address in addresses]
    stay = set(channels)
    for channel in channels:
        channel.kept = kept
        channel.end = lambda channel=channel: (kept.closed(channel), stay.discard(channel))  # type: ignore[method-assign, misc]
        kept.opened(channel)
    return [place for place, channel in enumerate(channels) if channel in stay]


def test_the_limit_by_address_is_not_for_the_trusted_proxy() -> None:
    many = ["192.0.2.1"] * (connections.MOST_PER_ADDRESS + 5)
    assert taken(many) == list(range(5, len(many)))
    assert taken(many, proxy="192.0.2.1") == list(range(len(many)))


def test_of_all_addresses_together_the_oldest_makes_room() -> None:
    many = [f"192.0.2.{index % 200}" for index in range(connections.MOST + 5)]
    assert taken(many) == list(range(5, len(many)))


def test_where_all_are_at_work_nobody_is_cut_off() -> None:
    many = ["192.0.2.1"] * (connections.MOST_PER_ADDRESS + 5)
    assert len(taken(many, at_work=True)) == len(many)

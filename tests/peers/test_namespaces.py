"""The network the other tests trust is as hostile as they say: judged by plain sockets and the kernel's counters."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.namespaces import (
    CONNTRACK_TIMEOUT_S,
    PUBLIC_ADDRESS,
    Host,
    Masquerade,
    Network,
    behind_nat,
    direct,
    within,
)

pytestmark = pytest.mark.netns


@contextlib.contextmanager
def udp(host: Host, *, port: int = 0, address: str | None = None) -> Iterator[socket.socket]:
    with within(host.namespace):
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with opened:
        opened.bind((address or host.address, port))
        opened.settimeout(0.5)
        yield opened


def hears(receiver: socket.socket) -> tuple[str, int] | None:
    """Who sent the next datagram; None after half a second of silence."""
    try:
        return receiver.recvfrom(100)[1]
    except TimeoutError:
        return None


def namespaces() -> set[str]:
    return {path.name for path in Path("/run/netns").glob(f"autodialer-{os.getpid()}-*")}


def test_a_port_preserving_router_keeps_the_port_whatever_the_destination() -> None:
    with behind_nat(Masquerade.PRESERVING) as network, udp(network.inside, port=5060) as phone:
        for address in network.outside.addresses:
            with udp(network.outside, address=address) as server:
                phone.sendto(b"x", server.getsockname())
                assert hears(server) == (PUBLIC_ADDRESS, 5060)


def test_a_symmetric_router_has_another_port_for_each_destination() -> None:
    with behind_nat(Masquerade.RANDOM) as network, udp(network.inside, port=5060) as phone:
        ports = set()
        for address in network.outside.addresses:
            with udp(network.outside, address=address) as server:
                phone.sendto(b"x", server.getsockname())
                seen = hears(server)
                assert seen is not None and seen[0] == PUBLIC_ADDRESS
                server.sendto(b"x", seen)
                assert hears(phone) == server.getsockname()
                ports.add(seen[1])
        assert len(ports) == len(network.outside.addresses)
        assert 5060 not in ports


@pytest.mark.parametrize("masquerade", Masquerade)
def test_nothing_comes_in_that_was_not_asked_for(masquerade: Masquerade) -> None:
    with (
        behind_nat(masquerade) as network,
        udp(network.inside, port=5060) as phone,
        udp(network.outside) as asked,
        udp(network.outside) as stranger,
    ):
        phone.sendto(b"x", asked.getsockname())
        seen = hears(asked)
        assert seen is not None
        stranger.sendto(b"x", seen)
        stranger.sendto(b"x", (PUBLIC_ADDRESS, 5060))
        stranger.sendto(b"x", phone.getsockname())
        assert hears(phone) is None
        assert network.refused() == 3
        asked.sendto(b"x", seen)
        assert hears(phone) == asked.getsockname()


def test_a_router_forgets_an_idle_flow_after_twenty_seconds_and_keeps_a_busy_one() -> None:
    with (
        behind_nat(Masquerade.PRESERVING) as network,
        udp(network.inside) as idle,
        udp(network.inside) as busy,
        udp(network.outside) as server,
    ):
        for phone in (idle, busy):
            phone.sendto(b"x", server.getsockname())
            seen = hears(server)
            assert seen is not None
            server.sendto(b"x", seen)
            assert hears(phone) is not None
        time.sleep(CONNTRACK_TIMEOUT_S * 0.6)
        busy.sendto(b"x", server.getsockname())
        time.sleep(CONNTRACK_TIMEOUT_S * 0.6)
        for phone, reached in ((idle, False), (busy, True)):
            server.sendto(b"x", (PUBLIC_ADDRESS, phone.getsockname()[1]))
            assert (hears(phone) is not None) == reached


@pytest.mark.parametrize("percent", [0, 10, 30])
def test_the_line_loses_as_many_packets_each_way_as_it_was_told(percent: int) -> None:
    count = 2000
    with (
        direct(loss_percent=percent) as network,
        udp(network.inside) as phone,
        udp(network.outside) as server,
    ):
        for sender, receiver in ((phone, server), (server, phone)):
            for _ in range(count):
                sender.sendto(b"x", receiver.getsockname())
        for dropped in network.dropped():
            assert abs(dropped - count * percent / 100) < 0.05 * count


def test_networks_side_by_side_do_not_meet_and_nothing_is_left_of_them() -> None:
    before = namespaces()
    with direct() as one, direct() as other, udp(one.inside) as phone, udp(other.outside) as stranger:
        phone.sendto(b"x", stranger.getsockname())
        assert hears(stranger) is None
        assert len(namespaces() - before) == 4
    assert namespaces() == before


def test_a_network_is_removed_after_a_failure_though_a_socket_of_it_is_still_open() -> None:
    before = namespaces()

    def fail() -> Network:
        with behind_nat(Masquerade.RANDOM) as network:
            with within(network.outside.namespace):
                left.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            raise LookupError

    left: list[socket.socket] = []
    with pytest.raises(LookupError):
        fail()
    assert namespaces() == before
    left[0].close()


def test_only_what_is_opened_meanwhile_belongs_to_the_namespace() -> None:
    def devices() -> str:
        return subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout

    with direct() as network:
        before = devices()
        with within(network.inside.namespace):
            assert "eth0@" in devices()
        assert devices() == before

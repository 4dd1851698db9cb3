"""Ports that two runs side by side do not share."""

import socket
import subprocess
import sys

import pytest

from tests.peers import ports

pytestmark = pytest.mark.loopback


def test_a_port_is_given_out_once_and_can_be_bound() -> None:
    given = [ports.free_port() for _ in range(20)]
    assert len(set(given)) == 20
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", given[0]))
        assert ports.is_bound("127.0.0.1", given[0])
    assert not ports.is_bound("127.0.0.1", given[1])


def test_rtp_ports_stand_in_a_row_from_an_even_one() -> None:
    given = ports.free_ports(10, even=True)
    assert given[0] % 2 == 0
    assert list(given) == list(range(given[0], given[0] + 10))


def test_another_process_does_not_get_a_port_that_is_held_here() -> None:
    held = ports.free_port()
    program = f"import tests.peers.ports as p; p.FIRST_PORT, p.LAST_PORT = {held}, {held}; p.free_port()"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "NoFreePort" in result.stderr


def test_other_addresses_of_the_loopback_network_can_be_bound() -> None:
    host = ports.other_host()
    assert host != ports.other_host()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind((host, 0))


def test_waiting_in_vain_names_what_was_waited_for() -> None:
    with pytest.raises(TimeoutError, match="the moon"):
        ports.wait_until(lambda: False, what="the moon", timeout_s=0.02)

"""Networks where no trunk leads: by address or by name, over IPv4 or an IPv4 address within an IPv6 one."""

import pytest

from autodialer.config import CLOSED
from autodialer.errors import HostUnresolved
from autodialer.model import Trunk
from autodialer.phone.closed_networks import ClosedNetworks
from autodialer.phone.provider import find_provider
from autodialer.phone.resolver import Resolver
from autodialer.store import trunk_of
from tests.campaign.test_scheduler import trunk

DENIED = ClosedNetworks(CLOSED)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "169.254.169.254",
        "100.100.100.200",
        "224.0.1.75",
        "255.255.255.255",
        "::1",
        "::",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "2002:7f00:1::1",
        "fe80::1",
        "fd00:ec2::254",
        "ff02::1",
    ],
)
def test_this_machine_metadata_and_multicast_are_closed(host: str) -> None:
    assert DENIED.network_of(host) is not None


@pytest.mark.parametrize("host", ["192.0.2.1", "10.0.0.5", "192.168.1.1", "2001:db8::1", "fd12::1", "sip.example"])
def test_providers_and_a_pbx_in_the_office_are_open(host: str) -> None:
    assert DENIED.network_of(host) is None


def test_a_network_that_we_are_in_is_open_and_only_that_one() -> None:
    demo = ClosedNetworks(CLOSED, own="127.0.0.1")
    assert demo.network_of("127.0.0.2") is None
    assert demo.network_of("169.254.169.254") == "169.254.0.0/16"
    assert demo.network_of("::1") == "::1/128"


WAYS = {
    "host": {"host": "127.0.0.1"},
    "a name": {"host": "inside.test"},
    "outbound_proxy": {"host": "192.0.2.1", "outbound_proxy": "127.0.0.1:5070"},
    "stun_server": {"host": "192.0.2.1", "stun_server": "inside.test"},
}


@pytest.mark.parametrize("way", WAYS)
def test_no_way_to_name_a_host_gets_round_it(way: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    hosts = tmp_path_factory.mktemp("hosts") / "hosts"
    hosts.write_text("127.0.0.1 inside.test\n")
    asked: Trunk = trunk_of(trunk(**{"port": None, **WAYS[way]}))
    assert find_provider(asked, Resolver(hosts_file=hosts)).targets
    with pytest.raises(HostUnresolved, match=r"127\.0\.0\.0/8, a network where this service calls nobody"):
        find_provider(asked, Resolver(hosts_file=hosts, closed=DENIED))


def test_of_a_name_with_several_addresses_only_the_open_ones_are_called(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    hosts = tmp_path_factory.mktemp("hosts") / "hosts"
    hosts.write_text("127.0.0.1 mixed.test\n192.0.2.7 mixed.test\n")
    provider = find_provider(trunk(host="mixed.test", port=None), Resolver(hosts_file=hosts, closed=DENIED))
    assert [hop.host for hop in provider.targets] == ["192.0.2.7"]


def test_a_second_server_in_a_closed_network_is_left_out() -> None:
    provider = find_provider(trunk(host="192.0.2.1", backup_host="127.0.0.1"), Resolver(closed=DENIED))
    assert [hop.host for hop in provider.targets] == ["192.0.2.1"]

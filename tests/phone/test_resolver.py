"""Finding servers through a real name server (NSD), the hosts file and the operating system."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import dns.message
import dns.rdatatype
import pytest

from autodialer.errors import HostUnresolved
from autodialer.phone.resolver import SYSTEM_TTL_S, Resolver, read_hosts
from autodialer.sip.hop import TCP, TLS, UDP, Hop
from tests.peers.dns import DnsServer
from tests.peers.ports import LOCALHOST, free_port, other_host, silent_host
from tests.timing import at_most

pytestmark = [pytest.mark.loopback, pytest.mark.peer("nsd")]

ZONE = [
    "plain 40 IN A 127.0.5.1",
    "farm 40 IN A 127.0.5.1",
    "farm 40 IN A 127.0.5.2",
    "farm 40 IN A 127.0.5.3",
    "alias 9 IN CNAME plain",
    "loop IN CNAME loop",
    "dangling IN CNAME nowhere",
    "six IN AAAA ::1",
    "text IN TXT words",
    "big IN TXT words",
    *(f"_sip._udp.big IN SRV {number} 0 5060 a-rather-long-name-of-server-number-{number}" for number in range(60)),
    *(f"a-rather-long-name-of-server-number-{number} IN A 127.0.6.{number + 1}" for number in range(60)),
    "_sip._udp.provider 300 IN SRV 20 0 5083 backup",
    "_sip._udp.provider 300 IN SRV 10 0 5081 main",
    "_sip._tcp.provider 300 IN SRV 10 0 5091 main",
    "_sips._tcp.provider 300 IN SRV 10 0 5092 main",
    "provider 300 IN A 127.0.5.9",
    "main 120 IN A 127.0.5.10",
    "backup 90 IN A 127.0.5.11",
    "_sip._udp.shared IN SRV 10 30 5060 main",
    "_sip._udp.shared IN SRV 10 10 5060 backup",
    "_sip._udp.through-alias IN SRV 10 0 5060 alias",
    "_naptr._udp.away 30 IN SRV 10 0 5099 main",
    'pointed 200 IN NAPTR 20 10 "s" "SIP+D2U" "" _sip._udp.provider',
    'pointed 200 IN NAPTR 10 10 "s" "SIP+D2U" "" _naptr._udp.away',
    'pointed 200 IN NAPTR 10 10 "s" "SIP+D2T" "" _sip._tcp.provider',
    'chosen 200 IN NAPTR 10 50 "s" "SIP+D2U" "" _sip._udp.provider',
    'chosen 200 IN NAPTR 10 5 "s" "SIP+D2U" "" _naptr._udp.away',
    "_sip._udp.tail 300 IN SRV 20 65535 5060 backup",
    "_sip._udp.tail 300 IN SRV 10 0 5060 main",
    "_sip._udp.tail 300 IN SRV 30 0 5060 plain",
    "_sip._udp.none IN SRV 0 0 0 .",
    "none IN A 127.0.5.1",
    "_sip._udp.lost IN SRV 10 0 5060 nowhere",
]


@pytest.fixture(scope="module")
def dns_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DnsServer]:
    with DnsServer(ZONE, folder=tmp_path_factory.mktemp("dns"), broken=["broken.test"]) as server:
        yield server


@pytest.fixture
def resolver(dns_server: DnsServer) -> Resolver:
    return Resolver([dns_server.address], system_names=False)


TAIL = ["127.0.5.10:5060", "127.0.5.11:5060", "127.0.5.1:5060"]
FOUND = [
    ("a_name_without_srv_has_its_address", "plain", None, UDP, ["127.0.5.1:5060"], 40),
    ("all_addresses_are_targets", "farm", None, UDP, ["127.0.5.1:5060", "127.0.5.2:5060", "127.0.5.3:5060"], 40),
    ("a_cname_is_followed_and_its_ttl_counts", "alias", None, UDP, ["127.0.5.1:5060"], 9),
    ("srv_goes_by_priority", "provider", None, UDP, ["127.0.5.10:5081", "127.0.5.11:5083"], 90),
    ("tcp_has_its_own_srv", "provider", None, TCP, ["127.0.5.10:5091"], 120),
    ("tls_has_its_own_srv", "provider", None, TLS, ["127.0.5.10:5092"], 120),
    ("a_given_port_goes_without_srv", "provider", 5070, UDP, ["127.0.5.9:5070"], 300),
    ("an_alias_as_srv_target_is_followed", "through-alias", None, UDP, ["127.0.5.1:5060"], 9),
    ("naptr_leads_to_the_srv_of_lowest_order", "pointed", None, UDP, ["127.0.5.10:5099"], 30),
    ("naptr_of_equal_order_goes_by_preference", "chosen", None, UDP, ["127.0.5.10:5099"], 30),
    ("a_lower_srv_priority_comes_first_whatever_the_weights", "tail", None, UDP, TAIL, 40),
    ("naptr_leads_tcp_elsewhere", "pointed", None, TCP, ["127.0.5.10:5091"], 120),
    ("too_much_for_a_datagram_comes_by_tcp", "big", None, UDP, [f"127.0.6.{n}:5060" for n in range(1, 17)], 60),
]


@pytest.mark.parametrize(
    ("name", "port", "transport", "targets", "ttl_s"), [pytest.param(*row[1:], id=row[0]) for row in FOUND]
)
def test_what_the_zone_says_is_found(resolver: Resolver, name, port, transport, targets, ttl_s) -> None:
    located = resolver.locate(f"{name}.example.test", port, transport)
    found = [f"{hop.host}:{hop.port}" for hop in located.targets]
    # The order of the addresses of one name is the name server's.
    assert (sorted(found) if name == "farm" else found) == targets
    assert {hop.transport for hop in located.targets} == {transport}
    assert located.ttl_s == ttl_s


NOT_FOUND = [
    ("nxdomain", "nobody.example.test", "the name nobody.example.test does not exist"),
    ("dangling_cname", "dangling.example.test", "the name dangling.example.test does not exist"),
    ("no_address", "text.example.test", "the name text.example.test has neither an IPv4 nor an IPv6 address (A, AAAA)"),
    ("not_available", "none.example.test", "none.example.test says that it takes no SIP over UDP"),
    ("srv_to_nowhere", "lost.example.test", "the name nowhere.example.test does not exist, and the SRV record"),
    ("servfail", "sip.broken.test", "gave no usable answer (asked for the SRV record of _sip._udp.sip.broken.test"),
    ("refused", "sip.elsewhere.test", "REFUSED"),
    ("empty_label", "sip..example.test", "sip..example.test cannot be a host name"),
    ("long_label", f"{'x' * 64}.example.test", "cannot be a host name"),
    ("long_name", ".".join(["x" * 60] * 4) + ".test", "cannot be a host name"),
]


@pytest.mark.parametrize(("host", "sentence"), [pytest.param(*row[1:], id=row[0]) for row in NOT_FOUND])
def test_what_the_zone_lacks_is_explained(resolver: Resolver, host: str, sentence: str) -> None:
    with pytest.raises(HostUnresolved) as failure:
        resolver.locate(host)
    assert sentence in str(failure.value)


@pytest.mark.parametrize(
    ("host", "family", "sentence"),
    [
        ("six.example.test", 4, "has only IPv6 addresses (AAAA), and IPv4 is spoken here"),
        ("plain.example.test", 6, "has only IPv4 addresses (A), and IPv6 is spoken here"),
        ("text.example.test", 6, "has no IPv6 address (AAAA)"),
    ],
)
def test_an_address_of_the_other_family_is_told(resolver: Resolver, host: str, family: int, sentence: str) -> None:
    with pytest.raises(HostUnresolved) as failure:
        resolver.locate(host, families=(family,))
    assert sentence in str(failure.value)


def test_of_two_families_the_one_with_an_address_is_taken(resolver: Resolver) -> None:
    assert [hop.host for hop in resolver.locate("six.example.test").targets] == ["::1"]


def test_a_name_server_that_cannot_answer_is_named_with_what_it_said(dns_server: DnsServer, resolver: Resolver) -> None:
    host, port = dns_server.address
    with pytest.raises(HostUnresolved, match=rf"{host}@{port}: SERVFAIL"):
        resolver.locate("sip.broken.test")


def test_a_cname_to_itself_ends_in_an_error(resolver: Resolver) -> None:
    with pytest.raises(HostUnresolved):
        resolver.locate("loop.example.test", 5060)


def test_weights_share_the_first_place_in_proportion(resolver: Resolver) -> None:
    first = Counter(resolver.locate("shared.example.test").targets[0].host for _ in range(400))
    assert set(first) == {"127.0.5.10", "127.0.5.11"}
    # 300 of 400 are due; 50 away is nearly six standard deviations.
    assert 250 <= first["127.0.5.10"] <= 350


def test_many_threads_share_a_resolver(resolver: Resolver) -> None:
    names = [f"{name}.example.test" for name in ("plain", "provider", "alias", "pointed")] * 20
    with ThreadPoolExecutor(max_workers=8) as pool:
        targets = list(pool.map(lambda name: resolver.locate(name).targets[0].port, names))
    assert targets == [5060, 5081, 5060, 5099] * 20


def test_a_changed_zone_is_seen_at_the_next_look_up(tmp_path: Path) -> None:
    with DnsServer(["sip IN A 127.0.5.1"], folder=tmp_path) as server:
        resolver = Resolver([server.address], system_names=False)
        assert resolver.locate("sip.example.test").targets == (Hop("127.0.5.1", 5060),)
        server.replace(["sip IN A 127.0.5.2", "_sip._udp.sip IN SRV 1 0 5077 sip"])
        assert resolver.locate("sip.example.test").targets == (Hop("127.0.5.2", 5077),)


def closed(stack: ExitStack) -> tuple[str, int]:
    host = other_host()
    return host, free_port(host)


def silent(stack: ExitStack) -> tuple[str, int]:
    return stack.enter_context(silent_host())


@pytest.mark.parametrize("name_server", [closed, silent])
def test_a_name_server_that_does_not_answer_costs_the_time_limit_and_no_more(
    name_server: Callable[[ExitStack], tuple[str, int]],
) -> None:
    with ExitStack() as stack:
        resolver = Resolver([name_server(stack)], lifetime_s=0.5, system_names=False)
        began = time.monotonic()
        with pytest.raises(HostUnresolved) as failure:
            resolver.locate("sip.example.test")
        assert time.monotonic() - began < at_most(10.0)
    assert str(failure.value).startswith("the name server did not answer within 0.5 s (asked for the SRV record of")


def waiting(receiver: socket.socket) -> Iterator[bytes]:
    """The datagrams that nobody has read yet."""
    receiver.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            yield receiver.recv(4096)


def test_a_silent_first_name_server_delays_only_the_first_question(dns_server: DnsServer) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as dead:
        dead.bind((LOCALHOST, free_port()))
        resolver = Resolver([dead.getsockname(), dns_server.address], system_names=False)
        located = resolver.locate("big.example.test")
        asked = {str(dns.message.from_wire(question).question[0]) for question in waiting(dead)}
    assert len(located.targets) == 16
    assert len(asked) == 1


@contextmanager
def forwarder_that_drops_naptr(server: tuple[str, int]) -> Iterator[tuple[str, int]]:
    """The address of a home router as some are: one kind of question gets no answer, the others are passed on."""
    ending = threading.Event()
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as front,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as back,
    ):
        front.bind((LOCALHOST, free_port()))
        front.settimeout(0.05)
        back.settimeout(at_most(1.0))

        def forward() -> None:
            while not ending.is_set():
                try:
                    question, client = front.recvfrom(4096)
                except TimeoutError:
                    continue
                if dns.message.from_wire(question).question[0].rdtype != dns.rdatatype.NAPTR:
                    back.sendto(question, server)
                    front.sendto(back.recv(4096), client)

        thread = threading.Thread(target=forward)
        thread.start()
        try:
            yield front.getsockname()
        finally:
            ending.set()
            thread.join()


def test_a_forwarder_that_drops_naptr_questions_leaves_time_for_srv(dns_server: DnsServer) -> None:
    with forwarder_that_drops_naptr(dns_server.address) as address:
        located = Resolver([address], lifetime_s=1.5, system_names=False).locate("provider.example.test")
    assert located.targets[0] == Hop("127.0.5.10", 5081)


def test_a_name_in_the_hosts_file_is_taken_from_there_and_dns_is_not_asked(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text(
        "127.0.7.1 other.test SIP.example.test\n127.0.7.2\tsip.example.test # second\n::1 sip.example.test\n"
    )
    with silent_host() as dead:
        resolver = Resolver([dead], hosts_file=hosts)
        assert resolver.locate("sip.Example.test").targets == (Hop("127.0.7.1", 5060), Hop("127.0.7.2", 5060))
        secure = resolver.locate("sip.example.test.", transport=TLS)
    assert secure.targets[0] == Hop("127.0.7.1", 5061, TLS)
    assert secure.ttl_s == SYSTEM_TTL_S


def test_an_srv_target_may_stand_in_the_hosts_file(dns_server: DnsServer, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.7.1 main.example.test\n")
    located = Resolver([dns_server.address], hosts_file=hosts).locate("provider.example.test")
    assert located.targets[0] == Hop("127.0.7.1", 5081)


def test_a_hosts_file_of_garbage_or_none_is_an_empty_one(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"\xff\xfe\x00 #\n999.1.1.1 x\n127.0.0.1\n\n# 127.0.0.1 commented\n")
    assert read_hosts(garbage) == {}
    assert read_hosts(tmp_path / "missing") == {}


def test_a_name_without_a_dot_is_the_operating_systems(tmp_path: Path) -> None:
    with silent_host() as dead:
        located = Resolver([dead], hosts_file=tmp_path / "none").locate("localhost")
    assert located.targets == (Hop("127.0.0.1", 5060),)


def test_an_unknown_name_without_a_dot_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(HostUnresolved, match="the name -no-such-host- does not exist"):
        Resolver([("127.0.0.1", 1)], hosts_file=tmp_path / "none").locate("-no-such-host-")


def test_what_dns_does_not_know_the_operating_system_may(dns_server: DnsServer) -> None:
    # Short for 127.0.0.1: the operating system reads it so, DNS has no such name.
    with DnsServer([], folder=dns_server.folder, origin="1") as root:
        assert Resolver([root.address]).locate("127.1", 5060).targets == (Hop("127.0.0.1", 5060),)
        with pytest.raises(HostUnresolved, match=r"the name 127\.1 does not exist"):
            Resolver([root.address], system_names=False).locate("127.1", 5060)


def test_without_any_name_server_the_operating_system_is_asked(tmp_path: Path) -> None:
    resolver = Resolver(resolv_conf=tmp_path / "none", hosts_file=tmp_path / "none")
    assert resolver.locate("127.1").targets == (Hop("127.0.0.1", 5060),)


@pytest.mark.netns
def test_the_systems_own_name_servers_are_asked_and_read_anew(tmp_path: Path) -> None:
    """Needs root for port 53, the only one that resolv.conf can mean."""
    conf = tmp_path / "resolv.conf"
    resolver = Resolver(resolv_conf=conf)
    for number in (1, 2):
        with DnsServer([f"sip IN A 127.0.8.{number}"], folder=tmp_path, host=other_host(), port=53) as server:
            conf.write_text(f"nameserver {server.address[0]}\n")
            assert resolver.locate("sip.example.test").targets == (Hop(f"127.0.8.{number}", 5060),)

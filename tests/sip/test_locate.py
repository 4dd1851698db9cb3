"""Finding servers by RFC 3263 and RFC 2782, every rule by itself; DNS is a table here."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from autodialer.errors import HostUnresolved
from autodialer.sip.hop import TCP, TLS, UDP, Hop
from autodialer.sip.locate import (
    MAX_SRV_TARGETS,
    REST_S,
    Answer,
    Located,
    Naptr,
    Srv,
    Targets,
    locate,
)

SILENCE = HostUnresolved("the name server did not answer within 5 s")


@dataclass
class Zone:
    """What DNS has, by kind and name; a name that is nowhere does not exist."""

    naptrs: Mapping[str, Answer[Naptr] | HostUnresolved] = field(default_factory=dict)
    srvs: Mapping[str, Answer[Srv] | HostUnresolved] = field(default_factory=dict)
    addresses: Mapping[str, Answer[str] | HostUnresolved] = field(default_factory=dict)
    ipv6: Mapping[str, Answer[str] | HostUnresolved] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def naptr(self, name: str) -> Answer[Naptr]:
        return self._answer("NAPTR", self.naptrs, name)

    def srv(self, name: str) -> Answer[Srv]:
        return self._answer("SRV", self.srvs, name)

    def a(self, name: str) -> Answer[str]:
        return self._answer("A", self.addresses, name)

    def aaaa(self, name: str) -> Answer[str]:
        return self._answer("AAAA", self.ipv6, name)

    def _answer(self, kind, table, name):
        self.asked.append(f"{kind} {name}")
        found = table.get(name)
        if isinstance(found, HostUnresolved):
            raise found
        exists = any(name in known for known in (self.naptrs, self.srvs, self.addresses, self.ipv6))
        return found or Answer(exists=exists)


def srv(target: str, *, port: int = 5060) -> Srv:
    return Srv(port=port, target=target)


def naptr(replacement: str, *, service: str = "SIP+D2U", flags: str = "s"):
    return Naptr(flags=flags, service=service, replacement=replacement)


def some(*records, ttl_s: float = 60.0):
    return Answer(records=records, ttl_s=ttl_s)


def find(zone: Zone, host: str = "example.test", port: int | None = None, transport: str = UDP) -> Located:
    return locate(host, port, transport, lookups=zone)


HOST = {"example.test": some("192.0.2.9", ttl_s=30)}
ONE, TWO = {"one.test": some("192.0.2.1", ttl_s=40)}, {"two.test": some("192.0.2.2", ttl_s=20)}

FOUND = [
    ("an_ipv4_address_is_itself_and_asks_nothing", Zone(), ("192.0.2.7", None, UDP), [("192.0.2.7", 5060)], math.inf),
    ("an_ipv4_address_keeps_its_port", Zone(), ("192.0.2.7", 5080, TCP), [("192.0.2.7", 5080)], math.inf),
    ("tls_has_another_default_port", Zone(), ("192.0.2.7", None, TLS), [("192.0.2.7", 5061)], math.inf),
    (
        "a_port_means_no_srv",
        Zone(srvs={"_sip._udp.example.test": some(srv("one.test"))}, addresses=HOST | ONE),
        ("example.test", 5070, UDP),
        [("192.0.2.9", 5070)],
        30,
    ),
    (
        "no_srv_means_the_address_and_default_port",
        Zone(addresses=HOST),
        ("example.test", None, UDP),
        [("192.0.2.9", 5060)],
        30,
    ),
    ("no_srv_over_tls_means_5061", Zone(addresses=HOST), ("example.test", None, TLS), [("192.0.2.9", 5061)], 30),
    ("a_final_dot_says_nothing_new", Zone(addresses=HOST), ("example.test.", None, UDP), [("192.0.2.9", 5060)], 30),
    (
        "several_addresses_are_all_targets_in_order",
        Zone(addresses={"example.test": some("192.0.2.3", "192.0.2.1", "192.0.2.2", ttl_s=5)}),
        ("example.test", None, UDP),
        [("192.0.2.3", 5060), ("192.0.2.1", 5060), ("192.0.2.2", 5060)],
        5,
    ),
    (
        "srv_targets_keep_their_order_and_the_smallest_ttl_counts",
        Zone(
            srvs={"_sip._udp.example.test": some(srv("one.test", port=5081), srv("two.test", port=5082), ttl_s=60)},
            addresses=HOST | ONE | TWO,
        ),
        ("example.test", None, UDP),
        [("192.0.2.1", 5081), ("192.0.2.2", 5082)],
        20,
    ),
    (
        "the_srv_ttl_counts",
        Zone(srvs={"_sip._udp.example.test": some(srv("one.test"), ttl_s=3)}, addresses=ONE),
        ("example.test", None, UDP),
        [("192.0.2.1", 5060)],
        3,
    ),
    (
        "tcp_asks_for_its_own_srv",
        Zone(
            srvs={"_sip._udp.example.test": some(srv("one.test")), "_sip._tcp.example.test": some(srv("two.test"))},
            addresses=ONE | TWO,
        ),
        ("example.test", None, TCP),
        [("192.0.2.2", 5060)],
        20,
    ),
    (
        "tls_asks_for_sips_over_tcp",
        Zone(
            srvs={
                "_sips._tcp.example.test": some(srv("one.test", port=5061)),
                "_sip._tcp.example.test": some(srv("two.test")),
            },
            addresses=ONE | TWO,
        ),
        ("example.test", None, TLS),
        [("192.0.2.1", 5061)],
        40,
    ),
    (
        "naptr_names_the_srv_and_its_ttl_counts",
        Zone(
            naptrs={"example.test": some(naptr("_sip._udp.farm.test"), ttl_s=7)},
            srvs={"_sip._udp.farm.test": some(srv("one.test")), "_sip._udp.example.test": some(srv("two.test"))},
            addresses=ONE | TWO,
        ),
        ("example.test", None, UDP),
        [("192.0.2.1", 5060)],
        7,
    ),
    (
        "naptr_keeps_its_order",
        Zone(
            naptrs={
                "example.test": some(
                    naptr("first.test"),
                    naptr("second.test"),
                    naptr("third.test"),
                )
            },
            srvs={"second.test": some(srv("one.test")), "third.test": some(srv("two.test"))},
            addresses=ONE | TWO,
        ),
        ("example.test", None, UDP),
        [("192.0.2.1", 5060)],
        40,
    ),
    (
        "naptr_of_other_transports_and_kinds_is_passed_over",
        Zone(
            naptrs={
                "example.test": some(
                    naptr("two.test", service="SIP+D2T"),
                    naptr("two.test", service="E2U+sip", flags="u"),
                    naptr("two.test", flags="a"),
                    naptr("_SIP._UDP.Farm.test", service="sip+d2u", flags="S"),
                )
            },
            srvs={"two.test": some(srv("two.test")), "_sip._udp.farm.test": some(srv("one.test"))},
            addresses=ONE | TWO,
        ),
        ("example.test", None, UDP),
        [("192.0.2.1", 5060)],
        40,
    ),
    (
        "tls_takes_the_sips_naptr",
        Zone(
            naptrs={
                "example.test": some(naptr("two.test", service="SIP+D2T"), naptr("secure.test", service="SIPS+D2T"))
            },
            srvs={"two.test": some(srv("two.test")), "secure.test": some(srv("one.test", port=5061))},
            addresses=ONE | TWO,
        ),
        ("example.test", None, TLS),
        [("192.0.2.1", 5061)],
        40,
    ),
    (
        "naptr_whose_srv_is_missing_falls_to_the_plain_srv",
        Zone(
            naptrs={"example.test": some(naptr("gone.test"))},
            srvs={"_sip._udp.example.test": some(srv("two.test"))},
            addresses=TWO,
        ),
        ("example.test", None, UDP),
        [("192.0.2.2", 5060)],
        20,
    ),
    (
        "silence_about_naptr_is_no_silence_about_srv",
        Zone(naptrs={"example.test": SILENCE}, srvs={"_sip._udp.example.test": some(srv("one.test"))}, addresses=ONE),
        ("example.test", None, UDP),
        [("192.0.2.1", 5060)],
        40,
    ),
    (
        "an_srv_target_that_does_not_resolve_is_left_out",
        Zone(
            srvs={"_sip._udp.example.test": some(srv("gone.test"), srv("mute.test"), srv("one.test"))},
            addresses=ONE | {"mute.test": SILENCE},
        ),
        ("example.test", None, UDP),
        [("192.0.2.1", 5060)],
        40,
    ),
    (
        "an_srv_target_without_name_or_port_is_left_out",
        Zone(
            srvs={"_sip._udp.example.test": some(srv("."), srv("two.test", port=0), srv("one.test"))},
            addresses=ONE | TWO,
        ),
        ("example.test", None, UDP),
        [("192.0.2.1", 5060)],
        40,
    ),
    (
        "an_address_where_an_srv_should_name_a_host_is_taken",
        Zone(srvs={"_sip._udp.example.test": some(srv("192.0.2.5", port=5090))}),
        ("example.test", None, UDP),
        [("192.0.2.5", 5090)],
        60,
    ),
    (
        "a_server_named_twice_is_one_target",
        Zone(srvs={"_sip._udp.example.test": some(srv("one.test"), srv("one.test"))}, addresses=ONE),
        ("example.test", None, UDP),
        [("192.0.2.1", 5060)],
        40,
    ),
]


@pytest.mark.parametrize(("zone", "asked", "targets", "ttl_s"), [pytest.param(*row[1:], id=row[0]) for row in FOUND])
def test_servers_are_found_by_the_rules_of_rfc_3263(zone, asked, targets, ttl_s) -> None:
    located = find(zone, *asked)
    assert located.targets == tuple(Hop(*target, asked[2]) for target in targets)
    assert located.ttl_s == ttl_s


NOT_FOUND = [
    ("nxdomain", Zone(), ("example.test", None), "the name example.test does not exist"),
    ("nxdomain_with_port", Zone(), ("example.test", 5060), "the name example.test does not exist"),
    ("no_address", Zone(addresses={"example.test": Answer()}), ("example.test", None), "neither an IPv4 nor an IPv6"),
    (
        "silence_about_aaaa",
        Zone(ipv6={"example.test": SILENCE}, addresses={"example.test": Answer()}),
        ("example.test", None),
        str(SILENCE),
    ),
    (
        "silence_about_srv",
        Zone(srvs={"_sip._udp.example.test": SILENCE}, addresses=HOST),
        ("example.test", None),
        str(SILENCE),
    ),
    ("silence_about_a", Zone(addresses={"example.test": SILENCE}), ("example.test", None), str(SILENCE)),
    (
        "service_not_available",
        Zone(srvs={"_sip._udp.example.test": some(srv("."))}, addresses=HOST),
        ("example.test", None),
        "example.test says that it takes no SIP over UDP",
    ),
    (
        "service_not_available_as_the_resolver_spells_it",
        Zone(srvs={"_sip._udp.example.test": some(srv(""))}, addresses=HOST),
        ("example.test", None),
        "choose another transport, or give the port",
    ),
    (
        "srv_names_only_unknown_hosts",
        Zone(srvs={"_sip._udp.example.test": some(srv("gone.test"), srv("lost.test"))}, addresses=HOST),
        ("example.test", None),
        "the name gone.test does not exist, and the SRV record _sip._udp.example.test names no other server",
    ),
]


@pytest.mark.parametrize(("zone", "asked", "sentence"), [pytest.param(*row[1:], id=row[0]) for row in NOT_FOUND])
def test_a_host_that_cannot_be_found_is_explained_to_a_person(zone, asked, sentence) -> None:
    with pytest.raises(HostUnresolved) as failure:
        find(zone, *asked)
    assert sentence in str(failure.value)


def test_naptr_is_asked_first_then_srv_then_the_address_and_nothing_twice() -> None:
    zone = Zone(naptrs={"example.test": some(naptr("_sip._udp.example.test"))}, addresses=HOST)
    find(zone)
    assert zone.asked == ["NAPTR example.test", "SRV _sip._udp.example.test", "A example.test"]


def test_ipv6_addresses_are_asked_for_only_where_there_is_no_other() -> None:
    zone = Zone(addresses=HOST)
    find(zone, port=5060)
    assert zone.asked == ["A example.test"]


def test_a_name_with_hundreds_of_srv_records_costs_a_bounded_number_of_questions() -> None:
    many = some(*(srv(f"{number}.test") for number in range(500)))
    zone = Zone(
        srvs={"_sip._udp.example.test": many}, addresses={f"{number}.test": some("192.0.2.1") for number in range(500)}
    )
    find(zone)
    assert sum(question.startswith("A ") for question in zone.asked) == MAX_SRV_TARGETS


A, B, C = (Hop(f"192.0.2.{number}", 5060) for number in (1, 2, 3))


def test_healthy_targets_keep_their_order() -> None:
    assert Targets([B, A, C]).order(0.0) == (B, A, C)


def test_a_target_that_failed_is_tried_last_for_a_minute() -> None:
    targets = Targets([A, B, C])
    targets.failed(A, 100.0)
    assert targets.order(100.0) == (B, C, A)
    assert targets.order(100.0 + REST_S - 0.1) == (B, C, A)
    assert targets.order(100.0 + REST_S) == (A, B, C)


def test_retry_after_says_how_long_a_target_rests() -> None:
    targets = Targets([A, B])
    targets.failed(A, 0.0, retry_after_s=300.0)
    assert targets.order(299.0) == (B, A)
    assert targets.order(300.0) == (A, B)


def test_a_retry_after_of_zero_rests_nobody() -> None:
    targets = Targets([A, B])
    targets.failed(A, 5.0, retry_after_s=0.0)
    assert targets.order(5.0) == (A, B)


def test_when_all_failed_the_one_rested_soonest_is_tried_first_and_none_is_lost() -> None:
    targets = Targets([A, B, C])
    targets.failed(A, 0.0, retry_after_s=300.0)
    targets.failed(B, 10.0)
    targets.failed(C, 5.0)
    assert targets.order(20.0) == (C, B, A)


def test_a_second_failure_never_shortens_the_rest() -> None:
    targets = Targets([A, B])
    targets.failed(A, 0.0, retry_after_s=300.0)
    targets.failed(A, 10.0)
    assert targets.order(200.0) == (B, A)


def test_a_new_look_up_keeps_the_health_of_what_stayed_and_forgets_the_rest() -> None:
    targets = Targets([A, B])
    targets.failed(A, 0.0)
    targets.failed(B, 0.0)
    targets.replace([A, C])
    assert targets.order(1.0) == (C, A)
    targets.replace([B, A])
    assert targets.order(1.0) == (B, A)


def test_the_failure_of_a_target_that_a_look_up_took_away_is_nobodys() -> None:
    targets = Targets([A])
    targets.failed(B, 0.0)
    targets.replace([B, A])
    assert targets.order(1.0) == (B, A)


def test_another_transport_to_the_same_address_is_another_target() -> None:
    over_tcp = A._replace(transport=TCP)
    targets = Targets([A, over_tcp])
    targets.failed(A, 0.0)
    assert targets.order(1.0) == (over_tcp, A)


SIX = "2001:db8::1"
BOTH = Zone(addresses={"example.test": some("192.0.2.1")}, ipv6={"example.test": some(SIX)})
ONLY_SIX = Zone(ipv6={"example.test": some(SIX)})


@pytest.mark.parametrize(
    ("zone", "host", "families", "found"),
    [
        (BOTH, "example.test", (4, 6), "192.0.2.1"),
        (BOTH, "example.test", (6, 4), SIX),
        (BOTH, "example.test", (6,), SIX),
        (ONLY_SIX, "example.test", (4, 6), SIX),
        (Zone(), SIX, (4, 6), SIX),
        (Zone(), "[2001:DB8:0::1]", (4, 6), SIX),
        (Zone(), "192.0.2.1", (6, 4), "192.0.2.1"),
    ],
)
def test_all_servers_are_of_the_first_family_that_has_any(
    zone: Zone, host: str, families: tuple[int, ...], found: str
) -> None:
    assert locate(host, 5070, UDP, lookups=zone, families=families).targets == (Hop(found, 5070),)


def test_srv_targets_of_two_families_are_not_mixed() -> None:
    zone = Zone(
        srvs={"_sip._udp.example.test": some(Srv(port=1, target="six.test"), Srv(port=2, target="four.test"))},
        addresses={"four.test": some("192.0.2.4"), "six.test": Answer()},
        ipv6={"six.test": some(SIX), "four.test": Answer()},
    )
    assert locate("example.test", None, UDP, lookups=zone).targets == (Hop("192.0.2.4", 2),)
    assert locate("example.test", None, UDP, lookups=zone, families=(6, 4)).targets == (Hop(SIX, 1),)


@pytest.mark.parametrize(
    ("zone", "host", "family", "why"),
    [
        (ONLY_SIX, "example.test", 4, "the name example.test has only IPv6 addresses (AAAA), and IPv4 is spoken here"),
        (BOTH, "192.0.2.1", 6, "192.0.2.1 is an IPv4 address, and IPv6 is spoken here"),
        (Zone(), SIX, 4, "2001:db8::1 is an IPv6 address, and IPv4 is spoken here"),
        (Zone(addresses={"example.test": Answer()}), "example.test", 4, "has no IPv4 address (A)"),
    ],
)
def test_a_host_of_the_other_family_is_explained(zone: Zone, host: str, family: int, why: str) -> None:
    with pytest.raises(HostUnresolved) as refused:
        locate(host, 5060, UDP, lookups=zone, families=(family,))
    assert why in str(refused.value)

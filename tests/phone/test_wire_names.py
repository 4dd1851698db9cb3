"""Host names in c=, Contact and Record-Route on the wire: looked up while the ACK leaves, within a bound."""

import threading
from collections.abc import Callable, Iterator

import pytest

from autodialer.model import Cause, Disposition
from autodialer.phone.names import BOUND_S, NameFinder
from autodialer.phone.resolver import Resolver
from tests.peers import gateways
from tests.peers import scenario as s
from tests.peers.capture import Capture
from tests.peers.dns import DnsServer
from tests.peers.ports import silent_host
from tests.peers.scenario import ANSWER_SDP, Scenario
from tests.peers.sipp import SippGateway
from tests.phone.desk import Desk
from tests.phone.test_wire_calls import named
from tests.timing import at_most

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp", "tshark", "nsd")]

Gateways = Callable[..., SippGateway]
Captures = Callable[..., Capture]
Desks = Callable[..., Desk]
RECORDS = ["media IN A 127.0.0.1", "pbx IN A 127.0.0.1", "edge IN A 127.0.0.1", "six IN AAAA ::1"]


@pytest.fixture(scope="module")
def dns_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DnsServer]:
    with DnsServer(RECORDS, folder=tmp_path_factory.mktemp("dns")) as server:
        yield server


@pytest.fixture
def names(dns_server: DnsServer) -> Iterator[NameFinder]:
    yield from at_work(Resolver([dns_server.address], system_names=False))


def at_work(resolver: Resolver) -> Iterator[NameFinder]:
    """A finder whose thread runs already: desks watch that calls leave no thread behind."""
    finder, ready = NameFinder(resolver), threading.Event()
    finder.find_address("127.0.0.1", 4, lambda _hop, _why: ready.set())
    assert ready.wait(at_most(5.0))
    yield finder
    finder.close()


def at(host: str, *, kind: str = "IP4") -> tuple[str, ...]:
    return tuple(line.replace("IN IP4 [sink_host]", f"IN {kind} {host}") for line in ANSWER_SDP)


def test_the_sound_goes_to_the_address_of_a_host_name(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks, names: NameFinder
) -> None:
    gateway = sipp_gateway(gateways.answered(sdp=at("media.example.test")), timeout_s=30)
    wire = capture_wire(gateway.address[1], rtp_ports=[gateway.media[1]])
    phone = desk(gateway.address, sound_s=1.0, names=names)
    outcome = phone.outcome(phone.call())
    gateway.expect_success()
    assert (outcome.disposition, outcome.cause, outcome.played_share) == (Disposition.ANSWERED, None, 1.0)
    assert 50 <= len(wire.rtp(destination=gateway.media)) <= 70


@pytest.mark.parametrize(
    ("sdp", "said"),
    [
        (at("nowhere.example.test"), "the name nowhere.example.test does not exist"),
        (at("six.example.test"), "IPv4"),
        (at("2001:db8::7", kind="IP6"), "IPv6 address 2001:db8::7, and this call speaks IPv4"),
    ],
    ids=["unknown name", "a name with IPv6 alone", "an IPv6 address"],
)
def test_a_place_that_the_sound_cannot_go_to_is_acknowledged_hung_up_and_explained(
    sipp_gateway: Gateways, desk: Desks, names: NameFinder, sdp: tuple[str, ...], said: str
) -> None:
    gateway = sipp_gateway(gateways.answered(sdp=sdp), timeout_s=30)
    phone = desk(gateway.address, names=names)
    outcome = phone.outcome(phone.call())
    gateway.expect_success()
    assert (outcome.disposition, outcome.cause) == (Disposition.FAILED, Cause.MEDIA_FAILED)
    assert said in (outcome.message or "")
    assert outcome.played_s == 0.0


def test_a_silent_name_server_holds_up_neither_the_ack_nor_other_calls(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks
) -> None:
    lost = sipp_gateway(gateways.answered(sdp=at("media.example.test")), timeout_s=30)
    wire = capture_wire(lost.address[1])
    with silent_host() as nobody:
        for finder in at_work(Resolver([nobody], system_names=False)):
            phone = desk(lost.address, names=finder)
            outcome = phone.outcome(phone.call())
    lost.expect_success()
    assert (outcome.disposition, outcome.cause) == (Disposition.FAILED, Cause.MEDIA_FAILED)
    assert "media.example.test" in (outcome.message or "")
    assert BOUND_S - 0.1 <= outcome.billsec_s <= at_most(BOUND_S + 0.5)
    messages = wire.sip()
    answered = next(each for each in messages if each.code == 200 and each.cseq_method == "INVITE")
    [ack] = named(messages, "ACK")
    assert ack.at - answered.at < at_most(0.05)


def answers_by_names(*headers: str, sdp: tuple[str, ...] = ANSWER_SDP) -> Scenario:
    """200 whose Contact, or Route, names its host; the caller hangs up."""
    via_and_rest = s.LAST_HEADERS
    body = s.sequence(
        s.receive_invite(),
        s.send("SIP/2.0 200 OK", [*via_and_rest, *headers], body=sdp, retransmit_ms=500),
        s.receive_logged("ACK"),
        s.receive_logged("BYE", timeout_ms=30_000),
        s.answer_in_dialog(),
        s.linger(200),
    )
    return Scenario(name="answers_by_names", body=body)


@pytest.mark.parametrize(
    "headers",
    [
        ("Contact: <sip:gateway@pbx.example.test:[local_port]>",),
        ("Record-Route: <sip:edge.example.test:[local_port];lr>", "Contact: <sip:gateway@192.0.2.1>"),
    ],
    ids=["contact", "record route"],
)
def test_ack_and_bye_reach_a_peer_that_names_itself_by_host_names(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks, names: NameFinder, headers: tuple[str, ...]
) -> None:
    gateway = sipp_gateway(answers_by_names(*headers), timeout_s=30)
    wire = capture_wire(gateway.address[1])
    phone = desk(gateway.address, sound_s=0.3, names=names)
    outcome = phone.outcome(phone.call())
    gateway.expect_success()
    assert outcome.disposition is Disposition.ANSWERED
    assert len(named(wire.sip(), "ACK")) == 1, "the name leads where the INVITE went"


def test_a_bye_goes_to_another_host_that_is_named(
    sipp_gateway: Gateways, desk: Desks, names: NameFinder, capture_wire: Captures
) -> None:
    other = sipp_gateway(takes_ack_and_bye(), timeout_s=30)
    contact = f"Contact: <sip:gateway@pbx.example.test:{other.address[1]}>"
    gateway = sipp_gateway(answers_then_leaves(contact), timeout_s=30)
    wire = capture_wire(other.address[1])
    phone = desk(gateway.address, sound_s=0.5, names=names)
    outcome = phone.outcome(phone.call())
    other.expect_success()
    assert outcome.disposition is Disposition.ANSWERED
    assert [each.method for each in wire.sip() if each.is_request] == ["ACK", "BYE"]


def takes_ack_and_bye() -> Scenario:
    body = s.sequence(s.receive("ACK"), s.receive("BYE", timeout_ms=30_000), s.answer_in_dialog(), s.linger(200))
    return Scenario(name="takes_ack_and_bye", body=body)


def answers_then_leaves(contact: str) -> Scenario:
    body = s.sequence(
        s.receive_invite(),
        s.send("SIP/2.0 200 OK", [*s.LAST_HEADERS, contact], body=ANSWER_SDP, retransmit_ms=500),
        s.receive_logged("ACK"),
    )
    return Scenario(name="answers_then_leaves", body=body)

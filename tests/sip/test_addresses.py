"""Our address as others see it: received and rport (RFC 3581), STUN (RFC 5389)."""

import struct

import pytest

from autodialer.sip.events import AddressDiscovered
from autodialer.sip.hop import Hop
from tests.sip.stepping import ANSWER, GATEWAY, Sent, Steps, response

SERVER = Hop("192.0.2.50", 3478)
MAGIC = 0x2112A442


@pytest.fixture
def steps() -> Steps:
    return Steps()


def seen_as(request: Sent, params: str, status: str = "100 Trying") -> str:
    return response(request, status, tag=None if status[0] == "1" else "callee").replace(";rport;", f";{params};")


@pytest.mark.parametrize(
    ("params", "contact"),
    [
        ("received=198.51.100.7;rport=41000", "<sip:198.51.100.7:41000>"),
        ("rport=41000;received=198.51.100.7", "<sip:198.51.100.7:41000>"),
        ("RECEIVED=198.51.100.7;RPORT=41000", "<sip:198.51.100.7:41000>"),
        ("rport=41000", "<sip:192.0.2.1:41000>"),
        ("received=198.51.100.7", "<sip:198.51.100.7:5060>"),
        ("received=198.51.100.7;rport", "<sip:198.51.100.7:5060>"),
        ("received=198.51.100.7;rport=0", "<sip:198.51.100.7:5060>"),
        ("received=198.51.100.7;rport=65536", "<sip:198.51.100.7:5060>"),
        ("received=198.51.100.7;rport=99999999999999999999", "<sip:198.51.100.7:5060>"),
        ("received=198.51.100.7;rport=-1", "<sip:198.51.100.7:5060>"),
        ("received=2001:db8::1;rport=41000", "<sip:192.0.2.1:5060>"),
        ("received=nat.example;rport=41000", "<sip:192.0.2.1:5060>"),
        ("received=300.0.0.1;rport=41000", "<sip:192.0.2.1:5060>"),
        ("rport", "<sip:192.0.2.1:5060>"),
    ],
)
def test_the_next_contact_is_what_the_response_says(steps: Steps, params: str, contact: str) -> None:
    steps.receive(seen_as(steps.invite(), params))
    assert steps.invite(call_id="call-2")["Contact"] == contact


def test_what_one_peer_says_counts_for_that_peer_alone_and_the_via_stays(steps: Steps) -> None:
    steps.receive(seen_as(steps.invite(), "received=198.51.100.7;rport=41000"))
    assert steps.core.public_address(Hop(*GATEWAY)) == ("198.51.100.7", 41000)
    assert steps.core.knows_public_address(Hop(*GATEWAY))
    other = Hop("192.0.2.20", 5060)
    assert not steps.core.knows_public_address(other)
    elsewhere = steps.invite(call_id="call-2", next_hop=other)
    assert elsewhere["Contact"] == "<sip:192.0.2.1:5060>"
    assert steps.invite(call_id="call-3")["Via"].startswith("SIP/2.0/UDP 192.0.2.1:5060;rport;branch=")


def test_a_new_answer_replaces_the_old(steps: Steps) -> None:
    steps.receive(seen_as(steps.invite(), "received=198.51.100.7;rport=41000"))
    second = steps.invite(call_id="call-2")
    steps.receive(seen_as(second, "received=198.51.100.7;rport=42000"))
    assert steps.core.public_address(Hop(*GATEWAY)) == ("198.51.100.7", 42000)


def test_a_stray_response_teaches_nothing(steps: Steps) -> None:
    invite = steps.invite()
    text = seen_as(invite, "received=198.51.100.7;rport=41000").replace(invite["Call-ID"], "another")
    steps.receive(text)
    assert not steps.core.knows_public_address(Hop(*GATEWAY))


def test_the_final_response_teaches_in_time_for_the_next_request_of_the_dialog(steps: Steps) -> None:
    text = response(steps.invite(), "200 OK", body=ANSWER).replace(";rport;", ";received=198.51.100.7;rport=41000;")
    (ack,) = steps.receive(text)
    assert ack["Via"].startswith("SIP/2.0/UDP 192.0.2.1:5060;rport;")


@pytest.mark.parametrize("by", ["response", "connection"])
def test_so_many_peers_are_remembered_and_no_more(steps: Steps, by: str) -> None:
    hops = [Hop("192.0.2.20", 10000 + number, "UDP" if by == "response" else "TCP") for number in range(300)]
    for number, hop in enumerate(hops):
        if by == "connection":
            steps.core.connection_made(hop, ("192.0.2.1", 39999))
        else:
            invite = steps.invite(call_id=f"call-{number}", next_hop=hop)
            steps.receive(seen_as(invite, "received=198.51.100.7;rport=41000"), hop.address)
    known = [hop for hop in hops if steps.core.knows_public_address(hop)]
    assert known == hops[-256:]


def test_a_known_peer_that_says_something_new_costs_no_other_its_place(steps: Steps) -> None:
    hops = [Hop("192.0.2.20", 10000 + number) for number in range(256)]
    invites = [steps.invite(call_id=f"call-{number}", next_hop=hop) for number, hop in enumerate(hops)]
    for invite, hop in zip(invites, hops, strict=True):
        steps.receive(seen_as(invite, "received=198.51.100.7;rport=41000"), hop.address)
    for port in range(42000, 42010):
        steps.receive(seen_as(invites[-1], f"received=198.51.100.7;rport={port}"), hops[-1].address)
    assert all(steps.core.knows_public_address(hop) for hop in hops)
    assert steps.core.public_address(hops[-1]) == ("198.51.100.7", 42009)


# STUN


def binding(request: bytes, address: tuple[str, int] | None, kind: int = 0x0101, *, xored: bool = True) -> bytes:
    """A Binding response as RFC 5389 section 15.2 spells it; built by hand, with no code of ours."""
    attribute = b""
    if address is not None:
        host = struct.unpack("!I", bytes(int(octet) for octet in address[0].split(".")))[0]
        mask = MAGIC if xored else 0
        value = struct.pack("!BBHI", 0, 1, address[1] ^ (mask >> 16), host ^ mask)
        attribute = struct.pack("!HH", 0x0020 if xored else 0x0001, len(value)) + value
    return struct.pack("!HHI", kind, len(attribute), MAGIC) + request[8:20] + attribute


def ask(steps: Steps) -> Sent:
    steps.core.discover_address(SERVER, steps.now)
    return steps.take_one()


def discovered(steps: Steps) -> list[tuple[str, int] | None]:
    return [event.address for event in steps.events if isinstance(event, AddressDiscovered)]


def test_a_binding_request_is_asked_and_its_answer_stands_in_via_and_contact(steps: Steps) -> None:
    question = ask(steps)
    assert question.hop == SERVER and question.data[:8] == bytes.fromhex("0001 0000 2112a442")
    assert len(question.data) == 20
    steps.receive(binding(question.data, ("198.51.100.7", 41000)), SERVER.address)
    assert discovered(steps) == [("198.51.100.7", 41000)]
    invite = steps.invite()
    assert invite["Contact"] == "<sip:198.51.100.7:41000>"
    assert invite["Via"].startswith("SIP/2.0/UDP 198.51.100.7:41000;rport;branch=")
    # Responses to what left before and after are both ours.
    assert steps.answer(invite).method == "ACK"


def test_an_old_servers_mapped_address_is_taken(steps: Steps) -> None:
    steps.receive(binding(ask(steps).data, ("198.51.100.7", 41000), xored=False), SERVER.address)
    assert discovered(steps) == [("198.51.100.7", 41000)]


def test_the_peers_own_word_counts_for_more(steps: Steps) -> None:
    steps.receive(binding(ask(steps).data, ("198.51.100.7", 41000)), SERVER.address)
    steps.receive(seen_as(steps.invite(), "received=198.51.100.8;rport=43000"))
    assert steps.invite(call_id="call-2")["Contact"] == "<sip:198.51.100.8:43000>"


def test_a_question_without_an_answer_is_repeated_and_then_told_as_silence(steps: Steps) -> None:
    question = ask(steps)
    again = steps.advance(7.4)
    assert [(sent.at - 100, sent.data) for sent in again] == [(at, question.data) for at in (0.5, 1.5, 3.5)]
    assert discovered(steps) == []
    steps.advance(0.2)
    assert discovered(steps) == [None]
    # It is asked again with a new transaction, and silence is not told twice.
    later = steps.advance(40.0)
    assert later[0].at - 100 == pytest.approx(37.5) and later[0].data[8:20] != question.data[8:20]
    assert discovered(steps) == [None]


def test_it_is_asked_again_every_30_s_and_only_news_are_told(steps: Steps) -> None:
    steps.receive(binding(ask(steps).data, ("198.51.100.7", 41000)), SERVER.address)
    (second,) = steps.advance(30.0)
    steps.receive(binding(second.data, ("198.51.100.7", 41000)), SERVER.address)
    (third,) = steps.advance(30.0)
    steps.receive(binding(third.data, ("198.51.100.7", 42000)), SERVER.address)
    assert discovered(steps) == [("198.51.100.7", 41000), ("198.51.100.7", 42000)]
    assert steps.invite()["Contact"] == "<sip:198.51.100.7:42000>"


def test_silence_after_an_answer_keeps_the_address_and_is_told(steps: Steps) -> None:
    steps.receive(binding(ask(steps).data, ("198.51.100.7", 41000)), SERVER.address)
    steps.advance(38.0)
    assert discovered(steps) == [("198.51.100.7", 41000), None]
    assert steps.core.public_address(Hop(*GATEWAY)) == ("198.51.100.7", 41000)


@pytest.mark.parametrize("fault", ["other transaction", "error", "no address", "twice"])
def test_only_an_answer_to_the_question_counts(steps: Steps, fault: str) -> None:
    question = ask(steps).data
    good = binding(question, ("198.51.100.7", 41000))
    if fault == "other transaction":
        steps.receive(good[:8] + bytes(12) + good[20:], SERVER.address)
        assert discovered(steps) == []
    elif fault == "twice":
        steps.receive(good, SERVER.address)
        steps.receive(binding(question, ("203.0.113.1", 1)), SERVER.address)
        assert discovered(steps) == [("198.51.100.7", 41000)]
    else:
        steps.receive(binding(question, None, 0x0111 if fault == "error" else 0x0101), SERVER.address)
        assert discovered(steps) == [None]


def test_shutdown_ends_the_questions(steps: Steps) -> None:
    ask(steps)
    steps.core.shutdown(steps.now)
    assert steps.advance(100.0) == []

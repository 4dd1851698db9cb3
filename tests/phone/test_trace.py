"""The SIP messages that a phone keeps of its calls, beside what tshark saw on the wire."""

import re
from collections.abc import Callable

import pytest

from autodialer.phone.trace import MOST_MESSAGES
from autodialer.sip.ladder import render
from autodialer.sip.trace import Trace, unpack
from autodialer.store import new_id
from tests.peers import gateways, session_gateways
from tests.peers.capture import Capture
from tests.peers.ports import wait_until
from tests.peers.sipp import SippGateway
from tests.phone.desk import Desk

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp", "tshark")]

Gateways = Callable[..., SippGateway]
Captures = Callable[..., Capture]
Desks = Callable[..., Desk]
PASSWORD = "correct horse battery"


def trace_of(phone: Desk, *, timeout_s: float = 15.0) -> Trace:
    """The trace of the only call, once it is closed."""
    wait_until(lambda: bool(phone.traces), what="the trace", timeout_s=timeout_s)
    [kept] = phone.traces
    return unpack(kept.packed)


def rungs(trace: Trace) -> list[str]:
    """What happened, in order: `INVITE`, `<401`."""
    words = []
    for message in trace.messages:
        first, second, *_ = message.data.decode().split(" ")
        words.append(first if message.sent else f"<{second}" if first == "SIP/2.0" else f"<{first}")
    return words


def test_a_trace_is_what_was_on_the_wire_with_its_times_but_for_the_credentials(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks
) -> None:
    gateway = sipp_gateway(gateways.asks_password("user", PASSWORD), timeout_s=30)
    wire = capture_wire(gateway.address[1])
    phone = desk(gateway.address, password=PASSWORD)
    call_id = new_id()
    outcome = phone.outcome(phone.call(reference=call_id))
    gateway.expect_success()
    trace = trace_of(phone)
    seen = wire.sip()
    assert phone.traces[0].call_id == call_id
    assert rungs(trace) == ["INVITE", "<401", "ACK", "INVITE", "<180", "<200", "ACK", "BYE", "<200"]
    assert trace.missed == 0
    assert abs((trace.began_at - outcome.invited_at).total_seconds()) < 1.0
    masked = [re.sub(rb"(?m)^Authorization: .*?(\r?)$", rb"Authorization: ***\1", each.raw) for each in seen]
    assert [message.data for message in trace.messages] == masked
    assert sum(b"Authorization: ***" in data for data in masked) == 3
    for message, each in zip(trace.messages, seen, strict=True):
        assert message.hop.address == gateway.address
        assert message.sent is (each.destination == gateway.address)
        assert abs(message.after_s - (each.at - seen[0].at)) < 0.05
    text = render(trace, title="")
    digests = {found for each in seen for found in re.findall(r'response="(\w+)"', each.header("Authorization") or "")}
    assert len(digests) == 2
    assert not any(secret in text for secret in (*digests, PASSWORD, "cnonce"))


def test_messages_that_were_sent_again_are_marked(sipp_gateway: Gateways, desk: Desks) -> None:
    gateway = sipp_gateway(gateways.lost_200(times=2, gap_ms=300), timeout_s=30)
    phone = desk(gateway.address, sound_s=2.0)
    phone.outcome(phone.call(reference=new_id()))
    gateway.expect_success()
    trace = trace_of(phone)
    assert rungs(trace) == ["INVITE", "<180", "<200", "ACK", "<200", "ACK", "<200", "ACK", "BYE", "<200"]
    marked = [" again" in line for line in render(trace, title="").splitlines()[4 : 4 + len(trace.messages)]]
    assert marked == [False] * 4 + [True] * 4 + [False] * 2


def test_a_silent_gateways_invites_are_all_there(sipp_gateway: Gateways, desk: Desks) -> None:
    gateway = sipp_gateway(gateways.ignores_invites(times=2), timeout_s=30)
    phone = desk(gateway.address)
    phone.outcome(phone.call(reference=new_id()))
    trace = trace_of(phone)
    assert rungs(trace)[:4] == ["INVITE", "INVITE", "INVITE", "<180"]
    assert [round(message.after_s, 1) for message in trace.messages[:3]] == [0.0, 0.5, 1.5]
    assert render(trace, title="").count("the one of +0.000 again") == 2


def test_a_noisy_call_is_kept_up_to_the_bound_and_the_rest_is_counted(sipp_gateway: Gateways, desk: Desks) -> None:
    noise = session_gateways.asks_this_and_that([("OPTIONS", 200)] * 60)
    gateway = sipp_gateway(noise, timeout_s=30)
    phone = desk(gateway.address, sound_s=3.0)
    phone.outcome(phone.call(reference=new_id()))
    trace = trace_of(phone)
    assert len(trace.messages) <= MOST_MESSAGES
    assert sum(len(message.data) for message in trace.messages) <= 64 * 1024
    assert trace.missed >= 20
    assert rungs(trace)[:3] == ["INVITE", "<200", "ACK"]
    assert f"{trace.missed} messages more" in render(trace, title="")


def test_a_phone_that_stops_hands_on_what_it_has_of_live_calls(sipp_gateway: Gateways, desk: Desks) -> None:
    gateway = sipp_gateway(gateways.answered(), timeout_s=30)
    phone = desk(gateway.address, sound_s=20.0)
    phone.call(reference=new_id())
    gateway.wait_for("ACK")
    phone.phone.stop()
    assert rungs(trace_of(phone, timeout_s=0.1))[-2:] == ["BYE", "<200"]


def test_a_call_under_way_is_shown_so_far_and_told_again_at_its_end(sipp_gateway: Gateways, desk: Desks) -> None:
    gateway = sipp_gateway(gateways.answered(), timeout_s=30)
    phone = desk(gateway.address, sound_s=20.0)
    call_id = new_id()
    phone.call(reference=call_id)
    gateway.wait_for("ACK")
    phone.phone.show_trace(new_id())
    phone.phone.show_trace(call_id)
    assert rungs(trace_of(phone))[-1] == "ACK"
    phone.phone.stop()
    assert rungs(unpack(phone.traces[1].packed))[-2:] == ["BYE", "<200"]


def test_nothing_is_kept_where_nobody_asked_or_a_call_is_nobodys(sipp_gateway: Gateways, desk: Desks) -> None:
    gateway = sipp_gateway(gateways.answered(), calls=2, timeout_s=30)
    for options, reference in (({"traced": False}, new_id()), ({}, "a check's call")):
        phone = desk(gateway.address, **options)
        phone.outcome(phone.call(reference=reference))
        phone.phone.stop()
        assert phone.traces == []

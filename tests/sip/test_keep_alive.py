"""Keep-alives (RFC 5626 section 3.5.1) on every path in use, and what peers send as theirs."""

import pytest

from autodialer.sip.hop import TCP, Hop
from tests.sip.stepping import GATEWAY, Steps, response
from tests.sip.test_registration import accept, next_register, refuse

OTHER = Hop("192.0.2.20", 5060)


@pytest.fixture
def steps() -> Steps:
    return Steps()


def pings(steps: Steps, seconds: float) -> list[tuple[float, Hop | None]]:
    """Keep-alives of the next seconds, and where they went."""
    steps.pings.clear()
    steps.advance(seconds)
    assert all(ping.data == b"\r\n\r\n" for ping in steps.pings)
    return [(round(ping.at - steps.began, 3), ping.hop) for ping in steps.pings]


def test_a_ringing_and_an_answered_call_keep_their_path_open_every_15_s(steps: Steps) -> None:
    invite = steps.invite(ring_timeout_s=300.0)
    steps.reply(invite, "180 Ringing")
    assert pings(steps, 40.0) == [(15.0, Hop(*GATEWAY)), (30.0, Hop(*GATEWAY))]
    steps.answer(invite, contact="<sip:callee@192.0.2.9:5060>")
    assert pings(steps, 20.0) == [(45.0, Hop(*GATEWAY)), (60.0, Hop(*GATEWAY))]
    steps.core.bye("call-1", steps.now)
    steps.reply(steps.take_one(), "200 OK")
    assert pings(steps, 300.0) == []


def test_an_answered_call_keeps_the_way_to_the_callee_open_too(steps: Steps) -> None:
    invite = steps.invite()
    steps.answer(invite, contact="<sip:callee@192.0.2.20:5060>")
    assert {hop for _, hop in pings(steps, 15.0)} == {Hop(*GATEWAY), OTHER}


def test_many_calls_on_one_path_cost_one_ping(steps: Steps) -> None:
    for number in range(50):
        steps.reply(steps.invite(call_id=f"call-{number}"), "180 Ringing")
    steps.reply(steps.invite(call_id="elsewhere", next_hop=OTHER), "180 Ringing", addr=OTHER.address)
    assert sorted(pings(steps, 15.0)) == sorted([(15.0, Hop(*GATEWAY)), (15.0, OTHER)])


def test_a_path_over_tcp_is_kept_open_too(steps: Steps) -> None:
    hop = Hop(*GATEWAY, TCP)
    invite = steps.invite(next_hop=hop)
    steps.receive(response(invite, "180 Ringing"), hop)
    assert pings(steps, 15.0) == [(15.0, hop)]


def test_a_registration_keeps_its_path_open_however_late_it_came(steps: Steps) -> None:
    request = steps.register()
    refuse(steps, request, "500 Trouble")
    request = next_register(steps)
    assert steps.now - steps.began >= 15.0 and steps.pings == []
    accept(steps, request, 3600)
    assert len(pings(steps, 60.0)) == 4


def test_a_lost_or_ended_registration_needs_no_ping(steps: Steps) -> None:
    accept(steps, steps.register(), 60)
    refuse(steps, next_register(steps), "403 No")
    steps.pings.clear()
    assert pings(steps, 25.0) == []
    accept(steps, next_register(steps), 3600)
    assert pings(steps, 15.0) != []
    steps.core.unregister(steps.now)
    steps.reply(steps.take_one(), "200 OK", contact=None)
    assert pings(steps, 300.0) == []


def test_an_idle_core_sends_nothing_and_has_no_timer(steps: Steps) -> None:
    assert pings(steps, 300.0) == []
    assert steps.core.get_timer() is None


@pytest.mark.parametrize("data", [b"\r\n\r\n", b"\r\n", b"\0\0\0\0", b"", b"\n"])
def test_a_peers_keep_alive_by_udp_is_ignored(steps: Steps, data: bytes) -> None:
    invite = steps.invite()
    assert steps.receive(data) == [] and steps.pings == []
    assert sum(steps.core.discarded.values()) == 1
    assert steps.answer(invite).method == "ACK"


def test_a_ping_on_a_connection_gets_its_pong(steps: Steps) -> None:
    hop = Hop("192.0.2.9", 40000, TCP)
    steps.receive(b"\r\n\r\n", hop)
    assert [(pong.data, pong.hop) for pong in steps.pings] == [(b"\r\n", hop)]

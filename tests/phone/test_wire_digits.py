"""Digits both ways on the wire: tshark dissects ours and baresip is told of them; SIPp and baresip press theirs."""

import audioop
import time
import wave
from collections.abc import Callable
from itertools import groupby, pairwise

import pytest

from autodialer.errors import Conflict
from autodialer.model import DigitVia, Disposition
from autodialer.phone.pyvoip.call import Call
from tests.peers import gateways, scenario, session_gateways
from tests.peers.baresip import Baresip
from tests.peers.capture import Capture, RtpPacket, before_silence
from tests.peers.ports import wait_until
from tests.peers.sipp import SippGateway
from tests.phone.desk import Desk

pytestmark = [pytest.mark.loopback]

Gateways = Callable[..., SippGateway]
Captures = Callable[..., Capture]
Baresips = Callable[..., Baresip]
Desks = Callable[..., Desk]
RELAY, BARE = "application/dtmf-relay", "application/dtmf"


def wait_playing(call: Call) -> None:
    wait_until(lambda: bool(call.RTPClients) and not call.RTPClients[0].held, what="the sound to begin")


@pytest.mark.peer("sipp", "tshark")
@pytest.mark.parametrize("shared", [False, True], ids=["port_a_call", "shared_port"])
@pytest.mark.parametrize("sender", ["batch", "portable"])
def test_digits_of_ours_are_telephone_events_and_the_sound_is_still_heard_whole(
    sipp_gateway: Gateways,
    capture_wire: Captures,
    desk: Desks,
    monkeypatch: pytest.MonkeyPatch,
    sender: str,
    shared: bool,
) -> None:
    monkeypatch.setenv("DIALER_MEDIA_SENDER", sender)
    gateway = sipp_gateway(gateways.answered(), timeout_s=30)
    wire = capture_wire(gateway.address[1], rtp_ports=[gateway.media[1]])
    phone = desk(gateway.address, sound_s=2.0, shared_media_port=shared)
    call = phone.call()
    wait_playing(call)
    time.sleep(0.4)
    call.send_digits("12")
    call.send_digits("#D")
    outcome = phone.outcome(call)
    gateway.expect_success()
    packets = wire.rtp(destination=gateway.media)
    assert (outcome.played_share, outcome.digits) == (1.0, "")
    assert outcome.rtp is not None and outcome.rtp.sent == len(packets)
    check_numbers(packets)
    assert len(before_silence(packets)) == 140
    assert b"".join(one.payload for one in before_silence(packets) if one.payload_type == 8) == encoded(phone)
    check_events(packets)
    events = [
        [int(text, 0) for text in wire.field(f"rtpevent.{name}", "rtpevent")] for name in ("event_id", "duration")
    ]
    ends = [text in ("1", "True") for text in wire.field("rtpevent.end_of_event", "rtpevent")]
    one_press = [(160 * n, False) for n in range(1, 8)] + [(1280, True)] * 3
    assert list(zip(*events, ends, strict=True)) == [
        (event, duration, end) for event in (1, 2, 11, 15) for duration, end in one_press
    ]
    assert wire.malformed() == []


def encoded(phone: Desk) -> bytes:
    with wave.open(str(phone.stem.with_suffix(".wav"))) as audio:
        return audioop.lin2alaw(audio.readframes(audio.getnframes()), 2)


def check_numbers(packets: list[RtpPacket]) -> None:
    """One stream, nothing left out, its timestamps in step with the time (a stalled machine shifts the grid)."""
    assert len({packet.ssrc for packet in packets}) == 1
    for before, after in pairwise(packets):
        assert (after.sequence - before.sequence) % 0x10000 == 1
    heard = [packet for packet in packets if packet.payload_type == 8]
    for packet in heard:
        lag = (packet.at - heard[0].at) - (packet.timestamp - heard[0].timestamp) % 2**32 / 8000
        assert -0.03 < lag < 0.5


def check_events(packets: list[RtpPacket]) -> None:
    """A timestamp a digit, the marker on its first packet; and on the first packet of the sound after them."""
    events = [packet for packet in packets if packet.payload_type == 101]
    presses = [list(press) for _, press in groupby(events, key=lambda packet: packet.timestamp)]
    assert len(presses) == 4
    for press in presses:
        assert [packet.marker for packet in press] == [True] + [False] * 9
    for before, after in pairwise(presses):
        assert after[0].timestamp - before[0].timestamp == 14 * 160
        assert after[0].at - before[-1].at > 0.04
    last = packets.index(events[-1])
    assert packets[last + 1].marker
    assert sum(packet.marker for packet in packets) == 6


@pytest.mark.peer("baresip")
def test_baresip_is_told_of_each_digit_once_while_the_sound_plays_and_after_it(baresip: Baresips, desk: Desks) -> None:
    callee = baresip()
    phone = desk(callee.address, sound_s=2.5)
    call = phone.call("callee")
    wait_playing(call)
    call.send_digits("0123456789*#ABCD"[:6])
    phone.outcome(call)
    callee.wait_closed()
    assert (callee.digits, callee.digits_let_go) == ("012345", "012345")


@pytest.mark.peer("baresip")
def test_all_sixteen_keys_reach_baresip_and_one_key_many_times(baresip: Baresips, desk: Desks) -> None:
    callee = baresip()
    phone = desk(callee.address, sound_s=0.5)
    call = phone.call("callee")
    wait_playing(call)
    digits = "0123456789*#ABCD5555"
    call.send_digits(digits)
    phone.outcome(call)
    callee.wait_closed()
    assert (callee.digits, callee.digits_let_go) == (digits, digits)


@pytest.mark.peer("sipp")
def test_no_digits_go_where_none_were_agreed_or_nobody_has_answered(sipp_gateway: Gateways, desk: Desks) -> None:
    lines = [line for line in scenario.ANSWER_SDP if "101" not in line]
    sdp = [*lines[:5], "m=audio [sink_port] RTP/AVP 8", *lines[5:]]
    gateway = sipp_gateway(gateways.answered(sdp=sdp, ring_ms=500), timeout_s=30)
    phone = desk(gateway.address, sound_s=1.0)
    call = phone.call()
    with pytest.raises(Conflict, match="not answered"):
        call.send_digits("1")
    wait_playing(call)
    with pytest.raises(Conflict, match="no telephone-events"):
        call.send_digits("1")
    phone.outcome(call)
    with pytest.raises(Conflict, match="not answered"):
        call.send_digits("1")
    gateway.expect_success()


@pytest.mark.peer("sipp")
def test_digits_in_infos_are_recorded_with_their_times_and_odd_infos_are_refused(
    sipp_gateway: Gateways, desk: Desks
) -> None:
    infos = [
        (RELAY, ["Signal=1", "Duration=160"], 200),
        (RELAY, ["Signal=*", "Duration=160"], 200),
        (BARE, ["5"], 200),
        (BARE, ["5"], 200),
        (RELAY, ["Signal=hello"], 400),
        ("text/plain", ["5"], 415),
    ]
    gateway = sipp_gateway(session_gateways.sends_info(infos, pause_ms=250), timeout_s=30)
    phone = desk(gateway.address, sound_s=2.5)
    outcome = phone.outcome(phone.call())
    gateway.expect_success()
    assert (outcome.disposition, outcome.digits) == (Disposition.ANSWERED, "1*55")
    assert [(press.digit, press.via) for press in outcome.digit_times] == [(key, DigitVia.INFO) for key in "1*55"]
    for number, press in enumerate(outcome.digit_times, 1):
        assert press.at_s == pytest.approx(0.25 * number, abs=0.4)


@pytest.mark.peer("sipp")
@pytest.mark.parametrize("infos", ["", "5518"], ids=["by_rtp_alone", "both_ways"])
def test_a_press_counts_once_whether_the_gateway_tells_it_once_or_both_ways(
    sipp_gateway: Gateways, desk: Desks, infos: str
) -> None:
    gateway = sipp_gateway(session_gateways.presses("5518", infos=infos), timeout_s=30)
    phone = desk(gateway.address, sound_s=4.0)
    outcome = phone.outcome(phone.call())
    gateway.expect_success()
    assert outcome.digits == "5518"
    assert len(outcome.digit_times) == 4


@pytest.mark.peer("baresip")
def test_keys_that_baresips_user_presses_are_recorded_with_their_times(baresip: Baresips, desk: Desks) -> None:
    callee = baresip()
    phone = desk(callee.address, sound_s=3.0)
    call = phone.call("callee")
    wait_playing(call)
    callee.wait_established()
    callee.press("159#")
    outcome = phone.outcome(call)
    callee.wait_closed()
    assert outcome.digits == "159#"
    assert {press.via for press in outcome.digit_times} == {DigitVia.RTP}
    times = [press.at_s for press in outcome.digit_times]
    assert all(0.1 < after - before < 0.6 for before, after in pairwise(times))
    assert 0.0 <= times[0] < times[-1] < outcome.billsec_s

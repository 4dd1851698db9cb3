"""Transfers and repeats on the wire: SIPp, baresip and Kamailio take the REFER, tshark dissects it, callees hear."""

import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from autodialer.model import Disposition, EndedBy
from autodialer.phone.hang_up import HangUp
from autodialer.phone.plan import Transferred
from autodialer.phone.pyvoip.call import Call
from autodialer.sip import refer
from autodialer.sip.events import TransferEnd
from tests.peers import transfer_gateways as gateways
from tests.peers.baresip import Baresip
from tests.peers.capture import Capture, before_silence
from tests.peers.gateways import answered
from tests.peers.kamailio import Kamailio
from tests.peers.ports import wait_until
from tests.peers.scenario import Scenario
from tests.peers.sipp import SippGateway
from tests.phone.desk import Desk
from tests.phone.test_wire_media import check_stream
from tests.timing import at_most

pytestmark = [pytest.mark.loopback]

Gateways = Callable[..., SippGateway]
Captures = Callable[..., Capture]
Desks = Callable[..., Desk]
TARGET = "74951234567"


def wait_playing(call: Call) -> None:
    wait_until(lambda: bool(call.RTPClients) and not call.RTPClients[0].held, what="the sound to begin")


def ends(phone: Desk) -> list[Transferred]:
    return [event.transferred for event in phone.events if event.transferred]


CASES = [
    (gateways.transfers(), Transferred(how=TransferEnd.ACCEPTED, code=200), EndedBy.US),
    (gateways.transfers_and_tells_again(), Transferred(how=TransferEnd.ACCEPTED, code=200), EndedBy.US),
    (gateways.challenges(), Transferred(how=TransferEnd.ACCEPTED, code=200), EndedBy.US),
    (gateways.leaves(), Transferred(how=TransferEnd.ACCEPTED, code=202), EndedBy.CALLEE),
    (gateways.leaves_unasked(), Transferred(how=TransferEnd.UNKNOWN, code=None), EndedBy.CALLEE),
    (gateways.refuses(603), Transferred(how=TransferEnd.REFUSED, code=603), EndedBy.US),
    (gateways.refuses(405), Transferred(how=TransferEnd.REFUSED, code=405), EndedBy.US),
    (gateways.transfers(status="486 Busy Here"), Transferred(how=TransferEnd.REFUSED, code=486), EndedBy.US),
    (gateways.holds_and_refuses(), Transferred(how=TransferEnd.REFUSED, code=486), EndedBy.US),
    (gateways.never_tells(), Transferred(how=TransferEnd.TIMEOUT, code=202), EndedBy.US),
]


@pytest.mark.peer("sipp", "tshark")
@pytest.mark.parametrize(("scenario", "end", "by"), CASES, ids=[f"{case[0].name}_{case[1].code}" for case in CASES])
def test_a_transfer_silences_the_sound_which_goes_on_only_if_it_comes_to_nothing(
    sipp_gateway: Gateways,
    capture_wire: Captures,
    desk: Desks,
    monkeypatch: pytest.MonkeyPatch,
    scenario: Scenario,
    end: Transferred,
    by: EndedBy,
) -> None:
    monkeypatch.setattr(refer, "GIVE_UP_S", 3.0)
    gateway = sipp_gateway(scenario, timeout_s=40)
    wire = capture_wire(gateway.address[1], rtp_ports=[gateway.media[1]])
    phone = desk(gateway.address, sound_s=2.0)
    call = phone.call()
    wait_playing(call)
    time.sleep(0.5)
    call.transfer(TARGET)
    outcome = phone.outcome(call)
    gateway.expect_success()
    assert ends(phone) == [end]
    assert (outcome.disposition, outcome.ended_by) == (Disposition.ANSWERED, by)
    sip = wire.sip()
    asked = next(each for each in sip if each.start_line.startswith("REFER"))
    assert asked.header("Refer-To") == f"<sip:{TARGET}@127.0.0.1>"
    assert asked.header("Referred-By") == "<sip:74950000000@127.0.0.1>"
    rtp = wire.rtp(destination=gateway.media)
    after = [packet.at for packet in rtp if packet.at > asked.at + 0.04]
    goes_on = end.how in (TransferEnd.REFUSED, TransferEnd.TIMEOUT)
    assert bool(after) is goes_on
    assert outcome.played_share == 1.0 if goes_on else 0.2 <= outcome.played_share <= 0.4
    if goes_on:
        told = [each for each in sip if each.source == gateway.address and each.at >= asked.at]
        last_word = max(each.at for each in told if not (each.header("CSeq") or "").endswith(("BYE", "INVITE", "ACK")))
        assert after[0] >= (last_word if end.how is TransferEnd.REFUSED else asked.at + 2.9)
        assert len(before_silence(rtp)) == 100
    assert wire.malformed() == []


@pytest.mark.peer("sipp", "tshark")
def test_a_repeat_begins_the_sound_again_at_once_and_counts_what_was_heard_in_one_go(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks
) -> None:
    gateway = sipp_gateway(answered(), timeout_s=30)
    wire = capture_wire(gateway.address[1], rtp_ports=[gateway.media[1]])
    phone = desk(gateway.address, sound_s=2.0)
    call = phone.call()
    wait_playing(call)
    time.sleep(0.6)
    asked = time.monotonic()
    call.repeat()
    outcome = phone.outcome(call)
    gateway.expect_success()
    assert time.monotonic() - asked >= 2.0
    packets = wire.rtp(destination=gateway.media)
    assert len(packets) > 125
    assert outcome.rtp is not None and outcome.rtp.sent == len(packets)
    assert (outcome.played_s, outcome.played_share) == (2.0, 1.0)
    codes = phone.stem.with_suffix(".alaw").read_bytes()
    heard = b"".join(packet.payload for packet in before_silence(packets))
    assert heard.endswith(codes) and heard.startswith(codes[:4000]) and len(heard) > len(codes) + 4000
    assert [packet.marker for packet in packets].count(True) == 1
    gaps = {(after.timestamp - before.timestamp) % 2**32 for before, after in pairwise(packets)}
    assert gaps == {160}
    assert wire.malformed() == []


@pytest.mark.peer("sipp", "tshark")
def test_a_repeat_in_the_wait_for_a_key_plays_the_sound_once_more_and_the_wait_begins_anew(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks
) -> None:
    gateway = sipp_gateway(answered(), timeout_s=30)
    wire = capture_wire(gateway.address[1], rtp_ports=[gateway.media[1]])
    phone = desk(gateway.address, sound_s=1.0)
    call = phone.call(key_wait_s=1.5)
    wait_playing(call)
    time.sleep(2.0)
    call.repeat()
    outcome = phone.outcome(call)
    gateway.expect_success()
    packets = wire.rtp(destination=gateway.media)
    codes = phone.stem.with_suffix(".alaw").read_bytes()
    check_stream(packets, 8)
    heard = b"".join(packet.payload for packet in before_silence(packets))
    between = heard.removeprefix(codes).removesuffix(codes)
    assert heard == codes + between + codes and not between.strip(b"\xd5")
    assert 0.8 < len(between) / 8000 < 3.0
    assert (outcome.played_s, outcome.played_share) == (1.0, 1.0)
    assert outcome.billsec_s == pytest.approx(2.0 + 1.0 + 0.3 + 1.5, abs=1.5)


@pytest.mark.peer("sipp")
def test_the_longest_call_bounds_the_wait_for_a_key_and_every_repeat(sipp_gateway: Gateways, desk: Desks) -> None:
    gateway = sipp_gateway(answered(), timeout_s=30)
    phone = desk(gateway.address, sound_s=1.0)
    call = phone.call(key_wait_s=30.0, max_call_s=3.0)
    wait_playing(call)
    time.sleep(1.5)
    call.repeat()
    outcome = phone.outcome(call)
    gateway.expect_success()
    assert 2.9 <= outcome.billsec_s <= 4.3


@pytest.mark.peer("sipp")
def test_a_transfer_that_fails_after_the_sound_leaves_the_whole_wait_for_another_key(
    sipp_gateway: Gateways, desk: Desks
) -> None:
    gateway = sipp_gateway(gateways.refuses(), timeout_s=30)
    phone = desk(gateway.address, sound_s=1.0)
    call = phone.call(key_wait_s=2.0)
    wait_playing(call)
    time.sleep(2.2)
    call.transfer(TARGET)
    wait_until(lambda: bool(ends(phone)), what="the refusal")
    time.sleep(1.0)
    call.repeat()
    outcome = phone.outcome(call)
    gateway.expect_success()
    assert outcome.rtp is not None and outcome.rtp.sent > 100
    assert outcome.billsec_s == pytest.approx(2.2 + 1.0 + 1.0 + 0.3 + 2.0, abs=1.5)


@pytest.mark.peer("baresip", "tshark")
def test_baresip_calls_whom_it_is_told_to_and_we_hang_up(desk: Desks, capture_wire: Captures, tmp_path: Path) -> None:
    with Baresip(folder=tmp_path / "a") as callee, Baresip(folder=tmp_path / "b", user="boss") as boss:
        wire = capture_wire(callee.address[1])
        options: dict[str, Any] = {"domain": f"127.0.0.1:{boss.address[1]}"}
        phone = desk(callee.address, sound_s=4.0, **options)
        call = phone.call(callee.user)
        callee.wait_established()
        time.sleep(0.5)
        call.transfer(boss.user)
        outcome = phone.outcome(call)
        boss.wait_established()
        assert ends(phone) == [Transferred(how=TransferEnd.ACCEPTED, code=200)]
        assert (outcome.disposition, outcome.ended_by) == (Disposition.ANSWERED, EndedBy.US)
        assert outcome.played_share < 0.5
        assert wire.malformed() == []


@pytest.mark.peer("kamailio", "baresip", "tshark")
def test_a_transfer_and_what_comes_of_it_follow_the_record_route(
    kamailio: Callable[..., Kamailio], desk: Desks, capture_wire: Captures, tmp_path: Path
) -> None:
    with Baresip(folder=tmp_path / "a") as callee, Baresip(folder=tmp_path / "b", user="boss") as boss:
        proxy = kamailio(callee.address, callee_user=callee.user, password="secret")
        wire = capture_wire(proxy.address[1])
        options: dict[str, Any] = {"domain": f"127.0.0.1:{boss.address[1]}"}
        phone = desk(proxy.address, sound_s=4.0, username="user", password="secret", **options)
        call = phone.call()
        callee.wait_established()
        time.sleep(0.5)
        call.transfer(boss.user)
        outcome = phone.outcome(call)
        boss.wait_established()
        proxy.wait_for("loose_route", "BYE")
        assert ends(phone) == [Transferred(how=TransferEnd.ACCEPTED, code=200)]
        assert (outcome.disposition, outcome.ended_by) == (Disposition.ANSWERED, EndedBy.US)
        assert proxy.count("loose_route", "REFER") == 1
        assert proxy.count("loose_route", "NOTIFY") >= 1
        assert proxy.count("no_route", "REFER") == proxy.count("no_route", "NOTIFY") == 0
        assert wire.malformed() == []


REFUSED = Transferred(how=TransferEnd.REFUSED, code=603)


@pytest.mark.peer("sipp", "tshark")
def test_after_a_failed_transfer_nobody_plays_to_silence_for_longer_than_five_seconds(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks
) -> None:
    gateway = sipp_gateway(gateways.refuses(603), timeout_s=60)
    wire = capture_wire(gateway.address[1], rtp_ports=[gateway.media[1]])
    phone = desk(gateway.address, sound_s=20.0)
    call = phone.call()
    wait_playing(call)
    call.transfer(TARGET)
    outcome = phone.outcome(call)
    gateway.expect_success()
    assert ends(phone) == [REFUSED]
    assert (outcome.disposition, outcome.ended_by) == (Disposition.ANSWERED, EndedBy.US)
    assert outcome.message == HangUp.GONE_AFTER_TRANSFER.format("5")
    refused = next(each for each in wire.sip() if each.code == 603)
    after = [packet.at - refused.at for packet in wire.rtp(destination=gateway.media) if packet.at > refused.at]
    assert 4.0 <= after[-1] <= at_most(5.0)


@pytest.mark.peer("sipp")
def test_after_a_failed_transfer_a_callee_who_is_heard_hears_the_rest(sipp_gateway: Gateways, desk: Desks) -> None:
    gateway = sipp_gateway(gateways.refuses(603), timeout_s=60, rtp_echo=True)
    phone = desk(gateway.address, sound_s=8.0)
    call = phone.call()
    wait_playing(call)
    call.transfer(TARGET)
    outcome = phone.outcome(call)
    assert ends(phone) == [REFUSED]
    assert (outcome.played_share, outcome.message) == (1.0, HangUp.SOUND_OVER)


@pytest.mark.peer("sipp")
@pytest.mark.parametrize("scenario", [gateways.refuses(603), gateways.transfers(status="486 Busy Here")])
def test_a_failed_transfer_ends_the_call_where_the_plan_says_so(
    sipp_gateway: Gateways, desk: Desks, scenario: Scenario
) -> None:
    gateway = sipp_gateway(scenario, timeout_s=60, rtp_echo=True)
    phone = desk(gateway.address, sound_s=20.0)
    call = phone.call(survives_failed_transfer=False)
    wait_playing(call)
    call.transfer(TARGET)
    outcome = phone.outcome(call)
    gateway.expect_success()
    assert (outcome.ended_by, outcome.message) == (EndedBy.US, HangUp.TRANSFER_FAILED)
    assert outcome.duration_s < at_most(5.0)

"""RTCP: packets against vectors written by hand from RFC 3550, and what a session says and learns by them."""

import random

import pytest

from autodialer.media import rtcp
from autodialer.media.reporting import Heard, Reporting, Sent

SR_WITH_BLOCK = bytes.fromhex(
    "81c8000c"  # version 2, one block, SR, 12 words follow
    "11223344"  # SSRC of the sender
    "e0000000 80000000"  # NTP: seconds, one half
    "00000fa0 00000064 00003e80"  # timestamp 4000, 100 packets, 16000 octets
    "aabbccdd"  # the block: SSRC of the stream
    "40 000005"  # a quarter lost lately, 5 in all
    "00011234 00000010"  # cycle 1, sequence 0x1234; jitter 16
    "12345678 00010000".replace(" ", "")  # last SR, 1 s ago
)
SR = rtcp.Report(
    ssrc=0x11223344,
    sender=rtcp.SenderInfo(ntp=0xE000000080000000, timestamp=4000, packets=100, octets=16000),
    blocks=(
        rtcp.ReportBlock(
            ssrc=0xAABBCCDD,
            fraction_lost=0.25,
            lost=5,
            highest=0x11234,
            jitter=16,
            last_sr=0x12345678,
            delay_since_last_sr=65536,
        ),
    ),
)
EMPTY_RR = bytes.fromhex("80c90001 11223344".replace(" ", ""))
SDES_A = bytes.fromhex("81ca0002 11223344 01016100".replace(" ", ""))
BYE = bytes.fromhex("81cb0001 11223344".replace(" ", ""))


def test_a_sender_report_is_written_and_read_as_the_figure_of_the_rfc_has_it() -> None:
    assert bytes(SR) == SR_WITH_BLOCK
    assert rtcp.reports_in(SR_WITH_BLOCK) == [SR]


def test_a_receiver_report_may_be_empty_and_other_packets_follow() -> None:
    assert bytes(rtcp.Report(ssrc=0x11223344)) == EMPTY_RR
    assert rtcp.sdes(0x11223344, "a") == SDES_A
    assert rtcp.bye(0x11223344) == BYE
    assert rtcp.reports_in(EMPTY_RR + SDES_A + BYE) == [rtcp.Report(ssrc=0x11223344)]


@pytest.mark.parametrize("length", range(1, 9))
def test_a_source_description_ends_with_a_null_and_at_a_word(length: int) -> None:
    packet = rtcp.sdes(1, "x" * length)
    assert len(packet) % 4 == 0
    assert packet[10 + length] == 0
    assert len(packet) == 4 * (int.from_bytes(packet[2:4]) + 1)


def test_packets_that_came_twice_make_the_loss_negative() -> None:
    block = rtcp.ReportBlock(ssrc=1, fraction_lost=0.0, lost=-3, highest=0, jitter=0, last_sr=0, delay_since_last_sr=0)
    (report,) = rtcp.reports_in(bytes(rtcp.Report(ssrc=2, blocks=(block,))))
    assert report.blocks == (block,)


MALFORMED = {
    "empty": b"",
    "RTP": bytes.fromhex("8000000100000000deadbeef"),
    "no report at first": SDES_A + EMPTY_RR,
    "version 1": b"\x41" + SR_WITH_BLOCK[1:],
    "a block that is announced and not there": b"\x82" + SR_WITH_BLOCK[1:],
    "cut short": SR_WITH_BLOCK[:-4],
    "a length beyond the datagram": EMPTY_RR[:3] + b"\x09" + EMPTY_RR[4:],
    "a second packet of version 0": EMPTY_RR + b"\x01" + SDES_A[1:],
    "trailing octets": EMPTY_RR + b"\x80\xc9",
    "padding in the first packet": b"\xa0" + EMPTY_RR[1:] + SDES_A,
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_not_well_formed_from_end_to_end_says_nothing(data: bytes) -> None:
    assert rtcp.reports_in(data) == []


OURS, PEERS = 0xAABBCCDD, 0x11223344


def reporting(now: float = 0.0) -> Reporting:
    return Reporting(now, cname="me", epoch_at_zero=1_700_000_000.0, randomness=random.Random(1))


def sent(packets: int) -> Sent:
    return Sent(ssrc=OURS, timestamp=160 * packets, packets=packets, octets=160 * packets)


def heard(expected: int, lost: int) -> Heard:
    return Heard(ssrc=PEERS, expected=expected, lost=lost, highest=1000 + expected, jitter=7)


def test_who_sends_reports_as_a_sender_and_who_fell_silent_as_a_receiver() -> None:
    mine = reporting()
    (first,) = rtcp.reports_in(mine.report(sent(100), None, 2.0))
    assert first.sender == rtcp.SenderInfo(
        ntp=rtcp.ntp_time(1_700_000_002.0), timestamp=16000, packets=100, octets=16000
    )
    assert first.blocks == ()
    (second,) = rtcp.reports_in(mine.report(sent(100), heard(50, 0), 7.0))
    assert second.sender is None
    assert second.blocks[0].ssrc == PEERS


def test_the_loss_of_a_block_is_that_since_the_last_report_and_in_all() -> None:
    mine = reporting()
    (first,) = rtcp.reports_in(mine.report(sent(1), heard(100, 25), 2.0))
    (second,) = rtcp.reports_in(mine.report(sent(2), heard(200, 25), 7.0))
    assert (first.blocks[0].fraction_lost, first.blocks[0].lost) == (0.25, 25)
    assert (second.blocks[0].fraction_lost, second.blocks[0].lost) == (0.0, 25)
    assert (second.blocks[0].highest, second.blocks[0].jitter) == (1200, 7)


def test_the_peers_sender_report_is_echoed_with_its_age() -> None:
    mine = reporting()
    info = rtcp.SenderInfo(ntp=0x1234_5678_9ABC_DEF0, timestamp=0, packets=1, octets=1)
    mine.take(rtcp.Report(ssrc=PEERS, sender=info), OURS, 10.0)
    (said,) = rtcp.reports_in(mine.report(sent(1), heard(10, 0), 12.5))
    assert said.blocks[0].last_sr == 0x5678_9ABC
    assert said.blocks[0].delay_since_last_sr == int(2.5 * 65536)


def test_the_round_trip_is_what_is_left_of_the_time_since_our_report() -> None:
    mine = reporting()
    (said,) = rtcp.reports_in(mine.report(sent(10), None, 100.0))
    assert said.sender
    block = rtcp.ReportBlock(
        ssrc=OURS,
        fraction_lost=0.0,
        lost=3,
        highest=0,
        jitter=0,
        last_sr=rtcp.middle(said.sender.ntp),
        delay_since_last_sr=65536,
    )
    mine.take(rtcp.Report(ssrc=PEERS, blocks=(block,)), OURS, 101.08)
    assert mine.peer.lost == 3
    assert mine.peer.round_trip_ms == pytest.approx(80, abs=0.1)


def test_reports_on_other_streams_our_own_and_forged_times_teach_nothing() -> None:
    mine = reporting()
    block = SR.blocks[0]
    mine.take(rtcp.Report(ssrc=PEERS, blocks=(block,)), 0x999, 1.0)
    mine.take(rtcp.Report(ssrc=OURS, blocks=(block,)), OURS, 1.0)
    assert mine.peer.lost is None
    mine.take(rtcp.Report(ssrc=PEERS, blocks=(block,)), OURS, 1.0)
    assert (mine.peer.lost, mine.peer.round_trip_ms) == (5, None), "a last SR that we never sent"


def test_reports_come_at_random_intervals_around_five_seconds_and_the_first_one_earlier() -> None:
    mine = reporting()
    assert 2.5 * 0.5 / 1.21828 <= mine.due_at <= 2.5 * 1.5 / 1.21828
    spans = []
    for _ in range(500):
        now = mine.due_at
        mine.report(sent(1), None, now)
        spans.append(mine.due_at - now)
    assert min(spans) >= 2.5 / 1.2183
    assert max(spans) <= 7.5 / 1.2182
    assert sum(spans) / len(spans) == pytest.approx(5.0 / 1.21828, rel=0.05)


def test_a_farewell_ends_with_a_bye_and_who_never_spoke_says_none() -> None:
    assert reporting().farewell(sent(0), None, 1.0) is None
    farewell = reporting().farewell(sent(5), None, 1.0)
    assert farewell is not None
    assert farewell.endswith(rtcp.bye(OURS))
    assert len(rtcp.reports_in(farewell)) == 1

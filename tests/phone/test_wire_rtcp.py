"""RTCP on the wire: tshark dissects ours, baresip reports on our stream, and strangers are not believed."""

import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from autodialer.media import rtcp
from tests.peers import gateways, scenario
from tests.peers.baresip import Baresip
from tests.peers.capture import Capture
from tests.peers.ports import LOCALHOST
from tests.peers.requirements import find_program
from tests.peers.sipp import SippGateway
from tests.phone.desk import Desk
from tests.timing import at_most

Desks = Callable[..., Desk]
Baresips = Callable[..., Baresip]
Gateways = Callable[..., SippGateway]

SOUND_S = 7.0
"""Longer than the latest first report, 3.1 s, and the one after it mostly."""
FIELDS = (
    "frame.time_epoch",
    "rtcp.pt",
    "rtcp.timestamp.ntp.msw",
    "rtcp.timestamp.ntp.lsw",
    "rtcp.timestamp.rtp",
    "rtcp.sender.packetcount",
    "rtcp.sender.octetcount",
    "rtcp.senderssrc",
    "rtcp.sdes.text",
    "rtcp.length_check",
)


def dissect(wire: Capture, port: int) -> list[dict[str, str]]:
    """tshark's fields of the RTCP packets that left from a port."""
    command = [find_program("tshark") or "tshark", "-n", "-r", str(wire.file), "-d", f"udp.port=={port},rtcp"]
    command += ["-Y", f"udp.srcport=={port}", "-T", "fields", "-E", "separator=|"]
    for field in FIELDS:
        command += ["-e", field]
    text = subprocess.run(command, capture_output=True, check=True, timeout=at_most(60), text=True).stdout
    return [dict(zip(FIELDS, line.split("|"), strict=True)) for line in text.splitlines()]


@pytest.mark.peer("tshark", "baresip")
def test_our_reports_say_what_we_sent_and_baresips_come_into_the_outcome(
    baresip: Baresips, desk: Desks, tmp_path: Path
) -> None:
    callee = baresip()
    phone = desk(callee.address, sound_s=SOUND_S)
    ports = range(33000, 60000)
    with Capture(tmp_path / "wire.pcap", sip_ports=[], rtp_ports=callee.rtp_ports, seconds=60) as wire:
        call = phone.call("callee", reference="rtcp")
        outcome = phone.outcome(call)
    callee.wait_closed()
    assert outcome.rtp is not None
    assert outcome.rtp.remote_lost == 0
    assert outcome.rtp.round_trip_ms is not None
    assert 0 <= outcome.rtp.round_trip_ms < 100
    sound = [packet for packet in wire.rtp() if packet.source[1] in ports and packet.payload_type == 8]
    reports = dissect(wire, sound[0].source[1] + 1)
    assert reports[0]["rtcp.pt"] == "200,202"
    assert reports[-1]["rtcp.pt"].endswith(",202,203"), "the last one says BYE"
    assert {report["rtcp.length_check"] for report in reports} == {"1"}
    for report in [report for report in reports if report["rtcp.pt"].startswith("200")]:
        at = float(report["frame.time_epoch"])
        before = [packet for packet in sound if packet.at < at]
        assert abs(int(report["rtcp.sender.packetcount"]) - len(before)) <= 1
        assert int(report["rtcp.sender.octetcount"]) == 160 * int(report["rtcp.sender.packetcount"])
        assert int(report["rtcp.senderssrc"].split(",")[0], 0) == sound[0].ssrc
        ntp_s = int(report["rtcp.timestamp.ntp.msw"]) + int(report["rtcp.timestamp.ntp.lsw"]) / 2**32
        assert abs(ntp_s - 2_208_988_800 - at) < 0.5
        # The RTP timestamp is that of the same instant: 8 a millisecond from the last packet on.
        ahead = (int(report["rtcp.timestamp.rtp"]) - before[-1].timestamp) % 2**32
        assert abs(ahead / 8000 - (at - before[-1].at)) < 0.03


@pytest.mark.peer("sipp")
def test_an_answer_may_say_where_reports_go(sipp_gateway: Gateways, desk: Desks) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere:
        elsewhere.bind((LOCALHOST, 0))
        elsewhere.settimeout(at_most(10))
        sdp = [*scenario.ANSWER_SDP, f"a=rtcp:{elsewhere.getsockname()[1]} IN IP4 {LOCALHOST}"]
        gateway = sipp_gateway(gateways.answered(sdp=sdp), timeout_s=30)
        phone = desk(gateway.address, sound_s=4.0)
        call = phone.call()
        packet = elsewhere.recv(2048)
        phone.outcome(call)
    (report,) = rtcp.reports_in(packet)
    assert report.sender is not None


@pytest.mark.peer("baresip")
def test_forged_reports_and_noise_change_nothing(baresip: Baresips, desk: Desks) -> None:
    callee = baresip()
    phone = desk(callee.address, sound_s=SOUND_S)
    call = phone.call("callee")
    deadline = time.monotonic() + at_most(10)
    while not call.RTPClients and time.monotonic() < deadline:
        time.sleep(0.05)
    target = (LOCALHOST, phone.phone.assignedPorts[0] + 1)
    lies = rtcp.ReportBlock(ssrc=1, fraction_lost=0.9, lost=9999, highest=1, jitter=1, last_sr=1, delay_since_last_sr=1)
    forged = bytes(rtcp.Report(ssrc=7, blocks=(lies,))) + rtcp.bye(7)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.9", 0))
        for number in range(10_000):
            stranger.sendto(forged if number % 2 else os.urandom(number % 200), target)
    outcome = phone.outcome(call)
    callee.wait_closed()
    assert outcome.played_share == 1.0
    assert outcome.rtp is not None
    assert outcome.rtp.remote_lost == 0

"""The media process follows its callee: what it was told, what it heard, and what the kernel keeps from it."""

import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from autodialer.media import rtcp, rtp
from autodialer.media.shell import DigitReceived
from tests.media.processes import Callee, Media, callees, sound_of
from tests.media.test_shared_port import drops
from tests.peers.ports import LOCALHOST, free_ports, wait_until

pytestmark = pytest.mark.loopback

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="classic BPF is Linux's")
MOVE = {"codec": "PCMA", "payload_type": 8, "telephone_event_pt": 101}


@pytest.fixture
def media() -> Iterator[Media]:
    with Media() as process:
        yield process


@pytest.fixture
def stem(tmp_path: Path) -> Path:
    return sound_of(tmp_path, frames=1000)


def audio(number: int, *, ssrc: int = 7, payload_type: int = 8, payload: bytes = bytes(160)) -> bytes:
    return rtp.pack(payload_type, number, number * 160, ssrc, payload)


def speak(callee: Callee, port: int, numbers: range, *, ssrc: int = 7, payload_type: int = 8) -> None:
    """Some faster than a call, which the process can follow."""
    for number in numbers:
        callee.send(audio(number, ssrc=ssrc, payload_type=payload_type), port)
        time.sleep(0.002)


@pytest.fixture(params=["per_call", "shared"])
def shared(request: pytest.FixtureRequest) -> bool:
    """Both kinds of ports."""
    return bool(request.param == "shared")


def talk(callee: Callee, port: int, numbers: range, *, ssrc: int = 7) -> None:
    """At the pace of a call."""
    for number in numbers:
        callee.send(audio(number, ssrc=ssrc), port)
        time.sleep(0.02)


def begin(media: Media, callee: Callee, stem: Path, *, shared: bool = False, **options: object) -> int:
    port = free_ports(2, even=True)[0]
    media.open_and_wait("a", LOCALHOST, port, shared=shared)
    media.play_to("a", callee.address, stem, **options)
    wait_until(lambda: bool(callee.read()), what="our first packet")
    return port


@needs_linux
def test_a_callee_behind_a_nat_that_moves_after_the_kernel_began_to_drop_is_heard_and_followed(
    media: Media, stem: Path
) -> None:
    with Callee() as first, Callee() as promised, Callee() as behind_nat:
        port = begin(media, first, stem)
        speak(first, port, range(300))
        media.move("a", remote=promised.address, sound_stem=str(stem), **MOVE)
        wait_until(lambda: bool(promised.read()), what="the move")
        for number in range(20):
            behind_nat.send(audio(number * 5 % 100, ssrc=9), port)  # no stream
            behind_nat.send(audio(1000 + number, ssrc=8), port)
            time.sleep(0.02)
        for number in range(20, 30):
            behind_nat.send(audio(1000 + number, ssrc=8), port)
            time.sleep(0.02)
        wait_until(lambda: len(behind_nat.read()) > 5, what="the sound at the place it was heard from")
        behind_nat.send(rtp.pack(101, 1030, 5, 8, bytes([5, 10, 0, 160])), port)
        assert media.events.wait(DigitReceived, "a")[0].digit == "5"
        stats = media.close_and_wait("a")
        assert abs(stats.received - (300 + 10 + 1)) <= 3 and stats.lost is not None and stats.lost <= 1
        assert stats.strangers >= 20


@needs_linux
@pytest.mark.parametrize("change", ["ssrc", "payload_type"])
def test_a_stream_that_changes_is_seen_whole_again(media: Media, stem: Path, change: str) -> None:
    with Callee() as callee:
        port = begin(media, callee, stem)
        speak(callee, port, range(300))
        speak(callee, port, range(300, 600), **({"ssrc": 8} if change == "ssrc" else {"payload_type": 0}))
        time.sleep(0.1)
        stats = media.close_and_wait("a")
        assert stats.lost == 0
        # The packets that announce another SSRC are a stranger's until it is believed.
        assert 598 <= stats.received <= 600


@needs_linux
@pytest.mark.parametrize("count", [185, 200, 215])
@pytest.mark.parametrize("silent_s", [0.0, 0.25, 0.5])
def test_a_callee_that_stops_before_its_bye_has_lost_nothing(
    media: Media, stem: Path, count: int, silent_s: float
) -> None:
    with Callee() as callee:
        port = begin(media, callee, stem)
        for number in range(count):
            callee.send(audio(number), port)
            time.sleep(0.004)
        time.sleep(silent_s)
        stats = media.close_and_wait("a")
    assert (stats.received, stats.lost) == (count, 0)


@needs_linux
def test_what_is_missing_between_packets_that_came_is_lost_whatever_the_kernel_keeps(media: Media, stem: Path) -> None:
    with Callee() as callee:
        port = begin(media, callee, stem)
        for number in range(400):
            if number not in (20, 150, 151, 152, 256, 300):
                callee.send(audio(number), port)
            time.sleep(0.004)
        time.sleep(0.2)
        stats = media.close_and_wait("a")
    assert (stats.received, stats.lost) == (394, 6)


def test_headers_without_a_payload_are_no_audio_and_lead_nothing_away(media: Media, stem: Path) -> None:
    with Callee() as callee, Callee() as elsewhere:
        port = begin(media, callee, stem)
        for number in range(12):
            callee.send(audio(number, payload=b""), port)
            elsewhere.send(audio(number, payload=b"", ssrc=8), port)
            time.sleep(0.02)
        time.sleep(0.1)
        assert elsewhere.read() == []
        stats = media.close_and_wait("a")
    assert (stats.received, stats.lost) == (0, None)


def test_a_callee_that_holds_from_another_place_is_heard_there(media: Media, stem: Path) -> None:
    with Callee() as first, Callee() as second:
        port = begin(media, first, stem)
        media.hold("a", remote=second.address)
        time.sleep(0.1)
        for number in range(3):
            second.send(rtp.pack(101, number, 5, 8, bytes([6, 10, 0, 160])), port)
            first.send(rtp.pack(101, number, 5, 7, bytes([1, 10, 0, 160])), port)
        assert [event.digit for event in media.events.wait(DigitReceived, "a")] == ["6"]
        stats = media.close_and_wait("a")
        assert second.read() == []
    assert (stats.received, stats.strangers) == (3, 3)


def test_reports_count_only_from_the_callee_and_of_its_stream(media: Media, stem: Path) -> None:
    with Callee() as callee, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.9", 0))
        port = begin(media, callee, stem)
        speak(callee, port, range(5))
        ours = callee.packets[0].ssrc

        def report(lost: int, ssrc: int) -> bytes:
            block = rtcp.ReportBlock(
                ssrc=ours, fraction_lost=0, lost=lost, highest=1, jitter=1, last_sr=0, delay_since_last_sr=0
            )
            return bytes(rtcp.Report(ssrc=ssrc, blocks=(block,)))

        callee.send(report(3, 7), port + 1)
        callee.send(report(5000, 1234), port + 1)
        stranger.sendto(report(6000, 7), (LOCALHOST, port + 1))
        time.sleep(0.2)
        stats = media.close_and_wait("a")
    assert (stats.remote_lost, stats.strangers) == (3, 2)


def test_a_callee_that_speaks_from_another_port_is_followed_there(media: Media, stem: Path, shared: bool) -> None:
    with Callee() as promised, Callee() as behind_nat:
        port = begin(media, promised, stem, shared=shared)
        talk(behind_nat, port, range(20))
        wait_until(lambda: len(behind_nat.read()) > 5, what="the sound at the place it was heard from")
        behind_nat.send(rtp.pack(101, 20, 5, 7, bytes([5, 10, 0, 160])), port)
        assert media.events.wait(DigitReceived, "a")[0].digit == "5"
        stats = media.close_and_wait("a")
    assert (stats.received, stats.strangers) == (20 - 4 + 1, 0)


def test_the_place_that_was_named_wins_back_once_it_speaks(media: Media, stem: Path, shared: bool) -> None:
    with Callee() as promised, Callee() as behind_nat:
        port = begin(media, promised, stem, shared=shared)
        talk(behind_nat, port, range(20))
        wait_until(lambda: len(behind_nat.read()) > 5, what="the latch")
        talk(promised, port, range(5), ssrc=8)
        before = len(behind_nat.read())
        talk(behind_nat, port, range(20, 40))
        assert len(behind_nat.read()) <= before + 1
        stats = media.close_and_wait("a")
    assert (stats.received, stats.strangers) == (20 - 4 + 5, 20)


def test_without_a_latch_a_source_is_a_stranger_in_the_record(media: Media, stem: Path, shared: bool) -> None:
    with Callee() as callee, Callee() as stranger:
        port = begin(media, callee, stem, shared=shared, symmetric=False)
        talk(stranger, port, range(10))
        talk(callee, port, range(10), ssrc=8)
        time.sleep(0.1)
        stats = media.close_and_wait("a")
        assert stranger.read() == []
    assert (stats.received, stats.strangers) == (10, 10)


def test_early_media_is_no_strangers_and_its_tail_leads_nothing_away(media: Media, stem: Path, shared: bool) -> None:
    port = free_ports(2, even=True)[0]
    with Callee() as early, Callee() as callee:
        media.open_and_wait("a", LOCALHOST, port, shared=shared)
        talk(early, port, range(10))
        media.play_to("a", callee.address, stem)
        wait_until(lambda: bool(callee.read()), what="our first packet")
        talk(early, port, range(10, 30))
        time.sleep(0.1)
        stats = media.close_and_wait("a")
        assert early.read() == []
    assert (stats.received, stats.strangers) == (0, 20)


def test_on_a_shared_port_a_source_that_may_be_of_two_calls_is_of_neither(media: Media, stem: Path) -> None:
    with callees(2) as everybody, Callee() as unknown:
        port = begin(media, everybody[0], stem, shared=True)
        media.open_and_wait("b", LOCALHOST, port, shared=True)
        media.play_to("b", everybody[1].address, stem)
        wait_until(lambda: bool(everybody[1].read()), what="our first packet")
        talk(unknown, port, range(10))
        assert unknown.read() == []
        # Once one of them is heard where it said, the other one is left.
        talk(everybody[0], port, range(3))
        talk(unknown, port, range(10, 70))
        wait_until(lambda: len(unknown.read()) > 3, what="the latch")
        figures = [media.close_and_wait(name) for name in ("a", "b")]
        assert {packet.ssrc for packet in unknown.packets} == {everybody[1].packets[0].ssrc}
    assert figures[0].received == 3 and figures[1].received > 5
    assert figures[0].strangers == 10


@needs_linux
def test_a_shared_port_that_keeps_a_sample_follows_a_callee_that_moves_behind_a_nat(media: Media, stem: Path) -> None:
    port = free_ports(2, even=True)[0]
    with callees(12) as everybody, Callee() as promised, Callee() as behind_nat:
        for number, callee in enumerate(everybody):
            media.open_and_wait(str(number), LOCALHOST, port, shared=True)
            media.play_to(str(number), callee.address, stem)
        for packet in range(60):
            for callee in everybody:
                callee.send(audio(packet), port)
            time.sleep(0.002)
        wait_until(lambda: sampled(everybody[1], port), what="the filter")
        media.move("0", remote=promised.address, sound_stem=str(stem), **MOVE)
        wait_until(lambda: bool(promised.read()), what="the move")
        talk(behind_nat, port, range(1000, 1060), ssrc=8)
        wait_until(lambda: len(behind_nat.read()) > 5, what="the sound at the place it was heard from")
        wait_until(lambda: sampled(everybody[1], port), what="the filter again")


@needs_linux
def test_a_shared_port_whose_calls_have_ended_looks_at_everything_again(media: Media, stem: Path) -> None:
    port = free_ports(2, even=True)[0]
    with callees(12) as everybody:
        for number, callee in enumerate(everybody):
            media.open_and_wait(str(number), LOCALHOST, port, shared=True)
            media.play_to(str(number), callee.address, stem)
        for packet in range(60):
            for callee in everybody:
                callee.send(audio(packet), port)
            time.sleep(0.002)
        wait_until(lambda: sampled(everybody[1], port), what="the filter")
        for number in range(1, 12):
            media.close_and_wait(str(number))
        with Callee() as late:
            media.open_and_wait("late", LOCALHOST, port, shared=True)
            media.play_to("late", late.address, stem)
            wait_until(lambda: bool(late.read()), what="our first packet")
            talk(late, port, range(30))
            time.sleep(0.1)
            stats = media.close_and_wait("late")
        assert (stats.received, stats.lost) == (30, 0)


def sampled(callee: Callee, port: int) -> bool:
    """Whether the kernel drops a packet that is in no sample."""
    before = drops(port)
    callee.send(audio(61), port)
    return drops(port) > before

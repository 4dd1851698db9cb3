"""The media process over real sockets: it plays, receives and counts."""

import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from autodialer.media import rtp
from autodialer.media.shell import (
    DigitReceived,
    MediaEvent,
    SessionClosed,
    SessionStats,
    SoundFinished,
)
from tests.media.processes import FRAME, Callee, Events, Media, PortTaken, callees, is_whole, sound_of
from tests.peers.ports import LOCALHOST, free_ports, is_bound, wait_until
from tests.timing import at_most

pytestmark = pytest.mark.loopback


@pytest.fixture(params=["best", "portable"])
def media(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Media]:
    """The media process, with each way of sending that there is."""
    monkeypatch.setenv("DIALER_MEDIA_SENDER", request.param)
    with Media() as process:
        yield process
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("media ")]


@pytest.fixture
def callee() -> Iterator[Callee]:
    with Callee() as one:
        yield one


def test_the_sound_arrives_whole_and_in_order_from_the_port_that_was_opened(
    media: Media, callee: Callee, tmp_path: Path
) -> None:
    stem = sound_of(tmp_path, frames=29.5)
    port = media.open_any("a")
    media.play_to("a", callee.address, stem)
    media.events.wait(SoundFinished, "a")
    stats = media.close_and_wait("a")
    assert is_whole(callee.heard, stem.with_suffix(".alaw").read_bytes() + b"\xd5" * 80)
    assert callee.senders == {(LOCALHOST, port)}
    assert [packet.marker for packet in callee.packets] == [True] + [False] * 29
    assert stats == SessionStats(sent=30, played_frames=30)


def test_packets_leave_at_a_steady_50_a_second(media: Media, callee: Callee, tmp_path: Path) -> None:
    stem = sound_of(tmp_path, frames=100)
    media.open_any("a")
    media.play_to("a", callee.address, stem)
    media.events.wait(SoundFinished, "a")
    times = (callee.read(), callee.arrived_at)[1]
    assert times[-1] - times[0] == pytest.approx(99 * 0.02, abs=1.0)


def test_a_call_that_ends_early_played_what_the_callee_got(media: Media, callee: Callee, tmp_path: Path) -> None:
    media.open_any("a")
    media.play_to("a", callee.address, sound_of(tmp_path, frames=500), lead_in_ms=100)
    wait_until(lambda: len(callee.read()) >= 20, what="20 packets")
    stats = media.close_and_wait("a")
    assert len(callee.read()) == stats.sent == stats.played_frames + 5
    time.sleep(0.1)
    assert len(callee.read()) == stats.sent, "nothing is sent after SessionClosed"
    assert media.events.of(SoundFinished) == []


def test_packets_that_left_after_the_call_ended_were_not_played(media: Media, callee: Callee, tmp_path: Path) -> None:
    media.open_any("a")
    media.play_to("a", callee.address, sound_of(tmp_path, frames=500), lead_in_ms=100)
    wait_until(lambda: len(callee.read()) >= 20, what="20 packets")
    ended_at = time.monotonic()
    before = len(callee.read())
    wait_until(lambda: len(callee.read()) >= 35, what="15 packets more")
    media.close("a", ended_at=ended_at)
    stats = media.events.wait(SessionClosed, "a")[0].stats
    assert stats.sent == len(callee.read()) >= 35
    assert abs(stats.played_frames - (before - 5)) <= 1


def test_mu_law_is_played_from_its_own_file_under_the_payload_type_agreed_on(
    media: Media, callee: Callee, tmp_path: Path
) -> None:
    stem = sound_of(tmp_path, frames=3)
    stem.with_suffix(".ulaw").write_bytes(b"\x11" * (2 * FRAME + 1))
    media.open_any("a")
    media.play_to("a", callee.address, stem, codec="PCMU", payload_type=0, lead_in_ms=20)
    media.events.wait(SoundFinished, "a")
    assert callee.heard.rstrip(b"\xff") == b"\xff" * FRAME + b"\x11" * (2 * FRAME + 1)
    assert {packet.payload_type for packet in callee.packets} == {0}


def test_a_hundred_calls_at_once_lose_not_a_packet(media: Media, tmp_path: Path) -> None:
    stem = sound_of(tmp_path, frames=60)
    with callees(100) as everybody:
        for number, one in enumerate(everybody):
            media.open_any(f"call {number}")
            media.play_to(f"call {number}", one.address, stem)
        media.events.wait(SoundFinished, count=100)
        for number in range(100):
            media.close(f"call {number}")
        closed = media.events.wait(SessionClosed, count=100)
        codes = stem.with_suffix(".alaw").read_bytes()
        assert all(is_whole(one.heard, codes) for one in everybody)
    assert [event.stats.played_frames for event in closed] == [60] * 100
    assert len({one.packets[0].ssrc for one in everybody}) == 100


def test_a_port_that_somebody_has_is_told_and_another_can_be_tried(media: Media) -> None:
    port = free_ports(2, even=True)[0]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((LOCALHOST, port))
        with pytest.raises(PortTaken, match=str(port)):
            media.open_and_wait("a", LOCALHOST, port)
    media.open_and_wait("a", LOCALHOST, port)
    with pytest.raises(PortTaken):
        media.open_and_wait("b", LOCALHOST, port)
    media.open_any("b")


@pytest.mark.parametrize(("host", "port"), [("192.0.2.1", 4000), (LOCALHOST, 70000), (LOCALHOST, -1)])
def test_an_address_that_cannot_be_bound_is_told(media: Media, host: str, port: int) -> None:
    with pytest.raises(PortTaken):
        media.open_and_wait("a", host, port)
    media.open_any("a")


def test_a_session_is_opened_once(media: Media) -> None:
    media.open_any("a")
    with pytest.raises(PortTaken, match="open already"):
        media.open_any("a")
    media.close_and_wait("a")
    media.open_any("a")


def test_the_port_is_free_once_the_session_is_closed(media: Media) -> None:
    port = media.open_any("a")
    assert is_bound(LOCALHOST, port)
    assert media.close_and_wait("a") == SessionStats()
    assert not is_bound(LOCALHOST, port)


def test_closing_is_answered_once_however_often_it_is_asked(media: Media, callee: Callee, tmp_path: Path) -> None:
    media.open_any("a")
    media.play_to("a", callee.address, sound_of(tmp_path, frames=100))
    for _ in range(3):
        media.close("a")
    media.close("never opened")
    media.play_to("a", callee.address, None)
    media.open_any("b")  # what was asked before has been done once this is answered
    media.close_and_wait("b")
    assert [event.session_id for event in media.events.of(SessionClosed)] == ["a", "b"]


@pytest.mark.parametrize(
    ("remote", "ending"),
    [
        pytest.param((LOCALHOST, 9), ".gone", id="a sound that is not there"),
        pytest.param(("callee.invalid", 4000), ".alaw", id="a host name"),
        pytest.param((LOCALHOST, 0), ".alaw", id="port 0"),
        pytest.param((LOCALHOST, 99999), ".alaw", id="a port past the last one"),
    ],
)
def test_what_cannot_be_played_is_finished_at_once_and_the_other_calls_go_on(
    media: Media,
    callee: Callee,
    tmp_path: Path,
    remote: tuple[str, int],
    ending: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    stem = sound_of(tmp_path, frames=30)
    media.open_any("good")
    media.play_to("good", callee.address, stem)
    media.open_any("bad")
    media.play_to("bad", remote, stem if ending == ".alaw" else tmp_path / "nowhere")
    media.events.wait(SoundFinished, "bad")
    assert media.close_and_wait("bad") == SessionStats()
    media.events.wait(SoundFinished, "good")
    assert is_whole(callee.heard, stem.with_suffix(".alaw").read_bytes())
    assert "media session bad: " in caplog.text


def test_an_unreachable_callee_does_not_stop_the_others(media: Media, callee: Callee, tmp_path: Path) -> None:
    stem = sound_of(tmp_path, frames=30)
    with Callee() as gone:
        nobody = gone.address  # its port is closed now: the kernel answers by ICMP
    for name, remote in (("deaf", nobody), ("good", callee.address)):
        media.open_any(name)
        media.play_to(name, remote, stem)
    media.events.wait(SoundFinished, count=2)
    assert is_whole(callee.heard, stem.with_suffix(".alaw").read_bytes())
    assert media.close_and_wait("deaf").received == 0


def test_what_the_callee_sends_is_counted_from_the_answer_on(media: Media, callee: Callee, tmp_path: Path) -> None:
    port = media.open_any("a")
    callee.send(rtp.pack(8, 1, 160, 5, bytes(FRAME)), port)
    time.sleep(0.05)
    media.play_to("a", callee.address, sound_of(tmp_path, frames=20))
    wait_until(lambda: bool(callee.read()), what="our first packet")
    for number in (10, 11, 12, 14):
        callee.send(rtp.pack(8, number, number * 160, 5, bytes(FRAME)), port)
    media.events.wait(SoundFinished)
    stats = media.close_and_wait("a")
    assert (stats.received, stats.lost, stats.discarded) == (4, 1, 0)
    assert stats.jitter_ms is not None


def test_garbage_at_the_port_is_counted_and_the_sound_goes_on(media: Media, callee: Callee, tmp_path: Path) -> None:
    stem = sound_of(tmp_path, frames=30)
    port = media.open_any("a")
    media.play_to("a", callee.address, stem)
    garbage = [
        b"",
        b"\0",
        b"\x90" + bytes(11) + b"\xff\xff",
        b"INVITE sip:a SIP/2.0\r\n\r\n",
        b"\x00" + os.urandom(60_000),
        b"\xff" * 12,
    ]
    for data in garbage:
        callee.send(data, port)
    media.events.wait(SoundFinished)
    stats = media.close_and_wait("a")
    assert (stats.discarded, stats.received) == (len(garbage), 0)
    assert is_whole(callee.heard, stem.with_suffix(".alaw").read_bytes())


def key_press(event: int, number: int) -> bytes:
    return rtp.pack(101, number, number * 1000, 5, struct.pack("!BBH", event, 10, 160), marker=True)


def test_keys_that_the_callee_presses_are_told_in_order(media: Media, callee: Callee) -> None:
    port = media.open_any("a")
    media.play_to("a", callee.address, None)
    media.open_any("b")  # answered once the play before it has been read
    media.close_and_wait("b")
    for number, event in enumerate([1, 10, 11, 15]):
        for _ in range(3):
            callee.send(key_press(event, number), port)
    digits = media.events.wait(DigitReceived, "a", count=4)
    assert [event.digit for event in digits] == ["1", "*", "#", "D"]


def test_a_dialer_that_does_not_listen_is_not_heard_in_a_call(callee: Callee, tmp_path: Path) -> None:
    """What it is told (far more than the pipe holds) waits, and the packets leave on time."""
    heard, listen = Events(), threading.Event()

    def deaf(event: MediaEvent) -> None:
        listen.wait(at_most(30))
        heard(event)

    presses = 4000
    with Media(deaf) as media:
        stem = sound_of(tmp_path, frames=150)
        port = free_ports(2, even=True)[0]
        media.open("a", LOCALHOST, port)
        media.play_to("a", callee.address, stem)
        wait_until(lambda: bool(callee.read()), what="the first packet")
        for number in range(presses):
            callee.send(key_press(number % 16, number), port)
            if number % 50 == 0:
                time.sleep(0.005)
        wait_until(lambda: len(callee.read()) == 150, what="the whole sound")
        assert callee.arrived_at[-1] - callee.arrived_at[0] < 150 * 0.02 + 0.1
        assert heard.all == []
        listen.set()
        heard.wait(SoundFinished)
        media.close("a")
        heard.wait(SessionClosed)
    assert len(heard.of(DigitReceived)) > presses / 2


def test_an_event_that_its_taker_fails_on_does_not_end_the_reading(
    callee: Callee, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    events = Events()

    def faulty(event: MediaEvent) -> None:
        events(event)
        raise RuntimeError("the taker's own fault")

    with Media(faulty) as media:
        for name in ("a", "b"):
            media.open(name, LOCALHOST, free_ports(2, even=True)[0])
            media.play_to(name, callee.address, sound_of(tmp_path, frames=2))
            events.wait(SoundFinished, name)
        media.close("a")
        events.wait(SessionClosed, "a")
    assert "an event of the media process was not taken" in caplog.text


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="POSIX signals")
def test_a_stall_is_made_up_without_a_burst_and_without_a_loss(media: Media, callee: Callee, tmp_path: Path) -> None:
    stem = sound_of(tmp_path, frames=60)
    media.open_any("a")
    media.play_to("a", callee.address, stem)
    wait_until(lambda: len(callee.read()) >= 20, what="20 packets")
    assert media.pid
    os.kill(media.pid, signal.SIGSTOP)
    time.sleep(0.4)
    os.kill(media.pid, signal.SIGCONT)
    media.events.wait(SoundFinished)
    assert is_whole(callee.heard, stem.with_suffix(".alaw").read_bytes())
    times = callee.arrived_at
    assert max(late - early for early, late in pairwise(times)) > 0.3
    # A machine under load may be late by a packet, never by the 20 of the stall.
    assert max(sum(start <= at < start + 0.03 for at in times) for start in times) <= 4


def test_a_held_sound_pauses_and_goes_on_at_another_address(media: Media, callee: Callee, tmp_path: Path) -> None:
    stem = sound_of(tmp_path, frames=60)
    media.open_any("a")
    media.play_to("a", callee.address, stem)
    wait_until(lambda: len(callee.read()) >= 20, what="20 packets")
    media.hold("a")
    time.sleep(0.1)
    before = len(callee.read())
    time.sleep(0.2)
    assert len(callee.read()) == before, "nothing is sent while held"
    with Callee() as moved:
        media.move(
            "a",
            remote=moved.address,
            codec="PCMA",
            payload_type=8,
            sound_stem=str(stem),
            telephone_event_pt=None,
        )
        media.events.wait(SoundFinished, "a")
        wait_until(lambda: len(moved.read()) == 60 - before, what="the rest of the sound")
        assert is_whole(callee.heard + moved.heard, stem.with_suffix(".alaw").read_bytes())
        assert moved.packets[0].marker
        assert len(callee.read()) == before
    assert media.close_and_wait("a") == SessionStats(sent=60, played_frames=60)


def test_a_session_that_cannot_go_on_is_finished(media: Media, callee: Callee, tmp_path: Path) -> None:
    media.open_any("a")
    media.play_to("a", callee.address, sound_of(tmp_path, frames=500))
    media.move("a", remote=("h", 1), codec="PCMA", payload_type=8, sound_stem="", telephone_event_pt=None)
    media.events.wait(SoundFinished, "a")


def test_a_held_session_keeps_its_way_through_a_nat_open(media: Media, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind((LOCALHOST, 0))
        peer.settimeout(at_most(18.0))
        media.open_any("a")
        media.play_to("a", peer.getsockname(), sound_of(tmp_path, frames=100))
        assert len(peer.recv(2048)) == 12 + FRAME
        media.hold("a")
        began = time.monotonic()
        while peer.recv(2048):
            assert time.monotonic() - began < at_most(1.0), "only what had left before the hold"
        assert 14.0 < time.monotonic() - began < at_most(17.0)
    assert media.close_and_wait("a").sent <= 5

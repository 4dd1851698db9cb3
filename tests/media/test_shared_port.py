"""Calls that share one port: each gets its own sound, and knows its own callee's packets."""

import sys
import time
from pathlib import Path

import pytest

from autodialer.media import rtp
from autodialer.media.shell import (
    DigitReceived,
    PortWanted,
    SessionClosed,
    SessionNotOpened,
    SessionOpened,
    SessionStats,
    SoundFinished,
)
from tests.media.processes import Callee, Media, callees, is_whole, sound_of
from tests.peers.ports import LOCALHOST, free_ports, is_bound, wait_until

pytestmark = pytest.mark.loopback


def audio(number: int) -> bytes:
    return rtp.pack(8, number, number * 160, 7, bytes(160))


@pytest.fixture(params=["best", "portable"])
def shared(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of sending."""
    monkeypatch.setenv("DIALER_MEDIA_SENDER", request.param)
    return str(request.param)


def test_many_calls_leave_by_one_port_and_each_callee_gets_its_own_sound(shared: str, tmp_path: Path) -> None:
    port = free_ports(2, even=True)[0]
    stem = sound_of(tmp_path, frames=40)
    with callees(60) as everybody, Media() as media:
        for number, callee in enumerate(everybody):
            media.open_and_wait(str(number), LOCALHOST, port, shared=True)
            media.play_to(str(number), callee.address, stem)
        media.events.wait(SoundFinished, count=60)
        for number, callee in enumerate(everybody):
            for packet in range(number % 5):
                callee.send(audio(packet), port)
        figures = {}
        wait_until(lambda: is_bound(LOCALHOST, port), what="the port")
        for number in range(60):
            figures[number] = media.close_and_wait(str(number))
        wait_until(lambda: not is_bound(LOCALHOST, port), what="the port to be free")
        codes = stem.with_suffix(".alaw").read_bytes()
        assert all(is_whole(callee.heard, codes) for callee in everybody)
        assert {sender for callee in everybody for sender in callee.senders} == {(LOCALHOST, port)}
    assert [stats.received for stats in figures.values()] == [number % 5 for number in range(60)]
    assert all(stats.sent >= stats.played_frames == 40 for stats in figures.values())


def test_two_calls_to_the_same_address_are_never_mixed_up(shared: str, tmp_path: Path) -> None:
    port, _, own, _ = free_ports(4, even=True)
    with Callee() as callee, Media() as media:
        for name in ("a", "b"):
            media.open_and_wait(name, LOCALHOST, port, shared=True)
            media.play_to(name, callee.address, sound_of(tmp_path, frames=100))
        assert [event.session_id for event in media.events.wait(PortWanted)] == ["b"]
        media.reopen("b", LOCALHOST, own)
        wait_until(lambda: len(callee.read()) >= 20 and len(callee.senders) == 2, what="packets of both")
        assert callee.senders == {(LOCALHOST, port), (LOCALHOST, own)}
        callee.send(audio(1), port)
        callee.send(audio(1), own)
        callee.send(audio(2), own)
        wait_until(lambda: media.alive, what="the process")
        for name in ("a", "b"):
            media.close(name)
        closed = {event.session_id: event.stats for event in media.events.wait(SessionClosed, count=2)}
    assert len({packet.ssrc for packet in callee.packets}) == len(callee.senders) == 2
    assert (closed["a"].received, closed["b"].received) == (1, 2)


def test_a_call_waits_for_its_own_port_until_there_is_one_and_plays_from_its_first_sample(
    shared: str, tmp_path: Path
) -> None:
    port, _, own, _ = free_ports(4, even=True)
    stem = sound_of(tmp_path, frames=30)
    with Callee() as callee, Media() as media:
        media.open_and_wait("a", LOCALHOST, port, shared=True)
        media.open_and_wait("b", LOCALHOST, port, shared=True)
        media.play_to("a", callee.address, None)
        media.play_to("b", callee.address, stem)
        media.events.wait(PortWanted, "b")
        media.reopen("b", LOCALHOST, port)
        assert media.events.wait(SessionNotOpened, "b")
        media.reopen("b", LOCALHOST, own)
        media.events.wait(SessionOpened, "b", count=2)
        media.events.wait(SoundFinished, "b")
        assert is_whole(callee.heard, stem.with_suffix(".alaw").read_bytes())
        assert media.close_and_wait("b").played_frames == 30
        assert media.close_and_wait("a") == SessionStats()
        wait_until(lambda: not is_bound(LOCALHOST, port) and not is_bound(LOCALHOST, own), what="free ports")


def test_a_call_that_moves_to_an_address_in_use_goes_on_from_its_own_port(shared: str, tmp_path: Path) -> None:
    port, _, own, _ = free_ports(4, even=True)
    stem = sound_of(tmp_path, frames=60)
    with Callee() as first, Callee() as second, Media() as media:
        for name, callee in (("a", first), ("b", second)):
            media.open_and_wait(name, LOCALHOST, port, shared=True)
            media.play_to(name, callee.address, stem)
        wait_until(lambda: len(second.read()) >= 10, what="packets")
        options = {"codec": "PCMA", "payload_type": 8, "telephone_event_pt": 101, "sound_stem": str(stem)}
        media.move("b", remote=first.address, **options)
        media.events.wait(PortWanted, "b")
        media.reopen("b", LOCALHOST, own)
        media.events.wait(SoundFinished, "b")
        before = second.read()
        moved = [packet for packet in first.read() if packet.ssrc == second.packets[0].ssrc]
        heard = b"".join(packet.payload for packet in [*before, *moved])
        assert is_whole(heard, stem.with_suffix(".alaw").read_bytes())
        assert first.senders == {(LOCALHOST, port), (LOCALHOST, own)}


def test_a_call_that_ends_while_it_waits_for_a_port_is_closed(tmp_path: Path) -> None:
    port, _, own, _ = free_ports(4, even=True)
    with Callee() as callee, Media() as media:
        for name in ("a", "b"):
            media.open_and_wait(name, LOCALHOST, port, shared=True)
            media.play_to(name, callee.address, sound_of(tmp_path, frames=20))
        media.events.wait(PortWanted, "b")
        media.hold("b")
        assert media.close_and_wait("b") == SessionStats()
        media.reopen("b", LOCALHOST, own)
        assert media.close_and_wait("a").sent <= 20
        assert not is_bound(LOCALHOST, own)


def test_what_strangers_send_to_a_shared_port_belongs_to_nobody(shared: str, tmp_path: Path) -> None:
    port = free_ports(2, even=True)[0]
    with Callee() as callee, Callee() as stranger, Media() as media:
        media.open_and_wait("a", LOCALHOST, port, shared=True)
        media.play_to("a", callee.address, sound_of(tmp_path, frames=20))
        wait_until(lambda: bool(callee.read()), what="the answer")
        for number in range(20):
            stranger.send(audio(number), port)
        media.events.wait(SoundFinished)
        stats = media.close_and_wait("a")
        assert (stats.received, stats.strangers) == (0, 20)
        assert len(stranger.read()) == 0 and len(callee.read()) >= 20


def test_a_port_that_one_call_has_to_itself_is_not_shared(tmp_path: Path) -> None:
    port = free_ports(2, even=True)[0]
    with Media() as media:
        media.open_and_wait("a", LOCALHOST, port)
        with pytest.raises(Exception, match=str(port)):
            media.open_and_wait("b", LOCALHOST, port, shared=True)


@pytest.mark.skipif(sys.platform != "linux", reason="classic BPF is Linux's")
def test_of_many_echoing_callees_the_kernel_lets_a_sample_through_and_every_key_press(tmp_path: Path) -> None:
    port = free_ports(2, even=True)[0]
    with callees(20) as everybody, Media() as media:
        for number, callee in enumerate(everybody[:-1]):
            media.open_and_wait(str(number), LOCALHOST, port, shared=True)
            media.play_to(str(number), callee.address, sound_of(tmp_path, frames=200))
        exact, sampled = 60, 320
        for packet in range(exact):
            for callee in everybody[:-1]:
                callee.send(audio(packet), port)
            time.sleep(0.001)
        wait_until(lambda: drops_after_another(everybody[0], port, exact) > 0, what="the filter")
        late = everybody[-1]
        media.open_and_wait("19", LOCALHOST, port, shared=True)
        media.play_to("19", late.address, sound_of(tmp_path, frames=200))
        wait_until(lambda: bool(late.read()), what="the late call")
        before = drops(port)
        for packet in range(exact + 1, exact + 1 + sampled):
            for callee in everybody:
                callee.send(audio(packet), port)
        for callee in everybody:
            callee.send(rtp.pack(101, exact + sampled + 1, 7, 7, bytes([5, 0x8A, 0, 160])), port)
        digits = media.events.wait(DigitReceived, count=20)
        assert drops(port) - before == 20 * sampled * 31 // 32
        figures = [media.close_and_wait(str(number)) for number in range(20)]
    assert sorted(event.session_id for event in digits) == sorted(str(number) for number in range(20))
    assert {event.digit for event in digits} == {"5"}
    for stats in figures[1:-1]:
        assert abs(stats.received - (exact + sampled + 1)) <= 33  # what came last may not have been in the sample
        assert stats.lost is None
    assert 250 <= figures[-1].received <= sampled + 33


def drops_after_another(callee: Callee, port: int, number: int) -> int:
    """What the kernel has dropped after one packet that is in no sample."""
    callee.send(audio(number + (number % 32 == 0)), port)
    return drops(port)


def drops(port: int) -> int:
    """Datagrams that the kernel dropped at a UDP port, as its table says."""
    lines = Path("/proc/net/udp").read_text().splitlines()[1:]
    return sum(int(line.split()[-1]) for line in lines if line.split()[1].endswith(f":{port:04X}"))

"""The media process with encrypted sessions: what gets through, both ways, on both kinds of ports."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pylibsrtp import Policy
from pylibsrtp import Session as Library

from autodialer.media import rtcp, rtp
from autodialer.media.shell import DigitReceived, SoundFinished, SrtpKeys
from autodialer.media.srtp import PROFILES
from tests.media.processes import FRAME, Callee, Media, is_whole, sound_of
from tests.peers.ports import LOCALHOST, free_ports, wait_until

pytestmark = pytest.mark.loopback

SUITES = sorted(PROFILES)
MOVE = {"codec": "PCMA", "payload_type": 8, "telephone_event_pt": 101}


@pytest.fixture
def media() -> Iterator[Media]:
    with Media() as process:
        yield process


@pytest.fixture(params=["per_call", "shared"])
def shared(request: pytest.FixtureRequest) -> bool:
    """Both kinds of ports."""
    return bool(request.param == "shared")


def new_keys(suite: str = SUITES[1]) -> SrtpKeys:
    octets = 28 if "GCM" in suite else 30
    return SrtpKeys(suite=suite, ours=os.urandom(octets), theirs=os.urandom(octets))


class SecureCallee(Callee):
    """A callee with libsrtp's own contexts."""

    def use(self, keys: SrtpKeys) -> None:
        profile = PROFILES[keys.suite]
        self._in = Library(Policy(key=keys.ours, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=profile))
        self._out = Library(Policy(key=keys.theirs, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile))

    def sound_since(self, first: int) -> bytes:
        """What it hears in the packets from that one on."""
        head = [
            rtp.pack(p.payload_type, p.sequence, p.timestamp, p.ssrc, p.payload, marker=p.marker)
            for p in self.read()[first:]
        ]
        return b"".join(self._in.unprotect(packet)[12:] for packet in head)

    def say(self, port: int, number: int, *, payload_type: int = 8, payload: bytes = bytes(160)) -> None:
        self.send(self._out.protect(rtp.pack(payload_type, number, number * 160, 7, payload)), port)

    def report(self, port: int, packet: bytes) -> None:
        self.send(self._out.protect_rtcp(packet), port + 1)


def begin(media: Media, callee: Callee, stem: Path, keys: SrtpKeys, *, shared: bool) -> int:
    port = free_ports(2, even=True)[0]
    media.open_and_wait("a", LOCALHOST, port, shared=shared)
    media.play_to("a", callee.address, stem, keys=keys)
    wait_until(lambda: bool(callee.read()), what="our first packet")
    return port


@pytest.mark.parametrize("suite", SUITES)
def test_the_sound_is_heard_whole_and_the_callee_too(media: Media, tmp_path: Path, suite: str, shared: bool) -> None:
    stem, keys = sound_of(tmp_path, frames=30), new_keys(suite)
    with SecureCallee() as callee:
        callee.use(keys)
        port = begin(media, callee, stem, keys, shared=shared)
        for number in range(20):
            callee.say(port, number)
            time.sleep(0.01)
        callee.say(port, 20, payload_type=101, payload=bytes([5, 10, 0, 160]))
        assert media.events.wait(DigitReceived, "a")[0].digit == "5"
        media.events.wait(SoundFinished, "a")
        stats = media.close_and_wait("a")
        assert is_whole(callee.sound_since(0), stem.with_suffix(".alaw").read_bytes())
    assert (stats.received, stats.lost, stats.strangers, stats.played_frames) == (21, 0, 0, 30)


def test_what_is_plain_or_forged_or_by_another_key_counts_for_nothing(
    media: Media, tmp_path: Path, shared: bool
) -> None:
    stem, keys = sound_of(tmp_path, frames=200), new_keys()
    with SecureCallee() as callee, SecureCallee() as stranger:
        callee.use(keys)
        port = begin(media, callee, stem, keys, shared=shared)
        callee.say(port, 0)
        event = bytes([5, 10, 0, 160])
        for number in range(1, 11):
            callee.send(rtp.pack(101, number, 0, 7, event), port)
        callee.use(new_keys())
        for number in range(1, 11):
            callee.say(port, number, payload_type=101, payload=event)
        stranger.use(new_keys())
        for number in range(1, 11):
            stranger.say(port, number)
        block = rtcp.ReportBlock(
            ssrc=callee.packets[0].ssrc, fraction_lost=0, lost=9, highest=1, jitter=1, last_sr=0, delay_since_last_sr=0
        )
        callee.send(bytes(rtcp.Report(ssrc=7, blocks=(block,))), port + 1)
        time.sleep(0.2)
        stats = media.close_and_wait("a")
    assert media.events.of(DigitReceived) == []
    assert (stats.received, stats.strangers, stats.remote_lost) == (1, 31, None)


def test_questions_to_a_stun_server_and_noise_are_no_strangers_rtp(media: Media, tmp_path: Path, shared: bool) -> None:
    stem, keys = sound_of(tmp_path, frames=200), new_keys()
    with SecureCallee() as callee:
        callee.use(keys)
        port = begin(media, callee, stem, keys, shared=shared)
        for _ in range(5):
            for to in (port, port + 1):
                callee.send(bytes.fromhex("000100002112a442") + bytes(12), to)
                callee.send(b"", to)
        time.sleep(0.1)
        stats = media.close_and_wait("a")
    assert (stats.received, stats.strangers, stats.discarded) == (0, 0, 10)


def test_reports_are_taken_encrypted(media: Media, tmp_path: Path, shared: bool) -> None:
    stem, keys = sound_of(tmp_path, frames=200), new_keys()
    with SecureCallee() as callee:
        callee.use(keys)
        port = begin(media, callee, stem, keys, shared=shared)
        if shared:
            media.open_and_wait("b", LOCALHOST, port, shared=True)
            with Callee() as other:
                media.play_to("b", other.address, stem)
                wait_until(lambda: bool(other.read()), what="the plain call")
        callee.say(port, 0)
        block = rtcp.ReportBlock(
            ssrc=callee.packets[0].ssrc, fraction_lost=0, lost=9, highest=1, jitter=1, last_sr=0, delay_since_last_sr=0
        )
        time.sleep(0.1)
        callee.report(port, bytes(rtcp.Report(ssrc=7, blocks=(block,))))
        time.sleep(0.2)
        stats = media.close_and_wait("a")
    assert (stats.remote_lost, stats.strangers) == (9, 0)


@pytest.mark.parametrize("moves", [False, True], ids=["stays", "moves"])
def test_new_keys_are_used_from_a_re_invite_on(media: Media, tmp_path: Path, shared: bool, moves: bool) -> None:
    stem, first, second = sound_of(tmp_path, frames=60), new_keys(), new_keys(SUITES[0])
    with SecureCallee() as callee, SecureCallee() as elsewhere:
        callee.use(first)
        port = begin(media, callee, stem, first, shared=shared)
        for number in range(10):
            callee.say(port, number)
        wait_until(lambda: len(callee.read()) >= 15, what="some of the sound")
        media.hold("a")
        time.sleep(0.1)
        before = len(callee.read())
        heard = callee.sound_since(0)
        there, skipped = (elsewhere, 0) if moves else (callee, before)
        there.use(second)
        media.move("a", remote=there.address, sound_stem=str(stem), keys=second, **MOVE)
        wait_until(lambda: len(there.read()) > skipped, what="the rest")
        for number in range(10, 20):
            there.say(port, number)
        media.events.wait(SoundFinished, "a")
        stats = media.close_and_wait("a")
        heard += there.sound_since(skipped)
    assert is_whole(heard, stem.with_suffix(".alaw").read_bytes())
    assert (stats.received, stats.strangers) == (20, 0)
    assert stats.played_frames == 60 and len(heard) >= 60 * FRAME


def test_a_call_may_go_on_plain_and_then_takes_plain_packets(media: Media, tmp_path: Path, shared: bool) -> None:
    stem, keys = sound_of(tmp_path, frames=100), new_keys()
    with SecureCallee() as callee:
        callee.use(keys)
        port = begin(media, callee, stem, keys, shared=shared)
        media.move("a", remote=callee.address, sound_stem=str(stem), **MOVE)
        wait_until(lambda: len(callee.read()[-1].payload) == FRAME, what="plain sound")
        for number in range(5):
            callee.send(rtp.pack(8, number, number * 160, 7, bytes(160)), port)
        time.sleep(0.1)
        assert media.close_and_wait("a").received == 5


def test_a_callee_behind_a_nat_is_followed_only_by_its_key(media: Media, tmp_path: Path, shared: bool) -> None:
    stem, keys = sound_of(tmp_path, frames=500), new_keys()
    with Callee() as promised, SecureCallee() as behind_nat, SecureCallee() as stranger:
        port = begin(media, promised, stem, keys, shared=shared)
        behind_nat.use(keys)
        stranger.use(new_keys())
        for number in range(30):
            stranger.say(port, number)
            behind_nat.say(port, number)
            time.sleep(0.02)
        wait_until(lambda: len(behind_nat.read()) > 5, what="the sound at the place it was heard from")
        assert stranger.read() == []
        stats = media.close_and_wait("a")
    assert stats.received == 26 and stats.strangers >= 30

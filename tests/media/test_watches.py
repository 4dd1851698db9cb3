"""Watches: whether anything still comes from the callee's side, sound or reports."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from autodialer.media import rtcp, rtp
from autodialer.media.shell import CalleeSilent
from tests.media.processes import Callee, Media, sound_of
from tests.peers.ports import LOCALHOST, wait_until
from tests.timing import at_most

pytestmark = pytest.mark.loopback

SPAN_S = 2.0
SSRC = 7


def sound(number: int) -> bytes:
    return rtp.pack(8, number, number * 160, SSRC, bytes(160))


def report(_number: int) -> bytes:
    return bytes(rtcp.Report(ssrc=SSRC, sender=None, blocks=()))


def begin(media: Media, callee: Callee, folder: Path) -> int:
    port = media.open_any("a")
    media.play_to("a", callee.address, sound_of(folder, frames=1000))
    wait_until(lambda: bool(callee.read()), what="our first packet")
    return port


@pytest.mark.parametrize("sign", [sound, report])
def test_a_callee_that_sends_sound_or_reports_is_there_and_told_silent_once_it_stops(
    tmp_path: Path, sign: Callable[[int], bytes]
) -> None:
    with Media() as media, Callee() as callee:
        port = begin(media, callee, tmp_path)
        to = (LOCALHOST, port + (sign is report))
        callee.socket.sendto(sign(0), to)
        media.watch("a", SPAN_S)
        for number in range(1, 13):
            time.sleep(SPAN_S / 8)
            callee.socket.sendto(sign(number), to)
        last = time.monotonic()
        assert media.events.of(CalleeSilent) == []
        media.events.wait(CalleeSilent, "a", timeout_s=3 * SPAN_S)
        waited = time.monotonic() - last
        assert SPAN_S - 0.8 <= waited <= at_most(2 * SPAN_S)
        time.sleep(SPAN_S)
        assert len(media.events.of(CalleeSilent)) == 1


def test_a_callee_that_never_sends_is_told_silent_once_a_watch_and_a_stranger_is_no_sign_of_it(tmp_path: Path) -> None:
    with Media() as media, Callee() as callee, Callee() as stranger:
        port = begin(media, callee, tmp_path)
        for turn in (1, 2):
            media.watch("a", SPAN_S)
            for number in range(4):
                stranger.send(sound(number), port)
                time.sleep(SPAN_S / 8)
            media.events.wait(CalleeSilent, "a", count=turn, timeout_s=3 * SPAN_S)


def test_a_session_that_is_closed_is_watched_no_more(tmp_path: Path) -> None:
    with Media() as media, Callee() as callee:
        begin(media, callee, tmp_path)
        media.watch("a", 0.5)
        media.watch("nobody", 0.5)
        media.close_and_wait("a")
        time.sleep(1.0)
        assert media.events.of(CalleeSilent) == []

"""The end of the media process, wanted or not: nothing blocks, nothing is left, and it never outlives its dialer."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from autodialer.errors import MediaUnavailable
from autodialer.media.shell import (
    MediaDied,
    SoundFinished,
)
from tests.media.processes import Callee, Media, sound_of
from tests.peers.ports import LOCALHOST, free_ports, is_bound, wait_until
from tests.timing import at_most

pytestmark = pytest.mark.loopback
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def media() -> Iterator[Media]:
    with Media() as process:
        yield process
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("media ")]


@pytest.fixture
def callee() -> Iterator[Callee]:
    with Callee() as one:
        yield one


def test_a_killed_process_is_told_once_with_its_sessions(media: Media, callee: Callee, tmp_path: Path) -> None:
    media.open_any("playing")
    media.open_any("waiting")
    media.play_to("playing", callee.address, sound_of(tmp_path, frames=500))
    wait_until(lambda: len(callee.read()) >= 60, what="60 packets")
    assert media.pid and media.alive
    os.kill(media.pid, signal.SIGKILL)
    (died,) = media.events.wait(MediaDied)
    assert set(died.played_frames) == {"playing", "waiting"}
    assert len(callee.read()) - 60 < died.played_frames["playing"] <= len(callee.read())
    assert died.played_frames["waiting"] == 0
    assert not media.alive


def test_after_its_death_nothing_blocks_and_a_new_process_takes_over(
    media: Media, callee: Callee, tmp_path: Path
) -> None:
    port = media.open_any("a")
    assert media.pid
    os.kill(media.pid, signal.SIGKILL)
    media.events.wait(MediaDied)
    with pytest.raises(MediaUnavailable):
        media.open_any("b")
    media.play_to("a", callee.address, sound_of(tmp_path, frames=3))
    media.close("a")
    media.stop()
    with Media() as successor:
        successor.open("a", LOCALHOST, port)
        successor.play_to("a", callee.address, tmp_path / "sound")
        successor.events.wait(SoundFinished)
    assert len(callee.read()) == 3
    assert media.events.of(MediaDied) == [MediaDied(played_frames={"a": 0})]


def test_a_process_that_hangs_holds_up_nobody(callee: Callee, tmp_path: Path) -> None:
    media = Media()
    media.start()
    stem = sound_of(tmp_path, frames=3)
    media.open_any("a")
    assert media.pid
    pid = media.pid
    os.kill(pid, signal.SIGSTOP)
    begin = time.monotonic()
    for _ in range(2000):  # more than the pipe holds
        media.play_to("a", callee.address, stem)
    media.open("b", LOCALHOST, free_ports(2, even=True)[0])
    assert time.monotonic() - begin < at_most(5.0)
    media.stop()
    assert time.monotonic() - begin < at_most(30.0)
    assert not Path(f"/proc/{pid}").exists()
    assert media.events.of(MediaDied) == []


def test_stopping_is_quick_leaves_nothing_and_can_be_repeated(callee: Callee, tmp_path: Path) -> None:
    port = free_ports(2, even=True)[0]
    descriptors = len(os.listdir("/proc/self/fd"))
    media = Media()
    media.start()
    media.open("a", LOCALHOST, port)
    media.play_to("a", callee.address, sound_of(tmp_path, frames=500))
    wait_until(lambda: bool(callee.read()), what="the first packet")
    begin = time.monotonic()
    media.stop()
    media.stop()
    assert time.monotonic() - begin < at_most(10.0)
    assert not media.alive and not is_bound(LOCALHOST, port)
    assert media.events.of(MediaDied) == []
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_before_the_start_it_is_not_alive_and_opens_nothing() -> None:
    media = Media()
    assert not media.alive and media.pid is None
    with pytest.raises(MediaUnavailable):
        media.open_any("a")
    media.stop()


def test_the_process_ends_with_its_control_pipe() -> None:
    command = [sys.executable, "-m", "autodialer.media.shell.child"]
    child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert child.stdin and child.stdout
        child.stdin.close()
        assert child.wait(at_most(10)) == 0
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


ORPHAN = """
import sys, time
from tests.media.processes import Media
media = Media()
media.start()
media.open("a", "127.0.0.1", int(sys.argv[1]))
media.play_to("a", ("127.0.0.1", int(sys.argv[2])), sys.argv[3])
print(media.pid, flush=True)
time.sleep(60)
"""


def test_a_process_whose_dialer_is_killed_stops_sending_and_ends(callee: Callee, tmp_path: Path) -> None:
    stem = sound_of(tmp_path, frames=1000)
    port = free_ports(2, even=True)[0]
    arguments = [str(port), str(callee.address[1]), str(stem)]
    dialer = subprocess.Popen([sys.executable, "-c", ORPHAN, *arguments], cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert dialer.stdout
        pid = int(dialer.stdout.readline())
        wait_until(lambda: len(callee.read()) >= 5, what="packets of the call")
        dialer.kill()
        dialer.wait()
        wait_until(lambda: not is_bound(LOCALHOST, port), what="the end of the sending", timeout_s=10)
        wait_until(lambda: _has_ended(pid), what="the end of the process", timeout_s=10)
    finally:
        dialer.kill()
        dialer.wait()
        dialer.stdout.close()


def _has_ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True

"""The whole service, `python main.py`: what dies comes back, and the others do not notice."""

import os
import signal
import socket
from pathlib import Path

import pytest

from tests.dialer.world import DialerProcess, World
from tests.peers.ports import wait_until

pytestmark = [pytest.mark.loopback, pytest.mark.timeout(120)]


def pid_of(service: DialerProcess, word: str) -> int | None:
    """The process whose command line ends with `word`; None while no such process runs."""
    for pid in service.descendants():
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0")
        except FileNotFoundError:
            continue
        if arguments[-1].endswith(word):
            return pid
    return None


def listens(http: str) -> bool:
    host, _, port = http.partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def test_an_api_whose_port_was_taken_meanwhile_comes_back_and_the_dialer_lives_on(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data")
    host, _, port = (service := world.service()).http.partition(":")
    with service:
        # The port answers before that: the supervisor holds it while it makes the administrator.
        wait_until(
            lambda: pid_of(service, "dialer.py") is not None and pid_of(service, "serve") is not None,
            what="the processes",
            timeout_s=40,
            poll_s=0.1,
        )
        wait_until(lambda: listens(service.http), what="the API", timeout_s=40, poll_s=0.1)
        dialer, api = pid_of(service, "dialer.py"), pid_of(service, "serve")
        assert dialer is not None and api is not None
        os.kill(api, signal.SIGKILL)
        with socket.socket() as thief:
            thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            wait_until(lambda: bound(thief, host, int(port)), what="the port")
            thief.listen()
            wait_until(lambda: "cannot be listened on" in service.log.read_text(), what="the complaint", timeout_s=40)
        wait_until(lambda: pid_of(service, "serve") is not None and listens(service.http), what="the API", timeout_s=40)
        assert pid_of(service, "dialer.py") == dialer
        assert service.running.poll() is None


def bound(thief: socket.socket, host: str, port: int) -> bool:
    try:
        thief.bind((host, port))
    except OSError:
        return False
    return True


def test_a_service_that_is_started_while_a_killed_one_is_still_dying_takes_over(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data")
    first, second = world.service(), world.service()
    second.http, second.log = first.http, tmp_path / "second.log"
    with first:
        wait_until(lambda: listens(first.http), what="the API", timeout_s=40, poll_s=0.1)
        wait_until(lambda: world.store.live.dialer() is not None, what="the dialer", timeout_s=40)
        before = pid_of(first, "dialer.py")
        first.running.kill()
        with second:

            def both_work() -> bool:
                seen = world.store.live.dialer()
                return seen is not None and seen.pid not in (before, None) and listens(second.http)

            wait_until(both_work, what="both children of the second", timeout_s=40, poll_s=0.1)
            assert second.running.poll() is None
            assert "Another dialer" not in second.log.read_text()
            assert "cannot be listened on" not in second.log.read_text()

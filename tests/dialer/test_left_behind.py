"""kill -9 of the dialer in a call: the next one hangs up, through a proxy that routes by Record-Route alone."""

import socket
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from autodialer.model import Disposition
from tests.dialer.world import DialerProcess, World
from tests.peers.by_number import Behaviour, by_number
from tests.peers.kamailio import Kamailio
from tests.peers.ports import free_ports, wait_until
from tests.peers.sipp import SippGateway

pytestmark = [pytest.mark.peer("sipp", "kamailio"), pytest.mark.loopback, pytest.mark.timeout(150)]

NUMBER = "70000000010"
EARLIER_S = 12.0
"""Long before the gateway would forget the call by itself, or stop repeating its 200."""


class Place:
    """A world whose trunk is Kamailio with SIPp behind it, and dialers that keep their SIP port."""

    def __init__(self, folder: Path, *, ring_ms: int = 300, sound_s: float = 60.0) -> None:
        self.world = World.make(folder / "data", sound_s=sound_s)
        self.folder = folder
        self.gateway = SippGateway(
            by_number({"0": Behaviour.ANSWER}, ring_ms=ring_ms, max_call_s=90, proxied=True), calls=1, timeout_s=130
        )
        self._port = str(free_ports(2)[0])

    @contextmanager
    def open(self) -> Iterator[Kamailio]:
        with self.gateway, Kamailio(self.gateway.address, folder=self.folder) as proxy:
            self.campaign = self.world.campaign(proxy.address, [NUMBER], ring_timeout_s=60.0)
            yield proxy

    def dialer(self) -> DialerProcess:
        return self.world.dialer(DIALER_SIP_PORT=self._port)

    @property
    def dialogs(self) -> int:
        return len(self.world.store.dialogs.all())

    def has_sent(self, status: str) -> bool:
        """Whether the gateway has."""
        return any(m.sent and m.start_line == f"SIP/2.0 {status}" for m in self.gateway.messages)

    def expect_hung_up(self, proxy: Kamailio) -> None:
        """The gateway's call ends by a BYE that came through the proxy; its record is honest."""
        with self.dialer() as after:
            self.gateway.wait_for("BYE", timeout_s=EARLIER_S + 20)
            self.gateway.expect_success(timeout_s=10)
            self.world.wait_finished(self.campaign, timeout_s=20)
            wait_until(lambda: self.dialogs == 0, what="the dialog forgotten", timeout_s=40)
            wait_until(lambda: "BYE: 200 OK" in after.log.read_text(), what="the answer to the BYE logged")
        assert proxy.count("loose_route", "BYE") >= 1
        assert proxy.count("no_route", "BYE") == proxy.count("no_route", "ACK") == 0
        assert self.world.dispositions(self.campaign) == {NUMBER: Disposition.INTERRUPTED}
        assert self.gateway.count("INVITE") == 1


def kill(dialer: DialerProcess) -> None:
    """kill -9 of the dialer alone; its media process ends by itself."""
    dialer.running.kill()
    dialer.running.wait()


def test_a_call_whose_dialer_is_killed_in_talk_is_hung_up_by_the_next_one(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with place.open() as proxy:
        with place.dialer() as dialer:
            place.gateway.wait_for("ACK", timeout_s=30)
            assert place.dialogs == 1, "what hangs the call up is in the store before the ACK leaves"
            kill(dialer)
        assert place.gateway.count("BYE") == 0
        place.expect_hung_up(proxy)


def test_a_callee_that_picks_up_after_the_dialer_was_killed_is_hung_up(tmp_path: Path) -> None:
    place = Place(tmp_path, ring_ms=3000)
    with place.open() as proxy:
        with place.dialer() as dialer:
            wait_until(lambda: place.has_sent("180 Ringing"), what="ringing", timeout_s=30)
            kill(dialer)
        # A phone that still rang would be silenced by the next dialer.
        wait_until(lambda: place.has_sent("200 OK"), what="the 200", timeout_s=20)
        place.expect_hung_up(proxy)
        assert place.gateway.count("ACK") >= 1


def test_a_dialer_killed_between_the_200_and_its_ack_leaves_no_call_up(tmp_path: Path) -> None:
    """Another process holds the database's write lock, so that the dialog cannot be kept and the ACK waits."""
    place = Place(tmp_path, ring_ms=600)
    with place.open() as proxy:
        with place.dialer() as dialer:
            place.gateway.wait_for("INVITE", timeout_s=30)
            other = sqlite3.connect(place.world.settings.data / "db.sqlite3", isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            wait_until(lambda: place.has_sent("200 OK"), what="the 200", timeout_s=10, poll_s=0.005)
            kill(dialer)
            other.rollback()
            other.close()
        assert place.gateway.count("ACK") == 0
        assert place.dialogs == 0
        place.expect_hung_up(proxy)
        assert place.gateway.count("ACK") >= 1


def test_a_gateway_that_is_silent_for_good_holds_up_no_call_and_is_given_up(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with place.open() as proxy:
        with place.dialer() as dialer:
            place.gateway.wait_for("ACK", timeout_s=30)
            kill(dialer)
        assert place.dialogs == 1
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent,
        SippGateway(by_number({"0": Behaviour.ANSWER}), calls=1, timeout_s=100) as other,
    ):
        silent.bind(proxy.address)
        place.world.campaign(other.address, [NUMBER])
        with place.dialer() as dialer:
            other.wait_for("ACK", timeout_s=30)
            assert place.dialogs == 2, "the silent gateway is still being tried beside the new call"
            wait_until(lambda: place.dialogs == 1, what="the silent gateway given up", timeout_s=60, poll_s=0.2)
            assert "BYE: no answer" in dialer.log.read_text()

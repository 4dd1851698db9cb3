"""The pool of phones: the media process dies and comes back, settings change under live calls."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from autodialer.clock import Clock
from autodialer.media.sound import import_sound
from autodialer.model import CallOutcome, Cause, Disposition, Trunk
from autodialer.phone.hang_up import HangUp
from autodialer.phone.plan import CallEvent, CallPlan
from autodialer.phone.pool import PhonePool
from tests.campaign.test_scheduler import trunk
from tests.peers import gateways
from tests.peers.by_number import Behaviour, by_number
from tests.peers.ports import free_ports, wait_until
from tests.peers.sipp import SippGateway
from tests.peers.sox import make_sweep

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp")]

Gateways = Callable[..., SippGateway]


class Pool:
    """A pool that is looked after as the dialer does it, and what its calls report."""

    def __init__(self, folder: Path) -> None:
        make_sweep(folder / "sweep.wav", seconds=8.0)
        import_sound(folder / "sweep.wav", folder / "sound")
        self._plan = CallPlan(sound_stem=str(folder / "sound"), sound_s=8.0)
        self.phones = PhonePool(
            sip_address="127.0.0.1", sip_port=free_ports(8)[0], rtp_ports=(33000, 60000), clock=Clock()
        )
        self.phones.on_event = self._take
        self.outcomes: dict[object, CallOutcome] = {}
        self._ended = threading.Event()

    def _take(self, event: CallEvent) -> None:
        if event.outcome:
            self.outcomes[event.reference] = event.outcome

    def until_usable(self, *trunks: Trunk) -> None:
        """Look after the phones until each trunk can call."""
        wanted = {each.key: each for each in trunks}

        def usable() -> bool:
            self.phones.update(wanted)
            return self.phones.usable().keys() >= wanted.keys()

        wait_until(usable, what="phones for every trunk", timeout_s=15, poll_s=0.05)

    def call(self, trunk_key: int, number: str) -> None:
        """Call; the number is the reference."""
        self.phones.call(trunk_key, number, replace(self._plan, reference=number))

    def wait_outcome(self, number: str) -> CallOutcome:
        """How the call ended."""
        wait_until(lambda: number in self.outcomes, what=f"the outcome of {number}", timeout_s=20)
        return self.outcomes[number]


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    made = Pool(tmp_path)
    yield made
    made.phones.stop()


def provider(gateway: SippGateway, **changes: object) -> Trunk:
    return trunk(host=gateway.address[0], port=gateway.address[1], **changes)


def test_kill_9_of_the_media_process_hangs_up_its_calls_and_the_next_call_is_heard_again(
    sipp_gateway: Gateways, pool: Pool
) -> None:
    gateway = sipp_gateway(by_number({"1": Behaviour.ANSWER, "2": Behaviour.ANSWER_THEN_BYE}), calls=3, timeout_s=40)
    settings = provider(gateway)
    pool.until_usable(settings)
    for number in ("101", "201"):
        pool.call(1, number)
    gateway.wait_for("ACK", count=2)
    time.sleep(2.5)  # so long the sound is heard before the kill
    pid = pool.phones.media_pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    for number in ("101", "201"):
        outcome = pool.wait_outcome(number)
        assert (outcome.disposition, outcome.cause) == (Disposition.ANSWERED, Cause.MEDIA_FAILED)
        assert outcome.message == HangUp.MEDIA_DIED
        assert 1.0 <= outcome.played_s <= outcome.billsec_s + 0.1
    assert gateway.count("BYE") == 2
    pool.until_usable(settings)
    pool.call(1, "102")
    again = pool.wait_outcome("102")
    assert (again.disposition, again.cause) == (Disposition.ANSWERED, None)
    assert again.played_s > 0.8
    gateway.expect_success(timeout_s=10)


def test_a_changed_trunk_calls_with_the_new_settings_while_old_calls_go_on(sipp_gateway: Gateways, pool: Pool) -> None:
    first, second = (sipp_gateway(gateways.callee_bye(after_ms=1500), timeout_s=30) for _ in range(2))
    pool.until_usable(provider(first))
    pool.call(1, "100")
    first.wait_for("ACK")
    pool.until_usable(provider(second))
    pool.call(1, "200")
    assert pool.wait_outcome("100").disposition is Disposition.ANSWERED
    assert pool.wait_outcome("200").disposition is Disposition.ANSWERED
    first.expect_success()
    second.expect_success()


def test_a_renamed_or_repaced_trunk_keeps_its_phones(sipp_gateway: Gateways, pool: Pool) -> None:
    gateway = sipp_gateway(gateways.answered(), timeout_s=30)
    settings = provider(gateway)
    pool.until_usable(settings)
    ports = pool.phones.sip_ports(1)
    pool.phones.update({1: replace(settings, name="other", cps=3.0, max_channels=200)})
    assert pool.phones.sip_ports(1) == ports
    pool.phones.update({1: replace(settings, max_channels=600)})
    pool.until_usable(replace(settings, max_channels=600))
    assert len(pool.phones.sip_ports(1)) == 3

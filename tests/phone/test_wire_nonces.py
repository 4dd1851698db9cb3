"""The nonces of a trunk on the wire: servers that count them, and how many challenges are spared."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from autodialer.clock import Clock
from autodialer.model import CallOutcome, CheckResult, Disposition, Trunk
from autodialer.phone.checks.checks import TrunkChecks
from autodialer.phone.plan import CallEvent, CallPlan
from autodialer.phone.pool import PhonePool
from tests.campaign.test_scheduler import trunk
from tests.peers import gateways
from tests.peers.baresip import Baresip
from tests.peers.capture import Capture
from tests.peers.kamailio import Kamailio
from tests.peers.ports import free_ports, wait_until
from tests.peers.sipp import SippGateway
from tests.phone.desk import Desk
from tests.phone.test_wire_calls import named

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp", "kamailio", "baresip", "tshark")]

Gateways = Callable[..., SippGateway]
Captures = Callable[..., Capture]
Desks = Callable[..., Desk]
Proxies = Callable[..., Kamailio]

PHONES = 2


def counts(wire: Capture) -> list[int]:
    """The nonce counts of the INVITEs that bring a digest."""
    found = [re.search(r"nc=([0-9a-f]{8})", invite.text) for invite in named(wire.sip(), "INVITE")]
    return [int(hit[1], 16) for hit in found if hit]


def test_a_server_that_takes_a_repeated_count_for_a_replay_answers_every_call(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks
) -> None:
    gateway = sipp_gateway(gateways.strict_about_replays("user", "secret"), calls=4, timeout_s=60)
    wire = capture_wire(gateway.address[1])
    phone = desk(gateway.address, sound_s=0.3)
    outcomes = [phone.outcome(phone.call(number)) for number in ("101", "102", "103", "104")]
    gateway.expect_success()
    assert [outcome.disposition for outcome in outcomes] == [Disposition.ANSWERED] * 4
    given = counts(wire)
    assert given == sorted(set(given)) and len(given) == 4
    assert len(named(wire.sip(), "INVITE")) == 5, "only the first call was challenged"


class Trunks:
    """A pool with one trunk that needs two phones."""

    def __init__(self, settings: Trunk) -> None:
        self.settings = settings
        self.pool = PhonePool(
            sip_address="127.0.0.1", sip_port=free_ports(8)[0], rtp_ports=(33000, 60000), clock=Clock()
        )
        self.outcomes: dict[object, CallOutcome] = {}
        self.pool.on_event = self._take

    def _take(self, event: CallEvent) -> None:
        if event.outcome:
            self.outcomes[event.reference] = event.outcome

    def until_ready(self) -> None:
        def ready() -> bool:
            self.pool.update({self.settings.key: self.settings})
            return len(self.pool.ready_phones(self.settings.key)) == PHONES

        wait_until(ready, what="both phones", timeout_s=15, poll_s=0.05)

    def call(self, number: str) -> None:
        self.pool.call(self.settings.key, number, CallPlan(reference=number, max_call_s=1.0))

    def outcome(self, number: str) -> CallOutcome:
        wait_until(lambda: number in self.outcomes, what=f"the outcome of {number}", timeout_s=30)
        return self.outcomes[number]


@pytest.fixture
def registrar(kamailio: Proxies, baresip: Callable[..., Baresip]) -> Kamailio:
    """Takes no count of a nonce that is not above the last one's, and challenges REGISTER and INVITE alike."""
    callee = baresip()
    return kamailio(callee.address, callee_user="callee", password="secret", code=401, counts_nonces=True, limit_s=120)


@pytest.fixture
def trunks(registrar: Kamailio) -> Iterator[Trunks]:
    host, port = registrar.address
    made = Trunks(
        trunk(host=host, port=port, username="user", password="secret", register=True, max_channels=PHONES * 250)
    )
    yield made
    made.pool.stop()


def test_calls_of_all_phones_go_on_with_the_nonces_of_their_registrations(
    registrar: Kamailio, trunks: Trunks, capture_wire: Captures
) -> None:
    wire = capture_wire(registrar.address[1])
    trunks.until_ready()
    asked = registrar.count("challenged", "REGISTER")
    assert asked <= PHONES
    for number in ("101", "102", "103"):
        # Two at a time, so that both phones are used.
        trunks.call(number)
        trunks.call(f"{number}0")
        assert trunks.outcome(number).disposition is Disposition.ANSWERED
        assert trunks.outcome(f"{number}0").disposition is Disposition.ANSWERED
    trunks.pool.stop()
    registers = [message for message in wire.sip() if message.method == "REGISTER"]
    digests = [re.findall(r'nonce="([^"]*)".*?nc=([0-9a-f]{8})', message.text) for message in wire.sip()]
    sent = {
        (message.method, message.cseq, message.call_id): pair
        for message, pairs in zip(wire.sip(), digests, strict=True)
        for pair in pairs
        if message.method not in (None, "ACK")
    }
    assert len({message.source for message in registers}) == PHONES
    assert len(set(sent.values())) == len(sent), "no count of a nonce was sent twice"
    # Two threads may overtake each other on the way, and then the later one is asked once more.
    assert registrar.count("challenged", "INVITE") <= 2


def test_a_check_counts_on_where_the_phones_are(registrar: Kamailio, trunks: Trunks, tmp_path: Path) -> None:
    trunks.until_ready()
    before = registrar.count("challenged", "REGISTER")
    checks = TrunkChecks(trunks.pool, sample=tmp_path / "none", folder=tmp_path, place=never)
    results: list[CheckResult] = []
    checks.start(trunks.settings, None, results.append)
    wait_until(lambda: results != [], what="the check", timeout_s=20)
    assert results[0].ok, results[0]
    assert registrar.count("challenged", "REGISTER") == before
    wrong = replace(trunks.settings, password="wrong")
    checks.start(wrong, None, results.append)
    wait_until(lambda: len(results) == 2, what="the check", timeout_s=20)
    assert not results[1].ok


def never(_trunk: Trunk) -> AbstractContextManager[None]:
    raise AssertionError("this check makes no call")

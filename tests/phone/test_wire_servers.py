"""Several servers behind one name: SRV from a name server of the test, and what becomes of calls when one fails."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from autodialer.clock import Clock
from autodialer.media.sound import import_sound
from autodialer.model import CallOutcome, Disposition, Trunk
from autodialer.phone.plan import CallEvent, CallPlan
from autodialer.phone.pool import PhonePool
from autodialer.phone.resolver import Resolver
from tests.campaign.test_scheduler import trunk
from tests.peers import gateways
from tests.peers.capture import Capture
from tests.peers.dns import DnsServer
from tests.peers.ports import LOCALHOST, free_port, free_ports, silent_host, wait_until
from tests.peers.sipp import SippGateway
from tests.peers.sox import make_sweep
from tests.phone.desk import Desk
from tests.phone.test_wire_calls import named
from tests.timing import at_most

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp", "tshark", "sox", "nsd")]

Gateways = Callable[..., SippGateway]
Captures = Callable[..., Capture]
Desks = Callable[..., Desk]


class Dialing:
    """A pool whose names come from a name server of the test."""

    def __init__(self, folder: Path, names: DnsServer) -> None:
        make_sweep(folder / "sweep.wav", seconds=0.4)
        import_sound(folder / "sweep.wav", folder / "sound")
        self._plan = CallPlan(sound_stem=str(folder / "sound"), sound_s=0.4)
        self.clock = Forward()
        self.pool = PhonePool(
            sip_address=LOCALHOST,
            sip_port=free_ports(4)[0],
            rtp_ports=(33000, 60000),
            clock=self.clock,
            resolver=Resolver([names.address], system_names=False),
        )
        self.pool.on_event = self._take
        self.outcomes: dict[object, CallOutcome] = {}

    def _take(self, event: CallEvent) -> None:
        if event.outcome:
            self.outcomes[event.reference] = event.outcome

    def until_usable(self, settings: Trunk) -> None:
        def usable() -> bool:
            self.pool.update({settings.key: settings})
            return settings.key in self.pool.usable()

        wait_until(usable, what="a phone", timeout_s=15, poll_s=0.05)

    def dial(self, number: str, timeout_s: float = 20) -> CallOutcome:
        self.pool.call(1, number, replace(self._plan, reference=number))
        wait_until(lambda: number in self.outcomes, what=f"the outcome of {number}", timeout_s=timeout_s)
        return self.outcomes[number]


class Forward(Clock):
    """The real time, which a test may move on."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


def zone(*addresses: tuple[str, int]) -> list[str]:
    """SRV records in this order of priority."""
    hosts = [f"server{number} IN A {host}" for number, (host, _) in enumerate(addresses)]
    return [
        *hosts,
        *(f"_sip._udp.sip IN SRV {number} 1 {port} server{number}" for number, (_, port) in enumerate(addresses)),
    ]


@pytest.fixture
def dialing(tmp_path: Path) -> Iterator[Callable[..., tuple[Dialing, DnsServer]]]:
    made: list[Dialing] = []
    servers: list[DnsServer] = []

    def make(*addresses: tuple[str, int], ttl_s: int = 60) -> tuple[Dialing, DnsServer]:
        servers.append(DnsServer(zone(*addresses), folder=tmp_path, ttl_s=ttl_s).__enter__())
        made.append(Dialing(tmp_path, servers[-1]))
        return made[-1], servers[-1]

    yield make
    for each in made:
        each.pool.stop()
    for server in servers:
        server.__exit__()


@pytest.mark.parametrize("how", ["closed", "503", "silent"])
def test_a_server_that_fails_is_followed_by_the_next_which_then_has_the_calls_at_once(
    sipp_gateway: Gateways,
    capture_wire: Captures,
    dialing: Callable[..., tuple[Dialing, DnsServer]],
    short_t1: float,
    how: str,
) -> None:
    second = sipp_gateway(gateways.answered(), calls=2, timeout_s=60)
    with silent_host() as silent:
        refusing = sipp_gateway(gateways.final(503, progress=()), timeout_s=60) if how == "503" else None
        first = refusing.address if refusing else silent if how == "silent" else (LOCALHOST, free_port())
        wire = capture_wire(first[1], second.address[1])
        line, _ = dialing(first, second.address)
        line.until_usable(trunk(host="sip.example.test", port=None))
        outcome = line.dial("101", timeout_s=50)
        assert (outcome.disposition, outcome.played_share) == (Disposition.ANSWERED, 1.0)
        again = line.dial("102")
        assert again.disposition is Disposition.ANSWERED
        second.expect_success()
    invites = named(wire.sip(), "INVITE")
    by_call = {call: [m for m in invites if m.call_id == call] for call in dict.fromkeys(m.call_id for m in invites)}
    one, two = by_call.values()
    assert [message.destination for message in two] == [second.address]
    assert [message.destination for message in one[-1:]] == [second.address]
    tries = {"closed": 1, "503": 1, "silent": 7}[how]
    assert [message.destination for message in one[:-1]] == [first] * tries
    assert len({message.from_tag for message in one}) == 1
    assert [message.cseq for message in one] == [1] * tries + [2]
    if how == "silent":
        assert -1.0 <= outcome.duration_s - 64 * short_t1 <= at_most(8.0)


def test_two_servers_that_both_refuse_make_one_outcome_with_the_last_ones_word(
    sipp_gateway: Gateways, dialing: Callable[..., tuple[Dialing, DnsServer]]
) -> None:
    scenario = gateways.final(503, progress=(), extra=["Retry-After: 5"])
    first, second = (sipp_gateway(scenario, timeout_s=30) for _ in range(2))
    line, _ = dialing(first.address, second.address)
    line.until_usable(trunk(host="sip.example.test", port=None))
    outcome = line.dial("101")
    assert (outcome.disposition, outcome.sip_code) == (Disposition.CONGESTION, 503)
    first.expect_success()
    second.expect_success()


def test_a_phone_that_rang_at_one_server_rings_at_no_other(
    sipp_gateway: Gateways, dialing: Callable[..., tuple[Dialing, DnsServer]]
) -> None:
    first = sipp_gateway(gateways.final(503), timeout_s=30)
    second = sipp_gateway(gateways.answered(), timeout_s=30)
    line, _ = dialing(first.address, second.address)
    line.until_usable(trunk(host="sip.example.test", port=None))
    outcome = line.dial("101")
    assert (outcome.disposition, outcome.sip_code) == (Disposition.CONGESTION, 503)
    first.expect_success()
    second.stop()
    assert second.requests == []


def test_new_calls_go_to_where_the_name_points_once_its_ttl_is_over(
    sipp_gateway: Gateways, dialing: Callable[..., tuple[Dialing, DnsServer]]
) -> None:
    old, new = (sipp_gateway(gateways.answered(), timeout_s=60) for _ in range(2))
    line, names = dialing(old.address, ttl_s=35)
    settings = trunk(host="sip.example.test", port=None)
    line.until_usable(settings)
    assert line.dial("101").disposition is Disposition.ANSWERED
    names.replace(zone(new.address))
    line.pool.update({1: settings})
    line.clock.ahead_s = 36.0

    def moved() -> bool:
        line.pool.update({1: settings})
        (phones,) = line.pool._by_trunk.values()
        return [hop.address for hop in phones.phones[0].sip.targets.order(0.0)] == [new.address]

    wait_until(moved, what="the new address", timeout_s=10, poll_s=0.05)
    assert line.dial("102").disposition is Disposition.ANSWERED
    old.expect_success()
    new.expect_success()
    assert [r.number for r in new.requests if r.method == "INVITE"] == ["102"]


def test_a_503_keeps_how_long_the_gateway_wants_to_rest(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks
) -> None:
    gateway = sipp_gateway(gateways.final(503, extra=["Retry-After: 5"]), timeout_s=30)
    wire = capture_wire(gateway.address[1])
    phone = desk(gateway.address)
    outcome = phone.outcome(phone.call())
    gateway.expect_success()
    assert (outcome.disposition, outcome.sip_code, outcome.retry_after_s) == (Disposition.CONGESTION, 503, 5.0)
    assert (len(named(wire.sip(), "INVITE")), len(named(wire.sip(), "ACK"))) == (1, 1)

"""The dialer's host behind a router that masquerades and forgets idle UDP after 20 s; the provider outside."""

import audioop
import wave
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from autodialer.phone.plan import LATCHES_MS
from tests.netns.dialer_host import DialerHost
from tests.netns.driver import Dialled, Driven, DrivePlan
from tests.peers import gateways, sox
from tests.peers.baresip import Baresip
from tests.peers.capture import Capture
from tests.peers.kamailio import Kamailio
from tests.peers.namespaces import Masquerade, Network, behind_nat, put_on_probation
from tests.peers.ports import wait_until
from tests.peers.sipp import SippGateway
from tests.peers.stun_server import StunServer

pytestmark = [pytest.mark.netns]

NUMBER = "79160000000"
TALK_S = 90
SAMPLE_S = 1 / 8000


@dataclass(kw_only=True)
class Site:
    """What stands outside in a test, and the way to let the dialer's host call it."""

    network: Network
    stack: ExitStack
    folder: Path

    def outside(self, peer: Callable[..., Any], *arguments: object, at: int, **options: Any) -> Any:
        """Start a peer on the provider's host, at its address number `at`."""
        host = self.network.outside
        started = peer(*arguments, folder=self.folder, host=host.addresses[at], namespace=host.namespace, **options)
        return self.stack.enter_context(started)

    def dial(self, proxy: Kamailio, *, sound_s: float, limit_s: float = 60.0, **account: Any) -> DialerHost:
        """Start one call from inside."""
        plan = DrivePlan(
            gateway=proxy.address,
            calls=(Dialled(number=NUMBER, sound_s=sound_s),),
            address=self.network.inside.address,
            account=account,
            limit_s=limit_s,
        )
        return self.stack.enter_context(DialerHost(self.network.inside, plan, folder=self.folder / "driver"))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Callable[[Masquerade], Site]]:
    """Make the hosts: `site(Masquerade.RANDOM)`."""
    with ExitStack() as stack:
        yield lambda kind: Site(network=stack.enter_context(behind_nat(kind)), stack=stack, folder=tmp_path)


def only(driven: Driven) -> dict[str, Any]:
    """The outcome of the one call."""
    assert driven.unfinished == driven.errors == []
    return driven.outcomes[NUMBER]


def assert_answered(driven: Driven, *, ended_by: str) -> dict[str, Any]:
    outcome = only(driven)
    assert (outcome["disposition"], outcome["ended_by"]) == ("answered", ended_by), outcome
    return outcome


@pytest.mark.peer("kamailio", "baresip", "sox")
def test_behind_a_port_preserving_nat_the_callee_hears_the_sound_and_its_bye_comes_through_after_ninety_seconds(
    site: Callable[[Masquerade], Site],
) -> None:
    here = site(Masquerade.PRESERVING)
    callee = here.outside(Baresip, at=0, limit_s=150)  # its RTP leaves from the first address whatever its SDP says
    proxy = here.outside(Kamailio, callee.address, at=1, callee_user="callee")
    dialer = here.dial(proxy, sound_s=TALK_S + 5, limit_s=TALK_S + 40)
    callee.wait_established()
    with pytest.raises(TimeoutError):
        wait_until(lambda: bool(callee.closed), what="an early end", timeout_s=TALK_S, poll_s=0.2)
    callee.hang_up()
    outcome = assert_answered(dialer.finish(), ended_by="callee")
    assert outcome["billsec_s"] == pytest.approx(TALK_S, abs=1.5)
    assert outcome["rtp"]["received"] > TALK_S * 45
    assert proxy.count("loose_route", "ACK") == proxy.count("loose_route", "BYE") == 1
    (recording,) = callee.recordings
    compared = sox.compare(here.folder / "driver" / "played-0.wav", recording)
    assert compared.covered_s == pytest.approx(TALK_S, abs=1.5)
    assert compared.snr_db > 25


@pytest.mark.peer("kamailio", "sipp", "tshark", "sox")
def test_behind_a_symmetric_nat_a_gateway_with_rport_and_symmetric_rtp_is_heard_and_hangs_up(
    site: Callable[[Masquerade], Site],
) -> None:
    here = site(Masquerade.RANDOM)
    callee = here.outside(SippGateway, gateways.callee_bye(after_ms=45_000), at=1, rtp_echo=True, timeout_s=100)
    proxy = here.outside(Kamailio, callee.address, at=0)
    wire = Capture(
        here.folder / "wire.pcap",
        sip_ports=[proxy.address[1]],
        rtp_ports=[callee.media[1]],
        namespace=here.network.outside.namespace,
    )
    here.stack.enter_context(wire)
    outcome = assert_answered(here.dial(proxy, sound_s=50.0, limit_s=80.0).finish(), ended_by="callee")
    callee.expect_success()
    assert outcome["billsec_s"] == pytest.approx(45, abs=1.5)
    heard = wire.rtp(destination=callee.media)
    assert outcome["rtp"]["sent"] == len(heard) > 44 * 50
    assert outcome["rtp"]["received"] > 0.98 * len(heard)
    assert not outcome["rtp"]["one_way_audio"]
    with wave.open(str(here.folder / "driver" / "played-0.wav")) as audio:
        sound = audioop.lin2alaw(audio.readframes(audio.getnframes()), 2)
    lead_in = heard[: LATCHES_MS // 20]
    assert {packet.payload for packet in lead_in} == {b"\xd5" * 160}
    assert sound.startswith(b"".join(packet.payload for packet in heard[len(lead_in) :]))


@pytest.mark.peer("kamailio", "baresip", "sox")
def test_behind_a_symmetric_nat_a_callee_that_latches_after_four_packets_hears_the_whole_sound(
    site: Callable[[Masquerade], Site],
) -> None:
    here = site(Masquerade.RANDOM)
    callee = here.outside(Baresip, at=0, jitter_buffer="5-10")
    put_on_probation(here.network.outside, callee.rtp_ports, packets=4)
    proxy = here.outside(Kamailio, callee.address, at=1, callee_user="callee")
    dialer = here.dial(proxy, sound_s=3.0)
    callee.wait_closed(timeout_s=30)
    outcome = assert_answered(dialer.finish(), ended_by="us")
    assert (outcome["played_s"], outcome["played_share"]) == (3.0, 1.0)
    (recording,) = callee.recordings
    compared = sox.compare(here.folder / "driver" / "played-0.wav", recording)
    assert compared.missing_s < SAMPLE_S
    assert compared.snr_db > 25


@pytest.mark.peer("kamailio", "sipp", "turnserver")
def test_a_gateway_that_answers_to_the_via_as_written_is_reached_with_a_stun_server(
    site: Callable[[Masquerade], Site],
) -> None:
    here = site(Masquerade.PRESERVING)
    callee = here.outside(SippGateway, gateways.callee_bye(after_ms=2000), at=1, rtp_echo=True)
    proxy = here.outside(Kamailio, callee.address, at=0, ignores_rport=True)
    stun = here.outside(StunServer, at=2)
    dialer = here.dial(proxy, sound_s=20.0, stun_server=stun.address)
    outcome = assert_answered(dialer.finish(), ended_by="callee")
    callee.expect_success()
    assert outcome["rtp"]["received"] > 80


@pytest.mark.peer("kamailio", "sipp")
@pytest.mark.parametrize("masquerade", Masquerade)
def test_a_gateway_that_answers_to_the_via_as_written_never_answers_without_a_stun_server(
    site: Callable[[Masquerade], Site], masquerade: Masquerade
) -> None:
    assert_silent(site(masquerade))


@pytest.mark.peer("kamailio", "sipp", "turnserver")
def test_behind_a_symmetric_nat_not_even_a_stun_server_helps_against_such_a_gateway(
    site: Callable[[Masquerade], Site],
) -> None:
    here = site(Masquerade.RANDOM)
    assert_silent(here, stun_server=here.outside(StunServer, at=2).address)


def assert_silent(here: Site, **account: Any) -> None:
    """The INVITE arrives, no answer comes back, and the record says just that."""
    callee = here.outside(SippGateway, gateways.rings_for_ever(max_ring_s=60), at=1, timeout_s=100)
    proxy = here.outside(Kamailio, callee.address, at=0, ignores_rport=True)
    outcome = only(here.dial(proxy, sound_s=1.0, **account).finish())
    assert (outcome["disposition"], outcome["cause"]) == ("failed", "no_response")
    assert (outcome["sip_code"], outcome["ringing_at"], outcome["rtp"]) == (None, None, None)
    assert callee.count("INVITE") == 1
    assert here.network.refused() > 0


@pytest.mark.peer("kamailio", "sipp")
def test_behind_a_symmetric_nat_tcp_reaches_such_a_gateway(site: Callable[[Masquerade], Site]) -> None:
    here = site(Masquerade.RANDOM)
    callee = here.outside(SippGateway, gateways.callee_bye(after_ms=2000), at=1, rtp_echo=True)
    proxy = here.outside(Kamailio, callee.address, at=0, ignores_rport=True, tcp=True)
    outcome = assert_answered(here.dial(proxy, sound_s=20.0, transport="TCP").finish(), ended_by="callee")
    callee.expect_success()
    assert outcome["rtp"]["received"] > 80

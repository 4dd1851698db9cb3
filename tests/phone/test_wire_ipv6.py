"""Calls over IPv6: signalling by UDP, TCP and TLS, the sound by RTP. SIPp, Kamailio and tshark judge."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from autodialer.model import Disposition, EndedBy
from autodialer.phone.names import NameFinder
from autodialer.phone.provider import find_provider
from autodialer.phone.resolver import Resolver
from autodialer.sip.hop import TCP, TLS, UDP, Hop
from autodialer.sip.shell import TlsSettings
from tests.campaign.test_scheduler import trunk
from tests.peers import gateways
from tests.peers.certificates import issue
from tests.peers.dns import DnsServer
from tests.peers.kamailio import Kamailio
from tests.peers.scenario import ANSWER_SDP
from tests.peers.sipp import SippGateway
from tests.phone.desk import Desk

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp", "kamailio", "kamailio-tls", "nsd")]

Gateways = Callable[..., SippGateway]
Desks = Callable[..., Desk]
Proxies = Callable[..., Kamailio]
HERE = "::1"
SDP = tuple(line.replace("IN IP4", "IN IP6") for line in ANSWER_SDP)


@pytest.mark.parametrize("media_ports", ["per_call", "shared"])
@pytest.mark.parametrize(("transport", "extra"), [(UDP, ()), (TCP, ("-t", "t1"))])
def test_a_call_is_set_up_played_and_ended_over_ipv6(
    sipp_gateway: Gateways, desk: Desks, transport: str, extra: tuple[str, ...], media_ports: str
) -> None:
    gateway = sipp_gateway(gateways.answered(sdp=SDP), host=HERE, timeout_s=30, extra=extra)
    phone = desk(
        gateway.address,
        address=HERE,
        transport=transport,
        domain=HERE,
        sound_s=1.0,
        shared_media_port=media_ports == "shared",
    )
    outcome = phone.outcome(phone.call())
    gateway.expect_success()
    assert (outcome.disposition, outcome.cause, outcome.ended_by) == (Disposition.ANSWERED, None, EndedBy.US)
    assert outcome.played_share == 1.0
    invite = next(message for message in gateway.messages if message.start_line.startswith("INVITE"))
    port = phone.phone.sip.myPort
    assert invite.start_line == "INVITE sip:79160000000@[::1] SIP/2.0"
    assert (invite.header("Via") or "").startswith(f"SIP/2.0/{transport} [::1]:{port};rport;branch=")
    assert f"@[::1]:{port}" in (invite.header("Contact") or "")
    assert "c=IN IP6 ::1" in invite.text


def test_the_sound_arrives_over_ipv6_and_is_heard_back(sipp_gateway: Gateways, desk: Desks) -> None:
    gateway = sipp_gateway(gateways.answered(sdp=SDP), host=HERE, timeout_s=30, rtp_echo=True)
    phone = desk(gateway.address, address=HERE, domain=HERE, sound_s=1.0)
    outcome = phone.outcome(phone.call())
    gateway.expect_success()
    assert outcome.rtp is not None
    assert outcome.rtp.sent >= 50 and outcome.rtp.received >= 45
    assert not outcome.rtp.one_way_audio and outcome.rtp.strangers == 0


def test_an_ipv4_address_in_the_answer_of_an_ipv6_call_is_explained(sipp_gateway: Gateways, desk: Desks) -> None:
    sdp = tuple(line.replace("[sink_host]", "192.0.2.7") for line in ANSWER_SDP)
    gateway = sipp_gateway(gateways.answered(sdp=sdp), host=HERE, timeout_s=30)
    phone = desk(gateway.address, address=HERE, domain=HERE)
    outcome = phone.outcome(phone.call())
    gateway.expect_success()
    assert "the IPv4 address 192.0.2.7, and this call speaks IPv6" in (outcome.message or "")


def test_a_provider_that_has_aaaa_alone_is_found_and_called(
    sipp_gateway: Gateways, desk: Desks, tmp_path: Path
) -> None:
    gateway = sipp_gateway(gateways.answered(sdp=SDP), host=HERE, timeout_s=30)
    records = ["sip IN AAAA ::1", f"_sip._udp.sip IN SRV 1 0 {gateway.address[1]} sip"]
    with DnsServer(records, folder=tmp_path) as server:
        resolver = Resolver([server.address], system_names=False)
        provider = find_provider(replace(trunk(host="sip.example.test"), port=None), resolver)
    assert provider.targets == (Hop(HERE, gateway.address[1]),)
    phone = desk(provider.targets[0].address, address=HERE, domain="sip.example.test", names=NameFinder(resolver))
    outcome = phone.outcome(phone.call())
    gateway.expect_success()
    assert outcome.disposition is Disposition.ANSWERED


@pytest.mark.parametrize("transport", [UDP, TCP, TLS])
def test_a_registered_trunk_calls_through_kamailio_over_ipv6(
    sipp_gateway: Gateways, kamailio: Proxies, desk: Desks, tmp_path: Path, transport: str
) -> None:
    issued = issue(tmp_path, HERE)
    callee = sipp_gateway(gateways.answered(sdp=SDP), host=HERE, timeout_s=40)
    proxy = kamailio(
        callee.address,
        host=HERE,
        password="secret",
        tcp=transport == TCP,
        tls=(issued.certificate, issued.key) if transport == TLS else None,
    )
    tls = TlsSettings(server_name=HERE, ca_pem=issued.ca_pem) if transport == TLS else None
    phone = desk(proxy.address, address=HERE, domain=HERE, transport=transport, tls=tls, register=True, sound_s=0.5)
    phone.wait_ready()
    outcome = phone.outcome(phone.call())
    callee.expect_success()
    assert (outcome.disposition, outcome.played_share) == (Disposition.ANSWERED, 1.0), outcome.message
    assert proxy.count("registered", "REGISTER") == 1
    for method in ("ACK", "BYE"):
        proxy.wait_for("loose_route", method)
    assert proxy.count("no_route", "BYE") == 0

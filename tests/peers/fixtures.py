"""Fixtures that start peers in the test's own folder and end them with the test, last started first."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.peers.baresip import Baresip
from tests.peers.capture import Capture
from tests.peers.kamailio import Address, Kamailio
from tests.peers.rtpengine import Rtpengine
from tests.peers.scenario import Scenario
from tests.peers.sipp import SippCaller, SippGateway


class StartGateway(Protocol):
    """Takes what SippGateway takes, but the folder."""

    def __call__(self, scenario: Scenario, **options: Any) -> SippGateway:
        """A gateway that is up."""


class StartCaller(Protocol):
    """Takes what SippCaller takes, but the folder."""

    def __call__(self, scenario: Scenario, target: Address, **options: Any) -> SippCaller:
        """A caller that has begun to call."""


class StartCapture(Protocol):
    """Takes what Capture takes, but the file."""

    def __call__(self, *sip_ports: int, rtp_ports: Iterable[int | tuple[int, int]] = (), **options: Any) -> Capture:
        """A capture that is running."""


@pytest.fixture
def peers(tmp_path: Path) -> Iterator[ExitStack]:
    """What has to end with the test; ended last in, first out."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def sipp_gateway(peers: ExitStack, tmp_path: Path) -> StartGateway:
    """Start SIPp as a gateway: `gateway = sipp_gateway(gateways.final(486), calls=3)`."""

    def start(scenario: Scenario, **options: Any) -> SippGateway:
        return peers.enter_context(SippGateway(scenario, folder=tmp_path, **options))

    return start


@pytest.fixture
def sipp_caller(peers: ExitStack, tmp_path: Path) -> StartCaller:
    """Start SIPp as a caller: `sipp_caller(callers.calls_and_hangs_up(), gateway.address, numbers=["79161234567"])`."""

    def start(scenario: Scenario, target: Address, **options: Any) -> SippCaller:
        return peers.enter_context(SippCaller(scenario, target, folder=tmp_path, **options))

    return start


@pytest.fixture
def capture_wire(peers: ExitStack, tmp_path: Path) -> StartCapture:
    """Start a capture: `wire = capture_wire(gateway.address[1], rtp_ports=[gateway.media[1]])`, later `wire.sip()`."""
    numbers = itertools.count(1)

    def start(*sip_ports: int, rtp_ports: Iterable[int | tuple[int, int]] = (), **options: Any) -> Capture:
        file = tmp_path / f"wire-{next(numbers)}.pcap"
        return peers.enter_context(Capture(file, sip_ports=sip_ports, rtp_ports=rtp_ports, **options))

    return start


@pytest.fixture
def kamailio(peers: ExitStack, tmp_path: Path) -> Callable[..., Kamailio]:
    """Start Kamailio: `proxy = kamailio(callee.address, callee_user="callee", password="secret", code=407)`."""

    def start(callee: Address, **options: Any) -> Kamailio:
        return peers.enter_context(Kamailio(callee, folder=tmp_path, **options))

    return start


@pytest.fixture
def baresip(peers: ExitStack, tmp_path: Path) -> Callable[..., Baresip]:
    """Start baresip: `callee = baresip(user="79161234567")`."""

    def start(**options: Any) -> Baresip:
        return peers.enter_context(Baresip(folder=tmp_path, **options))

    return start


@pytest.fixture
def rtpengine(peers: ExitStack, tmp_path: Path) -> Callable[..., Rtpengine]:
    """Start rtpengine: `relay = rtpengine()`, and have Kamailio use it: `kamailio(..., relay=relay.control)`."""

    def start(**options: Any) -> Rtpengine:
        return peers.enter_context(Rtpengine(folder=tmp_path, **options))

    return start

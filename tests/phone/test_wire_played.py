"""What the record says was played, against the packets that passed before the callee's BYE did."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from autodialer.model import EndedBy
from tests.peers import gateways
from tests.peers.capture import Capture
from tests.peers.ports import wait_until
from tests.peers.sipp import SippGateway
from tests.phone.desk import Desk
from tests.phone.test_wire_calls import named

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp", "tshark")]

Gateways = Callable[..., SippGateway]
Captures = Callable[..., Capture]
Desks = Callable[..., Desk]
FRAME_S = 0.02


@contextmanager
def busy_dialer(threads: int) -> Iterator[None]:
    """Threads beside the phone's that never rest, as an import or a flood of outcomes would be."""
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            sum(range(10_000))

    workers = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        over.set()
        for worker in workers:
            worker.join()


@pytest.mark.parametrize("shared", [False, True], ids=["port_a_call", "shared_port"])
@pytest.mark.parametrize("after_ms", [0, 30, 337, 1000, 1611])
def test_played_seconds_are_the_packets_before_the_callees_bye_to_20_ms(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks, after_ms: int, shared: bool
) -> None:
    gateway = sipp_gateway(gateways.callee_bye(after_ms=after_ms), timeout_s=30)
    wire = capture_wire(gateway.address[1], rtp_ports=[gateway.media[1]])
    phone = desk(gateway.address, sound_s=5.0, shared_media_port=shared)
    outcome = phone.outcome(phone.call())
    gateway.expect_success()
    assert outcome.ended_by is EndedBy.CALLEE
    before = played_before_bye(wire, gateway)
    assert outcome.played_s == pytest.approx(before, abs=FRAME_S + 0.001)
    assert outcome.played_share == pytest.approx(outcome.played_s / 5.0, abs=0.0001)


def played_before_bye(wire: Capture, gateway: SippGateway) -> float:
    bye = named(wire.sip(), "BYE")[0]
    return sum(packet.at <= bye.at for packet in wire.rtp(destination=gateway.media)) * FRAME_S


@pytest.mark.parametrize("after_ms", [250, 700, 1303])
def test_a_busy_dialer_counts_no_packet_that_left_while_the_bye_waited_for_it(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks, after_ms: int
) -> None:
    gateway = sipp_gateway(gateways.callee_bye(after_ms=after_ms), calls=1, timeout_s=40)
    wire = capture_wire(gateway.address[1], rtp_ports=[gateway.media[1]])
    phone = desk(gateway.address, sound_s=5.0)
    call = phone.call()
    with busy_dialer(10):
        wait_until(lambda: call.outcome is not None, what="the outcome", timeout_s=30)
    outcome = phone.outcome(call)
    gateway.expect_success()
    packets = wire.rtp(destination=gateway.media)
    assert outcome.played_s == pytest.approx(played_before_bye(wire, gateway), abs=FRAME_S + 0.001)
    assert len(packets) * FRAME_S > outcome.played_s  # some did leave late, or this proves nothing

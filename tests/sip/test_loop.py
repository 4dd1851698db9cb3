"""The shell on real sockets: ports, threads, errors of the network, the end."""

import errno
import os
import queue
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from autodialer.errors import PortsExhausted
from autodialer.sip.events import (
    CallAnswered,
    CallEnded,
    CallFailed,
    CallProgress,
    Event,
    FailureKind,
    HopFailed,
    InviteHeard,
)
from autodialer.sip.invite import InviteRequest, sip_uri
from autodialer.sip.shell import datagrams
from autodialer.sip.shell.loop import SipLoop
from autodialer.sip.user_agent import UserAgent
from tests.sip.stepping import ANSWER, Sent, response
from tests.timing import at_most

pytestmark = pytest.mark.loopback

HOST = "127.0.0.1"


class Gateway:
    """A plain socket that the test answers from."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((HOST, 0))
        self.socket.settimeout(at_most(5.0))
        self.address: tuple[str, int] = self.socket.getsockname()

    def receive(self) -> Sent:
        data, source = self.socket.recvfrom(65_536)
        return Sent(0.0, data, source)

    def reply(self, request: Sent, status: str, *, body: str = "") -> None:
        contact = "<sip:callee@{}:{}>".format(*self.address)
        self.socket.sendto(response(request, status, body=body, contact=contact).encode(), request.to)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    peer = Gateway()
    yield peer
    peer.socket.close()


class EventsOfCalls(queue.Queue[Event]):
    """Leaves out what is told of servers, and for the process after this one."""

    def put(self, item: Event, block: bool = True, timeout: float | None = None) -> None:
        if not isinstance(item, HopFailed | InviteHeard):
            super().put(item, block, timeout)


@pytest.fixture
def events() -> "queue.Queue[Event]":
    return EventsOfCalls()


@pytest.fixture
def loop(events: "queue.Queue[Event]") -> Iterator[SipLoop]:
    threads, descriptors = set(threading.enumerate()), len(os.listdir("/proc/self/fd")) if _has_proc() else 0
    sip_loop = SipLoop(host=HOST, port=0, on_event=events.put)
    sip_loop.start()
    yield sip_loop
    sip_loop.stop(0.2)
    assert set(threading.enumerate()) == threads
    if _has_proc():
        assert len(os.listdir("/proc/self/fd")) == descriptors


def _has_proc() -> bool:
    return os.path.isdir("/proc/self/fd")


def make_call(loop: SipLoop, address: tuple[str, int], call_id: str = "c1") -> None:
    request = InviteRequest(
        target=sip_uri("79161234567", *address),
        from_uri=sip_uri("100", HOST),
        next_hop=address,
        sdp=b"v=0\r\n",
        call_id=call_id,
    )
    assert loop.run(lambda user_agent, now: user_agent.invite(request, now))


def closed_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("linux", [True, False])
def test_a_call_is_set_up_and_hung_up(
    linux: bool, gateway: Gateway, events: "queue.Queue[Event]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datagrams, "_LINUX", linux and sys.platform == "linux")
    sip_loop = SipLoop(host=HOST, port=0, on_event=events.put)
    sip_loop.start()
    try:
        make_call(sip_loop, gateway.address)
        invite = gateway.receive()
        assert invite.to == sip_loop.local_address
        gateway.reply(invite, "180 Ringing")
        assert isinstance(events.get(timeout=at_most(5)), CallProgress)
        gateway.reply(invite, "200 OK", body=ANSWER)
        assert isinstance(events.get(timeout=at_most(5)), CallAnswered)
        assert gateway.receive().method == "ACK"
        sip_loop.run(lambda user_agent, now: user_agent.bye("c1", now))
        bye = gateway.receive()
        assert bye.method == "BYE"
        gateway.reply(bye, "200 OK")
        assert isinstance(events.get(timeout=at_most(5)), CallEnded)
    finally:
        sip_loop.stop()


def test_the_next_free_port_upward_is_taken() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((HOST, 0))
        port = taken.getsockname()[1]
        sip_loop = SipLoop(host=HOST, port=port, on_event=lambda event: None)
        assert port < sip_loop.local_address[1] <= port + 100
        sip_loop.stop()


def test_no_free_port_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datagrams, "_PORTS_TRIED", 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((HOST, 0))
        with pytest.raises(PortsExhausted, match="DIALER_SIP_PORT"):
            SipLoop(host=HOST, port=taken.getsockname()[1], on_event=lambda event: None)


def test_an_address_that_is_not_ours_is_an_error() -> None:
    with pytest.raises(OSError) as caught:
        SipLoop(host="192.0.2.1", port=0, on_event=lambda event: None)
    assert caught.value.errno == errno.EADDRNOTAVAIL


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says where a packet was refused")
def test_a_closed_port_fails_fast_and_disturbs_no_other_call(
    loop: SipLoop, gateway: Gateway, events: "queue.Queue[Event]"
) -> None:
    for number in range(20):
        make_call(loop, (HOST, closed_port()), f"dead{number}")
        make_call(loop, gateway.address, f"live{number}")
    failed = [events.get(timeout=at_most(5)) for _ in range(20)]
    assert all(isinstance(event, CallFailed) and event.kind is FailureKind.TRANSPORT for event in failed)
    assert {event.call_id for event in failed} == {f"dead{number}" for number in range(20)}
    invites = {gateway.receive()["Call-ID"] for _ in range(20)}
    assert invites == {f"live{number}" for number in range(20)}
    assert events.empty()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says where a packet was refused")
def test_a_refusal_is_noticed_before_anything_else_is_sent(loop: SipLoop, events: "queue.Queue[Event]") -> None:
    make_call(loop, (HOST, closed_port()))
    event = events.get(timeout=0.4)
    assert isinstance(event, CallFailed) and event.kind is FailureKind.TRANSPORT


def test_an_unroutable_hop_fails_fast(loop: SipLoop, events: "queue.Queue[Event]") -> None:
    make_call(loop, ("255.255.255.255", 5060))
    event = events.get(timeout=at_most(5))
    assert isinstance(event, CallFailed) and event.kind is FailureKind.TRANSPORT


def test_an_exception_in_a_callback_is_logged_and_ends_nothing(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    seen: queue.Queue[Event] = queue.Queue()

    def on_event(event: Event) -> None:
        seen.put(event)
        raise RuntimeError("callback broke")

    def command(user_agent: UserAgent, now: float) -> None:
        raise RuntimeError("command broke")

    sip_loop = SipLoop(host=HOST, port=0, on_event=on_event)
    sip_loop.start()
    try:
        sip_loop.run(command)
        make_call(sip_loop, gateway.address)
        gateway.reply(gateway.receive(), "486 Busy")
        assert isinstance(seen.get(timeout=at_most(5)), CallFailed)
        assert gateway.receive().method == "ACK"
    finally:
        sip_loop.stop()
    assert "command broke" in caplog.text and "callback broke" in caplog.text


def test_stop_cancels_and_hangs_up_and_every_call_has_its_end(
    loop: SipLoop, gateway: Gateway, events: "queue.Queue[Event]"
) -> None:
    make_call(loop, gateway.address, "ringing")
    ringing = gateway.receive()
    gateway.reply(ringing, "180 Ringing")
    make_call(loop, gateway.address, "up")
    up = gateway.receive()
    gateway.reply(up, "200 OK", body=ANSWER)
    assert gateway.receive().method == "ACK"
    stopper = threading.Thread(target=loop.stop, args=(5.0,))
    stopper.start()
    last = {sent.method: sent for sent in (gateway.receive(), gateway.receive())}
    assert set(last) == {"CANCEL", "BYE"}
    gateway.reply(last["BYE"], "200 OK")
    gateway.reply(last["CANCEL"], "200 OK")
    gateway.reply(ringing, "487 Cancelled")
    stopper.join(at_most(4.0))
    assert not stopper.is_alive()
    assert gateway.receive().method == "ACK"
    ends = [event for event in list(events.queue) if isinstance(event, CallFailed | CallEnded)]
    assert {event.call_id for event in ends} == {"ringing", "up"} and len(ends) == 2


def test_stop_waits_no_longer_than_asked_for_a_silent_gateway(
    loop: SipLoop, gateway: Gateway, events: "queue.Queue[Event]"
) -> None:
    make_call(loop, gateway.address)
    gateway.reply(gateway.receive(), "180 Ringing")
    assert isinstance(events.get(timeout=at_most(5)), CallProgress)
    began = time.monotonic()
    loop.stop(0.3)
    assert 0.2 < time.monotonic() - began < at_most(10.0)
    event = events.get_nowait()
    assert isinstance(event, CallFailed) and event.kind is FailureKind.CANCELLED
    assert not loop.run(lambda user_agent, now: None)
    loop.stop()


def test_commands_from_many_threads_all_run(loop: SipLoop) -> None:
    done = threading.Semaphore(0)
    release: Callable[[UserAgent, float], object] = lambda user_agent, now: done.release()  # noqa: E731

    def post() -> None:
        for _ in range(500):
            loop.run(release)

    threads = [threading.Thread(target=post) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(done.acquire(timeout=at_most(5)) for _ in range(2000))


def test_a_command_posted_from_an_event_runs(gateway: Gateway) -> None:
    ended: queue.Queue[Event] = queue.Queue()

    def on_event(event: Event) -> None:
        if isinstance(event, CallAnswered):
            sip_loop.run(lambda user_agent, now: user_agent.bye(event.call_id, now))
        elif isinstance(event, CallEnded):
            ended.put(event)

    sip_loop = SipLoop(host=HOST, port=0, on_event=on_event)
    sip_loop.start()
    try:
        make_call(sip_loop, gateway.address)
        gateway.reply(gateway.receive(), "200 OK", body=ANSWER)
        assert [gateway.receive().method for _ in range(2)] == ["ACK", "BYE"]
        assert ended.get(timeout=at_most(5)).call_id == "c1"
    finally:
        sip_loop.stop(0.1)


def test_datagrams_of_any_size_and_content_end_nothing(loop: SipLoop, gateway: Gateway) -> None:
    for data in (b"", b"\r\n\r\n", os.urandom(1000), b"x" * 65_000, b"SIP/2.0 200 OK\r\n\r\n"):
        gateway.socket.sendto(data, loop.local_address)
    make_call(loop, gateway.address)
    assert gateway.receive().method == "INVITE"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when a packet came")
def test_a_packet_tells_how_long_it_has_waited_to_be_read(gateway: Gateway) -> None:
    bound = datagrams.DatagramSocket(HOST, 0, with_listener=False)
    try:
        gateway.socket.sendto(b"first", bound.address)
        threading.Event().wait(0.1)
        data, source, waited_s = bound.receive()
    finally:
        bound.close()
    assert (data, source) == (b"first", gateway.address)
    assert 0.1 <= waited_s < 0.5

"""A first word from a peer that nobody here wrote: SIPp's built-in callee."""

import queue
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from autodialer.sip.events import CallAnswered, CallEnded, CallProgress, Event, InviteHeard
from autodialer.sip.invite import InviteRequest, sip_uri
from autodialer.sip.sdp import MediaPlan, build_offer, negotiate
from autodialer.sip.shell.loop import SipLoop
from tests.timing import at_most

pytestmark = [pytest.mark.peer("sipp"), pytest.mark.loopback]

HOST = "127.0.0.1"


def _next_event(events: "queue.Queue[Event]", process: "subprocess.Popen[bytes]") -> Event:
    try:
        return events.get(timeout=at_most(15))
    except queue.Empty:
        process.terminate()
        raise


def _wait_until_bound(port: int) -> None:
    for _ in range(250):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                return
        time.sleep(0.02)
    raise AssertionError("SIPp does not listen")


@pytest.fixture
def sipp(tmp_path: Path) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    program = shutil.which("sipp")
    assert program is not None, "SIPp is missing; run `make setup-dev`"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [program, "-sn", "uas", "-i", HOST, "-p", str(port), "-m", "1", "-timeout", "20s", "-nostdin"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _wait_until_bound(port)
    yield process, port
    if process.poll() is None:
        process.terminate()
    process.wait(at_most(10))


def test_sipp_sees_a_call_set_up_and_hung_up(sipp: tuple["subprocess.Popen[bytes]", int]) -> None:
    process, port = sipp
    events: queue.Queue[Event] = queue.Queue()
    loop = SipLoop(host=HOST, port=0, on_event=events.put)
    loop.start()

    request = InviteRequest(
        target=sip_uri("79161234567", HOST, port),
        from_uri=sip_uri("100", HOST),
        next_hop=(HOST, port),
        sdp=build_offer(HOST, 40_000, ["PCMA", "PCMU"]),
    )
    try:
        loop.run(lambda user_agent, now: user_agent.invite(request, now))
        event = _next_event(events, process)
        while isinstance(event, CallProgress | InviteHeard):
            event = _next_event(events, process)
        assert isinstance(event, CallAnswered)
        plan = negotiate(event.sdp, ["PCMA", "PCMU"])
        assert isinstance(plan, MediaPlan) and plan.codec == "PCMU"
        loop.run(lambda user_agent, now: user_agent.bye(request.call_id, now))
        assert isinstance(_next_event(events, process), CallEnded)
        # SIPp's own verdict: 0 when the one call went through its whole scenario.
        assert process.wait(at_most(15)) == 0
    finally:
        loop.stop()

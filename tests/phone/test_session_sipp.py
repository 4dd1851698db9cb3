"""A phone whose calls SIPp's gateways hold, move, refresh and ask this and that."""

import itertools
import queue
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from autodialer.media.shell import MediaDied, MediaEvent
from autodialer.model import CallOutcome, Cause, Disposition
from autodialer.phone.hang_up import HangUp
from autodialer.phone.plan import Account, CallEvent, CallPlan
from autodialer.phone.pyvoip import call as phone_call
from autodialer.phone.pyvoip.phone import Phone
from autodialer.sip.own_end import OwnEnd
from tests.media.processes import Callee, Media, is_whole, sound_of
from tests.peers import session_gateways as gateways
from tests.peers.capture import WireMessage
from tests.peers.fixtures import StartCapture, StartGateway
from tests.peers.ports import LOCALHOST, free_port, free_ports
from tests.peers.scenario import Scenario
from tests.peers.sipp import SippGateway, TracedMessage
from tests.timing import at_most

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp")]

NUMBER = "79161234567"


class Line:
    """One phone, its media process, and the gateway that it calls."""

    def __init__(self, stack: ExitStack, gateway: SippGateway) -> None:
        self._outcomes: queue.SimpleQueue[CallOutcome] = queue.SimpleQueue()
        self.gateway = gateway
        media = stack.enter_context(Media(self._media_event))
        first_port = free_ports(4, even=True)[0]
        self.phone = Phone(
            *gateway.address,
            "user",
            "secret",
            LOCALHOST,
            sipPort=free_port(),
            rtpPortLow=first_port,
            rtpPortHigh=first_port + 3,
            account=Account(domain=LOCALHOST, auth_username="user", caller_id="100"),
            media=media,
            on_event=self._call_event,
        )
        self.phone.start()
        stack.callback(self.phone.stop)

    def _media_event(self, event: MediaEvent) -> None:
        if not isinstance(event, MediaDied):
            self.phone.media_event(event)

    def _call_event(self, event: CallEvent) -> None:
        if event.outcome:
            self._outcomes.put(event.outcome)

    def call(self, stem: Path, frames: int) -> CallOutcome:
        """One call that plays a sound to its end; returns its outcome. SIPp has to be content."""
        self.phone.call(NUMBER, CallPlan(sound_stem=str(stem), sound_s=frames * 0.02))
        outcome = self._outcomes.get(timeout=at_most(30))
        self.gateway.expect_success()
        return outcome


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def callee() -> Iterator[Callee]:
    with Callee() as one:
        yield one


def messages(line: Line, start: str, *, sent: bool) -> list[TracedMessage]:
    """What SIPp sent or received whose start line begins so."""
    return [each for each in line.gateway.messages if each.sent is sent and each.start_line.startswith(start)]


def dial(
    stack: ExitStack, sipp_gateway: StartGateway, scenario: Scenario, callee: Callee, extra: Sequence[str] = ()
) -> Line:
    options: dict[str, Any] = {"media": callee.address, "timeout_s": 30, "extra": extra}
    return Line(stack, sipp_gateway(scenario, **options))


@pytest.mark.peer("tshark")
def test_a_hold_pauses_the_sound_at_once_and_it_goes_on_afterwards(
    stack: ExitStack, sipp_gateway: StartGateway, capture_wire: StartCapture, callee: Callee, tmp_path: Path
) -> None:
    line = dial(stack, sipp_gateway, gateways.holds(), callee)
    wire = capture_wire(line.gateway.address[1], rtp_ports=[callee.address[1]])
    stem = sound_of(tmp_path, frames=60)
    outcome = line.call(stem, 60)
    assert (outcome.disposition, outcome.played_s, outcome.played_share) == (Disposition.ANSWERED, 1.2, 1.0)
    assert is_whole(callee.heard, stem.with_suffix(".alaw").read_bytes())
    assert len({packet.ssrc for packet in callee.packets}) == 1
    sip = wire.sip()
    hold, resume = [
        each for each in sip if each.start_line.startswith("INVITE") and each.source == line.gateway.address
    ]
    answers = [each for each in sip if _answers_invite(each) and each.destination == line.gateway.address]
    assert [_direction(each) for each in answers] == ["a=recvonly", "a=sendrecv"]
    rtp = wire.rtp(destination=callee.address)
    assert [packet for packet in rtp if hold.at + 0.04 < packet.at < resume.at] == []
    after = [packet for packet in rtp if packet.at >= resume.at]
    assert after[0].at - resume.at <= 0.06 and after[0].marker
    assert wire.malformed() == []


def _answers_invite(message: WireMessage) -> bool:
    return message.start_line.startswith("SIP/2.0 200") and (message.header("CSeq") or "").endswith("INVITE")


def _direction(message: WireMessage) -> str:
    (direction,) = [line for line in message.text.split("\r\n") if line in ("a=recvonly", "a=sendrecv", "a=inactive")]
    return direction


@pytest.mark.peer("tshark")
def test_a_moved_stream_goes_on_at_its_new_port_at_once(
    stack: ExitStack, sipp_gateway: StartGateway, capture_wire: StartCapture, callee: Callee, tmp_path: Path
) -> None:
    moved = stack.enter_context(Callee())
    line = dial(stack, sipp_gateway, gateways.moves(), callee, ("-key", "moved_port", str(moved.address[1])))
    wire = capture_wire(line.gateway.address[1], rtp_ports=[callee.address[1], moved.address[1]])
    stem = sound_of(tmp_path, frames=50)
    outcome = line.call(stem, 50)
    assert outcome.played_share == 1.0
    assert is_whole(callee.heard + moved.heard, stem.with_suffix(".alaw").read_bytes())
    sequences = [packet.sequence for packet in callee.packets + moved.packets]
    assert all((after - before) & 0xFFFF == 1 for before, after in itertools.pairwise(sequences))
    (move,) = [
        each for each in wire.sip() if each.start_line.startswith("INVITE") and each.source == line.gateway.address
    ]
    assert wire.rtp(destination=callee.address)[-1].at <= move.at + 0.04
    assert wire.rtp(destination=moved.address)[0].at <= move.at + 0.06


def test_a_callee_that_answers_without_an_address_gets_the_sound_once_it_says_where(
    stack: ExitStack, sipp_gateway: StartGateway, callee: Callee, tmp_path: Path
) -> None:
    line = dial(stack, sipp_gateway, gateways.answers_without_address(then_after_ms=300), callee)
    stem = sound_of(tmp_path, frames=20)
    outcome = line.call(stem, 20)
    assert (outcome.disposition, outcome.played_share) == (Disposition.ANSWERED, 1.0)
    assert is_whole(callee.heard, stem.with_suffix(".alaw").read_bytes())


def test_a_callee_that_never_says_where_the_sound_goes_is_hung_up(
    stack: ExitStack,
    sipp_gateway: StartGateway,
    callee: Callee,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert phone_call.HELD_AT_FIRST_S == 10.0
    monkeypatch.setattr(phone_call, "HELD_AT_FIRST_S", 0.5)
    line = dial(stack, sipp_gateway, gateways.answers_without_address(then_after_ms=None), callee)
    outcome = line.call(sound_of(tmp_path, frames=20), 20)
    assert (outcome.disposition, outcome.cause) == (Disposition.FAILED, Cause.MEDIA_FAILED)
    assert callee.read() == [] and outcome.billsec_s >= 0.5


def test_an_update_that_hands_over_the_session_timer_is_agreed_to(
    stack: ExitStack, sipp_gateway: StartGateway, callee: Callee, tmp_path: Path
) -> None:
    line = dial(stack, sipp_gateway, gateways.hands_over_the_refreshing(), callee)
    assert line.call(sound_of(tmp_path, frames=30), 30).played_share == 1.0
    (ok,) = [each for each in messages(line, "SIP/2.0 200", sent=False) if each.header("CSeq") == "1 UPDATE"]
    assert ok.header("Session-Expires") == "120;refresher=uas"


def test_a_session_is_refreshed_by_update_when_we_have_to(
    stack: ExitStack, sipp_gateway: StartGateway, callee: Callee, tmp_path: Path
) -> None:
    line = dial(stack, sipp_gateway, gateways.wants_refreshes(), callee)
    assert line.call(sound_of(tmp_path, frames=40), 40).played_share == 1.0
    (update,) = messages(line, "UPDATE", sent=False)
    assert update.header("Session-Expires") == "90;refresher=uac" and update.header("CSeq") == "2 UPDATE"
    assert update.start_line.split()[1] == f"sip:gateway@{LOCALHOST}:{line.gateway.address[1]};transport=UDP"


@pytest.mark.parametrize("then_takes", [True, False])
def test_a_refresh_that_is_answered_500_is_tried_again_by_re_invite_and_the_end_of_the_session_says_why(
    stack: ExitStack, sipp_gateway: StartGateway, callee: Callee, tmp_path: Path, then_takes: bool
) -> None:
    line = dial(stack, sipp_gateway, gateways.answers_refreshes_with_500(then_takes=then_takes), callee)
    outcome = line.call(sound_of(tmp_path, frames=200), 200)
    methods = [request.method for request in line.gateway.requests]
    assert methods == ["INVITE", "ACK", "UPDATE", "INVITE", "ACK", "BYE"]
    if then_takes:
        assert (outcome.played_share, outcome.message) == (1.0, HangUp.SOUND_OVER)
    else:
        assert outcome.played_share < 1.0
        assert outcome.message == OwnEnd.REFRESH_REFUSED.format("500 Server Internal Error")


def test_a_422_is_answered_by_a_longer_interval(
    stack: ExitStack, sipp_gateway: StartGateway, callee: Callee, tmp_path: Path
) -> None:
    line = dial(stack, sipp_gateway, gateways.wants_longer_interval(), callee)
    assert line.call(sound_of(tmp_path, frames=10), 10).played_share == 1.0
    first, second = messages(line, "INVITE", sent=False)
    assert first.header("Session-Expires") is None
    assert (second.header("Session-Expires"), second.header("Min-SE")) == ("600", "600")


def test_a_reliable_183_gets_its_prack_before_the_200(
    stack: ExitStack, sipp_gateway: StartGateway, callee: Callee, tmp_path: Path
) -> None:
    line = dial(stack, sipp_gateway, gateways.wants_prack(), callee)
    stem = sound_of(tmp_path, frames=10)
    assert line.call(stem, 10).played_share == 1.0
    (prack,) = messages(line, "PRACK", sent=False)
    assert prack.header("RAck") == "4711 1 INVITE" and "tag=" in (prack.header("To") or "")
    assert is_whole(callee.heard, stem.with_suffix(".alaw").read_bytes())


def test_requests_within_the_dialog_are_answered_each_as_it_should(
    stack: ExitStack, sipp_gateway: StartGateway, callee: Callee, tmp_path: Path
) -> None:
    asked = [("OPTIONS", 200), ("INFO", 200), ("NOTIFY", 200), ("FROBNICATE", 501), ("MESSAGE", 405)]
    line = dial(stack, sipp_gateway, gateways.asks_this_and_that(asked), callee)
    assert line.call(sound_of(tmp_path, frames=30), 30).played_share == 1.0
    refusals = messages(line, "SIP/2.0 501", sent=False) + messages(line, "SIP/2.0 405", sent=False)
    assert len(refusals) == 2 and all("INVITE" in (each.header("Allow") or "") for each in refusals)


def test_of_two_forks_that_answer_the_second_is_hung_up_along_its_two_record_routes(
    stack: ExitStack, sipp_gateway: StartGateway, callee: Callee, tmp_path: Path
) -> None:
    line = dial(stack, sipp_gateway, gateways.forks(), callee)
    stem = sound_of(tmp_path, frames=15)
    assert line.call(stem, 15).played_share == 1.0
    assert is_whole(callee.heard, stem.with_suffix(".alaw").read_bytes())
    acks, byes = messages(line, "ACK", sent=False), messages(line, "BYE", sent=False)
    for requests, users in ((acks, ["one", "two"]), (byes, ["two", "one"])):
        assert [each.start_line.split("@")[0].split(":")[1] for each in requests] == users
        assert [(each.header("To") or "")[-3:] for each in requests] == users
    assert all("hop=1" in (each.header("Route") or "") for each in acks + byes)

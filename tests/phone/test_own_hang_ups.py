"""Whenever the dialer hangs up by itself the record of the call says why in a sentence."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from autodialer.errors import PortsExhausted
from autodialer.model import CallOutcome, Disposition, EndedBy
from autodialer.phone.hang_up import HangUp
from autodialer.phone.plan import Progress
from autodialer.phone.ports import PortLease
from autodialer.sip.own_end import OwnEnd
from tests.peers import gateways, session_gateways, transfer_gateways
from tests.peers.by_number import Behaviour, by_number
from tests.peers.ports import wait_until
from tests.peers.sipp import SippGateway
from tests.phone.desk import Desk

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp")]

Gateways = Callable[..., SippGateway]
Desks = Callable[..., Desk]
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("sentence", [*HangUp, *OwnEnd])
def test_a_reason_is_a_sentence(sentence: str) -> None:
    assert re.fullmatch(r"[A-Z].*(\.|: \{\}|\{\}\.)", sentence)


def test_every_reason_comes_to_the_record_before_and_after_the_answer(sipp_gateway: Gateways, desk: Desks) -> None:
    scenario = by_number({"1": Behaviour.ANSWER, "2": Behaviour.RINGS})
    gateway = sipp_gateway(scenario, calls=2 * len(HangUp), timeout_s=60)
    phone = desk(gateway.address, sound_s=30.0)
    for number, why in enumerate(HangUp):
        talking, ringing = phone.call(f"79160{number:02}1"), phone.call(f"79160{number:02}2")
        references = {talking.plan.reference, ringing.plan.reference}
        wait_until(lambda: references <= rang(phone), what="both phones to ring")  # noqa: B023 -- called at once
        wait_until(lambda: bool(talking.RTPClients), what="the answer")  # noqa: B023 -- called at once
        talking.hangup(why)
        ringing.hangup(why)
        answered, cancelled = phone.outcome(talking), phone.outcome(ringing)
        assert (answered.disposition, answered.ended_by, answered.message) == (Disposition.ANSWERED, EndedBy.US, why)
        assert (cancelled.disposition, cancelled.message) == (Disposition.CANCELLED, why)


def rang(phone: Desk) -> set[object]:
    return {event.reference for event in phone.events if event.progress is Progress.RANG}


def sound_over(sipp_gateway: Gateways, desk: Desks) -> CallOutcome:
    phone = desk(sipp_gateway(gateways.answered(), timeout_s=30).address, sound_s=0.4)
    return phone.outcome(phone.call())


def max_call(sipp_gateway: Gateways, desk: Desks) -> CallOutcome:
    phone = desk(sipp_gateway(gateways.answered(), timeout_s=30).address, sound_s=20.0)
    return phone.outcome(phone.call(max_call_s=1.0))


def transferred(sipp_gateway: Gateways, desk: Desks) -> CallOutcome:
    phone = desk(sipp_gateway(transfer_gateways.transfers(), timeout_s=30).address, sound_s=20.0)
    call = phone.call()
    wait_until(lambda: bool(call.RTPClients) and not call.RTPClients[0].held, what="the sound to begin")
    call.transfer("74951234567")
    return phone.outcome(call)


def nobody_answers(sipp_gateway: Gateways, desk: Desks) -> CallOutcome:
    phone = desk(sipp_gateway(gateways.rings_for_ever(), timeout_s=30).address)
    return phone.outcome(phone.call(ring_timeout_s=1.0))


def shut_down(sipp_gateway: Gateways, desk: Desks) -> CallOutcome:
    phone = desk(sipp_gateway(gateways.answered(), timeout_s=30).address, sound_s=20.0)
    call = phone.call()
    wait_until(lambda: bool(call.RTPClients), what="the answer")
    phone.phone.stop()
    assert call.outcome is not None
    return call.outcome


CASES: list[tuple[Callable[[Gateways, Desks], CallOutcome], str]] = [
    (sound_over, HangUp.SOUND_OVER),
    (max_call, HangUp.MAX_CALL.format("1")),
    (transferred, HangUp.TRANSFERRED),
    (nobody_answers, OwnEnd.RING_TIMEOUT.format("1")),
    (shut_down, OwnEnd.SHUTDOWN),
]


@pytest.mark.parametrize(("happens", "said"), CASES, ids=[case[0].__name__ for case in CASES])
def test_the_phone_says_why_it_hung_up(
    sipp_gateway: Gateways, desk: Desks, happens: Callable[[Gateways, Desks], CallOutcome], said: str
) -> None:
    assert happens(sipp_gateway, desk).message == said


def test_a_callee_who_hangs_up_leaves_no_reason_of_ours(sipp_gateway: Gateways, desk: Desks) -> None:
    phone = desk(sipp_gateway(gateways.callee_bye(after_ms=300), timeout_s=30).address, sound_s=20.0)
    outcome = phone.outcome(phone.call())
    assert (outcome.ended_by, outcome.message) == (EndedBy.CALLEE, None)


def test_a_call_for_whose_sound_there_is_no_port_says_so(
    sipp_gateway: Gateways, desk: Desks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(_lease: PortLease) -> None:
        raise PortsExhausted("ports 1 to 2 are all taken")

    monkeypatch.setattr(PortLease, "take_own", none_left)
    monkeypatch.setattr("autodialer.phone.pyvoip.phone.logger.error", lambda *_args: None)
    gateway = sipp_gateway(session_gateways.takes_offers(200), calls=2, timeout_s=40)
    phone = desk(gateway.address, sound_s=3.0, shared_media_port=True)
    messages = [phone.outcome(call).message for call in [phone.call(f"7916000000{number}") for number in range(2)]]
    assert sorted(filter(None, messages)) == sorted(
        [HangUp.SOUND_OVER, HangUp.NO_PORT.format("ports 1 to 2 are all taken")]
    )


def test_a_call_that_is_given_up_before_it_left_says_both(
    sipp_gateway: Gateways, desk: Desks, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = desk(sipp_gateway(gateways.answered(), timeout_s=30).address)
    monkeypatch.setattr(phone.media, "open", lambda *_args, **_options: None)
    call = phone.call()
    call.hangup(HangUp.OPERATOR)
    outcome = phone.outcome(call)
    assert (outcome.disposition, outcome.message) == (Disposition.CANCELLED, f"{HangUp.OPERATOR} {HangUp.UNSENT}")


ENDINGS = (".hangup", ".hang_up", ".hang_up_all", "_user.bye", "user_agent.bye")


def ending_calls() -> Iterator[tuple[str, ast.Call]]:
    """Every place of the product where a call is ended: by which method, and the expression."""
    for file in [ROOT / "dialer.py", *sorted((ROOT / "autodialer").rglob("*.py"))]:
        if "gateway" in file.parts:
            continue  # the demo's carrier is a callee
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(ENDINGS):
                yield f"{file.relative_to(ROOT)}:{node.lineno} {ast.unparse(node)}", node


def test_no_place_ends_a_call_without_a_reason() -> None:
    """`self.cancel` and `SIPClient.bye` are pyVoIP's own names, which take none."""
    allowed = ("self.hangup()", "user_agent.bye(call_id, now)")
    places = list(ending_calls())
    assert len(places) > 15
    silent = [
        text
        for text, call in places
        if not re.search(r"HangUp\.|OwnEnd\.|\bwhy\b|reason|message", ast.unparse(call)) and not text.endswith(allowed)
    ]
    assert silent == []

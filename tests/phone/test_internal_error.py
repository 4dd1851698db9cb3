"""An error in the dialer itself, wherever it is met for a call: hung up on the wire, told once, all given back."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from autodialer.clock import Clock
from autodialer.errors import PhoneClosed
from autodialer.media.shell import MediaProcess
from autodialer.model import CallOutcome, Cause, Disposition, TrunkSettings
from autodialer.phone.playing import Playing
from autodialer.phone.pool import PhonePool
from autodialer.phone.pyvoip import call as phone_call
from autodialer.phone.pyvoip.call import Call
from autodialer.phone.pyvoip.phone import Phone
from autodialer.phone.pyvoip.rtp_client import RtpClient
from autodialer.phone.pyvoip.sip_client import SipClient
from autodialer.phone.trace import TraceBook
from autodialer.sip.shell import loop
from autodialer.sip.user_agent import UserAgent
from autodialer.store import trunk_of
from tests.peers import gateways
from tests.peers.ports import LOCALHOST, free_port, wait_until
from tests.peers.sipp import SippGateway
from tests.phone.desk import Desk

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp")]


class Oops(Exception):
    """What nobody expected."""


def break_once(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, *, times: int = 1) -> None:
    """Have a function raise, and work again afterwards."""
    real, left = getattr(owner, name), [times]

    def failing(*args: Any, **options: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise Oops
        return real(*args, **options)

    monkeypatch.setattr(owner, name, failing)


@pytest.fixture
def desk_at(tmp_path: Path, sipp_gateway: Callable[..., SippGateway], short_t1: float) -> Iterator[Callable[..., Desk]]:
    """Makes a phone at a gateway that answers `calls` calls and hangs up `after_ms`; without any at a closed port.

    Like `desk`, but errors are logged.
    """
    desks: list[Desk] = []

    def make(*, sound_s: float, after_ms: int = 0, calls: int = 0) -> Desk:
        if calls:
            address = sipp_gateway(gateways.callee_bye(after_ms=after_ms), calls=calls).address
        else:
            address = (LOCALHOST, free_port())
        desks.append(Desk.make(address, tmp_path, sound_s=sound_s).__enter__())
        return desks[-1]

    yield make
    for each in desks:
        each.__exit__()


def check(desk: Desk, call: Call, caplog: pytest.LogCaptureFixture) -> CallOutcome:
    """It ended once, by our error, which was logged with its id."""
    outcome = desk.outcome(call)
    assert (outcome.disposition, outcome.cause) == (Disposition.FAILED, Cause.INTERNAL_ERROR)
    errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert any(str(call.call_id) in message for message in errors)
    return outcome


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (Call, "_progress"),
        (Call, "_answered"),
        (Playing, "begin"),
        (RtpClient, "start"),
        (Call, "sound_finished"),
        (phone_call, "negotiate"),
        (UserAgent, "_receive_response"),
        (UserAgent, "_receive_request"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_an_error_while_the_call_goes_on_hangs_it_up_and_the_next_call_is_well(
    desk_at: Callable[..., Desk],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    owner: Any,
    name: str,
) -> None:
    # Whose BYE is first decides what is met.
    phone = desk_at(after_ms=1500, calls=3, sound_s=3.0 if name == "_receive_request" else 0.5)
    break_once(monkeypatch, owner, name)
    check(phone, phone.call("79160000001"), caplog)
    assert phone.outcome(phone.call("79160000002")).disposition is Disposition.ANSWERED


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (SipClient, "complete"),
        (TraceBook, "begin"),
        (UserAgent, "invite"),
        (Phone, "_on_opened"),
        (Call, "place"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_an_error_before_the_invite_has_left_ends_the_call_at_once(
    desk_at: Callable[..., Desk],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    owner: Any,
    name: str,
) -> None:
    phone = desk_at(after_ms=300, calls=2, sound_s=0.5)
    break_once(monkeypatch, owner, name)
    check(phone, phone.call("79160000001", reference=uuid4()), caplog)
    assert phone.outcome(phone.call("79160000002")).disposition is Disposition.ANSWERED


@pytest.mark.parametrize(("owner", "name"), [(MediaProcess, "open"), (Phone, "_make_call")])
def test_an_error_in_asking_for_a_port_reaches_the_caller_and_keeps_nothing(
    desk_at: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    phone = desk_at(sound_s=0.5)
    break_once(monkeypatch, owner, name)
    with pytest.raises(Oops):
        phone.call()
    assert not phone.phone.calls and not phone.phone.assignedPorts


@pytest.mark.parametrize(
    ("name", "times"),
    # An owner that takes nothing the second time either cannot be told.
    [(name, times) for name in ("make_outcome", "_ended", "media_closed") for times in (1, 2)] + [("_tell_last", 1)],
)
def test_an_error_at_the_end_keeps_no_outcome_back(
    desk_at: Callable[..., Desk],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    times: int,
) -> None:
    phone = desk_at(after_ms=200, calls=1, sound_s=0.3)
    # The outcome would come late without the media's figures, and so hide that the error kept it back.
    monkeypatch.setattr(phone_call, "STATS_S", 60.0)
    break_once(monkeypatch, phone_call if name == "make_outcome" else Call, name, times=times)
    outcome = phone.outcome(phone.call())
    assert outcome.disposition in (Disposition.ANSWERED, Disposition.FAILED)


def test_an_error_in_looking_for_overdue_calls_ends_one_and_the_look_goes_on(
    desk_at: Callable[..., Desk],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    phone = desk_at(after_ms=20_000, calls=2, sound_s=10.0)
    break_once(monkeypatch, Call, "end_if_overdue")
    calls = [phone.call("79160000001", max_call_s=2.0), phone.call("79160000002", max_call_s=2.0)]
    wait_until(lambda: all(call.outcome is not None for call in calls), what="both outcomes", timeout_s=10)
    causes = [call.outcome.cause for call in calls if call.outcome is not None]
    assert sorted(map(str, causes)) == ["None", "internal_error"]


def test_a_packet_that_cannot_be_sent_does_not_stand_in_the_way_of_others(
    desk_at: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = desk_at(after_ms=200, calls=1, sound_s=0.3)
    break_once(monkeypatch, loop.DatagramSocket, "send")
    assert phone.outcome(phone.call("79160000001")).cause is Cause.TRANSPORT_ERROR
    assert phone.outcome(phone.call("79160000002")).disposition is Disposition.ANSWERED


def test_the_end_of_a_loop_by_an_error_ends_its_calls_and_takes_no_new_ones(
    desk_at: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = desk_at(after_ms=20_000, calls=1, sound_s=5.0)
    call = phone.call()
    wait_until(lambda: call.state is phone_call.CallState.ANSWERED, what="the answer")
    break_once(monkeypatch, loop.SipLoop, "_timeout")
    wait_until(lambda: call.outcome is not None, what="the outcome")
    assert not phone.phone.ready and not phone.phone.alive
    with pytest.raises(PhoneClosed):
        phone.call("79160000002")
    assert not phone.phone.calls and not phone.phone.assignedPorts


def test_a_phone_whose_loop_has_ended_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    trunk = trunk_of(TrunkSettings(name="Provider", host=LOCALHOST, port=free_port(), username="user"))
    pool = PhonePool(sip_address=LOCALHOST, sip_port=free_port(), rtp_ports=(33000, 60000), clock=Clock())

    def usable() -> bool:
        pool.update({0: trunk})
        return bool(pool.usable())

    try:
        wait_until(usable, what="the first phone")
        (first,) = pool.ready_phones(0)
        break_once(monkeypatch, loop.SipLoop, "_timeout")
        first.sip.run(lambda _user_agent, _now: None)
        wait_until(lambda: not first.alive, what="the end of its loop")
        assert pool.usable() == {}
        wait_until(usable, what="another phone")
        assert pool.ready_phones(0) != [first]
    finally:
        pool.stop()

"""Digits in INFO requests."""

from typing import Any

import pytest

from autodialer.sip.events import DigitSignalled
from autodialer.sip.info import parse_signal
from tests.sip.stepping import Sent, Steps, in_dialog

RELAY = "application/dtmf-relay"
BODIES = [
    (RELAY, "Signal=5\r\nDuration=160\r\n", "5", 0.16),
    (RELAY, "Signal= 5\r\nDuration= 160\r\n", "5", 0.16),
    (RELAY, "signal = *\nduration = 250", "*", 0.25),
    (RELAY, "Signal=#", "#", 0.1),
    (RELAY, "Duration=100\r\nSignal=a", "A", 0.1),
    (RELAY, "Signal=11\r\nDuration=100", "#", 0.1),
    (RELAY, "Signal=10\r\nDuration=9999999999", "*", 0.1),
    (RELAY, "Signal=15\r\nDuration=999999", "D", 60.0),
    (RELAY, "Signal:7\r\nDuration:80", "7", 0.08),
    (f"{RELAY}; charset=utf-8", "Signal=1\r\nDuration=100", "1", 0.1),
    ("Application/DTMF-Relay", "Signal=1\r\nDuration=100", "1", 0.1),
    (RELAY, "8\r\n", "8", 0.1),
    ("application/dtmf", "9", "9", 0.1),
    ("application/dtmf", " 0 \r\n", "0", 0.1),
    ("application/dtmf", "Signal=5\r\nDuration=160", "5", 0.16),
]


@pytest.fixture
def steps() -> Steps:
    return Steps()


def info(ack: Sent, body: str, kind: str | None = RELAY, **options: Any) -> bytes:
    """An INFO of the callee."""
    head = in_dialog(ack, "INFO", headers=(f"Content-Type: {kind}",) if kind else (), **options)
    content = body.encode("latin-1")
    return head.replace("Content-Length: 0", f"Content-Length: {len(content)}").encode() + content


@pytest.mark.parametrize(("kind", "body", "digit", "duration_s"), BODIES)
def test_a_digit_in_an_info_is_answered_200_and_told(
    steps: Steps, kind: str, body: str, digit: str, duration_s: float
) -> None:
    ack = steps.answer(steps.invite())
    steps.now += 2.0
    (ok,) = steps.receive(info(ack, body, kind))
    assert ok.start_line == "SIP/2.0 200 OK"
    assert steps.last == DigitSignalled(call_id="call-1", at=102.0, digit=digit, duration_s=duration_s)


@pytest.mark.parametrize("body", ["Signal=", "Signal=X", "Duration=160", "Signal=12345", "55", "Signal=\xe9", "\x00"])
def test_a_body_that_says_no_digit_gets_400_and_the_call_goes_on(steps: Steps, body: str) -> None:
    ack = steps.answer(steps.invite())
    (bad,) = steps.receive(info(ack, body))
    assert bad.start_line == "SIP/2.0 400 Bad Request"
    assert steps.names == ["CallAnswered"]


@pytest.mark.parametrize("kind", ["application/broadsoft", None])
def test_a_body_of_another_type_gets_415_with_what_is_taken(steps: Steps, kind: str | None) -> None:
    ack = steps.answer(steps.invite())
    (refused,) = steps.receive(info(ack, "event flashhook", kind))
    assert refused.start_line == "SIP/2.0 415 Unsupported Media Type"
    assert refused["Accept"] == "application/dtmf-relay, application/dtmf"


@pytest.mark.parametrize("body", ["", "Signal=16\r\nDuration=100", "Signal=!"])
def test_an_info_without_a_digit_is_answered_200_and_nothing_is_told(steps: Steps, body: str) -> None:
    ack = steps.answer(steps.invite())
    (ok,) = steps.receive(info(ack, body))
    assert ok.start_line == "SIP/2.0 200 OK"
    assert steps.names == ["CallAnswered"]


def test_an_info_that_is_sent_again_is_told_once(steps: Steps) -> None:
    ack = steps.answer(steps.invite())
    request = info(ack, "Signal=5\r\nDuration=160")
    first, second = steps.receive(request), steps.receive(request)
    assert first[0].data == second[0].data
    assert steps.names == ["CallAnswered", "DigitSignalled"]


def test_an_info_outside_a_dialog_gets_481_and_after_the_end_too(steps: Steps) -> None:
    ack = steps.answer(steps.invite())
    steps.receive(in_dialog(ack, "BYE"))
    (gone,) = steps.receive(info(ack, "5", cseq=2, branch="z9hG4bKlater"))
    assert gone.start_line == "SIP/2.0 481 Call/Transaction Does Not Exist"
    assert "DigitSignalled" not in steps.names


def test_arbitrary_bodies_raise_nothing() -> None:
    for size in range(300):
        parse_signal(bytes((size * 7 + n * 31) % 256 for n in range(size)))

"""From one of the provider's servers to the next (RFC 3263 section 4.3)."""

import pytest

from autodialer.sip.events import CallFailed, FailureKind, HopFailed
from autodialer.sip.hop import TCP, TLS, Hop
from tests.sip.stepping import ANSWER, Sent, Steps, response

FIRST, SECOND, THIRD = (Hop(f"192.0.2.{number}", 5060) for number in (9, 10, 11))
CHALLENGE = 'WWW-Authenticate: Digest realm="r", nonce="n1", qop="auth"'


@pytest.fixture
def steps() -> Steps:
    return Steps()


def dial(steps: Steps, *hops: Hop, **fields: object) -> Sent:
    return steps.invite(next_hop=hops[0], alternatives=hops[1:], **fields)


def failed_hops(steps: Steps) -> list[tuple[Hop, float | None]]:
    return [(event.hop, event.retry_after_s) for event in steps.events if isinstance(event, HopFailed)]


def failed(steps: Steps) -> CallFailed:
    assert isinstance(steps.last, CallFailed)
    return steps.last


def check_second(first: Sent, second: Sent) -> None:
    """A new transaction of the same call (RFC 3263 section 4.3)."""
    assert second.hop == SECOND
    assert second.branch != first.branch
    assert (first["CSeq"], second["CSeq"]) == ("1 INVITE", "2 INVITE")
    for name in ("Call-ID", "From", "To"):
        assert second[name] == first[name]
    assert (second.uri, second.body) == (first.uri, first.body)


def test_a_silent_server_hands_the_call_to_the_next(steps: Steps) -> None:
    first = dial(steps, FIRST, SECOND)
    sent = steps.advance(32.0)
    second = sent[-1]
    assert len(sent) == 7 and second.at - 100 == 32.0
    check_second(first, second)
    assert failed_hops(steps) == [(FIRST, None)]
    steps.answer(second, addr=SECOND.address)
    assert steps.names == ["HopFailed", "CallAnswered"]


@pytest.mark.parametrize("cause", [1, 17, 18, 19, 20, 28])
def test_a_503_about_the_callee_asks_no_other_server_and_blames_none(steps: Steps, cause: int) -> None:
    first = dial(steps, FIRST, SECOND)
    sent = steps.reply(first, "503 Full", headers=("Retry-After: 5", f"Reason: Q.850;cause={cause}"))
    assert [message.method for message in sent] == ["ACK"]
    assert failed_hops(steps) == []
    assert (failed(steps).code, failed(steps).reason_cause) == (503, cause)


@pytest.mark.parametrize(("headers", "retry_after_s"), [((), None), (("Retry-After: 5",), 5.0)])
def test_a_503_is_acknowledged_and_hands_the_call_to_the_next(
    steps: Steps, headers: tuple[str, ...], retry_after_s: float | None
) -> None:
    first = dial(steps, FIRST, SECOND)
    ack, second = steps.reply(first, "503 Full", headers=headers)
    assert (ack.method, ack.hop) == ("ACK", FIRST)
    check_second(first, second)
    assert failed_hops(steps) == [(FIRST, retry_after_s)]


@pytest.mark.parametrize("transport", [TCP, TLS])
def test_an_unreachable_server_hands_the_call_to_the_next_over_any_transport(steps: Steps, transport: str) -> None:
    hop = FIRST._replace(transport=transport)
    first = dial(steps, hop, SECOND)
    steps.core.transport_error(hop, steps.now, "No.")
    check_second(first, steps.take_one())
    assert failed_hops(steps) == [(hop, None)]


def test_a_server_whose_connection_breaks_twice_hands_the_call_to_the_next(steps: Steps) -> None:
    hop = FIRST._replace(transport=TCP)
    dial(steps, hop, SECOND)
    steps.core.connection_lost(hop, steps.now)
    assert steps.take_one().hop == hop
    steps.core.connection_lost(hop, steps.now)
    assert steps.take_one().hop == SECOND


def test_the_server_that_was_chosen_is_told_as_failed_though_a_long_request_went_by_tcp(steps: Steps) -> None:
    padding = (("X-Padding", "x" * 800), ("X-More", "x" * 800))
    first = dial(steps, FIRST, SECOND, headers=padding)
    assert first.hop == FIRST._replace(transport=TCP)
    _, second = steps.receive(response(first, "503 Full"), first.hop or FIRST)
    assert second.hop == SECOND._replace(transport=TCP)
    assert failed_hops(steps) == [(FIRST, None)]


def test_each_server_has_one_turn_and_the_last_ones_word_is_the_outcome(steps: Steps) -> None:
    first = dial(steps, FIRST, SECOND, THIRD)
    _, second = steps.reply(first, "503 Full")
    steps.core.transport_error(SECOND, steps.now)
    third = steps.take_one()
    assert third.hop == THIRD
    steps.reply(third, "503 Full", headers=("Retry-After: 7",))
    assert (failed(steps).kind, failed(steps).code, failed(steps).retry_after_s) == (FailureKind.FINAL, 503, 7.0)
    assert [hop for hop, _ in failed_hops(steps)] == [FIRST, SECOND, THIRD]
    assert second.hop == SECOND
    steps.finish()


@pytest.mark.parametrize("status", ["486 Busy", "500 No", "502 No", "504 No", "403 No", "408 No", "600 No"])
def test_any_other_final_is_the_callees_and_is_not_asked_for_elsewhere(steps: Steps, status: str) -> None:
    (ack,) = steps.reply(dial(steps, FIRST, SECOND), status)
    assert ack.method == "ACK" and failed(steps).code == int(status[:3])
    assert failed_hops(steps) == []


def test_no_second_server_rings_a_phone_that_rang(steps: Steps) -> None:
    first = dial(steps, FIRST, SECOND)
    steps.reply(first, "180 Ringing")
    (ack,) = steps.reply(first, "503 Full")
    assert ack.method == "ACK"
    assert (failed(steps).code, failed(steps).saw_18x) == (503, True)
    assert failed_hops(steps) == [(FIRST, None)]


def test_a_server_that_only_said_100_may_be_followed_by_the_next(steps: Steps) -> None:
    first = dial(steps, FIRST, SECOND)
    steps.reply(first, "100 Trying", tag=None)
    _, second = steps.reply(first, "503 Full")
    check_second(first, second)


@pytest.mark.parametrize("how", ["503", "silence", "unreachable"])
def test_a_call_that_was_cancelled_goes_nowhere_else(steps: Steps, how: str) -> None:
    first = dial(steps, FIRST, SECOND)
    steps.core.cancel("call-1", steps.now)
    if how == "503":
        steps.reply(first, "503 Full")
    elif how == "silence":
        steps.advance(33.0)
    else:
        steps.core.transport_error(FIRST, steps.now)
    assert [sent for sent in steps.take() if sent.hop == SECOND] == []
    assert failed(steps).kind is FailureKind.CANCELLED
    steps.finish()


def test_a_late_answer_of_the_first_server_is_dropped_and_there_is_one_outcome(steps: Steps) -> None:
    first = dial(steps, FIRST, SECOND)
    second = steps.advance(32.0)[-1]
    assert steps.reply(first, "200 OK", body=ANSWER) == []
    steps.answer(second)
    steps.core.bye("call-1", steps.now)
    steps.reply(steps.take_one(), "200 OK")
    steps.finish()


def test_the_second_server_may_ask_for_the_password_and_gets_no_answer_to_the_firsts_challenge_twice(
    steps: Steps,
) -> None:
    first = dial(steps, FIRST, SECOND, credentials=("user", "secret"))
    _, authorised = steps.reply(first, "401 No", headers=(CHALLENGE,))
    assert authorised.hop == FIRST
    _, second = steps.reply(authorised, "503 Full")
    assert second.hop == SECOND
    _, again = steps.reply(second, "401 No", headers=(CHALLENGE.replace("n1", "n2"),))
    assert again.hop == SECOND and 'nonce="n2"' in again["Authorization"]
    assert [sent["CSeq"] for sent in (first, authorised, second, again)] == [f"{n} INVITE" for n in (1, 2, 3, 4)]


def test_cancel_and_ack_go_to_the_server_that_has_the_call(steps: Steps) -> None:
    _, second = steps.reply(dial(steps, FIRST, SECOND), "503 Full")
    steps.reply(second, "180 Ringing", addr=SECOND.address)
    steps.core.cancel("call-1", steps.now)
    cancel = steps.take_one()
    assert (cancel.method, cancel.hop, cancel.branch) == ("CANCEL", SECOND, second.branch)
    (ack,) = steps.reply(second, "487 Request Terminated", addr=SECOND.address)
    assert ack.hop == SECOND

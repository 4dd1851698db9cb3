"""A line that loses packets both ways: no call stays up far away, no outcome is wrong, no number is called twice.

SIPp decides by the number and keeps the provider's view of every call. Before it stands Kamailio, whose transactions
repeat and recognise what is lost on the line; SIPp takes a repeated CANCEL or INVITE for an error.
"""

import contextlib
import re
from pathlib import Path

import pytest

from tests.netns.dialer_host import DialerHost
from tests.netns.driver import Dialled, DrivePlan
from tests.peers.by_number import Behaviour, behaviour_of, by_number
from tests.peers.kamailio import Kamailio
from tests.peers.namespaces import direct
from tests.peers.ports import wait_until
from tests.peers.sipp import LoggedRequest, SippGateway

pytestmark = [pytest.mark.netns, pytest.mark.peer("sipp", "kamailio", "sox"), pytest.mark.timeout(240)]

CALLS = 200
PATIENT = ["-max_retrans", "12", "-max_invite_retrans", "12", "-max_non_invite_retrans", "12", "-rtcheck", "loose"]
"""SIPp by default gives up sooner than RFC 3261 section 13.3.1.4, and knows a message again only by its every byte."""

SHOULD_BE = {
    Behaviour.ANSWER: ("answered", "us", 200),
    Behaviour.ANSWER_THEN_BYE: ("answered", "callee", 200),
    Behaviour.PROGRESS: ("answered", "us", 200),
    Behaviour.BUSY: ("busy", None, 486),
    Behaviour.UNAVAILABLE: ("no_answer", None, 480),
    Behaviour.DECLINED: ("rejected", None, 603),
    Behaviour.UNKNOWN: ("invalid_number", None, 404),
    Behaviour.CONGESTED: ("congestion", None, 500),
    Behaviour.RINGS: ("no_answer", None, 487),
}
"""What SIPp does with a number -> disposition, who ended it, SIP code. The proxy makes 500 of 503, as RFC 3261
section 16.7 tells it to."""
NO_RESPONSE = ("failed", None, None)
"""Right for a call none of whose INVITEs arrived (at 30 %, one in some 4500), and for a phone that rings while every
provisional response is lost: one in some 400, since nobody repeats those, as a final response is repeated."""


def dialled(number: str) -> Dialled:
    """The callee must hang up before the sound ends, and only where the phone rings for ever does our patience end."""
    behaviour = behaviour_of(number)
    return Dialled(
        number=number,
        sound_s=60.0 if behaviour is Behaviour.ANSWER_THEN_BYE else 1.0,
        ring_timeout_s=4.0 if behaviour is Behaviour.RINGS else 60.0,
    )


@pytest.mark.parametrize("percent", [10, 30])
def test_two_hundred_calls_over_a_line_that_loses_packets_both_ways_end_right(percent: int, tmp_path: Path) -> None:
    numbers = [f"7916{1000000 + index}" for index in range(CALLS)]
    with contextlib.ExitStack() as stack:
        network = stack.enter_context(direct(loss_percent=percent))
        host, namespace = network.outside.addresses[0], network.outside.namespace
        gateway = stack.enter_context(
            SippGateway(
                by_number(max_call_s=90, proxied=True),
                calls=CALLS + 1,  # one more than there are, so that SIPp would show a second call to a number
                folder=tmp_path,
                host=network.outside.addresses[1],
                namespace=namespace,
                timeout_s=200,
                extra=PATIENT,
            )
        )
        proxy = stack.enter_context(Kamailio(gateway.address, folder=tmp_path, host=host, namespace=namespace))
        plan = DrivePlan(
            gateway=proxy.address,
            calls=tuple(dialled(number) for number in numbers),
            address=network.inside.address,
            concurrent=40,
            linger_s=33.0,
        )
        dialer = stack.enter_context(DialerHost(network.inside, plan, folder=tmp_path / "driver"))
        driven = dialer.finish()
        wait_until(lambda: calls_up(gateway) == 0, what="SIPp to hold no call", timeout_s=60)
        lost = network.dropped()
    assert min(lost) > CALLS * percent / 100
    assert driven.unfinished == driven.errors == []
    unheard = {number for number, outcome in driven.outcomes.items() if as_said(outcome) == NO_RESPONSE}
    reached = check_far_side(gateway.requests, numbers, unheard)
    check_outcomes(driven.outcomes, numbers, reached, unheard)
    # A BYE of which every copy is lost ends at the proxy, which answers 408 for the dialer: SIPp calls that unexpected.
    unexpected = re.findall(r"received '([^\r\n]*)", gateway.errors)
    assert set(unexpected) <= {"SIP/2.0 408 Request Timeout"}, gateway.errors
    assert gateway.calls == (len(reached) - len(unexpected), len(unexpected))
    assert len({message.header("Call-ID") for message in gateway.messages}) == len(reached)


def calls_up(gateway: SippGateway) -> int:
    """How many calls SIPp holds to be up or on their way."""
    return int(gateway.statistics.get("CurrentCall", -1))


def as_said(outcome: dict[str, object]) -> tuple[object, object, object]:
    """Disposition, who ended the call, SIP code."""
    return outcome["disposition"], outcome["ended_by"], outcome["sip_code"]


def check_outcomes(
    outcomes: dict[str, dict[str, object]], numbers: list[str], reached: set[str], unheard: set[str]
) -> None:
    """Each number's record says what SIPp was told to do with it."""
    assert {behaviour_of(number) for number in unheard & reached} <= {Behaviour.RINGS}
    assert len(unheard) <= 3
    heard = reached - unheard
    assert {number: as_said(outcome) for number, outcome in outcomes.items()} == {
        number: SHOULD_BE[behaviour_of(number)] if number in heard else NO_RESPONSE for number in numbers
    }


def check_far_side(requests: list[LoggedRequest], numbers: list[str], unheard: set[str]) -> set[str]:
    """By SIPp's log: at most one INVITE a number, and the right side ends every call. Returns the numbers reached.

    A CANCEL must wait for a provisional response (RFC 3261 section 9.1): none goes to a phone of which nothing came.
    """
    call_ids = {request.call_id: request.number for request in requests if request.method == "INVITE"}
    reached = set(call_ids.values())
    assert len(call_ids) == len(reached) >= CALLS - 3
    assert reached <= set(numbers)
    for method, behaviours in (("BYE", (Behaviour.ANSWER, Behaviour.PROGRESS)), ("CANCEL", (Behaviour.RINGS,))):
        ended = {call_ids[request.call_id] for request in requests if request.method == method}
        assert ended == {number for number in reached - unheard if behaviour_of(number) in behaviours}
    return reached

"""Refusals by SIPp with the network's own cause beside the code: what the record says, rung or not."""

from collections.abc import Callable, Sequence

import pytest

from autodialer.campaign.breaker import is_trunk_side
from autodialer.model import Cause, Disposition
from tests.peers import gateways
from tests.peers.sipp import SippGateway
from tests.phone.desk import Desk

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp")]

Gateways = Callable[..., SippGateway]
Desks = Callable[..., Desk]
D = Disposition

REFUSALS = [
    (403, "Q.850;cause=21", D.REJECTED, None, False),
    (603, 'Q.850;cause=16;text="Normal call clearing"', D.NO_ANSWER, None, False),
    (603, "Q.850;cause=0", D.NO_ANSWER, None, False),
    (603, 'SIP;cause=603;text="Decline", Q.850;cause=21', D.REJECTED, None, False),
    (404, "Q.850;cause=3", D.NO_ANSWER, None, False),
    (404, "q.850 ;cause=20", D.NO_ANSWER, None, False),
    (404, "Q.850;cause=1", D.INVALID_NUMBER, None, False),
    (480, 'Q.850;text="no such number, sorry";cause=1', D.INVALID_NUMBER, None, False),
    (408, "Q.850;cause=18", D.NO_ANSWER, None, False),
    (500, "Q.850;cause=38", D.CONGESTION, None, True),
    (503, "Q.850;cause=17", D.BUSY, None, False),
    (503, "Q.850;cause=34", D.CONGESTION, Cause.TRUNK_LIMIT, True),
    (480, "Q.850;cause=42", D.CONGESTION, None, True),
    (403, "X.25;cause=21", D.FAILED, Cause.FORBIDDEN, True),
]


@pytest.mark.parametrize("progress", [(), (100, 180)], ids=["silent", "rung"])
@pytest.mark.parametrize(("code", "reason", "disposition", "cause", "trunk_side"), REFUSALS)
def test_a_refusal_is_read_by_its_code_and_its_cause(
    sipp_gateway: Gateways,
    desk: Desks,
    progress: Sequence[int],
    code: int,
    reason: str,
    disposition: Disposition,
    cause: Cause | None,
    trunk_side: bool,
) -> None:
    gateway = sipp_gateway(gateways.final(code, progress=progress, extra=[f"Reason: {reason}"]), timeout_s=30)
    phone = desk(gateway.address)
    outcome = phone.outcome(phone.call())
    gateway.expect_success()
    assert (outcome.disposition, outcome.cause, outcome.sip_code) == (disposition, cause, code)
    assert is_trunk_side(outcome) is trunk_side
    assert (outcome.ringing_at is not None) is bool(progress)

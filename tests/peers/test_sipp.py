"""SIPp's gateways, tried by SIPp's callers."""

from collections import Counter

import pytest

from tests.peers import callers, gateways
from tests.peers.by_number import BY_LAST_DIGIT, Behaviour, behaviour_of, by_number
from tests.peers.fixtures import StartCaller, StartGateway
from tests.peers.scenario import PCMU_SDP, Scenario

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp")]

NUMBER = "79161234567"

ANSWERED = ["INVITE", "ACK", "BYE"]
REFUSED = ["INVITE", "ACK"]
HANGS_UP = callers.calls_and_hangs_up(talk_ms=10)

PAIRS: dict[str, tuple[Scenario, Scenario, list[str]]] = {
    "answered": (gateways.answered(ring_ms=10), HANGS_UP, ANSWERED),
    "plain 200": (gateways.plain_200(sdp=PCMU_SDP), HANGS_UP, ANSWERED),
    "183": (gateways.early_183(ring_ms=50), HANGS_UP, ANSWERED),
    "callee hangs up": (gateways.callee_bye(after_ms=50), callers.calls_and_waits_for_bye(), ["INVITE", "ACK"]),
    "busy": (gateways.final(486), callers.calls_and_is_refused(486), REFUSED),
    "503 at once": (
        gateways.final(503, progress=(), extra=["Retry-After: 5"]),
        callers.calls_and_is_refused(503),
        REFUSED,
    ),
    "rings": (gateways.rings_for_ever(), callers.calls_and_cancels(ring_ms=20), ["INVITE", "CANCEL", "ACK"]),
    "BYE gets 481": (
        gateways.answers_bye_with(481),
        callers.calls_and_hangs_up(talk_ms=10, bye_code=481),
        ANSWERED,
    ),
    "180 after a silence": (
        gateways.cancel_before_1xx(silence_ms=700),
        callers.calls_and_cancels(ring_ms=20),
        ["INVITE", "CANCEL", "ACK"],
    ),
    "CANCEL too late": (
        gateways.cancel_200_race(),
        callers.calls_and_cancels_too_late(),
        ["INVITE", "CANCEL", "ACK", "BYE"],
    ),
    "200 again": (
        gateways.lost_200(times=1, gap_ms=20),
        callers.calls_and_hangs_up(talk_ms=200),
        ["INVITE", "ACK", "ACK", "BYE"],
    ),
    "lost INVITEs": (gateways.ignores_invites(times=1), HANGS_UP, ANSWERED),
    "lost BYEs": (gateways.ignores_byes(times=1), HANGS_UP, [*ANSWERED, "BYE"]),
    "CANCEL by number": (
        by_number({"7": Behaviour.ANSWER}, ring_ms=3000),
        callers.calls_and_cancels(ring_ms=20),
        ["INVITE", "CANCEL", "ACK"],
    ),
    "a challenge, then 200": (
        gateways.challenges(gateways.challenge(407), then_answers=True),
        callers.calls_with_password(code=407, talk_ms=10),
        [*REFUSED, *ANSWERED],
    ),
}


@pytest.mark.parametrize(("gateway_does", "caller_does", "methods"), PAIRS.values(), ids=PAIRS)
def test_a_gateway_and_a_caller_that_fit_one_another_both_end_well(
    sipp_gateway: StartGateway,
    sipp_caller: StartCaller,
    gateway_does: Scenario,
    caller_does: Scenario,
    methods: list[str],
) -> None:
    gateway = sipp_gateway(gateway_does, timeout_s=10)
    caller = sipp_caller(caller_does, gateway.address, numbers=[NUMBER], timeout_s=10)
    caller.expect_success()
    gateway.expect_success()
    assert [request.method for request in gateway.requests] == methods
    assert gateway.invites_by_number == {NUMBER: 1}
    assert gateway.calls == (1, 0)
    assert gateway.errors == ""


@pytest.mark.parametrize(("qop", "algorithm"), [("auth", "MD5"), (None, None)])
def test_a_right_digest_is_verified_by_the_gateway(
    sipp_gateway: StartGateway, sipp_caller: StartCaller, qop: str | None, algorithm: str | None
) -> None:
    gateway = sipp_gateway(gateways.asks_password("user", "password", qop=qop, algorithm=algorithm), timeout_s=10)
    sipp_caller(callers.calls_with_password(talk_ms=10), gateway.address, numbers=[NUMBER]).expect_success()
    gateway.expect_success()
    assert gateway.digests_verified == 1


def test_a_wrong_digest_is_refused_by_the_gateway(sipp_gateway: StartGateway, sipp_caller: StartCaller) -> None:
    gateway = sipp_gateway(gateways.asks_password("user", "another"), timeout_s=10)
    sipp_caller(callers.calls_with_wrong_password(), gateway.address, numbers=[NUMBER]).expect_success()
    gateway.expect_success()
    assert gateway.digests_verified == 0


def test_a_caller_the_gateway_does_not_expect_makes_its_exit_status_a_failure(
    sipp_gateway: StartGateway, sipp_caller: StartCaller
) -> None:
    gateway = sipp_gateway(gateways.callee_bye(after_ms=2000), timeout_s=10)
    sipp_caller(callers.calls_and_hangs_up(talk_ms=10), gateway.address, numbers=[NUMBER])
    assert gateway.wait() != 0
    assert "unexpected" in gateway.errors
    with pytest.raises(AssertionError, match="unexpected"):
        gateway.expect_success()


def test_a_final_code_is_sent_again_though_it_was_acknowledged(
    sipp_gateway: StartGateway, sipp_caller: StartCaller
) -> None:
    gateway = sipp_gateway(gateways.final_resent(486, times=1, gap_ms=50), timeout_s=10)
    sipp_caller(callers.calls_and_is_refused(486, times=2), gateway.address, numbers=[NUMBER]).expect_success()
    gateway.expect_success()
    assert gateway.count("ACK") == 2


def test_a_gateway_stopped_in_the_middle_of_a_call_still_tells_what_it_got(
    sipp_gateway: StartGateway, sipp_caller: StartCaller
) -> None:
    gateway = sipp_gateway(gateways.rings_for_ever(), calls=10, timeout_s=20)
    sipp_caller(callers.calls_and_cancels(ring_ms=9000), gateway.address, numbers=[NUMBER], timeout_s=20)
    gateway.wait_for("INVITE", timeout_s=5)
    gateway.stop()
    assert gateway.exit_status is not None
    assert gateway.invites_by_number == {NUMBER: 1}
    assert [message.start_line.split()[1] for message in gateway.messages if message.sent] == ["100", "180"]


def test_one_gateway_treats_each_number_by_its_last_digit_and_counts_them(
    sipp_gateway: StartGateway, sipp_caller: StartCaller
) -> None:
    numbers = [f"7916000{index:04}" for index in range(60)]
    gateway = sipp_gateway(by_number(bye_after_ms=300), calls=len(numbers), timeout_s=30)
    caller = sipp_caller(
        callers.calls_whatever_comes(talk_ms=800, ring_ms=1200), gateway.address, numbers=numbers, rate=20, timeout_s=30
    )
    caller.expect_success()
    gateway.expect_success()
    assert gateway.invites_by_number == Counter(numbers)
    finals = Counter(
        message.start_line.split()[1]
        for message in gateway.messages
        if message.sent and "INVITE" in (message.header("CSeq") or "") and message.start_line.split()[1] >= "200"
    )
    assert finals == {"200": 24, "486": 6, "480": 6, "603": 6, "404": 6, "503": 6, "487": 6}


def test_the_longest_fitting_ending_decides_what_a_number_gets() -> None:
    table = {"1": Behaviour.BUSY, "01": Behaviour.RINGS}
    assert [behaviour_of(number, table) for number in ("7901", "7911", "7910")] == ["rings", "busy", "answer"]
    assert behaviour_of(NUMBER) == BY_LAST_DIGIT["7"]

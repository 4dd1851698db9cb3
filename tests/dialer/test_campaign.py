"""Whole campaigns against SIPp as the provider's gateway: a right row for every number, none twice, none lost."""

import signal
from pathlib import Path

import pytest

from autodialer.model import CallOutcome, Cause, Disposition, EndedBy, RetryRule
from tests.dialer.world import NO_RETRIES, World
from tests.peers import gateways
from tests.peers import scenario as s
from tests.peers.by_number import Behaviour, behaviour_of, by_number
from tests.peers.ports import LOCALHOST, free_port, wait_until
from tests.peers.scenario import Scenario
from tests.peers.sipp import SippGateway
from tests.timing import at_most

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp")]

EXPECTED = {
    Behaviour.ANSWER: Disposition.ANSWERED,
    Behaviour.ANSWER_THEN_BYE: Disposition.ANSWERED,
    Behaviour.PROGRESS: Disposition.ANSWERED,
    Behaviour.BUSY: Disposition.BUSY,
    Behaviour.UNAVAILABLE: Disposition.NO_ANSWER,
    Behaviour.RINGS: Disposition.NO_ANSWER,
    Behaviour.DECLINED: Disposition.REJECTED,
    Behaviour.UNKNOWN: Disposition.INVALID_NUMBER,
    Behaviour.CONGESTED: Disposition.CONGESTION,
}


def numbers(count: int) -> list[str]:
    return [f"7000{number:07d}" for number in range(count)]


def outcome_of(world: World, campaign: object, number: str) -> CallOutcome:
    (record,) = world.records(campaign)[number]  # type: ignore[arg-type]
    assert record.outcome
    return record.outcome


def test_two_hundred_numbers_at_twenty_a_second_end_with_a_right_row_each(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data", sound_s=2.0)
    dialled = numbers(200)
    with SippGateway(by_number(), calls=200, timeout_s=90) as gateway:
        campaign = world.campaign(gateway.address, dialled)
        with world.dialer():
            world.wait_finished(campaign, timeout_s=80)
            gateway.expect_success(timeout_s=20)
        assert gateway.invites_by_number == dict.fromkeys(dialled, 1)
    assert world.dispositions(campaign) == {number: EXPECTED[behaviour_of(number)] for number in dialled}
    listened, cut = outcome_of(world, campaign, dialled[0]), outcome_of(world, campaign, dialled[1])
    assert (listened.ended_by, listened.played_s, listened.played_share) == (EndedBy.US, 2.0, 1.0)
    assert cut.ended_by is EndedBy.CALLEE
    assert 0.8 <= cut.played_s <= 1.2
    assert abs(cut.billsec_s - cut.played_s) < 0.25
    counts = world.store.campaigns.progress(campaign.key).counts
    assert (counts.total, counts.reached, counts.exhausted) == (200, 80, 120)
    assert "Traceback" not in (tmp_path / "data" / "dialer.log").read_text()


def test_kill_9_of_everything_loses_no_number_and_calls_none_twice(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data")
    dialled = numbers(200)
    # A call cut off by the kill never reaches its last INVITE; SIPp goes on until it is stopped.
    with SippGateway(by_number(max_call_s=5), calls=1000, timeout_s=110) as gateway:
        campaign = world.campaign(gateway.address, dialled)
        for kill_after in (25, 90):
            with world.service() as service:
                wait_until(
                    lambda: gateway.count("INVITE") >= kill_after,  # noqa: B023 -- called before the next turn
                    what="calls in the air",
                    timeout_s=30,
                )
                service.kill_all(processes=5)
        with world.service():
            world.wait_finished(campaign, timeout_s=60)
        invites = gateway.invites_by_number
    dispositions = world.dispositions(campaign)
    assert sorted(dispositions) == dialled
    interrupted = {number for number, how in dispositions.items() if how is Disposition.INTERRUPTED}
    assert interrupted
    assert len(interrupted) < 120
    assert max(invites.values()) == 1
    assert {number for number in dialled if invites[number] == 0} <= interrupted
    rest = set(dialled) - interrupted
    assert {number: dispositions[number] for number in rest} == {n: EXPECTED[behaviour_of(n)] for n in rest}


def test_busy_is_tried_again_by_its_rule_and_then_given_up(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data")
    retry = {**NO_RETRIES, "busy": RetryRule(after_s=0.3, times=2)}
    with SippGateway(by_number(), calls=3, timeout_s=40) as gateway:
        campaign = world.campaign(gateway.address, ["70000000002"], retry=retry)
        with world.dialer():
            world.wait_finished(campaign, timeout_s=30)
        dialled = [request.call_id for request in gateway.requests if request.method == "INVITE"]
    calls = world.records(campaign)["70000000002"]
    assert [call.attempt for call in calls] == [1, 2, 3]
    assert [call.next_rule for call in calls] == ["busy", "busy", "retries_used"]
    assert dialled == [str(call.id) for call in calls]
    assert len(set(dialled)) == 3


def refuses_every_password() -> Scenario:
    challenge = 'WWW-Authenticate: Digest realm="r", nonce="n{}", qop="auth", algorithm=MD5'
    body = s.sequence(
        s.receive_invite(),
        s.respond(401, extra=[challenge.format(1)], retransmit_ms=500),
        s.receive_logged("ACK"),
        s.receive_logged("INVITE"),
        s.respond(401, extra=[challenge.format(2)], retransmit_ms=500),
        s.receive_logged("ACK"),
    )
    return Scenario(name="refuses_every_password", body=body)


def test_a_trunk_that_refuses_its_password_stops_burning_numbers_at_once_and_says_why(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data")
    with SippGateway(refuses_every_password(), calls=50, timeout_s=40) as gateway:
        campaign = world.campaign(gateway.address, numbers(50), cps=10)
        trunk = campaign.trunk_keys[0]
        with world.dialer():
            wait_until(
                lambda: (status := world.store.live.trunk(trunk)) is not None and status.breaker_state == "resting",
                what="the trunk to rest",
                timeout_s=20,
            )
            wait_until(
                lambda: not world.store.campaigns.progress(campaign.key).active_calls, what="the last call to end"
            )
    status = world.store.live.trunk(trunk)
    assert status is not None
    assert "password" in (status.breaker_cause or "")
    records = world.records(campaign)
    assert 1 <= len(records) <= 5
    assert {call.outcome.cause for calls in records.values() for call in calls if call.outcome} == {Cause.AUTH_FAILED}


def test_a_trunk_on_a_closed_port_burns_five_numbers_at_most_and_says_why(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data")
    campaign = world.campaign((LOCALHOST, free_port()), numbers(50), cps=50)
    trunk = campaign.trunk_keys[0]
    with world.dialer():
        wait_until(
            lambda: (status := world.store.live.trunk(trunk)) is not None and status.breaker_state == "resting",
            what="the trunk to rest",
            timeout_s=20,
        )
    status = world.store.live.trunk(trunk)
    assert status is not None
    assert status.breaker_until is not None
    assert "cannot be reached" in (status.breaker_cause or "")
    calls = [call for calls in world.records(campaign).values() for call in calls]
    assert len(calls) == 5
    assert {call.outcome.cause for call in calls if call.outcome} == {Cause.TRANSPORT_ERROR}


def test_sigterm_lets_live_calls_finish_and_starts_no_new_one(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data", sound_s=2.0)
    with SippGateway(by_number({"0": Behaviour.ANSWER}), calls=100, timeout_s=40) as gateway:
        campaign = world.campaign(gateway.address, numbers(100), cps=10)
        with world.dialer() as dialer:
            gateway.wait_for("ACK", count=5)
            dialer.running.send_signal(signal.SIGTERM)
            assert dialer.running.wait(at_most(15)) == 0
        dispositions = world.dispositions(campaign)
        assert set(dispositions.values()) == {Disposition.ANSWERED}
        assert gateway.invites_by_number.keys() == dispositions.keys()
        assert {outcome_of(world, campaign, number).played_share for number in dispositions} == {1.0}
    assert world.store.live.dialer() is None


def test_a_second_sigterm_hangs_up_at_once(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data", sound_s=30.0)
    with SippGateway(by_number({"0": Behaviour.ANSWER}), calls=3, timeout_s=40) as gateway:
        campaign = world.campaign(gateway.address, ["70000000010", "70000000020", "70000000030"])
        with world.dialer() as dialer:
            gateway.wait_for("ACK", count=3)
            dialer.running.send_signal(signal.SIGTERM)
            wait_until(lambda: "draining" in dialer.log.read_text(), what="the drain")
            assert gateway.count("BYE") == 0
            dialer.running.send_signal(signal.SIGTERM)
            assert dialer.running.wait(at_most(5)) == 0
        gateway.expect_success(timeout_s=5)
        assert gateway.count("BYE") == 3
    assert set(world.dispositions(campaign).values()) == {Disposition.ANSWERED}


def test_a_second_dialer_on_the_same_data_says_so_and_exits(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data")
    with world.dialer():
        wait_until(lambda: world.store.live.dialer() is not None, what="the first dialer")
        with world.dialer() as second:
            assert second.running.wait(at_most(20)) == 2
        assert "Another dialer already works on" in second.log.read_text()
        assert world.store.live.dialer() is not None


def test_a_dialer_whose_parent_is_gone_hangs_up_every_call_within_two_seconds(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data", sound_s=20.0)
    table = {"0": Behaviour.RINGS, "1": Behaviour.ANSWER}
    dialled = [f"7000000{number:03d}{number % 2}" for number in range(10)]
    with SippGateway(by_number(table), calls=10, timeout_s=40) as gateway:
        campaign = world.campaign(gateway.address, dialled, ring_timeout_s=30)
        with world.dialer() as dialer:
            gateway.wait_for("ACK", count=5)
            wait_until(lambda: gateway.count("INVITE") == 10, what="all INVITEs")
            assert dialer.running.stdin
            dialer.running.stdin.close()
            assert dialer.running.wait(at_most(5)) == 0
        gateway.expect_success(timeout_s=10)
        assert gateway.count("BYE") == 5
        assert gateway.count("CANCEL") == 5
    records = world.records(campaign)
    ends = {number: calls[0].outcome.disposition for number, calls in records.items() if calls[0].outcome}
    assert ends == {n: Disposition.ANSWERED if n.endswith("1") else Disposition.CANCELLED for n in dialled}


@pytest.mark.parametrize(
    ("code", "headers", "disposition"),
    [
        (403, ["Reason: Q.850;cause=21"], Disposition.REJECTED),
        (503, ["Reason: Q.850;cause=17", "Retry-After: 600"], Disposition.BUSY),
        (480, ["Reason: Q.850;cause=1"], Disposition.INVALID_NUMBER),
    ],
)
def test_what_the_networks_cause_says_about_callees_rests_no_trunk(
    tmp_path: Path, code: int, headers: list[str], disposition: Disposition
) -> None:
    world = World.make(tmp_path / "data")
    dialled = numbers(12)
    with SippGateway(gateways.final(code, progress=(100,), extra=headers), calls=12, timeout_s=40) as gateway:
        campaign = world.campaign(gateway.address, dialled, retry=NO_RETRIES)
        with world.dialer():
            world.wait_finished(campaign, timeout_s=30)
        assert gateway.invites_by_number == dict.fromkeys(dialled, 1)
    assert world.dispositions(campaign) == dict.fromkeys(dialled, disposition)
    status = world.store.live.trunk(campaign.trunk_keys[0])
    assert status is not None and status.breaker_state == "closed"


@pytest.mark.parametrize(("code", "rule"), [(486, "busy"), (480, "no_answer")])
def test_a_callee_that_asks_to_be_called_later_is_called_later(tmp_path: Path, code: int, rule: str) -> None:
    world = World.make(tmp_path / "data")
    refusal = gateways.final(code, progress=(180,), extra=["Retry-After: 3"])
    with SippGateway(refusal, calls=2, timeout_s=40) as gateway:
        campaign = world.campaign(
            gateway.address, ["70000000002"], retry={**NO_RETRIES, rule: RetryRule(after_s=0.3, times=1)}
        )
        with world.dialer():
            world.wait_finished(campaign, timeout_s=30)
    first, second = (call.outcome for call in world.records(campaign)["70000000002"])
    assert first is not None and second is not None
    assert (second.invited_at - first.ended_at).total_seconds() >= 2.9


@pytest.mark.parametrize(
    ("code", "cause", "rule"), [(603, 16, "no_answer"), (603, 0, "no_answer"), (404, 3, "no_answer"), (503, 17, "busy")]
)
def test_what_the_networks_cause_says_decides_the_retry(tmp_path: Path, code: int, cause: int, rule: str) -> None:
    world = World.make(tmp_path / "data")
    refusal = gateways.final(code, progress=(100,), extra=[f"Reason: Q.850;cause={cause}"])
    with SippGateway(refusal, calls=2, timeout_s=40) as gateway:
        campaign = world.campaign(
            gateway.address, ["70000000002"], retry={**NO_RETRIES, rule: RetryRule(after_s=0.3, times=1)}
        )
        with world.dialer():
            world.wait_finished(campaign, timeout_s=30)
    assert [call.next_rule for call in world.records(campaign)["70000000002"]] == [rule, "retries_used"]

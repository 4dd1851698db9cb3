"""How many jobs of which campaign may start on which trunk."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from autodialer.campaign.scheduler import Scheduler
from autodialer.model import Campaign, Cause, ClaimRequest, Disposition, Trunk
from tests.campaign.factories import NOW, campaign, job, outcome


def trunk(key: int = 1, **changes: Any) -> Trunk:
    values: dict[str, Any] = {
        "key": key,
        "id": UUID(int=key),
        "owner_key": 1,
        "name": f"trunk {key}",
        "host": "127.0.0.1",
        "port": 5060,
        "transport": "udp",
        "username": "u",
        "password": "p",
        "auth_username": None,
        "domain": None,
        "caller_id": None,
        "number_format": "{e164}",
        "max_channels": 10,
        "cps": 100.0,
        "codecs": ("PCMA",),
        "created_at": NOW,
    }
    return Trunk(**(values | changes))


def scheduler(campaigns: list[Campaign], *trunks: Trunk) -> Scheduler:
    made = Scheduler()
    made.update(campaigns, {each.key: each for each in trunks})
    return made


def call(number: int, campaign_key: int = 1, trunk_key: int = 1) -> Any:
    return job(key=number, call_id=UUID(int=number), campaign_key=campaign_key, trunk_key=trunk_key)


def test_the_first_call_may_start_at_once_and_the_second_after_the_rate() -> None:
    plan = scheduler([campaign(cps=2.0)], trunk())
    assert plan.requests(0.0, {1: 250}) == [ClaimRequest(campaign_key=1, trunk_key=1, limit=1)]
    plan.started(call(1), 0.0)
    assert plan.requests(0.4, {1: 250}) == []
    assert plan.requests(0.5, {1: 250}) == [ClaimRequest(campaign_key=1, trunk_key=1, limit=1)]


def test_channels_are_never_exceeded_and_free_themselves_once() -> None:
    plan = scheduler([campaign(cps=1000.0, max_channels=2)], trunk(cps=1000.0))
    for number in (1, 2):
        plan.started(call(number), float(number))
    assert plan.requests(10.0, {1: 250}) == []
    plan.ended(call(1), outcome(Disposition.BUSY), 10.0)
    plan.ended(call(1), outcome(Disposition.BUSY), 10.0)
    assert plan.requests(11.0, {1: 250})[0].limit == 1


def test_two_campaigns_share_a_trunk_and_take_turns() -> None:
    both = [campaign(key=1, cps=1000.0), campaign(key=2, cps=1000.0)]
    plan = scheduler(both, trunk(max_channels=1, cps=1000.0))
    first = [plan.requests(float(now), {1: 250})[0].campaign_key for now in range(4)]
    assert sorted(first) == [1, 1, 2, 2]
    assert first[0] != first[1]


def test_a_campaign_falls_over_to_its_next_trunk_while_the_first_rests() -> None:
    plan = scheduler([campaign(trunk_keys=(1, 2), cps=100.0)], trunk(1), trunk(2))
    assert plan.requests(0.0, {1: 250, 2: 250})[0].trunk_key == 1
    plan.started(call(1), 0.0)
    refused = outcome(Disposition.FAILED, cause=Cause.AUTH_FAILED, sip_code=401)
    assert plan.ended(call(1), refused, 0.0)
    assert plan.requests(1.0, {1: 250, 2: 250})[0].trunk_key == 2


def test_a_trunk_without_phones_gets_nothing() -> None:
    plan = scheduler([campaign()], trunk())
    assert plan.requests(0.0, {}) == []


def test_the_state_of_a_resting_trunk_tells_until_when_and_why() -> None:
    plan = scheduler([campaign()], trunk())
    plan.started(call(1), 100.0)
    plan.ended(call(1), outcome(Disposition.FAILED, cause=Cause.AUTH_FAILED, sip_code=401), 100.0)
    (status,) = plan.statuses(100.0, NOW)
    assert status.breaker_state == "resting"
    assert status.breaker_until == datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)
    assert "password" in (status.breaker_cause or "")


def test_changed_limits_hold_at_once_and_calls_in_progress_keep_their_channels() -> None:
    plan = scheduler([campaign(cps=1000.0)], trunk(cps=1000.0))
    for number in range(5):
        plan.started(call(number), 0.0)
    plan.rang(call(0))
    plan.update([replace(campaign(cps=1000.0), max_channels=3)], {1: trunk(cps=1000.0)})
    assert plan.requests(5.0, {1: 250}) == []


def test_a_call_that_never_left_gives_its_channel_back_and_says_nothing_of_the_trunk() -> None:
    plan = scheduler([campaign(max_channels=1)], trunk())
    plan.requests(0.0, {1: 250})
    plan.started(call(1), 0.0)
    plan.unstarted(call(1))
    assert plan.requests(5.0, {1: 250})[0].limit == 1

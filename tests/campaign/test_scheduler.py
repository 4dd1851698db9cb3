"""How many jobs of which campaign may start on which trunk."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from autodialer.campaign.scheduler import Ended, Scheduler
from autodialer.model import CallOutcome, Campaign, CampaignLimit, Cause, ClaimRequest, Disposition, Trunk
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
    made.update(campaigns, {each.key: each for each in trunks}, 0.0)
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
    turns = []
    for now in range(6):
        (request,) = plan.requests(float(now), {1: 250})
        turns.append(request.campaign_key)
        plan.started(call(now, campaign_key=request.campaign_key), float(now))
        plan.ended(call(now, campaign_key=request.campaign_key), outcome(Disposition.BUSY), float(now))
    assert turns == [1, 2, 1, 2, 1, 2]


def test_a_slow_trunk_is_shared_evenly_however_often_it_is_looked_at() -> None:
    """A token comes every 50 looks: whose turn it is must not hang on the count of looks."""
    both = [campaign(key=key, cps=1000.0, max_channels=100) for key in (1, 2)]
    plan = scheduler(both, trunk(cps=1.0, max_channels=100))
    plan.rang(call(0))
    starts = {1: 0, 2: 0}
    for look in range(2000):
        now = look * 0.02
        for request in plan.requests(now, {1: 250}):
            starts[request.campaign_key] += request.limit
            for index in range(request.limit):
                made = call(look * 10 + index + 1, campaign_key=request.campaign_key)
                plan.started(made, now)
                plan.rang(made)
    assert abs(starts[1] - starts[2]) <= 1
    assert sum(starts.values()) == 40


def test_a_campaign_that_comes_later_gets_half_and_not_what_the_other_had_before() -> None:
    plan = scheduler([campaign(key=1, cps=1000.0)], trunk(cps=1000.0, max_channels=1))
    turns = []
    for now in range(30):
        if now == 20:
            plan.update([campaign(key=1, cps=1000.0), campaign(key=2, cps=1000.0)], {1: trunk(max_channels=1)}, 20.0)
        (request,) = plan.requests(float(now), {1: 250})
        turns.append(request.campaign_key)
        made = call(now, campaign_key=request.campaign_key)
        plan.started(made, float(now))
        plan.ended(made, outcome(Disposition.BUSY), float(now))
    assert turns[:20] == [1] * 20
    assert abs(turns[20:].count(1) - turns[20:].count(2)) <= 2


def test_a_full_trunk_leaves_the_rest_to_the_next_one() -> None:
    plan = scheduler([campaign(trunk_keys=(1, 2), cps=1000.0, max_channels=50)], trunk(1, max_channels=2), trunk(2))
    assert plan.requests(0.0, {1: 250, 2: 250})[0].trunk_key == 1
    for number in range(2):
        plan.started(call(number), 0.0)
        plan.rang(call(number))
    (request,) = plan.requests(1.0, {1: 250, 2: 250})
    assert request.trunk_key == 2


def test_what_holds_a_campaign_is_told() -> None:
    slow = campaign(key=1, cps=0.1)
    plan = scheduler([slow], trunk())
    plan.requests(0.0, {1: 250})
    plan.started(call(1), 0.0)
    for look in range(1, 50):
        plan.requests(look * 0.02, {1: 250})
    (status,) = plan.campaign_statuses(NOW)
    assert status.limited_by is CampaignLimit.CAMPAIGN_CPS
    assert status.until is not None
    assert 8 < (status.until - NOW).total_seconds() <= 10
    assert plan.campaign_statuses(NOW)[0].limited_by is None
    plan.update([replace(slow, cps=1000.0, max_channels=1)], {1: trunk()}, 1.0)
    plan.requests(1.0, {1: 250})
    assert plan.campaign_statuses(NOW)[0].limited_by is CampaignLimit.CAMPAIGN_CHANNELS
    plan.update([replace(slow, cps=1000.0)], {1: trunk(max_channels=1)}, 2.0)
    plan.requests(2.0, {1: 250})
    assert plan.campaign_statuses(NOW)[0].limited_by is CampaignLimit.TRUNK_CHANNELS
    plan.requests(3.0, {})
    assert plan.campaign_statuses(NOW)[0].limited_by is CampaignLimit.NO_TRUNK


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
    plan.update([replace(campaign(cps=1000.0), max_channels=3)], {1: trunk(cps=1000.0)}, 1.0)
    assert plan.requests(5.0, {1: 250}) == []


def test_a_call_that_never_left_gives_its_channel_back_and_says_nothing_of_the_trunk() -> None:
    plan = scheduler([campaign(max_channels=1)], trunk())
    plan.requests(0.0, {1: 250})
    plan.started(call(1), 0.0)
    plan.unstarted(call(1))
    assert plan.requests(5.0, {1: 250})[0].limit == 1


def test_pausing_and_resuming_brings_no_call_ahead_of_the_rate() -> None:
    slow = campaign(cps=0.2)
    plan = scheduler([slow], trunk(cps=0.2))
    plan.requests(0.0, {1: 250})
    plan.started(call(1), 0.0)
    plan.ended(call(1), outcome(Disposition.BUSY), 1.0)
    plan.update([], {}, 1.0)
    plan.update([slow], {1: trunk(cps=0.2)}, 2.0)
    assert plan.requests(2.0, {1: 250}) == []
    plan.update([], {}, 3.0)
    plan.update([slow], {1: trunk(cps=0.2)}, 5.1)
    assert plan.requests(5.1, {1: 250}) != []


REFUSED = outcome(Disposition.FAILED, cause=Cause.FORBIDDEN, sip_code=403)
FULL = outcome(Disposition.CONGESTION, sip_code=503)


def end(plan: Scheduler, number: int, how: CallOutcome, *, subscriber: int) -> Ended:
    made = replace(call(number), subscriber_key=subscriber)
    plan.started(made, 0.0)
    return plan.ended(made, how, 0.0)


def is_of_number(ended: Ended) -> bool:
    assert ended.fault is not None
    return ended.fault.of_number


def test_a_refusal_is_the_trunks_fault_until_five_others_have_got_through_since_the_last_one() -> None:
    plan = scheduler([campaign()], trunk())
    assert not is_of_number(end(plan, 1, REFUSED, subscriber=1))
    assert not is_of_number(end(plan, 2, REFUSED, subscriber=1)), "nobody else has got through"
    for number in range(3, 7):
        assert end(plan, number, outcome(Disposition.BUSY), subscriber=number).fault is None
    assert not is_of_number(end(plan, 8, REFUSED, subscriber=1)), "four may have been between two outages"
    for number in range(9, 14):
        end(plan, number, outcome(Disposition.BUSY), subscriber=number)
    assert is_of_number(end(plan, 15, REFUSED, subscriber=1))


def test_congestion_always_has_its_own_budget() -> None:
    plan = scheduler([campaign()], trunk())
    assert [is_of_number(end(plan, number, FULL, subscriber=1)) for number in range(1, 9)] == [True] * 8


def test_a_change_that_may_mend_a_trunk_ends_its_rest_and_others_do_not() -> None:
    plan, present = scheduler([campaign()], trunk()), trunk()
    end(plan, 1, outcome(Disposition.FAILED, cause=Cause.AUTH_FAILED, sip_code=401), subscriber=1)
    assert plan.requests(1.0, {1: 250}) == []
    for change in ({"max_channels": 20}, {"cps": 50.0}, {"name": "new"}, {"price_per_min": 1.0}):
        present = replace(present, **change)  # type: ignore[arg-type]
        plan.update([campaign()], {1: present}, 1.0)
        assert plan.requests(1.0, {1: 250}) == [], change
    plan.update([campaign()], {1: replace(present, password="right")}, 1.0)
    assert len(plan.requests(2.0, {1: 250})) == 1
    [status] = plan.statuses(2.0, NOW)
    assert (status.breaker_state, status.breaker_cause) == ("closed", None)


def test_a_call_that_left_before_the_trunk_was_woken_says_nothing_of_it() -> None:
    plan = scheduler([campaign(max_channels=20, cps=100.0)], trunk())
    old = call(1)
    plan.started(old, 0.0)
    plan.wake(1)
    auth_failed = outcome(Disposition.FAILED, cause=Cause.AUTH_FAILED, sip_code=401)
    assert plan.ended(old, auth_failed, 1.0).trunk_changed is False
    [status] = plan.statuses(1.0, NOW)
    assert status.breaker_state == "closed"


def test_a_woken_trunk_has_to_prove_itself() -> None:
    plan = scheduler([campaign(max_channels=99, cps=1000.0)], trunk(max_channels=99, cps=1000.0))
    end(plan, 1, outcome(Disposition.BUSY), subscriber=1)
    plan.requests(0.0, {1: 250})
    assert sum(request.limit for request in plan.requests(9.0, {1: 250})) > 5
    plan.wake(1)
    assert sum(request.limit for request in plan.requests(9.0, {1: 250})) == 5


def test_a_campaign_without_limits_takes_what_its_trunks_allow_and_they_are_named() -> None:
    plan = scheduler([campaign(cps=None, max_channels=None)], trunk(cps=20.0, max_channels=3))
    plan.requests(0.0, {1: 250})
    [request] = plan.requests(0.1, {1: 250})
    assert request.limit == 3
    for number in range(3):
        plan.started(call(number), 0.1)
    assert plan.requests(9.0, {1: 250}) == []
    plan.campaign_statuses(NOW)
    plan.requests(9.0, {1: 250})
    [status] = plan.campaign_statuses(NOW)
    assert status.limited_by is CampaignLimit.TRUNK_CHANNELS


def test_limits_may_be_set_and_taken_away_while_it_runs() -> None:
    plan = scheduler([campaign(cps=None, max_channels=None)], trunk(cps=1000.0, max_channels=50))
    plan.requests(0.0, {1: 250})
    plan.update([campaign(cps=2.0, max_channels=5)], {1: trunk(cps=1000.0, max_channels=50)}, 1.0)
    assert plan.requests(1.0, {1: 250})[0].limit == 1
    plan.update([campaign(cps=None, max_channels=5)], {1: trunk(cps=1000.0, max_channels=50)}, 2.0)
    assert plan.requests(2.0, {1: 250})[0].limit == 5

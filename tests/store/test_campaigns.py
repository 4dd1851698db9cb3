"""Campaigns: states, limits, stopping, sample calls, and what the dialer and the API tell each other."""

from uuid import uuid4

import pytest

from autodialer.errors import Conflict, Invalid, NotFound
from autodialer.model import (
    CAMPAIGN_TRANSITIONS,
    CampaignState,
    Command,
    Disposition,
    JobState,
    RetryRule,
    TrunkSettings,
    TrunkStatus,
)
from autodialer.store import NewSubscriber
from autodialer.store.campaigns.campaigns import Campaigns
from tests.store.world import EXHAUSTED, StandingClock, World, number

DEEDS = {
    "start": lambda part, campaign: part.start(campaign.id, None),
    "pause": lambda part, campaign: part.pause(campaign.id, None),
    "resume": lambda part, campaign: part.resume(campaign.id, None),
    "stop": lambda part, campaign: part.stop(campaign.id, None, hangup=False),
}
ALLOWED = {
    ("draft", "start"): "running",
    ("running", "pause"): "paused",
    ("running", "stop"): "stopped",
    ("paused", "resume"): "running",
    ("paused", "stop"): "stopped",
}
WAYS = {
    "draft": [],
    "running": ["start"],
    "paused": ["start", "pause"],
    "stopped": ["start", "stop"],
    "finished": ["start"],
}


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("state", WAYS)
def test_a_campaign_changes_its_state_only_along_its_arrows(world: World, state: str, deed: str) -> None:
    part: Campaigns = world.store.campaigns
    campaign = world.draft(world.callbase(0 if state == "finished" else 2))
    for step in WAYS[state]:
        DEEDS[step](part, campaign)
    if state == "finished":
        assert world.store.queue.finish_campaigns(world.clock.now) == [campaign.id]
    assert part.get(campaign.id, None).state == state
    if (state, deed) in ALLOWED:
        after = DEEDS[deed](part, campaign)
        assert after.state == ALLOWED[state, deed]
        assert after.state in CAMPAIGN_TRANSITIONS[CampaignState(state)]
        assert part.get(campaign.id, None) == after
    else:
        with pytest.raises(Conflict, match=f"The campaign (is |was )?{state}.* can(not)? be "):
            DEEDS[deed](part, campaign)


def test_a_campaign_is_read_back_as_it_was_made(world: World) -> None:
    second = world.store.trunks.create(world.user.key, TrunkSettings(name="second", host="h"))
    callbase = world.callbase()
    made = world.store.campaigns.create(
        world.user.key,
        name="Напоминание",
        trunk_keys=[second.key, world.trunk.key],
        sound_key=world.sound.key,
        callbase_key=callbase.key,
        caller_id="+442079460000",
        max_channels=7,
        cps=2.5,
        min_played_s=3.0,
        retry={"busy": RetryRule(after_s=5, times=1)},
    )
    assert world.store.campaigns.get(made.id, world.user.key) == made
    assert (made.trunk_ids, made.sound_id, made.callbase_id) == (
        (second.id, world.trunk.id),
        world.sound.id,
        callbase.id,
    )
    assert made.retry == {"busy": RetryRule(after_s=5, times=1)}
    assert (made.max_channels, made.cps, made.max_attempts, made.caller_id) == (7, 2.5, 3, "+442079460000")
    assert world.draft(callbase).retry == {}
    listed, _ = world.store.campaigns.page(world.user.key)
    assert listed[0] == made


def test_a_campaign_needs_a_trunk(world: World) -> None:
    with pytest.raises(Invalid) as caught:
        world.store.campaigns.create(
            world.user.key, name="c", trunk_keys=[], sound_key=world.sound.key, callbase_key=world.callbase().key
        )
    assert caught.value.field == "trunk_ids"


def test_starting_and_ending_leave_their_times(world: World, clock: StandingClock) -> None:
    campaign = world.running()
    assert campaign.started_at == clock.now and campaign.finished_at is None
    later = clock.move(minutes=5)
    assert world.store.campaigns.stop(campaign.id, None, hangup=False).finished_at == later


def test_the_limits_of_a_campaign_change_until_it_ends(world: World) -> None:
    campaign = world.running()
    assert world.store.campaigns.update(campaign.id, None, cps=4.0).cps == 4.0
    changed = world.store.campaigns.update(campaign.id, world.user.key, max_channels=3)
    assert (changed.cps, changed.max_channels) == (4.0, 3)
    [running] = world.store.queue.running_campaigns()
    assert running == changed
    world.store.campaigns.stop(campaign.id, None, hangup=False)
    with pytest.raises(Conflict):
        world.store.campaigns.update(campaign.id, None, cps=1.0)
    with pytest.raises(NotFound):
        world.store.campaigns.update(campaign.id, world.other.key, cps=1.0)


def test_the_counts_follow_every_subscriber(world: World) -> None:
    campaign = world.running(5)
    assert world.states(campaign) == {"total": 5, "pending": 5}
    first, second, third = world.claim(campaign, 3)
    assert world.states(campaign) == {"total": 5, "pending": 2, "in_progress": 3}
    assert world.store.campaigns.progress(campaign.key).active_calls == 3
    assert [call.id for call in world.store.calls.live(campaign.key)] == [first.call_id, second.call_id, third.call_id]
    world.record(
        world.result(first, Disposition.ANSWERED),
        world.result(second, Disposition.BUSY, world.again("busy")),
        world.result(third, Disposition.INVALID_NUMBER, EXHAUSTED),
    )
    assert world.states(campaign) == {"total": 5, "pending": 2, "in_progress": 1, "reached": 1, "exhausted": 1}
    assert world.store.campaigns.progress(campaign.key).dispositions == {"answered": 1, "busy": 1, "invalid_number": 1}
    assert world.store.campaigns.progress(campaign.key).active_calls == 0
    assert world.store.campaigns.progress(campaign.key).next_due == world.clock.now


def test_stopping_cancels_what_is_queued_and_lets_live_calls_end(world: World) -> None:
    campaign = world.running(4)
    live, waiting = world.claim(campaign, 2)
    world.record(world.result(waiting, Disposition.BUSY, world.again("busy")))
    stopped = world.store.campaigns.stop(campaign.id, None, hangup=False)
    assert stopped.state is CampaignState.STOPPED
    assert world.store.commands.new() == []
    assert world.store.campaigns.progress(campaign.key).next_due is None
    assert world.states(campaign) == {"total": 4, "pending": 2, "in_progress": 1, "exhausted": 1}
    world.record(world.result(live, Disposition.BUSY, world.again("busy")))
    assert world.states(campaign) == {"total": 4, "pending": 2, "exhausted": 2}
    ended = world.store.calls.get(live.call_id, None)
    assert (ended.next_at, ended.next_rule) == (None, "stopped")
    assert world.store.queue.dialing_counts() == {}
    assert world.claim(campaign) == []


def test_stopping_with_hangup_tells_the_dialer(world: World) -> None:
    campaign = world.running(1)
    world.claim(campaign)
    world.store.campaigns.stop(campaign.id, world.user.key, hangup=True)
    assert world.store.commands.new() == [
        Command(key=1, kind="hangup_campaign", campaign_key=campaign.key, call_id=None)
    ]


def test_stopping_cancels_many_jobs_in_batches(world: World) -> None:
    campaign = world.running(1200)
    for _ in range(3):
        world.store.queue.enqueue_due(world.clock.now, batch=1200)
    world.store.campaigns.stop(campaign.id, None, hangup=False)
    assert world.store.campaigns.progress(campaign.key).next_due is None
    assert world.states(campaign) == {"total": 1200, "pending": 1200}


def test_a_campaign_that_has_ended_does_not_grow_with_its_callbase(world: World) -> None:
    campaign = world.running(2)
    world.record(*[world.result(job, Disposition.ANSWERED) for job in world.claim(campaign)])
    assert world.store.queue.finish_campaigns(world.clock.now) == [campaign.id]
    world.store.subscribers.add(campaign.callbase_id, None, NewSubscriber(number=number(9)))
    assert world.states(campaign) == {"total": 2, "reached": 2}


def test_a_sample_call_is_queued_at_once_and_seen_by_its_id(world: World) -> None:
    call_id = world.store.campaigns.create_sample_call(
        world.user.key, trunk_key=world.trunk.key, sound_key=world.sound.key, number="*100#"
    )
    queued = world.store.calls.get(call_id, world.user.key)
    assert (queued.state, queued.number, queued.attempt, queued.outcome) == (JobState.QUEUED, "*100#", 1, None)
    with pytest.raises(NotFound):
        world.store.calls.get(call_id, world.other.key)
    [campaign] = world.store.queue.running_campaigns()
    assert campaign.hidden and campaign.max_attempts == 1
    [job] = world.claim(campaign)
    assert job.call_id == call_id and job.number == "*100#"
    assert world.store.calls.get(call_id, None).state is JobState.DIALING
    world.record(world.result(job, Disposition.ANSWERED))
    ended = world.store.calls.get(call_id, None)
    assert ended.state is JobState.DONE and ended.outcome is not None
    assert world.store.queue.finish_campaigns(world.clock.now) == [campaign.id]


def test_a_cancelled_sample_call_is_not_dialled_again(world: World) -> None:
    world.store.campaigns.create_sample_call(
        world.user.key, trunk_key=world.trunk.key, sound_key=world.sound.key, number="100"
    )
    [campaign] = world.store.queue.running_campaigns()
    [job] = world.claim(campaign)
    world.record(world.result(job, Disposition.CANCELLED, world.again("cancelled", counts=False)))
    assert world.store.campaigns.progress(campaign.key).next_due is None
    assert world.store.queue.finish_campaigns(world.clock.now) == [campaign.id]


def test_a_command_stays_until_it_is_taken(world: World, clock: StandingClock) -> None:
    call_id = uuid4()
    world.store.commands.add("hangup_call", call_id=call_id)
    world.store.commands.add("hangup_campaign", campaign_key=world.running(1).key)
    taken = world.store.commands.new()
    assert world.store.commands.new() == taken, "what was not obeyed is still there"
    assert [(command.kind, command.call_id) for command in taken] == [
        ("hangup_call", call_id),
        ("hangup_campaign", None),
    ]
    world.store.commands.take([command.key for command in taken])
    assert world.store.commands.new() == []
    clock.move(days=2)
    world.store.commands.add("hangup_call", call_id=call_id)
    [later] = world.store.commands.new()
    assert later.key > taken[1].key


def test_the_api_reads_what_the_dialer_wrote_last(world: World, clock: StandingClock) -> None:
    live = world.store.live
    assert live.trunk(world.trunk.key) is None and live.dialer() is None
    live.write_trunks([])
    live.write_trunks([TrunkStatus(trunk_key=world.trunk.key, breaker_state="closed", active_calls=3)])
    resting = TrunkStatus(
        trunk_key=world.trunk.key,
        breaker_state="resting",
        breaker_until=clock.now,
        breaker_cause="five calls in a row had no response",
    )
    live.write_trunks([resting])
    assert live.trunk(world.trunk.key) == resting
    assert live.trunks() == {world.trunk.key: resting}


def test_a_dialer_is_alive_as_long_as_it_says_so(world: World, clock: StandingClock) -> None:
    live = world.store.live
    live.heartbeat("a", 100)
    started = clock.now
    clock.move(seconds=4)
    live.heartbeat("a", 100)
    clock.move(seconds=4)
    seen = live.dialer(within_s=5)
    assert seen is not None and (seen.instance, seen.pid, seen.started_at) == ("a", 100, started)
    clock.move(seconds=2)
    assert live.dialer(within_s=5) is None
    live.heartbeat("b", 101)
    live.goodbye("b")
    assert live.dialer() is None

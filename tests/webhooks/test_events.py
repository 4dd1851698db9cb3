"""What happens is written down in the transaction that makes it happen, and only where somebody wants to know."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from autodialer.errors import Conflict
from autodialer.model import CampaignState, Disposition, TrunkSettings, TrunkStatus
from autodialer.model.webhooks import EventKind
from autodialer.sip.events import RegistrationStanding
from autodialer.store import RejectedRow, WebhookSettings
from autodialer.webhooks.payloads import NAMES
from tests.store.world import World
from tests.webhooks.conftest import Hooks

URL = "https://crm.example/hook"


def kinds(world: World) -> list[str]:
    return [event.kind.value for event in world.store.events.oldest(100)]


def end_call(world: World, *, campaign: Any = None, disposition: Disposition = Disposition.ANSWERED) -> Any:
    campaign = campaign or world.running(1)
    (job,) = world.claim(campaign, 1)
    world.record(world.result(job, disposition))
    return campaign


def test_without_a_webhook_nothing_is_written_down(world: World) -> None:
    campaign = end_call(world)
    world.store.queue.finish_campaigns(world.clock.now)
    world.store.dnc.opt_out("+442079460000", world.user.key, campaign.id)
    world.store.live.write_trunks([TrunkStatus(trunk_key=world.trunk.key, breaker_state="resting")])
    assert kinds(world) == []


@pytest.mark.parametrize("kind", EventKind)
def test_a_webhook_is_told_of_the_events_that_it_names_and_of_no_others(
    world: World, hooks: Hooks, kind: EventKind
) -> None:
    hooks.make(URL, kind)
    campaign = end_call(world)
    world.store.queue.finish_campaigns(world.clock.now)
    world.store.dnc.opt_out("+442079460000", world.user.key, campaign.id)
    world.store.live.write_trunks([TrunkStatus(trunk_key=world.trunk.key, breaker_state="resting")])
    _make_ceiling(world, hooks)
    assert set(kinds(world)) == {kind}
    hooks.fan_out()
    assert {delivery.kind for delivery in hooks.deliveries()} == {kind}
    assert kinds(world) == []


def test_an_inactive_webhook_is_told_nothing(world: World, hooks: Hooks) -> None:
    hooks.make(URL, active=False)
    end_call(world)
    assert kinds(world) == []


def test_a_webhook_of_one_campaign_hears_of_that_one_only(world: World, hooks: Hooks) -> None:
    mine, other = world.running(1), world.running(1)
    hooks.make(URL, campaign=mine)
    end_call(world, campaign=other)
    assert kinds(world) == []
    end_call(world, campaign=mine)
    assert kinds(world) == ["call.ended"]


def test_a_webhook_of_another_user_hears_nothing(world: World, hooks: Hooks) -> None:
    world.store.webhooks.create(world.other.key, WebhookSettings(url=URL, events=tuple(EventKind)), secret=b"x" * 32)
    end_call(world)
    world.store.queue.finish_campaigns(world.clock.now)
    _make_trunk(world, hooks)
    hooks.fan_out()
    assert hooks.deliveries() == []


def _pause_twice(world: World, campaign: Any) -> None:
    with world.store.transaction():
        world.store.campaigns.pause(campaign.id, world.user.key)
        world.store.campaigns.pause(campaign.id, world.user.key)


def test_an_event_is_undone_with_what_it_tells(world: World, hooks: Hooks) -> None:
    hooks.make(URL)
    campaign = world.running(1)
    hooks.fan_out()
    with pytest.raises(Conflict):
        _pause_twice(world, campaign)
    assert kinds(world) == []


def test_a_campaign_tells_each_of_its_states_and_who_changed_it(world: World, hooks: Hooks) -> None:
    campaign = world.draft(world.callbase(1))
    hooks.make(URL, EventKind.CAMPAIGN_STATE)
    world.store.campaigns.start(campaign.id, None, by="olga")
    world.store.campaigns.pause(campaign.id, None, by="pavel")
    world.store.campaigns.resume(campaign.id, None, by="olga")
    end_call(world, campaign=campaign)
    world.clock.move(seconds=1)
    world.store.queue.finish_campaigns(world.clock.now)
    hooks.fan_out()
    told = [delivery.payload for delivery in hooks.deliveries()]
    assert [(data["before"], data["state"], data["by"]) for data in told] == [
        ("draft", "running", "olga"),
        ("running", "paused", "pavel"),
        ("paused", "running", "olga"),
        ("running", "finished", None),
    ]
    assert told[-1]["counts"]["reached"] == 1
    assert told[-1]["dispositions"] == {"answered": 1}
    assert hooks.deliveries()[-1].at == world.clock.now


def test_a_sample_call_is_told_but_not_the_campaign_behind_it(world: World, hooks: Hooks) -> None:
    hooks.make(URL)
    world.store.campaigns.create_sample_call(
        world.user.key, trunk_key=world.trunk.key, sound_key=world.sound.key, number="+442079460000"
    )
    (campaign,) = world.store.queue.running_campaigns()
    end_call(world, campaign=campaign)
    world.store.queue.finish_campaigns(world.clock.now)
    assert kinds(world) == ["call.ended"]


OFF, REGISTERING, REGISTERED, FAILED = RegistrationStanding
TRUNK_LIVES = {
    # breaker, registration, what is told
    False: [
        ("closed", OFF, None),
        ("resting", OFF, "resting"),
        ("probing", OFF, None),
        ("resting", OFF, None),
        ("probing", OFF, None),
        ("closed", OFF, "working"),
    ],
    True: [
        ("closed", REGISTERING, None),
        ("closed", REGISTERED, None),
        ("closed", FAILED, "not_registered"),
        ("closed", REGISTERING, None),
        ("closed", FAILED, None),
        # The dialer starts again.
        ("closed", OFF, None),
        ("closed", REGISTERING, None),
        ("closed", REGISTERED, "working"),
        ("resting", REGISTERED, "resting"),
        ("closed", FAILED, "not_registered"),
        ("probing", FAILED, "resting"),
        ("closed", REGISTERED, "working"),
    ],
}


@pytest.mark.parametrize("registers", TRUNK_LIVES)
def test_a_trunk_tells_that_it_breaks_and_works_again_and_nothing_in_between(
    world: World, hooks: Hooks, registers: bool
) -> None:
    hooks.make(URL, EventKind.TRUNK_STATE)
    trunk = world.store.trunks.create(
        world.user.key, TrunkSettings(name="another", host="127.0.0.1", register=registers)
    )
    for breaker, registration, told in TRUNK_LIVES[registers]:
        before = len(hooks.deliveries())
        world.store.live.write_trunks(
            [TrunkStatus(trunk_key=trunk.key, breaker_state=breaker, registration_state=registration.value)]
        )
        hooks.fan_out()
        new = [delivery.payload["state"] for delivery in hooks.deliveries()[before:]]
        assert new == ([told] if told else []), (breaker, registration)


def test_a_trunk_says_why_it_rests_and_until_when(world: World, hooks: Hooks) -> None:
    hooks.make(URL, EventKind.TRUNK_STATE)
    until = world.clock.now + timedelta(seconds=30)
    world.store.live.write_trunks(
        [
            TrunkStatus(
                trunk_key=world.trunk.key, breaker_state="resting", breaker_until=until, breaker_cause="5 times 503"
            )
        ]
    )
    hooks.fan_out()
    (delivery,) = hooks.deliveries()
    assert delivery.payload["cause"] == "5 times 503"
    assert delivery.payload["until"] == until.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert delivery.payload["trunk"] == "trunk"


def test_a_campaigns_webhook_hears_of_its_trunk_and_its_callbase(world: World, hooks: Hooks) -> None:
    mine, other = world.callbase(1), world.callbase(1)
    campaign = world.draft(mine)
    hooks.make(URL, campaign=campaign)
    world.store.live.write_trunks([TrunkStatus(trunk_key=world.trunk.key, breaker_state="resting")])
    assert other
    hooks.fan_out()
    (delivery,) = hooks.deliveries()
    assert (delivery.kind, delivery.campaign_key) == ("trunk.state", campaign.key)


@pytest.mark.parametrize("fails", [False, True])
def test_an_import_tells_how_it_ended(world: World, hooks: Hooks, fails: bool) -> None:
    hooks.make(URL, EventKind.IMPORT_ENDED)
    made = world.store.callbases.create(world.user.key, name="people", region="GB")
    world.store.callbases.add_rejected(made.key, [RejectedRow(row=2, value="x", reason="not a number")])
    if fails:
        world.store.callbases.fail(made.key, "The file is empty.")
    else:
        world.store.callbases.finish(made.key, rows=3)
    hooks.fan_out()
    (delivery,) = hooks.deliveries()
    assert delivery.payload["into"] == "callbase"
    assert delivery.payload["name"] == "people"
    assert delivery.payload["state"] == ("failed" if fails else "ready")
    assert delivery.payload["error"] == ("The file is empty." if fails else None)


def test_the_import_of_a_stop_list_is_told(world: World, hooks: Hooks) -> None:
    hooks.make(URL, EventKind.IMPORT_ENDED)
    made = world.store.dnc_imports.create(world.user.key, file="stop.csv", region="GB")
    world.store.dnc_imports.finish(made)
    hooks.fan_out()
    (delivery,) = hooks.deliveries()
    assert (delivery.payload["into"], delivery.payload["name"]) == ("dnc", "stop.csv")


def test_only_what_a_person_asked_for_in_a_call_is_an_opt_out(world: World, hooks: Hooks) -> None:
    hooks.make(URL, EventKind.OPT_OUT)
    world.store.dnc.add(world.user.key, "+442079460001")
    world.store.dnc.add(world.user.key, "+442079460002", source="import:stop.csv")
    assert kinds(world) == []
    world.store.dnc.opt_out("+442079460003", world.user.key, UUID(int=7))
    assert kinds(world) == ["opt_out"]


@pytest.mark.parametrize("of", ["user", "trunk"])
def test_a_ceiling_is_told_once_to_its_owner_and_to_the_campaigns_that_it_holds_up(
    world: World, hooks: Hooks, of: str
) -> None:
    if of == "user":
        world.store.users.update(world.user.id, max_calls_day=2)
    else:
        settings = TrunkSettings(name="Provider", host="127.0.0.1", max_calls_day=2)
        world.store.trunks.update(world.trunk.id, world.user.key, settings)
    campaign = world.running(5)
    hooks.make(URL, EventKind.CEILING_REACHED)
    hooks.make(URL, EventKind.CEILING_REACHED, campaign=campaign)
    for _ in range(3):
        world.claim(campaign, 5)
    hooks.fan_out()
    deliveries = hooks.deliveries()
    assert [delivery.payload["of"] for delivery in deliveries] == [of, of]
    assert deliveries[0].payload["ceiling"] == "max_calls_day"
    assert deliveries[0].payload["calls"] == 2


def sent(hooks: Hooks, there: Any) -> dict[str, Any]:
    hooks.send()
    return json.loads(there.got[-1].body)


@pytest.mark.loopback
def test_a_call_is_told_with_its_person(world: World, hooks: Hooks, there: Any) -> None:
    hooks.make(there.url, EventKind.CALL_ENDED)
    end_call(world)
    told = sent(hooks, there)
    assert told["type"] == "call.ended"
    assert told["data"]["disposition"] == "answered"
    assert told["data"]["number"].startswith("+44")
    assert told["data"]["ended_at"] == told["timestamp"]


@pytest.mark.loopback
def test_an_opt_out_is_told_with_its_call_while_that_is_under_way(world: World, hooks: Hooks, there: Any) -> None:
    hooks.make(there.url, EventKind.OPT_OUT)
    campaign = world.running(1)
    (job,) = world.claim(campaign)
    world.store.dnc.opt_out(job.number, world.user.key, job.call_id)
    told = sent(hooks, there)
    assert told["data"] == {
        "number": job.number,
        "call_id": str(job.call_id),
        "campaign_id": str(campaign.id),
        "campaign": "campaign",
    }


@pytest.mark.loopback
def test_a_person_erased_before_the_delivery_is_not_told(world: World, hooks: Hooks, there: Any) -> None:
    hooks.make(there.url, EventKind.CALL_ENDED)
    campaign = end_call(world)
    hooks.fan_out()
    (person,), _ = world.store.subscribers.page(campaign.callbase_id, None)
    world.store.erasing.erase(person.id, world.user.key)
    told = sent(hooks, there)
    assert person.number not in json.dumps(told)
    assert told["data"]["disposition"] == "answered"


def _make_call(world: World, hooks: Hooks) -> None:
    end_call(world)


def _make_campaign(world: World, hooks: Hooks) -> None:
    world.running(1)


def _make_trunk(world: World, hooks: Hooks) -> None:
    world.store.live.write_trunks([TrunkStatus(trunk_key=world.trunk.key, breaker_state="resting")])


def _make_import(world: World, hooks: Hooks) -> None:
    world.callbase(1)


def _make_opt_out(world: World, hooks: Hooks) -> None:
    world.store.dnc.opt_out("+442079460003", world.user.key, UUID(int=7))


def _make_ceiling(world: World, hooks: Hooks) -> None:
    world.store.users.update(world.user.id, max_calls_day=0)
    world.claim(world.running(1))


MAKERS: dict[EventKind, Callable[[World, Hooks], None]] = {
    EventKind.CALL_ENDED: _make_call,
    EventKind.CAMPAIGN_STATE: _make_campaign,
    EventKind.TRUNK_STATE: _make_trunk,
    EventKind.IMPORT_ENDED: _make_import,
    EventKind.OPT_OUT: _make_opt_out,
    EventKind.CEILING_REACHED: _make_ceiling,
}


@pytest.mark.loopback
@pytest.mark.parametrize("kind", EventKind)
def test_the_names_that_a_form_may_use_are_those_of_the_events(
    world: World, hooks: Hooks, there: Any, kind: EventKind
) -> None:
    hooks.make(there.url, kind)
    MAKERS[kind](world, hooks)
    assert tuple(sent(hooks, there)["data"]) == tuple(NAMES[kind])


def test_what_ends_a_campaign_by_hand_is_told_at_its_time(world: World, hooks: Hooks) -> None:
    hooks.make(URL, EventKind.CAMPAIGN_STATE)
    campaign = world.running(1)
    world.clock.move(minutes=5)
    world.store.campaigns.stop(campaign.id, None, hangup=False, by="olga")
    hooks.fan_out()
    last = hooks.deliveries()[-1]
    assert (last.payload["state"], last.at) == (CampaignState.STOPPED, world.clock.now)


def test_an_event_that_cannot_be_told_keeps_no_other_waiting(
    world: World, hooks: Hooks, caplog: pytest.LogCaptureFixture
) -> None:
    hooks.make(URL, EventKind.IMPORT_ENDED)
    bad, good = world.callbase(1), world.callbase(1)
    with world.store._database.write() as connection:
        connection.exec_driver_sql(
            "UPDATE events SET details = '{}' WHERE object_key = (SELECT key FROM callbases WHERE id = ?)",
            (bad.id.bytes,),
        )
    hooks.fan_out()
    assert [delivery.payload["id"] for delivery in hooks.deliveries()] == [str(good.id)]
    assert kinds(world) == []
    assert "is left out" in caplog.text

"""Deliveries: at least once, in order, again and again for a day, and no receiver at the cost of another."""

import datetime
import itertools
import json
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import pytest
from standardwebhooks import Webhook as Judge
from standardwebhooks import WebhookVerificationError

from autodialer.errors import Conflict, NotFound
from autodialer.model import Disposition
from autodialer.model.webhooks import DeliveryState, EventKind
from autodialer.store import TESTS, Secrets, Store, WebhookSettings
from autodialer.webhooks import deliverer as delivering
from autodialer.webhooks.deliverer import Deliverer
from autodialer.webhooks.signing import new_secret, shown_secret, signed_headers
from tests.databases import cheap_secrets
from tests.store.world import World
from tests.timing import at_most
from tests.webhooks.conftest import HERE, Hooks
from tests.webhooks.receiver import Got, Receiver, receiver

pytestmark = pytest.mark.loopback


def end_calls(world: World, count: int, *, campaign: Any = None) -> Any:
    campaign = campaign or world.running(count)
    world.record(*[world.result(job, Disposition.ANSWERED) for job in world.claim(campaign, count)])
    return campaign


def numbers(got: list[Got]) -> list[str]:
    return [json.loads(each.body)["data"]["number"] for each in got]


def failing(_got: Got) -> tuple[int, Mapping[str, str]]:
    return 500, {}


def test_deliveries_are_signed_as_standard_webhooks_wants(world: World, hooks: Hooks, there: Receiver) -> None:
    made = hooks.make(there.url, EventKind.CALL_ENDED)
    world.clock.now = datetime.datetime.now(datetime.UTC)
    end_calls(world, 1)
    hooks.send()
    (got,) = there.got
    judge = Judge(hooks.secrets[made.key])
    assert judge.verify(got.body, got.headers)["data"]["disposition"] == "answered"
    with pytest.raises(WebhookVerificationError):
        judge.verify(got.body + b" ", got.headers)
    with pytest.raises(WebhookVerificationError):
        judge.verify(got.body, got.headers | {"webhook-id": "another"})
    with pytest.raises(WebhookVerificationError):
        Judge(shown_secret(new_secret())).verify(got.body, got.headers)


def test_the_signature_is_that_of_the_judge() -> None:
    secret = new_secret()
    now = datetime.datetime.now(datetime.UTC)
    ours = signed_headers(secret, "id", int(now.timestamp()), b'{"a": "\xd1\x8f"}')
    assert ours["webhook-signature"] == Judge(shown_secret(secret)).sign("id", now, '{"a": "я"}')


def test_calls_of_a_campaign_arrive_in_the_order_in_which_they_ended(
    world: World, hooks: Hooks, there: Receiver
) -> None:
    hooks.make(there.url, EventKind.CALL_ENDED)
    end_calls(world, 30)
    hooks.send()
    assert numbers(there.got) == sorted(numbers(there.got)) and len(there.got) == 30
    assert {delivery.state for delivery in hooks.deliveries()} == {DeliveryState.DELIVERED}
    assert hooks.due() == []


def test_what_follows_waits_for_a_delivery_that_does_not_arrive(world: World, hooks: Hooks, there: Receiver) -> None:
    hooks.make(there.url, EventKind.CALL_ENDED)
    refused: list[Got] = []

    def refuse_the_second(got: Got) -> tuple[int, dict[str, str]]:
        if len(there.got) == 1 and not refused:
            refused.append(got)
            return 500, {}
        return 200, {}

    there.answer = refuse_the_second  # type: ignore[assignment]
    end_calls(world, 4)
    hooks.send()
    first = there.got.copy()
    assert len(first) == 2
    assert hooks.send() == 0, "its turn has not come"
    world.clock.move(seconds=6)
    hooks.send()
    assert numbers(there.got) == [numbers(first)[0], numbers(first)[1], *sorted(set(numbers(there.got)))[1:]]
    ids = [got.headers["webhook-id"] for got in there.got]
    assert ids[1] == ids[2] and len(set(ids)) == 4


def test_the_same_delivery_has_the_same_id_and_body_however_often_it_is_sent(
    world: World, hooks: Hooks, there: Receiver
) -> None:
    hooks.make(there.url, EventKind.CALL_ENDED)
    there.answer = failing  # type: ignore[assignment]
    end_calls(world, 1)
    for _ in range(5):
        hooks.send()
        world.clock.move(hours=1)
    assert len(there.got) == 5
    assert len({(got.headers["webhook-id"], got.body) for got in there.got}) == 1
    assert there.got[0].headers["webhook-id"] == str(hooks.deliveries()[0].id)
    assert len({got.headers["webhook-timestamp"] for got in there.got}) == 5


def test_another_campaign_does_not_wait(world: World, hooks: Hooks, there: Receiver) -> None:
    made = hooks.make(there.url, EventKind.CALL_ENDED)
    there.answer = failing  # type: ignore[assignment]
    end_calls(world, 1)
    hooks.send()
    there.answer = lambda _got: (200, {})
    end_calls(world, 1)
    hooks.send()
    assert [delivery.state for delivery in hooks.deliveries()] == ["waiting", "delivered"]
    assert hooks.again(made).state == "working"


def test_a_dead_receiver_is_tried_for_a_day_and_then_switched_off_with_a_note(
    world: World, hooks: Hooks, there: Receiver
) -> None:
    made = hooks.make(there.url, EventKind.CALL_ENDED)
    there.answer = failing  # type: ignore[assignment]
    end_calls(world, 3)
    began = world.clock.now
    attempts = []
    while hooks.again(made).active:
        if hooks.send():
            attempts.append(world.clock.now - began)
            assert hooks.again(made).state in ("failing", "off")
        assert world.clock.now - began < datetime.timedelta(hours=25)
        world.clock.move(seconds=1 if world.clock.now - began < datetime.timedelta(minutes=5) else 60)
    assert attempts[0] == datetime.timedelta(0)
    assert datetime.timedelta(seconds=5) <= attempts[1] <= datetime.timedelta(seconds=7)
    waits = [later - earlier for earlier, later in itertools.pairwise(attempts[:-1])]
    assert waits == sorted(waits)
    assert 8 <= len(attempts) <= 14
    assert datetime.timedelta(hours=24) <= attempts[-1] <= datetime.timedelta(hours=24, minutes=2)
    off = hooks.again(made)
    assert off.state == "off" and off.note is not None
    assert "Switched off" in off.note and "24 hours" in off.note and "500" in off.note
    assert [delivery.state for delivery in hooks.deliveries()] == ["failed", "waiting", "waiting"]
    world.clock.move(hours=1)
    assert hooks.send() == 0
    # What happens now is not written down for it.
    end_calls(world, 1)
    assert world.store.events.oldest(10) == []


def test_switched_on_again_it_goes_on_with_what_waits(world: World, hooks: Hooks, there: Receiver) -> None:
    made = hooks.make(there.url, EventKind.CALL_ENDED)
    there.answer = lambda _got: (410, {})
    end_calls(world, 2)
    hooks.send()
    off = hooks.again(made)
    assert off.state == "off" and off.note is not None and "gone" in off.note
    there.answer = lambda _got: (200, {})
    settings = WebhookSettings(url=off.url, events=off.events)
    on = world.store.webhooks.update(made.id, None, settings)
    assert (on.state, on.note) == ("working", None)
    hooks.send()
    assert [delivery.state for delivery in hooks.deliveries()] == ["delivered", "delivered"]


def test_one_that_arrives_ends_the_failing(world: World, hooks: Hooks, there: Receiver) -> None:
    made = hooks.make(there.url, EventKind.CALL_ENDED)
    there.answer = failing  # type: ignore[assignment]
    end_calls(world, 1)
    hooks.send()
    assert "500" in (hooks.again(made).note or "")
    there.answer = lambda _got: (200, {})
    world.clock.move(minutes=1)
    hooks.send()
    assert (hooks.again(made).state, hooks.again(made).note) == ("working", None)


def test_a_receiver_may_ask_to_be_left_alone_for_a_while(world: World, hooks: Hooks, there: Receiver) -> None:
    hooks.make(there.url, EventKind.CALL_ENDED)
    there.answer = lambda _got: (429, {"Retry-After": "300"})
    end_calls(world, 1)
    hooks.send()
    (delivery,) = hooks.deliveries()
    assert delivery.retry_at == world.clock.now + datetime.timedelta(seconds=300)


def test_a_private_address_is_refused_at_the_connection_too(world: World, hooks: Hooks, there: Receiver) -> None:
    made = hooks.make(there.url, EventKind.CALL_ENDED)
    strict = Deliverer(world.store, (), world.clock)
    end_calls(world, 1)
    hooks.fan_out()
    for lane in hooks.due():
        strict.deliver(lane)
    strict.stop()
    assert not there.got
    assert "DIALER_WEBHOOK_NETWORKS" in (hooks.again(made).note or "")


def test_a_delivered_one_can_be_sent_again_under_its_id(world: World, hooks: Hooks, there: Receiver) -> None:
    made = hooks.make(there.url, EventKind.CALL_ENDED)
    end_calls(world, 1)
    hooks.send()
    (delivery,) = hooks.deliveries()
    with pytest.raises(NotFound):
        world.store.deliveries.redeliver(delivery.id, world.other.key, world.clock.now)
    assert world.store.deliveries.redeliver(delivery.id, world.user.key, world.clock.now).state == "waiting"
    hooks.send()
    assert there.got[0].headers["webhook-id"] == there.got[1].headers["webhook-id"]
    world.store.webhooks.update(made.id, None, WebhookSettings(url=made.url, events=made.events, active=False))
    with pytest.raises(Conflict, match="active"):
        world.store.deliveries.redeliver(delivery.id, world.user.key, world.clock.now)


def test_a_call_that_is_no_longer_stored_fails_and_holds_up_nobody(world: World, hooks: Hooks, there: Receiver) -> None:
    hooks.make(there.url, EventKind.CALL_ENDED)
    end_calls(world, 2)
    hooks.fan_out()
    with world.store._database.write() as connection:
        connection.exec_driver_sql("DELETE FROM calls WHERE key = (SELECT MIN(key) FROM calls)")
    hooks.send()
    first, second = hooks.deliveries()
    assert (first.state, second.state) == ("failed", "delivered")
    assert "no longer stored" in (first.error or "")


def test_a_test_is_sent_at_once_even_to_a_webhook_that_is_off(world: World, hooks: Hooks, there: Receiver) -> None:
    made = hooks.make(there.url, EventKind.CALL_ENDED, active=False)
    there.answer = failing  # type: ignore[assignment]
    world.store.deliveries.add_test(made, {"message": "a test"}, world.clock.now)
    hooks.send()
    (delivery,) = hooks.deliveries()
    assert json.loads(there.got[0].body)["type"] == "webhook.test"
    assert (delivery.state, delivery.campaign_key, delivery.status_code) == ("failed", TESTS, 500)
    assert hooks.again(made).failing_since is None, "a test says nothing of how events arrive"
    assert hooks.send() == 0


def test_a_deleted_webhook_is_told_nothing_more(world: World, hooks: Hooks, there: Receiver) -> None:
    made = hooks.make(there.url, EventKind.CALL_ENDED)
    end_calls(world, 3)
    hooks.fan_out()
    world.store.webhooks.delete(made.id, None)
    hooks.send()
    assert not there.got
    assert world.store.deliveries.forget(world.clock.now - datetime.timedelta(days=7)) == 3


def test_old_deliveries_are_forgotten(world: World, hooks: Hooks, there: Receiver) -> None:
    hooks.make(there.url, EventKind.CALL_ENDED)
    end_calls(world, 2)
    hooks.send()
    world.clock.move(days=8)
    end_calls(world, 1)
    hooks.send()
    assert world.store.deliveries.forget(world.clock.now - datetime.timedelta(days=7)) == 2
    assert len(hooks.deliveries()) == 1


def test_deliveries_are_listed_newest_first_by_webhook_and_state(world: World, hooks: Hooks, there: Receiver) -> None:
    one, other = hooks.make(there.url, EventKind.CALL_ENDED), hooks.make(there.url, EventKind.CALL_ENDED)
    end_calls(world, 2)
    there.answer = lambda _got: (200, {}) if len(there.got) < 2 else (500, {})
    hooks.send()
    page = world.store.deliveries.page
    assert len(page(world.user.key)[0]) == 4
    assert page(world.other.key)[0] == []
    assert {delivery.webhook_id for delivery in page(None, webhook_key=one.key)[0]} == {one.id}
    assert [delivery.state for delivery in page(None, state=DeliveryState.WAITING)[0]] == ["waiting", "waiting"]
    first, cursor = page(world.user.key, limit=3)
    assert [delivery.key for delivery in first] == sorted((each.key for each in first), reverse=True)
    assert len(page(world.user.key, limit=3, after=cursor)[0]) == 1
    assert other


FORMS = [
    ({}, {"number": "{number}"}),
    ({"phone": "{number}", "result": "{disposition}", "source": "dialer"}, None),
    ({"text": "{name}: {disposition}, heard {played_s} s", "crm": "{extra.crm_id}", "none": "{cause}"}, None),
    ({"event": "{type}", "when": "{timestamp}", "id": "{webhook_id}", "{": "{ braces }"}, None),
]


@pytest.mark.parametrize(("fields", "_beside"), FORMS)
def test_a_form_has_the_fields_that_its_user_named_and_is_signed_too(
    world: World, hooks: Hooks, there: Receiver, fields: dict[str, str], _beside: object
) -> None:
    made = hooks.make(there.url, EventKind.CALL_ENDED, format="form", fields=fields)
    world.clock.now = datetime.datetime.now(datetime.UTC)
    end_calls(world, 1)
    hooks.send()
    (got,) = there.got
    assert got.headers["content-type"] == "application/x-www-form-urlencoded"
    form = {name: value for name, (value,) in parse_qs(got.body.decode(), keep_blank_values=True).items()}
    assert set(fields or {"number", "disposition", "type", "webhook_id"}) <= set(form)
    if "phone" in fields:
        assert form == {"phone": form["phone"], "result": "answered", "source": "dialer"}
        assert form["phone"].startswith("+44")
    if "id" in fields:
        assert (form["event"], form["id"]) == ("call.ended", got.headers["webhook-id"])
    assert form.get("none", "") == "" and form.get("crm", "") == ""
    key = Judge(hooks.secrets[made.key])
    moment = datetime.datetime.fromtimestamp(int(got.headers["webhook-timestamp"]), datetime.UTC)
    assert key.sign(got.headers["webhook-id"], moment, got.body.decode()) == got.headers["webhook-signature"]


def test_a_receiver_that_hangs_does_not_keep_the_others_waiting(world: World, hooks: Hooks, there: Receiver) -> None:
    released = threading.Event()
    with receiver() as hanging:
        hanging.answer = lambda _got: (200, {}) if released.wait(at_most(20)) else (500, {})
        for _ in range(10):
            hooks.make(hanging.url, EventKind.CALL_ENDED)
        hooks.make(there.url, EventKind.CALL_ENDED)
        campaigns = [end_calls(world, 1) for _ in range(3)]
        running = threading.Thread(target=hooks.deliverer.run)
        running.start()
        try:
            # Ten that hang may hold all threads, for 5 s; then it is this one's turn.
            there.wait_for(len(campaigns), within_s=15)
        finally:
            released.set()
            hooks.deliverer.stop()
            running.join()


def test_one_receiver_holds_no_more_than_its_share_of_threads(world: World, hooks: Hooks, there: Receiver) -> None:
    together, most, lock = 0, 0, threading.Lock()

    def slow(_got: Got) -> tuple[int, dict[str, str]]:
        nonlocal together, most
        with lock:
            together += 1
            most = max(most, together)
        threading.Event().wait(0.05)
        with lock:
            together -= 1
        return 200, {}

    there.answer = slow  # type: ignore[assignment]
    hooks.make(there.url, EventKind.CALL_ENDED)
    for _ in range(8):
        end_calls(world, 1)
    running = threading.Thread(target=hooks.deliverer.run)
    running.start()
    try:
        there.wait_for(8)
    finally:
        hooks.deliverer.stop()
        running.join()
    assert most == delivering.MOST_OF_A_WEBHOOK


def test_what_a_crash_cuts_off_is_sent_again(world: World, hooks: Hooks, there: Receiver, secrets: Secrets) -> None:
    """Sent, and not written down: the next process sends it once more, under the same id."""
    hooks.make(there.url, EventKind.CALL_ENDED)
    end_calls(world, 3)
    hooks.fan_out()
    (lane,) = hooks.due()
    dying = Deliverer(world.store, HERE, world.clock)
    dying._write_down = lambda *_: None  # type: ignore[method-assign]
    dying.deliver(lane)
    dying.stop()
    hooks.send()
    ids = [got.headers["webhook-id"] for got in there.got]
    assert ids[:3] == ids[3:] and len(set(ids)) == 3


def test_a_lost_key_file_switches_off_and_loses_nothing(
    world: World, hooks: Hooks, there: Receiver, store_url: str, tmp_path: Any
) -> None:
    made = hooks.make(there.url, EventKind.CALL_ENDED)
    end_calls(world, 1)
    hooks.fan_out()
    other = Store(store_url, secrets=cheap_secrets(tmp_path / "other keys"), clock=world.clock)
    lost = Deliverer(other, HERE, world.clock)
    lost.deliver(hooks.due()[0])
    lost.stop()
    other.close()
    assert not there.got
    assert "key file" in (hooks.again(made).note or "")
    assert [delivery.state for delivery in hooks.deliveries()] == ["waiting"]

"""Ceilings of a day and the brake on single calls, as admins set them and users meet them."""

from typing import Any

import pytest

from autodialer.api.brakes import Brake
from autodialer.errors import TooManyRequests
from autodialer.store import Store
from tests.store.world import StandingClock
from tests.web.conftest import Client
from tests.web.dialing import claim


def sample(client: Client, objects: dict[str, Any], last: int = 1) -> Any:
    fields = {"trunk_id": objects["trunk"]["id"], "sound_id": objects["sound"]["id"], "number": f"+7916000{last:04d}"}
    return client.post("/srv1/call/sample", json=fields)


def test_a_new_trunk_and_a_new_user_begin_with_the_services_ceilings(
    anna: Client, admin: Client, objects: dict[str, Any]
) -> None:
    trunk = objects["trunk"]
    assert (trunk["max_calls_day"], trunk["max_minutes_day"]) == (50_000, 20_000)
    new = {"login": "vera", "password": "three green paper boats"}
    user = admin.post("/srv1/users", json=new).json()
    assert (user["max_calls_day"], user["max_minutes_day"]) == (50_000, 20_000)
    none = admin.post("/srv1/users", json={**new, "login": "olga", "max_calls_day": None}).json()
    assert (none["max_calls_day"], none["max_minutes_day"]) == (None, 20_000)
    boss = admin.post("/srv1/users", json={**new, "login": "boss", "role": "admin"}).json()
    assert (boss["max_calls_day"], boss["max_minutes_day"]) == (None, None)


def test_only_an_admin_changes_ceilings(anna: Client, admin: Client, objects: dict[str, Any]) -> None:
    path = f"/srv1/trunks/{objects['trunk']['id']}"
    assert anna.put(path, json={"max_calls_day": None}).status == 403
    assert anna.put(path, json={"max_calls_day": 50_000, "name": "same"}).status == 200
    assert admin.put(path, json={"max_calls_day": 7}).json()["max_calls_day"] == 7
    assert admin.put(path, json={"max_calls_day": None}).json()["max_calls_day"] is None
    me = anna.get("/srv1/users/me").json()
    assert admin.put(f"/srv1/users/{me['id']}", json={"max_minutes_day": 9}).json()["max_minutes_day"] == 9
    assert anna.get("/srv1/users/me").json()["max_minutes_day"] == 9


@pytest.mark.parametrize("of", ["user", "trunk"])
def test_at_the_ceiling_single_calls_get_429_until_the_next_day_and_why_says_so(
    anna: Client, admin: Client, objects: dict[str, Any], store: Store, clock: StandingClock, of: str
) -> None:
    me = anna.get("/srv1/users/me").json()
    path = f"/srv1/users/{me['id']}" if of == "user" else f"/srv1/trunks/{objects['trunk']['id']}"
    admin.put(path, json={"max_calls_day": 1})
    assert sample(anna, objects).status == 202

    store.live.heartbeat("dialer-1", 1)
    assert len(claim(store, clock.now)) == 1
    refused = sample(anna, objects)
    assert refused.status == 429
    assert "00:00 UTC" in refused.json()["message"]
    assert int(refused.headers["retry-after"]) <= 86_401
    check = anna.post(f"/srv1/trunks/{objects['trunk']['id']}/check", json={"number": "+79160000001"})
    assert check.status == 429
    campaign = f"/srv1/campaigns/{objects['campaign']['id']}"
    anna.post(f"{campaign}/start")
    why = anna.get(f"{campaign}/why").json()
    (reason,) = [each for each in why["reasons"] if each["code"] == "day_calls_reached"]
    assert not why["dialing"]
    assert reason["until"] is not None
    assert ("User anna" if of == "user" else "Trunk trunk") in reason["message"]


def test_one_full_trunk_of_two_does_not_block(
    anna: Client, admin: Client, objects: dict[str, Any], store: Store, clock: StandingClock
) -> None:
    store.live.heartbeat("dialer-1", 1)
    second = anna.post("/srv1/trunks", json={"name": "second", "host": "127.0.0.1", "port": 5998}).json()
    fields = {**objects["fields"], "trunk_ids": [objects["trunk"]["id"], second["id"]]}
    campaign = anna.post("/srv1/campaigns", json=fields).json()["id"]
    anna.post(f"/srv1/campaigns/{campaign}/start")
    admin.put(f"/srv1/trunks/{second['id']}", json={"max_calls_day": 0})
    why = anna.get(f"/srv1/campaigns/{campaign}/why").json()
    assert why["dialing"]
    assert "day_calls_reached" in {each["code"] for each in why["reasons"]}


def test_a_user_makes_ten_sample_calls_a_minute_and_another_is_not_held_up(
    anna: Client, admin: Client, objects: dict[str, Any]
) -> None:
    answers = [sample(anna, objects, last) for last in range(12)]
    assert [answer.status for answer in answers[:10]] == [202] * 10
    assert answers[10].status == 429
    assert 1 <= int(answers[10].headers["retry-after"]) <= 7
    assert sample(admin, objects).status == 202


def test_a_brake_lets_go_of_one_after_a_tenth_of_its_span() -> None:
    brake = Brake(most=10, span_s=60.0, what="sample calls")
    for _ in range(10):
        brake.take(1, 100.0)
    with pytest.raises(TooManyRequests, match="wait 7 s"):
        brake.take(1, 100.0)
    brake.take(2, 100.0)
    with pytest.raises(TooManyRequests):
        brake.take(1, 105.9)
    brake.take(1, 106.1)
    with pytest.raises(TooManyRequests):
        brake.take(1, 106.2)

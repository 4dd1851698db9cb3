"""Countries and kinds of numbers that a trunk may call, as users and admins set them and meet them."""

from typing import Any

import pytest

from autodialer.campaign.admission import admit
from autodialer.campaign.destinations import rules_of_trunk
from autodialer.model import ClaimRequest
from autodialer.store import Store
from tests.store.world import StandingClock
from tests.web.conftest import Client

ABROAD = b"+79160000001\n+79160000002\n+77011234567\n+78095551234\n+881612345678\n"


def change(client: Client, objects: dict[str, Any], **settings: Any) -> Any:
    return client.put(f"/srv1/trunks/{objects['trunk']['id']}", json=settings)


@pytest.fixture
def campaign(anna: Client, objects: dict[str, Any]) -> dict[str, Any]:
    """A draft over two numbers of Russia, one of Kazakhstan, a premium and a satellite number."""
    base = anna.post("/srv1/callbases", files={"file": ("b.csv", ABROAD)}, data={"region": "RU"}).json()
    made: dict[str, Any] = anna.post("/srv1/campaigns", json={**objects["fields"], "callbase_id": base["id"]}).json()
    return made


def test_a_trunk_says_where_it_calls_and_why(anna: Client, objects: dict[str, Any]) -> None:
    assert objects["trunk"]["countries_in_force"] == {"countries": None, "by": "nothing"}
    told = change(anna, objects, caller_id="+74951234567").json()
    assert told["countries_in_force"] == {"countries": ["RU"], "by": "caller_id"}
    told = change(anna, objects, allowed_countries=["kz", "RU"]).json()
    assert told["allowed_countries"] == ["KZ", "RU"]
    assert told["countries_in_force"] == {"countries": ["KZ", "RU"], "by": "allowed_countries"}
    refused = change(anna, objects, allowed_countries=["XX"])
    assert (refused.status, refused.json()["details"][0]["field"]) == (422, "allowed_countries")
    assert change(anna, objects, allowed_countries=None).json()["allowed_countries"] is None


def test_only_an_admin_allows_special_numbers_but_their_owner_may_send_them_back(
    anna: Client, admin: Client, objects: dict[str, Any]
) -> None:
    refused = change(anna, objects, allowed_special=["premium"])
    assert (refused.status, refused.json()["error"]) == (403, "forbidden")
    assert "admin" in refused.json()["message"]
    fields = {"name": "new", "host": "127.0.0.1", "port": 5999, "allowed_special": ["satellite"]}
    assert anna.post("/srv1/trunks", json=fields).status == 403
    assert admin.post("/srv1/trunks", json=fields).status == 201
    assert change(admin, objects, allowed_special=["premium"]).json()["allowed_special"] == ["premium"]
    assert change(anna, objects, allowed_special=["premium"], name="renamed").status == 200
    assert change(anna, objects, allowed_special=[]).status == 403
    assert change(admin, objects, allowed_special=["cheap"]).status == 400


def test_a_trunk_that_its_owner_leads_elsewhere_loses_what_an_admin_allowed(
    anna: Client, admin: Client, objects: dict[str, Any]
) -> None:
    change(admin, objects, allowed_special=["short"])
    assert change(admin, objects, host="127.0.0.2").json()["allowed_special"] == ["short"]
    assert change(anna, objects, port=5998).json()["allowed_special"] == ["short"]
    assert change(anna, objects, host="127.0.0.3").json()["allowed_special"] == []


@pytest.mark.parametrize(
    ("number", "word"),
    [
        ({"number": "+881612345678"}, "satellite"),
        ({"number": "+78095551234"}, "premium"),
        ({"number": "112", "raw": True}, "emergency"),
        ({"number": "205", "raw": True}, "short"),
        ({"number": "*21*79160000001#", "raw": True}, "service_code"),
        ({"number": "89160000001", "raw": True}, "as_written"),
        ({"number": "+77011234567"}, "allowed_countries"),
    ],
)
@pytest.mark.parametrize("way", ["sample", "check", "transfer"])
def test_no_single_number_gets_round_the_rule(
    anna: Client, objects: dict[str, Any], number: dict[str, Any], word: str, way: str
) -> None:
    change(anna, objects, allowed_countries=["RU"])
    trunk_id = objects["trunk"]["id"]
    if way == "sample":
        fields = {"trunk_id": trunk_id, "sound_id": objects["sound"]["id"], **number}
        answer = anna.post("/srv1/call/sample", json=fields)
    elif way == "check":
        answer = anna.post(f"/srv1/trunks/{trunk_id}/check", json=number)
    else:
        path = f"/srv1/campaigns/{objects['campaign']['id']}"
        answer = anna.put(path, json={"keys": {"5": "transfer"}, "transfer_to": number["number"]})
        made = {**objects["fields"], "keys": {"5": "transfer"}, "transfer_to": number["number"]}
        assert anna.post("/srv1/campaigns", json=made).status == 422
    assert answer.status == 422
    assert answer.json()["details"][0]["field"] == ("transfer_to" if way == "transfer" else "number")
    assert word in answer.json()["message"]


def test_refused_numbers_are_counted_before_the_start_and_why_says_so(
    anna: Client, admin: Client, objects: dict[str, Any], campaign: dict[str, Any]
) -> None:
    path = f"/srv1/campaigns/{campaign['id']}"
    refused = {each["reason"]: each for each in anna.get(f"{path}/callable").json()["refused"]}
    assert {reason: each["subscribers"] for reason, each in refused.items()} == {
        "country": 1,
        "premium": 1,
        "satellite": 1,
    }
    assert refused["country"]["destination"] == "KZ"
    assert "add KZ to its allowed_countries" in refused["country"]["message"]
    (reason,) = [each for each in anna.get(f"{path}/why").json()["reasons"] if each["code"] == "numbers_refused"]
    assert reason["message"].startswith("3 numbers of the callbase are not dialled")
    change(anna, objects, allowed_countries=["RU", "KZ"])
    change(admin, objects, allowed_special=["premium", "satellite"])
    assert anna.get(f"{path}/callable").json()["refused"] == []
    assert "numbers_refused" not in {each["code"] for each in anna.get(f"{path}/why").json()["reasons"]}


def test_refused_numbers_are_excluded_with_their_reason_and_make_no_call(
    anna: Client, objects: dict[str, Any], campaign: dict[str, Any], store: Store, clock: StandingClock
) -> None:
    path = f"/srv1/campaigns/{campaign['id']}"
    anna.post(f"{path}/start")
    store.queue.enqueue_due(clock.now)
    (running,) = store.queue.running_campaigns()
    (trunk,) = store.trunks.by_keys(running.trunk_keys).values()
    request = ClaimRequest(
        campaign_key=running.key, trunk_key=trunk.key, limit=9, dial_rules=(rules_of_trunk(trunk, "RU"),)
    )
    jobs = store.queue.claim([request], "test", clock.now, admit)
    assert {job.number for job in jobs} == {"+79160000001", "+79160000002"}
    assert anna.get(path).json()["counts"]["excluded"] == 3
    assert {reason for _, reason in store.waiting_lists.reasons(running.key)} == {"country", "premium", "satellite"}


def test_subscribers_that_come_and_go_keep_the_count_right(
    anna: Client, objects: dict[str, Any], campaign: dict[str, Any]
) -> None:
    base, path = campaign["callbase_id"], f"/srv1/campaigns/{campaign['id']}/callable"
    added = anna.post(f"/srv1/callbases/{base}/subscribers", json={"number": "+77011234568"}).json()
    counted = {each["destination"]: each["subscribers"] for each in anna.get(path).json()["refused"]}
    assert counted["KZ"] == 2
    assert anna.post(f"/srv1/subscribers/{added['id']}/erase").status == 200
    counted = {each["destination"]: each["subscribers"] for each in anna.get(path).json()["refused"]}
    assert counted["KZ"] == 1

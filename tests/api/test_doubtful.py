"""Numbers that are possible but not valid: kept, shown, and not dialled unless the user says so."""

from datetime import timedelta
from typing import Any

import pytest

from autodialer.campaign.numbers import DOUBT
from autodialer.store import Store
from tests.web.client import Client
from tests.web.conftest import StandingClock
from tests.web.dialing import claim

FILE = b"phone\n+79160000001\n+70000000001\n+79160000002\n"


@pytest.fixture
def callbase(anna: Client) -> dict[str, Any]:
    made = anna.post("/srv1/callbases", files={"file": ("base.csv", FILE)}, data={"region": "RU"}).json()
    return dict(made)


def campaign_of(anna: Client, objects: dict[str, Any], callbase: dict[str, Any], **rules: Any) -> str:
    fields = {**objects["fields"], "callbase_id": callbase["id"], "cps": 50, "max_channels": 50, **rules}
    made = anna.post("/srv1/campaigns", json=fields).json()
    return str(made["id"])


def why(anna: Client, campaign: str) -> dict[str, str]:
    return {
        reason["code"]: reason["message"] for reason in anna.get(f"/srv1/campaigns/{campaign}/why").json()["reasons"]
    }


def test_doubtful_numbers_are_counted_and_listed(anna: Client, callbase: dict[str, Any]) -> None:
    assert (callbase["imported"], callbase["doubtful"], callbase["rejected"]) == (3, 1, 0)
    path = f"/srv1/callbases/{callbase['id']}/subscribers"
    doubts = [(each["number"], each["doubt"]) for each in anna.get(path).json()["items"]]
    assert doubts == [("+79160000001", None), ("+70000000001", DOUBT), ("+79160000002", None)]
    assert [each["number"] for each in anna.get(f"{path}?doubtful=true").json()["items"]] == ["+70000000001"]
    assert anna.post(path, json={"number": "+70000000002"}).json()["doubt"] == DOUBT
    assert anna.get(f"/srv1/callbases/{callbase['id']}").json()["doubtful"] == 2


@pytest.mark.parametrize("dial_doubtful", [False, True])
def test_they_are_dialled_only_if_the_campaign_says_so(
    anna: Client,
    objects: dict[str, Any],
    callbase: dict[str, Any],
    store: Store,
    clock: StandingClock,
    dial_doubtful: bool,
) -> None:
    campaign = campaign_of(anna, objects, callbase, dial_doubtful=dial_doubtful)
    assert ("doubtful_excluded" in why(anna, campaign)) is not dial_doubtful
    assert anna.post(f"/srv1/campaigns/{campaign}/start").json()["dial_doubtful"] is dial_doubtful
    store.live.heartbeat("x", 1)
    called = {job.number for job in claim(store, clock.now + timedelta(seconds=1))}
    assert called == {"+79160000001", "+79160000002"} | ({"+70000000001"} if dial_doubtful else set())
    counts = anna.get(f"/srv1/campaigns/{campaign}").json()["counts"]
    assert counts["excluded"] == (0 if dial_doubtful else 1)
    said = why(anna, campaign)
    assert ("doubtful_excluded" in said) is not dial_doubtful
    if not dial_doubtful:
        assert said["doubtful_excluded"].startswith("1 numbers of the callbase")


def test_a_campaign_may_be_told_later(anna: Client, objects: dict[str, Any], callbase: dict[str, Any]) -> None:
    campaign = campaign_of(anna, objects, callbase)
    assert anna.put(f"/srv1/campaigns/{campaign}", json={"dial_doubtful": True}).json()["dial_doubtful"] is True
    assert "doubtful_excluded" not in why(anna, campaign)


def test_a_sample_call_to_a_doubtful_number_has_to_be_meant(anna: Client, objects: dict[str, Any]) -> None:
    call = {"trunk_id": objects["trunk"]["id"], "sound_id": objects["sound"]["id"], "number": "+70000000001"}
    refused = anna.post("/srv1/call/sample", json=call)
    assert (refused.status, refused.json()["details"][0]["field"]) == (422, "number")
    assert "dial_doubtful" in refused.json()["message"]
    assert anna.post("/srv1/call/sample", json={**call, "dial_doubtful": True}).status == 202
    assert anna.post("/srv1/call/sample", json={**call, "number": "70000000001", "raw": True}).status == 202


def test_a_doubtful_number_is_kept_off_in_both_readings(anna: Client) -> None:
    assert anna.put("/srv1/dnc/00375290000001", json={"region": "RU"}).status == 200
    listed = {entry["number"] for entry in anna.get("/srv1/dnc").json()["items"]}
    assert "+375290000001" in listed


def test_a_stop_list_with_unread_cells_says_so_and_so_do_the_owners_campaigns(
    anna: Client, boris: Client, objects: dict[str, Any]
) -> None:
    text = b"phone\n+79160000001\n+79160000002\nask Vera\n"
    made = anna.post("/srv1/dnc/import", files={"file": ("stop.csv", text)}, data={"region": "RU"}).json()
    assert (made["state"], made["rejected"]) == ("ready_with_rejects", 1)
    campaign = objects["campaign"]["id"]
    said = why(anna, campaign)["dnc_rejects"]
    assert "'stop.csv'" in said
    assert made["id"] in said
    assert anna.delete(f"/srv1/dnc/imports/{made['id']}").status == 204
    assert "dnc_rejects" not in why(anna, campaign)
    clean = anna.post("/srv1/dnc/import", files={"file": ("a.csv", text[:-9])}, data={"region": "RU"}).json()
    assert clean["state"] == "ready"
    assert boris.get("/srv1/dnc/imports").json()["items"] == []

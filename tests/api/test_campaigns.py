"""Campaigns, their calls and report, sample calls: what the API makes of what the dialer wrote."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from autodialer.model import Disposition
from autodialer.store import Store
from tests.web.client import Client
from tests.web.conftest import StandingClock
from tests.web.dialing import DONE, EXHAUSTED, again, answered, claim, failed, record

UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"


def path_of(objects: dict[str, Any], more: str = "") -> str:
    return f"/srv1/campaigns/{objects['campaign']['id']}{more}"


def test_a_campaign_is_a_draft_with_the_defaults_that_are_promised(objects: dict[str, Any]) -> None:
    campaign = objects["campaign"]
    assert campaign["state"] == "draft"
    assert (campaign["max_attempts"], campaign["ring_timeout_s"], campaign["max_call_s"]) == (3, 40, 600)
    assert (campaign["max_channels"], campaign["cps"], campaign["lead_in_ms"]) == (None, None, None)
    assert campaign["retry"]["busy"] == {"after_s": 300, "times": 3}
    assert campaign["counts"] == {
        "total": 3,
        "pending": 3,
        "in_progress": 0,
        "calling": 0,
        "waiting": 0,
        "reached": 0,
        "exhausted": 0,
        "excluded": 0,
    }
    assert (campaign["dispositions"], campaign["active_calls"], campaign["eta_s"]) == ({}, 0, None)


def test_a_campaign_is_cloned_for_all_at_any_time_and_for_the_unreached_once_it_has_ended(
    anna: Client, objects: dict[str, Any]
) -> None:
    copy = anna.post(path_of(objects, "/clone"))
    assert copy.status == 201
    assert copy.json()["state"] == "draft"
    assert copy.json()["id"] != objects["campaign"]["id"]
    assert copy.json()["callbase_id"] == objects["campaign"]["callbase_id"]
    early = anna.post(path_of(objects, "/clone"), json={"only": "unreached"})
    assert (early.status, early.json()["error"]) == (409, "conflict")
    anna.post(path_of(objects, "/start"))
    anna.post(path_of(objects, "/stop"))
    assert anna.post(path_of(objects, "/clone"), json={"only": "unreached"}).status == 201
    assert anna.post(path_of(objects, "/clone"), json={"only": "some"}).status == 422


def test_every_rule_of_a_running_campaign_can_be_changed(anna: Client, objects: dict[str, Any]) -> None:
    anna.post(path_of(objects, "/start"))
    rules = {
        "max_channels": 7,
        "cps": 2.5,
        "caller_id": "+79160000009",
        "ring_timeout_s": 20,
        "max_call_s": 30,
        "lead_in_ms": 100,
        "max_attempts": 4,
        "min_played_s": 1.5,
    }
    changed = anna.put(path_of(objects), json={**rules, "retry": {"busy": {"after_s": 60, "times": 1}}}).json()
    assert {name: changed[name] for name in rules} == rules
    assert changed["retry"]["busy"] == {"after_s": 60, "times": 1}
    refused = anna.put(path_of(objects), json={"cps": 0})
    assert (refused.status, refused.json()["details"][0]["field"]) == (400, "cps")


def test_every_field_of_a_campaign_is_kept(anna: Client, objects: dict[str, Any]) -> None:
    fields = objects["fields"] | {
        "caller_id": "+79160000000",
        "max_channels": 50,
        "cps": 20,
        "ring_timeout_s": 25,
        "max_call_s": 60,
        "lead_in_ms": 500,
        "max_attempts": 5,
        "min_played_s": 3,
        "retry": {"busy": {"after_s": 10, "times": 1}, "short": {"after_s": 5, "times": 2}},
    }
    made = anna.post("/srv1/campaigns", json=fields)
    assert made.status == 201
    assert {name: made.json()[name] for name in fields if name != "retry"} == {
        name: value for name, value in fields.items() if name != "retry"
    }
    assert made.json()["retry"]["busy"] == {"after_s": 10, "times": 1}
    assert made.json()["retry"]["no_answer"] == {"after_s": 1800, "times": 2}
    assert made.json()["retry"]["short"] == {"after_s": 5, "times": 2}


@pytest.mark.parametrize("field", ["trunk_ids", "sound_id", "callbase_id"])
def test_a_campaign_of_something_unknown_names_the_field(anna: Client, objects: dict[str, Any], field: str) -> None:
    unknown = str(uuid4())
    answer = anna.post(
        "/srv1/campaigns", json=objects["fields"] | {field: [unknown] if field == "trunk_ids" else unknown}
    )
    assert (answer.status, answer.fields) == (422, [field])
    assert unknown in answer.json()["message"]
    assert len(anna.get("/srv1/campaigns").json()["items"]) == 1


@pytest.mark.parametrize("field", ["machine_policy", "record"])
def test_a_field_that_is_not_honoured_yet_is_refused_not_ignored(
    anna: Client, objects: dict[str, Any], field: str
) -> None:
    answer = anna.post("/srv1/campaigns", json=objects["fields"] | {field: None})
    assert (answer.status, answer.fields) == (400, [field])
    assert "taken are after_failed_transfer, callbase_id, caller_id, caps, cps" in answer.json()["message"]
    nested = anna.post("/srv1/campaigns", json=objects["fields"] | {"retry": {"weird": {"after_s": 1, "times": 1}}})
    assert nested.status == 400
    assert "weird in retry" in nested.json()["message"]


def test_a_campaign_runs_pauses_resumes_and_stops(anna: Client, objects: dict[str, Any]) -> None:
    assert anna.post(path_of(objects, "/pause")).error == "conflict"
    for action, state in (("start", "running"), ("pause", "paused"), ("resume", "running"), ("stop", "stopped")):
        answer = anna.post(path_of(objects, f"/{action}"))
        assert (answer.status, answer.json()["state"]) == (200, state)
    again_ = anna.post(path_of(objects, "/start"))
    assert (again_.status, again_.error) == (409, "conflict")
    assert "stopped" in again_.json()["message"]
    assert anna.put(path_of(objects), json={"cps": 5}).status == 409


def test_a_stop_with_hang_up_asks_the_dialer(anna: Client, objects: dict[str, Any], store: Store) -> None:
    anna.post(path_of(objects, "/start"))
    assert anna.post(path_of(objects, "/stop"), json={"hangup": True}).status == 200
    assert [command.kind for command in store.commands.new()] == ["hangup_campaign"]


def test_the_limits_of_a_campaign_can_be_changed(anna: Client, objects: dict[str, Any]) -> None:
    answer = anna.put(path_of(objects), json={"cps": 7.5, "max_channels": 3})
    assert (answer.json()["cps"], answer.json()["max_channels"]) == (7.5, 3)
    assert anna.put(path_of(objects), json={"name": "x"}).status == 400


def test_what_a_running_campaign_needs_cannot_be_deleted(anna: Client, objects: dict[str, Any]) -> None:
    anna.post(path_of(objects, "/start"))
    for kind in ("trunk", "sound", "callbase"):
        answer = anna.delete(f"/srv1/{kind}s/{objects[kind]['id']}")
        assert (answer.status, answer.error) == (409, "conflict")
    anna.post(path_of(objects, "/stop"))
    for kind in ("trunk", "sound", "callbase"):
        assert anna.delete(f"/srv1/{kind}s/{objects[kind]['id']}").status == 204
    assert anna.get(path_of(objects)).json()["sound_id"] == objects["sound"]["id"]


def test_a_campaign_of_something_deleted_does_not_start(anna: Client, objects: dict[str, Any]) -> None:
    anna.delete(f"/srv1/sounds/{objects['sound']['id']}")
    answer = anna.post(path_of(objects, "/start"))
    assert (answer.status, answer.fields) == (409, ["sound_id"])


def test_calls_and_report_say_what_became_of_every_number(
    anna: Client, objects: dict[str, Any], store: Store, clock: StandingClock
) -> None:
    anna.post(path_of(objects, "/start"))
    first, second, third = claim(store, clock.now)
    live = anna.get(f"/srv1/calls/{first.call_id}").json()
    assert (live["state"], live["disposition"], live["rtp"], live["attempt"]) == ("dialing", None, None, 1)
    assert anna.get(path_of(objects)).json()["active_calls"] == 3
    record(store, clock.now, first, answered(clock.now), DONE)
    record(store, clock.now, second, failed(clock.now, Disposition.BUSY, 486), again(clock.now + timedelta(300)))
    record(store, clock.now, third, failed(clock.now, Disposition.INVALID_NUMBER, 404), EXHAUSTED)
    clock.move(10)

    done = anna.get(f"/srv1/calls/{first.call_id}").json()
    assert (done["disposition"], done["sip_code"], done["ended_by"], done["played_share"]) == ("answered", 200, "us", 1)
    assert done["rtp"] == {
        "sent": 500,
        "received": 490,
        "lost": 10,
        "jitter_ms": 1.5,
        "reports": 0,
        "one_way_audio": False,
        "remote_lost": None,
        "round_trip_ms": None,
        "strangers": 0,
        "encryption": None,
    }
    assert done["answered_at"] == "2026-03-01T12:00:03.000Z"
    assert done["trunk_id"] == objects["trunk"]["id"]
    calls = anna.get(path_of(objects, "/calls")).json()["items"]
    assert [call["disposition"] for call in calls] == ["answered", "busy", "invalid_number"]
    assert calls[1]["next_attempt"]["rule"] == "busy"
    assert calls[1]["next_attempt"]["at"]
    busy = anna.get(path_of(objects, "/calls"), params={"disposition": "busy"}).json()["items"]
    assert [call["id"] for call in busy] == [str(second.call_id)]
    assert anna.get(path_of(objects, "/calls"), params={"disposition": "odd"}).fields == ["disposition"]

    campaign = anna.get(path_of(objects)).json()
    assert campaign["dispositions"] == {"answered": 1, "busy": 1, "invalid_number": 1}
    assert campaign["counts"]["reached"] == campaign["counts"]["in_progress"] == campaign["counts"]["exhausted"] == 1
    assert campaign["eta_s"] > 0
    report = anna.get(path_of(objects, "/report")).json()
    assert (report["calls"], report["answered"], report["asr"]) == (3, 1, pytest.approx(1 / 3))
    assert report["acd_s"] == 10
    assert report["pdd_s"]["p50"] == 1
    assert report["attempts_to_reach"] == {"1": 1}
    assert report["by_trunk"][0]["name"] == "trunk"
    assert report["counts"]["total"] == 3


def test_a_report_of_nothing_is_a_report(anna: Client, objects: dict[str, Any]) -> None:
    report = anna.get(path_of(objects, "/report")).json()
    assert (report["calls"], report["asr"], report["pdd_s"], report["by_trunk"]) == (0, None, {}, [])


def test_a_live_call_can_be_hung_up_and_a_finished_one_not(
    anna: Client, objects: dict[str, Any], store: Store, clock: StandingClock
) -> None:
    anna.post(path_of(objects, "/start"))
    job = claim(store, clock.now)[0]
    assert anna.post(f"/srv1/calls/{job.call_id}/hangup").status == 202
    [command] = store.commands.new()
    assert (command.kind, command.call_id) == ("hangup_call", job.call_id)
    record(store, clock.now, job, answered(clock.now), DONE)
    assert anna.post(f"/srv1/calls/{job.call_id}/hangup").status == 409


def test_a_sample_call_is_queued_for_one_number(
    anna: Client, admin: Client, objects: dict[str, Any], store: Store, clock: StandingClock
) -> None:
    fields = {"trunk_id": objects["trunk"]["id"], "sound_id": objects["sound"]["id"]}
    allowed = {"allowed_special": ["service_code"]}
    assert admin.put(f"/srv1/trunks/{objects['trunk']['id']}", json=allowed).status == 200
    answer = anna.post("/srv1/call/sample", json=fields | {"number": "101*2#", "raw": True})
    assert answer.status == 202
    call_id = answer.json()["id"]
    assert anna.get(f"/srv1/calls/{call_id}").json()["number"] == "101*2#"
    [job] = claim(store, clock.now)
    assert (str(job.call_id), job.number) == (call_id, "101*2#")
    assert len(anna.get("/srv1/campaigns").json()["items"]) == 1
    assert anna.post("/srv1/call/sample", json=fields | {"number": "+7 916 000-00-09"}).status == 202


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"number": "89160000001"}, "number"),
        ({"number": "+7"}, "number"),
        ({"number": "sip:x", "raw": True}, "number"),
        ({"trunk_id": UNKNOWN_ID}, "trunk_id"),
        ({"sound_id": UNKNOWN_ID}, "sound_id"),
    ],
)
def test_a_sample_call_that_cannot_be_names_the_field(
    anna: Client, objects: dict[str, Any], change: dict[str, Any], field: str
) -> None:
    fields = {"trunk_id": objects["trunk"]["id"], "sound_id": objects["sound"]["id"], "number": "+79160000001"}
    answer = anna.post("/srv1/call/sample", json=fields | change)
    assert (answer.status, answer.fields) == (422, [field])


# -- whose is it


def test_the_objects_of_others_are_404_and_an_admin_sees_all(
    anna: Client, boris: Client, admin: Client, objects: dict[str, Any], store: Store, clock: StandingClock
) -> None:
    anna.post(path_of(objects, "/start"))
    call = claim(store, clock.now)[0].call_id
    ids = {kind: objects[kind]["id"] for kind in ("trunk", "sound", "callbase", "campaign")}
    reads = [f"/srv1/{kind}s/{value}" for kind, value in ids.items()]
    reads += [f"/srv1/sounds/{ids['sound']}/audio", f"/srv1/calls/{call}"]
    reads += [f"/srv1/callbases/{ids['callbase']}/{part}" for part in ("subscribers", "rejected")]
    reads += [path_of(objects, f"/{part}") for part in ("why", "calls", "report")]
    for path in reads:
        assert boris.get(path).error == "not_found", path
        assert admin.get(path).status == 200, path
    for kind, value in ids.items():
        if kind != "campaign":
            assert boris.delete(f"/srv1/{kind}s/{value}").status == 404
        assert boris.get(f"/srv1/{kind}s").json()["items"] == []
        assert len(admin.get(f"/srv1/{kind}s").json()["items"]) == 1
    for action in ("start", "pause", "resume", "stop"):
        assert boris.post(path_of(objects, f"/{action}")).status == 404
    assert boris.post(f"/srv1/calls/{call}/hangup").status == 404
    assert boris.put(f"/srv1/trunks/{ids['trunk']}", json={"cps": 2}).status == 404
    assert boris.put(path_of(objects), json={"cps": 2}).status == 404
    assert boris.post(f"/srv1/callbases/{ids['callbase']}/subscribers", json={"number": "89160000009"}).status == 404
    assert boris.post("/srv1/campaigns", json=objects["fields"]).fields == ["trunk_ids"]
    sample = {"trunk_id": ids["trunk"], "sound_id": ids["sound"], "number": "+79160000001"}
    assert boris.post("/srv1/call/sample", json=sample).fields == ["trunk_id"]


# -- once, and written down


@pytest.mark.parametrize("kind", ["trunks", "sounds", "callbases", "subscribers", "campaigns", "sample"])
def test_a_repeated_request_with_one_idempotency_key_makes_one_object(
    anna: Client, boris: Client, objects: dict[str, Any], kind: str
) -> None:
    from tests.web.client import wav

    requests: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
        "trunks": (
            "/srv1/trunks",
            {"json": {"name": "x", "host": "127.0.0.1"}},
            {"json": {"name": "y", "host": "127.0.0.1"}},
        ),
        "sounds": ("/srv1/sounds", {"files": {"file": ("a.wav", wav())}}, {"files": {"file": ("a.wav", wav(1))}}),
        "callbases": (
            "/srv1/callbases",
            {"files": {"file": ("a.csv", b"89160000001\n")}, "data": {"region": "RU"}},
            {"files": {"file": ("a.csv", b"89160000002\n")}, "data": {"region": "RU"}},
        ),
        "subscribers": (
            f"/srv1/callbases/{objects['callbase']['id']}/subscribers",
            {"json": {"number": "89160000011"}},
            {"json": {"number": "89160000012"}},
        ),
        "campaigns": ("/srv1/campaigns", {"json": objects["fields"]}, {"json": objects["fields"] | {"name": "other"}}),
        "sample": (
            "/srv1/call/sample",
            {
                "json": {
                    "trunk_id": objects["trunk"]["id"],
                    "sound_id": objects["sound"]["id"],
                    "number": "+79160000001",
                }
            },
            {
                "json": {
                    "trunk_id": objects["trunk"]["id"],
                    "sound_id": objects["sound"]["id"],
                    "number": "+79160000002",
                }
            },
        ),
    }
    path, content, other = requests[kind]
    headers = {"Idempotency-Key": "one"}
    first = anna.post(path, headers=headers, **content)
    second = anna.post(path, headers=headers, **content)
    assert first.status == second.status in (201, 202)
    assert first.json()["id"] == second.json()["id"]
    different = anna.post(path, headers=headers, **other)
    assert (different.status, different.error) == (409, "conflict")
    if kind in ("trunks", "sounds"):
        assert boris.post(path, headers=headers, **content).json()["id"] != first.json()["id"]


def test_a_request_that_failed_leaves_its_idempotency_key_unused(anna: Client) -> None:
    headers = {"Idempotency-Key": "one"}
    assert anna.post("/srv1/trunks", json={"name": "x", "host": "a..b"}, headers=headers).status == 422
    assert anna.post("/srv1/trunks", json={"name": "x", "host": "127.0.0.1"}, headers=headers).status == 201


def test_every_change_is_in_the_audit(
    anna: Client, admin: Client, objects: dict[str, Any], store: Store, clock: StandingClock
) -> None:
    ids = {kind: objects[kind]["id"] for kind in ("trunk", "sound", "callbase", "campaign")}
    anna.put(f"/srv1/trunks/{ids['trunk']}", json={"password": "s3cret"})
    anna.put(path_of(objects), json={"cps": 2})
    anna.post(path_of(objects, "/start"))
    anna.post(f"/srv1/calls/{claim(store, clock.now)[0].call_id}/hangup")
    for action in ("pause", "resume", "stop"):
        anna.post(path_of(objects, f"/{action}"))
    sample = {"trunk_id": ids["trunk"], "sound_id": ids["sound"], "number": "+79160000001"}
    anna.post("/srv1/call/sample", json=sample)
    anna.post(f"/srv1/callbases/{ids['callbase']}/subscribers", json={"number": "89160000009"})
    anna.post("/srv1/callbases", files={"file": ("a.csv", b"89160000001")}, data={"region": "RU"})
    unused = anna.post("/srv1/trunks", json={"name": "x", "host": "127.0.0.1"}).json()["id"]
    anna.delete(f"/srv1/trunks/{unused}")
    user = admin.post("/srv1/users", json={"login": "vera", "password": "four quiet paper boats"}).json()
    admin.put(f"/srv1/users/{user['id']}", json={"password": "seven quiet wooden spoons"})
    answer = admin.get("/srv1/audit", params={"limit": 1000})
    actions = {entry["action"] for entry in answer.json()["items"]}
    assert actions >= {
        *(f"trunks.{verb}" for verb in ("create", "change", "delete")),
        *(f"campaigns.{verb}" for verb in ("create", "change", "start", "pause", "resume", "stop")),
        *("sounds.create", "callbases.create", "subscribers.create", "calls.hangup", "calls.sample"),
        *("users.create", "users.change", "auth.login"),
    }
    for secret in ("s3cret", "four quiet paper boats", "seven quiet wooden spoons"):
        assert secret not in answer.body.decode()

"""DNC lists, their imports, caps, and erasing a person, as the API offers them."""

import io
import time
from typing import Any
from urllib.parse import quote

import openpyxl
import pytest

from autodialer.imports import imports
from autodialer.store import Store
from tests.timing import at_most
from tests.web.client import Answer, Client
from tests.web.conftest import StandingClock
from tests.web.dialing import DONE as REACHED
from tests.web.dialing import answered, claim, record

NUMBER = "+79160000001"


def upload(client: Client, content: bytes, *, name: str = "stop.csv", region: str = "RU", **more: Any) -> Answer:
    headers = more.pop("headers", {})
    data = {"region": region, **more}
    return client.post("/srv1/dnc/import", files={"file": (name, content)}, data=data, headers=headers)


def numbers(client: Client, **params: str) -> list[str]:
    return [item["number"] for item in client.get("/srv1/dnc", params=params).json()["items"]]


def test_a_number_is_put_on_the_list_read_changed_and_taken_off(anna: Client, clock: StandingClock) -> None:
    made = anna.put("/srv1/dnc/8 916 000-00-01", json={"region": "RU", "comment": "asked by letter"})
    entry = made.json()
    assert made.status == 200
    assert {**entry, "created_at": None} == {
        "number": NUMBER,
        "scope": "own",
        "source": "api",
        "comment": "asked by letter",
        "created_at": None,
    }
    for spelling in (NUMBER, quote(NUMBER, safe=""), "79160000001"):
        assert anna.get(f"/srv1/dnc/{spelling}").json() == entry
    clock.move(60)
    assert anna.put(f"/srv1/dnc/{NUMBER}").json() == entry, "once more changes nothing"
    assert anna.put(f"/srv1/dnc/{NUMBER}", json={"comment": None}).json() == {**entry, "comment": None}
    assert anna.get("/srv1/dnc").json()["items"] == [{**entry, "comment": None}]
    assert anna.delete("/srv1/dnc/79160000001").status == 204
    assert anna.get(f"/srv1/dnc/{NUMBER}").error == "not_found"
    assert anna.delete(f"/srv1/dnc/{NUMBER}").error == "not_found"


def test_a_number_that_cannot_be_understood_is_refused_with_the_remedy(anna: Client) -> None:
    refused = anna.put("/srv1/dnc/89160000001")
    assert (refused.status, refused.fields) == (422, ["number"])
    assert "region" in refused.json()["message"]
    assert anna.put("/srv1/dnc/89160000001", json={"region": "Atlantis"}).fields == ["region"]
    assert anna.put("/srv1/dnc/89160000001", json={"region": "QQ"}).fields == ["region"]
    assert anna.put("/srv1/dnc/Mary", json={"region": "raw"}).status == 422
    assert anna.put("/srv1/dnc/101%23", json={"region": "raw"}).json()["number"] == "101#"


def test_only_an_admin_keeps_a_number_off_for_everybody(anna: Client, boris: Client, admin: Client) -> None:
    assert anna.put(f"/srv1/dnc/{NUMBER}", json={"scope": "all"}).error == "forbidden"
    assert upload(anna, b"+79160000001\n", scope="all").error == "forbidden"
    assert admin.put(f"/srv1/dnc/{NUMBER}", json={"scope": "all"}).json()["scope"] == "all"
    anna.put("/srv1/dnc/+79160000002")
    assert boris.get(f"/srv1/dnc/{NUMBER}").json()["scope"] == "all"
    assert boris.get("/srv1/dnc/+79160000002").status == 404, "Anna's is hers"
    assert (numbers(boris), numbers(boris, scope="all")) == ([], [NUMBER])
    assert len(numbers(admin)) == 2
    assert boris.delete(f"/srv1/dnc/{NUMBER}").error == "forbidden"
    assert admin.delete(f"/srv1/dnc/{NUMBER}").status == 204


def test_a_number_of_the_list_is_excluded_from_a_running_campaign(
    anna: Client, objects: dict[str, Any], store: Store, clock: StandingClock
) -> None:
    path = f"/srv1/campaigns/{objects['campaign']['id']}"
    anna.post(f"{path}/start")
    store.queue.enqueue_due(clock.now)
    anna.put(f"/srv1/dnc/{NUMBER}")
    assert [job.number for job in claim(store, clock.now)] == ["+79160000002", "+79160000003"]
    assert anna.get(path).json()["counts"]["excluded"] == 1


def test_a_file_of_numbers_is_imported_with_its_name_as_the_source(anna: Client) -> None:
    content = "телефон;имя\n8 916 000-00-01;Мария\n+79160000001;снова\n12;коротко\n;пусто\n+79160000002;\n"
    made = upload(anna, content.encode(), name="стоп.csv")
    found = made.json()
    assert (made.status, found["state"], found["file"], found["error"]) == (201, "ready_with_rejects", "стоп.csv", None)
    counts = ("rows", "rows_done", "imported", "duplicates", "rejected")
    assert [found[name] for name in counts] == [5, 5, 2, 1, 2]
    assert numbers(anna) == ["+79160000001", "+79160000002"]
    assert anna.get("/srv1/dnc/+79160000002").json()["source"] == "import:стоп.csv"
    path = f"/srv1/dnc/imports/{found['id']}"
    assert anna.get(path).json() == found
    assert anna.get("/srv1/dnc/imports").json()["items"] == [found]
    rejected = anna.get(f"{path}/rejected").json()["items"]
    assert [(row["row"], row["value"]) for row in rejected] == [(4, "12"), (5, "")]
    assert all(row["reason"] for row in rejected)
    assert anna.get(f"{path}/rejected", headers={"Accept": "text/csv"}).body.count(b"\r\n") == 3


def test_an_import_is_its_users_and_forgotten_without_its_numbers(anna: Client, boris: Client) -> None:
    path = f"/srv1/dnc/imports/{upload(anna, b'+79160000001').json()['id']}"
    for strange in (boris.get(path), boris.get(f"{path}/rejected"), boris.delete(path)):
        assert strange.error == "not_found"
    assert anna.delete(path).status == 204
    assert anna.get(path).status == 404
    assert numbers(anna) == [NUMBER]


def test_a_repeated_upload_with_the_same_key_is_one_import(anna: Client) -> None:
    first, second = (upload(anna, b"+79160000001", headers={"Idempotency-Key": "k"}).json() for _ in range(2))
    assert first == second
    assert len(anna.get("/srv1/dnc/imports").json()["items"]) == 1


def test_a_workbook_is_read_as_a_callbase_is(anna: Client) -> None:
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in (["number"], [79160000001.0], ["+7 916 000 00 02"]):
        book.active.append(row)
    book.save(target := io.BytesIO())
    assert upload(anna, target.getvalue(), name="stop.xlsx").json()["imported"] == 2


@pytest.mark.parametrize(("content", "field"), [(b"", "file"), (b"12\n13\n", "file"), (b"%PDF-1.4 \x00 x", "file")])
def test_a_file_without_a_number_leaves_no_import(anna: Client, content: bytes, field: str) -> None:
    refused = upload(anna, content)
    assert refused.status in (415, 422)
    assert refused.fields[0] == field
    assert anna.get("/srv1/dnc/imports").json()["items"] == []


def lines(count: int) -> bytes:
    return b"".join(b"+7916%07d\n" % index for index in range(count))


@pytest.mark.process
def test_a_large_file_is_imported_in_the_background(anna: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "ROWS_AT_ONCE", 1000)
    made = upload(anna, lines(1200))
    assert (made.status, made.json()["state"]) == (202, "importing")
    path = f"/srv1/dnc/imports/{made.json()['id']}"
    deadline = time.monotonic() + at_most(20)
    while (found := anna.get(path).json())["state"] == "importing" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (found["state"], found["imported"]) == ("ready", 1200)


def test_imports_that_a_crash_cut_short_have_failed_and_say_so(anna: Client, store: Store) -> None:
    [user] = [one for one in store.users.page()[0] if one.login == "anna"]
    made = store.dnc_imports.create(user.key, file="stop.csv", region="RU")
    assert store.dnc_imports.fail_unfinished() == 1
    found = anna.get(f"/srv1/dnc/imports/{made.id}").json()
    assert found["state"] == "failed" and "again" in found["error"]


def test_caps_of_a_campaign_are_set_changed_and_read_back(anna: Client, objects: dict[str, Any]) -> None:
    assert objects["campaign"]["caps"] == {"day": None, "week": None}
    made = anna.post("/srv1/campaigns", json={**objects["fields"], "caps": {"day": 2, "week": 5}}).json()
    assert made["caps"] == {"day": 2, "week": 5}
    changed = anna.put(f"/srv1/campaigns/{made['id']}", json={"caps": {"day": None}})
    assert changed.json()["caps"] == {"day": None, "week": 5}
    refused = anna.post("/srv1/campaigns", json={**objects["fields"], "caps": {"day": 0}})
    assert refused.status == 400 and "day" in refused.json()["message"]


def test_a_person_is_erased_by_one_request(
    anna: Client, boris: Client, objects: dict[str, Any], store: Store, clock: StandingClock
) -> None:
    campaign, callbase = (objects[name]["id"] for name in ("campaign", "callbase"))
    anna.post(f"/srv1/campaigns/{campaign}/start")
    [job] = claim(store, clock.now, limit=1)
    record(store, clock.now, job, answered(clock.now, digits="1"), REACHED)
    [person, *_] = anna.get(f"/srv1/callbases/{callbase}/subscribers").json()["items"]
    path = f"/srv1/subscribers/{person['id']}/erase"
    assert boris.post(path).error == "not_found"
    assert anna.post(path, json={"everything": True}).status == 400
    erased = anna.post(path, json={"dnc": True})
    assert erased.status == 200
    assert erased.json() == {"subscribers": 1, "calls": 1, "traces": 0, "jobs_cancelled": 0, "under_way": False}
    [call] = anna.get(f"/srv1/campaigns/{campaign}/calls").json()["items"]
    assert (call["number"], call["digits"], call["billsec_s"]) == ("", "", 10.0)
    assert anna.get(f"/srv1/dnc/{NUMBER}").json()["source"] == "api"
    assert anna.get(f"/srv1/campaigns/{campaign}").json()["counts"]["reached"] == 1


def test_the_audit_tells_of_an_erasure_without_the_number(anna: Client, admin: Client, objects: dict[str, Any]) -> None:
    anna.put(f"/srv1/dnc/{NUMBER}")
    [person, *_] = anna.get(f"/srv1/callbases/{objects['callbase']['id']}/subscribers").json()["items"]
    anna.post(f"/srv1/subscribers/{person['id']}/erase")
    audit = admin.get("/srv1/audit")
    [entry] = [item for item in audit.json()["items"] if item["action"] == "subscribers.erase"]
    assert (entry["object_id"], entry["login"]) == (person["id"], "anna")
    assert NUMBER not in audit.body.decode()

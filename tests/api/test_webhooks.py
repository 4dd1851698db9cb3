"""Webhooks, their deliveries and notices, as a user of the API has them."""

import json
from typing import Any

import pytest
from sqlalchemy import text

from autodialer.store import Store
from tests.web.client import Client

HOOK = "https://example.com/hook?token=s3cret"
TELEGRAM = "tgram://123456789:a-very-secret-token/12345678"
WEBHOOK = {"url": HOOK, "events": ["opt_out", "call.ended"]}


def made(client: Client, **fields: Any) -> dict[str, Any]:
    answer = client.post("/srv1/webhooks", json=WEBHOOK | fields)
    assert answer.status == 201, answer.body
    return dict(answer.json())


def test_the_secret_is_shown_when_the_webhook_is_made_and_never_again(anna: Client) -> None:
    webhook = made(anna)
    assert webhook["secret"].startswith("whsec_")
    assert webhook["events"] == ["call.ended", "opt_out"]
    assert (webhook["state"], webhook["format"], webhook["fields"], webhook["active"]) == ("working", "json", {}, True)
    path = f"/srv1/webhooks/{webhook['id']}"
    shown = [
        anna.get(path).json(),
        *anna.get("/srv1/webhooks").json()["items"],
        anna.put(path, json={"active": True}).json(),
    ]
    assert [each["secret"] for each in shown] == [None, None, None]


def test_a_repeated_request_gets_the_same_webhook_and_its_secret(anna: Client) -> None:
    """The first answer may have been lost, and with it the secret."""
    key = {"Idempotency-Key": "once"}
    first = anna.post("/srv1/webhooks", json=WEBHOOK, headers=key).json()
    assert anna.post("/srv1/webhooks", json=WEBHOOK, headers=key).json() == first


def test_the_database_holds_the_secret_encrypted_only(anna: Client, store: Store) -> None:
    import base64

    secret = base64.b64decode(made(anna)["secret"].removeprefix("whsec_"))
    anna.post("/srv1/notices", json={"name": "Anna", "url": TELEGRAM})
    with store._database.read() as connection:
        stored = connection.execute(text("SELECT secret FROM webhooks")).scalar_one()
        address = connection.execute(text("SELECT url FROM notices")).scalar_one()
        audit = str(connection.execute(text("SELECT * FROM audit")).all())
    assert secret not in stored and secret.hex().encode() not in stored
    assert b"secret" not in address
    assert "s3cret" not in audit and "very-secret" not in audit


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"url": "http://127.0.0.1/"}, "url"),
        ({"url": "http://[::ffff:10.0.0.1]/"}, "url"),
        ({"url": "http://169.254.169.254/latest/meta-data"}, "url"),
        ({"url": "http://localhost/"}, "url"),
        ({"url": "ftp://example.com/"}, "url"),
        ({"url": "https://anna:password@example.com/"}, "url"),
        ({"fields": {"phone": "{number}"}}, "fields"),
        ({"format": "form", "fields": {"phone": "{phone}"}}, "fields"),
        ({"format": "form", "fields": {"x": "{number.__class__}{__class__}"}}, "fields"),
        ({"campaign_id": "00000000-0000-0000-0000-000000000001"}, "campaign_id"),
    ],
)
def test_what_a_webhook_cannot_have_is_refused_by_name(anna: Client, change: dict[str, Any], field: str) -> None:
    answer = anna.post("/srv1/webhooks", json=WEBHOOK | change)
    assert answer.status == 422 and answer.fields == [field], answer.body
    if "campaign_id" not in change:
        webhook = made(anna)
        refused = anna.put(f"/srv1/webhooks/{webhook['id']}", json=change)
        assert refused.status == 422 and refused.fields == [field]


@pytest.mark.parametrize(
    "fields",
    [{"events": []}, {"events": ["call.begun"]}, {"events": ["call.ended"] * 2}, {"format": "xml"}, {"secret": "mine"}],
)
def test_what_the_contract_does_not_know_is_refused(anna: Client, fields: dict[str, Any]) -> None:
    assert anna.post("/srv1/webhooks", json=WEBHOOK | fields).status in (400, 422)


def test_a_field_map_belongs_to_a_form_and_goes_with_it(anna: Client) -> None:
    webhook = made(anna, format="form", fields={"phone": "{number}", "from": "dialer"})
    path = f"/srv1/webhooks/{webhook['id']}"
    assert anna.put(path, json={"events": ["call.ended"]}).json()["fields"] == {"phone": "{number}", "from": "dialer"}
    assert anna.put(path, json={"format": "json"}).json()["fields"] == {}


def test_webhooks_and_deliveries_of_another_user_are_not_there(anna: Client, boris: Client, admin: Client) -> None:
    webhook = made(anna)
    path = f"/srv1/webhooks/{webhook['id']}"
    delivery = anna.post(f"{path}/test").json()
    its_path = f"/srv1/webhooks/deliveries/{delivery['id']}"
    for answer in (
        boris.get(path),
        boris.put(path, json={"active": False}),
        boris.delete(path),
        boris.post(f"{path}/test"),
        boris.get(its_path),
        boris.post(f"{its_path}/redeliver"),
    ):
        assert answer.status == 404
    assert boris.get("/srv1/webhooks/deliveries").json()["items"] == []
    assert boris.get("/srv1/webhooks/deliveries", params={"webhook_id": webhook["id"]}).status == 422
    assert admin.get(path).status == 200
    assert len(admin.get("/srv1/webhooks/deliveries").json()["items"]) == 1


def test_a_test_is_a_delivery_that_waits_to_be_sent(anna: Client) -> None:
    webhook = made(anna, active=False)
    answer = anna.post(f"/srv1/webhooks/{webhook['id']}/test")
    assert answer.status == 202
    delivery = answer.json()
    assert (delivery["event"], delivery["state"], delivery["attempts"]) == ("webhook.test", "waiting", 0)
    listed = anna.get("/srv1/webhooks/deliveries", params={"webhook_id": webhook["id"], "state": "waiting"}).json()
    assert listed["items"] == [delivery]
    assert anna.get("/srv1/webhooks/deliveries", params={"state": "failed"}).json()["items"] == []
    assert anna.get("/srv1/webhooks/deliveries", params={"state": "lost"}).status in (400, 422)


def test_a_webhook_of_a_campaign_belongs_to_the_campaigns_owner(
    anna: Client, admin: Client, objects: dict[str, Any]
) -> None:
    campaign_id = objects["campaign"]["id"]
    webhook = made(admin, campaign_id=campaign_id)
    made(anna)
    assert anna.get(f"/srv1/webhooks/{webhook['id']}").status == 200
    of_campaign = anna.get("/srv1/webhooks", params={"campaign_id": campaign_id}).json()["items"]
    assert [each["id"] for each in of_campaign] == [webhook["id"]]


def test_a_campaign_may_name_its_webhook_itself(anna: Client, objects: dict[str, Any]) -> None:
    campaign = anna.post("/srv1/campaigns", json=objects["fields"] | {"webhook_url": HOOK}).json()
    assert campaign["webhook_url"] == HOOK and campaign["webhook_secret"].startswith("whsec_")
    path = f"/srv1/campaigns/{campaign['id']}"
    assert anna.get(path).json()["webhook_secret"] is None
    (webhook,) = anna.get("/srv1/webhooks", params={"campaign_id": campaign["id"]}).json()["items"]
    assert (webhook["url"], webhook["events"]) == (HOOK, ["call.ended", "campaign.state"])
    other = "https://example.com/other"
    changed = anna.put(path, json={"webhook_url": other}).json()
    assert (changed["webhook_url"], changed["webhook_secret"]) == (other, None)
    assert anna.put(f"/srv1/webhooks/{webhook['id']}", json={"url": HOOK}).status == 200
    assert anna.get(path).json()["webhook_url"] == HOOK
    assert anna.put(path, json={"cps": 2}).json()["webhook_url"] == HOOK
    assert anna.put(path, json={"webhook_url": None}).json()["webhook_url"] is None
    assert anna.get("/srv1/webhooks").json()["items"] == []
    again = anna.put(path, json={"webhook_url": HOOK}).json()
    assert again["webhook_secret"] not in (None, campaign["webhook_secret"])
    refused = anna.put(path, json={"webhook_url": "http://10.0.0.1/"})
    assert refused.status == 422 and refused.fields == ["webhook_url"]


def test_a_clone_has_a_webhook_of_its_own(anna: Client, objects: dict[str, Any]) -> None:
    campaign = anna.post("/srv1/campaigns", json=objects["fields"] | {"webhook_url": HOOK}).json()
    clone = anna.post(f"/srv1/campaigns/{campaign['id']}/clone", json={}).json()
    assert clone["webhook_url"] == HOOK
    assert clone["webhook_secret"] not in (None, campaign["webhook_secret"])
    assert len(anna.get("/srv1/webhooks").json()["items"]) == 2


def test_a_deleted_webhook_is_gone(anna: Client) -> None:
    webhook = made(anna)
    path = f"/srv1/webhooks/{webhook['id']}"
    anna.post(f"{path}/test")
    assert anna.delete(path).status == 204
    assert anna.get(path).status == 404
    assert anna.get("/srv1/webhooks/deliveries").json()["items"] == []


# -- notices


def test_the_address_of_a_notice_is_never_shown(anna: Client, boris: Client) -> None:
    answer = anna.post("/srv1/notices", json={"name": "Anna", "url": TELEGRAM, "language": "ru"})
    assert answer.status == 201, answer.body
    notice = answer.json()
    assert (notice["to"], notice["language"], notice["active"]) == ("Telegram", "ru", True)
    assert notice["events"] == ["campaign.state", "trunk.state", "import.ended", "ceiling.reached"]
    path = f"/srv1/notices/{notice['id']}"
    said = [answer.body, anna.get(path).body, anna.get("/srv1/notices").body]
    assert all(b"very-secret" not in each and b'"url"' not in each for each in said)
    assert boris.get(path).status == boris.delete(path).status == boris.post(f"{path}/test").status == 404


@pytest.mark.parametrize(
    "url",
    [
        "nonsense://x",
        "syslog://",
        "dbus://",
        "json://127.0.0.1:8080/",
        "json://localhost/",
        "mailto://user:password@mail.example?smtp=169.254.169.254&to=a@mail.example",
        "not an address",
    ],
)
def test_an_address_of_no_service_or_of_this_machine_is_refused(anna: Client, url: str) -> None:
    answer = anna.post("/srv1/notices", json={"name": "Anna", "url": url})
    assert answer.status == 422 and answer.fields == ["url"], answer.body


def test_a_changed_notice_keeps_the_address_that_is_not_given(anna: Client, store: Store) -> None:
    notice = anna.post("/srv1/notices", json={"name": "Anna", "url": TELEGRAM}).json()
    changed = anna.put(f"/srv1/notices/{notice['id']}", json={"name": "Anna P.", "events": ["trunk.state"]}).json()
    assert (changed["name"], changed["events"], changed["to"]) == ("Anna P.", ["trunk.state"], "Telegram")
    (stored,), _ = store.notices.page(None)
    assert stored.url == TELEGRAM


def test_a_test_of_a_notice_waits_to_be_sent(anna: Client, store: Store) -> None:
    notice = anna.post("/srv1/notices", json={"name": "Anna", "url": TELEGRAM, "language": "ru"}).json()
    assert anna.post(f"/srv1/notices/{notice['id']}/test").status == 202
    (message,) = store.notices.due(10)
    assert message.title == "Проверка"
    assert anna.delete(f"/srv1/notices/{notice['id']}").status == 204
    assert store.notices.due(10) == []


def test_what_is_listed_is_what_is_read(anna: Client) -> None:
    webhook = made(anna)
    assert json.loads(anna.get("/srv1/webhooks").body)["items"] == [anna.get(f"/srv1/webhooks/{webhook['id']}").json()]

"""Deleted users: what ends, what is refused, and what becomes of their objects."""

import re
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Table, select, text

import main
from autodialer.config import Settings
from autodialer.errors import Unavailable
from autodialer.model import Role
from autodialer.store import BATCH_ROWS, Store
from autodialer.store.accounts.tables import users
from autodialer.store.forget import leaving
from autodialer.store.schema import metadata
from autodialer.web.app import App
from tests.web.client import Client
from tests.web.conftest import PASSWORD, StandingClock
from tests.web.dialing import DONE, answered, claim, record

NOT_TOLD = {"/audit"}
"""It keeps what was done, with the ids."""
KINDS = ("trunks", "sounds", "callbases", "campaigns")
NUMBER = "+79160000055"
WEBHOOK = {"url": "https://example.com/hook", "events": ["opt_out", "call.ended"]}


def id_of(store: Store, login: str) -> UUID:
    user = store.users.by_login(login)
    assert user is not None
    return user.id


def path_of(store: Store, login: str, objects: str, **more: str) -> str:
    query = "&".join(f"{name}={value}" for name, value in {"objects": objects, **more}.items())
    return f"/srv1/users/{id_of(store, login)}?{query}"


def told_by(client: Client, ids: dict[str, str]) -> str:
    """What all the reading operations but the audit answer."""
    told = []
    for route in main.ROUTES:
        if route.method == "GET" and route.path not in NOT_TOLD:
            path = re.sub("<(.*?)>", lambda found: ids[found[1]], route.path)
            told.append(client.get(f"/srv1{path}", headers={"Accept": "*/*"}).body.decode(errors="replace"))
    return "\n".join(told)


def clear(store: Store) -> None:
    """What housekeeping does."""
    while any([store.callbases.clear_some(), store.leaving.clear_some()]):
        pass


def called(anna: Client, objects: dict[str, Any], store: Store, clock: StandingClock) -> str:
    """The id of a call of Anna's campaign, which is stopped after it."""
    path = f"/srv1/campaigns/{objects['campaign']['id']}"
    assert anna.post(f"{path}/start").status == 200
    [job] = claim(store, clock.now, 1)
    record(store, clock.now, job, answered(clock.now), DONE)
    assert anna.post(f"{path}/stop", json={}).status == 200
    return str(job.call_id)


def rows_that_name(store: Store, number: str) -> dict[str, int]:
    """In how many rows of each table a number stands."""
    found = {}
    with store._database.read() as connection:
        for table in metadata.sorted_tables:
            count = sum(number in str(row) for row in connection.execute(select(table)))
            if count:
                found[table.name] = count
    return found


def rows_of(store: Store, *names: str) -> list[Any]:
    """All that stands in these tables."""
    with store._database.read() as connection:
        return [row for name in names for row in connection.execute(select(metadata.tables[name]))]


def test_everything_of_a_user_goes_to_another(
    anna: Client, boris: Client, admin: Client, objects: dict[str, Any], store: Store, clock: StandingClock
) -> None:
    call = called(anna, objects, store, clock)
    anna.put(f"/srv1/dnc/{NUMBER}", json={"comment": "asked"})
    assert admin.delete(path_of(store, "anna", "give", to=str(id_of(store, "boris")))).status == 204
    for kind in KINDS:
        [item] = boris.get(f"/srv1/{kind}").json()["items"]
        assert item["id"] == objects[kind[:-1]]["id"]
    assert boris.get(f"/srv1/calls/{call}").status == 200
    assert boris.get(f"/srv1/dnc/{NUMBER}").json()["comment"] == "asked"
    assert boris.get(f"/srv1/sounds/{objects['sound']['id']}/audio").status == 200
    clone = boris.post(f"/srv1/campaigns/{objects['campaign']['id']}/clone", json={}).json()
    assert boris.post(f"/srv1/campaigns/{clone['id']}/start").status == 200


def test_what_told_a_user_of_all_objects_does_not_tell_of_the_new_owners(
    anna: Client, boris: Client, admin: Client, objects: dict[str, Any], store: Store
) -> None:
    of_campaign = anna.post("/srv1/webhooks", json=WEBHOOK | {"campaign_id": objects["campaign"]["id"]}).json()
    anna.post("/srv1/webhooks", json=WEBHOOK)
    anna.post("/srv1/notices", json={"name": "Anna", "url": "tgram://123456789:abc/1234"})
    assert admin.delete(path_of(store, "anna", "give", to=str(id_of(store, "boris")))).status == 204
    clear(store)
    assert [item["id"] for item in boris.get("/srv1/webhooks").json()["items"]] == [of_campaign["id"]]
    assert admin.get("/srv1/notices").json()["items"] == []


def test_without_a_name_the_admin_who_deletes_gets_the_objects(
    admin: Client, objects: dict[str, Any], store: Store
) -> None:
    assert admin.delete(path_of(store, "anna", "give")).status == 204
    narrow = Client(admin.app)
    form = {"grant_type": "password", "username": "admin", "password": PASSWORD, "scope": "read"}
    narrow.token = narrow.post("/srv1/auth/token", data=form).json()["access_token"]
    assert narrow.get(f"/srv1/campaigns/{objects['campaign']['id']}").status == 200, "as the admin's own"


def test_everything_of_a_user_goes_with_it(
    anna: Client,
    admin: Client,
    objects: dict[str, Any],
    store: Store,
    clock: StandingClock,
    settings: Settings,
) -> None:
    called(anna, objects, store, clock)
    anna.put(f"/srv1/dnc/{NUMBER}", json={})
    anna.post("/srv1/dnc/import", files={"file": ("dnc.csv", NUMBER.encode() + b"\n12\n")}, data={"region": "RU"})
    hook = anna.post("/srv1/webhooks", json=WEBHOOK).json()
    assert anna.post(f"/srv1/webhooks/{hook['id']}/test").status == 202
    campaign = anna.post("/srv1/campaigns", json=objects["fields"]).json()
    for deed in ("start", "pause"):
        assert anna.post(f"/srv1/campaigns/{campaign['id']}/{deed}").status == 200
    assert rows_that_name(store, "+7916000000").keys() >= {"subscribers", "calls"}
    assert list(settings.sounds.glob("*"))
    assert admin.delete(path_of(store, "anna", "delete")).status == 204
    for kind in KINDS:
        assert admin.get(f"/srv1/{kind}").json()["items"] == []
        assert admin.get(f"/srv1/{kind}/{objects[kind[:-1]]['id']}").status == 404
    assert admin.post(f"/srv1/campaigns/{campaign['id']}/resume").status == 404
    assert store.queue.running_campaigns() == []
    clear(store)
    assert rows_of(store, "webhooks", "notices", "webhook_deliveries") == []
    assert rows_that_name(store, "+791600000").keys() <= {"audit"}, "the numbers are gone"
    assert list(settings.sounds.glob("*")) == []
    with store._database.read() as connection:
        assert connection.execute(select(users.c.key).where(users.c.leaves.is_not(None))).all() == []


@pytest.mark.parametrize("objects_go", ["give", "delete"])
def test_no_reading_operation_tells_an_admin_of_what_a_deleted_user_has_left(
    anna: Client,
    admin: Client,
    objects: dict[str, Any],
    store: Store,
    clock: StandingClock,
    monkeypatch: pytest.MonkeyPatch,
    objects_go: str,
) -> None:
    call = called(anna, objects, store, clock)
    stop_list = {"file": ("secret-list.csv", NUMBER.encode() + b"\n12\n")}
    imported = anna.post("/srv1/dnc/import", files=stop_list, data={"region": "RU"}).json()
    [person, *_] = anna.get(f"/srv1/callbases/{objects['callbase']['id']}/subscribers").json()["items"]
    made = {kind: objects[kind]["id"] for kind in ("trunk", "sound", "callbase", "campaign")}
    made |= {"call": call, "import": imported["id"], "subscriber": person["id"]}
    webhook = anna.post("/srv1/webhooks", json=WEBHOOK).json()
    notice = anna.post("/srv1/notices", json={"name": "Anna", "url": "tgram://123456789:abc/1234"}).json()
    delivery = anna.post(f"/srv1/webhooks/{webhook['id']}/test").json()
    made |= {"webhook": webhook["id"], "notice": notice["id"], "delivery": delivery["id"]}
    anna_id = str(id_of(store, "anna"))
    ids = {f"{kind}_id": each for kind, each in made.items()} | {"number": NUMBER, "user_id": anna_id, "key_id": call}
    told_before = told_by(admin, ids)
    assert [kind for kind, each in made.items() if each not in told_before] == []
    monkeypatch.setattr("autodialer.api.accounts.BATCHES_AWAITED", 0)
    assert admin.delete(path_of(store, "anna", objects_go)).status == 204
    told = told_by(admin, ids)
    assert [kind for kind, each in made.items() if each in told] == []
    assert NUMBER not in told


@pytest.mark.parametrize("objects_go", ["give", "delete"])
def test_sessions_and_keys_end_at_once_and_the_login_is_free_again(
    anna: Client, admin: Client, store: Store, objects_go: str
) -> None:
    key = anna.post("/srv1/api-keys", json={"name": "program", "scopes": ["read"]}).json()["key"]
    refresh = anna.log_in("anna", PASSWORD).json()["refresh_token"]
    old = id_of(store, "anna")
    assert admin.delete(path_of(store, "anna", objects_go)).status == 204
    assert anna.get("/srv1/trunks").status == Client(anna.app, key).get("/srv1/trunks").status == 401
    form = {"grant_type": "refresh_token", "refresh_token": refresh}
    assert anna.post("/srv1/auth/token", data=form).error == "invalid_grant"
    assert anna.log_in("anna", PASSWORD).status == anna.log_in(str(old), PASSWORD).status == 400
    assert admin.get(f"/srv1/users/{old}").status == 404
    assert admin.put(f"/srv1/users/{old}", json={"password": "a new password"}).status == 404
    assert admin.delete(f"/srv1/users/{old}?objects=give").status == 404
    assert "anna" not in str(admin.get("/srv1/users").body)
    made = admin.post("/srv1/users", json={"login": "anna", "password": PASSWORD}).json()
    assert made["id"] != str(old)


def test_the_audit_keeps_the_login(anna: Client, admin: Client, store: Store) -> None:
    anna.post("/srv1/trunks", json={"name": "trunk", "host": "127.0.0.1"})
    old = id_of(store, "anna")
    admin.delete(path_of(store, "anna", "delete"))
    admin.post("/srv1/users", json={"login": "anna", "password": PASSWORD})
    by_action = {row["action"]: row for row in admin.get("/srv1/audit").json()["items"]}
    made = by_action["trunks.create"]
    assert (made["login"], made["user_id"]) == ("anna", str(old))
    gone = by_action["users.delete"]
    assert (gone["login"], gone["object_id"]) == ("admin", str(old))
    assert gone["details"] == {"login": "anna", "objects": "delete"}


def _running(anna: Client, objects: dict[str, Any], store: Store, clock: StandingClock) -> str:
    assert anna.post(f"/srv1/campaigns/{objects['campaign']['id']}/start").status == 200
    return "'campaign'"


def _calling(anna: Client, objects: dict[str, Any], store: Store, clock: StandingClock) -> str:
    _running(anna, objects, store, clock)
    assert len(claim(store, clock.now, 1)) == 1
    assert anna.post(f"/srv1/campaigns/{objects['campaign']['id']}/stop", json={}).status == 200
    return "(1)"


def _sample_call(anna: Client, objects: dict[str, Any], store: Store, clock: StandingClock) -> str:
    fields = {"trunk_id": objects["trunk"]["id"], "sound_id": objects["sound"]["id"], "number": NUMBER}
    assert anna.post("/srv1/call/sample", json=fields).status == 202
    return "running campaigns"


def _importing(anna: Client, objects: dict[str, Any], store: Store, clock: StandingClock) -> str:
    user = store.users.by_login("anna")
    assert user is not None
    store.dnc_imports.create(user.key, file="stop.csv", region="RU")
    return "'stop.csv'"


@pytest.mark.parametrize("objects_go", ["give", "delete"])
@pytest.mark.parametrize("busy", [_running, _calling, _sample_call, _importing])
def test_a_user_at_work_stays_and_the_answer_says_why(
    anna: Client,
    admin: Client,
    objects: dict[str, Any],
    store: Store,
    clock: StandingClock,
    busy: Any,
    objects_go: str,
) -> None:
    why = busy(anna, objects, store, clock)
    answer = admin.delete(path_of(store, "anna", objects_go))
    assert (answer.status, answer.error) == (409, "conflict")
    assert why in answer.json()["message"]
    assert anna.get("/srv1/users/me").status == 200


def test_objects_that_another_users_campaign_needs_are_given_but_not_deleted(
    admin: Client, objects: dict[str, Any], store: Store
) -> None:
    campaign = admin.post("/srv1/campaigns", json=objects["fields"] | {"name": "the admin's"}).json()
    admin.post(f"/srv1/campaigns/{campaign['id']}/start")
    answer = admin.delete(path_of(store, "anna", "delete"))
    assert (answer.status, answer.error) == (409, "conflict")
    assert answer.json()["details"] == [{"campaign_id": campaign["id"], "name": "the admin's"}]
    assert admin.delete(path_of(store, "anna", "give")).status == 204


@pytest.mark.parametrize(
    ("login", "query", "status"),
    [
        ("admin", "objects=give", 409),
        ("anna", "", 400),
        ("anna", "objects=keep", 400),
        ("anna", "objects=delete&to={boris}", 422),
        ("anna", "objects=give&to={anna}", 422),
        ("anna", "objects=give&to={vera}", 422),
        ("anna", "objects=give&to=00000000-0000-4000-8000-000000000000", 422),
    ],
)
def test_a_deletion_that_cannot_be_is_refused(admin: Client, store: Store, login: str, query: str, status: int) -> None:
    store.users.create(login="vera", password=PASSWORD, role=Role.VIEWER, works_for="boris")
    ids = {name: str(id_of(store, name)) for name in ("anna", "boris", "vera")}
    assert admin.delete(f"/srv1/users/{id_of(store, login)}?{query.format(**ids)}").status == status
    assert store.users.by_login(login) is not None


def test_the_last_admin_stays(store: Store) -> None:
    heir = id_of(store, "anna")
    with pytest.raises(Exception, match="only admin"):
        store.leaving.delete(id_of(store, "admin"), objects=leaving.Objects.GIVE, heir_id=heir, by="x")


@pytest.mark.parametrize("objects_go", ["give", "delete"])
def test_a_viewer_of_a_deleted_user_sees_nothing_until_an_admin_says_whose_objects(
    admin: Client, app: App, boris: Client, objects: dict[str, Any], store: Store, objects_go: str
) -> None:
    boris.post("/srv1/trunks", json={"name": "other", "host": "127.0.0.1"})
    store.users.create(login="vera", password=PASSWORD, role=Role.VIEWER, works_for="anna")
    vera = Client(app)
    vera.log_in("vera", PASSWORD)
    assert len(vera.get("/srv1/campaigns").json()["items"]) == 1
    more = {"to": str(id_of(store, "boris"))} if objects_go == "give" else {}
    assert admin.delete(path_of(store, "anna", objects_go, **more)).status == 204
    assert vera.get("/srv1/campaigns").json()["items"] == vera.get("/srv1/trunks").json()["items"] == []
    assert vera.get("/srv1/users/me").json()["works_for"] is None
    assert admin.put(f"/srv1/users/{id_of(store, 'vera')}", json={"works_for": "boris"}).status == 200
    assert "other" in [trunk["name"] for trunk in vera.get("/srv1/trunks").json()["items"]]


def test_a_number_on_both_lists_is_kept_once_and_for_as_many_as_before(
    anna: Client, boris: Client, admin: Client, store: Store
) -> None:
    second = store.users.create(login="second", password=PASSWORD, role=Role.ADMIN)
    other = Client(anna.app)
    other.log_in("second", PASSWORD)
    for number in (NUMBER, "+79160000056"):
        other.put(f"/srv1/dnc/{number}", json={"scope": "all"})
    boris.put(f"/srv1/dnc/{NUMBER}", json={"comment": "mine"})
    assert admin.delete(f"/srv1/users/{second.id}?objects=give&to={id_of(store, 'boris')}").status == 204
    found = {each["number"]: (each["scope"], each["comment"]) for each in boris.get("/srv1/dnc").json()["items"]}
    assert found == {NUMBER: ("all", "mine"), "+79160000056": ("all", None)}


def test_numbers_that_an_admin_kept_off_for_everybody_stay_off(anna: Client, admin: Client, store: Store) -> None:
    store.users.create(login="second", password=PASSWORD, role=Role.ADMIN)
    other = Client(anna.app)
    other.log_in("second", PASSWORD)
    other.put(f"/srv1/dnc/{NUMBER}", json={"scope": "all"})
    other.put("/srv1/dnc/+79160000056", json={})
    assert admin.delete(path_of(store, "second", "delete")).status == 204
    clear(store)
    assert [entry["number"] for entry in anna.get("/srv1/dnc?scope=all").json()["items"]] == [NUMBER]
    assert [entry["number"] for entry in admin.get("/srv1/dnc").json()["items"]] == [NUMBER]


def test_many_numbers_are_given_by_batches_and_the_campaigns_after_them(
    boris: Client, admin: Client, objects: dict[str, Any], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = store.users.by_login("anna")
    assert anna is not None
    count = 3 * BATCH_ROWS + 1
    with store._database.write() as connection:
        connection.execute(
            text("INSERT INTO dnc (owner_key, number, source, created_at) VALUES (:owner, :number, 'x', 0)"),
            [{"owner": anna.key, "number": f"+7999{index:07}"} for index in range(count)],
        )
    monkeypatch.setattr("autodialer.api.accounts.BATCHES_AWAITED", 0)
    assert admin.delete(path_of(store, "anna", "give", to=str(id_of(store, "boris")))).status == 204
    campaign = f"/srv1/campaigns/{objects['campaign']['id']}"
    given, boris_key = 0, store.users.by_id(id_of(store, "boris")).key
    while boris.get(campaign).status == 404:
        assert admin.get(campaign).status == 404, "it is nobody's meanwhile"
        assert store.leaving.clear_some()
        with store._database.read() as connection:
            query = text("SELECT count(*) FROM dnc WHERE owner_key = :owner")
            now = connection.execute(query, {"owner": boris_key}).scalar_one()
        assert now - given <= BATCH_ROWS
        given = now
    assert given == count, "nobody on the list can be called before"
    # While it goes on, the heir stays.
    assert admin.delete(path_of(store, "boris", "give")).status == 409
    clear(store)
    assert admin.delete(path_of(store, "boris", "give")).status == 204


def test_a_fault_while_objects_are_given_is_made_good_later(
    admin: Client, boris: Client, objects: dict[str, Any], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked() -> bool:
        raise Unavailable

    with monkeypatch.context() as patch:
        patch.setattr(store.leaving, "clear_some", locked)
        assert admin.delete(path_of(store, "anna", "give", to=str(id_of(store, "boris")))).status == 204
    assert boris.get("/srv1/campaigns").json()["items"] == []
    clear(store)
    assert len(boris.get("/srv1/campaigns").json()["items"]) == 1


def test_what_a_request_makes_after_its_user_was_deleted_is_refused(
    anna: Client, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna_id, admin_id = id_of(store, "anna"), id_of(store, "admin")
    find = store.tokens.user_of_family

    def delete_then(family_id: UUID) -> Any:
        found = find(family_id)
        if found is not None and found.login == "anna":
            store.leaving.delete(anna_id, objects=leaving.Objects.DELETE, heir_id=admin_id, by="admin")
        return found

    monkeypatch.setattr(store.tokens, "user_of_family", delete_then)
    answer = anna.post("/srv1/trunks", json={"name": "late", "host": "127.0.0.1"})
    assert (answer.status, answer.error) == (401, "unauthorized")
    with store._database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM trunks")).scalar_one() == 0


KNOWN = {
    "api_keys.user_key": "ended",
    "audit.user_key": "kept, with the login",
    "idempotency_keys.user_key": "forgotten after a day, as all are",
    "token_families.user_key": "ended",
    "webhooks.owner_key": "ended; a campaign's own goes with the campaign",
    "notices.owner_key": "ended",
    "dnc.owner_key": "given, or cleared away",
    "dnc_imports.owner_key": "given, or cleared away",
    "trunks.owner_key": "given, or marked as deleted",
    "sounds.owner_key": "given, or marked as deleted",
    "callbases.owner_key": "given, or marked as deleted, and then cleared away",
    "campaigns.owner_key": "given, or hidden for good without their calls",
}
"""What becomes of each row that belongs to a user. A new table has to be given a place in store/forget/leaving.py."""


def test_it_is_known_what_becomes_of_everything_that_belongs_to_a_user() -> None:
    def of_users(table: Table) -> list[str]:
        return [f"{table.name}.{key.parent.name}" for key in table.foreign_keys if key.column.table is users]

    assert sorted(name for table in metadata.sorted_tables for name in of_users(table)) == sorted(KNOWN)

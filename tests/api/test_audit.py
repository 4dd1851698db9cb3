"""What an operation changes and its audit row are one transaction: a fault at any statement leaves both or neither.

Every operation that may change something, from the table of routes, is done with a database that refuses its first
statement, then its second, and so on to the last.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pyotp
import pytest
from sqlalchemy import text

import main
from autodialer.api import calls as api_calls
from autodialer.api import trunks as api_trunks
from autodialer.model import Disposition
from autodialer.store import Store
from tests.api.test_idempotency import REQUESTS, faulty
from tests.web.client import Answer, Client, wav
from tests.web.conftest import PASSWORD, StandingClock
from tests.web.dialing import again, claim, failed, record

Deed = Callable[[], Answer]
Prepare = Callable[["Office"], Deed]


class Office:
    """Anna, an admin, Anna's objects, and a number that is new each time."""

    def __init__(
        self, anna: Client, admin: Client, objects: dict[str, Any], store: Store, clock: StandingClock
    ) -> None:
        self.anna = anna
        self.admin = admin
        self.objects = objects
        self.store = store
        self.clock = clock
        self._turn = 0

    @property
    def turn(self) -> int:
        """The next number."""
        self._turn += 1
        return self._turn

    def create(self, operation: str) -> Deed:
        """One of the creating operations. Its own key is new, so that nothing but the object comes of it."""
        turn, client = self.turn, self.admin if operation == "create_user" else self.anna
        return lambda: REQUESTS[operation](client, self.objects, {"Idempotency-Key": f"k-{turn}"})

    def made(self, operation: str) -> str:
        """The id of a new object."""
        answer = self.create(operation)()
        assert answer.status in (201, 202), answer.body
        return str(answer.json()["id"])

    def campaign(self, *deeds: str) -> str:
        """The path of a new campaign after these deeds."""
        path = f"/srv1/campaigns/{self.made('create_campaign')}"
        for deed in deeds:
            assert self.anna.post(f"{path}/{deed}").status == 200
        return path

    def call(self) -> str:
        """The path of a call under way."""
        self.campaign("start")
        [job, *_] = claim(self.store, self.clock.now)
        return f"/srv1/calls/{job.call_id}"


def _log_in(office: Office) -> Deed:
    form = {"grant_type": "password", "username": "anna", "password": PASSWORD}
    return lambda: Client(office.anna.app).post("/srv1/auth/token", data=form)


def _log_in_as_before(office: Office) -> Deed:
    known = {"login": "anna", "password": PASSWORD}
    return lambda: Client(office.anna.app).post("/srv1/auth/login", json=known)


def _change_password(office: Office) -> Deed:
    login = f"clerk-{office.turn}"
    user = {"login": login, "password": PASSWORD}
    assert office.admin.post("/srv1/users", json=user).status == 201
    clerk = Client(office.anna.app)
    clerk.log_in(login, PASSWORD)
    clerk.get("/srv1/users/me/sessions")  # the first use of a session is written down apart from what is done
    change = {"password": PASSWORD, "new_password": "four quiet paper boats"}
    return lambda: clerk.put("/srv1/users/me/password", json=change)


def _change_user(office: Office) -> Deed:
    path = f"/srv1/users/{office.made('create_user')}"
    return lambda: office.admin.put(path, json={"name": "Vera", "password": "four quiet paper boats"})


MFA = "/srv1/users/me/mfa"


def _enrol(office: Office) -> Deed:
    return lambda: office.anna.post(MFA, json={"password": PASSWORD})


def _confirm(office: Office) -> Deed:
    office.anna.log_in("anna", PASSWORD)
    if office.anna.get("/srv1/users/me").json()["mfa_enabled"]:
        user = office.anna.get("/srv1/users/me").json()["id"]
        assert office.admin.delete(f"/srv1/users/{user}/mfa").status == 204
        office.anna.log_in("anna", PASSWORD)
        office.anna.get("/srv1/users/me")
    secret = _enrol(office)().json()["secret"]
    code = pyotp.TOTP(secret).at(office.clock.now)
    return lambda: office.anna.post(f"{MFA}/confirm", json={"code": code})


def _prove(deed: str) -> Prepare:
    def prepare(office: Office) -> Deed:
        assert _confirm(office)().status == 200
        [(stored, user_key)] = _execute(office, "SELECT secret, user_key FROM second_factors")
        context = b"second factor of %d" % user_key
        totp = pyotp.TOTP(office.store.second_factors._secrets.decrypt(stored, context=context))

        def prove() -> Answer:
            # The clock stands still, and a code is taken once.
            _execute(office, "UPDATE second_factors SET last_step = 0")
            proof = {"password": PASSWORD, "code": totp.at(office.clock.now)}
            return office.anna.post(f"{MFA}/{deed}", json=proof)

        return prove

    return prepare


def _execute(office: Office, statement: str) -> list[Any]:
    """Past the faults that the store is given."""
    path = office.store._database._engine.url.database or ""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute(statement).fetchall()
        connection.commit()
    return found


def _reset_mfa(office: Office) -> Deed:
    assert _confirm(office)().status == 200
    user = office.anna.get("/srv1/users/me").json()["id"]
    return lambda: office.admin.delete(f"/srv1/users/{user}/mfa")


def _another_session(office: Office, login: str) -> str:
    other = Client(office.anna.app)
    other.log_in(login, PASSWORD)
    items = other.get("/srv1/users/me/sessions").json()["items"]
    return str(next(item["id"] for item in items if item["current"]))


def _end_own_session(office: Office) -> Deed:
    session = _another_session(office, "anna")
    return lambda: office.anna.delete(f"/srv1/users/me/sessions/{session}")


def _end_session(office: Office) -> Deed:
    anna, session = office.anna.get("/srv1/users/me").json()["id"], _another_session(office, "anna")
    return lambda: office.admin.delete(f"/srv1/users/{anna}/sessions/{session}")


def _delete_user(office: Office) -> Deed:
    made = office.made("create_user")
    return lambda: office.admin.delete(f"/srv1/users/{made}?objects=give")


def _change_trunk(office: Office) -> Deed:
    path, cps = f"/srv1/trunks/{office.objects['trunk']['id']}", office.turn + 1
    return lambda: office.anna.put(path, json={"cps": cps})


def _delete(path: str, operation: str) -> Prepare:
    def prepare(office: Office) -> Deed:
        made = office.made(operation)
        return lambda: office.anna.delete(f"/srv1/{path}/{made}")

    return prepare


def _delete_called_callbase(office: Office) -> Deed:
    callbase = office.made("create_callbase")
    fields = office.objects["fields"] | {"callbase_id": callbase}
    assert office.anna.post("/srv1/campaigns", json=fields).status == 201
    return lambda: office.anna.delete(f"/srv1/callbases/{callbase}")


def _post(path: str) -> Prepare:
    return lambda office: lambda: office.anna.post(f"/srv1/trunks/{office.objects['trunk']['id']}/{path}")


def _change_campaign(office: Office) -> Deed:
    path = office.campaign()
    return lambda: office.anna.put(path, json={"max_attempts": 2})


def _move(deed: str, *before: str) -> Prepare:
    def prepare(office: Office) -> Deed:
        path = office.campaign(*before)
        return lambda: office.anna.post(f"{path}/{deed}", json={"hangup": True} if deed == "stop" else None)

    return prepare


def _stop_with_a_queue(office: Office) -> Deed:
    path = office.campaign("start")
    office.store.queue.enqueue_due(office.clock.now)
    return lambda: office.anna.post(f"{path}/stop", json={"hangup": True})


def _hang_up(office: Office) -> Deed:
    path = office.call()
    return lambda: office.anna.post(f"{path}/hangup")


def _send_digits(office: Office) -> Deed:
    path = office.call()
    return lambda: office.anna.post(f"{path}/digits", json={"digits": "12"})


def _of_webhook(method: str, path: str = "", **fields: Any) -> Prepare:
    def prepare(office: Office) -> Deed:
        made = f"/srv1/webhooks/{office.made('create_webhook')}"
        return lambda: office.anna.call(method, made + path, **({"json": fields} if fields else {}))

    return prepare


def _of_notice(method: str, path: str = "", **fields: Any) -> Prepare:
    def prepare(office: Office) -> Deed:
        made = f"/srv1/notices/{office.made('create_notice')}"
        return lambda: office.anna.call(method, made + path, **({"json": fields} if fields else {}))

    return prepare


def _redeliver(office: Office) -> Deed:
    made = office.made("create_webhook")
    delivery = office.anna.post(f"/srv1/webhooks/{made}/test").json()
    with office.store._database.write() as connection:
        connection.execute(text("UPDATE webhook_deliveries SET state = 'failed', attempts = 3"))
    return lambda: office.anna.post(f"/srv1/webhooks/deliveries/{delivery['id']}/redeliver")


def _erase(office: Office) -> Deed:
    """A person who was called, waits for another call, and is named by the audit and a check."""
    number = f"+7916400{office.turn:04}"
    callbase = office.made("create_callbase")
    person = office.anna.post(f"/srv1/callbases/{callbase}/subscribers", json={"number": number}).json()
    campaign = office.anna.post("/srv1/campaigns", json=office.objects["fields"] | {"callbase_id": callbase}).json()
    office.anna.post(f"/srv1/campaigns/{campaign['id']}/start")
    for job in claim(office.store, office.clock.now):
        busy = failed(office.clock.now, Disposition.BUSY, 486)
        record(office.store, office.clock.now, job, busy, again(office.clock.now))
    office.anna.put(f"/srv1/dnc/{number}", json={})
    office.anna.delete(f"/srv1/dnc/{number}")
    return lambda: office.anna.post(f"/srv1/subscribers/{person['id']}/erase", json={"dnc": True})


def _waiting_person(office: Office) -> str:
    """The path of a person who was called and is busy, and waits for another call."""
    number, callbase = f"+7916700{office.turn:04}", office.made("create_callbase")
    person = office.anna.post(f"/srv1/callbases/{callbase}/subscribers", json={"number": number}).json()
    campaign = office.anna.post("/srv1/campaigns", json=office.objects["fields"] | {"callbase_id": callbase}).json()
    office.anna.post(f"/srv1/campaigns/{campaign['id']}/start")
    for job in claim(office.store, office.clock.now):
        busy = failed(office.clock.now, Disposition.BUSY, 486)
        record(office.store, office.clock.now, job, busy, again(office.clock.now))
    return f"/srv1/subscribers/{person['id']}"


def _change_subscriber(office: Office) -> Deed:
    path, number = _waiting_person(office), f"+7916701{office.turn:04}"
    return lambda: office.anna.put(path, json={"number": number, "timezone": "Asia/Omsk"})


def _delete_subscriber(office: Office) -> Deed:
    path = _waiting_person(office)
    return lambda: office.anna.delete(path)


def _add_numbers(office: Office) -> Deed:
    number = f"+7916702{office.turn:04}"
    fields = office.objects["fields"] | {"name": "own"}
    del fields["callbase_id"]
    path = f"/srv1/campaigns/{office.anna.post('/srv1/campaigns', json=fields).json()['id']}"
    return lambda: office.anna.post(f"{path}/subscribers", json={"numbers": [number, "12"]})


def _change_sound(office: Office) -> Deed:
    path, name = f"/srv1/sounds/{office.objects['sound']['id']}", f"sound {office.turn}"
    return lambda: office.anna.put(path, json={"name": name})


def _replace_sound(office: Office) -> Deed:
    path = f"/srv1/sounds/{office.objects['sound']['id']}/audio"
    return lambda: office.anna.call("PUT", path, files={"file": ("other.wav", wav())})


def _put_dnc(office: Office) -> Deed:
    number = f"+7916500{office.turn:04}"
    return lambda: office.anna.put(f"/srv1/dnc/{number}", json={"comment": "asked"})


def _delete_dnc(office: Office) -> Deed:
    number = f"+7916600{office.turn:04}"
    assert office.anna.put(f"/srv1/dnc/{number}", json={}).status == 200
    return lambda: office.anna.delete(f"/srv1/dnc/{number}")


def _add_user(office: Office) -> Deed:
    fields = {"login": f"added-{office.turn}", "password": "correct-horse-battery", "name": "Added"}
    return lambda: office.admin.post("/srv1/admin/adduser", json=fields)


def _create(operation: str) -> Prepare:
    return lambda office: office.create(operation)


DEEDS: dict[tuple[str, str], Prepare] = {
    ("POST", "/auth/token"): _log_in,
    ("POST", "/auth/login"): _log_in_as_before,
    ("PUT", "/users/me/password"): _change_password,
    ("POST", "/users"): _create("create_user"),
    ("POST", "/admin/adduser"): _add_user,
    ("PUT", "/users/<user_id>"): _change_user,
    ("DELETE", "/users/<user_id>"): _delete_user,
    ("POST", "/users/me/mfa"): _enrol,
    ("POST", "/users/me/mfa/confirm"): _confirm,
    ("POST", "/users/me/mfa/recovery-codes"): _prove("recovery-codes"),
    ("POST", "/users/me/mfa/disable"): _prove("disable"),
    ("DELETE", "/users/<user_id>/mfa"): _reset_mfa,
    ("DELETE", "/users/me/sessions/<session_id>"): _end_own_session,
    ("DELETE", "/users/<user_id>/sessions/<session_id>"): _end_session,
    ("POST", "/api-keys"): _create("create_api_key"),
    ("DELETE", "/api-keys/<key_id>"): _delete("api-keys", "create_api_key"),
    ("POST", "/trunks"): _create("create_trunk"),
    ("PUT", "/trunks/<trunk_id>"): _change_trunk,
    ("DELETE", "/trunks/<trunk_id>"): _delete("trunks", "create_trunk"),
    ("POST", "/trunks/<trunk_id>/check"): _post("check"),
    ("POST", "/trunks/<trunk_id>/wake"): _post("wake"),
    ("POST", "/sounds"): _create("create_sound"),
    ("PUT", "/sounds/<sound_id>"): _change_sound,
    ("PUT", "/sounds/<sound_id>/audio"): _replace_sound,
    ("DELETE", "/sounds/<sound_id>"): _delete("sounds", "create_sound"),
    ("POST", "/callbases"): _create("create_callbase"),
    ("DELETE", "/callbases/<callbase_id>"): _delete_called_callbase,
    ("POST", "/callbases/<callbase_id>/subscribers"): _create("create_subscriber"),
    ("POST", "/campaigns"): _create("create_campaign"),
    ("PUT", "/campaigns/<campaign_id>"): _change_campaign,
    ("DELETE", "/campaigns/<campaign_id>"): _delete("campaigns", "create_campaign"),
    ("POST", "/campaigns/<campaign_id>/archive"): _move("archive"),
    ("POST", "/campaigns/<campaign_id>/unarchive"): _move("unarchive", "archive"),
    ("POST", "/campaigns/<campaign_id>/start"): _move("start"),
    ("POST", "/campaigns/<campaign_id>/pause"): _move("pause", "start"),
    ("POST", "/campaigns/<campaign_id>/resume"): _move("resume", "start", "pause"),
    ("POST", "/campaigns/<campaign_id>/stop"): _stop_with_a_queue,
    ("POST", "/campaigns/<campaign_id>/subscribers"): _add_numbers,
    ("POST", "/campaigns/<campaign_id>/clone"): _create("clone_campaign"),
    ("POST", "/calls/<call_id>/hangup"): _hang_up,
    ("POST", "/calls/<call_id>/digits"): _send_digits,
    ("POST", "/calls"): _create("create_call"),
    ("POST", "/call/sample"): _create("create_sample_call"),
    ("PUT", "/subscribers/<subscriber_id>"): _change_subscriber,
    ("DELETE", "/subscribers/<subscriber_id>"): _delete_subscriber,
    ("POST", "/webhooks"): _create("create_webhook"),
    ("PUT", "/webhooks/<webhook_id>"): _of_webhook("PUT", active=False),
    ("DELETE", "/webhooks/<webhook_id>"): _of_webhook("DELETE"),
    ("POST", "/webhooks/<webhook_id>/test"): _of_webhook("POST", "/test"),
    ("POST", "/webhooks/deliveries/<delivery_id>/redeliver"): _redeliver,
    ("POST", "/notices"): _create("create_notice"),
    ("PUT", "/notices/<notice_id>"): _of_notice("PUT", language="ru"),
    ("DELETE", "/notices/<notice_id>"): _of_notice("DELETE"),
    ("POST", "/notices/<notice_id>/test"): _of_notice("POST", "/test"),
    ("POST", "/subscribers/<subscriber_id>/erase"): _erase,
    ("POST", "/dnc/import"): _create("import_dnc"),
    ("DELETE", "/dnc/imports/<import_id>"): _delete("dnc/imports", "import_dnc"),
    ("PUT", "/dnc/<number>"): _put_dnc,
    ("DELETE", "/dnc/<number>"): _delete_dnc,
}
NOT_RECORDED = {
    ("POST", "/auth/revoke"): "a user ends a session of their own, and the session says so itself",
    ("POST", "/callbases/preview"): "changes nothing",
    ("POST", "/campaigns/<campaign_id>/slice"): "changes nothing",
}
WAIT_FOR_THE_DIALER = {"/trunks/<trunk_id>/check", "/calls/<call_id>/digits"}
"""Here nobody does what is asked for, so that they answer 503 once it is written down."""
STAYS = {
    "/dnc/import": "dnc",
    "/users/me/mfa/recovery-codes": "second_factors",
    "/users/me/mfa/disable": "second_factors",
}
"""What a refused import has entered stays on the list: a number barred too early harms nobody. The retry records it.
And a code that was sent is used up, whatever becomes of the request.
"""


def test_every_operation_that_may_change_something_is_in_the_table() -> None:
    may_change = {(route.method, route.path) for route in main.ROUTES if route.method != "GET"}
    assert DEEDS.keys() | NOT_RECORDED.keys() == may_change


@pytest.fixture
def office(
    anna: Client,
    admin: Client,
    objects: dict[str, Any],
    store: Store,
    clock: StandingClock,
    monkeypatch: pytest.MonkeyPatch,
) -> Office:
    """With a dialer that seems to run and does nothing."""
    monkeypatch.setattr(api_trunks, "SIGNALLING_S", 0.0)
    monkeypatch.setattr(api_calls, "PATIENCE_S", 0.0)
    store.live.heartbeat("dialer-1", 1)
    return Office(anna, admin, objects, store, clock)


def everything(store: Store, leaving_out: str) -> tuple[dict[str, list[Any]], int]:
    """The rows of all tables but the audit and those left out, and how many the audit has."""
    with store._database.read() as connection:
        names = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars().all()
        found = {name: list(connection.execute(text(f'SELECT * FROM "{name}"'))) for name in names}
    found = {name: rows for name, rows in found.items() if name not in ("sqlite_sequence", leaving_out)}
    return found, len(found.pop("audit"))


@pytest.mark.usefixtures("unbraked")
@pytest.mark.parametrize(("method", "path"), DEEDS, ids=[f"{method} {path}" for method, path in DEEDS])
@pytest.mark.slow
def test_a_fault_at_any_statement_leaves_the_change_and_its_audit_row_or_neither(
    office: Office, method: str, path: str
) -> None:
    prepare = DEEDS[method, path]
    deed = prepare(office)
    before = everything(office.store, STAYS.get(path, ""))
    answer = deed()
    assert answer.status < 300 or (path in WAIT_FOR_THE_DIALER and answer.status == 503), answer.body
    after = everything(office.store, STAYS.get(path, ""))
    assert after[1] == before[1] + 1, "it has one audit row"
    assert after[0] != before[0]
    deed, step, broke = prepare(office), 0, True
    with faulty(office.store) as database:
        while broke:
            step += 1
            before = everything(office.store, STAYS.get(path, ""))
            database.break_at(step)
            deed()
            broke = database.broke
            database.break_at(0)
            after = everything(office.store, STAYS.get(path, ""))
            assert (after[0] != before[0]) == (after[1] > before[1]), f"statement {step}"
            if after[0] != before[0]:
                deed = prepare(office)
    assert step > 4

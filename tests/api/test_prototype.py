"""The prototype's calls: a JWT in req_data, signed with a short key that both sides know; the answer says `status`."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import jwt
import pytest
from jwt.algorithms import HMACAlgorithm
from sqlalchemy import text

import main
from autodialer.api import prototype
from autodialer.campaign.admission import admit
from autodialer.config import Settings
from autodialer.model import ClaimRequest, Role, Trunk
from autodialer.store import Store
from autodialer.web.app import App
from autodialer.web.contract import load_contract
from autodialer.web.prototype import MOST_BYTES
from tests.api.test_idempotency import change, faulty, rows_of
from tests.web.client import Answer, Client, wav
from tests.web.conftest import PASSWORD, StandingClock

KEY = "twelve bytes"
OTHER_KEY = "other 12 byt"
PATHS = [("GET", "/srv1/abon/all"), ("POST", "/srv1/admin/adduser"), ("POST", "/srv1/call/sample")]
USER = {"name": "Вера", "login": "vera", "password": "1", "comment": "from the prototype"}
GATEWAY = "127.0.0.1:5999"
CALL = {"gw_addr": GATEWAY, "gw_login": "100", "gw_password": "secret", "phone_num": "89160000001"}


class AnyLength(HMACAlgorithm):
    """PyJWT would warn of the short key, which this test is about."""

    def check_key_length(self, key: Any) -> None:
        return None


def signed(payload: Any, token: str | None, *, key: str = KEY, algorithm: str = "HS256", **headers: Any) -> str:
    """A JWT as the prototype's clients make it."""
    signer = jwt.PyJWS()
    signer.unregister_algorithm("HS256")
    signer.register_algorithm("HS256", AnyLength(HMACAlgorithm.SHA256))
    content = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    headers |= {"acc_token": token} if token is not None else {}
    return signer.encode(content, key if algorithm == "HS256" else None, algorithm=algorithm, headers=headers)


class Old:
    """A client of the prototype."""

    def __init__(self, app: App, login: str) -> None:
        self.client = Client(app)
        said = self.client.post("/srv1/auth/login", json={"login": login, "password": PASSWORD}).json()
        assert said["status"] == "success"
        self.token = said["acc_token"]

    def send(self, method: str, path: str, sealed: Any, **headers: str) -> Answer:
        """One request with this in req_data."""
        if method == "GET":
            return self.client.get(path, params={"req_data": sealed}, headers=headers)
        return self.client.post(path, json={"req_data": sealed}, headers=headers)

    def ask(self, method: str, path: str, payload: Any, **headers: str) -> dict[str, Any]:
        """One request, as it should be."""
        answer = self.send(method, path, signed(payload, self.token), **headers)
        assert answer.status == 200
        said: dict[str, Any] = answer.json()
        assert said["status"] in ("success", "fail") and said["text"]
        return said


def hidden_trunks(store: Store) -> list[Trunk]:
    """Those that are there, the oldest first."""
    with store._database.read() as connection:
        query = text("SELECT key FROM trunks WHERE hidden AND deleted_at IS NULL")
        keys = connection.execute(query).scalars().all()
    return [trunk for _, trunk in sorted(store.trunks.by_keys(keys).items())]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With the prototype's key."""
    return Settings(data=settings.data, jwt_key=KEY)


@pytest.fixture
def speech(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shorter demo speech, quick to import."""
    path = tmp_path / "speech.wav"
    path.write_bytes(wav())
    monkeypatch.setattr(prototype, "DEMO_SPEECH", path)
    return path


@pytest.fixture
def old(app: App) -> Callable[[str], Old]:
    """Makes clients of the prototype that are logged in."""
    return lambda login: Old(app, login)


def test_all_subscribers_are_told_as_the_prototype_told_them(old: Callable[[str], Old], anna: Client) -> None:
    rows = "имя;телефон;комментарий\nАнна;+79160000001;дом 1\n;+79160000002;\n"
    anna.post("/srv1/callbases", files={"file": ("base.csv", rows.encode())}, data={"region": "RU"})
    anna.post("/srv1/callbases", files={"file": ("more.csv", b"+79160000003\n")}, data={"region": "RU"})
    said = old("anna").ask("GET", "/srv1/abon/all", {})
    assert said["status"] == "success"
    assert said["all_abon"] == {
        "1": {"name": "Анна", "number": "+79160000001", "comment": "дом 1"},
        "2": {"name": None, "number": "+79160000002", "comment": None},
        "3": {"name": None, "number": "+79160000003", "comment": None},
    }


@pytest.mark.usefixtures("objects")
def test_a_user_is_told_their_own_subscribers_and_an_admin_everybodys(old: Callable[[str], Old]) -> None:
    told = {login: old(login).ask("GET", "/srv1/abon/all", {})["all_abon"] for login in ("anna", "boris", "admin")}
    assert {login: len(each) for login, each in told.items()} == {"anna": 3, "boris": 0, "admin": 3}


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 6])
def test_a_list_of_any_length_is_told_whole_page_by_page(
    old: Callable[[str], Old], anna: Client, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prototype, "ROWS_AT_ONCE", 2)
    for start in range(0, count, 3):
        numbers = "".join(f"+7916000000{number}\n" for number in range(start, min(count, start + 3)))
        anna.post("/srv1/callbases", files={"file": ("b.csv", numbers.encode())}, data={"region": "RU"})
    told = old("anna").ask("GET", "/srv1/abon/all", {})["all_abon"]
    assert [entry["number"] for entry in told.values()] == [f"+7916000000{number}" for number in range(count)]
    assert list(told) == [str(place) for place in range(1, count + 1)]
    pages = [answer := anna.get("/srv1/abon/all?limit=2").json()]
    while answer["next"]:
        pages.append(answer := anna.get(f"/srv1/abon/all?limit=2&after={answer['next']}").json())
    assert [len(each["items"]) for each in pages] == ([2] * (count // 2) + [1] * (count % 2) or [0])
    assert [item["number"] for each in pages for item in each["items"]] == [each["number"] for each in told.values()]


def test_an_erased_person_is_not_told(old: Callable[[str], Old], anna: Client, objects: dict[str, Any]) -> None:
    [first, *_] = anna.get(f"/srv1/callbases/{objects['callbase']['id']}/subscribers").json()["items"]
    anna.post(f"/srv1/subscribers/{first['id']}/erase", json={})
    assert first["number"] not in str(old("anna").ask("GET", "/srv1/abon/all", {}))


def test_an_admin_adds_a_user_whose_password_may_be_short_and_who_can_log_in(
    old: Callable[[str], Old], client: Client, admin: Client
) -> None:
    said = old("admin").ask("POST", "/srv1/admin/adduser", USER)
    assert said["status"] == "success"
    assert client.log_in("vera", "1").status == 200
    me = client.get("/srv1/users/me").json()
    assert (me["name"], me["role"], me["comment"]) == ("Вера", "user", "from the prototype")
    entry = next(each for each in admin.get("/srv1/audit").json()["items"] if each["action"] == "users.create")
    assert (entry["login"], entry["details"]["login"], entry["address"]) == ("admin", "vera", "192.0.2.1")


def test_a_user_who_is_no_admin_adds_nobody(old: Callable[[str], Old], store: Store) -> None:
    said = old("anna").ask("POST", "/srv1/admin/adduser", USER)
    assert said == {"status": "fail", "text": "Only an admin may do this."}
    assert store.users.by_login("vera") is None


def test_roles_scopes_and_keys_hold_in_the_envelope_too(
    old: Callable[[str], Old], store: Store, client: Client, anna: Client
) -> None:
    store.users.create(login="viewer", password=PASSWORD, role=Role.VIEWER, works_for="anna")
    call = {"gw_addr": "127.0.0.1", "phone_num": "79160000001"}
    viewer = old("viewer")
    assert viewer.ask("GET", "/srv1/abon/all", {})["status"] == "success"
    assert viewer.ask("POST", "/srv1/call/sample", call)["status"] == "fail"
    form = {"grant_type": "password", "username": "admin", "password": PASSWORD, "scope": "read"}
    narrow = old("admin")
    narrow.token = client.post("/srv1/auth/token", data=form).json()["access_token"]
    for path, payload in (("/srv1/admin/adduser", USER), ("/srv1/call/sample", call)):
        assert "scope" in narrow.ask("POST", path, payload)["text"]
    narrow.token = anna.post("/srv1/api-keys", json={"name": "x", "scopes": ["read"]}).json()["key"]
    assert narrow.ask("GET", "/srv1/abon/all", {})["status"] == "fail", "a key is no access token"
    assert store.users.by_login("vera") is None


def test_a_taken_login_and_a_repeated_request_are_told_apart(old: Callable[[str], Old], store: Store) -> None:
    client = old("admin")
    once = {"Idempotency-Key": "a word"}
    assert client.ask("POST", "/srv1/admin/adduser", USER, **once)["status"] == "success"
    assert client.ask("POST", "/srv1/admin/adduser", USER, **once)["status"] == "success"
    other = client.ask("POST", "/srv1/admin/adduser", {**USER, "login": "olga"}, **once)
    assert (other["status"], "Idempotency-Key" in other["text"]) == ("fail", True)
    taken = client.ask("POST", "/srv1/admin/adduser", USER)
    assert (taken["status"], "already" in taken["text"]) == ("fail", True)
    assert len(store.users.page()[0]) == 4


@pytest.mark.usefixtures("speech")
def test_a_sample_call_goes_digit_for_digit_through_a_trunk_that_no_list_shows(
    old: Callable[[str], Old], anna: Client, store: Store
) -> None:
    client = old("anna")
    said = client.ask("POST", "/srv1/call/sample", CALL)
    assert said["status"] == "success"
    call = anna.get(f"/srv1/calls/{said['id']}").json()
    assert (call["number"], call["state"]) == ("89160000001", "queued")
    assert anna.get("/srv1/trunks").json()["items"] == []
    [trunk] = hidden_trunks(store)
    assert (trunk.host, trunk.port, trunk.username, trunk.password) == ("127.0.0.1", 5999, "100", "secret")
    [sound] = anna.get("/srv1/sounds").json()["items"]
    assert sound["name"] == "prototype"
    actions = [entry.action for entry in store.audit.page()[0]]
    assert {"calls.sample", "trunks.create", "sounds.create"} <= set(actions)


@pytest.mark.usefixtures("speech")
@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("89160000001", "89160000001"),
        (89160000001, "89160000001"),
        ("101", "101"),
        ("+79160000001", "+79160000001"),
        ("+7 (916) 000-00-01", "+79160000001"),
    ],
)
def test_the_number_is_stored_as_it_is_dialled(old: Callable[[str], Old], anna: Client, sent: Any, stored: str) -> None:
    said = old("anna").ask("POST", "/srv1/call/sample", {**CALL, "phone_num": sent})
    assert anna.get(f"/srv1/calls/{said['id']}").json()["number"] == stored


@pytest.mark.usefixtures("speech")
def test_a_gateway_has_one_hidden_trunk_and_calls_that_wait_keep_theirs(
    old: Callable[[str], Old], store: Store
) -> None:
    client = old("anna")
    for given in ({}, {"gw_password": "new"}, {"gw_addr": "127.0.0.1:5998"}, {"gw_login": "101"}):
        assert client.ask("POST", "/srv1/call/sample", CALL | given)["status"] == "success"
    kept = [(trunk.port, trunk.username, trunk.password) for trunk in hidden_trunks(store)]
    assert kept == [(5999, "100", "new"), (5998, "100", "secret"), (5999, "101", "secret")]


@pytest.mark.usefixtures("speech")
def test_a_trunk_that_no_call_needs_any_more_goes_with_its_password(
    old: Callable[[str], Old], anna: Client, store: Store
) -> None:
    client = old("anna")
    said = client.ask("POST", "/srv1/call/sample", CALL)
    campaign = anna.get(f"/srv1/calls/{said['id']}").json()["campaign_id"]
    assert anna.post(f"/srv1/campaigns/{campaign}/stop", json={"hangup": True}).status == 200
    client.ask("POST", "/srv1/call/sample", {**CALL, "gw_addr": "127.0.0.1:5998"})
    assert [trunk.port for trunk in hidden_trunks(store)] == [5998]


@pytest.mark.usefixtures("speech")
@pytest.mark.parametrize("phone_num", ["+79160000001", "79160000001"])
@pytest.mark.parametrize("listed", ["+79160000001", "79160000001"])
def test_a_number_on_the_dnc_list_is_not_called(
    old: Callable[[str], Old], anna: Client, store: Store, clock: StandingClock, phone_num: str, listed: str
) -> None:
    region = {} if listed.startswith("+") else {"region": "raw"}
    assert anna.put(f"/srv1/dnc/{listed}", json=region).status == 200
    said = old("anna").ask("POST", "/srv1/call/sample", {**CALL, "phone_num": phone_num})
    campaign = store.campaigns.get(UUID(anna.get(f"/srv1/calls/{said['id']}").json()["campaign_id"]), None)
    wanted = ClaimRequest(campaign_key=campaign.key, trunk_key=campaign.trunk_keys[0], limit=1)
    assert store.queue.claim([wanted], "dialer", clock.now, admit) == []
    assert anna.get(f"/srv1/campaigns/{campaign.id}").json()["counts"]["excluded"] == 1


@pytest.mark.usefixtures("speech")
def test_a_repeated_sample_call_calls_once_and_the_demo_speech_is_imported_once(
    old: Callable[[str], Old], anna: Client
) -> None:
    client = old("anna")
    once = {"Idempotency-Key": "a word"}
    first, second = (client.ask("POST", "/srv1/call/sample", CALL, **once) for _ in range(2))
    third = client.ask("POST", "/srv1/call/sample", CALL)
    assert first["id"] == second["id"] != third["id"]
    assert len(anna.get("/srv1/sounds").json()["items"]) == 1


@pytest.mark.usefixtures("speech", "unbraked")
@pytest.mark.parametrize(("path", "sent"), [("/srv1/call/sample", CALL), ("/srv1/admin/adduser", USER)])
@pytest.mark.slow
def test_a_request_repeated_after_a_fault_at_any_statement_takes_effect_once(
    old: Callable[[str], Old], store: Store, path: str, sent: dict[str, Any]
) -> None:
    client = old("admin")
    assert client.ask("POST", path, {**sent, "login": "first", "gw_addr": "127.0.0.1:5000"})["status"] == "success"
    with faulty(store) as database:
        for step in range(1, 200):
            # Another login and another gateway each time: what a repeated request may find there is not the last one's.
            payload = {**sent, "login": f"user{step}", "gw_addr": f"127.0.0.1:{6000 + step}"}
            once, before = {"Idempotency-Key": f"k-{step}"}, rows_of(store)
            database.break_at(step)
            client.ask("POST", path, payload, **once)
            broke = database.broke
            database.break_at(0)
            assert client.ask("POST", path, payload, **once)["status"] == "success", step
            made = change(before, rows_of(store))
            assert made["idempotency_keys"] == 1
            assert made.get("call_jobs" if path == "/srv1/call/sample" else "users") == 1, step
            if not broke:
                break
    assert step > 5


def test_a_sound_of_that_name_is_played_instead(old: Callable[[str], Old], anna: Client, store: Store) -> None:
    own = anna.post("/srv1/sounds", files={"file": ("own.wav", wav())}, data={"name": "prototype"}).json()
    said = old("anna").ask("POST", "/srv1/call/sample", CALL)
    campaign = anna.get(f"/srv1/calls/{said['id']}").json()["campaign_id"]
    assert anna.get(f"/srv1/campaigns/{campaign}").json()["sound_id"] == own["id"]


WRONG_FIELDS = [
    ("/srv1/call/sample", CALL, "gw_addr", ["", "sip:127.0.0.1", "127.0.0.1:0", "127.0.0.1:sip", "a b", 7, []]),
    ("/srv1/call/sample", CALL, "gw_addr", ["x" * 300, "a..b", "0.0.0.0", "255.255.255.255", "[::1]:0"]),
    ("/srv1/call/sample", CALL, "gw_login", ["a b", "a\r\nVia: x", "x" * 200, ["a"], True]),
    ("/srv1/call/sample", CALL, "gw_password", ["a\0b", "x" * 200, {"a": 1}]),
    ("/srv1/call/sample", CALL, "phone_num", ["", "abc", "8 916", "+1", "1\n2", "1" * 65, 1.5, False]),
    ("/srv1/admin/adduser", USER, "login", ["", "a b", "x" * 65, "a\nb", [], True]),
    ("/srv1/admin/adduser", USER, "password", ["", "x" * 257, "a\0b", False]),
    ("/srv1/admin/adduser", USER, "name", ["x" * 201, "a\x1b[2J", {}]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "good", "name", "value"),
    [(path, good, name, value) for path, good, name, values in WRONG_FIELDS for value in values],
)
@pytest.mark.slow
def test_a_wrong_field_is_refused_by_its_name_and_nothing_is_made(
    old: Callable[[str], Old], store: Store, path: str, good: dict[str, Any], name: str, value: Any
) -> None:
    said = old("admin").ask("POST", path, {**good, name: value})
    assert said["status"] == "fail"
    assert name in said["text"]
    made = {entry.action for entry in store.audit.page()[0]} - {"auth.login"}
    assert made == set()


@pytest.mark.parametrize(
    ("path", "good", "required"),
    [("/srv1/call/sample", CALL, {"gw_addr", "phone_num"}), ("/srv1/admin/adduser", USER, {"login", "password"})],
)
@pytest.mark.usefixtures("speech")
def test_a_missing_field_is_named_unless_it_may_be_missing_or_null(
    old: Callable[[str], Old], path: str, good: dict[str, Any], required: set[str]
) -> None:
    client = old("admin")
    for place, name in enumerate(good):
        for lacking in ({key: value for key, value in good.items() if key != name}, {**good, name: None}):
            if lacking.get("login"):
                lacking["login"] += f"{place}{len(lacking)}"
            said = client.ask("POST", path, {**lacking, "unknown": "left out"})
            assert said["status"] == ("fail" if name in required else "success"), said
            assert name not in required or name in said["text"]


def test_what_the_contract_says_of_a_prototypes_user_is_what_it_says_of_a_user_but_for_the_password() -> None:
    definitions = load_contract()["definitions"]
    new, old = definitions["NewUser"]["properties"], definitions["PrototypeUser"]["properties"]
    for name in ("login", "name", "comment"):
        rules = {key: value for key, value in new[name].items() if not key.startswith("x-")}
        assert rules == {key: value for key, value in old[name].items() if not key.startswith("x-")}
    trunk, call = definitions["NewTrunk"]["properties"], definitions["PrototypeCall"]["properties"]
    for ours, theirs in (("username", "gw_login"), ("password", "gw_password")):
        assert trunk[ours]["maxLength"] == call[theirs]["maxLength"]
        assert trunk[ours].get("pattern") == call[theirs].get("pattern")


def forgeries(token: str) -> Iterator[tuple[str, Any]]:
    """What nobody who has the key and a token would send."""
    yield "another key", signed({}, token, key=OTHER_KEY)
    yield "no signature", signed({}, token, algorithm="none")
    yield "no token", signed({}, None)
    yield "a token that is a number", signed({}, None, acc_token=5)
    yield "another token", signed({}, "x.y.z")
    yield "a token cut short", signed({}, token[:-3])
    yield "not a JWT", "nonsense"
    yield "empty", ""
    yield "a list", ["a"]
    yield "a number", 5
    yield "null", None
    yield "a payload that is a list", signed([], token)
    yield "a payload that is no JSON", signed(b"{", token)
    yield "a payload that is no UTF-8", signed(b"\xff", token)
    yield "a payload of nested lists", signed(b"[" * 5000, token)
    yield "a payload with NaN", signed(b'{"gw_addr": NaN}', token)
    yield "expired", signed({"exp": 1}, token)
    yield "an expiry that is text", signed({"exp": "soon"}, token)
    yield "an endless expiry", signed(b'{"exp": 1e999}', token)


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_what_is_not_signed_with_the_key_for_a_session_is_refused_with_status_fail(
    old: Callable[[str], Old], store: Store, method: str, path: str
) -> None:
    client = old("admin")
    for what, sealed in forgeries(client.token):
        answer = client.send(method, path, sealed)
        assert answer.status == 200, what
        said = answer.json()
        assert (said["status"], bool(said["text"])) == ("fail", True), what
        assert set(said) == {"status", "text"}
        assert "www-authenticate" not in answer.headers
    assert {entry.action for entry in store.audit.page()[0]} == {"auth.login"}


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_a_token_that_has_run_out_or_whose_session_has_ended_is_refused(
    old: Callable[[str], Old], clock: StandingClock, method: str, path: str
) -> None:
    client = old("admin")
    sealed = signed({}, client.token)
    client.client.post("/srv1/auth/revoke", data={"token": client.token})
    assert "session" in client.send(method, path, sealed).json()["text"]
    client = old("admin")
    sealed = signed({}, client.token)
    clock.move(601)
    assert "expired" in client.send(method, path, sealed).json()["text"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "req_data is missing"),
        (b" ", "req_data is missing"),
        (b"[]", "req_data is missing"),
        (b"{}", "req_data is missing"),
        (b'{"login": "x"}', "req_data is missing"),
        (b'{"req_data": 5}', "req_data is missing"),
        (b"{", "not JSON"),
        (b"\xff", "not UTF-8"),
        (b'{"req_data": "a\\u0000"}', "control character"),
        (b'{"req_data": "' + b"x" * MOST_BYTES + b'"}', "at most"),
    ],
)
@pytest.mark.parametrize("path", ["/srv1/admin/adduser", "/srv1/call/sample"])
def test_a_body_without_req_data_or_that_cannot_be_read_is_told_so(
    client: Client, path: str, body: bytes, told: str
) -> None:
    for kind in ("application/json", "text/plain"):
        said = client.post(path, data=body, headers={"Content-Type": kind})
        assert (said.status, said.json()["status"]) == (200, "fail")
        assert told in said.json()["text"]


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_the_same_paths_answer_a_bearer_token_like_the_rest_of_the_api(client: Client, method: str, path: str) -> None:
    answer = client.call(method, path, headers={"Authorization": "Bearer nonsense"}, json={"req_data": "x"})
    assert (answer.status, answer.error) == (401, "unauthorized")


def test_a_bearer_token_and_plain_json_add_a_user_under_the_rules_of_today(admin: Client, anna: Client) -> None:
    new = {"login": "olga", "password": "four quiet paper boats"}
    assert admin.post("/srv1/admin/adduser", json=new).status == 201
    assert admin.post("/srv1/admin/adduser", json={**new, "login": "petr", "password": "short"}).status == 400
    assert anna.post("/srv1/admin/adduser", json=new).status == 403
    assert admin.post("/srv1/admin/adduser", json={"req_data": "x"}).status == 400


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_without_the_key_the_prototypes_calls_are_off_and_say_so(
    settings: Settings, store: Store, clock: StandingClock, method: str, path: str
) -> None:
    app = main.build_app(Settings(data=settings.data), store, clock=clock, validate_responses=True)
    client = Old(app, "admin")
    said = client.ask(method, path, USER)
    assert said["status"] == "fail"
    assert "JWT_KEY" in said["text"]
    for body in (b"", b"{}", b"{", b"x" * MOST_BYTES * 2):
        sent = {} if method == "GET" else {"data": body, "headers": {"Content-Type": "application/json"}}
        assert Client(app).call(method, path, **sent).status == 401
    app.close()


def test_a_short_key_is_told_at_start_without_the_key(
    settings: Settings, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    main.build_app(settings, store).close()
    assert "JWT_KEY has 12 bytes" in caplog.text
    assert KEY not in caplog.text
    caplog.clear()
    main.build_app(Settings(data=settings.data, jwt_key="x" * 32), store).close()
    assert caplog.text == ""

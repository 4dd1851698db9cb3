"""Access: every route, by every role, with every scope, against a table written by hand."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest

import main
from autodialer.model import Role
from autodialer.store import Store
from autodialer.web.app import App
from tests.web.client import Answer, Client
from tests.web.conftest import PASSWORD

TABLE = """
open      POST   /auth/token
open      POST   /auth/revoke
open      POST   /auth/login
own       GET    /users/me
account   PUT    /users/me/password
users     GET    /users
users     POST   /users
users     GET    /users/<user_id>
users     PUT    /users/<user_id>
users     DELETE /users/<user_id>
users     POST   /admin/adduser
own       GET    /users/me/mfa
account   POST   /users/me/mfa
account   POST   /users/me/mfa/confirm
account   POST   /users/me/mfa/recovery-codes
account   POST   /users/me/mfa/disable
users     DELETE /users/<user_id>/mfa
own       GET    /users/me/sessions
account   DELETE /users/me/sessions/<session_id>
users     GET    /users/<user_id>/sessions
users     DELETE /users/<user_id>/sessions/<session_id>
own       GET    /api-keys
account   POST   /api-keys
own       GET    /api-keys/<key_id>
account   DELETE /api-keys/<key_id>
admin     GET    /audit
read      GET    /trunks
change    POST   /trunks
read      GET    /trunks/<trunk_id>
change    PUT    /trunks/<trunk_id>
change    DELETE /trunks/<trunk_id>
change    POST   /trunks/<trunk_id>/check
change    POST   /trunks/<trunk_id>/wake
read      GET    /sounds
change    POST   /sounds
read      GET    /sounds/<sound_id>
change    PUT    /sounds/<sound_id>
change    DELETE /sounds/<sound_id>
read      GET    /sounds/<sound_id>/audio
change    PUT    /sounds/<sound_id>/audio
read      GET    /sounds/<sound_id>/waveform
read      GET    /callbases
change    POST   /callbases
change    POST   /callbases/preview
read      GET    /callbases/<callbase_id>
change    DELETE /callbases/<callbase_id>
read      GET    /callbases/<callbase_id>/subscribers
change    POST   /callbases/<callbase_id>/subscribers
read      GET    /callbases/<callbase_id>/rejected
read      GET    /subscribers
read      GET    /subscribers/<subscriber_id>
change    PUT    /subscribers/<subscriber_id>
change    DELETE /subscribers/<subscriber_id>
read      GET    /campaigns
change    POST   /campaigns
read      GET    /campaigns/<campaign_id>
change    PUT    /campaigns/<campaign_id>
operate   POST   /campaigns/<campaign_id>/start
operate   POST   /campaigns/<campaign_id>/pause
operate   POST   /campaigns/<campaign_id>/resume
operate   POST   /campaigns/<campaign_id>/stop
change    DELETE /campaigns/<campaign_id>
change    POST   /campaigns/<campaign_id>/archive
change    POST   /campaigns/<campaign_id>/unarchive
change    POST   /campaigns/<campaign_id>/clone
change    POST   /campaigns/<campaign_id>/slice
read      GET    /campaigns/<campaign_id>/callable
read      GET    /campaigns/<campaign_id>/diary
read      GET    /campaigns/<campaign_id>/why
read      GET    /campaigns/<campaign_id>/calls
change    POST   /campaigns/<campaign_id>/subscribers
read      GET    /campaigns/<campaign_id>/report
read      GET    /reports/period
read      GET    /campaigns/<campaign_id>/calls.csv
read      GET    /campaigns/<campaign_id>/calls.xlsx
read      GET    /campaigns/<campaign_id>/subscribers.csv
read      GET    /campaigns/<campaign_id>/subscribers.xlsx
read      GET    /calls
change    POST   /calls
read      GET    /calls/<call_id>
read      GET    /calls/<call_id>/trace
operate   POST   /calls/<call_id>/hangup
change    POST   /calls/<call_id>/digits
change    POST   /call/sample
read      GET    /webhooks
change    POST   /webhooks
read      GET    /webhooks/deliveries
read      GET    /webhooks/deliveries/<delivery_id>
change    POST   /webhooks/deliveries/<delivery_id>/redeliver
read      GET    /webhooks/<webhook_id>
change    PUT    /webhooks/<webhook_id>
change    DELETE /webhooks/<webhook_id>
change    POST   /webhooks/<webhook_id>/test
read      GET    /notices
change    POST   /notices
read      GET    /notices/<notice_id>
change    PUT    /notices/<notice_id>
change    DELETE /notices/<notice_id>
change    POST   /notices/<notice_id>/test
read      GET    /abon/all
change    POST   /subscribers/<subscriber_id>/erase
read      GET    /dnc
change    POST   /dnc/import
read      GET    /dnc/imports
read      GET    /dnc/imports/<import_id>
change    DELETE /dnc/imports/<import_id>
read      GET    /dnc/imports/<import_id>/rejected
read      GET    /dnc/<number>
change    PUT    /dnc/<number>
change    DELETE /dnc/<number>
"""
ALL = "all that the role allows"
NEEDS = {
    # what: roles, scope; an API key is taken where the name is not in NO_KEYS
    "open": ("admin user operator viewer", ""),
    "own": ("admin user operator viewer", "read"),
    "account": ("admin user operator viewer", ALL),
    "read": ("admin user operator viewer", "read"),
    "operate": ("admin user operator", "dial"),
    "change": ("admin user", "dial"),
    "admin": ("admin", "admin"),
    "users": ("admin", "admin"),
}
ALLOWED = {"admin": "read dial admin", "user": "read dial", "operator": "read dial", "viewer": "read"}
NO_KEYS = ("own", "account", "users")
ROWS = [line.split() for line in TABLE.strip().splitlines()]


def path_of(route: str) -> str:
    """The path with an id of nothing in it."""
    parts = ["+79160000009" if part == "<number>" else part for part in route.split("/")]
    return "/srv1" + "/".join("00000000-0000-4000-8000-000000000000" if part[:1] == "<" else part for part in parts)


def subsets(scopes: str) -> Iterator[str]:
    """All of some of these words, but none of them."""
    words = scopes.split()
    for count in range(1, len(words) + 1):
        yield from (" ".join(some) for some in combinations(words, count))


@pytest.fixture
def staff(store: Store) -> None:
    """Of each role a user with the role as login; those without objects work for anna."""
    for role in Role:
        if role is not Role.ADMIN:
            works_for = "anna" if role in (Role.OPERATOR, Role.VIEWER) else None
            store.users.create(login=role.value, password=PASSWORD, role=role, works_for=works_for)


def with_scope(app: App, login: str, scope: str) -> Client:
    """A client that has logged in for these scopes only."""
    form = {"grant_type": "password", "username": login, "password": PASSWORD, "scope": scope}
    value = Client(app).post("/srv1/auth/token", data=form).json()
    assert value["scope"] == scope
    return Client(app, value["access_token"])


def with_key(app: App, login: str, scopes: str) -> Client:
    """A client that sends an API key of this user with these scopes."""
    user = with_scope(app, login, ALLOWED[login])
    return Client(app, user.post("/srv1/api-keys", json={"name": "program", "scopes": scopes.split()}).json()["key"])


def test_the_written_table_has_every_route() -> None:
    assert sorted((method, path) for _, method, path in ROWS) == sorted((r.method, r.path) for r in main.ROUTES)


def judge(answer: Answer, needs: str, *, role: str, scopes: str, is_key: bool, place: Any) -> None:
    """Whether the answer is what the table says."""
    roles, scope = NEEDS[needs]
    wanted = ALLOWED[role] if scope == ALL else scope
    is_open_to = role in roles.split() and not (is_key and needs in NO_KEYS)
    if is_open_to and set(wanted.split()) <= set(scopes.split()):
        assert answer.status not in (401, 403), place
        return
    assert answer.status == 403, place
    assert answer.error == ("insufficient_scope" if is_open_to else "forbidden"), place
    said = f'Bearer realm="dialer", error="insufficient_scope", scope="{wanted}"'
    assert answer.headers["www-authenticate"] == said, place


@pytest.mark.parametrize("is_key", [False, True], ids=["access token", "API key"])
@pytest.mark.usefixtures("staff")
def test_every_route_takes_the_roles_and_scopes_of_the_table_and_no_others(app: App, is_key: bool) -> None:
    for role, allowed in ALLOWED.items():
        for scopes in subsets(allowed):
            client = with_key(app, role, scopes) if is_key else with_scope(app, role, scopes)
            for needs, method, path in ROWS:
                if needs == "open" and is_key:
                    continue
                answer = client.call(method, path_of(path))
                place = (method, path, role, scopes)
                judge(answer, needs, role=role, scopes=scopes, is_key=is_key, place=place)


def test_no_route_but_the_open_ones_takes_a_request_without_a_good_token(client: Client) -> None:
    for token, header in (
        (None, 'Bearer realm="dialer"'),
        ("rubbish", 'Bearer realm="dialer", error="invalid_token"'),
    ):
        for needs, method, path in ROWS:
            answer = Client(client.app, token).call(method, path_of(path))
            if needs == "open":
                assert "www-authenticate" not in answer.headers, path
            elif path not in ("/abon/all", "/call/sample", "/admin/adduser") or token:
                assert (answer.status, answer.headers["www-authenticate"]) == (401, header), (method, path)


def test_an_admin_without_the_scope_is_a_user_with_objects_of_its_own(app: App, objects: dict[str, Any]) -> None:
    path = f"/srv1/trunks/{objects['trunk']['id']}"
    assert with_scope(app, "admin", "read admin").get(path).status == 200
    narrow = with_scope(app, "admin", "read dial")
    assert narrow.get(path).status == 404
    assert narrow.get("/srv1/trunks").json()["items"] == []
    answer = narrow.put("/srv1/dnc/+79160000009", json={"scope": "all"})
    assert (answer.status, answer.error) == (403, "forbidden")


@pytest.mark.usefixtures("staff")
def test_an_operator_and_a_viewer_see_what_their_user_has_and_nothing_else(
    app: App, objects: dict[str, Any], boris: Client
) -> None:
    boris.post("/srv1/trunks", json={"name": "other", "host": "127.0.0.1"})
    for role in ("operator", "viewer"):
        client = with_scope(app, role, ALLOWED[role])
        for kind in ("trunk", "sound", "callbase", "campaign"):
            items = client.get(f"/srv1/{kind}s").json()["items"]
            assert [item["id"] for item in items] == [objects[kind]["id"]], kind
            assert client.get(f"/srv1/{kind}s/{objects[kind]['id']}").status == 200
        assert "password" not in client.get(f"/srv1/trunks/{objects['trunk']['id']}").json()
        assert len(client.get("/srv1/abon/all").json()["items"]) == 3


@pytest.mark.usefixtures("staff")
def test_an_operator_starts_pauses_resumes_and_stops_by_its_own_name(
    app: App, objects: dict[str, Any], admin: Client
) -> None:
    operator, viewer = (with_scope(app, role, ALLOWED[role]) for role in ("operator", "viewer"))
    path = f"/srv1/campaigns/{objects['campaign']['id']}"
    for deed, state in (("start", "running"), ("pause", "paused"), ("resume", "running"), ("stop", "stopped")):
        body = {"json": {"hangup": False}} if deed == "stop" else {}
        assert viewer.post(f"{path}/{deed}", **body).status == 403
        assert operator.post(f"{path}/{deed}", **body).json()["state"] == state
    done = [(row["login"], row["action"]) for row in admin.get("/srv1/audit").json()["items"]]
    assert ("operator", "campaigns.stop") in done
    assert operator.put(path, json={"name": "mine"}).status == 403
    assert operator.delete(f"/srv1/trunks/{objects['trunk']['id']}").status == 403


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"role": "operator", "works_for": "anna"}, 201),
        ({"role": "viewer", "works_for": "admin"}, 201),
        ({"role": "viewer"}, 422),
        ({"role": "viewer", "works_for": None}, 422),
        ({"role": "viewer", "works_for": "nobody"}, 422),
        ({"role": "operator", "works_for": "operator"}, 422),
        ({"role": "user", "works_for": "anna"}, 422),
        ({"works_for": "anna"}, 422),
    ],
)
@pytest.mark.usefixtures("staff")
def test_a_role_without_objects_of_its_own_works_for_one_user(
    admin: Client, fields: dict[str, Any], status: int
) -> None:
    answer = admin.post("/srv1/users", json={"login": "new", "password": "three green boats", **fields})
    assert answer.status == status
    if status == 201:
        assert answer.json()["works_for"] == fields["works_for"]
    else:
        assert answer.fields == ["works_for"]


@pytest.mark.usefixtures("staff")
def test_a_changed_role_takes_its_user_along(admin: Client, store: Store) -> None:
    def change(login: str, **fields: Any) -> tuple[int, Any]:
        user = store.users.by_login(login)
        assert user is not None
        answer = admin.put(f"/srv1/users/{user.id}", json=fields)
        return answer.status, answer.json().get("works_for")

    assert change("operator", role="viewer") == (200, "anna")
    assert change("operator", works_for="boris") == (200, "boris")
    assert change("operator", role="user") == (200, None)
    assert change("operator", role="operator")[0] == 422
    assert change("anna", role="operator", works_for="boris")[0] == 409, "the viewer works for her"
    assert change("viewer", works_for="boris") == (200, "boris")
    assert change("anna", role="operator", works_for="boris") == (200, "boris")

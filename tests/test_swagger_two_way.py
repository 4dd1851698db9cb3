"""The contract, the routes, the operations, the console client and docs/api.md know the same operations, both ways."""

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from swagger_spec_validator.validator20 import validate_spec

import api_client
import main
from api_srv import Api
from autodialer.api.accounts import Accounts
from autodialer.api.api_keys import ApiKeys
from autodialer.api.callbases import Callbases
from autodialer.api.calls import Calls
from autodialer.api.campaigns import Campaigns
from autodialer.api.notices import Notices
from autodialer.api.people import People
from autodialer.api.prototype import Prototype
from autodialer.api.reports import PeriodReports
from autodialer.api.second_factor import SecondFactor
from autodialer.api.sessions import Sessions
from autodialer.api.sounds import Sounds
from autodialer.api.subscribers import Subscribers
from autodialer.api.tables import Tables
from autodialer.api.trunks import Trunks
from autodialer.api.webhooks import Webhooks
from autodialer.config import Settings
from autodialer.model import DEFAULT_RETRY, Disposition, Scope, Trunk, TrunkSettings
from autodialer.store import Store
from autodialer.store.campaigns import campaigns
from autodialer.web.access import Access
from autodialer.web.contract import BASE_PATH, load_contract, operations

ROOT = Path(__file__).resolve().parent.parent
OPERATIONS = [(method, BASE_PATH + path, operation) for method, path, operation in operations()]


IDS = {(method, path): operation["operationId"] for method, path, operation in OPERATIONS}
ROUTES = {(route.method, BASE_PATH + re.sub(r"<(\w+)>", r"{\1}", route.path)): route for route in main.ROUTES}
SUBJECTS: dict[str, type] = {
    "accounts": Accounts,
    "second_factor": SecondFactor,
    "sessions": Sessions,
    "api_keys": ApiKeys,
    "trunks": Trunks,
    "sounds": Sounds,
    "callbases": Callbases,
    "subscribers": Subscribers,
    "campaigns": Campaigns,
    "reports": PeriodReports,
    "calls": Calls,
    "people": People,
    "prototype": Prototype,
    "tables": Tables,
    "webhooks": Webhooks,
    "notices": Notices,
}


def subject_and_method(route: main.Line) -> tuple[str, str]:
    """What the lambda of a route calls: the two names after `api`."""
    return called_by(route.operation)


def called_by(operation: Callable[..., object]) -> tuple[str, str]:
    code = operation.__code__
    inner = [constant for constant in code.co_consts if inspect.iscode(constant)]
    names = [inner[0].co_names if inner else code.co_names][0]
    subject = next(name for name in names if name in SUBJECTS)
    return subject, names[names.index(subject) + 1]


def test_the_attributes_of_the_api_are_its_subjects(settings: Settings, store: Store) -> None:
    api = Api(settings, store)
    assert {name: type(value) for name, value in vars(api).items() if name in SUBJECTS} == SUBJECTS
    api.close()


def test_the_contract_is_valid_swagger_2() -> None:
    validate_spec(load_contract())


def test_every_operation_has_a_route_and_every_route_an_operation() -> None:
    assert [path for path in ROUTES if path not in IDS] == [path for path in IDS if path not in ROUTES] == []


def test_every_route_asks_an_operation_of_its_own_and_every_operation_has_a_route() -> None:
    asked = [(route, subject_and_method(route)) for route in main.ROUTES]
    assert len({operation for _, operation in asked}) == len(main.ROUTES)
    for_prototype = {called_by(route.for_prototype) for route in main.ROUTES if route.for_prototype}
    methods = {
        (name, method)
        for name, kind in SUBJECTS.items()
        for method, _ in inspect.getmembers(kind, inspect.isfunction)
        if not method.startswith("_")
    }
    assert methods == {operation for _, operation in asked} | for_prototype


def test_the_contract_says_what_the_prototypes_clients_send_and_the_other_way_round() -> None:
    said = {path for path in ROUTES for method, p, each in OPERATIONS if (method, p) == path and "x-req-data" in each}
    assert said == {path for path, route in ROUTES.items() if route.for_prototype} != set()


def test_a_route_is_open_only_where_the_contract_says_so() -> None:
    open_routes = {IDS[path] for path, route in ROUTES.items() if route.access is Access.OPEN}
    open_operations = {operation["operationId"] for _, _, operation in OPERATIONS if operation.get("security") == []}
    assert open_routes == open_operations == {"issue_token", "revoke_token", "log_in"}


def test_the_operations_of_admins_say_so() -> None:
    marked = {IDS[path] for path, route in ROUTES.items() if route.access in (Access.ADMIN, Access.USERS)}
    said = {operation["operationId"] for _, _, operation in OPERATIONS if "(admins)" in operation["summary"]}
    assert marked == said


def test_the_status_of_success_is_the_one_that_the_contract_says() -> None:
    for path, route in ROUTES.items():
        [operation] = [operation for method, p, operation in OPERATIONS if (method, p) == path]
        said = {int(status) for status in operation["responses"] if status not in ("default", "304")}
        assert said == ({route.status} if isinstance(route.status, int) else {201, 202}), path


def test_what_reads_a_single_object_has_an_entity_tag_and_the_contract_says_so() -> None:
    tagged = {IDS[path] for path, route in ROUTES.items() if route.is_single_object}
    said = {operation["operationId"] for _, _, operation in OPERATIONS if "304" in operation["responses"]}
    assert tagged == said >= {"read_campaign", "read_call", "read_trunk"}


def test_every_operation_has_a_command_of_the_console_client_and_the_other_way_round() -> None:
    parser = api_client.build_parser(api_client.load_operations())
    [commands] = [action for action in parser._actions if hasattr(action, "choices") and action.choices]
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    expected = {api_client.NAMES.get(name, name.replace("_", "-")) for name in names}
    assert set(commands.choices) - {api_client.CHECK} == expected


def headings() -> Iterator[str]:
    for line in (ROOT / "docs/api.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("### "):
            yield line.removeprefix("### ")


def test_every_operation_has_a_heading_in_the_documentation_and_the_other_way_round() -> None:
    assert sorted(headings()) == sorted(f"{method} {path}" for method, path, _ in OPERATIONS)


@pytest.mark.parametrize("operation_id", [operation["operationId"] for _, _, operation in OPERATIONS])
def test_every_operation_is_asked_in_some_test(operation_id: str) -> None:
    method, path = next((m, p) for m, p, operation in OPERATIONS if operation["operationId"] == operation_id)
    files = [*(ROOT / "tests/web").glob("test_*.py"), *(ROOT / "tests/api").glob("test_*.py")]
    tested = "".join(file.read_text(encoding="utf-8") for file in files)
    last = [part for part in path.split("/") if not part.startswith("{")][-1]
    assert last in tested, f"{method} {path}"


def test_the_words_of_the_contract_are_the_words_of_the_model() -> None:
    definitions = load_contract()["definitions"]
    assert set(definitions["Retry"]["properties"]) == set(DEFAULT_RETRY)
    [calls] = [operation for _, _, operation in OPERATIONS if operation["operationId"] == "list_calls"]
    [words] = [one["items"]["enum"] for one in calls["parameters"] if one.get("name") == "disposition"]
    assert set(words) == {disposition.value for disposition in Disposition}
    fields = set(definitions["NewTrunk"]["properties"])
    assert fields <= set(Trunk.__dataclass_fields__)


def test_the_defaults_of_the_contract_are_the_defaults_of_the_store() -> None:
    definitions = load_contract()["definitions"]
    for name, field in definitions["NewTrunk"]["properties"].items():
        if "default" in field:
            default = getattr(TrunkSettings, name)
            assert (list(default) if isinstance(default, tuple) else default) == field["default"], name
    for name, field in definitions["NewCampaign"]["properties"].items():
        if "default" in field:
            assert campaigns.DEFAULTS[name] == field["default"], name  # type: ignore[literal-required]


def test_the_scopes_of_the_contract_are_those_that_the_routes_ask_for() -> None:
    assert list(load_contract()["securityDefinitions"]["oauth2"]["scopes"]) == [scope.value for scope in Scope]
    by_default = load_contract()["security"]
    for path, route in ROUTES.items():
        [operation] = [operation for method, p, operation in OPERATIONS if (method, p) == path]
        # Of one's own account all scopes are asked for that the role allows, which no contract can say.
        asked = [] if route.access.value is None else [{"oauth2": [route.access.value.scope or "read"]}, {"bearer": []}]
        assert operation.get("security", by_default) == asked, path

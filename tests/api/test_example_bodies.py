"""The bodies that Swagger UI fills in: tried one after the other as they stand, each works."""

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft4Validator, RefResolver

from autodialer.store import Store
from autodialer.web.contract import BASE_PATH, load_contract, operations
from tests.web.client import Client, wav

SOME_ID = "00000000-0000-0000-0000-000000000000"
"""What an example has in place of an id: nobody can know the ids of a service that does not run yet."""


def bodies() -> Iterator[tuple[str, str, str, str]]:
    """Operation, method, path and the definition of its body, of all operations that take one."""
    for method, path, operation in operations():
        for parameter in operation.get("parameters", ()):
            if parameter.get("in") == "body":
                yield operation["operationId"], method, path, parameter["schema"]["$ref"].rpartition("/")[2]


BODIES = {operation: (method, path, definition) for operation, method, path, definition in bodies()}
ORDER = [
    # operation, the objects that its path and its body name, the status where it is not the operation's own
    ("create_user", {}, None),
    ("log_in", {}, None),
    ("change_user", {"user_id": "create_user"}, None),
    ("change_password", {}, None),
    ("add_user", {}, None),
    ("create_api_key", {}, None),
    ("create_trunk", {}, None),
    ("change_trunk", {"trunk_id": "create_trunk"}, None),
    ("check_trunk", {"trunk_id": "create_trunk"}, "No dialer process is running"),
    ("change_sound", {"sound_id": "sound"}, None),
    ("create_subscriber", {"callbase_id": "callbase"}, None),
    ("change_subscriber", {"subscriber_id": "create_subscriber"}, None),
    ("create_campaign", {"trunk_ids": "create_trunk", "sound_id": "sound", "callbase_id": "callbase"}, None),
    ("change_campaign", {"campaign_id": "create_campaign"}, None),
    ("add_subscribers", {"campaign_id": "create_campaign"}, None),
    ("resume_campaign", {"campaign_id": "create_campaign"}, "only a paused campaign can be resumed"),
    ("stop_campaign", {"campaign_id": "create_campaign"}, None),
    ("clone_campaign", {"campaign_id": "create_campaign"}, None),
    ("count_slice", {"campaign_id": "create_campaign"}, None),
    ("create_sample_call", {"trunk_id": "create_trunk", "sound_id": "sound"}, None),
    ("create_call", {"trunk_id": "create_trunk", "sound_id": "sound"}, None),
    ("send_call_digits", {"call_id": "create_sample_call"}, "only an answered call takes digits"),
    ("create_webhook", {}, None),
    ("change_webhook", {"webhook_id": "create_webhook"}, None),
    ("create_notice", {}, None),
    ("change_notice", {"notice_id": "create_notice"}, None),
    ("put_dnc_entry", {"number": "+442079460103"}, None),
    ("erase_subscriber", {"subscriber_id": "create_subscriber"}, None),
]
"""As a new user goes through them; the two that need a dialer say so."""


def example_of(operation: str) -> Any:
    """What Swagger UI fills in."""
    return load_contract()["definitions"][BODIES[operation][2]]["example"]


def with_ids(example: Any, ids: dict[str, str]) -> Any:
    """The example with real ids in the fields that name objects."""
    filled = dict(example)
    for name, value in filled.items():
        if value == SOME_ID:
            filled[name] = ids[name]
        elif value == [SOME_ID]:
            filled[name] = [ids[name]]
    return filled


def test_every_body_is_tried_here() -> None:
    assert {operation for operation, _, _ in ORDER} == set(BODIES)


@pytest.mark.parametrize("operation", BODIES)
def test_an_example_is_what_the_contract_asks_for_and_its_text_is_not_a_types_name(operation: str) -> None:
    contract = load_contract()
    schema = contract["definitions"][BODIES[operation][2]]
    example = example_of(operation)
    Draft4Validator(schema, resolver=RefResolver("", contract)).validate(example)
    assert set(schema.get("required", ())) <= set(example)
    assert "string" not in str(example)


def test_the_examples_work_one_after_the_other(admin: Client, store: Store) -> None:
    made = {
        "sound": admin.post("/srv1/sounds", files={"file": ("hello.wav", wav())}).json()["id"],
        "callbase": admin.post(
            "/srv1/callbases", files={"file": ("base.csv", b"+442079460101\n")}, data={"region": "GB"}
        ).json()["id"],
    }
    new_user = Client(admin.app)
    for operation, names, refusal in ORDER:
        method, path, _ = BODIES[operation]
        ids = {name: made.get(maker, maker) for name, maker in names.items()}
        client = new_user if operation in ("log_in", "change_password") else admin
        if operation == "stop_campaign":
            assert admin.post(f"/srv1/campaigns/{made['create_campaign']}/start").status == 200
        answer = client.call(method, BASE_PATH + path.format(**ids), json=with_ids(example_of(operation), ids))
        if refusal is not None:
            assert refusal in answer.json()["message"], (operation, answer.body)
            continue
        assert answer.status in (200, 201, 202, 204), (operation, answer.body)
        if answer.status in (201, 202):
            made[operation] = answer.json()["id"]
        if operation == "log_in":
            assert answer.json()["status"] == "success"
            new_user.token = answer.json()["acc_token"]
    assert store.dnc.page(None)[0]


def test_an_example_whose_ids_were_not_replaced_says_which(admin: Client) -> None:
    for operation in ("create_campaign", "create_sample_call"):
        method, path, _ = BODIES[operation]
        answer = admin.call(method, BASE_PATH + path, json=example_of(operation))
        assert answer.status == 422
        assert SOME_ID in answer.json()["message"]

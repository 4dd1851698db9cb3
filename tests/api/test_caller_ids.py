"""Numbers that a provider lets a trunk show: kept, read back, and warned of where another one is shown."""

from typing import Any

import pytest

from tests.web.client import Client

LISTED = [{"number": "+74950000000", "shown_as": "Клиника на Лесной"}, {"number": "74950000001", "shown_as": None}]


def list_numbers(anna: Client, objects: dict[str, Any], **more: Any) -> Any:
    answer = anna.put(f"/srv1/trunks/{objects['trunk']['id']}", json={"caller_ids": LISTED, **more})
    assert answer.status == 200, answer.body
    return answer.json()


def test_the_numbers_are_kept_and_can_be_emptied(anna: Client, objects: dict[str, Any]) -> None:
    assert objects["trunk"]["caller_ids"] == objects["trunk"]["warnings"] == []
    list_numbers(anna, objects)
    path = f"/srv1/trunks/{objects['trunk']['id']}"
    assert anna.get(path).json()["caller_ids"] == LISTED
    assert anna.put(path, json={"cps": 2}).json()["caller_ids"] == LISTED
    assert anna.put(path, json={"caller_ids": []}).json()["caller_ids"] == []


@pytest.mark.parametrize(
    ("caller_id", "is_warned"),
    [(None, False), ("+74950000000", False), ("74950000000", False), ("+74950000001", False), ("+74950000002", True)],
)
def test_a_trunk_is_warned_of_a_caller_id_that_is_not_listed(
    anna: Client, objects: dict[str, Any], caller_id: str | None, is_warned: bool
) -> None:
    warnings = list_numbers(anna, objects, caller_id=caller_id)["warnings"]
    assert [warning["code"] for warning in warnings] == ["caller_id_not_listed"] * is_warned
    assert all("+74950000002" in warning["message"] and "74950000001" in warning["message"] for warning in warnings)


@pytest.mark.parametrize(("caller_id", "is_warned"), [("+74950000000", False), ("+74950000002", True)])
def test_a_campaign_is_warned_wherever_it_is_read(
    anna: Client, objects: dict[str, Any], caller_id: str, is_warned: bool
) -> None:
    list_numbers(anna, objects)
    made = anna.post("/srv1/campaigns", json={**objects["fields"], "caller_id": caller_id})
    assert made.status == 201
    path = f"/srv1/campaigns/{made.json()['id']}"
    listed = {each["id"]: each for each in anna.get("/srv1/campaigns").json()["items"]}
    for found in (made.json(), anna.get(path).json(), listed[made.json()["id"]], anna.post(f"{path}/start").json()):
        assert [warning["code"] for warning in found["warnings"]] == ["caller_id_not_listed"] * is_warned
    assert listed[objects["campaign"]["id"]]["warnings"] == []
    changed = anna.put(path, json={"caller_id": None}).json()
    assert changed["warnings"] == []


def test_without_a_list_nothing_is_warned_of(anna: Client, objects: dict[str, Any]) -> None:
    made = anna.post("/srv1/campaigns", json={**objects["fields"], "caller_id": "+74950000002"}).json()
    assert made["warnings"] == []


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ([{"number": "+7495 000"}], 400),
        ([{"shown_as": "Clinic"}], 400),
        ([{"number": "+74950000000", "shown_as": "x" * 33}], 400),
        ([{"number": "+74950000000", "shown_as": "a\nb"}], 400),
        ([{"number": "+74950000000"}, {"number": "74950000000"}], 422),
        (["+74950000000"], 400),
    ],
)
def test_a_list_that_cannot_be_meant_is_refused(
    anna: Client, objects: dict[str, Any], wrong: list[Any], status: int
) -> None:
    answer = anna.put(f"/srv1/trunks/{objects['trunk']['id']}", json={"caller_ids": wrong})
    assert answer.status == status
    # A line break is refused in any field, before the fields are told apart.
    assert all(str(field).startswith("caller_ids") for field in answer.fields)
    assert anna.get(f"/srv1/trunks/{objects['trunk']['id']}").json()["caller_ids"] == []

"""What holds for every value that a client can send, found by walking the contract: a new field is covered at once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from autodialer.web.body import HAVE_LINES
from tests.web.client import Answer, Client

CONTRACT: dict[str, Any] = yaml.safe_load((Path(__file__).resolve().parent.parent.parent / "swagger.yaml").read_text())
SOME_ID = "00000000-0000-0000-0000-000000000000"
FORGED = [
    "-----BEGIN CERTIFICATE-----\r\nX-Forged: 1",
    "a\nX-Forged: 1",
    "a\rb",
    "a\0b",
    "a\x1b[2J",
    "a\x85b",
    "a\u2028b",
]


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path with ids filled in, and description of every operation."""
    for path, methods in CONTRACT["paths"].items():
        for method, operation in methods.items():
            if method == "parameters":
                continue
            filled = "/".join(SOME_ID if part.startswith("{") else part for part in path.split("/"))
            yield method.upper(), CONTRACT.get("basePath", "").rstrip("/") + filled, operation


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = CONTRACT["definitions"][schema["$ref"].rpartition("/")[2]]
    return schema


def bodies(schema: dict[str, Any], text: str) -> Iterator[tuple[str, Any]]:
    """Every field that takes text, at any depth, and a value of `schema` in which it has this one."""
    schema = resolved(schema)
    for part in schema.get("allOf", ()):
        yield from bodies(part, text)
    for name, each in schema.get("properties", {}).items():
        each = resolved(each)
        if each.get("type") == "string":
            yield name, {name: text}
        elif each.get("type") == "array" and resolved(each["items"]).get("type") == "string":
            yield name, {name: [text]}
        else:
            inner = each["items"] if each.get("type") == "array" else each
            for found, value in bodies(inner, text):
                yield found, {name: [value] if each.get("type") == "array" else value}


def parameters(operation: dict[str, Any], place: str) -> list[dict[str, Any]]:
    given = [resolved_parameter(each) for each in operation.get("parameters", ())]
    return [each for each in given if each["in"] == place]


def resolved_parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    found = parameter.get("$ref", "").rpartition("/")[2]
    return CONTRACT["parameters"][found] if found else parameter


def is_refused(answer: Answer) -> bool:
    """For its control character; the prototype's login says so in a body of its own, with status 200."""
    said = answer.json()
    return (answer.status == 400 or said.get("status") == "fail") and "control character" in str(said)


@pytest.mark.parametrize("text", FORGED)
def test_no_field_of_a_body_takes_a_line_end_or_another_control_character(admin: Client, text: str) -> None:
    walked = set()
    for method, path, operation in operations():
        for body in parameters(operation, "body"):
            for name, value in bodies(body["schema"], text):
                if name in HAVE_LINES and text.strip("\r\n") == text and set("\r\n") & set(text):
                    continue
                answer = admin.call(method, path, json=value)
                assert is_refused(answer), (method, path, name, answer.json())
                walked.add(name)
    assert len(walked) > 30


@pytest.mark.parametrize("text", FORGED)
def test_no_field_of_a_form_takes_one(client: Client, text: str) -> None:
    walked = 0
    for method, path, operation in operations():
        names = [each["name"] for each in parameters(operation, "formData") if each["type"] != "file"]
        if "multipart/form-data" in operation.get("consumes", ()):
            continue  # an upload is told apart from a form below
        for name in names:
            answer = client.call(method, path, data={name: text})
            assert answer.status == 400, (method, path, name, answer.json())
            walked += 1
    assert walked >= 4


@pytest.mark.parametrize("text", FORGED)
def test_no_field_beside_an_upload_takes_one(admin: Client, text: str) -> None:
    walked = 0
    for method, path, operation in operations():
        if "multipart/form-data" not in operation.get("consumes", ()):
            continue
        for each in parameters(operation, "formData"):
            if each["type"] != "file":
                files = {"file": ("a.csv", b"79161234567\n", "text/csv")}
                answer = admin.call(method, path, data={each["name"]: text}, files=files)
                assert answer.status == 400, (method, path, each["name"], answer.json())
                assert "control character" in answer.json()["message"]
                walked += 1
    assert walked >= 4


def test_an_empty_value_of_a_query_is_an_absent_one_everywhere(admin: Client) -> None:
    walked = 0
    for method, path, operation in operations():
        for each in parameters(operation, "query"):
            if method == "GET" and not each.get("required"):
                without = admin.call(method, path)
                assert admin.call(method, f"{path}?{each['name']}=").status == without.status != 500, (path, each)
                walked += 1
    assert walked > 10


@pytest.mark.parametrize("query", ["limit=%FF", "limit=1%0A", "after=%00", "after=%E2%80%A8", "&".join(["a=1"] * 101)])
def test_a_query_with_what_is_no_text_is_400(admin: Client, query: str) -> None:
    answer = admin.get(f"/srv1/trunks?{query}")
    assert (answer.status, answer.error) == (400, "bad_request")

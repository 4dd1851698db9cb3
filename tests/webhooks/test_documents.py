"""What docs/webhooks.md shows works: the payloads, the signature checks, the workflow for n8n."""

import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from autodialer.model.webhooks import EventKind
from autodialer.webhooks.payloads import NAMES
from autodialer.webhooks.schedule import WAITS_S
from autodialer.webhooks.signing import new_secret, shown_secret, signed_headers

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs/webhooks.md").read_text()
WORKFLOW = json.loads((ROOT / "docs/examples/n8n-webhook.json").read_text())
BODY = '{"type":"call.ended","data":{"disposition":"answered","name":"Анна"}}'.encode()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)


def delivery(secret: bytes, *, age_s: int = 0) -> dict[str, str]:
    return signed_headers(secret, "019cadb0-25a0-7000-8000-000000000001", int(time.time()) - age_s, BODY)


def test_every_event_has_a_heading_and_an_example_with_all_its_names() -> None:
    examples = {example["type"]: example for example in map(json.loads, blocks("json"))}
    assert set(examples) == {kind.value for kind in EventKind}
    for kind in EventKind:
        assert f"### {kind.value}\n" in DOCUMENT
        assert sorted(examples[kind]["data"]) == sorted(NAMES[kind]), kind


def test_the_waits_between_attempts_are_those_of_the_schedule() -> None:
    assert WAITS_S == (5, 30, 2 * 60, 10 * 60, 30 * 60, 3600, 2 * 3600, 4 * 3600, 8 * 3600)
    assert "after 5 s, 30 s, 2, 10 and 30 min, 1, 2, 4 and 8 h" in DOCUMENT


CASES = ["ours", "another secret", "another body", "another id", "too old"]


def case(name: str) -> tuple[str, dict[str, str], bytes]:
    """Secret, headers and body as the receiver has them."""
    secret = new_secret()
    headers = delivery(secret, age_s=301 if name == "too old" else 0)
    if name == "another id":
        headers["webhook-id"] = "another"
    known = new_secret() if name == "another secret" else secret
    return shown_secret(known), headers, BODY + b" " if name == "another body" else BODY


@pytest.mark.parametrize("name", CASES)
def test_the_check_in_python_knows_our_deliveries(name: str) -> None:
    found: dict[str, Any] = {}
    exec(blocks("python")[0], found)
    assert found["is_ours"](*case(name)) is (name == "ours")


def node(script: str, given: Any) -> str:
    """What a script prints that reads one JSON value."""
    done = subprocess.run(["node", "-e", script], input=json.dumps(given).encode(), capture_output=True, check=True)
    return done.stdout.decode().strip()


@pytest.mark.process
@pytest.mark.peer("node")
@pytest.mark.parametrize("name", CASES)
def test_the_check_in_javascript_knows_our_deliveries(name: str) -> None:
    secret, headers, body = case(name)
    script = blocks("javascript")[0] + (
        "\nconst given = JSON.parse(require('fs').readFileSync(0));"
        "console.log(isOurs(given.secret, given.headers, Buffer.from(given.body, 'hex')));"
    )
    assert node(script, {"secret": secret, "headers": headers, "body": body.hex()}) == str(name == "ours").lower()


def test_the_workflow_is_whole() -> None:
    nodes = {each["name"]: each for each in WORKFLOW["nodes"]}
    assert nodes["Dialer"]["parameters"]["options"]["rawBody"] is True
    for source, outputs in WORKFLOW["connections"].items():
        assert source in nodes
        assert all(target["node"] in nodes for output in outputs["main"] for target in output)
    assert nodes.keys() == WORKFLOW["connections"].keys() | {"Answered calls only"}


@pytest.mark.process
@pytest.mark.peer("node")
@pytest.mark.parametrize("name", CASES)
def test_the_code_in_the_workflow_knows_our_deliveries(name: str) -> None:
    (code,) = [each["parameters"]["jsCode"] for each in WORKFLOW["nodes"] if each["name"] == "Check the signature"]
    secret, headers, body = case(name)
    # As n8n runs it: the body of an asynchronous function.
    script = """
        const given = JSON.parse(require('fs').readFileSync(0));
        const $input = { first: () => ({ json: { headers: given.headers } }) };
        const helpers = { getBinaryDataBuffer: async () => Buffer.from(given.body, 'hex') };
        const Asynchronous = Object.getPrototypeOf(async function () {}).constructor;
        new Asynchronous('$input', 'require', given.code).call({ helpers }, $input, require)
            .then((items) => console.log(JSON.stringify(items)), (error) => console.log('refused: ' + error.message));
    """
    ready = code.replace("whsec_PUT_YOURS_HERE", secret)
    said = node(script, {"code": ready, "headers": headers, "body": body.hex()})
    if name == "ours":
        assert json.loads(said) == [{"json": {"id": headers["webhook-id"], **json.loads(BODY)}}]
    else:
        assert said.startswith("refused: ")

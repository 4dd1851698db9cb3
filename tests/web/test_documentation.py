"""Swagger UI as it is vendored: the files that npm has, and pages without anything inline."""

import base64
import hashlib
import json
from html.parser import HTMLParser

import pytest

from autodialer.web.documentation import FOLDER, OURS, PAGE
from tests.web.client import Client

MANIFEST = json.loads((FOLDER / "manifest.json").read_text())
PAGES = ("/", "/api/doc/")


def test_every_file_is_as_it_was_published_and_no_other_is_there() -> None:
    for name, said in MANIFEST["files"].items():
        digest = base64.b64encode(hashlib.sha384((FOLDER / name).read_bytes()).digest()).decode()
        assert said == f"sha384-{digest}", name
    assert {each.name for each in FOLDER.iterdir()} == {*MANIFEST["files"], *OURS, PAGE, "manifest.json"}


def test_the_version_and_the_licence_are_told() -> None:
    assert MANIFEST["package"] == "swagger-ui-dist"
    assert tuple(map(int, MANIFEST["version"].split("."))) >= (5, 35, 0)
    assert MANIFEST["license"] == "Apache-2.0"
    assert "Apache License" in (FOLDER / "LICENSE").read_text()


class Inline(HTMLParser):
    """Finds what a policy without 'unsafe-inline' refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {name for name, _ in attrs}
        if tag == "style" or (tag == "script" and "src" not in names):
            self.found.append(tag)
        self.found += [name for name in names if name == "style" or name.startswith("on")]
        self.found += [value for _, value in attrs if (value or "").startswith("javascript:")]


@pytest.mark.parametrize("path", PAGES)
def test_no_page_has_anything_inline_and_its_policy_allows_nothing_inline(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status == 200
    parser = Inline()
    parser.feed(answer.body.decode())
    assert parser.found == []
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self';" in policy and "style-src 'self';" in policy
    assert "unsafe" not in policy


def test_the_files_that_the_page_names_are_served_and_others_are_not(client: Client) -> None:
    page = (FOLDER / PAGE).read_text()
    for name in [*MANIFEST["files"], *OURS]:
        assert client.get(f"/api/doc/{name}").body == (FOLDER / name).read_bytes()
        assert name in page or not name.endswith((".js", ".css"))
    for name in ("manifest.json", "index.html", "..%2fapp.py", "nothing.js"):
        assert client.get(f"/api/doc/{name}").status == 404


@pytest.mark.parametrize("name", ["", "start.js", "swagger-ui.css"])
def test_what_has_not_changed_is_304_and_changes_no_header_of_what_the_browser_has(client: Client, name: str) -> None:
    first = client.get(f"/api/doc/{name}")
    again = client.get(f"/api/doc/{name}", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status, again.body, first.headers["cache-control"]) == (304, b"", "no-cache")
    for header in ("content-type", "content-security-policy", "cache-control", "x-content-type-options"):
        assert again.headers.get(header, first.headers[header]) == first.headers[header], header

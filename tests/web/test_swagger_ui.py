"""Swagger UI as a person uses it: Authorize with login and password, then try an operation out."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from autodialer.config import Settings
from autodialer.web.app import App
from autodialer.web.contract import load_contract
from tests.web.chromium import Page, chromium
from tests.web.conftest import PASSWORD
from tests.web.serving import free_port, serving

pytestmark = [pytest.mark.browser, pytest.mark.loopback]

OPERATION = "#operations-users-read_me"


@pytest.fixture
def settings(settings: Settings) -> Iterator[Settings]:
    """With a port of its own."""
    before = tempfile.tempdir
    yield Settings(data=settings.data, http=f"127.0.0.1:{free_port()}")
    tempfile.tempdir = before


@contextmanager
def authorized(settings: Settings, app: App, tmp_path: Path) -> Iterator[Page]:
    """Swagger UI with Anna logged in."""
    with serving(settings, app) as url, chromium(tmp_path / "profile") as page:
        page.open(f"{url}/api/doc")
        page.click(".auth-wrapper .authorize")
        page.type("#oauth_username", "anna")
        page.type("#oauth_password", PASSWORD)
        page.click(".auth-container .auth-btn-wrapper .authorize")
        page.wait_for("[...document.querySelectorAll('.auth-container h6')].some(e => e.innerText == 'Authorized')")
        page.click(".modal-ux .close-modal")
        yield page


def test_authorize_logs_in_and_try_it_out_works(settings: Settings, app: App, tmp_path: Path) -> None:
    with authorized(settings, app, tmp_path) as page:
        page.click(f"{OPERATION} .opblock-summary-control")
        page.click(f"{OPERATION} .try-out__btn")
        page.click(f"{OPERATION} .execute")
        answer = page.wait_for(f"document.querySelector('{OPERATION} .live-responses-table .response')?.innerText")
        page.screenshot(tmp_path / "swagger-ui.png")
        assert answer.startswith("200")
        assert '"login": "anna"' in answer


def test_a_body_is_filled_in_with_the_example_of_the_contract_and_works(
    settings: Settings, app: App, tmp_path: Path
) -> None:
    operation = "#operations-trunks-create_trunk"
    with authorized(settings, app, tmp_path) as page:
        page.click(f"{operation} .opblock-summary-control")
        page.click(f"{operation} .try-out__btn")
        filled_in = page.wait_for(f"document.querySelector('{operation} .body-param__text')?.value")
        page.click(f"{operation} .execute")
        answer = page.wait_for(f"document.querySelector('{operation} .live-responses-table .response')?.innerText")
    assert json.loads(filled_in) == load_contract()["definitions"]["NewTrunk"]["example"]
    assert answer.startswith("201")

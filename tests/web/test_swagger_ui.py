"""Swagger UI as a person uses it: Authorize with login and password, then try an operation out."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from autodialer.config import Settings
from autodialer.web.app import App
from tests.web.chromium import chromium
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


def test_authorize_logs_in_and_try_it_out_works(settings: Settings, app: App, tmp_path: Path) -> None:
    with serving(settings, app) as url, chromium(tmp_path / "profile") as page:
        page.open(f"{url}/api/doc")
        page.click(".auth-wrapper .authorize")
        page.type("#oauth_username", "anna")
        page.type("#oauth_password", PASSWORD)
        page.click(".auth-container .auth-btn-wrapper .authorize")
        page.wait_for("[...document.querySelectorAll('.auth-container h6')].some(e => e.innerText == 'Authorized')")
        page.click(".modal-ux .close-modal")
        page.click(f"{OPERATION} .opblock-summary-control")
        page.click(f"{OPERATION} .try-out__btn")
        page.click(f"{OPERATION} .execute")
        answer = page.wait_for(f"document.querySelector('{OPERATION} .live-responses-table .response')?.innerText")
        page.screenshot(tmp_path / "swagger-ui.png")
        assert answer.startswith("200")
        assert '"login": "anna"' in answer

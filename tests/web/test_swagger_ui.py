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
from tests.web.conftest import PASSWORD, StandingClock
from tests.web.serving import free_port, serving

pytestmark = [pytest.mark.browser, pytest.mark.loopback]

OPERATION = "#operations-users-read_me"
AUTHORIZED = "[...document.querySelectorAll('.auth-container h6')].some(e => e.innerText == 'Authorized')"
SESSION = "dialer.session"
WATCH_POLICY = """
    window.refused = [];
    addEventListener("securitypolicyviolation", e => window.refused.push(`${e.violatedDirective} ${e.sourceFile}`));
"""


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
        page.wait_for(AUTHORIZED)
        page.click(".modal-ux .close-modal")
        yield page


def execute(page: Page) -> str:
    """Try GET /users/me out, whose block is open; the answer as it is shown."""
    page.click(f"{OPERATION} .execute")
    shown = f"document.querySelector('{OPERATION} .live-responses-table .response')?.innerText"
    answer: str = page.wait_for(shown)
    return answer


def open_operation(page: Page) -> None:
    page.click(f"{OPERATION} .opblock-summary-control")
    page.click(f"{OPERATION} .try-out__btn")


def test_the_login_field_has_the_focus_and_enter_logs_in(settings: Settings, app: App, tmp_path: Path) -> None:
    with serving(settings, app) as url, chromium(tmp_path / "profile") as page:
        page.before_each_page(WATCH_POLICY)
        page.open(f"{url}/api/doc")
        page.click(".auth-wrapper .authorize")
        page.wait_for("document.activeElement?.id === 'oauth_username'")
        place = page.run(
            "(r => [r.top, innerHeight - r.bottom, r.left])(document.activeElement.getBoundingClientRect())"
        )
        assert min(place) >= 0, place
        page.keys("anna")
        page.press("Tab")
        page.keys("wrong")
        page.press("Enter")
        page.wait_for("document.querySelector('.auth-container .errors')?.innerText")
        page.run("(password => { password.focus(); password.select(); })(document.querySelector('#oauth_password'))")
        page.keys(PASSWORD)
        page.press("Enter")
        page.wait_for(AUTHORIZED)
        page.screenshot(tmp_path / "authorized.png")
        page.click(".modal-ux .close-modal")
        open_operation(page)
        assert execute(page).startswith("200")
        assert page.run("window.refused") == []


def test_a_reload_keeps_the_session_and_the_browser_keeps_no_password(
    settings: Settings, app: App, tmp_path: Path
) -> None:
    with authorized(settings, app, tmp_path) as page:
        page.run("window.before = true; location.reload()")
        page.wait_for("!window.before && !!document.querySelector('.auth-wrapper .authorize.locked')")
        open_operation(page)
        assert execute(page).startswith("200")
        kept = page.run("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
        assert SESSION in kept
        assert PASSWORD not in kept
        assert json.loads(kept)[0] == {}


def test_a_session_in_use_is_renewed_and_logging_out_ends_it(
    settings: Settings, app: App, tmp_path: Path, clock: StandingClock
) -> None:
    read = f"JSON.parse(sessionStorage.getItem('{SESSION}'))"
    with authorized(settings, app, tmp_path) as page:
        before = page.run(read)
        clock.move(700)
        page.run(f"sessionStorage.setItem('{SESSION}', JSON.stringify({{...{read}, expires_at: 1}}))")
        open_operation(page)
        assert execute(page).startswith("200")
        after = page.run(read)
        assert after["token"]["refresh_token"] != before["token"]["refresh_token"]
        page.click(".auth-wrapper .authorize")
        page.click(".auth-container .auth-btn-wrapper button")
        page.wait_for("!!document.querySelector('#oauth_username')")
        assert page.run(f"sessionStorage.getItem('{SESSION}')") is None


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

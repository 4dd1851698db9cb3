"""The second factor: set up, asked for, taken once, required by an admin, lost and taken away."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest

from autodialer.commands.accounts import set_password
from autodialer.config import Settings
from autodialer.store import Store
from autodialer.store.accounts import second_factors
from tests.web.client import Answer, Client
from tests.web.conftest import PASSWORD, StandingClock

TOKEN = "/srv1/auth/token"
ME = "/srv1/users/me"
MFA = "/srv1/users/me/mfa"
GRANT = "urn:autodialer:mfa"


class Phone:
    """A user's authenticator: another program's TOTP, on the clock of the test."""

    def __init__(self, secret: str, clock: StandingClock) -> None:
        self.totp = pyotp.TOTP(secret)
        self.clock = clock
        self.recovery_codes: list[str] = []

    def code(self, ahead_s: float = 0) -> str:
        """What it shows; `ahead_s` is how much its clock is fast."""
        return self.totp.at(int(self.clock.now.timestamp() + ahead_s))

    def next_code(self) -> str:
        """Wait for a code that was not there before."""
        self.clock.move(30)
        return self.code()


def enrol(client: Client, clock: StandingClock) -> Phone:
    """Set a second factor up and confirm it."""
    made = client.post(MFA, json={"password": PASSWORD})
    assert made.status == 200, made.body
    phone = Phone(made.json()["secret"], clock)
    confirmed = client.post(f"{MFA}/confirm", json={"code": phone.code()})
    assert confirmed.status == 200, confirmed.body
    phone.recovery_codes = confirmed.json()["recovery_codes"]
    return phone


def log_in(client: Client, login: str = "anna", **more: str) -> Answer:
    """By password."""
    return client.post(TOKEN, data={"grant_type": "password", "username": login, "password": PASSWORD, **more})


def send_code(client: Client, token: str, code: str) -> Answer:
    """The second step."""
    return client.post(TOKEN, data={"grant_type": GRANT, "mfa_token": token, "otp": code})


@pytest.fixture
def phone(anna: Client, clock: StandingClock) -> Phone:
    """Anna's, in use. Her client stays logged in."""
    return enrol(anna, clock)


def test_setting_up_gives_a_secret_its_address_and_a_qr_code(anna: Client) -> None:
    made = anna.post(MFA, json={"password": PASSWORD}).json()
    address = urlsplit(made["otpauth_url"])
    assert (address.scheme, address.netloc, address.path) == ("otpauth", "totp", "/Dialer:anna")
    assert parse_qs(address.query) == {"secret": [made["secret"]], "issuer": ["Dialer"]}
    assert made["qr_svg"].startswith("<svg")
    assert anna.get(MFA).json() == {"enabled": False, "required": False, "since": None, "recovery_codes_left": 0}
    assert log_in(anna).status == 200, "it is not in use before it is confirmed"


def test_setting_up_asks_for_the_password_and_for_a_right_code(anna: Client, clock: StandingClock) -> None:
    assert anna.post(f"{MFA}/confirm", json={"code": "123456"}).status == 409
    answer = anna.post(MFA, json={"password": "wrong"})
    assert (answer.status, answer.fields) == (422, ["password"])
    phone = Phone(anna.post(MFA, json={"password": PASSWORD}).json()["secret"], clock)
    answer = anna.post(f"{MFA}/confirm", json={"code": phone.code(ahead_s=120)})
    assert (answer.status, answer.fields) == (422, ["code"])
    assert anna.post(f"{MFA}/confirm", json={"code": phone.code()}).status == 200
    assert anna.post(f"{MFA}/confirm", json={"code": phone.code()}).status == 409
    assert anna.post(MFA, json={"password": PASSWORD}).status == 409
    assert anna.get(ME).json()["mfa_enabled"] is True


def test_confirming_ends_the_other_sessions_and_keeps_this_one(
    log_in: Callable[[str], Client], clock: StandingClock
) -> None:
    here, elsewhere = log_in("anna"), log_in("anna")
    enrol(here, clock)
    assert here.get(ME).status == 200
    assert elsewhere.get(ME).status == 401


def test_the_password_alone_gets_a_token_for_the_second_step(client: Client, phone: Phone) -> None:
    answer = log_in(client)
    value = answer.json()
    assert (answer.status, answer.error) == (400, "mfa_required")
    assert value["error_description"] == value["message"]
    assert GRANT in value["message"]
    assert "access_token" not in value
    done = send_code(client, value["mfa_token"], phone.next_code())
    assert done.status == 200
    assert done.json()["scope"] == "read dial"
    assert Client(client.app, done.json()["access_token"]).get(ME).status == 200
    assert Client(client.app, value["mfa_token"]).get(ME).status == 401


def test_password_and_code_may_come_together_and_the_scope_is_kept(client: Client, phone: Phone) -> None:
    assert log_in(client, otp=phone.next_code()).status == 200
    assert log_in(client, otp=phone.next_code(), scope="read").json()["scope"] == "read"
    token = log_in(client, scope="read").json()["mfa_token"]
    tokens = send_code(client, token, phone.next_code()).json()
    assert tokens["scope"] == "read"
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert client.post(TOKEN, data=refresh).json()["scope"] == "read"
    assert log_in(client, scope="everything").error == "invalid_scope"


def test_a_code_is_taken_once_within_its_window(client: Client, phone: Phone) -> None:
    code = phone.next_code()
    assert log_in(client, otp=code).status == 200
    phone.clock.move(10)
    answer = log_in(client, otp=code)
    assert (answer.status, answer.error) == (400, "invalid_grant")
    assert "used already" in answer.json()["message"]
    assert log_in(client, otp=phone.code(ahead_s=-30)).error == "invalid_grant", "nor one before it"
    assert log_in(client, otp=phone.next_code()).status == 200


@pytest.mark.parametrize(("ahead_s", "is_taken"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)])
def test_clocks_may_differ_by_thirty_seconds(client: Client, phone: Phone, ahead_s: float, is_taken: bool) -> None:
    phone.clock.move(300)
    assert (log_in(client, otp=phone.code(ahead_s)).status == 200) is is_taken


def test_a_code_is_read_as_people_write_it(client: Client, phone: Phone) -> None:
    code = phone.next_code()
    assert log_in(client, otp=f" {code[:3]} {code[3:]} ").status == 200
    assert log_in(client, otp=phone.recovery_codes[0].upper().replace("-", " ")).status == 200


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "½½½½½½", "١٢٣٤٥٦", "9" * 5000, "😀", "-"])
def test_any_other_text_is_a_wrong_code(client: Client, phone: Phone, code: str) -> None:
    token = log_in(client).json()["mfa_token"]
    answer = send_code(client, token, code)
    assert (answer.status, answer.error) == (400, "invalid_grant" if code else "invalid_request")


def test_each_recovery_code_works_once(client: Client, anna: Client, phone: Phone) -> None:
    assert len(set(phone.recovery_codes)) == 10
    assert all(re.fullmatch(r"[2-9a-z]{6}-[2-9a-z]{6}", code) for code in phone.recovery_codes)
    for code in phone.recovery_codes:
        assert log_in(client, otp=code).status == 200
        assert log_in(client, otp=code).error == "invalid_grant"
        phone.clock.move(30)
    assert anna.get(MFA).json()["recovery_codes_left"] == 0


def test_new_recovery_codes_take_the_place_of_the_old(client: Client, anna: Client, phone: Phone) -> None:
    proof = {"password": PASSWORD, "code": phone.next_code()}
    codes = anna.post(f"{MFA}/recovery-codes", json=proof).json()["recovery_codes"]
    assert not set(codes) & set(phone.recovery_codes)
    assert log_in(client, otp=phone.recovery_codes[0]).error == "invalid_grant"
    assert log_in(client, otp=codes[0]).status == 200


def test_neither_secret_nor_codes_are_in_the_database(store: Store, phone: Phone, settings: Settings) -> None:
    store.close()
    content = b"".join(path.read_bytes() for path in settings.data.glob("db.sqlite3*"))
    assert b"anna" in content
    for secret in (phone.totp.secret, *phone.recovery_codes, *(code.replace("-", "") for code in phone.recovery_codes)):
        assert secret.encode() not in content


def test_a_second_step_dies_with_its_time_its_errors_and_its_use(client: Client, phone: Phone) -> None:
    token = log_in(client).json()["mfa_token"]
    phone.clock.move(301)
    assert "too old" in send_code(client, token, phone.code()).json()["message"]
    token = log_in(client).json()["mfa_token"]
    assert send_code(client, token, phone.code()).status == 200
    assert send_code(client, token, phone.next_code()).error == "invalid_grant"
    token = log_in(client).json()["mfa_token"]
    for _ in range(5):
        assert "wrong" in send_code(client, token, "000000").json()["message"]
        phone.clock.move(20)
    assert "too old" in send_code(client, token, phone.code()).json()["message"]
    assert send_code(client, "unknown", phone.code()).error == "invalid_grant"
    for form in ({"otp": "1"}, {"mfa_token": "x"}, [("mfa_token", "x"), ("otp", "1"), ("otp", "2")]):
        pairs = [("grant_type", GRANT), *(form.items() if isinstance(form, dict) else form)]
        assert client.post(TOKEN, data=pairs).error == "invalid_request"


def test_a_changed_password_ends_the_second_steps_that_wait(client: Client, anna: Client, phone: Phone) -> None:
    token = log_in(client).json()["mfa_token"]
    change = {"password": PASSWORD, "new_password": "seven quiet wooden spoons"}
    assert anna.put("/srv1/users/me/password", json=change).status == 204
    assert send_code(client, token, phone.next_code()).error == "invalid_grant"


def test_guessing_codes_is_braked_although_the_password_is_right(client: Client, phone: Phone) -> None:
    answers = []
    for _ in range(10):
        answer = log_in(client)
        if answer.status == 400:
            answer = send_code(client, answer.json()["mfa_token"], "000000")
        answers.append(answer.status)
    assert answers[:5] == [400] * 5
    assert answers[5:] == [429] * 5


def test_a_braked_code_does_not_use_its_token_up(client: Client, phone: Phone) -> None:
    token = log_in(client).json()["mfa_token"]
    for _ in range(5):
        log_in(client, otp="000000")
    assert send_code(client, token, phone.code()).status == 429
    phone.clock.move(60)
    assert send_code(client, token, phone.code()).status == 200


def test_after_a_hundred_wrong_codes_in_a_row_no_code_is_taken(
    client: Client, admin: Client, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert second_factors.MOST_FAILURES == 100
    monkeypatch.setattr(second_factors, "MOST_FAILURES", 6)
    for _ in range(2):
        for _ in range(5):
            assert log_in(client, otp="000000").error == "invalid_grant"
            phone.clock.move(400)
        assert log_in(client, otp=phone.next_code()).status == 200, "a right code ends the row"
    for _ in range(6):
        log_in(client, otp="000000")
        phone.clock.move(400)
    for code in (phone.code(), phone.recovery_codes[0]):
        assert "ask an admin" in log_in(client, otp=code).json()["message"]
        phone.clock.move(400)
    admin.log_in("admin", PASSWORD)
    user = admin.get("/srv1/users", params={"q": "anna"}).json()["items"][0]["id"]
    assert admin.delete(f"/srv1/users/{user}/mfa").status == 204
    assert log_in(client).status == 200


def test_switching_it_off_takes_the_password_and_a_code(client: Client, anna: Client, phone: Phone) -> None:
    def switch_off(password: str, code: str) -> tuple[int, list[str]]:
        answer = anna.post(f"{MFA}/disable", json={"password": password, "code": code})
        return answer.status, answer.fields if answer.status == 422 else []

    assert switch_off("wrong", phone.next_code()) == (422, ["password"])
    assert switch_off(PASSWORD, "000000") == (422, ["code"])
    assert switch_off(PASSWORD, phone.code()) == (204, [])
    assert log_in(client).status == 200
    assert anna.get(ME).json()["mfa_enabled"] is False
    assert switch_off(PASSWORD, phone.next_code())[0] == 409
    enrol(anna, phone.clock)
    assert log_in(client).error == "mfa_required"


def test_an_admin_takes_a_lost_one_away_and_the_sessions_end(anna: Client, admin: Client, phone: Phone) -> None:
    user = anna.get(ME).json()["id"]
    assert anna.delete(f"/srv1/users/{user}/mfa").status == 403
    assert admin.delete(f"/srv1/users/{user}/mfa").status == 204
    assert anna.get(ME).status == 401
    assert log_in(anna).status == 200
    assert admin.delete(f"/srv1/users/{user}/mfa").status == 404
    done = admin.get("/srv1/audit", params={"action": "users.reset_mfa"}).json()["items"]
    assert [(row["login"], row["details"]["login"]) for row in done] == [("admin", "anna")]


def test_an_admin_requires_one_and_until_then_nothing_else_goes(
    anna: Client, admin: Client, clock: StandingClock, objects: dict[str, Any]
) -> None:
    key = anna.post("/srv1/api-keys", json={"name": "crm", "scopes": ["read"]}).json()["key"]
    user = anna.get(ME).json()["id"]
    assert admin.put(f"/srv1/users/{user}", json={"mfa_required": True}).json()["mfa_required"] is True
    for method, path in (("GET", "/srv1/trunks"), ("POST", "/srv1/api-keys"), ("PUT", "/srv1/users/me/password")):
        answer = anna.call(method, path, json=None if method == "GET" else {})
        assert (answer.status, answer.error) == (403, "mfa_required"), path
        assert MFA in answer.json()["message"]
    assert Client(anna.app, key).get("/srv1/trunks").status == 200
    assert anna.get(MFA).json()["required"] is True
    phone = enrol(anna, clock)
    assert anna.get("/srv1/trunks").status == 200
    answer = anna.post(f"{MFA}/disable", json={"password": PASSWORD, "code": phone.next_code()})
    assert (answer.status, answer.error) == (409, "conflict")
    assert admin.delete(f"/srv1/users/{user}/mfa").status == 204
    fresh = Client(anna.app, log_in(anna).json()["access_token"])
    assert fresh.get("/srv1/trunks").error == "mfa_required"


def test_a_user_may_be_made_with_the_duty(admin: Client, client: Client) -> None:
    new = {"login": "vera", "password": PASSWORD, "mfa_required": True}
    assert admin.post("/srv1/users", json=new).json()["mfa_required"] is True
    assert client.log_in("vera", PASSWORD).status == 200
    assert client.get("/srv1/trunks").error == "mfa_required"


def test_the_prototypes_login_sends_such_a_user_elsewhere(client: Client, phone: Phone) -> None:
    said = client.post("/srv1/auth/login", json={"login": "anna", "password": PASSWORD}).json()
    assert (said["status"], said["acc_token"]) == ("fail", None)
    assert "second factor" in said["text"]
    wrong = client.post("/srv1/auth/login", json={"login": "anna", "password": "wrong"}).json()
    assert "second factor" not in wrong["text"], "only who has the password learns of it"
    assert "second factor" not in log_in(client, password="wrong").json()["message"]


def test_the_console_takes_the_factor_of_an_admin_away_who_is_alone(
    admin: Client, client: Client, clock: StandingClock, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrol(admin, clock)
    monkeypatch.setattr("getpass.getpass", lambda _prompt: "seven quiet wooden spoons")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    assert set_password(settings, "admin", reset_mfa=False) == 0
    form = {"grant_type": "password", "username": "admin", "password": "seven quiet wooden spoons"}
    assert client.post(TOKEN, data=form).error == "mfa_required"
    assert set_password(settings, "admin", reset_mfa=True) == 0
    assert client.post(TOKEN, data=form).status == 200

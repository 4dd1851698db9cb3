"""Which passwords are taken, and what is said of those that are not."""

import logging
import time
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from autodialer.api.passwords import LEAST_LENGTH, check_password
from autodialer.commands.accounts import make_administrator
from autodialer.config import Settings
from autodialer.errors import Invalid
from autodialer.store import Store
from tests.timing import at_most
from tests.web.client import Client
from tests.web.conftest import PASSWORD

GOOD = [
    "correct horse battery staple",
    "seven quiet wooden spoons",
    "шесть синих чашек на полке",
    "три весёлых гуся у бабуси дома",
    "            spaces count too",
    "yK3#vQ9!mZ7@pL2",
    "日本語の長い合言葉はとても良い",
    "x7Qm" * 1 + "pLw9" * 1 + "Rt4Zb8Nk" + "e" * 240,
    "no digits no signs no capitals",
]
GUESSED = [
    ("password1234567", "like passwords|commonly used|easy"),
    ("passwordpassword", "Repeats"),
    ("qwertyuiopasdfghjkl", "easy"),
    ("123456789012345678", "easy"),
    ("aaaaaaaaaaaaaaaaaaaa", "Repeats"),
    ("a" * 200, "Repeats"),
    ("P@ssw0rd!P@ssw0rd!", "easy"),
    ("letmeinletmeinletmein", "easy"),
    ("йцукенгшщзхъфыва", "easy"),
    ("парольпарольпароль", "easy"),
    ("ПарольПарольПароль", "easy"),
    ("приветприветпривет", "easy"),
    ("olga.petrova.olga", "little more than your login"),
    ("OLGA.PETROVA-2026", "little more than your login"),
    ("autodialer2026!", "little more than your login"),
    ("Autodialer Dialer", "little more than your login"),
    ("Snezhana Snezhana 1", "little more than your login"),
]


@pytest.mark.parametrize("password", GOOD)
def test_a_long_password_of_any_characters_is_taken(password: str) -> None:
    check_password(password, login="olga.petrova", name="Snezhana")


@pytest.mark.parametrize(("password", "reason"), GUESSED)
def test_a_password_that_is_guessed_soon_is_refused_with_reason_and_remedy(password: str, reason: str) -> None:
    with pytest.raises(Invalid, match=reason) as caught:
        check_password(password, login="olga.petrova", name="Snezhana", field="new_password")
    assert caught.value.field == "new_password"
    assert str(caught.value).startswith("new_password ")
    assert "words" in str(caught.value), "the remedy"


def test_the_length_is_counted_in_composed_characters() -> None:
    short = unicodedata.normalize("NFD", "йёйёйёйёйёйёйё")
    assert len(short) == 28
    with pytest.raises(Invalid, match=f"at least {LEAST_LENGTH} characters, this one has 14"):
        check_password(short, login="olga")
    with pytest.raises(Invalid, match="at most 256"):
        check_password("four quiet paper boats " * 12, login="olga")


@pytest.mark.parametrize("seed", ["4@8({[<3691!0$+7%2", "(a4@8({[<369!1|0$5+7%2z", "a1", "aA1!"])
def test_no_password_takes_long_to_judge(seed: str) -> None:
    started = time.monotonic()
    try:
        check_password((seed * 256)[:256], login="olga")
    except Invalid:
        pass
    assert time.monotonic() - started < at_most(5)


def test_users_who_are_judged_at_the_same_moment_do_not_lend_each_other_their_names() -> None:
    def is_taken(number: int) -> bool:
        try:
            check_password("strelnikov-1957-strelnikov", login="strelnikov" if number % 2 else "olga")
        except Invalid:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(is_taken, range(40)))
    assert not any(found[1::2])
    assert all(found[::2])


def change_own(client: Client, admin: Client, password: str) -> tuple[int, list[str]]:
    answer = client.put("/srv1/users/me/password", json={"password": PASSWORD, "new_password": password})
    return answer.status, answer.fields


def make_user(client: Client, admin: Client, password: str) -> tuple[int, list[str]]:
    answer = admin.post("/srv1/users", json={"login": "vera", "password": password})
    return answer.status, answer.fields


def add_user(client: Client, admin: Client, password: str) -> tuple[int, list[str]]:
    answer = admin.post("/srv1/admin/adduser", json={"login": "vera", "password": password})
    return answer.status, answer.fields


def change_user(client: Client, admin: Client, password: str) -> tuple[int, list[str]]:
    answer = admin.put(f"/srv1/users/{client.get('/srv1/users/me').json()['id']}", json={"password": password})
    return answer.status, answer.fields


@pytest.mark.parametrize("way", [change_own, make_user, add_user, change_user])
def test_every_way_to_set_a_password_asks_the_rules(
    anna: Client, admin: Client, store: Store, way: Callable[[Client, Client, str], tuple[int, list[str]]]
) -> None:
    field = "new_password" if way is change_own else "password"
    login = "anna" if way in (change_own, change_user) else "vera"
    for password in ("passwordpassword", f"{login} dialer {login} dialer", "dialer dialer dialer"):
        assert way(anna, admin, password) == (422, [field]), password
    assert way(anna, admin, "short but good")[0] == 400
    assert store.users.verify("anna", PASSWORD) is not None
    assert store.users.by_login("vera") is None


def test_a_password_fits_however_its_letters_are_composed(client: Client, store: Store) -> None:
    composed = unicodedata.normalize("NFC", "чёрный ёжик на ёлке")
    apart = unicodedata.normalize("NFD", composed)
    store.users.create(login="vera", password=composed)
    store.users.create(login="olga", password=apart)
    for login in ("vera", "olga"):
        for spelling in (composed, apart):
            assert client.log_in(login, spelling).status == 200
    assert client.log_in("vera", composed + " ").status == 400


def test_a_hash_from_before_the_one_spelling_still_fits(settings: Settings, store: Store) -> None:
    apart = unicodedata.normalize("NFD", "чёрный ёжик на ёлке")
    assert store.users.verify("anna", apart) is None
    hashed = store.users._secrets._hasher.hash(apart)
    assert store.users._secrets.password_fits(hashed, apart)


def test_a_weak_password_in_the_settings_is_taken_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weak = Settings(data=tmp_path, admin_password="adminadmin")
    with caplog.at_level(logging.WARNING):
        make_administrator(weak)
    assert "DIALER_ADMIN_PASSWORD takes at least 15 characters" in caplog.text
    assert "set-password admin" in caplog.text
    assert "adminadmin" not in caplog.text
    caplog.clear()
    make_administrator(weak)
    assert caplog.text == "", "it has been said; the setting is not used any more"

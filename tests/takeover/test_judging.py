"""What rows of the prototype become: users, subscribers, or reasons."""

from typing import Any

import pytest

from autodialer.campaign.zones import ZoneFinder
from autodialer.errors import Invalid
from autodialer.takeover import judging
from autodialer.takeover.judging import as_dialled, judge_subscriber, judge_user
from autodialer.web.contract import load_contract

GOOD: dict[str, str | None] = {
    "uid": "1",
    "login": "anna",
    "name": "Анна",
    "password": "long enough now",
    "comment": None,
}


@pytest.mark.parametrize(
    ("written", "dialled"),
    [
        ("89160000001", "89160000001"),
        ("79160000001", "79160000001"),
        ("101", "101"),
        ("*21#", "*21#"),
        ("8 (916) 000-00-01", "89160000001"),
        ("8-916-000-00-01", "89160000001"),
        (" 8\u00a0916 000 00 01 ", "89160000001"),
        ("(495) 000-00-01", "4950000001"),
        ("000-00-01", "0000001"),
        ("+79160000001", "+79160000001"),
        ("+7 (916) 000-00-01", "+79160000001"),
        ("+44 20 7946 0101", "+442079460101"),
        ("79160000001.0", "79160000001"),
    ],
)
def test_a_number_is_dialled_digit_for_digit_and_with_a_plus_it_is_e164(written: str, dialled: str) -> None:
    assert as_dialled(written).number == dialled


@pytest.mark.parametrize(
    "written",
    ["", "none", "101 102", "89160000001, 89160000002", "89160000001/2", "89160000001 ext. 5", "tel 89160000001",
     "7.9160000001E+10", "+7916", "+", "8 916 000 00 01 8 916 000 00 02", "1" * 70, "\x00"],
)  # fmt: skip
def test_what_is_not_one_number_is_refused_with_a_reason(written: str) -> None:
    with pytest.raises(Invalid) as caught:
        as_dialled(written)
    assert str(caught.value)


def test_a_subscriber_keeps_name_and_comment_and_gets_the_zone_that_an_international_number_tells() -> None:
    row = {"cid": "1", "name": " Джейн ", "number": "+44 20 7946 0101", "comment": "x" * 600}
    found = judge_subscriber(row, ZoneFinder())
    assert (found.name, found.comment, found.number_zone) == ("Джейн", "x" * 500, "Europe/London")
    bare = judge_subscriber({"cid": "1", "name": None, "number": "89160000001", "comment": ""}, ZoneFinder())
    assert (bare.name, bare.comment, bare.number_zone) == (None, None, None)


def test_a_user_is_taken_as_it_is() -> None:
    user = judge_user(GOOD, set())
    assert (user.login, user.name, user.password, user.comment) == ("anna", "Анна", "long enough now", None)
    assert not user.is_weak and not user.looks_digested


@pytest.mark.parametrize(
    ("login", "reason"),
    [
        (None, "no login"),
        ("", "no login"),
        ("   ", "no login"),
        ("a b", "space"),
        ("a\nb", "control"),
        ("x" * 65, "65 characters"),
        ("taken", "same login"),
        (" taken ", "same login"),
        ("e\u0301", "same login"),
    ],
)
def test_a_login_that_nobody_could_log_in_with_is_refused_with_the_reason(login: str | None, reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        judge_user({**GOOD, "login": login}, {"taken", "\u00e9"})


@pytest.mark.parametrize("password", [None, "", "x" * 257, "a\nb", "a\x7fb"])
def test_a_password_that_cannot_be_sent_is_none(password: str | None) -> None:
    assert judge_user({**GOOD, "password": password}, set()).password is None


@pytest.mark.parametrize(
    ("password", "weak", "digested"),
    [
        ("1", True, False),
        ("12345678901234", True, False),
        ("123456789012345", False, False),
        ("5f4dcc3b5aa765d61d8327deb882cf99", False, True),
        ("$2b$12$abcdefghijklmnopqrstuv", False, True),
        ("$argon2id$v=19$m=65536", False, True),
        ("a" * 41, False, False),
    ],
)
def test_a_password_that_is_weak_or_looks_like_a_digest_is_told(password: str, weak: Any, digested: Any) -> None:
    user = judge_user({**GOOD, "password": password}, set())
    assert (user.is_weak, user.looks_digested, user.password) == (weak, digested, password)


def test_names_and_comments_become_one_line_of_the_length_that_the_api_takes() -> None:
    user = judge_user({**GOOD, "name": "a\r\nb" + "x" * 300, "comment": "\x1b" + "y" * 2000}, set())
    assert user.name.startswith("a  bx") and len(user.name) == 200
    assert user.comment == "y" * 1000
    assert judge_user({**GOOD, "name": None}, set()).name == "anna"


def test_the_lengths_are_those_of_the_contract() -> None:
    fields = load_contract()["definitions"]["NewUser"]["properties"]
    for name in ("login", "password", "name", "comment"):
        assert fields[name]["maxLength"] == getattr(judging, f"LONGEST_{name.upper()}")
    assert fields["password"]["minLength"] == judging.LEAST_PASSWORD

"""What a rule says of a number is what the library says of it: for every region, in every notation."""

import random
from collections.abc import Iterator

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneMetadata, PhoneNumberType

from autodialer.campaign import number_rules
from autodialer.campaign.number_rules import NumberRules
from autodialer.campaign.numbers import _normalise_e164, normalise
from autodialer.errors import Invalid

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
BUSY = ("RU", "KZ", "US", "GB", "DE", "IT", "BR", "MX", "SK", "CN", "IN", "AT")
NUMBERS_A_REGION = 250


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every number that may become a rule becomes one, so that the more are tried."""
    monkeypatch.setattr(number_rules, "FIRST_RULES", 10**9)


def library(text: str, region: str) -> tuple[str, str | None, str] | None:
    """The library's answer, which no rule has touched."""
    try:
        number = _normalise_e164(text, region)
    except Invalid:
        return None
    return number.number, number.flag, number.destination


def notations(code: int, prefix: str, national: str) -> list[str]:
    spaced = f"({national[:3]}) {national[3:6]}-{national[6:]}"
    return [
        f"+{code}{national}",
        f"{code}{national}",
        f"{prefix}{national}",
        national,
        f"+{code} {spaced}",
        f"{prefix} {spaced}".strip(),
        f"00{code}{national}",
    ]


def numbers_near_examples(region: str, count: int, chance: random.Random) -> Iterator[str]:
    """Texts of numbers like the plan's examples: some of their digits others, some a digit short or long."""
    types = sorted(PhoneNumberType.values())
    found = [example for kind in types if (example := phonenumbers.example_number_for_type(region, kind))]
    nationals = [phonenumbers.national_significant_number(example) for example in found]
    code = phonenumbers.country_code_for_region(region)
    plan = PhoneMetadata.metadata_for_region(region)
    prefix = (plan.national_prefix if plan else None) or ""
    for _ in range(count):
        digits = list(chance.choice(nationals))
        for _ in range(chance.choice((1, 1, 2, 4, 8))):
            last = chance.random() < 0.6
            digits[chance.randrange(max(0, len(digits) - 4) if last else 0, len(digits))] = chance.choice("0123456789")
        length = chance.choices((len(digits), len(digits) - 1, len(digits) + 1), (90, 5, 5))[0]
        yield chance.choice(notations(code, prefix, ("".join(digits) + "3")[:length]))


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("part", range(5))
@pytest.mark.slow
def test_rules_say_of_every_regions_numbers_what_the_library_says(part: int) -> None:
    by_rule = 0
    for region in REGIONS[part::5]:
        rules, chance = NumberRules(region), random.Random(region)
        for text in numbers_near_examples(region, NUMBERS_A_REGION, chance):
            expected, found = library(text, region), rules.look_up(text)
            if found is not None:
                by_rule += 1
                assert found == expected, (region, text)
            elif expected is not None:
                rules.learn(text, *expected)
    assert by_rule > NUMBERS_A_REGION * len(REGIONS[part::5]) * 0.3, "hardly a number was judged by a rule"


@pytest.mark.usefixtures("eager")
@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(BUSY),
    st.sampled_from(["", "+", "+7", "7", "8", "+1", "1", "0", "00", "+44", "44", "421", "810", "+39", "55"]),
    st.text("0123456789", min_size=3, max_size=12),
    st.lists(st.text("0123456789", min_size=4, max_size=4), min_size=1, max_size=8),
)
@pytest.mark.slow
def test_numbers_that_differ_in_their_last_digits_are_told_apart_as_the_library_does(
    region: str, prefix: str, begins: str, ends: list[str]
) -> None:
    rules = NumberRules(region)
    for end in ends:
        text = f"{prefix}{begins}{end}"
        expected, found = library(text, region), rules.look_up(text)
        assert found is None or found == expected, text
        if expected is not None:
            rules.learn(text, *expected)


@pytest.mark.usefixtures("eager")
def test_a_second_prefix_that_is_taken_off_makes_a_difference() -> None:
    rules = NumberRules("SK")
    for text in ("421001128480", "421000128480", "421000028480"):
        expected = library(text, "SK")
        assert rules.look_up(text) in (None, expected)
        if expected:
            rules.learn(text, *expected)


def test_one_number_of_a_range_teaches_the_rule_of_all() -> None:
    rules = NumberRules("RU")
    assert rules.look_up("89161234567") is None
    rules.learn("89161234567", "+79161234567", None, "RU")
    assert rules.look_up("8 (917) 765-43-21") == ("+79177654321", None, "RU")
    assert rules.look_up("+79177654321") is None, "another notation, another rule"
    assert rules.look_up("8917765432") is None, "another length, another rule"


@pytest.mark.parametrize(
    "text",
    ["8916123456", "8.916.123.45.67", "89161234567 доб. 5", "tel:89161234567", "８９１６１２３４５６７", "", "+", "()"],
)
def test_what_is_not_plain_digits_is_left_to_the_library(text: str) -> None:
    rules = NumberRules("RU")
    rules.learn("89161234567", "+79161234567", None, "RU")
    assert rules.look_up(text) is None


def test_digits_spread_over_too_long_a_text_are_left_to_the_library() -> None:
    rules = NumberRules("RU")
    rules.learn("89161234567", "+79161234567", None, "RU")
    assert rules.look_up("8" + " " * 300 + "9161234567") is None


def test_rules_that_are_not_used_are_not_made_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(number_rules, "FIRST_RULES", 10)
    asked: list[str] = []
    monkeypatch.setattr(number_rules, "_settled", lambda plus, digits, region: asked.append(digits))
    rules = NumberRules("RU")
    for number in range(1000):
        rules.learn(f"8916{number:07d}", f"+7916{number:07d}", None, "RU")
    assert len(asked) == 11


def test_a_flag_goes_with_the_rule() -> None:
    assert normalise("+7 000 000-00-01", "RU").flag == "unassigned"
    again = normalise("+7 000 123-45-67", "RU")
    assert (again.number, again.flag) == ("+70001234567", "unassigned")

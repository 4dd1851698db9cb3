"""What users write in their tables, and what is dialled for it."""

import pytest

from autodialer.campaign.numbers import check_number_format, check_region, dial_string, normalise
from autodialer.errors import Invalid


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("8 (916) 123-45-67", "RU", "+79161234567"),
        ("79161234567", "RU", "+79161234567"),
        ("9161234567", "RU", "+79161234567"),
        (" +7 916 123 45 67 ", "DE", "+79161234567"),
        ("79161234567.0", "RU", "+79161234567"),
        ("030 1234567", "DE", "+49301234567"),
        ("+39 06 698 1234", "RU", "+39066981234"),
        ("101", "raw", "101"),
        ("*43# ", "raw", "*43#"),
    ],
)
def test_a_number_is_understood_as_its_region_writes_it(text: str, region: str, number: str) -> None:
    assert normalise(text, region).number == number


@pytest.mark.parametrize(
    ("text", "region", "reason"),
    [
        ("", "RU", "empty"),
        ("112", "RU", "too short"),
        ("7,91612E+10", "RU", "scientific notation"),
        ("7.91612E+10", "RU", "scientific notation"),
        ("Иванов", "RU", "not a phone number"),
        ("123456789012345678901", "RU", "too long"),
        ("79161234567 ext. 3", "RU", "extension"),
        ("+999 123456789", "RU", "country code"),
        ("sip:101", "raw", "not dialable"),
        ("1" * 33, "raw", "not dialable"),
    ],
)
def test_what_cannot_be_dialled_is_refused_with_its_reason(text: str, region: str, reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        normalise(text, region)


def test_a_possible_number_of_an_unassigned_range_is_taken_and_flagged() -> None:
    assert normalise("+7 000 000 00 01", "RU").flag == "unassigned"
    assert normalise("70000000001", "RU") == normalise("+70000000001", "RU")
    assert normalise("+7 916 123 45 67", "RU").flag is None


@pytest.mark.parametrize(
    ("number", "template", "dialled"),
    [
        ("+79161234567", "{e164}", "79161234567"),
        ("+79161234567", "+{e164}", "+79161234567"),
        ("+79161234567", "8{national}", "89161234567"),
        ("+39066981234", "{national}", "066981234"),
        ("101#", "8{national}", "101#"),
    ],
)
def test_the_trunks_template_makes_what_is_dialled(number: str, template: str, dialled: str) -> None:
    assert dial_string(number, template) == dialled


@pytest.mark.parametrize("template", ["", "abc", "{number}", "{e164}\r\nX: 1", "{e164", "12345", "{e164}@evil"])
def test_a_template_that_makes_no_number_is_refused(template: str) -> None:
    with pytest.raises(Invalid, match="number_format takes"):
        check_number_format(template)


def test_a_region_is_a_country_by_code_or_name_or_raw() -> None:
    assert check_region("ru") == "RU"
    assert check_region("RAW") == "raw"
    for name in (" RU ", "Russia", "россия", "Russland"):
        assert check_region(name) == "RU"
    for unknown in ("Atlantis", "7", "", "Guinea Guinea"):
        with pytest.raises(Invalid, match=r"two-letter code such as RU.*it is"):
            check_region(unknown)

"""What people and programs write around and inside a phone number."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodialer.campaign.numbers import normalise, numbers_to_block
from autodialer.campaign.written import clean, parts
from autodialer.errors import Invalid
from tests.timing import at_most

MARIA, BORIS = "+79160000001", "+79160000002"
SPACES = "\u00a0\u2002\u2007\u2009\u200a\u202f\u205f\u3000\t"
DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043\ufe63\uff0d"
INVISIBLE = "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad\ufe0e\ufe0f"
FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")


@pytest.mark.parametrize("space", SPACES)
def test_every_space_is_a_space(space: str) -> None:
    assert normalise(f"8{space}916{space}000{space}00{space}01", "RU").number == MARIA


@pytest.mark.parametrize("dash", DASHES)
def test_every_dash_is_a_hyphen(dash: str) -> None:
    assert normalise(f"8{dash}916{dash}000{dash}00{dash}01", "RU").number == MARIA


@pytest.mark.parametrize("sign", INVISIBLE)
def test_what_nobody_sees_is_not_there(sign: str) -> None:
    assert normalise(f"{sign}8916{sign}0000001{sign}", "RU").number == MARIA
    assert normalise(f"{sign}101{sign}", "raw").number == "101"
    assert numbers_to_block(f"{sign}8916{sign}0000001", "RU") == [MARIA]


@pytest.mark.parametrize(
    "text",
    [
        "89160000001".translate(FULL_WIDTH),
        "＋７（９１６）０００００－０１",
        "89160000001".translate(ARABIC),
        "'89160000001",
        '"89160000001"',
        "«89160000001»",
        '="89160000001"',
        '= "8 916 000-00-01"',
        "8\ufe0f9160000001",
        "моб.: 8 916 000-00-01",
        "tel:+79160000001",
        "8 916 000-00-01 (мама)",
        "8 916 000-00-01;",
    ],
)
def test_a_number_is_the_same_in_every_dress(text: str) -> None:
    assert normalise(text, "RU").number == MARIA
    assert numbers_to_block(text, "RU") == [MARIA]


@pytest.mark.parametrize(
    "text",
    [
        "79160000001 ext. 398",
        "79160000001 123",
        "79160000001*104",
        "79160000001#104",
        "79160000001(123)",
        "79160000001-123",
        "79160000001/123",
        "79160000001, 123",
        "79160000001 доб. 5",
        "+7 916 000-00-01 вн. 12",
        "79160000001 x12",
        "79160000001;ext=12",
    ],
)
def test_digits_behind_a_number_never_become_part_of_it(text: str) -> None:
    with pytest.raises(Invalid, match="extension"):
        normalise(text, "RU")
    assert numbers_to_block(text, "RU") == [MARIA], "a stop list blocks the number before the extension"


def test_letters_behind_a_number_are_no_digits_either() -> None:
    assert normalise("79160000001 ext.", "RU").number == MARIA
    with pytest.raises(Invalid):
        normalise("1-800-FLOWERS", "US")


@pytest.mark.parametrize("text", ["00375291234567", "00375 29 123-45-67", "00 375 (29) 123 45 67"])
def test_a_call_abroad_keeps_its_country(text: str) -> None:
    assert normalise(text, "RU").number == "+375291234567"


def test_a_number_of_a_digit_too_few_is_doubtful() -> None:
    assert normalise("8916000001", "RU").flag == "unassigned"


@pytest.mark.parametrize("text", ["101 102", "101-102", "101.102", "(101)", "101,102", "101x"])
def test_a_raw_number_joins_nothing(text: str) -> None:
    with pytest.raises(Invalid, match="not dialable as written"):
        normalise(text, "raw")


@pytest.mark.parametrize(
    "between",
    [", ", ",", ";", " ; ", "/", " / ", "|", "\n", " и ", " или ", " or ", " ", "  ", " (Борис) ", " доб. 5, "],
)
def test_a_stop_list_blocks_every_number_of_a_cell(between: str) -> None:
    assert numbers_to_block(f"8 916 000-00-01{between}8 916 000-00-02", "RU") == [MARIA, BORIS]
    with pytest.raises(Invalid):
        normalise(f"8 916 000-00-01{between}8 916 000-00-02", "RU")


def test_a_doubtful_number_is_blocked_in_both_readings() -> None:
    assert numbers_to_block("00375290000001", "RU") == ["+375290000001", "+700375290000001"]


@pytest.mark.parametrize("text", ["", "мама", "12", "нет номера", "кв. 5"])
def test_a_cell_that_holds_no_number_says_so(text: str) -> None:
    with pytest.raises(Invalid):
        numbers_to_block(text, "RU")


def test_a_raw_stop_list_blocks_what_is_written() -> None:
    assert numbers_to_block("*104#", "raw") == ["*104#"]
    assert numbers_to_block("101, 102;*5", "raw") == ["101", "102", "*5"]
    assert numbers_to_block("2 02", "raw") == ["2", "02"]


@given(st.text(max_size=60))
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    once = clean(text)
    assert clean(once).strip("'\"") == once.strip("'\"") or once.startswith(("=", "'", '"'))


@given(st.text("0123456789 +-()*#.,/xдоб", max_size=40))
def test_a_number_that_is_taken_holds_the_digits_that_stand_there_and_no_others(text: str) -> None:
    try:
        number = normalise(text, "RU")
    except Invalid:
        return
    written = "".join(character for character in text if character.isdigit())
    digits = number.number.removeprefix("+")
    assert digits.endswith(written[-7:]) or written.endswith(digits[-7:])
    assert len(digits) <= len(written) + 1


@pytest.mark.parametrize(
    "text",
    ["(" * 500, " (" * 250 + "x", "8" + " ()-" * 125, "+" * 500, "1 " * 250, "-/" * 250 + "1", "8916000000 " * 900],
)
def test_a_cell_of_signs_costs_no_time(text: str) -> None:
    started = time.process_time()
    parts(clean(text))
    try:
        numbers_to_block(text, "RU")
    except Invalid:
        pass
    assert time.process_time() - started < at_most(1.0)

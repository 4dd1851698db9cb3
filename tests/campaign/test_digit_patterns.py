"""Numbers of one class are alike to every pattern; Python's own `re` is the judge."""

import re
from collections.abc import Iterator

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

from autodialer.campaign.digit_patterns import DigitPatterns

DIGITS = "0123456789"

atoms = st.sampled_from([*DIGITS, r"\d", "[0-4]", "[59]", "[1357-9]", "[02-46-8]"])
repeats = st.sampled_from(["", "", "?", "{2}", "{0,2}", "{1,3}"])


def sequences(items: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    repeated = st.tuples(items, repeats).map("".join)
    return st.lists(repeated, min_size=1, max_size=4).map("".join)


def groups(patterns: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(patterns, min_size=1, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})")


patterns = st.recursive(atoms, lambda inner: groups(sequences(inner)), max_leaves=6).flatmap(
    lambda item: st.lists(sequences(st.just(item) | atoms), min_size=1, max_size=2).map("|".join)
)
numbers = st.text(DIGITS, max_size=8)


@given(whole=st.lists(patterns, max_size=3), beginnings=st.lists(patterns, max_size=2), tried=st.lists(numbers))
def test_numbers_of_one_class_are_alike_to_every_pattern(
    whole: list[str], beginnings: list[str], tried: list[str]
) -> None:
    automaton = DigitPatterns(whole, beginnings)
    said: dict[int, list[bool]] = {}
    for number in tried:
        matches = [re.fullmatch(pattern, number) is not None for pattern in whole]
        matches += [re.match(pattern, number) is not None for pattern in beginnings]
        assert said.setdefault(automaton.class_of(number), matches) == matches


def test_what_patterns_tell_apart_is_in_different_classes() -> None:
    automaton = DigitPatterns([r"9\d{3}", "8(?:0[1-3]|12)4"], ["95"])
    classes = [automaton.class_of(number) for number in ("9100", "9500", "8024", "8124", "7000", "910")]
    assert automaton.class_of("9234") == classes[0]
    assert automaton.class_of("8034") == classes[2] == classes[3]
    assert len(set(classes)) == 5


def test_numbers_that_no_pattern_knows_are_one_class() -> None:
    automaton = DigitPatterns([r"9\d{3}"])
    assert automaton.class_of("8") == automaton.class_of("123456") == automaton.class_of("91234")


@pytest.mark.parametrize(
    "pattern",
    [
        "a",
        "(1)",
        "[^1]",
        "[]",
        "[1",
        "[1-]",
        "1{",
        "1{x}",
        "1{2,}",
        "1{0}",
        "1{3,2}",
        "(?:1",
        "1)",
        ".",
        "1*",
        "^1",
        "(?!1)2",
    ],
)
def test_a_pattern_that_is_not_understood_is_refused_and_not_guessed(pattern: str) -> None:
    with pytest.raises(ValueError, match="not a pattern of digits"):
        DigitPatterns([pattern])


def all_patterns() -> Iterator[str]:
    for code, regions in COUNTRY_CODE_TO_REGION_CODE.items():
        for region in regions:
            metadata = PhoneMetadata.metadata_for_region_or_calling_code(code, region)
            kinds = [kind for kind in vars(metadata).values() if isinstance(kind, phonenumbers.PhoneNumberDesc)]
            yield from (kind.national_number_pattern for kind in kinds if kind.national_number_pattern)
            yield from [metadata.leading_digits] if metadata.leading_digits else []


def test_every_pattern_of_phonenumbers_is_understood() -> None:
    known = set(all_patterns())
    assert len(known) > 500
    DigitPatterns(known)

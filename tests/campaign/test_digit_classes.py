"""Numbers of one class are alike to every pattern; Python's own `re` is the judge."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodialer.campaign.digit_classes import DigitClasses

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


@given(
    whole=st.lists(patterns, max_size=3),
    beginnings=st.lists(patterns, max_size=2),
    tried=st.lists(numbers, min_size=20),
)
@pytest.mark.slow
def test_numbers_of_one_class_are_alike_to_every_pattern(
    whole: list[str], beginnings: list[str], tried: list[str]
) -> None:
    alike = DigitClasses(whole, beginnings)
    said: dict[int, list[bool]] = {}
    for number in tried:
        matches = [re.fullmatch(pattern, number) is not None for pattern in whole]
        matches += [re.match(pattern, number) is not None for pattern in beginnings]
        assert said.setdefault(alike.class_of(number), matches) == matches


def test_what_patterns_tell_apart_is_in_different_classes() -> None:
    alike = DigitClasses([r"9\d{3}", "8(?:0[1-3]|12)4"], ["95"])
    classes = [alike.class_of(number) for number in ("9100", "9500", "8024", "8124", "7000", "910")]
    assert alike.class_of("9234") == classes[0]
    assert alike.class_of("8034") == classes[2] == classes[3]
    assert len(set(classes)) == 5


def test_numbers_that_no_pattern_knows_are_one_class() -> None:
    alike = DigitClasses([r"9\d{3}"])
    assert alike.class_of("8") == alike.class_of("123456") == alike.class_of("91234")

"""After how many digits a pattern is settled, against the regular expression itself."""

import re
from itertools import product

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneMetadata

from autodialer.campaign.digit_pattern import DIGITS, UnknownPattern, longest, read_pattern, settled_after, starts_with
from autodialer.campaign.number_rules import KINDS

ATOMS = st.sampled_from([*"0379", "\\d", "[13-5]", "[0-8]", "[29\\d]"])
QUANTIFIERS = st.sampled_from(["", "", "", "?", "{2}", "{1,3}"])
PATTERNS = st.recursive(
    st.builds("{}{}".format, ATOMS, QUANTIFIERS),
    lambda inner: st.one_of(
        st.builds("{}{}".format, inner, inner),
        st.builds("(?:{}|{}){}".format, inner, inner, QUANTIFIERS),
        st.builds("({}){}".format, inner, QUANTIFIERS),
    ),
    max_leaves=8,
)
NUMBERS = st.text(DIGITS, max_size=9)


@settings(deadline=None)
@given(PATTERNS, NUMBERS)
def test_what_is_settled_holds_for_every_continuation(pattern: str, digits: str) -> None:
    settled, matches = settled_after(read_pattern(pattern), digits)
    assert matches == bool(re.fullmatch(pattern, digits))
    for rest in _continuations(len(digits) - settled):
        assert bool(re.fullmatch(pattern, digits[:settled] + rest)) == matches
    if 0 < settled >= len(digits) - 2:
        begins = digits[: settled - 1]
        verdicts = {bool(re.fullmatch(pattern, begins + rest)) for rest in _continuations(len(digits) - settled + 1)}
        assert verdicts == {True, False}, "fewer digits would have settled it"


def _continuations(length: int) -> list[str]:
    """All of up to three digits; of longer ones those that end in the same digit again and again."""
    return (
        ["".join(rest) + rest[-1] * (length - 3) for rest in product(DIGITS, repeat=min(length, 3))] if length else [""]
    )


@settings(deadline=None)
@given(PATTERNS, NUMBERS)
def test_a_beginning_is_settled_too(pattern: str, digits: str) -> None:
    settled, there = settled_after(starts_with(pattern), digits)
    assert there == bool(re.match(pattern, digits))
    for digit in DIGITS:
        other = digits[:settled] + digit * (len(digits) - settled)
        assert bool(re.match(pattern, other)) == there


@settings(deadline=None)
@given(PATTERNS, NUMBERS)
def test_nothing_longer_than_the_longest_matches(pattern: str, digits: str) -> None:
    if re.fullmatch(pattern, digits):
        assert len(digits) <= longest(read_pattern(pattern))


@pytest.mark.slow
def test_every_pattern_of_the_numbering_plans_is_read_as_the_regular_expression_reads_it() -> None:
    """All of them, each on the example numbers of its region and on neighbours of those."""
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        plan = PhoneMetadata.metadata_for_region(region)
        kinds = [kind for name in KINDS if (kind := getattr(plan, name)) and kind.national_number_pattern]
        examples = {kind.example_number for kind in kinds if kind.example_number}
        near = {
            example[:at] + digit + example[at + 1 :] for example in examples for at in (0, 1, 3) for digit in "0359"
        }
        for kind in kinds:
            expression, pattern = read_pattern(kind.national_number_pattern), re.compile(kind.national_number_pattern)
            for digits in examples | near:
                assert settled_after(expression, digits)[1] == bool(pattern.fullmatch(digits)), (region, pattern)


@pytest.mark.parametrize("pattern", ["a", "1(", "[1-]", "[^1]", "1+", "(?=1)2", "\\w", "1)"])
def test_what_the_plans_never_used_is_not_guessed(pattern: str) -> None:
    with pytest.raises((UnknownPattern, ValueError, IndexError)):
        read_pattern(pattern)

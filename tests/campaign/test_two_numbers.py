"""Two cells of one person: which number is called, and what becomes of the other."""

import pytest

from autodialer.campaign.numbers import DOUBT
from autodialer.campaign.two_numbers import numbers_of
from autodialer.errors import Invalid

GOOD, OTHER, DOUBTFUL, ALSO_DOUBTFUL, BAD = "89160000001", "84951234567", "+70000000001", "+70000000002", "112"
FIRST, SECOND = "+79160000001", "+74951234567"


@pytest.mark.parametrize(
    ("first", "second", "number", "then", "doubt", "kept"),
    [
        (GOOD, None, FIRST, None, None, {}),
        (GOOD, OTHER, FIRST, SECOND, None, {}),
        (GOOD, GOOD, FIRST, None, None, {}),
        (GOOD, BAD, FIRST, None, None, {"second_number": BAD}),
        (GOOD, DOUBTFUL, FIRST, None, None, {"second_number": DOUBTFUL}),
        (None, OTHER, SECOND, None, None, {}),
        ("", OTHER, SECOND, None, None, {}),
        (BAD, OTHER, SECOND, None, None, {"first_number": BAD}),
        (DOUBTFUL, OTHER, SECOND, None, None, {"first_number": DOUBTFUL}),
        (DOUBTFUL, None, DOUBTFUL, None, DOUBT, {}),
        (DOUBTFUL, BAD, DOUBTFUL, None, DOUBT, {"second_number": BAD}),
        (DOUBTFUL, ALSO_DOUBTFUL, DOUBTFUL, None, DOUBT, {"second_number": ALSO_DOUBTFUL}),
        (BAD, DOUBTFUL, DOUBTFUL, None, DOUBT, {"first_number": BAD}),
        (None, DOUBTFUL, DOUBTFUL, None, DOUBT, {}),
    ],
)
def test_a_valid_number_is_called_before_a_doubtful_one(
    first: str | None, second: str | None, number: str, then: str | None, doubt: str | None, kept: dict[str, str]
) -> None:
    found = numbers_of(first, second, "RU")
    assert (found.number.number, found.second, found.number.doubt) == (number, then, doubt)
    assert {name: text for name, text in found.kept.items() if name != "flag"} == kept
    assert ("flag" in found.kept) == bool(kept)


@pytest.mark.parametrize(
    ("first", "second", "field"), [(None, None, "number"), (BAD, BAD, "number"), (None, BAD, "second_number")]
)
def test_a_person_without_a_number_is_told_by_the_cell_that_is_at_fault(
    first: str | None, second: str | None, field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        numbers_of(first, second, "RU")
    assert refused.value.field == field

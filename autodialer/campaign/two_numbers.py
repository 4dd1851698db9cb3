"""Two cells of one person: which number is called first, which second, and what becomes of a cell without one."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from autodialer.campaign.numbers import Number, normalise
from autodialer.errors import Invalid

FIRST, SECOND = "first_number", "second_number"
FLAG = "flag"


class TwoNumbers(NamedTuple):
    """What is called."""

    number: Number
    second: str | None = None
    """In the notation of `number`; None: there is only one."""
    kept: Mapping[str, str] = MappingProxyType({})
    """The cell that is not called, under `first_number` or `second_number`, and why, under `flag`."""


def numbers_of(first: str | None, second: str | None, region: str) -> TwoNumbers:
    """The numbers of a person by the two cells.

    A bad cell costs the person nothing else: a valid second number takes the place of a missing, doubtful or unreadable
    first number. Raises Invalid with the field `number`, or `second_number` where only that cell was filled.
    """
    if not first and second:
        try:
            return TwoNumbers(number=normalise(second, region))
        except Invalid as exc:
            raise Invalid(str(exc), field=SECOND) from exc
    if not second:
        return TwoNumbers(number=normalise(first or "", region))
    one, fault = _read(first or "", region)
    other, second_fault = _read(second, region)
    if one is not None and (one.doubt is None or other is None or other.doubt is not None):
        if other is None or other.doubt is not None:
            return TwoNumbers(number=one, kept=_kept(SECOND, second, "second number", second_fault))
        return TwoNumbers(number=one, second=None if other.number == one.number else other.number)
    if other is None:
        raise Invalid(fault, field="number")
    return TwoNumbers(number=other, kept=_kept(FIRST, first or "", "first number", fault))


def _read(text: str, region: str) -> tuple[Number | None, str]:
    """The number, and what is wrong with it."""
    try:
        number = normalise(text, region)
    except Invalid as exc:
        return None, str(exc)
    return number, number.doubt or ""


def _kept(name: str, text: str, called: str, fault: str) -> dict[str, str]:
    return {name: text, FLAG: f"{called}: {fault}"}

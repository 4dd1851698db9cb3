"""Tells which numbers some patterns of the numbering plans cannot tell apart, in about two microseconds a number.

phonenumbers takes 20 to 100 us to say of what kind a number is, by comparing it with patterns. Numbers that all of
these patterns treat alike get the same answer, so it needs to be asked once for all of them. A number's class is what
each pattern still asks for after its digits; classes are made when a number first comes to them.
"""

from collections.abc import Iterable, Mapping

from autodialer.campaign.digit_pattern import ANYTHING, NOTHING, Expression, after, read_pattern, starts_with


class DigitClasses:
    """The classes that some patterns make. Not for several threads at once."""

    def __init__(self, whole: Iterable[str], beginnings: Iterable[str] = ()) -> None:
        """`whole` patterns are compared with all digits of a number, `beginnings` with the first ones.

        Raises UnknownPattern.
        """
        asked = (*map(read_pattern, whole), *map(starts_with, beginnings))
        self._numbers: dict[frozenset[tuple[int, Expression]], int] = {}
        self._asked: list[Mapping[int, Expression]] = []
        self._steps: list[dict[str, int]] = []
        self._number_of(dict(enumerate(asked)))

    def class_of(self, digits: str) -> int:
        """The class of a number; all patterns say the same of two numbers of one class."""
        found = 0
        for digit in digits:
            following = self._steps[found].get(digit)
            found = self._step(found, digit) if following is None else following
        return found

    def _step(self, found: int, digit: str) -> int:
        asked = {
            pattern: expression if expression == ANYTHING else after(expression, digit)
            for pattern, expression in self._asked[found].items()
        }
        following = self._number_of(asked)
        self._steps[found][digit] = following
        return following

    def _number_of(self, asked: Mapping[int, Expression]) -> int:
        """Patterns that no digits can match from here on are left out."""
        left = {pattern: expression for pattern, expression in asked.items() if expression != NOTHING}
        number = self._numbers.setdefault(frozenset(left.items()), len(self._asked))
        if number == len(self._asked):
            self._asked.append(left)
            self._steps.append({})
        return number

"""After how many digits it is settled whether a number matches a pattern of the numbering plans.

The plans are written as regular expressions over digits. A pattern is turned into an expression whose derivative by a
digit (J. A. Brzozowski, Derivatives of Regular Expressions, 1964) is what must follow after that digit. Where all
continuations of a given length match, or none does, the digits that are left do not matter.
"""

from functools import cache
from typing import Final, TypeAlias

DIGITS = "0123456789"

Expression: TypeAlias = tuple[object, ...]
"""A node: its kind, then its parts. Equal expressions are equal tuples, so that what is known of one is kept."""

NOTHING: Final[Expression] = ("nothing",)
EMPTY: Final[Expression] = ("empty",)
ANYTHING: Final[Expression] = ("anything",)
"""Any digits, or none."""


class UnknownPattern(ValueError):
    """The pattern uses something that the numbering plans did not use so far."""


@cache
def read_pattern(pattern: str) -> Expression:
    """The expression of a regular expression of the plans; `$` is taken for nothing. Raises UnknownPattern."""
    reader = _Reader(pattern.replace("$", ""))
    return reader.whole()


@cache
def starts_with(pattern: str) -> Expression:
    """What begins with something that matches the pattern."""
    return _follow(read_pattern(pattern), ANYTHING)


def settled_after(expression: Expression, digits: str) -> tuple[int, bool]:
    """How many of the digits settle whether a text of just so many digits matches; whether it does."""
    for known in range(len(digits) + 1):
        verdict = _verdict(expression, len(digits) - known)
        if verdict is not None:
            return known, verdict
        expression = after(expression, digits[known])
    raise AssertionError("no digit is left, and the verdict is open")


@cache
def longest(expression: Expression) -> int:
    """Most digits that the expression, which holds no ANYTHING, matches."""
    match expression:
        case ("digit", _):
            return 1
        case ("follow", tuple(first), tuple(second)):
            return longest(first) + longest(second)
        case ("either", *options):
            return max(longest(option) for option in options if isinstance(option, tuple))
    return 0


@cache
def _verdict(expression: Expression, left: int) -> bool | None:
    """Whether all (True) or none (False) of the continuations of that many digits match; None: it depends."""
    if expression == NOTHING:
        return False
    if expression == ANYTHING:
        return True
    if left == 0:
        return _may_end(expression)
    verdicts = {_verdict(after(expression, digit), left - 1) for digit in DIGITS}
    return verdicts.pop() if len(verdicts) == 1 else None


@cache
def after(expression: Expression, digit: str) -> Expression:
    """The derivative: what must follow once `digit` has come."""
    match expression:
        case ("digit", str(digits)):
            return EMPTY if digit in digits else NOTHING
        case ("follow", tuple(first), tuple(second)):
            after_first = _follow(after(first, digit), second)
            return _either(after_first, after(second, digit)) if _may_end(first) else after_first
        case ("either", *options):
            return _either(*(after(option, digit) for option in options if isinstance(option, tuple)))
        case ("anything",):
            return ANYTHING
    return NOTHING


@cache
def _may_end(expression: Expression) -> bool:
    match expression:
        case ("empty",) | ("anything",):
            return True
        case ("follow", tuple(first), tuple(second)):
            return _may_end(first) and _may_end(second)
        case ("either", *options):
            return any(_may_end(option) for option in options if isinstance(option, tuple))
    return False


def _follow(first: Expression, second: Expression) -> Expression:
    if NOTHING in (first, second):
        return NOTHING
    if first == EMPTY:
        return second
    return first if second == EMPTY else ("follow", first, second)


def _either(*options: Expression) -> Expression:
    flat: dict[Expression, None] = {}
    for option in options:
        parts = option[1:] if option[0] == "either" else (option,)
        flat.update(dict.fromkeys(part for part in parts if isinstance(part, tuple) and part != NOTHING))
    if not flat:
        return NOTHING
    return next(iter(flat)) if len(flat) == 1 else ("either", *sorted(flat, key=repr))


class _Reader:
    """Reads digits, `\\d`, `[...]`, groups, `|`, `?`, `{m}` and `{m,n}`."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def whole(self) -> Expression:
        found = self._options()
        if self._at < len(self._pattern):
            raise UnknownPattern(self._pattern)
        return found

    def _options(self) -> Expression:
        options = [self._sequence()]
        while self._skip("|"):
            options.append(self._sequence())
        return _either(*options)

    def _sequence(self) -> Expression:
        parts = []
        while self._at < len(self._pattern) and self._pattern[self._at] not in "|)":
            parts.append(self._repeated(self._atom()))
        found = EMPTY
        for part in reversed(parts):
            found = _follow(part, found)
        return found

    def _atom(self) -> Expression:
        if self._skip("\\d"):
            return ("digit", DIGITS)
        if self._skip("["):
            return ("digit", self._members())
        if self._skip("(?:") or self._skip("("):
            inner = self._options()
            if not self._skip(")"):
                raise UnknownPattern(self._pattern)
            return inner
        digit = self._pattern[self._at]
        if digit not in DIGITS:
            raise UnknownPattern(self._pattern)
        self._at += 1
        return ("digit", digit)

    def _members(self) -> str:
        end = self._pattern.index("]", self._at)
        text, members = self._pattern[self._at : end].replace("\\d", "0-9"), set[str]()
        if not text or text.strip(DIGITS + "-") or text.startswith("-") or text.endswith("-"):
            raise UnknownPattern(self._pattern)
        for at, character in enumerate(text):
            if character == "-":
                members.update(DIGITS[int(text[at - 1]) : int(text[at + 1]) + 1])
            else:
                members.add(character)
        self._at = end + 1
        return "".join(sorted(members))

    def _repeated(self, atom: Expression) -> Expression:
        if self._skip("?"):
            return _either(atom, EMPTY)
        if not self._skip("{"):
            return atom
        end = self._pattern.index("}", self._at)
        least, _, most = self._pattern[self._at : end].partition(",")
        self._at = end + 1
        found = EMPTY
        for _ in range(int(most or least) - int(least)):
            found = _either(_follow(atom, found), EMPTY)
        for _ in range(int(least)):
            found = _follow(atom, found)
        return found

    def _skip(self, text: str) -> bool:
        there = self._pattern.startswith(text, self._at)
        self._at += len(text) * there
        return there

"""Header values taken apart: quoted strings, what stands in angle brackets, separators, and the text between them.

Every header that may hold a quoted string (RFC 3261 section 25.1) is read by this: a separator, a bracket or a name in
such a string means nothing.
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

_PIECE = re.compile(
    r"""
    (?P<quoted>"(?:[^"\\]|\\.)*(?:"|\\?\Z))
    |(?P<bracketed><[^>]*(?:>|\Z))
    |(?P<separator>[,;])
    |(?P<text>[^"<,;]+)
    """,
    re.VERBOSE | re.DOTALL,
)


class Kind(StrEnum):
    """What a token is."""

    QUOTED = "quoted"
    """A quoted string with its quotes; without the last one where it does not end."""
    BRACKETED = "bracketed"
    """From `<` to `>`; to the end where it does not close."""
    SEPARATOR = "separator"
    """A comma or a semicolon."""
    TEXT = "text"
    """All else."""


class Token(NamedTuple):
    """One piece of a header value."""

    kind: Kind
    text: str
    end: int
    """Where it ends in the value."""

    @property
    def closed(self) -> bool:
        """Whether a quoted string or a bracket ends by itself, and not with the value."""
        if self.kind is Kind.QUOTED:
            return _CLOSED.fullmatch(self.text) is not None
        return self.kind is not Kind.BRACKETED or self.text.endswith(">")


_CLOSED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


def tokens(value: str) -> Iterator[Token]:
    """The tokens of a header value, in order; together they are the whole value."""
    for found in _PIECE.finditer(value):
        yield Token(Kind(found.lastgroup or "text"), found.group(), found.end())


def split(value: str, separator: str) -> Iterator[str]:
    """The pieces of `value` between commas, or semicolons, that stand neither in quotes nor in angle brackets."""
    # Nearly every value: no need for its tokens.
    if '"' not in value and "<" not in value:
        yield from value.split(separator)
        return
    start = 0
    for token in tokens(value):
        if token.kind is Kind.SEPARATOR and token.text == separator:
            yield value[start : token.end - 1]
            start = token.end
    yield value[start:]

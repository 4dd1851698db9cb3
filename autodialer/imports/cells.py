"""Lines of a text into rows of cells. No row is lost to a quote that nobody closes."""

import csv
from collections.abc import Iterable, Iterator

MOST_LINES = 100
"""Of one row: a cell of an address or a remark has a few."""
LONGEST_ROW = 1_000_000
"""Characters. What is longer is no row of a table, and would be kept in memory whole."""


def read_rows(lines: Iterable[str], delimiter: str | None) -> Iterator[list[str]]:
    """The rows, cells stripped; `lines` end as they do in the file.

    A quoted cell runs over a line break as RFC 4180 section 2 has it, but not over lines that are rows by themselves:
    then the quote is a letter, as in `"Romashka`. csv alone would take all rows up to the next quote for one cell.
    """
    delimiter = delimiter or "\x1f"
    waiting: list[str] = []
    source = iter(lines)
    width = 0
    while True:
        line = waiting.pop() if waiting else next(source, None)
        if line is None:
            return
        row = _row_of(line, delimiter)
        if row is None:
            row, unused = _row_over_lines(line, source, waiting, delimiter, width)
            waiting += reversed(unused)
        width = len(row)
        yield [cell.strip() for cell in row]


def _row_of(text: str, delimiter: str) -> list[str] | None:
    """The cells of a text that is one row; None: a quote is open at its end."""
    bare = text.rstrip("\r\n")
    if '"' not in bare:
        return bare.split(delimiter)
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True), [])
    except csv.Error:
        pass
    # Closed, but with letters behind the closing quote, or a quote within a cell: read as csv reads it if none is open.
    if bare.count('"') % 2 == 0:
        return _as_letters(bare, delimiter)
    return None


def _row_over_lines(
    line: str, source: Iterator[str], waiting: list[str], delimiter: str, width: int
) -> tuple[list[str], list[str]]:
    """The row that begins with this line, and the lines that were looked at and belong to later ones."""
    taken: list[str] = []
    length = len(line)
    while len(taken) < MOST_LINES and length < LONGEST_ROW:
        following = waiting.pop() if waiting else next(source, None)
        if following is None:
            break
        taken.append(following)
        length += len(following)
        if '"' not in following:
            continue
        try:
            row = next(csv.reader([line, *taken], delimiter=delimiter, strict=True))
        except csv.Error:
            continue
        if not any(_is_row(between, delimiter, width) for between in taken[:-1]):
            return row, []
        break
    return _as_letters(line.rstrip("\r\n"), delimiter), taken


def _is_row(line: str, delimiter: str, width: int) -> bool:
    return width > 1 and line.count(delimiter) == width - 1


def _as_letters(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter, quoting=csv.QUOTE_NONE), [])

"""What the columns of an uploaded table hold: phone numbers, name, comment, time zone, consent, and the rest as extra.

The user says it, or `autodialer.imports.judge` finds it out; either way the answer to the upload tells what was taken.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from autodialer.errors import Invalid
from autodialer.imports.judge import HEADER_WITHIN, JudgedColumn, NumberedRow, Speaks, choose, letters, look
from autodialer.model import CONSENT

NUMBER, SECOND, NAME, COMMENT, TIMEZONE = "number", "second_number", "name", "comment", "timezone"
CONSENT_SOURCE, CONSENT_AT, CONSENT_TEXT = CONSENT
FIELDS = (NUMBER, SECOND, NAME, COMMENT, TIMEZONE, *CONSENT)
_SPEAKS_OF = {
    NAME: Speaks.NAME,
    COMMENT: Speaks.COMMENT,
    TIMEZONE: Speaks.TIMEZONE,
    CONSENT_SOURCE: Speaks.CONSENT_SOURCE,
    CONSENT_AT: Speaks.CONSENT_AT,
    CONSENT_TEXT: Speaks.CONSENT_TEXT,
}
MOST_NAMED = 30
"""Columns that a message lists."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the user says of a table; all of it is optional."""

    columns: Mapping[str, str | None] = field(default_factory=dict)
    """Field -> header or letter of its column; None: the table has no such column."""
    sheet: str | None = None
    """Name of the sheet of a workbook; None: the first visible one with a column of phone numbers."""
    header_row: int | None = None
    """Its number in the file, from 1; 0: there is no header; None: it is to be found."""


@dataclass(frozen=True, kw_only=True)
class TableColumns:
    """Which cell of a row is what; indices from 0, None where the table has no such column."""

    header_row: int | None
    """Its number in the file, from 1; rows up to this one are not imported. None: there is no header."""
    number: int
    second_number: int | None = None
    name: int | None = None
    comment: int | None = None
    timezone: int | None = None
    consent_source: int | None = None
    consent_at: int | None = None
    consent_text: int | None = None
    phones: tuple[int, ...] = ()
    """All columns of phone numbers: a stop list blocks those of each."""
    names: tuple[str, ...] = ()
    """How people call each column: by its header, else by its letter."""

    @cached_property
    def extra(self) -> tuple[tuple[int, str], ...]:
        """The other columns with their names."""
        used = {getattr(self, name) for name in FIELDS}
        return tuple((index, name) for index, name in enumerate(self.names) if index not in used)

    def taken(self) -> dict[str, str]:
        """Field -> column, as a user may say it for the same table once more."""
        places = {name: getattr(self, name) for name in FIELDS}
        return {name: self._said(index) for name, index in places.items() if index is not None}

    def name_of(self, index: int | None) -> str | None:
        """How people call a column."""
        return None if index is None or index >= len(self.names) else self.names[index]

    def _said(self, index: int) -> str:
        name = self.names[index]
        return name if _place(self.names, name) == index else letters(index)


def find_columns(rows: Sequence[NumberedRow], region: str, wanted: Wanted) -> tuple[TableColumns, list[JudgedColumn]]:
    """The columns, and what each looks like; `rows` are the first ones that are not blank.

    Raises Invalid: field `file` when the right column is not clear, else the field that names something that is not
    in the table.
    """
    header_row, judged = survey(rows, region, wanted)
    names = tuple(column.header or letters(column.index) for column in judged)
    said = {name: _named(judged, name, text) for name, text in wanted.columns.items()}
    phones = _phones(judged, region, said)
    others = _others(judged, phones, said, has_header=header_row is not None)
    found = TableColumns(
        header_row=header_row,
        number=phones[0],
        second_number=said[SECOND] if SECOND in said else next(iter(phones[1:]), None),
        **others,
        phones=tuple(dict.fromkeys([*phones, *(column.index for column in judged if column.is_phone)])),
        names=names,
    )
    return found, list(judged)


def survey(rows: Sequence[NumberedRow], region: str, wanted: Wanted) -> tuple[int | None, tuple[JudgedColumn, ...]]:
    """The row of the header, and what each column looks like. Raises Invalid for a header row that is not there."""
    return look(rows, region, _header_wanted(rows, wanted), may_have_header=wanted.header_row != 0)


def _header_wanted(rows: Sequence[NumberedRow], wanted: Wanted) -> NumberedRow | None:
    """The row that is said to be the header, or that holds a header which a column is named by."""
    if wanted.header_row:
        found = next((row for row in rows if row[0] == wanted.header_row), None)
        if found is None:
            raise Invalid(f"header_row: row {wanted.header_row} is blank, or is not in the file", field="header_row")
        return found
    texts = [text for text in wanted.columns.values() if text is not None]
    if wanted.header_row is None and texts:
        for number, row in rows:
            if number <= HEADER_WITHIN and any(_same(cell, text) for text in texts for cell in row):
                return number, row
    return None


def _named(judged: Sequence[JudgedColumn], name: str, text: str | None) -> int | None:
    if text is None:
        return None
    index = _place([column.header for column in judged], text)
    if index is None:
        there = ", ".join(column.name for column in judged[:MOST_NAMED])
        raise Invalid(f"columns: {name} is to be {text!r}, but the table has the columns {there}", field="columns")
    return index


def _place(headers: Sequence[str], text: str) -> int | None:
    """The column with this header, else the one with this letter. A header that two columns have names neither."""
    same = [index for index, header in enumerate(headers) if _same(header, text)]
    if len(same) == 1:
        return same[0]
    letter = text.strip().upper()
    return next((index for index in range(len(headers)) if letters(index) == letter), None)


def _same(header: str, text: str) -> bool:
    return header.strip().casefold() == text.strip().casefold() != ""


def _phones(judged: Sequence[JudgedColumn], region: str, said: Mapping[str, int | None]) -> list[int]:
    """The phone columns in the order of calling. Raises Invalid."""
    number = said.get(NUMBER)
    taken = {index for name, index in said.items() if name not in (NUMBER, SECOND)}
    if number is None:
        return [column.index for column in choose([one for one in judged if one.index not in taken], region)]
    # Who names the column to call has chosen: another phone is called only if it is named, too.
    second = said.get(SECOND)
    return [number] if second is None or second == number else [number, second]


def _others(
    judged: Sequence[JudgedColumn], phones: Sequence[int], said: Mapping[str, int | None], *, has_header: bool
) -> dict[str, Any]:
    """The fields beside the phones: as said, else by their headers; without a header the first columns of words."""
    free = [column for column in judged if column.index not in {*phones, *said.values()}]
    if has_header:
        found = {
            name: next((column.index for column in free if column.speaks == kind), None)
            for name, kind in _SPEAKS_OF.items()
        }
    else:
        found = dict(zip((NAME, COMMENT), (column.index for column in free), strict=False))
    return {name: said[name] if name in said else found.get(name) for name in _SPEAKS_OF}

"""Finds out what the columns of an uploaded table hold: number, name, comment, time zone, and the rest as extra."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from autodialer.errors import Invalid

NUMBER, NAME, COMMENT, TIMEZONE, SECOND = "number", "name", "comment", "timezone", "second_number"
KNOWN_HEADERS = {
    NUMBER: ("number", "phone", "phone number", "phone_number", "phonenumber", "tel", "telephone", "mobile", "msisdn",
             "номер", "телефон", "номер телефона", "тел", "тел.", "мобильный", "абонент"),
    NAME: ("name", "full name", "fullname", "fio", "имя", "фио", "ф.и.о.", "имя абонента"),
    COMMENT: ("comment", "note", "notes", "remark", "комментарий", "примечание", "коммент"),
    TIMEZONE: ("timezone", "time zone", "time_zone", "tz", "часовой пояс", "таймзона"),
    SECOND: ("second number", "second_number", "number 2", "number2", "phone 2", "phone2", "second phone",
             "phone number 2", "второй номер", "второй телефон", "номер 2", "телефон 2",
             "доп. телефон", "дополнительный телефон"),
}  # fmt: skip
_FIELD_OF_HEADER = {header: field for field, headers in KNOWN_HEADERS.items() for header in headers}
_NUMBER_LIKE = re.compile(r"\+?[\d\s().*#-]{3,}|\d+[.,]\d*(?:[eE]\+?\d+)?")


@dataclass(frozen=True, kw_only=True)
class TableColumns:
    """Which cell of a row is what; indices from 0, None where the table has no such column."""

    has_header: bool
    number: int
    name: int | None = None
    comment: int | None = None
    timezone: int | None = None
    second_number: int | None = None
    extra: tuple[tuple[int, str], ...] = ()
    """Other columns with their names: the header's, or `column N`."""


def looks_like_number(text: str) -> bool:
    """Whether a cell could be meant as a phone number: digits and the signs written between them."""
    return bool(_NUMBER_LIKE.fullmatch(text)) and any(character.isdigit() for character in text)


def find_columns(sample: Sequence[Sequence[str]]) -> TableColumns:
    """Judge by the header's words if there is one, else by what the cells look like.

    `sample` is the first rows that are not blank. Raises Invalid (field `file`) when no column holds numbers.
    """
    if not sample:
        raise Invalid("file is empty; upload a table with one phone number a row", field="file")
    first = [cell.strip().lower().lstrip("\ufeff") for cell in sample[0]]
    known = {
        _FIELD_OF_HEADER[cell]: index for index, cell in reversed(list(enumerate(first))) if cell in _FIELD_OF_HEADER
    }
    has_header = bool(known) or (len(sample) > 1 and not any(looks_like_number(cell) for cell in first))
    body = sample[1:] if has_header else sample
    number = known.get(NUMBER)
    if number is None:
        number = _number_column(body, taken=set(known.values()))
    if has_header:
        return _with_header(number, known, sample[0])
    return _without_header(number, width=max(len(row) for row in sample))


def _number_column(body: Sequence[Sequence[str]], taken: set[int]) -> int:
    width = max((len(row) for row in body), default=0)
    scores = [
        (sum(len(row) > index and looks_like_number(row[index]) and _digits(row[index]) for row in body), -index)
        for index in range(width)
        if index not in taken
    ]
    best = max(scores, default=(0, 0))
    if not best[0]:
        raise Invalid(
            "file has no column of phone numbers; put the numbers in the first column, or name a column `number`",
            field="file",
        )
    return -best[1]


def _digits(text: str) -> int:
    return min(sum(character.isdigit() for character in text), 11)


def _with_header(number: int, known: dict[str, int], header: Sequence[str]) -> TableColumns:
    used = {number, *known.values()}
    extra = tuple((i, cell.strip() or f"column {i + 1}") for i, cell in enumerate(header) if i not in used)
    return TableColumns(
        has_header=True,
        number=number,
        name=known.get(NAME),
        comment=known.get(COMMENT),
        timezone=known.get(TIMEZONE),
        second_number=known.get(SECOND),
        extra=extra,
    )


def _without_header(number: int, width: int) -> TableColumns:
    others = [index for index in range(width) if index != number]
    name, comment = (*others[:2], None, None)[:2]
    extra = tuple((index, f"column {index + 1}") for index in others[2:])
    return TableColumns(has_header=False, number=number, name=name, comment=comment, extra=extra)

"""Which columns of a table hold what: by the words of its header, then by how many of their values are phone numbers.

A wrong guess calls strangers, so that a column is taken only when no other comes near it; else the user is asked.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from autodialer.campaign.numbers import RAW, normalise, numbers_to_block
from autodialer.errors import Invalid

HEADER_WITHIN = 20
"""Titles, blank rows and letterheads stand above the header in this many rows at most."""
LONGEST_HEADER = 60
"""Characters of a header's cell; a longer text is a title or a remark."""
LEAST_VALID = 0.8
"""Share of the values of a phone column that are numbers of the region."""
FEW_VALUES = 10
"""Of fewer values a share says little: a column whose header speaks of phones is taken by that alone."""
LEAST_OF_FEW = 0.5
"""The same of fewer values, where no other column has any."""
SHOWN = 3
KEPT = 30
"""Values that are kept of a column, for messages and previews, and to find a region that fits better."""
NEIGHBOURS = ("RU", "KZ", "UA", "BY", "UZ", "KG", "TJ", "AM", "AZ", "GE", "MD", "GB", "US")
"""Regions that may be proposed. Not all: nearly everything of the right length is a number of Germany or Austria."""
FEWEST_DIGITS = 5
LONGEST_SHOWN = 30
"""Characters of a value in a message."""

NumberedRow = tuple[int, list[str]]


NO_ROWS = "file has a header and no rows below it; upload a table with one phone number a row"


class Speaks(StrEnum):
    """What a header speaks of."""

    MOBILE = "mobile"
    PHONE = "phone"
    OTHER_PHONE = "other phone"
    """A phone, but not the one to call first: at home, at work, additional."""
    NAME = "name"
    COMMENT = "comment"
    TIMEZONE = "timezone"
    CONSENT_SOURCE = "consent source"
    """Where the person agreed to be called."""
    CONSENT_AT = "consent date"
    CONSENT_TEXT = "consent text"
    """What the person agreed to."""
    AGAINST = "against"
    """Numbers that are not phone numbers: accounts, contracts, sums, dates."""
    UNKNOWN = "unknown"


# Stems in Russian, Ukrainian, Belarusian, Kazakh and English. A stem stands at the beginning of a word of the header.
_MOBILE = r"моб|сот[а-я]|сот$|мабіл|ұялы|mob|cell|msisdn|whatsapp|ватсап|вотсап|viber|telegram"
_PHONE = r"тел$|тел[еэ]ф|тлф|тф$|phone|tel$|teleph|телеп|handy|контактн\w* номер|номер\w* (?:для|абонент\w* для)"
_OTHER = (
    r"дом|раб|служ|доп|дад|втор|друг|резерв|запас|конт?актн\w* лиц|хатн|роб|үй|жұмыс|қосымша|home|work|office|"
    r"second|additional|alt|other|parent|родител|2$"
)
_NAME = r"имя|фио|ф и о|фамил|клиент|name|fio|ім|піб|імя|аты|есім|тегі|пациент|сотрудник|получател"
_COMMENT = r"комм?ент|примеч|прим$|замет|приміт|заўваг|ескерт|comment|note|remark"
_TIMEZONE = r"timezone|time zone|tz$|час\w* пояс|часов|таймзон|уақыт белдеу"
_AGAINST = (
    r"л с|лиц\w* сч|сч[её]т|рахун|рахунак|шот|договор|догов|дагавор|контракт|шарт|паспорт|төлқұжат|инн|іпн|ійн|жсн|"
    r"иин|бин|снилс|полис|поліс|полюс|огрн|кпп|бик|дата|күн|date|birth|рожд|сумм|сума|долг|борг|бала?нс|оплат|цена|"
    r"руб|тенге|грн|id$|ид$|код|code|индекс|index|zip|postal|п п|пп$|row|строк|квартир|кв$|дом$|адрес|address|факс|"
    r"fax|account|acc$|contract|passport|tax|invoice|policy|amount|sum$|price|balance|order|заказ|заявк|карт|card|"
    r"чек|накладн|гол|возраст|age$|imei|iccid|mac$"
)
# A header of consent names what the consent is to, calls or phones, and so is looked for first. Behind a phone it only
# describes that (`телефон (согласие есть)`), but for an English compound (`phone consent`).
_CONSENT = re.compile(r"(?:^|\s)(?:соглас|згод|келісім|(?:\w+ )?(?:consent|opt ?in\b|permission))")
_ANY_PHONE = re.compile(rf"(?:^|\s)(?:{_MOBILE}|{_PHONE})")
_CONSENT_PARTS: tuple[tuple[Speaks, re.Pattern[str]], ...] = (
    (
        Speaks.CONSENT_AT,
        re.compile(r"(?:^|\s)(?:дат|врем|когда|коли|күні|date|at$|on$|time|when|given$|получено$)"),
    ),
    (
        Speaks.CONSENT_SOURCE,
        re.compile(
            r"(?:^|\s)(?:источ|откуд|способ|канал|где|форм|джерел|крыніц|көзі|source|origin|channel|how|where|via)"
        ),
    ),
)
_SPEAKS: tuple[tuple[Speaks, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(rf"(?:^|\s)(?:{stems})"))
    for kind, stems in (
        (Speaks.TIMEZONE, _TIMEZONE),
        (Speaks.MOBILE, _MOBILE),
        (Speaks.PHONE, _PHONE),
        (Speaks.AGAINST, _AGAINST),
        (Speaks.COMMENT, _COMMENT),
        (Speaks.NAME, _NAME),
    )
)
_UNLIKELY = re.compile(r"[\^~!&=:#\x1f]")
_ANOTHER = re.compile(rf"(?:^|\s)(?:{_OTHER})")
_PHONES = (Speaks.MOBILE, Speaks.PHONE, Speaks.OTHER_PHONE)


@dataclass(frozen=True, kw_only=True)
class JudgedColumn:
    """What one column looks like."""

    index: int
    """From 0."""
    header: str
    """Empty without a header."""
    speaks: Speaks
    values: int
    """Of the rows that were looked at, those with anything in this column."""
    valid_values: int
    """Of these, phone numbers of the region."""
    first_values: tuple[str, ...]

    @property
    def valid(self) -> float:
        """Share of the values that are phone numbers of the region, 0 to 1."""
        return self.valid_values / self.values if self.values else 0.0

    @property
    def examples(self) -> tuple[str, ...]:
        """Those that a message shows."""
        return tuple(_short(value) for value in self.first_values[:SHOWN])

    @property
    def name(self) -> str:
        """How a message calls it: by its header, else by its letter."""
        return repr(self.header) if self.header else f"column {letters(self.index)}"

    def described(self) -> dict[str, Any]:
        """The same for a program."""
        return {
            "column": letters(self.index),
            "header": self.header or None,
            "values": list(self.examples),
            "valid_share": round(self.valid, 3),
        }

    @property
    def is_phone(self) -> bool:
        """Whether the header says so."""
        return self.speaks in _PHONES


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What was found."""

    header_row: int | None
    """Its number in the file, from 1; None: there is no header."""
    columns: tuple[JudgedColumn, ...]
    phones: tuple[int, ...]
    """Columns of phone numbers, the one to be called first in front; at least one."""


def judge(rows: Sequence[NumberedRow], region: str) -> Verdict:
    """Judge by the first rows of a table, numbered as in the file; blank ones may be left out.

    Raises Invalid (field `file`) when no column is clearly the one with the numbers. The message names those that may
    be, shows their values and says how to choose; the details have the same for a program.
    """
    header, columns = look(rows, region)
    return Verdict(header_row=header, columns=columns, phones=tuple(column.index for column in choose(columns, region)))


def look(
    rows: Sequence[NumberedRow], region: str, header: NumberedRow | None = None, *, may_have_header: bool = True
) -> tuple[int | None, tuple[JudgedColumn, ...]]:
    """The number of the header's row (None: there is no header), and what each column looks like.

    `header` is given where the user has said which row it is.
    """
    filled = [(number, row) for number, row in rows if any(cell.strip() for cell in row)]
    if header is None and may_have_header:
        header = _header_of(filled, region)
    body = filled if header is None else [(number, row) for number, row in filled if number > header[0]]
    names = [] if header is None else [cell.strip() for cell in header[1]]
    width = max(len(names), max((len(row) for _, row in body), default=0))
    columns = tuple(_judge_column(index, names, body, region, is_sole=width == 1) for index in range(width))
    return None if header is None else header[0], columns


def speaks_of(header: str) -> Speaks:
    """What the words of a header mean."""
    words = " ".join(re.findall(r"[^\W_]+", header.lower()))
    consent, phone = _CONSENT.search(words), _ANY_PHONE.search(words)
    if consent and (phone is None or consent.start() <= phone.start()):
        return next((kind for kind, stems in _CONSENT_PARTS if stems.search(words)), Speaks.CONSENT_TEXT)
    for kind, stems in _SPEAKS:
        if stems.search(words):
            is_other = kind == Speaks.PHONE and _ANOTHER.search(words)
            return Speaks.OTHER_PHONE if is_other else kind
    return Speaks.UNKNOWN


def letters(index: int) -> str:
    """A column as spreadsheets call it: A, B, ..., Z, AA."""
    name = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        name = chr(ord("A") + rest) + name
    return name


def _header_of(rows: Sequence[NumberedRow], region: str) -> NumberedRow | None:
    """The row of the first ones with the most known words; else a first row of words above rows of numbers."""
    if not rows:
        return None
    widest = max(sum(map(bool, row)) for _, row in rows)
    best: tuple[int, NumberedRow] | None = None
    for number, row in rows:
        if number > HEADER_WITHIN or any(_is_valid(cell, region) for cell in row):
            break
        cells = [cell for cell in row if cell.strip()]
        known = sum(len(cell) <= LONGEST_HEADER and speaks_of(cell) != Speaks.UNKNOWN for cell in cells)
        # A title is one cell, and speaks of phones too: `Телефоны абонентов`.
        if known and len(cells) * 2 >= widest and (best is None or known > best[0]):
            best = (known, (number, row))
    if best is not None:
        return best[1]
    first = rows[0]
    is_words = len(rows) > 1 and not any(any(map(str.isdigit, cell)) for cell in first[1])
    return first if is_words and sum(map(bool, first[1])) * 2 >= widest else None


def _judge_column(
    index: int, names: Sequence[str], body: Sequence[NumberedRow], region: str, *, is_sole: bool
) -> JudgedColumn:
    header = names[index] if index < len(names) else ""
    values = [row[index] for _, row in body if index < len(row) and row[index].strip()]
    speaks = speaks_of(header) if header else Speaks.UNKNOWN
    # Where phones are meant, a cell with two of them is one; elsewhere it is an address with a number in it.
    is_valid = _has_number if speaks in _PHONES or is_sole else _is_valid
    return JudgedColumn(
        index=index,
        header=header,
        speaks=speaks,
        values=len(values),
        valid_values=sum(is_valid(value, region) for value in values),
        first_values=tuple(values[:KEPT]),
    )


def _is_valid(text: str, region: str) -> bool:
    try:
        return normalise(text, region).flag is None
    except Invalid:
        return False


def _has_number(text: str, region: str) -> bool:
    try:
        if _is_valid(text, region):
            return True
        # Signs that nobody writes between two numbers: rather a row whose delimiter is not known.
        return not _UNLIKELY.search(text) and any(_is_valid(one, region) for one in numbers_to_block(text, region))
    except Invalid:
        return False


def choose(columns: Sequence[JudgedColumn], region: str) -> list[JudgedColumn]:
    """The phone columns in the order of calling. Raises Invalid, as `judge` does."""
    phones = [column for column in columns if column.is_phone and _is_good(column)]
    if phones:
        order = list(_PHONES)
        return sorted(phones, key=lambda column: (order.index(column.speaks), column.index))
    if columns and not any(column.values for column in columns):
        raise Invalid(NO_ROWS, field="file")
    told = [column for column in columns if column.is_phone and column.values]
    silent = [column for column in columns if column.speaks == Speaks.UNKNOWN and _is_good(column)]
    if len(silent) == 1 and not told:
        return silent
    if not told and (only := _only_one(columns)) is not None:
        return [only]
    doubtful = told + silent if told or silent else sorted(columns, key=lambda column: -column.valid)[:2]
    raise Invalid(_question(doubtful, region), field="file", details=[column.described() for column in doubtful])


def _only_one(columns: Sequence[JudgedColumn]) -> JudgedColumn | None:
    """The one column with any numbers, of a table too short for shares; a header may speak against it."""
    some = [column for column in columns if column.valid_values]
    if len(some) != 1 or some[0].values >= FEW_VALUES or some[0].speaks != Speaks.UNKNOWN:
        return None
    return some[0] if len(columns) == 1 or some[0].valid >= LEAST_OF_FEW else None


def _is_good(column: JudgedColumn) -> bool:
    if column.is_phone and column.values < FEW_VALUES:
        return column.valid > 0
    return column.values > 0 and column.valid >= LEAST_VALID


def _question(columns: Sequence[JudgedColumn], region: str) -> str:
    shown = "; ".join(
        f"{column.name} ({', '.join(column.examples) or 'empty'}: {column.valid:.0%} are numbers of {region})"
        for column in columns
    )
    if len(columns) > 1:
        said = f"file has several columns that may hold the phone numbers: {shown}"
    elif columns:
        said = f"file has no column that clearly holds phone numbers of region {region}; the nearest is {shown}"
    else:
        return "file is empty; upload a table with one phone number a row"
    name = columns[0].header or letters(columns[0].index)
    example = json.dumps({"number": name}, ensure_ascii=False)
    better = _better_region(columns, region)
    region_said = f"send region={better}, of which most of these are numbers" if better else "check the region"
    return f"{said}. Say which column to call, for example columns={example}, or {region_said}"


def _better_region(columns: Sequence[JudgedColumn], region: str) -> str | None:
    """Of which the values of one column are valid numbers, where those of the region given are not."""
    if region == RAW or any(column.valid >= LEAST_VALID for column in columns):
        return None
    for column in columns:
        values = [value for value in column.first_values if sum(map(str.isdigit, value)) >= FEWEST_DIGITS]
        if len(values) < len(column.first_values) / 2:
            continue
        for other in NEIGHBOURS:
            valid = sum(_is_valid(value, other) for value in values)
            if valid and valid >= len(column.first_values) * LEAST_VALID:
                return other
    return None


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 3] + "..."

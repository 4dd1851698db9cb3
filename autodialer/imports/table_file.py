"""Reads an uploaded table (CSV, TXT or XLSX) as rows of text; finds encoding, delimiter and kind by itself."""

import codecs
import csv
import io
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from charset_normalizer import from_bytes

from autodialer.errors import Invalid, TooLarge, UnsupportedContent
from autodialer.imports.cells import read_rows

SAMPLE_BYTES = 256 * 1024
SAMPLE_ROWS = 100
MAX_ROWS = 2_000_000
"""More than twice what a sheet of an XLSX can hold."""
COUNTED_ROWS = 20_000
MAX_UNPACKED_BYTES = 2_000_000_000
"""Of an XLSX, which is a ZIP archive."""
LETTERS_A_FAULT = 10
DELIMITERS = (",", ";", "\t")
OLD_EXCEL = b"\xd0\xcf\x11\xe0"
ZIP = b"PK\x03\x04"
SAVE_AS = "save it as CSV (UTF-8) or as .xlsx and upload it again"


@dataclass(frozen=True, kw_only=True)
class TableFile:
    """A file that has been looked at and can be read row by row."""

    path: Path
    kind: str
    """csv or xlsx."""
    encoding: str | None
    """None for xlsx."""
    delimiter: str | None
    """None for xlsx and for a file of one column."""
    lines: int
    """About how many rows, blank ones included; of a long xlsx just COUNTED_ROWS: counting takes as long as reading."""

    def rows(self) -> Iterator[list[str]]:
        """Every row of the file in order, blank ones too, cells as stripped text. Raises TooLarge."""
        # What is read counts: `lines` is what a look at the file promised.
        for number, row in enumerate(_xlsx_rows(self.path) if self.kind == "xlsx" else self._text_rows(), 1):
            if number > MAX_ROWS:
                raise TooLarge(f"file has more than {MAX_ROWS} rows; split it", field="file")
            yield row

    def _text_rows(self) -> Iterator[list[str]]:
        assert self.encoding
        with self.path.open(encoding=self.encoding, errors="replace", newline="") as text:
            yield from read_rows(text, self.delimiter)


def open_table(path: Path) -> TableFile:
    """Look at an uploaded file.

    Raises Invalid for an empty file, UnsupportedContent for a file that is not a table, TooLarge for more than
    2 000 000 rows; all name the field `file`.
    """
    with path.open("rb") as file:
        head = file.read(8)
    if not head.strip():
        raise Invalid("file is empty; upload a table with one phone number a row", field="file")
    if head.startswith(OLD_EXCEL):
        raise UnsupportedContent(f"file is an old Excel workbook (.xls); {SAVE_AS}", field="file")
    return _open_xlsx(path) if head.startswith(ZIP) else _open_text(path)


def _open_text(path: Path) -> TableFile:
    with path.open("rb") as file:
        sample = file.read(SAMPLE_BYTES)
        encoding = _find_encoding(sample, file)
    if encoding != "utf-16" and b"\x00" in sample:
        raise UnsupportedContent(f"file is no CSV, TXT or XLSX table; {SAVE_AS}", field="file")
    text = sample.decode(encoding, errors="replace")
    lines = _count_lines(path)
    return TableFile(path=path, kind="csv", encoding=encoding, delimiter=_find_delimiter(text), lines=lines)


def _count_lines(path: Path) -> int:
    """By the commoner of the two signs that end a line: a file from an old Mac has carriage returns only."""
    feeds = returns = quotes = 0
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            feeds += block.count(b"\n")
            returns += block.count(b"\r")
            quotes += block.count(b'"')
    lines = max(feeds, returns) + 1
    # With quotes a row may have several lines: then only reading tells how many rows there are.
    if lines > MAX_ROWS and not quotes:
        raise TooLarge(f"file has {lines} rows, at most {MAX_ROWS} are taken; split it", field="file")
    return lines


def _find_encoding(sample: bytes, rest: BinaryIO) -> str:
    if sample.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(sample)
        for block in iter(lambda: rest.read(1 << 20), b""):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "utf-8" if _is_mostly_utf8(sample) else _guess_8bit(sample)
    return "utf-8"


def _is_mostly_utf8(sample: bytes) -> bool:
    """One broken letter makes no other encoding of a text: what is UTF-8 by chance has hardly a right letter."""
    text = sample.decode("utf-8", errors="replace")
    broken = text.count("\ufffd")
    return sum(character > "\x7f" for character in text) - broken > LETTERS_A_FAULT * broken


def _guess_8bit(sample: bytes) -> str:
    """The 8-bit encoding of a text that is not UTF-8: cp1251 unless the letters clearly say otherwise."""
    best = from_bytes(sample, cp_isolation=["cp1251", "koi8_r", "cp866"]).best()
    return best.encoding if best else "cp1251"


def _find_delimiter(text: str) -> str | None:
    """The delimiter that cuts the most sample rows into the same number of cells, more than one."""
    lines = [line for line in text.splitlines()[:SAMPLE_ROWS] if line.strip()]
    best: tuple[int, int, str] | None = None
    for delimiter in DELIMITERS:
        try:
            widths = Counter(len(row) for row in csv.reader(lines, delimiter=delimiter))
        except csv.Error:
            continue
        width, count = max(((w, c) for w, c in widths.items() if w > 1), key=lambda item: item[1], default=(0, 0))
        if count and (best is None or (count, width) > best[:2]):
            best = (count, width, delimiter)
    return best[2] if best else None


def _open_xlsx(path: Path) -> TableFile:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            unpacked = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, OSError) as exc:
        raise UnsupportedContent(f"file looks like .xlsx but cannot be read; {SAVE_AS}", field="file") from exc
    if "xl/workbook.xml" not in names:
        raise UnsupportedContent(f"file is a ZIP archive, not a table; {SAVE_AS}", field="file")
    if unpacked > MAX_UNPACKED_BYTES:
        raise TooLarge("file unpacks to more than 2 GB; split it or save it as CSV", field="file")
    lines = sum(1 for _ in _xlsx_rows(path, at_most=COUNTED_ROWS))
    return TableFile(path=path, kind="xlsx", encoding=None, delimiter=None, lines=lines)


def _xlsx_rows(path: Path, at_most: int | None = None) -> Iterator[list[str]]:
    """Rows of the first sheet that has any."""
    # Not before somebody uploads such a file: with the numpy that it brings in it takes 15 MB.
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        # A handle, not the path: openpyxl would judge by the file's name.
        with (
            path.open("rb") as file,
            closing(openpyxl.load_workbook(io.BufferedReader(file), read_only=True, data_only=True)) as book,
        ):
            for sheet in book.worksheets:
                # What the sheet says of its own size is often wrong, and cells outside of it would be lost.
                sheet.reset_dimensions()
                some = False
                for row in sheet.iter_rows(values_only=True, max_row=at_most):
                    some = True
                    yield [_cell_text(value) for value in row]
                if some:
                    return
    except (InvalidFileException, KeyError, ValueError, OSError, SyntaxError, zipfile.BadZipFile) as exc:
        raise UnsupportedContent(f"file looks like .xlsx but cannot be read; {SAVE_AS}", field="file") from exc


def _cell_text(value: object) -> str:
    """A cell as text. Numbers that a spreadsheet keeps as floats are integers again."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()

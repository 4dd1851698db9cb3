"""Tables as files, written while they are sent: nothing of them is kept, however long they are.

CSV is UTF-8 with a byte order mark, without which Excel takes it for the local 8-bit encoding. What people entered
cannot become a formula: in a CSV such cells get an apostrophe in front, in an XLSX every text is marked as text.
XLSX is written here and not by a library, because those make a file on the disk first: a million calls would keep
the client waiting for minutes before the first byte.
"""

import csv
import io
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from xml.sax.saxutils import escape

Cell = str | int | float | bool | None
BOM = "\ufeff"
"""Without it Excel takes UTF-8 for the code page of the machine."""
"""Without it Excel takes UTF-8 for the code page of the machine."""
CSV_TYPE = "text/csv; charset=utf-8"
XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
SHEET_ROWS = 1_048_576
"""Most that Excel opens, the header's included."""
SHEET_BYTES = 1_900_000_000
"""An entry of a ZIP archive from 2 GiB on needs an extension that not every spreadsheet reads."""
CHUNK = 1 << 16
ROWS_AT_ONCE = 100

_BEGINS_A_FORMULA = frozenset("=+-@\t\r\n")
_BOOLEANS = {False: "false", True: "true"}
_PLAIN_NUMBER = re.compile(r"[+-]?\d[\d ]*(?:[.,]\d+)?")
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_NEEDS_CARE = re.compile(f"[<>&]|{_NOT_IN_XML.pattern}|_x")
_LOOKS_ESCAPED = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")


@dataclass(frozen=True, kw_only=True)
class DownloadedTable:
    """A table to be sent once."""

    name: str
    """Of the file, without its ending."""
    header: Sequence[str]
    rows: Iterable[Sequence[Cell]]
    close: Callable[[], None] = field(default=lambda: None)
    """To be called in the end, whether all rows were read or not."""


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A file of the data folder to be sent, or the range of it that was asked for."""

    path: Path
    content_type: str


@dataclass(frozen=True, kw_only=True)
class MadeFile:
    """A file that is made for the answer, or the range of it that was asked for."""

    data: bytes = field(repr=False)
    content_type: str


class Download:
    """A table as the bytes of a file; the server that sends it closes it."""

    def __init__(self, table: DownloadedTable, kind: str) -> None:
        """`kind` is csv or xlsx."""
        self.name = f"{table.name}.{kind}"
        self.content_type = {"csv": CSV_TYPE, "xlsx": XLSX_TYPE}[kind]
        self._table = table
        self._chunks = {"csv": as_csv, "xlsx": as_xlsx}[kind](table)

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        """The table is not read any further."""
        self._table.close()


def as_csv(table: DownloadedTable) -> Iterator[bytes]:
    """RFC 4180, with a byte order mark."""
    text = io.StringIO()
    text.write(BOM)
    write_csv(text, [table.header])
    rows = iter(table.rows)
    while some := list(islice(rows, ROWS_AT_ONCE)):
        write_csv(text, some)
        if text.tell() >= CHUNK:
            yield text.getvalue().encode("utf-8", "replace")
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode("utf-8", "replace")


def write_csv(text: io.StringIO, rows: Iterable[Sequence[Cell]]) -> None:
    """Rows by RFC 4180, of whose cells a spreadsheet takes none for a formula. Every CSV is made here."""
    # In place of a function for each cell: forty million calls of a function in a table of a million calls.
    csv.writer(text).writerows(
        [
            (_harmless(cell) if cell[:1] in _BEGINS_A_FORMULA else cell)
            if isinstance(cell, str)
            else _BOOLEANS[cell]
            if isinstance(cell, bool)
            else cell
            for cell in row
        ]
        for row in rows
    )


def as_xlsx(table: DownloadedTable, *, sheet_rows: int = SHEET_ROWS) -> Iterator[bytes]:
    """ECMA-376, with text in its cells; more rows than a sheet holds go on in another sheet."""
    sink, sheets = _Sink(), 0
    rows, head = iter(table.rows), _xlsx_row(table.header)
    first = next(rows, None)
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:  # type: ignore[call-overload]
        while first is not None or not sheets:
            sheets += 1
            with archive.open(f"xl/worksheets/sheet{sheets}.xml", "w") as sheet:
                sheet.write(_SHEET_HEAD + head)
                body = _SheetRows(first, rows, sheet_rows - 1)
                for chunk in body:
                    sheet.write(chunk)
                    yield sink.take()
                sheet.write(_SHEET_TAIL)
            first = body.following
        for name, content in _package(sheets):
            archive.writestr(name, content)
    yield sink.take()


class _SheetRows:
    """The rows of one sheet, in chunks of XML."""

    def __init__(self, first: Sequence[Cell] | None, rows: Iterator[Sequence[Cell]], most_rows: int) -> None:
        self._first = [] if first is None else [first]
        self._rows = rows
        self._most_rows = most_rows
        self.following: Sequence[Cell] | None = None
        """Once the chunks are read: the first row of the next sheet; None: this sheet is the last."""

    def __iter__(self) -> Iterator[bytes]:
        waiting: list[bytes] = []
        size = written = 0
        for row in islice(chain(self._first, self._rows), self._most_rows):
            waiting.append(_xlsx_row(row))
            size += len(waiting[-1])
            if size >= CHUNK:
                yield b"".join(waiting)
                waiting.clear()
                written, size = written + size, 0
                if written >= SHEET_BYTES:
                    break
        yield b"".join(waiting)
        self.following = next(self._rows, None)


def _harmless(text: str) -> str:
    """What begins like a formula, so that no spreadsheet takes it for one (CWE-1236). Numbers keep their sign."""
    return text if _PLAIN_NUMBER.fullmatch(text) else f"'{text}"


_TEXT_HEAD, _TEXT_TAIL = '<c t="inlineStr"><is><t xml:space="preserve">', "</t></is></c>"


def _xlsx_row(row: Sequence[Cell]) -> bytes:
    cells = [
        "<c/>"
        if cell is None or cell == ""
        else _TEXT_HEAD + (_xml_text(cell) if _NEEDS_CARE.search(cell) else cell) + _TEXT_TAIL
        if isinstance(cell, str)
        else f'<c t="b"><v>{int(cell)}</v></c>'
        if isinstance(cell, bool)
        else f"<c><v>{cell}</v></c>"
        for cell in row
    ]
    return f"<row>{''.join(cells)}</row>".encode()


def _xml_text(text: str) -> str:
    return escape(_LOOKS_ESCAPED.sub("_x005F_", _NOT_IN_XML.sub("", text)))


class _Sink:
    """Takes what the archive writes; not seekable, so that the archive never wants to go back."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        """As a file does."""
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """As a file does."""

    def take(self) -> bytes:
        """What has been written since the last time."""
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_KINDS = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_SHEET_HEAD = f'{_XML}<worksheet xmlns="{_MAIN}"><sheetData>'.encode()
_SHEET_TAIL = b"</sheetData></worksheet>"


def _package(sheets: int) -> Iterator[tuple[str, str]]:
    """Everything of a workbook but its sheets."""
    numbers = range(1, sheets + 1)
    book = "".join(f'<sheet name="Sheet{n}" sheetId="{n}" r:id="rId{n}"/>' for n in numbers)
    related = "".join(
        f'<Relationship Id="rId{n}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{n}.xml"/>' for n in numbers
    )
    kinds = "".join(
        f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{_KINDS}.worksheet+xml"/>' for n in numbers
    )
    yield (
        "xl/workbook.xml",
        f'{_XML}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{book}</sheets></workbook>',
    )
    yield "xl/_rels/workbook.xml.rels", f'{_XML}<Relationships xmlns="{_RELATIONS}">{related}</Relationships>'
    yield (
        "_rels/.rels",
        f'{_XML}<Relationships xmlns="{_RELATIONS}"><Relationship Id="rId1" Type="{_OFFICE}/officeDocument" '
        'Target="xl/workbook.xml"/></Relationships>',
    )
    yield (
        "[Content_Types].xml",
        f'{_XML}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_KINDS}.sheet.main+xml"/>{kinds}</Types>',
    )

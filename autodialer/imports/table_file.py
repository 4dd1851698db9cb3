"""An uploaded table, a text or a sheet of a workbook, as rows of text; finds out by itself which it is.

Only the import process opens what a user uploaded: see `autodialer.imports.process`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from autodialer.errors import Invalid, TooLarge
from autodialer.imports.judge import NumberedRow
from autodialer.imports.kinds import WORKBOOK, refuse_other_kinds
from autodialer.imports.texts import TextFile, look_at_text
from autodialer.imports.workbooks import Sheet, WorkbookFile

MAX_ROWS = 2_000_000
"""More than twice what a sheet of a workbook can hold."""
MOST_COLUMNS = 1_000


@dataclass(frozen=True, kw_only=True)
class TableFile:
    """A file that has been looked at and can be read row by row."""

    kind: str
    """csv, or what the workbook is: xlsx, xlsb, xls, ods."""
    text: TextFile | None = None
    workbook: WorkbookFile | None = None
    sheet: str | None = None
    """The sheet of a workbook that is read."""

    @property
    def encoding(self) -> str | None:
        """None for a workbook."""
        return self.text.encoding if self.text else None

    @property
    def delimiter(self) -> str | None:
        """None for a workbook and for a text of one column."""
        return self.text.delimiter if self.text else None

    @property
    def broken_letters(self) -> int:
        """Letters of a text that could not be read; each is U+FFFD now."""
        return self.text.broken_letters if self.text else 0

    @property
    def sheets(self) -> tuple[Sheet, ...]:
        """Those of a workbook."""
        return self.workbook.sheets if self.workbook else ()

    @property
    def lines(self) -> int:
        """About how many rows, blank ones and those above the table included."""
        if self.text:
            return self.text.lines
        return self.workbook.height(self.sheet) if self.workbook and self.sheet is not None else 0

    def of_sheet(self, sheet: str) -> "TableFile":
        """The same file, of which another sheet is read."""
        return replace(self, sheet=sheet)

    def rows(self) -> Iterator[NumberedRow]:
        """The rows that hold anything, cells stripped, numbered as a spreadsheet numbers them. Raises TooLarge."""
        # What is read counts: `lines` is what a look at the file promised.
        for number, row in self._rows():
            if number > MAX_ROWS:
                raise TooLarge(f"file has more than {MAX_ROWS} rows; split it", field="file")
            if len(row) > MOST_COLUMNS:
                raise TooLarge(
                    f"row {number} of the file has {len(row)} columns, at most {MOST_COLUMNS} are taken; delete those "
                    "that are not needed",
                    field="file",
                )
            yield number, row

    def _rows(self) -> Iterator[NumberedRow]:
        if self.text:
            return ((number, row) for number, row in enumerate(self.text.rows(), 1) if any(row))
        assert self.workbook is not None and self.sheet is not None
        return self.workbook.rows(self.sheet)


def open_table(path: Path) -> TableFile:
    """Look at an uploaded file.

    Raises Invalid for an empty file, UnsupportedContent for a file that is not a table, TooLarge for more than
    2 000 000 rows; all name the field `file`.
    """
    with path.open("rb") as file:
        head = file.read(4096)
    if not head.strip():
        raise Invalid("file is empty; upload a table with one phone number a row", field="file")
    kind = refuse_other_kinds(path, head)
    if kind in WORKBOOK:
        book = WorkbookFile(path)
        if not book.sheets:
            raise Invalid("file is a workbook without a sheet of cells; upload a table with numbers", field="file")
        return TableFile(kind=kind, workbook=book, sheet=book.sheets[0].name)
    return TableFile(kind=kind, text=look_at_text(path, most_rows=MAX_ROWS))

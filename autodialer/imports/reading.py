"""An uploaded table that has been looked at: which rows and columns are imported, and what the user is told of that."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from autodialer.errors import Invalid
from autodialer.imports.columns import TableColumns, Wanted, find_columns
from autodialer.imports.judge import NumberedRow
from autodialer.imports.table_file import TableFile, open_table

ROWS_A_BATCH = 500
"""Of a transaction: the dialer's claims wait while it is written."""
LONGEST_TEXT = 500
SAMPLE_ROWS = 100
MOST_SHEETS = 100
"""Of a workbook, in which columns of phone numbers are looked for."""
ASKED_SHARE = 0.5
"""Of the values of a column that are phone numbers: the user is asked about such a sheet."""
EMPTY = "file is empty; upload a table with one phone number a row"


@dataclass(frozen=True, kw_only=True)
class ImportPlan:
    """A file that has been looked at: it is a table, and it is known which column holds the numbers."""

    table: TableFile
    columns: TableColumns

    @property
    def rows(self) -> int:
        """About how many rows, for choosing between waiting and working in the background."""
        return self.table.lines

    def numbered_rows(self) -> Iterator[NumberedRow]:
        """Rows below the header that hold anything, with their number in the file (from 1). Raises TooLarge."""
        above = self.columns.header_row or 0
        return ((number, row) for number, row in self.table.rows() if number > above)

    def batches(self) -> Iterator[list[NumberedRow]]:
        """The same rows, as many at a time as a transaction may write."""
        rows = self.numbered_rows()
        while batch := list(islice(rows, ROWS_A_BATCH)):
            yield batch

    def taken(self) -> dict[str, Any]:
        """What the answer to the upload says: how the file was read, and which column is what."""
        sheets = self.table.sheets
        return {
            "kind": self.table.kind,
            "encoding": self.table.encoding,
            "delimiter": self.table.delimiter,
            "broken_letters": self.table.broken_letters,
            "sheet": self.table.sheet,
            "sheets_not_read": [sheet.name for sheet in sheets if sheet.name != self.table.sheet],
            "header_row": self.columns.header_row,
            "columns": self.columns.taken(),
        }


def inspect(path: Path, region: str, wanted: Wanted | None = None) -> ImportPlan:
    """Look at an uploaded file before anything is stored.

    Raises Invalid, UnsupportedContent or TooLarge that name the field at fault and the remedy.
    """
    wanted = wanted or Wanted()
    table, problem = choose_sheet(open_table(path), region, wanted)
    if problem is not None:
        raise problem
    columns, _ = find_columns(sample_of(table), region, wanted)
    return ImportPlan(table=table, columns=columns)


def sample_of(table: TableFile) -> tuple[NumberedRow, ...]:
    """The first rows, by which a table is judged."""
    return tuple(islice(table.rows(), SAMPLE_ROWS))


def choose_sheet(table: TableFile, region: str, wanted: Wanted) -> tuple[TableFile, Invalid | None]:
    """The table with the sheet that is read: the one the user names, else the first visible one with phone numbers.

    A text is its own only sheet. Where no sheet clearly has phone numbers, the answer is the first with any rows, and
    what is to be said of it. Raises Invalid for a name that the workbook does not have.
    """
    if not table.sheets:
        if wanted.sheet is not None:
            raise Invalid("sheet: only a workbook has sheets, and the file is a text; leave it out", field="sheet")
        if table.text and (sign := table.text.unknown_sign) and _is_question_of_all(table, region, wanted):
            said = (
                f"file seems to have {sign!r} between its cells, which is not known as a delimiter; save it with ; or ,"
            )
            return table, Invalid(f"{said} there, or begin it with the line sep={sign}", field="file")
        return table, None
    if wanted.sheet is not None:
        return table.of_sheet(_sheet_named(table, wanted.sheet)), None
    visible = [sheet.name for sheet in table.sheets if sheet.visible][:MOST_SHEETS]
    if not visible:
        raise Invalid(
            "sheet: all sheets of the file are hidden; show the one with the numbers, or name it", field="sheet"
        )
    first: tuple[TableFile, Invalid] | None = None
    for name in visible:
        candidate = table.of_sheet(name)
        try:
            find_columns(sample_of(candidate), region, wanted)
        except Invalid as exc:
            if first is None and candidate.lines:
                first = candidate, exc
            if _is_question(exc):
                return candidate, exc
        else:
            return candidate, None
    return first or (table.of_sheet(visible[0]), Invalid(EMPTY, field="file"))


def _is_question(exc: Invalid) -> bool:
    """Whether a sheet does have phone numbers, but it is not clear where: then it is not passed over for another."""
    shares = [said["valid_share"] for said in exc.details if isinstance(said, dict) and "valid_share" in said]
    return max(shares, default=0.0) >= ASKED_SHARE


def _is_question_of_all(table: TableFile, region: str, wanted: Wanted) -> bool:
    """Whether the columns cannot be found as the file is read."""
    try:
        find_columns(sample_of(table), region, wanted)
    except Invalid:
        return True
    return False


def _sheet_named(table: TableFile, wanted: str) -> str:
    for sheet in table.sheets:
        if sheet.name.strip().casefold() == wanted.strip().casefold():
            return sheet.name
    names = ", ".join(repr(sheet.name) for sheet in table.sheets[:MOST_SHEETS])
    raise Invalid(f"sheet: the file has no sheet {wanted!r}; it has {names}", field="sheet")


def cell_of(row: Sequence[str], index: int | None) -> str | None:
    """The text of a cell as it is stored; None for a cell that is missing or empty."""
    if index is None or index >= len(row) or not row[index]:
        return None
    # PostgreSQL takes no NUL in a text.
    return row[index].replace("\x00", "")[:LONGEST_TEXT]

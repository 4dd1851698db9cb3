"""An uploaded table that has been looked at: its rows in order, numbered as a spreadsheet numbers them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from autodialer.imports.columns import TableColumns, find_columns
from autodialer.imports.table_file import SAMPLE_ROWS, TableFile, open_table

ROWS_A_BATCH = 500
"""Of a transaction: the dialer's claims wait while it is written."""
LONGEST_TEXT = 500

NumberedRow = tuple[int, list[str]]


@dataclass(frozen=True, kw_only=True)
class ImportPlan:
    """A file that has been looked at: it is a table, and some column holds numbers."""

    table: TableFile
    columns: TableColumns

    @property
    def rows(self) -> int:
        """About how many rows, for choosing between waiting and working in the background."""
        return self.table.lines

    def numbered_rows(self) -> Iterator[NumberedRow]:
        """Rows that hold anything, with their number in the file (from 1), without the header. Raises TooLarge."""
        rows = ((number, row) for number, row in enumerate(self.table.rows(), 1) if any(row))
        return islice(rows, 1, None) if self.columns.has_header else rows

    def batches(self) -> Iterator[list[NumberedRow]]:
        """The same rows, as many at a time as a transaction may write."""
        rows = self.numbered_rows()
        while batch := list(islice(rows, ROWS_A_BATCH)):
            yield batch


def inspect(path: Path) -> ImportPlan:
    """Look at an uploaded file before anything is stored.

    Raises Invalid, UnsupportedContent or TooLarge, all naming the field `file` and the remedy.
    """
    table = open_table(path)
    sample = list(islice((row for row in table.rows() if any(row)), SAMPLE_ROWS))
    return ImportPlan(table=table, columns=find_columns(sample))


def cell_of(row: Sequence[str], index: int | None) -> str | None:
    """The text of a cell as it is stored; None for a cell that is missing or empty."""
    if index is None or index >= len(row) or not row[index]:
        return None
    # PostgreSQL takes no NUL in a text.
    return row[index].replace("\x00", "")[:LONGEST_TEXT]

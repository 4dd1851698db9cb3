"""An uploaded workbook (XLSX, XLSM, XLSB, XLS, ODS): its sheets, and their cells as text.

calamine reads the cells and ignores what a sheet claims: its dimension, its spans, its row count. It
takes a sheet into memory whole, and a workbook may ask for more than there is; hence workbooks are opened in the import
process only, which has limits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from autodialer.errors import UnsupportedContent

if TYPE_CHECKING:
    from python_calamine import CalamineSheet

SAVE_AS = "save it as CSV (UTF-8) or as .xlsx and upload it again"


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """One sheet of a workbook."""

    name: str
    visible: bool


class WorkbookFile:
    """A workbook that is open."""

    def __init__(self, path: Path) -> None:
        """Raises UnsupportedContent (field `file`)."""
        # Not before somebody uploads such a file: most are texts.
        from python_calamine import CalamineError, CalamineWorkbook, PasswordError, SheetTypeEnum, SheetVisibleEnum

        self._errors = (CalamineError, OSError, ValueError)
        try:
            self._book: CalamineWorkbook = CalamineWorkbook.from_path(str(path))
        except PasswordError as exc:
            raise UnsupportedContent(
                "file is a workbook that opens with a password only; take the password off "
                "(in Excel: File, Info, Protect Workbook, Encrypt with Password) and upload it again",
                field="file",
            ) from exc
        except self._errors as exc:
            raise UnsupportedContent(f"file is a workbook that cannot be read; {SAVE_AS}", field="file") from exc
        self._loaded: tuple[str, CalamineSheet] | None = None
        self.sheets = tuple(
            Sheet(name=found.name, visible=found.visible == SheetVisibleEnum.Visible)
            for found in self._book.sheets_metadata
            if found.typ == SheetTypeEnum.WorkSheet
        )

    def rows(self, sheet: str) -> Iterator[tuple[int, list[str]]]:
        """The rows of a sheet that hold anything, numbered as in the sheet. Raises UnsupportedContent."""
        found = self._load(sheet)
        if found.start is None:
            return
        # calamine gives the blank rows above the first cell, but not the blank columns before it.
        left = found.start[1]
        for number, row in enumerate(found.iter_rows(), 1):
            cells = [_text(value) for value in row]
            while cells and not cells[-1]:
                cells.pop()
            if cells:
                yield number, [""] * left + cells

    def height(self, sheet: str) -> int:
        """The number of the last row that holds anything. Raises UnsupportedContent."""
        end = self._load(sheet).end
        return 0 if end is None else end[0] + 1

    def _load(self, sheet: str) -> "CalamineSheet":
        """The sheet's cells, which are kept until another sheet is wanted: to load them is most of the work."""
        if self._loaded is None or self._loaded[0] != sheet:
            self._loaded = None
            try:
                self._loaded = sheet, self._book.get_sheet_by_name(sheet)
            except self._errors as exc:
                raise UnsupportedContent(
                    f"sheet {sheet!r} of the file cannot be read; {SAVE_AS}", field="file"
                ) from exc
        return self._loaded[1]


def _text(value: object) -> str:
    """A cell as text. Numbers that a spreadsheet keeps as floats are integers again."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime | date):
        return value.isoformat(" ") if isinstance(value, datetime) else value.isoformat()
    return str(value).strip()

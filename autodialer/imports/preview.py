"""What an upload would be taken for, without storing anything of it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from autodialer.campaign.numbers import normalise
from autodialer.errors import Invalid
from autodialer.imports.columns import FIELDS, TableColumns, Wanted, find_columns, survey
from autodialer.imports.judge import JudgedColumn, NumberedRow, letters
from autodialer.imports.reading import LONGEST_TEXT, SAMPLE_ROWS, cell_of, choose_sheet, sample_of
from autodialer.imports.table_file import TableFile, open_table

SHOWN_VALUES = 5
SHOWN_SHEETS = 50


def preview(path: Path, region: str, wanted: Wanted) -> dict[str, Any]:
    """The answer of POST /srv1/callbases/preview.

    A column that cannot be told is part of the answer (`problem`), not an error: what the user is shown here is what
    the choice is made by. Raises Invalid, UnsupportedContent and TooLarge for a file that is no table, and Invalid for
    a sheet, row or column that is not in it.
    """
    table, problem = choose_sheet(open_table(path), region, wanted)
    sample = sample_of(table)
    columns: TableColumns | None = None
    if problem is None:
        try:
            columns, _ = find_columns(sample, region, wanted)
        except Invalid as exc:
            if exc.field != "file":
                raise
            problem = exc
    header_row, judged = survey(sample, region, wanted)
    return {
        "kind": table.kind,
        "encoding": table.encoding,
        "delimiter": table.delimiter,
        "broken_letters": table.broken_letters,
        "rows": table.lines,
        "sheet": table.sheet,
        "sheets": _sheets(table, region, wanted),
        "header_row": header_row,
        "columns": columns.taken() if columns else {},
        "problem": None if problem is None else str(problem),
        "found": [_column(column, columns) for column in judged],
        "numbers": _numbers(sample, columns, region) if columns else [],
    }


def _sheets(table: TableFile, region: str, wanted: Wanted) -> list[dict[str, Any]]:
    found = []
    for sheet in table.sheets[:SHOWN_SHEETS]:
        sample = sample_of(table.of_sheet(sheet.name))
        try:
            find_columns(sample, region, replace(wanted, columns={}, header_row=None))
            has_phones = True
        except Invalid:
            has_phones = False
        found.append(
            {"name": sheet.name, "visible": sheet.visible, "has_phones": has_phones, "read": sheet.name == table.sheet}
        )
    return found


def _column(column: JudgedColumn, columns: TableColumns | None) -> dict[str, Any]:
    taken = next((name for name in FIELDS if columns and getattr(columns, name) == column.index), None)
    return {
        "column": letters(column.index),
        "header": column.header or None,
        "taken_for": taken,
        "speaks_of": column.speaks.value,
        "values": [value[:LONGEST_TEXT] for value in column.first_values[:SHOWN_VALUES]],
        "filled": column.values,
        "valid": column.valid_values,
        "valid_share": round(column.valid, 3),
    }


def _numbers(sample: Sequence[NumberedRow], columns: TableColumns, region: str) -> list[dict[str, Any]]:
    """The first numbers as they would be stored, and dialled by a trunk's number_format."""
    shown: list[dict[str, Any]] = []
    for row_number, row in sample[:SAMPLE_ROWS]:
        if row_number <= (columns.header_row or 0) or len(shown) == SHOWN_VALUES:
            continue
        value = cell_of(row, columns.number) or cell_of(row, columns.second_number) or ""
        said: dict[str, Any] = {"row": row_number, "value": value, "number": None, "reason": None}
        try:
            said["number"] = normalise(value, region).number
        except Invalid as exc:
            said["reason"] = str(exc)
        shown.append(said)
    return shown

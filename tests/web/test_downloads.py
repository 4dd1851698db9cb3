"""Tables as files: what a spreadsheet and a program read in them, and that they are never held as a whole."""

import csv
import io
import tracemalloc
import zipfile
from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autodialer.web import downloads as tables
from autodialer.web.downloads import Cell, Download, DownloadedTable, as_csv, as_xlsx
from autodialer.web.spreadsheets import Dialect, as_text, as_workbook

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=20)
CELLS = st.none() | st.booleans() | st.integers(-(2**50), 2**50) | st.floats(0, 1e6).map(lambda x: round(x, 3)) | TEXT


def table(rows: Sequence[Sequence[Cell]], header: Sequence[str] = ("a", "b")) -> DownloadedTable:
    return DownloadedTable(name="t", header=header, rows=iter(rows))


def read_csv(rows: Sequence[Sequence[Cell]]) -> list[list[str]]:
    data = b"".join(as_csv(table(rows)))
    assert data.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))[1:]


def read_xlsx(rows: Sequence[Sequence[Cell]], **options: int) -> list[list[tuple[object, ...]]]:
    """The rows of each sheet, as openpyxl reads them."""
    data = b"".join(as_xlsx(table(rows), **options))
    assert zipfile.ZipFile(io.BytesIO(data)).testzip() is None
    book = openpyxl.load_workbook(io.BytesIO(data))
    return [list(sheet.iter_rows(values_only=True)) for sheet in book.worksheets]


@pytest.mark.parametrize(
    ("entered", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("+79160000001", "+79160000001"),
        ("+7 916 000 00 01", "+7 916 000 00 01"),
        ("-12,5", "-12,5"),
        ("Anna = Boris", "Anna = Boris"),
        ("-", "'-"),
    ],
)
def test_what_somebody_entered_is_no_formula_in_a_csv(entered: str, written: str) -> None:
    assert read_csv([(entered, 1)]) == [[written, "1"]]


def test_a_column_that_somebody_named_is_no_formula_either() -> None:
    assert b"'=A1" in b"".join(as_csv(table([], header=["=A1"])))


def test_numbers_nothing_and_truth_have_one_spelling_in_a_csv() -> None:
    assert read_csv([(1, 2.5), (None, True), (False, "")]) == [["1", "2.5"], ["", "true"], ["false", ""]]


def test_a_text_is_never_a_formula_in_a_workbook() -> None:
    data = b"".join(as_xlsx(table([("=1+1", "+79160000001")])))
    [sheet] = openpyxl.load_workbook(io.BytesIO(data)).worksheets
    assert [cell.value for cell in sheet[2]] == ["=1+1", "+79160000001"]
    assert b"<f>" not in zipfile.ZipFile(io.BytesIO(data)).read("xl/worksheets/sheet1.xml")


def test_what_xml_cannot_hold_is_left_out_of_a_workbook() -> None:
    assert read_xlsx([("a\x00\x0b\ud800b", "<&>")])[0][1] == ("ab", "<&>")


@settings(deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS), max_size=20))
def test_a_workbook_holds_what_was_put_into_it(rows: list[tuple[Cell, Cell]]) -> None:
    [sheet] = read_xlsx([row for row in rows if not any("_x" in str(cell) for cell in row)])
    expected = [tuple(None if cell == "" else cell for cell in row) for row in rows]
    width = [row for row in expected if not any("_x" in str(cell) for cell in row)]
    assert sheet == [("a", "b"), *width]


@pytest.mark.parametrize(
    ("rows", "sheets"),
    [(0, [1]), (3, [4]), (4, [5]), (5, [5, 2]), (8, [5, 5]), (9, [5, 5, 2])],
)
def test_rows_that_a_sheet_does_not_hold_go_on_in_another(rows: int, sheets: list[int]) -> None:
    found = read_xlsx([(index, "x") for index in range(rows)], sheet_rows=5)
    assert [len(sheet) for sheet in found] == sheets
    assert all(sheet[0] == ("a", "b") for sheet in found)
    assert [row[0] for sheet in found for row in sheet[1:]] == list(range(rows))


def test_a_sheet_ends_before_its_archive_entry_grows_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "CHUNK", 1000)
    monkeypatch.setattr(tables, "SHEET_BYTES", 5000)
    found = read_xlsx([(index, "x" * 100) for index in range(200)])
    assert len(found) > 2
    assert [row[0] for sheet in found for row in sheet[1:]] == list(range(200))


@pytest.mark.parametrize("kind", ["plain", "excel-ru", "xlsx"])
@pytest.mark.slow
def test_a_long_table_is_never_in_memory_as_a_whole(kind: str) -> None:
    def rows() -> Iterator[Sequence[Cell]]:
        for index in range(60_000):
            yield (
                index,
                f"subscriber {index}",
                "x" * 80,
                f"2026-03-01T{index // 3600:02}:{index // 60 % 60:02}:00.000Z",
            )

    made = DownloadedTable(
        name="t", header=["a"] * 4, rows=rows(), times=frozenset([3]), zone=ZoneInfo("Europe/Moscow")
    )
    tracemalloc.start()
    download = as_workbook(made) if kind == "xlsx" else as_text(made, Dialect(kind))
    size = sum(len(chunk) for chunk in download)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size > 300_000
    assert peak < 2_000_000


def test_a_download_that_is_broken_off_closes_its_table() -> None:
    closed: list[bool] = []
    rows = ((index, "x" * 1000) for index in range(1000))
    download = Download(
        DownloadedTable(name="t", header=["a", "b"], rows=rows, close=lambda: closed.append(True)), "csv"
    )
    next(iter(download))
    download.close()
    assert closed
    assert next(rows)[0] < 999

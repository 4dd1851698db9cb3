"""Uploaded tables as users make them: every delimiter, encoding and kind, and files that are none."""

import zipfile
from pathlib import Path

import openpyxl
import pytest

from autodialer.errors import Invalid, TooLarge, UnsupportedContent
from autodialer.imports.columns import find_columns
from autodialer.imports.table_file import open_table

RUSSIAN = "Имя;Телефон;Комментарий\nИван Петров;8 916 123-45-67;Запись к врачу на понедельник\nЁлка;+79161234568;\n"


def rows_of(tmp_path: Path, content: bytes) -> list[list[str]]:
    file = tmp_path / "upload"
    file.write_bytes(content)
    return list(open_table(file).rows())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1251", "utf-16"])
def test_the_encoding_is_found(tmp_path: Path, encoding: str) -> None:
    rows = rows_of(tmp_path, RUSSIAN.encode(encoding))
    assert rows[0] == ["Имя", "Телефон", "Комментарий"]
    assert rows[1] == ["Иван Петров", "8 916 123-45-67", "Запись к врачу на понедельник"]
    assert rows[2] == ["Ёлка", "+79161234568", ""]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    text = "\n".join(
        delimiter.join(row) for row in (["number", "name"], ["89161234567", "Anna"], ["89161234568", "Bob"])
    )
    assert rows_of(tmp_path, text.encode())[1] == ["89161234567", "Anna"]


def test_a_list_of_numbers_is_a_table_of_one_column(tmp_path: Path) -> None:
    assert rows_of(tmp_path, b"89161234567\r\n8 (916) 123-45-68\r\n") == [["89161234567"], ["8 (916) 123-45-68"]]


def test_a_quoted_cell_keeps_its_delimiters_and_line_breaks(tmp_path: Path) -> None:
    assert rows_of(tmp_path, b'1234567,"Smith, J.\nsenior"\n2345678,x\n')[0] == ["1234567", "Smith, J.\nsenior"]


def test_an_xlsx_gives_numbers_that_a_spreadsheet_kept_as_floats(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["Телефон", "Имя"], [79161234567.0, "Анна"], [79161234568, None], ["7,91612E+10", "потеряно"]):
        sheet.append(row)
    book.save(tmp_path / "upload")
    table = open_table(tmp_path / "upload")
    assert table.kind == "xlsx"
    assert list(table.rows()) == [
        ["Телефон", "Имя"],
        ["79161234567", "Анна"],
        ["79161234568", ""],
        ["7,91612E+10", "потеряно"],
    ]


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        (b"", Invalid, "empty"),
        (b"  \r\n", Invalid, "empty"),
        (b"PK\x03\x04 this is no archive", UnsupportedContent, "cannot be read"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest", UnsupportedContent, "old Excel"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", UnsupportedContent, "no CSV, TXT or XLSX"),
    ],
)
def test_a_file_that_is_no_table_is_refused_with_a_remedy(
    tmp_path: Path, content: bytes, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says) as caught:
        rows_of(tmp_path, content)
    assert getattr(caught.value, "field") == "file"  # noqa: B009


def test_a_zip_archive_that_is_no_workbook_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "upload", "w") as archive:
        archive.writestr("holiday.txt", "sun")
    with pytest.raises(UnsupportedContent, match="ZIP archive"):
        open_table(tmp_path / "upload")


def test_more_rows_than_the_limit_are_refused_before_anything_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autodialer.imports.table_file.MAX_ROWS", 3)
    with pytest.raises(TooLarge, match="at most 3"):
        rows_of(tmp_path, b"1\n2\n3\n4\n")


def test_known_header_words_name_the_columns_in_any_order() -> None:
    columns = find_columns([["ФИО", "Город", "Номер телефона", "Примечание"], ["Анна", "Омск", "89161234567", "x"]])
    assert columns.has_header
    assert (columns.number, columns.name, columns.comment) == (2, 0, 3)
    assert columns.extra == ((1, "Город"),)


def test_without_a_header_the_column_that_looks_like_numbers_is_taken() -> None:
    columns = find_columns([["Anna", "89161234567", "flat 5"], ["Bob", "89161234568", "flat 12"]])
    assert not columns.has_header
    assert (columns.number, columns.name, columns.comment) == (1, 0, 2)


def test_a_header_of_unknown_words_is_still_a_header() -> None:
    columns = find_columns([["Кому звонить", "Кто это"], ["89161234567", "Анна"]])
    assert columns.has_header
    assert columns.number == 0
    assert columns.extra == ((1, "Кто это"),)


def test_a_table_without_numbers_is_refused() -> None:
    with pytest.raises(Invalid, match="no column of phone numbers"):
        find_columns([["Anna", "Omsk"], ["Bob", "Tomsk"]])

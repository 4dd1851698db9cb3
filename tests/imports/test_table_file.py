"""Uploaded tables as users make them: every delimiter, encoding and kind, and files that are not tables."""

import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from autodialer.errors import Invalid, TooLarge, UnsupportedContent
from autodialer.imports.columns import TableColumns, Wanted, find_columns
from autodialer.imports.table_file import open_table

RUSSIAN = "Имя;Телефон;Комментарий\nИван Петров;8 916 123-45-67;Запись к врачу на понедельник\nЁлка;+79161234568;\n"


def rows_of(tmp_path: Path, content: bytes) -> list[list[str]]:
    file = tmp_path / "upload"
    file.write_bytes(content)
    return [row for _, row in open_table(file).rows()]


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
    assert [row for _, row in table.rows()] == [
        ["Телефон", "Имя"],
        ["79161234567", "Анна"],
        ["79161234568"],
        ["7,91612E+10", "потеряно"],
    ]


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        (b"", Invalid, "empty"),
        (b"  \r\n", Invalid, "empty"),
        (b"PK\x03\x04 this is no archive", UnsupportedContent, "cannot be read"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest", UnsupportedContent, "cannot be read"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", UnsupportedContent, "picture"),
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


def found(*rows: list[str], **wanted: Any) -> TableColumns:
    return find_columns(list(enumerate(rows, 1)), "RU", Wanted(**wanted))[0]


def test_header_words_name_the_columns_in_any_order() -> None:
    columns = found(["ФИО", "Город", "Номер телефона", "Примечание"], ["Анна", "Омск", "89161234567", "x"])
    assert (columns.header_row, columns.number, columns.name, columns.comment) == (1, 2, 0, 3)
    assert columns.extra == ((1, "Город"),)
    assert columns.taken() == {"number": "Номер телефона", "name": "ФИО", "comment": "Примечание"}


def test_without_a_header_the_column_of_phone_numbers_is_taken_and_told_by_its_letter() -> None:
    columns = found(["Anna", "89161234567", "flat 5"], ["Bob", "89161234568", "flat 12"])
    assert columns.header_row is None
    assert columns.taken() == {"number": "B", "name": "A", "comment": "C"}


def test_a_header_of_unknown_words_is_still_a_header() -> None:
    columns = found(["Кому звонить", "Кто это"], ["89161234567", "Анна"])
    assert (columns.header_row, columns.number) == (1, 0)
    assert columns.extra == ((1, "Кто это"),)


def test_a_table_without_numbers_is_refused() -> None:
    with pytest.raises(Invalid, match="may hold the phone numbers") as asked:
        found(["Anna", "Omsk"], ["Bob", "Tomsk"])
    assert [said["column"] for said in asked.value.details] == ["A", "B"]


TWO_PHONES = (["Дом. тел.", "Моб. тел.", "ФИО"], ["8 495 123-45-67", "89161234567", "Анна"])


@pytest.mark.parametrize(
    ("columns", "taken"),
    [
        ({}, {"number": "Моб. тел.", "second_number": "Дом. тел.", "name": "ФИО"}),
        ({"number": "дом. тел."}, {"number": "Дом. тел.", "name": "ФИО"}),
        ({"number": "A", "second_number": "b"}, {"number": "Дом. тел.", "second_number": "Моб. тел.", "name": "ФИО"}),
        ({"second_number": None, "name": None}, {"number": "Моб. тел."}),
        ({"number": "B", "comment": "C"}, {"number": "Моб. тел.", "comment": "ФИО"}),
    ],
)
def test_columns_are_taken_as_they_are_said_by_header_or_by_letter(
    columns: dict[str, str | None], taken: dict[str, str]
) -> None:
    said = found(*TWO_PHONES, columns=columns)
    assert said.taken() == taken
    assert found(*TWO_PHONES, columns=taken).number == said.number, "the answer can be sent again"


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"columns": {"number": "Факс"}}, "columns"),
        ({"columns": {"number": "D"}}, "columns"),
        ({"header_row": 5}, "header_row"),
    ],
)
def test_what_is_not_in_the_table_cannot_be_chosen(wanted: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid, match=field) as refused:
        found(*TWO_PHONES, **wanted)
    assert refused.value.field == field


def test_two_columns_of_one_name_are_told_apart_by_letter() -> None:
    columns = found(["Телефон", "Телефон"], ["89161234567", "89161234568"])
    assert columns.taken() == {"number": "A", "second_number": "B"}


def test_the_header_row_is_the_one_that_is_said() -> None:
    rows = (["Телефоны", "отдела"], ["тел", "имя"], ["89161234567", "Анна"])
    assert found(*rows).header_row == 2
    assert found(*rows, header_row=1).header_row == 1
    assert found(*rows, header_row=0, columns={"number": "A"}).header_row is None


def test_one_broken_letter_does_not_turn_the_text_into_another_encoding(tmp_path: Path) -> None:
    text = RUSSIAN.encode().replace("Ё".encode(), b"\xd0")
    rows = rows_of(tmp_path, text)
    assert rows[1] == ["Иван Петров", "8 916 123-45-67", "Запись к врачу на понедельник"]
    assert rows[2][0] == "\ufffdлка"


@pytest.mark.parametrize("dimension", ["A1", "A1:A2", "A1:XFD1048576", "Z90:Z99"])
def test_a_workbook_is_read_by_its_cells_and_not_by_the_size_it_states(tmp_path: Path, dimension: str) -> None:
    book = openpyxl.Workbook()
    assert book.active is not None
    rows = [["Телефон", "Имя"]] + [[f"8916000000{row}", f"Имя {row}"] for row in range(4)]
    for row in rows:
        book.active.append(row)
    book.save(tmp_path / "book")
    with zipfile.ZipFile(tmp_path / "book") as old, zipfile.ZipFile(tmp_path / "upload", "w") as new:
        for name in old.namelist():
            part = old.read(name)
            if name == "xl/worksheets/sheet1.xml":
                assert b'<dimension ref="A1:B5"' in part
                part = part.replace(b'<dimension ref="A1:B5"', b'<dimension ref="%s"' % dimension.encode())
            new.writestr(name, part)
    assert [row for _, row in open_table(tmp_path / "upload").rows()] == rows

"""Files that are no table, or not quite: each refusal names what the file is and what to do."""

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
import xlwt

from autodialer.errors import Invalid, TooLarge, UnsupportedContent, UserError
from autodialer.imports.columns import Wanted
from autodialer.imports.reading import ImportPlan, inspect

PEOPLE = [["Телефон", "Имя"], ["89160000001", "Анна"], ["89160000002", "Вера"]]
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)
ODS = "application/vnd.oasis.opendocument.spreadsheet"
TEXT = "".join(";".join(row) + "\r\n" for row in PEOPLE)


def zipped(**parts: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), text)
    return target.getvalue()


def plan_of(tmp_path: Path, content: bytes, region: str = "RU", **wanted: object) -> ImportPlan:
    file = tmp_path / "upload"
    file.write_bytes(content)
    return inspect(file, region, Wanted(**wanted))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", UnsupportedContent, "is a PDF document"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", UnsupportedContent, "is a picture"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", UnsupportedContent, "is a picture"),
        (b"GIF89a" + bytes(20), UnsupportedContent, "is a picture"),
        (b"Rar!\x1a\x07\x01\x00", UnsupportedContent, "a RAR archive"),
        (b"7z\xbc\xaf\x27\x1c\x00\x04", UnsupportedContent, "a 7-Zip archive"),
        (gzip.compress(TEXT.encode(), mtime=0), UnsupportedContent, "a gzip archive"),
        (zipped(people_dot_csv=TEXT), UnsupportedContent, "a ZIP archive.*unpack it"),
        (zipped(word__document_dot_xml="<w/>"), UnsupportedContent, "a Word document"),
        (zipped(Index__Document_dot_iwa="x"), UnsupportedContent, "Apple Numbers"),
        (zipped(mimetype="application/vnd.oasis.opendocument.text"), UnsupportedContent, "opendocument.text"),
        (OLE + "EncryptedPackage".encode("utf-16-le"), UnsupportedContent, "password.*take the password off"),
        (OLE + "WordDocument".encode("utf-16-le"), UnsupportedContent, "a Word document"),
        (b"<html><table><tr><td>89160000001</td></tr></table>", UnsupportedContent, r"web page \(HTML\), often named"),
        (b"\xef\xbb\xbf<meta charset=utf-8><table><tr><td>1", UnsupportedContent, "web page"),
        (b'<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet">', UnsupportedContent,
         "XML table of Excel 2003"),
        (b'<?xml version="1.0"?><office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0">',
         UnsupportedContent, "FODS"),
        (b"<?xml version='1.0'?><a/>", UnsupportedContent, "is an XML document"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", UnsupportedContent, "is a recording"),
        (b"SQLite format 3\x00" + bytes(84), UnsupportedContent, "is a database"),
        (bytes(range(256)) * 8, UnsupportedContent, "no table that can be read"),
        (b" \r\n\t", Invalid, "is empty"),
        ("Телефон;Имя\n".encode(), Invalid, "no rows below it"),
        ("№^Телефон\n1^89160000001\n2^89160000002\n".encode(), Invalid, r"'\^' between its cells.*sep=\^"),
        ("Телефон;Имя\n".encode() + "8 029 123-45-67;Анна\n8 029 123-45-68;Вера\n".encode(), Invalid, "region=BY"),
    ],
)  # fmt: skip
def test_a_refusal_names_what_the_file_is_and_what_to_do(
    tmp_path: Path, content: bytes, error: type[UserError], says: str
) -> None:
    with pytest.raises(error, match=says) as refused:
        plan_of(tmp_path, content)
    assert refused.value.field == "file"
    assert str(refused.value).startswith("file ")


def xls() -> bytes:
    book = xlwt.Workbook()
    sheet = book.add_sheet("Лист1")
    for number, row in enumerate(PEOPLE):
        for column, value in enumerate(row):
            sheet.write(number, column, float(value) if value.isdigit() else value)
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def ods() -> bytes:
    rows = "".join(
        "<table:table-row>"
        + "".join(
            f'<table:table-cell office:value-type="string"><text:p>{cell}</text:p></table:table-cell>' for cell in row
        )
        + "</table:table-row>"
        for row in PEOPLE
    )
    names = "".join(
        f' xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text")
    )
    content = (
        f'<?xml version="1.0" encoding="UTF-8"?><office:document-content{names}><office:body><office:spreadsheet>'
        f'<table:table table:name="Лист1">{rows}</table:table></office:spreadsheet></office:body>'
        "</office:document-content>"
    )
    manifest = (
        '<?xml version="1.0"?><manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'
    )
    return zipped(mimetype=ODS, content_dot_xml=content, **{"META-INF__manifest_dot_xml": manifest})


def xlsx() -> bytes:
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.title = "Лист1"
    for row in PEOPLE:
        book.active.append([int(cell) if cell.isdigit() else cell for cell in row])
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def strict() -> bytes:
    """As Excel saves a Strict Open XML workbook: the same parts, other namespaces (ISO/IEC 29500)."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(xlsx())) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            part = old.read(name).replace(
                b"http://schemas.openxmlformats.org/spreadsheetml/2006/main",
                b"http://purl.oclc.org/ooxml/spreadsheetml/main",
            )
            new.writestr(
                name,
                part.replace(
                    b"http://schemas.openxmlformats.org/officeDocument/2006/relationships",
                    b"http://purl.oclc.org/ooxml/officeDocument/relationships",
                ),
            )
    return target.getvalue()


@pytest.mark.parametrize(
    ("make", "kind"),
    [(xls, "xls"), (ods, "ods"), (xlsx, "xlsx"), (strict, "xlsx")],
    ids=["xls", "ods", "xlsx", "strict open xml"],
)
def test_other_workbooks_are_read(tmp_path: Path, make: Callable[[], bytes], kind: str) -> None:
    plan = plan_of(tmp_path, make())
    assert (plan.table.kind, plan.table.sheet, plan.columns.number) == (kind, "Лист1", 0)
    assert [row for _, row in plan.numbered_rows()] == PEOPLE[1:]


@pytest.mark.parametrize(
    "encoding", ["utf-16-le", "utf-16-be", "utf-16", "utf-8", "utf-8-sig", "cp1251", "koi8-r", "cp866"]
)
def test_a_text_is_read_in_its_encoding_also_without_a_mark(tmp_path: Path, encoding: str) -> None:
    more = "".join(f"8916{row:07d};Иванова Анна Сергеевна {row}\r\n" for row in range(30))
    plan = plan_of(tmp_path, (TEXT + more).encode(encoding))
    assert plan.columns.taken() == {"number": "Телефон", "name": "Имя"}
    assert plan.table.broken_letters == 0


def test_letters_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    broken = TEXT.encode().replace("Вера".encode(), b"\xd0\xd0\xb5\xd1\x80\xd0\xb0")
    plan = plan_of(tmp_path, broken)
    assert (plan.table.encoding, plan.table.broken_letters) == ("utf-8", 1)


@pytest.mark.slow
def test_a_workbook_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    file = tmp_path / "upload"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b" " * 400_000_000)
    with pytest.raises(TooLarge, match="unpacks to 400 MB"):
        inspect(file, "RU")


def test_the_line_that_names_the_delimiter_is_followed(tmp_path: Path) -> None:
    for sign in "^;\t":
        plan = plan_of(tmp_path, f"sep={sign}\r\n{TEXT.replace(';', sign)}".encode())
        assert (plan.table.delimiter, plan.columns.header_row) == (sign, 2)
        assert [number for number, _ in plan.numbered_rows()] == [3, 4]

"""What an uploaded file is, by its first bytes and never by its name; what is no table is refused with the remedy."""

import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

from autodialer.errors import TooLarge, UnsupportedContent
from autodialer.imports.workbooks import SAVE_AS

CSV, XLSX, XLSB, XLS, ODS = "csv", "xlsx", "xlsb", "xls", "ods"
WORKBOOK = frozenset({XLSX, XLSB, XLS, ODS})
MAX_UNPACKED_BYTES = 2_000_000_000
"""Of a workbook that is a ZIP archive."""
MOST_RATIO = 1_000
"""No table is packed closer: 1 MB of one byte, repeated, becomes 1 KB."""
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_OLE_LOOK = 1 << 20
_ARCHIVE = "is {} archive, not a table; unpack it and upload the table in it"
_PICTURE = "is a picture, not a table; type the numbers into a table, or ask for the table that the picture shows"
_SOUND = "is a recording, not a table; upload sounds to /srv1/sounds"
_OTHERS: Sequence[tuple[bytes, str]] = (
    (b"%PDF", "is a PDF document, not a table; ask for the table that it was printed from, or copy it into one"),
    (b"\x89PNG", _PICTURE),
    (b"\xff\xd8\xff", _PICTURE),
    (b"GIF8", _PICTURE),
    (b"BM\x36", _PICTURE),
    (b"II*\x00", _PICTURE),
    (b"MM\x00*", _PICTURE),
    (b"Rar!\x1a\x07", _ARCHIVE.format("a RAR")),
    (b"7z\xbc\xaf\x27\x1c", _ARCHIVE.format("a 7-Zip")),
    (b"\x1f\x8b", _ARCHIVE.format("a gzip")),
    (b"BZh", _ARCHIVE.format("a bzip2")),
    (b"\xfd7zXZ\x00", _ARCHIVE.format("an xz")),
    (b"(\xb5/\xfd", _ARCHIVE.format("a zstd")),
    (b"OggS", _SOUND),
    (b"fLaC", _SOUND),
    (b"ID3", _SOUND),
    (b"{\\rtf", f"is a text document (RTF), not a table; copy the table into a spreadsheet, {SAVE_AS}"),
    (b"SQLite format 3\x00", f"is a database, not a table; export the table with the numbers, {SAVE_AS}"),
)
_MARKUP: Sequence[tuple[str, str]] = (
    (r"urn:schemas-microsoft-com:office:spreadsheet", "is an XML table of Excel 2003, often named .xls"),
    (r"urn:oasis:names:tc:opendocument", "is a flat OpenDocument table (FODS)"),
    (r"<(?:!doctype\s+)?html|<table|<meta|<body", "is a web page (HTML), often named .xls"),
    (r"<\?xml|<!doctype", "is an XML document"),
)


def refuse_other_kinds(path: Path, head: bytes) -> str:
    """The kind of a table; `head` is how the file begins.

    Raises UnsupportedContent that says what the file is instead, and TooLarge for a workbook that unpacks to more than
    the limit. What is nothing else is taken for a text.
    """
    if head.startswith(_OLE):
        return _ole_kind(path)
    if head.startswith(b"PK\x03\x04"):
        return _zip_kind(path)
    for begin, said in _OTHERS:
        if head.startswith(begin):
            raise UnsupportedContent(f"file {said}", field="file")
    if head.startswith(b"RIFF") and head[8:12] in (b"WAVE", b"AVI "):
        raise UnsupportedContent(f"file {_SOUND}", field="file")
    _refuse_markup(head)
    return CSV


def _ole_kind(path: Path) -> str:
    with path.open("rb") as file:
        begin = file.read(_OLE_LOOK)
        file.seek(max(0, path.stat().st_size - _OLE_LOOK))
        # Its directory stands anywhere, and in a file that was just written at the beginning or the end.
        directory = begin + file.read(_OLE_LOOK)
    if _ENCRYPTED in directory:
        raise UnsupportedContent(
            "file is a workbook that opens with a password only; take the password off (in Excel: File, Info, "
            "Protect Workbook, Encrypt with Password) and upload it again",
            field="file",
        )
    if "WordDocument".encode("utf-16-le") in directory:
        raise UnsupportedContent(
            f"file is a Word document, not a table; copy the table into a spreadsheet, {SAVE_AS}", field="file"
        )
    return XLS


def _zip_kind(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            names = {member.filename for member in members}
            kind = archive.read("mimetype")[:200].decode("ascii", "replace") if _has_kind(archive, names) else ""
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as exc:
        raise UnsupportedContent(f"file looks like .xlsx but cannot be read; {SAVE_AS}", field="file") from exc
    unpacked, packed = sum(member.file_size for member in members), sum(member.compress_size for member in members)
    if any(member.flag_bits & 1 for member in members):
        raise UnsupportedContent(
            "file is an archive with a password; unpack it and upload the table in it", field="file"
        )
    if unpacked > MAX_UNPACKED_BYTES or (unpacked > 10_000_000 and unpacked > packed * MOST_RATIO):
        raise TooLarge(f"file unpacks to {unpacked // 10**6} MB; split it or save it as CSV", field="file")
    if "xl/workbook.bin" in names:
        return XLSB
    if any(name.lower() == "xl/workbook.xml" for name in names):
        return XLSX
    if "spreadsheet" in kind:
        return ODS
    for part, said in (("word/document.xml", "Word document"), ("ppt/presentation.xml", "presentation")):
        if part in names:
            raise UnsupportedContent(
                f"file is a {said}, not a table; copy the table into a spreadsheet, {SAVE_AS}", field="file"
            )
    if "Index/Document.iwa" in names:
        raise UnsupportedContent(f"file is an Apple Numbers table; {SAVE_AS}", field="file")
    if kind:
        raise UnsupportedContent(f"file is a document of the kind {kind}, not a table; {SAVE_AS}", field="file")
    raise UnsupportedContent(f"file {_ARCHIVE.format('a ZIP')}", field="file")


def _has_kind(archive: zipfile.ZipFile, names: set[str]) -> bool:
    return "mimetype" in names and archive.getinfo("mimetype").file_size < 1_000


def _refuse_markup(head: bytes) -> None:
    text = head.decode("utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8", "replace")
    text = text.lstrip("\ufeff \t\r\n").lower()
    if not text.startswith("<"):
        return
    for pattern, said in _MARKUP:
        if re.search(pattern, text):
            raise UnsupportedContent(f"file {said}; open it in a spreadsheet program, {SAVE_AS}", field="file")

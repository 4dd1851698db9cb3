"""Forms as clients write them: names in any encoding, and files in base64."""

import base64
import io
from pathlib import Path
from typing import Any

import pytest

from autodialer.errors import TooLarge, UserError
from autodialer.web.uploads import Upload, receive_upload

CONTENT = bytes(range(256)) * 300 + b"tail"
NAME = "Клиенты мая.csv"


def received(
    tmp_path: Path, disposition: bytes, content: bytes = CONTENT, *headers: bytes, most: int = 10**6
) -> Upload:
    lines = [b"--x", b"Content-Disposition: form-data; " + disposition, *headers, b"", content]
    lines += [b"--x", b'Content-Disposition: form-data; name="region"', b"", b"RU", b"--x--", b""]
    body = b"\r\n".join(lines)
    environ: dict[str, Any] = {
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": "multipart/form-data; boundary=x",
        "wsgi.input": io.BytesIO(body),
    }
    return receive_upload(environ, tmp_path, most_bytes=most)


@pytest.mark.parametrize(
    "named",
    [
        b'filename="%s"' % NAME.encode(),
        b'filename="%s"' % NAME.encode("cp1251"),
        b'filename="C:\\Users\\Anna\\%s"' % NAME.encode(),
        b"filename*=UTF-8''%D0%9A%D0%BB%D0%B8%D0%B5%D0%BD%D1%82%D1%8B%20%D0%BC%D0%B0%D1%8F.csv",
        b"filename=\"x.csv\"; filename*=UTF-8''%D0%9A%D0%BB%D0%B8%D0%B5%D0%BD%D1%82%D1%8B%20%D0%BC%D0%B0%D1%8F.csv",
        b"filename*=windows-1251''%CA%EB%E8%E5%ED%F2%FB%20%EC%E0%FF.csv",
        b'filename="=?utf-8?B?%s?="' % base64.b64encode(NAME.encode()),
    ],
)
def test_the_name_of_a_file_is_read_in_any_encoding(tmp_path: Path, named: bytes) -> None:
    upload = received(tmp_path, b'name="file"; ' + named)
    assert (upload.filename, upload.has_file, upload.size) == (NAME, True, len(CONTENT))
    assert upload.path.read_bytes() == CONTENT
    assert upload.fields == {"region": "RU"}


@pytest.mark.parametrize("width", [1, 3, 57, 10**6])
def test_a_file_in_base64_is_decoded(tmp_path: Path, width: int) -> None:
    whole = base64.b64encode(CONTENT)
    lines = b"\r\n".join(whole[at : at + width] for at in range(0, len(whole), width))
    upload = received(tmp_path, b'name="file"; filename="a"', lines, b"Content-Transfer-Encoding: BASE64")
    assert upload.path.read_bytes() == CONTENT
    assert upload.size == len(CONTENT)


@pytest.mark.parametrize(
    ("content", "encoding"),
    [(b"?" * 8, b"base64"), (b"QUJD" + b"QU", b"base64"), (b"x", b"quoted-printable"), (b"x", b"uuencode")],
)
def test_what_cannot_be_decoded_is_refused_and_nothing_is_left(tmp_path: Path, content: bytes, encoding: bytes) -> None:
    with pytest.raises(UserError, match="encoding"):
        received(tmp_path, b'name="file"; filename="a"', content, b"Content-Transfer-Encoding: " + encoding)
    assert list(tmp_path.iterdir()) == []


def test_the_limit_counts_what_was_decoded(tmp_path: Path) -> None:
    with pytest.raises(TooLarge):
        received(tmp_path, b'name="file"; filename="a"', CONTENT, most=len(CONTENT) - 1)
    with pytest.raises(UserError, match="send it as a file"):
        received(tmp_path, b'name="file"')

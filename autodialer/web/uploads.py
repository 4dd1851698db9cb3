"""Uploads: a multipart body is streamed to a file in the data folder, within its limit, and removed on every path."""

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, BinaryIO

from multipart import MultipartError, PushMultipartParser, parse_options_header

from autodialer.errors import TooLarge, UserError
from autodialer.web.part_headers import Transfer, file_name

CHUNK = 1 << 16
MOST_FIELDS = 20
MOST_FIELD_BYTES = 10_000
OVERHEAD = 100_000
"""Bytes that boundaries, headers and other fields may add to the file."""


@dataclass(kw_only=True)
class Upload:
    """One received form with at most one file, whose field is `file`."""

    path: Path
    filename: str = ""
    """Last part of the name that the client gave."""
    size: int = 0
    has_file: bool = False
    fields: dict[str, str] = field(default_factory=dict)
    digest: str = ""
    """SHA-256 of the file, for idempotency."""

    def named(self, name: str | None) -> str:
        """The name that was given, else the file's own."""
        return (name or "").strip() or Path(self.filename).stem.strip() or "unnamed"

    def close(self) -> None:
        """Remove the file; harmless when it is gone."""
        self.path.unlink(missing_ok=True)

    def take(self) -> Path:
        """The file becomes the caller's, who removes it."""
        taken = self.path.with_suffix(".taken")
        os.replace(self.path, taken)
        return taken


def most_body_bytes(most_bytes: int) -> int:
    """The longest request body that can hold a file of `most_bytes`."""
    return most_bytes + OVERHEAD


def describe_limit(most_bytes: int) -> str:
    """What a client is told whose file is too large."""
    return f"file may have at most {most_bytes // 10**6} MB; send a smaller one."


def receive_upload(environ: Mapping[str, Any], folder: Path, *, most_bytes: int) -> Upload:
    """Read a multipart/form-data request body. Raises UserError and TooLarge; then nothing is left behind."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if length > most_body_bytes(most_bytes):
        raise TooLarge(describe_limit(most_bytes), field="file")
    _, options = parse_options_header(environ.get("CONTENT_TYPE", ""))
    boundary = options.get("boundary")
    if not boundary:
        raise UserError("The Content-Type names no boundary; let your HTTP library build the multipart form.")
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix="upload-", dir=folder)
    upload = Upload(path=Path(name))
    try:
        with os.fdopen(descriptor, "wb") as target:
            _receive(environ["wsgi.input"], length, boundary, upload, target, most_bytes)
    except MultipartError as exc:
        upload.close()
        raise UserError("The multipart form is malformed or was cut off; send it again.") from exc
    except BaseException:
        upload.close()
        raise
    return upload


def _receive(source: BinaryIO, length: int, boundary: str, upload: Upload, target: BinaryIO, most_bytes: int) -> None:
    digest = hashlib.sha256()
    segment: Any = None
    text = bytearray()
    transfer = Transfer("")
    # Headers in Latin-1, which takes any byte: what a name is written in is found out afterwards.
    with PushMultipartParser(boundary, length, max_segment_count=MOST_FIELDS, header_charset="latin-1") as parser:
        while not parser.closed:
            chunk = source.read(min(CHUNK, length))
            length -= len(chunk)
            for event in parser.parse(chunk):
                if event is None:
                    transfer.end()
                    _end_segment(segment, text, upload)
                elif not isinstance(event, bytes | bytearray):
                    segment, text = event, bytearray()
                    transfer = Transfer(segment.header("Content-Transfer-Encoding", "") or "")
                    _begin_segment(segment, upload)
                elif segment.name == "file":
                    event = transfer.take(event)
                    upload.size += len(event)
                    if upload.size > most_bytes:
                        raise TooLarge(describe_limit(most_bytes), field="file")
                    digest.update(event)
                    target.write(event)
                else:
                    text += transfer.take(event)
                    if len(text) > MOST_FIELD_BYTES:
                        raise UserError(f"{segment.name} is too long.", field=segment.name)
    upload.digest = digest.hexdigest()


def _begin_segment(segment: Any, upload: Upload) -> None:
    if segment.name == "file":
        if upload.has_file:
            raise UserError("Send one file at a time.", field="file")
        name = file_name(segment.header("Content-Disposition", "") or "", segment.filename)
        if name is None:
            raise UserError("file holds text; send it as a file, for example with curl -F file=@NAME.", field="file")
        upload.has_file = True
        upload.filename = PureWindowsPath(PurePosixPath(name).name).name[:200]


def _end_segment(segment: Any, text: bytearray, upload: Upload) -> None:
    if segment.name == "file":
        return
    if segment.name in upload.fields:
        raise UserError(f"{segment.name} is given twice.", field=segment.name)
    try:
        upload.fields[segment.name] = text.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise UserError(f"{segment.name} is not UTF-8.", field=segment.name) from exc


def sweep(folder: Path) -> None:
    """Remove what a killed process left behind. Only for a service that starts."""
    for leftover in folder.glob("upload-*"):
        leftover.unlink(missing_ok=True)

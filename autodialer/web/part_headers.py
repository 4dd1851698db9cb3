"""What a part of a multipart form says of its file: its name, in whatever way it is written, and how it is encoded."""

import binascii
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import collapse_rfc2231_value
from typing import Any

from multipart import content_disposition_unquote

from autodialer.errors import UserError

PLAIN = frozenset({"", "7bit", "8bit", "binary"})


def text_of(header: str) -> str:
    """A header that was read as Latin-1: UTF-8, as RFC 7578 section 5.1 has it, else windows-1251."""
    data = header.encode("latin-1")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1251", "replace")


def file_name(disposition: str, filename: str | None) -> str | None:
    """The name of the file by the header's value and its parameter `filename`; None: the part is no file.

    `filename*` (RFC 5987) and encoded words (RFC 2047) do not belong into a form, but there are clients that send them.
    """
    extended = _extended(disposition)
    if extended is not None:
        return extended
    if filename is None:
        return None
    name = text_of(filename)
    if name.startswith("=?") and name.endswith("?="):
        try:
            return str(make_header(decode_header(name)))
        except (HeaderParseError, LookupError, UnicodeDecodeError):
            return name
    return name


def _extended(disposition: str) -> str | None:
    if "filename*" not in disposition:
        return None
    message = Message()
    message["Content-Disposition"] = disposition
    # With both, `filename*` counts: RFC 6266 section 4.3.
    # typeshed has every value a text; of `filename*` it is (charset, language, text).
    parameters: list[tuple[str, Any]] = message.get_params([], header="Content-Disposition")
    for name, value in parameters:
        if name == "filename" and isinstance(value, tuple):
            decoded: str = content_disposition_unquote(collapse_rfc2231_value(value))
            return decoded
    return None


class Transfer:
    """Undoes the transfer encoding of a part, piece by piece."""

    def __init__(self, encoding: str) -> None:
        """Raises UserError for an unknown encoding."""
        name = encoding.strip().lower()
        if name not in PLAIN and name != "base64":
            raise UserError(
                f"file has the transfer encoding {encoding[:40]!r}; send it as binary, or as base64.", field="file"
            )
        self._is_base64 = name == "base64"
        self._left = b""

    def take(self, piece: bytes | bytearray) -> bytes | bytearray:
        """The next bytes of the file. Raises UserError for what is no base64."""
        if not self._is_base64:
            return piece
        signs = self._left + bytes(piece).translate(None, b"\r\n\t ")
        whole = len(signs) - len(signs) % 4
        self._left = signs[whole:]
        return self._decode(signs[:whole])

    def end(self) -> None:
        """Raises UserError when the file was cut off."""
        if self._left:
            self._decode(self._left)

    def _decode(self, signs: bytes) -> bytes:
        try:
            return binascii.a2b_base64(signs, strict_mode=True)
        except binascii.Error as exc:
            raise UserError("file is not the base64 that its transfer encoding promises; send it again.") from exc

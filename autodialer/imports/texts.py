"""An uploaded text (CSV, TXT): its encoding, its delimiter, its lines."""

import codecs
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO, TextIO

from charset_normalizer import from_bytes

from autodialer.errors import TooLarge, UnsupportedContent
from autodialer.imports.cells import LONGEST_ROW, read_rows

SAMPLE_BYTES = 256 * 1024
SAMPLE_LINES = 100
LETTERS_A_FAULT = 10
DELIMITERS = (",", ";", "\t", "|")
SIGNS = ("^", "~", "\x1f", "#", "!", "&", ":", "/", "  ")
_SEPARATOR = re.compile(r'"?sep=(.)"?[\r\n]*', re.IGNORECASE)
"""The line by which a file tells Excel its delimiter."""
UTF_16 = {"utf-16", "utf-16-le", "utf-16-be"}
MOST_NULS = 0.02
"""Of the bytes at which UTF-16 has the letters; of the others nearly every third is NUL where there are digits."""


@dataclass(frozen=True, kw_only=True)
class TextFile:
    """A text that has been looked at."""

    path: Path
    encoding: str
    delimiter: str | None
    """None: the text has one column."""
    lines: int
    """About how many rows, blank ones too."""
    broken_letters: int
    """Letters that the encoding does not have; each becomes U+FFFD."""

    unknown_sign: str | None = None
    """What seems to divide the cells, but is no delimiter that is known."""

    def rows(self) -> Iterator[list[str]]:
        """Every row in order, blank ones too, cells stripped. Raises TooLarge."""
        with self.path.open(encoding=self.encoding, errors="replace", newline="") as text:
            lines = _lines(text)
            first = next(lines, "")
            # The line that names the delimiter is no row, but spreadsheets count it as one.
            if _SEPARATOR.fullmatch(first.lstrip("\ufeff")):
                yield []
                yield from read_rows(lines, self.delimiter)
            else:
                yield from read_rows(chain([first], lines) if first else lines, self.delimiter)


def look_at_text(path: Path, *, most_rows: int) -> TextFile:
    """Find out how to read it. Raises UnsupportedContent and TooLarge, both naming the field `file`."""
    with path.open("rb") as file:
        sample = file.read(SAMPLE_BYTES)
        encoding, broken = _find_encoding(sample, file)
    if encoding not in UTF_16 and b"\x00" in sample and _is_binary(sample):
        raise UnsupportedContent(
            "file is no table that can be read; save it as CSV (UTF-8) or as .xlsx and upload it again", field="file"
        )
    text = sample.decode(encoding, errors="replace")
    delimiter = _find_delimiter(text)
    return TextFile(
        path=path,
        encoding=encoding,
        delimiter=delimiter,
        lines=_count_lines(path, most_rows),
        broken_letters=broken,
        unknown_sign=_unknown_sign(text) if delimiter is None else None,
    )


def _lines(text: TextIO) -> Iterator[str]:
    """The lines, each within the limit. Raises TooLarge."""
    number = 0
    while line := text.readline(LONGEST_ROW + 2):
        number += 1
        if len(line) > LONGEST_ROW:
            raise TooLarge(
                f"line {number} of the file is longer than {LONGEST_ROW} characters; save the table as CSV with one "
                "row a line and upload it again",
                field="file",
            )
        yield line


def _is_binary(sample: bytes) -> bool:
    """A text may hold a few control characters by accident."""
    controls = sum(sample.count(bytes([code])) for code in range(32) if code not in b"\t\n\r\x0b\x0c\x1a\x1b")
    return controls * 100 > len(sample)


def _count_lines(path: Path, most_rows: int) -> int:
    """By the commoner of the two signs that end a line: a file from an old Mac has carriage returns only."""
    feeds = returns = quotes = 0
    block = b""
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            feeds += block.count(b"\n")
            returns += block.count(b"\r")
            quotes += block.count(b'"')
    # The last octets of a line end in UTF-16 LE are "\n\0".
    lines = max(feeds, returns) + (not block.endswith((b"\n", b"\r", b"\n\0", b"\r\0")))
    # With quotes a row may have several lines: then only reading tells how many rows there are.
    if lines > most_rows and not quotes:
        raise TooLarge(f"file has {lines} rows, at most {most_rows} are taken; split it", field="file")
    return lines


def _find_encoding(sample: bytes, rest: BinaryIO) -> tuple[str, int]:
    """The encoding, and how many letters are broken in it."""
    if sample.startswith(codecs.BOM_UTF8):
        return "utf-8-sig", _broken("utf-8", sample, rest)
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16", 0
    if encoding := _utf16_without_mark(sample):
        return encoding, 0
    broken = _broken("utf-8", sample, rest)
    if not broken or _is_mostly_utf8(sample):
        return "utf-8", broken
    return _guess_8bit(sample), 0


def _broken(encoding: str, sample: bytes, rest: BinaryIO) -> int:
    """Letters that cannot be read. U+FFFD itself, written by another program for one, is counted, too."""
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    broken = 0
    for block in chain([sample], iter(lambda: rest.read(1 << 20), b"")):
        broken += decoder.decode(block).count("\ufffd")
    return broken + decoder.decode(b"", final=True).count("\ufffd")


def _utf16_without_mark(sample: bytes) -> str | None:
    """Digits, delimiters and line ends of UTF-16 have a NUL in every second byte, and always in the same one."""
    even, odd = sample[0::2], sample[1::2]
    if len(sample) < 8:
        return None
    shares = even.count(0) / len(even), odd.count(0) / len(odd)
    if shares[1] > 0.2 and shares[0] < MOST_NULS:
        return "utf-16-le"
    if shares[0] > 0.2 and shares[1] < MOST_NULS:
        return "utf-16-be"
    return None


def _is_mostly_utf8(sample: bytes) -> bool:
    """One broken letter makes no other encoding of a text: what is UTF-8 by chance has hardly a right letter."""
    text = sample.decode("utf-8", errors="replace")
    broken = text.count("\ufffd")
    return sum(character > "\x7f" for character in text) - broken > LETTERS_A_FAULT * broken


def _guess_8bit(sample: bytes) -> str:
    """The 8-bit encoding of a text that is not UTF-8: cp1251 unless the letters clearly say otherwise."""
    best = from_bytes(sample, cp_isolation=["cp1251", "koi8_r", "cp866"]).best()
    return best.encoding if best else "cp1251"


def _unknown_sign(text: str) -> str | None:
    """A sign that every line has equally often."""
    lines = [line for line in text.splitlines() if line.strip()][:SAMPLE_LINES]
    for sign in SIGNS:
        counts = {line.count(sign) for line in lines}
        if len(lines) > 1 and len(counts) == 1 and 0 not in counts:
            return sign
    return None


def _find_delimiter(text: str) -> str | None:
    """The delimiter that the file names, else whichever cuts the most rows into the same number of cells."""
    lines = [line for line in text.lstrip("\ufeff").splitlines() if line.strip()][:SAMPLE_LINES]
    if lines and (said := _SEPARATOR.fullmatch(lines[0])):
        return said[1]
    best: tuple[int, int, str] | None = None
    for delimiter in DELIMITERS:
        # Not csv alone: a lone quote in the first line would make one row of all.
        widths = Counter(len(row) for row in read_rows((f"{line}\n" for line in lines), delimiter))
        width, count = max(((w, c) for w, c in widths.items() if w > 1), key=lambda item: item[1], default=(0, 0))
        if count and (best is None or (count, width) > best[:2]):
            best = (count, width, delimiter)
    return best[2] if best else None

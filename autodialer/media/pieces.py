"""Where the recordings of a file begin that was put together from several, end to end.

Text-to-speech services deliver a long text so, and people join files with `cat`. Containers were not made for it: a
decoder that trusts the first header plays the first piece and ends.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

Bytes = bytes | memoryview


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One recording in a file."""

    start: int
    """Offset of its first byte."""
    end: int
    """Offset behind its last byte."""
    open_length: bool = False
    """A WAV with more sound in it than its header says."""


# What a recording of each kind begins with: at least seven bytes that are always the same, which no sound in a file
# of this size holds by chance.
_RIFF = re.compile(rb"R(?:IFF|F64|IFX)....WAVE", re.DOTALL)
_STARTS = (
    _RIFF,
    re.compile(rb"fLaC[\x00\x80]\x00\x00\x22"),
    re.compile(rb"#!AMR(?:-WB)?\n"),
    re.compile(
        rb"\x00\x00\x00.ftyp(?:M4[ABPV] |isom|iso[2-9]|mp4[12]|3g[2ps].|qt  |dash|avc1|MSNV|mp7.|F4[AV] )", re.DOTALL
    ),
    # EBML header: its size, then the first element, EBMLVersion 1.
    re.compile(rb"\x1aE\xdf\xa3(?:[\x80-\xff]|[\x40-\x7f].|\x10...|\x01.{7})B\x86\x81\x01", re.DOTALL),
    re.compile(rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"),  # the header of ASF
)
_OGG_PAGE = re.compile(rb"OggS\x00([\x00-\x07])", re.DOTALL)
_FIRST_PAGE = 2
"""Bit of an Ogg page's header: the first of a stream, RFC 3533 section 6."""
_ID3 = re.compile(rb"ID3[\x02-\x04][\x00-\x0f][\x00\x10-\xf0]([\x00-\x7f]{4})", re.DOTALL)
_ID3_HEADER = 10
_FOOTER = 0x10
_SYNC = re.compile(rb"\xff[\xe0-\xff]|ID3|\x00{32}", re.DOTALL)
"""A frame of MPEG audio, or what may stand before it."""


def find_pieces(data: Bytes) -> Iterator[Piece]:
    """The recordings of a file, first to last: one, unless it was joined. ID3v2 tags in front belong to none.

    Tags are left out because FFmpeg does not tell what a file is behind a cover picture of more than a megabyte.
    """
    first = _behind_tags(data, 0)
    starts = [first, *(start for start in _further_starts(data, first) if start > first)]
    for start, end in zip(starts, [*starts[1:], len(data)], strict=True):
        begin = _behind_tags(data, start)
        yield Piece(start=begin, end=end, open_length=_understates(data[begin:end]))


def _behind_tags(data: Bytes, start: int) -> int:
    while tag := _ID3.match(data, start):
        start = min(len(data), tag.start() + _length_of(data, tag))
    return start


def _length_of(data: Bytes, tag: "re.Match[bytes]") -> int:
    """ID3v2.4.0 structure section 3.1: seven bits a byte, without header and footer."""
    size = 0
    for seven_bits in tag[1]:
        size = size << 7 | seven_bits
    footer = _ID3_HEADER if data[tag.start() + 5] & _FOOTER else 0
    return _ID3_HEADER + size + footer


def _further_starts(data: Bytes, first: int) -> Iterator[int]:
    if _OGG_PAGE.match(data, first):
        yield from _ogg_starts(data, first)
        return
    for pattern in _STARTS:
        if pattern.match(data, first):
            yield from (found.start() for found in pattern.finditer(data, first + 1))
            return
    # MPEG audio has no header of its own: its frames go on from piece to piece, but a tag between them is no sound.
    for tag in _ID3.finditer(data, first):
        if _SYNC.match(data, tag.start() + _length_of(data, tag)):
            yield tag.start()


def _ogg_starts(data: Bytes, first: int) -> Iterator[int]:
    """RFC 3533 section 4: first pages stand together; one behind other pages begins another file."""
    among_first = True
    for page in _OGG_PAGE.finditer(data, first):
        is_first = bool(page[1][0] & _FIRST_PAGE)
        if is_first and not among_first:
            yield page.start()
        among_first = is_first


def _understates(data: Bytes) -> bool:
    """Whether a WAV goes on behind its data with what is no further chunk: a recorder did not get to close it."""
    if not _RIFF.match(data) or data[:4] != b"RIFF":
        return False
    at = 12
    while at + 8 <= len(data):
        name, size = bytes(data[at : at + 4]), int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + size % 2
        if name == b"data":
            # A size of nothing or of everything is known for what it is; a data chunk may lack the byte that pads it.
            return size not in (0, 0xFFFFFFFF) and not any(_is_chunk_or_end(data, at - step) for step in (0, 1))
    return False


def _is_chunk_or_end(data: Bytes, at: int) -> bool:
    name, size = bytes(data[at : at + 4]), int.from_bytes(data[at + 4 : at + 8], "little")
    # A short rest, or a run of zeroes, is padding and no sound.
    if len(data) - at < 16 or not any(data[at : at + 64]):
        return True
    # The last chunk may lack the byte that pads it to an even length.
    return bool(re.fullmatch(rb"[ -~]{4}", name)) and at + 8 + size <= len(data) + 1

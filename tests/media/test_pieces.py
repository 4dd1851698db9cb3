"""Where the pieces of a joined file are: found by what they begin with, never inside one."""

import random
import struct

import pytest

from autodialer.media.pieces import Piece, find_pieces


def wav(data: bytes, *, claims: int | None = None, after: bytes = b"") -> bytes:
    size = len(data) if claims is None else claims
    body = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16_000, 2, 16) + b"data" + struct.pack("<I", size)
    return b"RIFF" + struct.pack("<I", min(len(body) + size, 0xFFFFFFFF)) + body + data + after


def page(flags: int, content: bytes = b"x" * 50) -> bytes:
    return b"OggS\0" + bytes([flags]) + bytes(20) + bytes([1, len(content)]) + content


def id3(size: int, *, footer: bool = False) -> bytes:
    length = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x04\0" + bytes([0x10 if footer else 0]) + length + bytes(size) + (bytes(10) if footer else b"")


NOISE = random.Random(1).randbytes(5000)
FRAME = b"\xff\xfb\x90\x64" + NOISE[:413]
FLAC = b"fLaC\x80\x00\x00\x22" + NOISE[:500]
MP4 = struct.pack(">I", 24) + b"ftypM4A " + NOISE[:500]
ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + NOISE[:500]
EBML = b"\x1aE\xdf\xa3\x01\0\0\0\0\0\0\x1fB\x86\x81\x01" + NOISE[:500]
AMR = b"#!AMR\n" + NOISE[:500]
OGG = page(2) + page(0) + page(4)

JOINED = {
    "WAV": wav(NOISE),
    "a WAV that claims more": wav(NOISE, claims=0x7FFFFFFF),
    "FLAC": FLAC,
    "MP4": MP4,
    "ASF": ASF,
    "WebM": EBML,
    "AMR": AMR,
    "Ogg": OGG,
    "an Ogg of two streams": page(2) + page(2) + page(0) + page(0),
}


@pytest.mark.parametrize("name", JOINED)
@pytest.mark.parametrize("times", [1, 2, 5])
def test_each_piece_is_found_where_it_begins(name: str, times: int) -> None:
    piece = JOINED[name]
    found = list(find_pieces(piece * times))
    assert [(each.start, each.end) for each in found] == [
        (number * len(piece), (number + 1) * len(piece)) for number in range(times)
    ]


def test_what_begins_like_another_kind_inside_a_piece_is_no_piece() -> None:
    for outer in JOINED.values():
        for inner in JOINED.values():
            if inner[:4] == outer[:4] or inner[4:8] == outer[4:8]:
                continue
            assert len(list(find_pieces(outer + inner))) == 1


@pytest.mark.parametrize("footer", [False, True])
def test_tags_belong_to_no_piece_wherever_they_stand(footer: bool) -> None:
    tag = id3(3000, footer=footer)
    mp3 = tag + tag + FRAME * 3 + tag + FRAME * 2
    first = 2 * len(tag)
    second = first + 3 * len(FRAME)
    assert list(find_pieces(mp3)) == [
        Piece(start=first, end=second),
        Piece(start=second + len(tag), end=len(mp3)),
    ]
    assert list(find_pieces(tag + FLAC)) == [Piece(start=len(tag), end=len(tag) + len(FLAC))]


def test_letters_in_sound_are_no_tag() -> None:
    mp3 = FRAME + b"ID3\x03\0\0\0\0\0\x05" + NOISE + FRAME
    assert list(find_pieces(mp3)) == [Piece(start=0, end=len(mp3))]


@pytest.mark.parametrize(
    "data", [b"", b"R", b"ID3", b"ID3\x03\0\0\x7f\x7f\x7f\x7f", NOISE, bytes(5000), b"OggS", b"RIFF"]
)
def test_what_is_nothing_is_one_piece_of_it(data: bytes) -> None:
    pieces = list(find_pieces(data))
    assert len(pieces) == 1
    assert pieces[0].end == len(data) and 0 <= pieces[0].start <= pieces[0].end


LIST = b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 14) + b"Lavf59.27.100\0"
CLOSED = {
    "a WAV": wav(NOISE),
    "one of an odd size without padding": wav(NOISE + b"x"),
    "one with a tag behind": wav(NOISE, after=LIST),
    "one with a tag behind and no padding": wav(NOISE + b"x", after=LIST),
    "one with padding behind": wav(NOISE, after=bytes(500)),
    "one that claims nothing": wav(NOISE, claims=0),
    "one that claims everything": wav(NOISE, claims=0xFFFFFFFF),
    "one that claims more than there is": wav(NOISE, claims=6000),
}


@pytest.mark.parametrize("name", CLOSED)
def test_the_length_that_a_wav_states_holds_unless_sound_goes_on_behind_it(name: str) -> None:
    assert [piece.open_length for piece in find_pieces(CLOSED[name])] == [False]


@pytest.mark.parametrize("claims", [2, 100, 4000])
def test_a_wav_that_goes_on_behind_its_data_was_not_closed(claims: int) -> None:
    assert [piece.open_length for piece in find_pieces(wav(NOISE, claims=claims))] == [True]

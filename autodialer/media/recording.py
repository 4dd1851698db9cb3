"""Recordings decoded by FFmpeg (PyAV), whatever program made them, to the very end and whatever their headers say.

A stranger made the file. FFmpeg may use the demuxers and decoders named here and none besides: no playlist, which
would have it open other files or addresses, no picture, no game's cutscene. It reads through this process and opens
nothing itself.
"""

import io
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import av
import numpy as np
from numpy.typing import NDArray

from autodialer.errors import Invalid, UnsupportedContent, UserError
from autodialer.media.pieces import Piece, find_pieces
from autodialer.media.sound_info import FORMATS

DEMUXERS = (
    *("wav", "w64", "aiff", "au", "caf", "voc"),
    *("mp3", "aac", "flac", "ogg", "amr", "wv", "ape", "tta", "ac3", "eac3"),
    *("mov", "matroska", "asf"),
)
"""Containers of recorders, telephones, editors and browsers; `mov` is MP4, M4A and 3GP too, `matroska` WebM."""
DECODERS = (
    *("pcm_u8", "pcm_s8", "pcm_alaw", "pcm_mulaw"),
    *(f"pcm_{kind}{bits}{end}" for kind in "su" for bits in (16, 24, 32) for end in ("le", "be")),
    *("pcm_s64le", "pcm_s64be", "pcm_f32le", "pcm_f32be", "pcm_f64le", "pcm_f64be", "pcm_f16le", "pcm_f24le"),
    *("pcm_s16le_planar", "pcm_s24le_planar", "pcm_s32le_planar", "pcm_s16be_planar", "pcm_s8_planar"),
    *("adpcm_ms", "adpcm_ima_wav", "adpcm_ima_qt", "adpcm_swf", "adpcm_yamaha", "adpcm_ct", "adpcm_sbpro_2"),
    *("adpcm_sbpro_3", "adpcm_sbpro_4", "adpcm_ima_oki", "adpcm_sanyo", "g722", "g726", "g726le", "g729", "g723_1"),
    *("gsm", "gsm_ms", "truespeech", "msnsiren", "siren", "sipr", "ilbc", "nellymoser", "mace3", "mace6", "qcelp"),
    *("evrc", "amrnb", "amrwb", "libopencore_amrnb", "libopencore_amrwb", "speex", "libspeex"),
    *("mp1", "mp1float", "mp2", "mp2float", "mp3", "mp3float", "aac", "aac_fixed", "aac_latm"),
    *("vorbis", "libvorbis", "opus", "libopus", "flac", "alac", "wavpack", "ape", "tta", "ac3", "ac3_fixed", "eac3"),
    *("dca", "wmav1", "wmav2", "wmapro", "wmalossless", "wmavoice", "qdm2", "qdmc"),
)
"""What these containers hold: a WAV may hold nearly anything that was ever used for speech."""
SEEN_BROKEN = 3
"""Packets that do not decode before anything has: a file of another kind that FFmpeg took for sound."""
JUMP_S = 0.1
"""Time stamps of whole files are off by less: those of ASF and Matroska are rounded to milliseconds, of MP4 edited."""
KNOW_THEIR_LENGTH = ("matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "asf", "ogg")
"""Containers whose length is counted by the program that wrote the file, or stands on its last page: what is less is
damaged. Of others it is estimated, or was written down before the recording began."""
SHORT_S = 0.5
"""A file that is shorter than it says by more than this is damaged."""
_SCALES = {"u1": 2.0**-7, "i2": 2.0**-15, "i4": 2.0**-31}
"""Of integer samples by numpy's kind and size, to -1 ... 1."""

Samples = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Block:
    """Some sound of a recording, in the order in which it is heard."""

    samples: Samples
    """Shape (frames, channels), full scale being -1 to 1."""
    rate: int
    """Hz."""
    codec: str
    """FFmpeg's name of how it was stored."""


class Recording:
    """A file of a stranger's, read once: `blocks`, and then what is known of it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.packets = 0
        self.broken = 0
        """Packets that did not decode, and places where the container broke off."""
        self.missing_s = 0.0
        """What its time stamps jump over: a demuxer that finds no place to go on at says nothing of what it skipped."""

    def blocks(self) -> Iterator[Block]:
        """The sound of all its pieces, a few milliseconds to a second at a time; none if it holds none.

        A joined file may change its rate and its channels. Raises UnsupportedContent and Invalid; both name `file`.
        """
        with self._file.open("rb") as raw:
            # Mapped, because the search goes over the whole file and this process has a limit on its memory.
            with mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as view:
                pieces = list(find_pieces(view))
            for number, piece in enumerate(pieces):
                yield from self._blocks_of(piece, raw, is_first=number == 0)

    def _blocks_of(self, piece: Piece, raw: io.BufferedReader, *, is_first: bool) -> Iterator[Block]:
        try:
            with _opened(_Window(raw, piece), piece) as container:
                yield from self._decoded(container)
        except (av.error.FFmpegError, UserError) as exc:
            # PyAV's error for a lack of memory is an FFmpegError too. It is
            # no fault in the file: `importing` says what it means.
            if isinstance(exc, MemoryError):
                raise
            if not is_first:
                # What stands behind the first recording may be no recording: it is counted, and said.
                self.broken += 1
            elif isinstance(exc, UserError):
                raise
            else:
                raise _unreadable() from exc

    def _decoded(self, container: Any) -> Iterator[Block]:
        stream = container.streams.best("audio")
        if stream is None:
            raise Invalid(f"file holds no audio; upload a recording as {FORMATS}", field="file")
        context = stream.codec_context
        if context is None or context.codec.name not in DECODERS:
            raise _unreadable()
        # Threads of FFmpeg's would take memory for a speed that nobody waits for.
        context.thread_count = 1
        heard_s, broken_before = 0.0, self.broken
        expected_s: float | None = None
        for packet in self._packets(container, stream):
            for frame in self._frames(stream, packet):
                heard_s += frame.samples / frame.sample_rate
                if frame.time is not None:
                    jump_s = 0.0 if expected_s is None else frame.time - expected_s
                    self.missing_s += jump_s if jump_s > JUMP_S else 0.0
                    expected_s = frame.time + frame.samples / frame.sample_rate
                yield Block(samples=_samples(frame), rate=frame.sample_rate, codec=context.codec.name)
            if not heard_s and self.broken - broken_before >= SEEN_BROKEN:
                raise _unreadable()
        short_s = _stated_length_s(container) - heard_s
        self.missing_s = max(self.missing_s, short_s if short_s > SHORT_S else 0.0)

    def _packets(self, container: Any, stream: Any) -> Iterator[Any]:
        """To the end of the file, or as far as the container can be followed."""
        try:
            yield from container.demux(stream)
        except av.error.FFmpegError as exc:
            if isinstance(exc, MemoryError):
                raise
            self.broken += 1
            # What the decoder has not given out yet is heard anyway.
            yield None

    def _frames(self, stream: Any, packet: Any) -> list[Any]:
        self.packets += 1
        try:
            frames: list[Any] = stream.decode(packet)
        except av.error.FFmpegError as exc:
            if isinstance(exc, MemoryError):
                raise
            self.broken += 1
            return []
        return [frame for frame in frames if frame.samples and frame.sample_rate]


class _Window(io.RawIOBase):
    """A part of a file as a file."""

    def __init__(self, raw: io.BufferedReader, piece: Piece) -> None:
        self._raw = raw
        self._start = piece.start
        self._size = piece.end - piece.start
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        # The end of the piece is the end of the file to FFmpeg: it must not read on into the next piece's header.
        left = self._size - self._at
        if left <= 0:
            return b""  # also where a file points so far behind its end that the system knows no such place
        self._raw.seek(self._start + self._at)
        data = self._raw.read(left if size < 0 else min(size, left))
        self._at += len(data)
        return data


@contextmanager
def _opened(window: _Window, piece: Piece) -> Iterator[Any]:
    options = {
        "format_whitelist": ",".join(DEMUXERS),
        "codec_whitelist": ",".join(DECODERS),
        "protocol_whitelist": "none",
    }
    if piece.open_length:
        # FFmpeg would end at the length that the header states.
        options["ignore_length"] = "1"
    # Tags are not always in the encoding that they say; nothing of them is used.
    with av.open(window, container_options=options, metadata_errors="replace", io_open=_refuse) as container:
        yield container


def _stated_length_s(container: Any) -> float:
    """0: the file does not know its length; nor does it know its sound's where a film is longer."""
    if container.format.name not in KNOW_THEIR_LENGTH or container.streams.video or not container.duration:
        return 0.0
    return float(container.duration / av.time_base)


def _refuse(*_named: object) -> NoReturn:
    """What a file asks to be opened beside it is not."""
    raise PermissionError


def _samples(frame: Any) -> Samples:
    """All sample formats of FFmpeg's as one; packed samples come as one row."""
    array = frame.to_ndarray()
    frames = array.T if frame.format.is_planar else array.reshape(-1, frame.layout.nb_channels)
    kind = array.dtype.str[1:]
    if kind not in _SCALES:
        # A double may hold what no float does: that becomes infinite, and is dealt with as such.
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(frames, dtype=np.float32)
    samples = np.ascontiguousarray(frames, dtype=np.float32)
    samples *= np.float32(_SCALES[kind])
    if kind == "u1":
        samples -= np.float32(1)
    return samples


def _unreadable() -> UnsupportedContent:
    return UnsupportedContent(f"file is no sound that can be read; save it as {FORMATS}", field="file")

"""Recordings as people's programs write them, made by ffmpeg and by hand, and what ffmpeg hears in them."""

import random
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from tests.peers.requirements import explain_missing, find_program
from tests.timing import at_most

Samples = NDArray[np.float32]
SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How a recording is stored."""

    name: str
    ending: str
    how: tuple[str, ...] = ()
    """Arguments of ffmpeg."""
    closeness_db: float = 50.0
    """How close the system's ffmpeg comes, signal to difference. Less where its version decodes otherwise."""
    joins: bool = True
    """Whether people join such files with `cat`."""


MONO_8K = ("-ar", "8000", "-ac", "1")
KINDS = (
    Kind(name="wav", ending="wav"),
    Kind(name="wav-24", ending="wav", how=("-c:a", "pcm_s24le")),
    Kind(name="wav-32", ending="wav", how=("-c:a", "pcm_s32le")),
    Kind(name="wav-float", ending="wav", how=("-c:a", "pcm_f32le")),
    Kind(name="wav-double", ending="wav", how=("-c:a", "pcm_f64le")),
    # Rounding down to 8 bits is an offset, which is taken out.
    Kind(name="wav-8", ending="wav", how=("-c:a", "pcm_u8"), closeness_db=20),
    Kind(name="wav-alaw", ending="wav", how=("-c:a", "pcm_alaw", *MONO_8K)),
    Kind(name="wav-mulaw", ending="wav", how=("-c:a", "pcm_mulaw", *MONO_8K)),
    Kind(name="wav-adpcm-ms", ending="wav", how=("-c:a", "adpcm_ms")),
    # FFmpeg rounds otherwise since 7.0.
    Kind(name="wav-adpcm-ima", ending="wav", how=("-c:a", "adpcm_ima_wav"), closeness_db=30),
    Kind(name="wav-adpcm-yamaha", ending="wav", how=("-c:a", "adpcm_yamaha")),
    # This codec adds a rumble, which is taken out.
    Kind(name="wav-gsm", ending="wav", how=("-c:a", "libgsm_ms", *MONO_8K), closeness_db=10),
    Kind(name="wav-g726", ending="wav", how=("-c:a", "g726", *MONO_8K)),
    Kind(name="wav-g723", ending="wav", how=("-c:a", "g723_1", "-b:a", "6300", *MONO_8K)),
    Kind(name="wav-mp3", ending="wav", how=("-c:a", "libmp3lame")),
    Kind(name="wav-mp2", ending="wav", how=("-c:a", "mp2")),
    Kind(name="wav-ac3", ending="wav", how=("-c:a", "ac3")),
    Kind(name="rf64", ending="wav", how=("-rf64", "always")),
    Kind(name="w64", ending="w64", joins=False),
    Kind(name="aiff", ending="aiff", joins=False),
    Kind(name="au", ending="au", joins=False),
    Kind(name="caf", ending="caf", joins=False),
    Kind(name="caf-alac", ending="caf", how=("-c:a", "alac"), joins=False),
    Kind(name="voc", ending="voc", how=("-ac", "1"), joins=False),
    Kind(name="wavpack", ending="wv", joins=False),
    Kind(name="tta", ending="tta", joins=False),
    Kind(name="flac", ending="flac"),
    Kind(name="flac-24", ending="flac", how=("-sample_fmt", "s32")),
    Kind(name="mp3", ending="mp3"),
    Kind(name="mp3-vbr", ending="mp3", how=("-q:a", "4")),
    Kind(name="mp3-mono-64", ending="mp3", how=("-ac", "1", "-b:a", "64k")),
    # Debian's FFmpeg 5.1 decodes low rates 33 dB beside mpg123, the bundled one as mpg123 does.
    Kind(name="mp3-24", ending="mp3", how=("-ar", "24000", "-ac", "1"), closeness_db=30),
    # No tag parts the pieces, so that the first frame of each is decoded on top of the last one before.
    Kind(name="mp2", ending="mp2", closeness_db=25),
    Kind(name="aac", ending="aac"),
    Kind(name="ac3", ending="ac3"),
    Kind(name="m4a-aac", ending="m4a"),
    Kind(name="m4a-he", ending="m4a", how=("-c:a", "aac", "-b:a", "48k", "-ar", "22050")),
    Kind(name="m4a-alac", ending="m4a", how=("-c:a", "alac")),
    Kind(name="m4a-faststart", ending="m4a", how=("-movflags", "+faststart")),
    Kind(name="mp4-fragments", ending="mp4", how=("-movflags", "frag_keyframe+empty_moov")),
    Kind(name="mov", ending="mov", how=("-c:a", "aac")),
    Kind(name="3gp-aac", ending="3gp", how=("-c:a", "aac")),
    Kind(name="ogg-vorbis", ending="ogg", how=("-c:a", "libvorbis")),
    Kind(name="ogg-voice-note", ending="ogg", how=("-c:a", "libopus", "-ar", "48000", "-ac", "1", "-b:a", "24k")),
    Kind(name="ogg-flac", ending="oga", how=("-c:a", "flac")),
    Kind(name="ogg-speex", ending="ogg", how=("-c:a", "libspeex", "-ar", "16000", "-ac", "1")),
    Kind(name="webm-opus", ending="webm", how=("-c:a", "libopus", "-ar", "48000")),
    Kind(name="webm-live", ending="webm", how=("-c:a", "libopus", "-ar", "48000", "-live", "1")),
    Kind(name="webm-vorbis", ending="webm", how=("-c:a", "libvorbis")),
    Kind(name="matroska-aac", ending="mka", how=("-c:a", "aac")),
    Kind(name="wma", ending="wma", how=("-c:a", "wmav2")),
    Kind(name="wma-1", ending="wma", how=("-c:a", "wmav1")),
)


def run(program: str, *arguments: str | Path, data: bytes | None = None) -> bytes:
    """Standard output of a foreign program."""
    path = find_program(program)
    if path is None:
        raise RuntimeError(explain_missing([program]))
    command = [path, *map(str, arguments)]
    return subprocess.run(command, input=data, capture_output=True, check=True, timeout=at_most(60)).stdout


def ffmpeg(*arguments: str | Path, data: bytes | None = None) -> bytes:
    """ffmpeg, quiet; its standard output."""
    interactive = () if data is not None else ("-nostdin",)
    return run("ffmpeg", *interactive, "-y", "-v", "error", *arguments, data=data)


def speech(folder: Path) -> Path:
    """Two seconds by espeak-ng, the same on both channels at 44.1 kHz."""
    said, file = folder / "said.wav", folder / "speech.wav"
    if not file.exists():
        text = "Good morning. This is the clinic. Your appointment is tomorrow at ten o'clock, on the second floor."
        run("espeak-ng", "-v", "en-us", "-w", said, text)
        ffmpeg("-i", said, "-t", str(SECONDS), "-ar", "44100", "-ac", "2", file)
    return file


def encode(kind: Kind, source: Path, folder: Path) -> Path:
    """The source as a file of this kind, once for a folder."""
    file = folder / f"{kind.name}.{kind.ending}"
    if not file.exists():
        ffmpeg("-i", source, *kind.how, file)
    return file


def join(file: Path, pieces: Sequence[bytes]) -> Path:
    """What `cat` does."""
    file.write_bytes(b"".join(pieces))
    return file


def heard_by_ffmpeg(file: Path, *options: str, times: int = 1) -> Samples:
    """What the system's ffmpeg decodes, so many times on end, as 8 kHz mono by libsoxr."""
    wav = file.with_name("decoded.wav")
    ffmpeg(*options, "-i", file, "-vn", "-ac", "1", "-c:a", "pcm_f32le", wav)
    samples, rate = soundfile.read(wav, dtype="float32")
    soundfile.write(wav, np.tile(samples, times), rate, subtype="FLOAT")
    resample = ("-af", "aresample=8000:resampler=soxr:precision=28", "-f", "f32le", "-c:a", "pcm_f32le", "-")
    return np.frombuffer(ffmpeg("-i", wav, *resample), np.float32)


def closeness_db(wanted: NDArray[np.floating], heard: NDArray[np.floating]) -> float:
    """Signal to difference over what both have, from the first sample on and at the best gain."""
    both = min(len(wanted), len(heard))
    one, two = wanted[:both].astype(np.float64), heard[:both].astype(np.float64)
    difference = two - one * (np.dot(one, two) / np.dot(one, one))
    return float(10 * np.log10(np.dot(two, two) / max(np.dot(difference, difference), 1e-12)))


def amr(*, wide: bool, seconds: float) -> bytes:
    """An AMR file (RFC 4867 section 5) of random speech parameters: noise, but any decoder makes the same of it."""
    magic, head, size = (b"#!AMR-WB\n", 0x44, 60) if wide else (b"#!AMR\n", 0x3C, 31)
    dice = random.Random(7)
    return magic + b"".join(bytes([head]) + dice.randbytes(size) for _ in range(round(seconds * 50)))


def id3(*frames: tuple[bytes, bytes]) -> bytes:
    """An ID3v2.3.0 tag."""
    body = b"".join(name + len(content).to_bytes(4, "big") + b"\0\0" + content for name, content in frames)
    size = bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + size + body


def without_id3(data: bytes) -> bytes:
    """An MP3 less the tag in front."""
    if not data.startswith(b"ID3"):
        return data
    return data[10 + sum(byte << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True)) :]


def cover(size: int) -> bytes:
    """Something that says it is a JPEG."""
    return b"\xff\xd8\xff\xe0\x00\x10JFIF\0" + random.Random(1).randbytes(size)

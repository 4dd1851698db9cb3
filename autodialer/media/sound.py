"""Import of a sound: whatever libsndfile reads, to 8 kHz mono at the wanted loudness, encoded once for every codec."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from autodialer.errors import Invalid, TooLarge, UnsupportedContent
from autodialer.media import g711
from autodialer.media.clipping import ClippingMeter
from autodialer.media.loudness import amplitude, decibels, gain_db, loudness_lufs
from autodialer.media.sound_info import DEFAULT_LUFS, FORMATS, SoundInfo

MAX_BYTES = 50_000_000
MAX_S = 600.0
MIN_RATE, MAX_RATE = 1_000, 768_000
MAX_CHANNELS = 64
SILENT = amplitude(-60)
"""-60 dBFS: a sound that never gets louder is silence."""
MOST_CLIPPED = 0.01
"""Share of samples that may be cut off at the top before a recording is refused."""
TRIM_DB = 45.0
"""Below the peak of a sound: what is quieter at its ends counts as silence."""
TRIM_GUARD = round(0.05 * g711.SAMPLE_RATE)
"""Samples of silence kept when it is trimmed: words begin and end softly."""
BLOCK_SAMPLES = 262_144
"""Decoded at once, of all channels together, so that memory does not grow with the file."""
LOUDEST = 1e6
"""Floating-point files may hold any number; what is beyond this is no level of sound."""
UNKNOWN_FRAMES = 2**62
"""libsndfile reports the largest number there is for a file that does not tell its length."""

Samples = NDArray[np.float32]


def import_sound(original: Path, stem: Path, *, lufs: float = DEFAULT_LUFS, trim: bool = False) -> SoundInfo:
    """Read `original` and write `stem`.wav (16 bit, 8 kHz, mono), `stem`.alaw and `stem`.ulaw; all of them or none.

    Brought to a loudness of `lufs`, its true peak at most -1 dBTP; `trim` takes silence off both ends first. Raises
    Invalid (empty, no audio, all silence, clipped), TooLarge (50 MB, 10 min) or UnsupportedContent; all name `file`.
    """
    size = original.stat().st_size
    if size == 0:
        raise Invalid(f"file is empty; upload a recording as {FORMATS}", field="file")
    if size > MAX_BYTES:
        raise TooLarge("file is larger than 50 MB; shorten the recording or save it as FLAC or MP3", field="file")
    samples, rate, channels = _read(original)
    if trim:
        samples = trim_silence(samples)
    if np.abs(samples).max() < SILENT:
        raise Invalid("file holds only silence; record it again and listen to it before uploading", field="file")
    gain = gain_db(samples, lufs)
    # Times 32768: a 16-bit file at 8 kHz that is right is heard bit for bit, and the ceiling rules out an overflow.
    pcm = np.rint(samples * np.float32(32768 * amplitude(gain))).astype(np.int16)
    heard = pcm.astype(np.float32) / 32768
    loudness = loudness_lufs(heard)
    _write(pcm, stem)
    return SoundInfo(
        duration_s=round(len(pcm) / g711.SAMPLE_RATE, 6),
        peak_dbfs=round(decibels(float(np.abs(heard).max())), 2),
        loudness_lufs=None if loudness is None else round(loudness, 2),
        gain_db=round(gain, 2),
        sample_rate=rate,
        channels=channels,
    )


def trim_silence(samples: Samples) -> Samples:
    """Without what is 45 dB and more below the peak at both ends, but for 50 ms."""
    level = np.abs(samples)
    loud = np.flatnonzero(level > level.max(initial=0.0) * amplitude(-TRIM_DB))
    if not len(loud):
        return samples
    return samples[max(0, loud[0] - TRIM_GUARD) : loud[-1] + 1 + TRIM_GUARD]


def _read(original: Path) -> tuple[Samples, int, int]:
    """The sound as 8 kHz mono, -1 to 1, with the rate and channels of the file."""
    try:
        # By descriptor, so that the content alone says what the file is and never the ending of its name.
        with original.open("rb") as raw, soundfile.SoundFile(raw.fileno(), closefd=False) as file:
            _check_header(file)
            rate, channels = file.samplerate, file.channels
            clipping = ClippingMeter(channels, file.subtype)
            blocks = list(_resampled(_mono_blocks(file, clipping), rate))
    except soundfile.SoundFileError as exc:
        raise UnsupportedContent(f"file is no sound that can be read; save it as {FORMATS}", field="file") from exc
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    if not len(samples):
        raise Invalid(f"file holds no audio; upload a recording as {FORMATS}", field="file")
    if clipping.share > MOST_CLIPPED:
        share = f"{clipping.share:.1%}"
        raise Invalid(f"file is clipped ({share} of it is cut off); record it again at a lower level", field="file")
    return samples, rate, channels


def _check_header(file: soundfile.SoundFile) -> None:
    """Refuse by its header what would be costly to decode."""
    rate, channels = file.samplerate, file.channels
    if not MIN_RATE <= rate <= MAX_RATE:
        raise UnsupportedContent(f"file has a sample rate of {rate} Hz; save it with 8 to 48 kHz", field="file")
    if channels > MAX_CHANNELS:
        raise UnsupportedContent(f"file has {channels} channels; save it as mono or stereo", field="file")
    if file.frames > UNKNOWN_FRAMES:
        raise UnsupportedContent("file does not tell its length; open it in an editor and save it as WAV", field="file")
    if file.frames > MAX_S * rate:
        raise _too_long()


def _mono_blocks(file: soundfile.SoundFile, clipping: ClippingMeter) -> Iterator[Samples]:
    """All channels mixed, block by block, after a look for clipping.

    A header that understates the length does not get past the limit.
    """
    frames = 0
    while True:
        block = file.read(BLOCK_SAMPLES // file.channels, dtype="float32", always_2d=True)
        if not len(block):
            return
        frames += len(block)
        if frames > MAX_S * file.samplerate:
            raise _too_long()
        finite = np.clip(np.nan_to_num(block, nan=0.0, posinf=1.0, neginf=-1.0), -LOUDEST, LOUDEST)
        clipping.add(finite)
        yield finite.mean(axis=1, dtype=np.float32)


def _resampled(blocks: Iterator[Samples], rate: int) -> Iterator[Samples]:
    if rate == g711.SAMPLE_RATE:
        yield from blocks
        return
    resampler = soxr.ResampleStream(rate, g711.SAMPLE_RATE, 1, dtype="float32", quality="VHQ")
    for block in blocks:
        yield resampler.resample_chunk(block)
    yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def _too_long() -> TooLarge:
    return TooLarge("file is longer than 10 minutes; shorten the recording", field="file")


def _write(pcm: NDArray[np.int16], stem: Path) -> None:
    with _all_or_none(stem, (".wav", *g711.EXTENSION.values())) as parts:
        soundfile.write(parts[".wav"], pcm, g711.SAMPLE_RATE, format="WAV", subtype="PCM_16")
        for codec, extension in g711.EXTENSION.items():
            parts[extension].write_bytes(g711.encode(pcm, codec))


@contextmanager
def _all_or_none(stem: Path, extensions: tuple[str, ...]) -> Iterator[dict[str, Path]]:
    """Temporary files that get their names together, or vanish."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    parts = {extension: stem.with_name(f"{stem.name}{extension}.part") for extension in extensions}
    try:
        yield parts
        for extension, part in parts.items():
            os.replace(part, stem.with_name(f"{stem.name}{extension}"))
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)

"""Import of a sound: any recording, to 8 kHz mono at the wanted loudness, encoded once for every codec."""

import os
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from autodialer.errors import Invalid, TooLarge, UnsupportedContent
from autodialer.media import g711
from autodialer.media.clipping import ClippingMeter
from autodialer.media.loudness import amplitude, decibels, gain_db, loudness_lufs
from autodialer.media.mixing import RUMBLE_SHARE, Mixed, mix
from autodialer.media.recording import Block, Recording
from autodialer.media.sound_info import DEFAULT_LUFS, FORMATS, SoundInfo, SoundWarning
from autodialer.media.sound_warnings import (
    clipping_warnings,
    damage_warnings,
    loudness_warnings,
    mixing_warnings,
    noise_warnings,
    silence_warnings,
)

MAX_BYTES = 50_000_000
MAX_S = 600.0
MIN_S = 0.3
"""What is shorter is a click to a callee, or a recording that went wrong."""
MIN_RATE, MAX_RATE = 1_000, 768_000
MAX_CHANNELS = 8
"""Of 7.1 sound; each channel of ten minutes takes 19 MB until they are mixed."""
SILENT = amplitude(-60)
"""-60 dBFS: a sound that never gets louder is silence."""
MOST_CLIPPED = 0.01
"""Share of samples that may be cut off at the top before a recording is refused."""
TRIM_DB = 45.0
"""Below the peak of a sound: what is quieter at its ends counts as silence."""
TRIM_GUARD = round(0.05 * g711.SAMPLE_RATE)
"""Samples of silence kept when it is trimmed: words begin and end softly."""
BLOCK_SAMPLES = 262_144
"""Resampled at once, of all channels together: a decoder gives blocks of 20 ms, each of which would cost a call."""
PADDING_S = 0.5
"""What codecs add to ten minutes: blocks that are filled up, and the start and end of their filters."""
LOUDEST = 1e6
"""Floating-point files may hold any number; what is beyond this is no level of sound."""

Samples = NDArray[np.float32]


def import_sound(original: Path, stem: Path, *, lufs: float = DEFAULT_LUFS, trim: bool = False) -> SoundInfo:
    """Read `original` and write `stem`.wav (16 bit, 8 kHz, mono), `stem`.alaw and `stem`.ulaw; all of them or none.

    Brought to a loudness of `lufs`, its true peak at most -1 dBTP; `trim` takes silence off both ends first. Raises
    Invalid (empty, no audio, all silence, clipped, under 0.3 s), TooLarge (50 MB, 10 min) or UnsupportedContent; all
    name `file`.
    """
    size = original.stat().st_size
    if size == 0:
        raise Invalid(f"file is empty; upload a recording as {FORMATS}", field="file")
    if size > MAX_BYTES:
        raise TooLarge("file is larger than 50 MB; shorten the recording or save it as FLAC or MP3", field="file")
    read = _read(original)
    samples = trim_silence(read.samples) if trim else read.samples
    # After the mixing, which has taken an offset out: an offset alone is silence to a callee.
    if np.abs(samples).max() < SILENT:
        raise Invalid("file holds only silence; record it again and listen to it before uploading", field="file")
    if len(samples) < MIN_S * g711.SAMPLE_RATE:
        seconds = f"{len(samples) / g711.SAMPLE_RATE:.2f} s"
        raise Invalid(f"file holds only {seconds} of sound; upload a recording of {MIN_S} s or more", field="file")
    gain = gain_db(samples, lufs)
    # Times 32768: a 16-bit file at 8 kHz that is right is heard bit for bit, and the ceiling rules out an overflow.
    pcm = np.rint(samples * np.float32(32768 * amplitude(gain))).astype(np.int16)
    # Measured behind the rounding to 16 bits, because that is what the callee gets.
    heard = pcm.astype(np.float32) / 32768
    loudness = loudness_lufs(heard)
    _write(pcm, stem)
    return SoundInfo(
        duration_s=round(len(pcm) / g711.SAMPLE_RATE, 6),
        peak_dbfs=round(decibels(float(np.abs(heard).max())), 2),
        loudness_lufs=None if loudness is None else round(loudness, 2),
        gain_db=round(gain, 2),
        sample_rate=read.rate,
        channels=read.channels,
        warnings=(
            *loudness_warnings(loudness=loudness, lufs=lufs, gain_db=gain),
            *read.warnings,
            *noise_warnings(heard),
            *silence_warnings(heard),
        ),
    )


def trim_silence(samples: Samples) -> Samples:
    """Without what is 45 dB and more below the peak at both ends, but for 50 ms."""
    level = np.abs(samples)
    loud = np.flatnonzero(level > level.max(initial=0.0) * amplitude(-TRIM_DB))
    if not len(loud):
        return samples
    return samples[max(0, loud[0] - TRIM_GUARD) : loud[-1] + 1 + TRIM_GUARD]


@dataclass(frozen=True, kw_only=True)
class _Read:
    """A recording as 8 kHz mono, -1 to 1."""

    samples: Samples
    rate: int
    """Of the file as it begins."""
    channels: int
    warnings: tuple[SoundWarning, ...]


@dataclass(kw_only=True)
class _Run:
    """Sound of one rate and number of channels on end, resampled to 8 kHz as it comes."""

    rate: int
    channels: int
    clipping: ClippingMeter
    parts: list[Samples] = field(default_factory=list)
    _resampler: soxr.ResampleStream | None = None
    _waiting: list[Samples] = field(default_factory=list)
    _waiting_frames: int = 0
    _offset: Samples | None = None
    """Of each channel, held back from the resampler, which takes an offset that begins with the file for a knock."""

    @classmethod
    def like(cls, block: Block) -> "_Run":
        """A run that begins with this block. Raises UnsupportedContent."""
        rate, channels = block.rate, block.samples.shape[1]
        if not MIN_RATE <= rate <= MAX_RATE:
            raise UnsupportedContent(f"file has a sample rate of {rate} Hz; save it with 8 to 48 kHz", field="file")
        if channels > MAX_CHANNELS:
            raise UnsupportedContent(f"file has {channels} channels; save it as mono or stereo", field="file")
        run = cls(rate=rate, channels=channels, clipping=ClippingMeter(channels, block.codec))
        # At 8 kHz nothing is resampled: such a file is heard bit for bit.
        if rate != g711.SAMPLE_RATE:
            run._resampler = soxr.ResampleStream(rate, g711.SAMPLE_RATE, channels, dtype="float32", quality="VHQ")
        return run

    def takes(self, block: Block) -> bool:
        """Whether the block goes on where this run is."""
        return (block.rate, block.samples.shape[1]) == (self.rate, self.channels)

    def add(self, samples: Samples) -> None:
        """Samples of shape (frames, channels)."""
        self._waiting.append(samples)
        self._waiting_frames += len(samples)
        if self._waiting_frames * self.channels >= BLOCK_SAMPLES:
            self._resample()

    def mixed(self) -> Mixed:
        """All of it as one channel."""
        self._resample()
        if self._resampler is not None:
            rest = self._resampler.resample_chunk(np.zeros((0, self.channels), np.float32), last=True)
            self.parts.append(rest if self._offset is None else rest + self._offset)
        channels = np.concatenate([np.zeros((0, self.channels), np.float32), *self.parts])
        self.parts.clear()
        return mix(channels)

    def _resample(self) -> None:
        if not self._waiting:
            return
        block = np.concatenate(self._waiting)
        self._waiting.clear()
        self._waiting_frames = 0
        # A NaN or an infinity spoils all that a filter makes after it, and floating-point files may hold them.
        finite = np.clip(np.nan_to_num(block, nan=0.0, posinf=1.0, neginf=-1.0), -LOUDEST, LOUDEST)
        self.clipping.add(finite)
        if self._resampler is None:
            self.parts.append(finite)
            return
        if self._offset is None:
            mean = finite.mean(axis=0, dtype=np.float64)
            counts = np.abs(mean) > RUMBLE_SHARE * np.abs(finite).max(axis=0)
            self._offset = np.where(counts, mean, 0.0).astype(np.float32)
        self.parts.append(self._resampler.resample_chunk(finite - self._offset) + self._offset)


def _read(original: Path) -> _Read:
    recording = Recording(original)
    runs = _runs(recording)
    if not runs:
        raise Invalid(f"file holds no audio; upload a recording as {FORMATS}", field="file")
    mixed = [run.mixed() for run in runs]
    samples = np.concatenate([each.samples for each in mixed])
    if not len(samples):
        raise Invalid(f"file holds no audio; upload a recording as {FORMATS}", field="file")
    frames = sum(run.clipping.frames for run in runs)
    clipped = sum(run.clipping.share * run.clipping.frames for run in runs) / frames
    if clipped > MOST_CLIPPED:
        raise Invalid(
            f"file is clipped ({clipped:.1%} of it is cut off); record it again at a lower level", field="file"
        )
    # What is true of one piece of a joined file is said once, of the piece that has most of it.
    longest = max(range(len(runs)), key=lambda number: len(mixed[number].samples))
    warnings = (
        *clipping_warnings(clipped),
        *mixing_warnings(mixed[longest], runs[longest].channels),
        *damage_warnings(broken=recording.broken, packets=recording.packets, missing_s=recording.missing_s),
    )
    return _Read(samples=samples, rate=runs[0].rate, channels=runs[0].channels, warnings=warnings)


def _runs(recording: Recording) -> list[_Run]:
    """The whole recording. Raises TooLarge once more than ten minutes of it are decoded, whatever its header says."""
    runs: list[_Run] = []
    seconds = 0.0
    # Counted as it is decoded: a header may claim any length, and a small file may unpack to hours.
    for block in recording.blocks():
        if not runs or not runs[-1].takes(block):
            runs.append(_Run.like(block))
        seconds += len(block.samples) / block.rate
        if seconds > MAX_S + PADDING_S:
            raise TooLarge("file is longer than 10 minutes; shorten the recording", field="file")
        runs[-1].add(block.samples)
    return runs


def _write(pcm: NDArray[np.int16], stem: Path) -> None:
    with _all_or_none(stem, (".wav", *g711.EXTENSION.values())) as parts:
        with wave.open(str(parts[".wav"]), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(g711.SAMPLE_RATE)
            file.writeframes(pcm.astype("<i2").tobytes())
        for codec, extension in g711.EXTENSION.items():
            parts[extension].write_bytes(g711.encode(pcm, codec))


@contextmanager
def _all_or_none(stem: Path, extensions: tuple[str, ...]) -> Iterator[dict[str, Path]]:
    """Temporary files that get their names together, or vanish."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    parts = {extension: stem.with_name(f"{stem.name}{extension}.part") for extension in extensions}
    try:
        yield parts
        # Only once all are written: a full disk leaves the sound that was there as it was.
        for extension, part in parts.items():
            os.replace(part, stem.with_name(f"{stem.name}{extension}"))
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)

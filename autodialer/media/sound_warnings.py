"""What a user is warned of when a sound was taken but may not be heard as it was meant."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from autodialer.media import g711
from autodialer.media.loudness import MOST_GAIN_DB, decibels
from autodialer.media.mixing import Mixed
from autodialer.media.sound_info import SoundWarning

WORTH_A_WORD_LU = 6.0
"""Below the wanted loudness: half as loud to the ear."""
RUMBLE_WORTH_A_WORD = 0.05
"""Of the peak: less is what every microphone has."""
CLIPPED_WORTH_A_WORD = 0.001
"""Share of samples cut off; from 0.01 on a recording is refused."""
FRAME = round(0.05 * g711.SAMPLE_RATE)
"""Samples over which a level is taken."""
SILENCE_DB = 45.0
"""Below the peak, as where silence is trimmed."""
SILENCE_BEFORE_S = 2.0
"""A callee who hears nothing for so long hangs up."""
SILENCE_WITHIN_S = 5.0
NOISE_DB = 20.0
"""How far the background must lie below the voice."""
NOISE_FLATNESS = 0.3
"""Spectral flatness from which a background is noise. Measured: white noise 1, a fan's 1/f^2 0.4, music under 0.1."""
VOICE_BAND_HZ = (300, 3400)

Samples = NDArray[np.float32]


def loudness_warnings(*, loudness: float | None, lufs: float, gain_db: float) -> Iterator[SoundWarning]:
    """A sound that could not be made as loud as it should be."""
    if loudness is None or loudness > lufs - WORTH_A_WORD_LU:
        return
    below = f"The sound is {lufs - loudness:.0f} LU quieter than others"
    if gain_db >= MOST_GAIN_DB:
        why = f"the recording is so faint that {MOST_GAIN_DB:.0f} dB more were not enough; record it again, nearer"
    else:
        why = "single peaks (a pop, a click, a knock) leave no room to turn it up; cut them out or record it again"
    yield SoundWarning(code="quiet", message=f"{below}: {why}.")


def clipping_warnings(share: float) -> Iterator[SoundWarning]:
    """A recording that was too loud for its recorder in places."""
    if share > CLIPPED_WORTH_A_WORD:
        message = f"The recording is cut off at its loudest ({share:.1%} of it) and may crackle: record it lower."
        yield SoundWarning(code="clipped", message=message)


def mixing_warnings(mixed: Mixed, channels: int) -> Iterator[SoundWarning]:
    """What was done to the channels of the file."""
    if mixed.rumble_share > RUMBLE_WORTH_A_WORD:
        message = (
            f"The recording had an offset or a rumble below 60 Hz ({mixed.rumble_share:.0%} of its peak), "
            "which was taken out; have the microphone or its cable looked at."
        )
        yield SoundWarning(code="dc_removed", message=message)
    if mixed.alone is None:
        return
    if channels == 2:
        name, others, hold, repeat = ("left channel", "right channel")[mixed.alone], "the other", "holds", "repeats"
    else:
        name, others, hold, repeat = f"channel {mixed.alone + 1}", "the others", "hold", "repeat"
    why = f"{repeat} it late or upside down and would cancel it out" if mixed.copies else f"{hold} only silence"
    yield SoundWarning(code="one_channel", message=f"Only the {name} is heard: {others} {why}.")


def damage_warnings(*, broken: int, packets: int, missing_s: float) -> Iterator[SoundWarning]:
    """A file that could not be decoded everywhere."""
    if not broken and not missing_s:
        return
    parts = f"{broken} of its {packets} parts cannot be read" if broken else "parts of it cannot be read"
    missing = f", some {missing_s:.1f} s are missing" if missing_s else ""
    message = f"The file is damaged: {parts}{missing}. Listen to the sound, and upload it again if you miss something."
    yield SoundWarning(code="damaged", message=message)


def silence_warnings(samples: Samples) -> Iterator[SoundWarning]:
    """Silence so long that a callee takes the call for dead. The longest counts."""
    loud = np.flatnonzero(_levels(samples) > float(np.abs(samples).max()) * 10 ** (-SILENCE_DB / 20))
    if not len(loud):
        return
    edges = np.concatenate([[-1], loud, [len(samples) // FRAME]])
    gaps = np.diff(edges) - 1
    seconds = gaps * FRAME / g711.SAMPLE_RATE
    if seconds[0] >= SILENCE_BEFORE_S:
        message = f"The sound begins with {seconds[0]:.1f} s of silence; cut it off, or upload the file with trim=true."
        yield SoundWarning(code="long_silence", message=message)
        return
    longest = int(np.argmax(seconds))
    if seconds[longest] >= SILENCE_WITHIN_S:
        at = int((edges[longest] + 1) * FRAME / g711.SAMPLE_RATE)
        message = (
            f"The sound is silent for {seconds[longest]:.1f} s from {at // 60}:{at % 60:02} on; shorten the pause."
        )
        yield SoundWarning(code="long_silence", message=message)


def noise_warnings(samples: Samples) -> Iterator[SoundWarning]:
    """A voice that hardly stands out from its background: the quietest frames are noise, and not far below."""
    levels = _levels(samples)
    levels = levels[levels > 0]
    # Under a second there are too few levels to tell voice and background apart.
    if len(levels) < 20:
        return
    voice, background = np.quantile(levels, 0.95), np.quantile(levels, 0.1)
    # Quantiles, because a single knock or a single gap says nothing of the rest.
    apart_db = decibels(float(voice)) - decibels(float(background))
    if apart_db < NOISE_DB and _flatness(samples, background) > NOISE_FLATNESS:
        message = (
            f"The background is noise, only {apart_db:.0f} dB below the loudest parts; "
            "record it again in a quiet room, or take the noise out."
        )
        yield SoundWarning(code="noise", message=message)


def _levels(samples: Samples) -> NDArray[np.float64]:
    """RMS of each whole frame."""
    frames = samples[: len(samples) - len(samples) % FRAME].reshape(-1, FRAME)
    # einsum, because squares of ten minutes in double precision would take 40 MB.
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", frames, frames, dtype=np.float64) / FRAME))


def _flatness(samples: Samples, background: float) -> float:
    """Of the mean spectrum of the frames no louder than `background`: geometric by arithmetic mean, 0 to 1."""
    frames = samples[: len(samples) - len(samples) % FRAME].reshape(-1, FRAME)
    # 50 s tell the spectrum of a background, and bound the work.
    quiet = frames[_levels(samples) <= background][:1000] * np.hanning(FRAME)
    spectrum = np.mean(np.abs(np.fft.rfft(quiet, axis=1)) ** 2, axis=0)
    hertz = np.fft.rfftfreq(FRAME, 1 / g711.SAMPLE_RATE)
    # Digital silence has no logarithm.
    band = spectrum[(hertz >= VOICE_BAND_HZ[0]) & (hertz <= VOICE_BAND_HZ[1])] + 1e-20
    return float(np.exp(np.mean(np.log(band))) / np.mean(band))

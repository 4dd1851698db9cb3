"""Makes one channel of the channels of a recording, whatever is wrong with them.

An offset or a rumble that no telephone carries must not decide how loud a sound is, nor may channels cancel out: the
plain mean of a cable with its wires swapped is silence.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt, sosfilt_zi, sosfiltfilt

from autodialer.media import g711

HIGH_PASS_HZ = 60.0
"""Telephony begins at 300 Hz; the deepest voices at 80."""
RUMBLE_HZ = 30.0
"""What is below is no sound: an offset, wind, a knock at the microphone."""
RUMBLE_SHARE = 10 ** (-45 / 20)
"""Of the peak, RMS: from here on an offset would pass for sound where silence is trimmed. Speech has 50 dB below."""
THUD_SHARE = 0.25
"""Of the peak, at its highest: from here on a pop, and not the voice, would decide how loud the sound can be made."""
SILENT_CHANNEL = 10 ** (-40 / 20)
"""A channel so far below the loudest holds only what leaked into it."""
SAME_SOUND = 0.5
"""Correlation from which two channels hold the same sound."""
OPPOSED = -0.2
"""Correlation below which adding takes more away than it brings."""
AS_GOOD = 0.98
"""In-phase correlation that counts as the best of all delays: a tone is like itself at most delays."""
MOST_DELAY = round(0.01 * g711.SAMPLE_RATE)
"""Samples that one channel may be late by: microphones three metres apart."""
CHUNK = 65_536
"""Samples filtered at a time."""
BLOCK = 4096
"""Samples correlated at a time, 0.5 s: what delays move over the seam of two blocks is lost, and is little of them."""

Samples = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Mixed:
    """One channel made of several."""

    samples: Samples
    """8 kHz."""
    rumble_share: float
    """Of the peak: how much was taken out below 60 Hz; 0 if nothing had to be."""
    alone: int | None = None
    """The only channel that is heard, from 0; None: all that hold sound are, or there is but one."""
    copies: int = 0
    """Channels left out because they would cancel out the others, being late or upside down."""


def mix(channels: Samples) -> Mixed:
    """One channel of `channels`, of shape (samples, channels) at 8 kHz."""
    shares = [_rumble(channel) for channel in channels.T]
    disturbing = [share for share, disturbs in shares if disturbs]
    if disturbing:
        channels = np.stack([_high_passed(channel) for channel in channels.T], axis=1)
    rumble = max(disturbing, default=0.0)
    levels = np.sqrt(np.mean(np.square(channels, dtype=np.float64), axis=0)) if len(channels) else np.zeros(1)
    first = int(np.argmax(levels))
    signs, copies = {first: 1.0}, 0
    for other in np.flatnonzero(levels > levels[first] * SILENT_CHANNEL).tolist():
        if other == first:
            continue
        sign = _sign(channels[:, first], channels[:, other])
        copies += sign is None
        if sign is not None:
            signs[other] = sign
    weights = np.zeros(channels.shape[1], np.float32)
    # The mean and not the sum, which could rise above full scale.
    weights[list(signs)] = np.array(list(signs.values())) / len(signs)
    alone = first if len(signs) == 1 and channels.shape[1] > 1 else None
    return Mixed(samples=channels @ weights, rumble_share=rumble, alone=alone, copies=copies)


def _rumble(channel: Samples) -> tuple[float, bool]:
    """What lies below 30 Hz as a share of the peak, and whether it is too much."""
    peak = float(np.abs(channel).max(initial=0.0))
    if not peak:
        return 0.0, False
    power = highest = 0.0
    # In chunks, because the filter wants doubles: 38 MB for ten minutes of one channel.
    for chunk in _filtered(channel, butter(6, RUMBLE_HZ, "lowpass", fs=g711.SAMPLE_RATE, output="sos")):
        power += float(np.sum(chunk**2))
        highest = max(highest, float(np.abs(chunk).max()))
    share = float(np.sqrt(power / len(channel))) / peak
    return share, share > RUMBLE_SHARE or highest > THUD_SHARE * peak


def _filtered(channel: Samples, sections: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    # As if the offset had been there for ever: if it began with the file, it would make a thud.
    state = sosfilt_zi(sections) * float(np.mean(channel, dtype=np.float64))
    for start in range(0, len(channel), CHUNK):
        chunk, state = sosfilt(sections, channel[start : start + CHUNK].astype(np.float64), zi=state)
        yield chunk


def _high_passed(channel: Samples) -> Samples:
    """Forth and back, so that what passes keeps its shape, and its peaks their height."""
    sections = butter(2, HIGH_PASS_HZ, "highpass", fs=g711.SAMPLE_RATE, output="sos")
    # scipy takes no padding as long as the sound. 0.1 s are six periods of the frequency.
    padding = min(g711.SAMPLE_RATE // 10, len(channel) - 1)
    # Mirrored at the ends: turned about the last sample, as is usual, a wave that is cut off there would make a step.
    return np.asarray(sosfiltfilt(sections, channel, padtype="even", padlen=padding), np.float32)


def _sign(first: Samples, other: Samples) -> float | None:
    """What `other` is multiplied by before it is added to `first`; None: it is a copy that would take away from it."""
    by_delay = _correlation(first, other)
    in_phase = float(by_delay[MOST_DELAY])
    best = float(np.abs(by_delay).max())
    if best >= SAME_SOUND:
        return 1.0 if in_phase >= AS_GOOD * best else None
    return -1.0 if in_phase < OPPOSED else 1.0


def _correlation(first: Samples, other: Samples) -> NDArray[np.float64]:
    """Of two channels, -1 to 1, for each delay from -MOST_DELAY to MOST_DELAY."""
    # Twice the block: without zeroes behind it the correlation would wrap round. Block by block, because one transform
    # of ten minutes would take hundreds of megabytes.
    size = 2 * BLOCK
    spectrum = np.zeros(size // 2 + 1, np.complex128)
    for start in range(0, len(first), BLOCK):
        one, two = (np.fft.rfft(channel[start : start + BLOCK], size) for channel in (first, other))
        spectrum += np.conj(one) * two
    products = np.fft.irfft(spectrum, size)
    scale = float(np.linalg.norm(first.astype(np.float64)) * np.linalg.norm(other.astype(np.float64)))
    return np.concatenate([products[-MOST_DELAY:], products[: MOST_DELAY + 1]]) / (scale or 1.0)

"""How loud a sound is and how much louder or quieter it is made: loudness by ITU-R BS.1770-4, true peak, gain."""

import math
from collections.abc import Iterator

import numpy as np
import soxr
from numpy.typing import NDArray

from autodialer.media import g711

CEILING_DBTP = -1.0
"""No true peak is higher: a peaky sound stays below the wanted loudness rather than being limited."""
MOST_GAIN_DB = 30.0
"""A sound is turned up by this at most: beyond it, what comes up is the hiss of the recording."""
BLOCK_SAMPLES = round(0.4 * g711.SAMPLE_RATE)
"""Loudness is defined over blocks of 400 ms; a sound without one whole block has no loudness."""
METER_RATE = 2 * g711.SAMPLE_RATE
"""Of the meter, Hz: at 8 kHz its filters, meant for 48 kHz, are 0.3 dB off at the top; at 16 kHz they are not."""
STEP_SAMPLES = BLOCK_SAMPLES // 4
"""Blocks overlap by three quarters, ITU-R BS.1770-4 annex 1."""
OVERSAMPLING = 4
"""Of the true peak, ITU-R BS.1770-4 annex 2."""
# Ten minutes, oversampled at once, would take 77 MB.
CHUNK_SAMPLES = 65_536
ENOUGH_LU = 0.05
"""Two loudnesses are the same to any ear, and to the meters, which show tenths."""

Samples = NDArray[np.float32]


def decibels(amplitude: float) -> float:
    """20 log10, 1 being full scale. Raises ValueError for nothing."""
    return 20 * math.log10(amplitude)


def amplitude(level_db: float) -> float:
    """The inverse of `decibels`."""
    return float(10 ** (level_db / 20))


def loudness_lufs(samples: Samples) -> float | None:
    """Gated loudness of 8 kHz mono; None under 0.4 s, and for what is nowhere louder than -70 LUFS."""
    # Here, because it brings scipy: 0.7 s and 80 MB that only a process which imports sounds is to spend.
    from pyloudnorm import Meter

    # Whole steps: pyloudnorm counts a last block that is cut off, the recommendation does not.
    whole = len(samples) - len(samples) % STEP_SAMPLES
    if whole < BLOCK_SAMPLES:
        return None
    doubled = soxr.resample(samples[:whole], g711.SAMPLE_RATE, METER_RATE, "VHQ")
    measured = float(Meter(METER_RATE).integrated_loudness(doubled))
    return measured if math.isfinite(measured) else None


def true_peak(samples: Samples) -> float:
    """The highest amplitude between the samples too, as the callee's converter draws the curve."""
    # The samples themselves too: what lies right below 4 kHz does not pass the filter.
    highest = float(np.abs(samples).max(initial=0.0))
    before = np.zeros(0, np.float32)
    for chunk in _oversampled(samples):
        curve = np.abs(np.concatenate([before, chunk]))
        highest = max(highest, _highest_crest(curve))
        # A crest on the seam of two chunks needs its neighbours.
        before = curve[-2:]
    return highest


def _oversampled(samples: Samples) -> Iterator[Samples]:
    rate = g711.SAMPLE_RATE
    resampler = soxr.ResampleStream(rate, OVERSAMPLING * rate, 1, dtype="float32", quality="VHQ")
    for start in range(0, len(samples), CHUNK_SAMPLES):
        yield resampler.resample_chunk(samples[start : start + CHUNK_SAMPLES])
    yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def _highest_crest(curve: Samples) -> float:
    """By a parabola through the three points of a crest: near 4 kHz, four points a sample may miss it by 0.4 dB."""
    highest = float(curve.max(initial=0.0))
    left, middle, right = curve[:-2], curve[1:-1], curve[2:]
    # 0.4 dB are 5 %: what lies under 0.9 of the highest point cannot rise above it.
    crest = (middle >= left) & (middle >= right) & (middle > 0.9 * highest)
    slope = (right[crest] - left[crest]).astype(np.float64)
    bend = 2.0 * middle[crest] - left[crest] - right[crest]
    above = np.divide(slope**2, 8 * bend, out=np.zeros_like(slope), where=bend > 0)
    return max(highest, float((middle[crest] + above).max(initial=0.0)))


def gain_db(samples: Samples, lufs: float) -> float:
    """By how much to turn a sound up (or down, below 0) to `lufs`. Raises ValueError for digital silence.

    The true peak stays under the ceiling. What has no loudness is brought to that ceiling. Measured at the level that
    is heard, because blocks below -70 LUFS do not count.
    """
    most = min(CEILING_DBTP - decibels(true_peak(samples)), MOST_GAIN_DB)
    gain = most
    # Turned up, blocks that lay under the gate count as well, and the loudness is another one.
    for _ in range(3):
        heard = loudness_lufs(samples * np.float32(amplitude(gain)))
        if heard is None:
            break
        gain, before = min(gain + lufs - heard, most), gain
        if abs(gain - before) < ENOUGH_LU:
            break
    # A sound that is right already is heard bit for bit.
    return 0.0 if abs(gain) < ENOUGH_LU and most >= 0 else gain

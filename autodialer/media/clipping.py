"""Whether a recording was cut off at the top: too loud for the recorder, and not to be mended."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

SHORTEST_RUN = 3
"""Consecutive samples at the same extreme. A curve that only just reaches it touches it with one or two."""
SAME = 2 / 32768
"""What counts as being at the extreme, so that the dither of an editor does not hide a flat top."""
FULL_SCALE = 10 ** (-1 / 20)
"""An extreme above -1 dBFS is full scale: recorders and editors that clip do so at 0 to -1."""
FAINT = 10 ** (-40 / 20)
"""Nobody turns a clipped recording down so far; below this, flat tops are the steps of the format."""
STEPS = {
    "pcm_u8": 1 / 128,
    "pcm_s8": 1 / 128,
    "pcm_mulaw": 1 / 32,
    "pcm_alaw": 1 / 32,
    "g726": 1 / 32,
    "g726le": 1 / 32,
}
"""How far apart the loudest two values of a coarse format are; of all others, no further than those of 16 bit."""
STEP = 1 / 32768

Samples = NDArray[np.float32]


class ClippingMeter:
    """Counts clipped samples of a recording that comes block by block.

    Clipped are runs of three and more samples at the highest, or the lowest, value of a channel, if the curve does not
    bend into them but arrives steeply: by more than four steps of the format, which no crest does that a coarse format
    has flattened. Below full scale (cut off, then turned down) it must have arrived from the same side of zero as well:
    a square wave, which is meant to be flat, jumps.
    """

    def __init__(self, channels: int, codec: str) -> None:
        """`codec` is FFmpeg's name of how samples are stored."""
        self._step = STEPS.get(codec, STEP)
        self._extremes = np.zeros((channels, 2))
        self._clipped = np.zeros((channels, 2), np.int64)
        self.frames = 0
        """Samples of each channel so far."""

    def add(self, block: Samples) -> None:
        """Samples of shape (frames, channels). A run across two blocks counts as two."""
        self.frames += len(block)
        for channel, samples in enumerate(block.T):
            # Each side by itself: with an offset on the line a recorder
            # cuts off one side only, or each at another height.
            for side, curve in enumerate((samples, -samples)):
                self._add(channel, side, curve)

    @property
    def share(self) -> float:
        """Clipped samples of the channel that has most, 0 to 1."""
        return float(self._clipped.sum(axis=1).max(initial=0)) / self.frames if self.frames else 0.0

    def _add(self, channel: int, side: int, curve: Samples) -> None:
        extreme = float(curve.max(initial=0.0))
        known = self._extremes[channel, side]
        if extreme > known + _same(known):
            self._clipped[channel, side] = 0  # what seemed to be the top was not
        self._extremes[channel, side] = extreme = max(extreme, known)
        if extreme > FAINT:
            self._clipped[channel, side] += sum(_flat_tops(curve, extreme, self._step))


def _same(extreme: float) -> float:
    """Floating-point samples beyond full scale have coarser steps."""
    return SAME * max(1.0, extreme)


def _flat_tops(curve: Samples, extreme: float, step: float) -> Iterator[int]:
    """Lengths of the clipped runs."""
    same = _same(extreme)
    at_top = np.concatenate([[False], curve >= extreme - same, [False]])
    edges = np.flatnonzero(at_top[1:] != at_top[:-1])
    begins, ends = edges[::2], edges[1::2]
    # Every block has a highest sample; only a run of them is a flat top.
    long = ends - begins >= SHORTEST_RUN
    # Neighbours of a run; a block's end is no evidence.
    padded = np.concatenate([[extreme], curve, [extreme]])
    steep = extreme - 4 * (step + same)
    lowest = -np.inf if extreme >= FULL_SCALE else 0.0
    for begin, end in zip(begins[long].tolist(), ends[long].tolist(), strict=True):
        if lowest < padded[begin] < steep or lowest < padded[end + 1] < steep:
            yield end - begin

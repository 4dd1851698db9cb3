"""G.711 A-law and mu-law by table. The codes are those of Python's audioop lin2alaw and lin2ulaw.

The dialer wants to know of G.711 but not to encode: numpy, which takes 12 MB, is imported only by who encodes.
"""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CODECS = ("PCMA", "PCMU")
SAMPLE_RATE = 8000
PAYLOAD_TYPES = {"PCMU": 0, "PCMA": 8}
"""Static RTP payload types, RFC 3551 section 6."""
SILENCE = {"PCMA": 0xD5, "PCMU": 0xFF}
"""Code of the sample 0."""
EXTENSION = {"PCMA": ".alaw", "PCMU": ".ulaw"}
"""Ending of a file of codes."""

_MU_BIAS = 0x21
_MU_CLIP = 8159
_SEGMENT_ENDS = (0x1F, 0x3F, 0x7F, 0xFF, 0x1FF, 0x3FF, 0x7FF, 0xFFF)
_MU_SEGMENT_ENDS = (0x3F, 0x7F, 0xFF, 0x1FF, 0x3FF, 0x7FF, 0xFFF, 0x1FFF)


def encode(samples: "NDArray[np.int16]", codec: str) -> bytes:
    """Codes of 16-bit samples, one byte a sample."""
    import numpy as np

    return bytes(encoding_table(codec)[samples.view(np.uint16)].tobytes())


@cache
def encoding_table(codec: str) -> "NDArray[np.uint8]":
    """Code of each 16-bit sample, indexed by the sample as an unsigned number."""
    import numpy as np

    encode_one: Callable[[int], int] = {"PCMA": _alaw, "PCMU": _ulaw}[codec]
    signed = np.arange(65536, dtype=np.uint16).view(np.int16)
    return np.array([encode_one(int(sample)) for sample in signed], dtype=np.uint8)


def _segment(value: int, ends: tuple[int, ...]) -> int:
    return next((number for number, end in enumerate(ends) if value <= end), 8)


def _alaw(sample: int) -> int:
    """ITU-T G.711 table 1a: 13-bit magnitude, even bits inverted."""
    value = sample >> 3
    mask = 0xD5
    if value < 0:
        mask, value = 0x55, -value - 1
    segment = _segment(value, _SEGMENT_ENDS)
    if segment >= 8:
        return 0x7F ^ mask
    shift = 1 if segment < 2 else segment
    return ((segment << 4) | ((value >> shift) & 0x0F)) ^ mask


def _ulaw(sample: int) -> int:
    """ITU-T G.711 table 2a: 14-bit magnitude plus bias, all bits inverted."""
    value = sample >> 2
    mask = 0xFF
    if value < 0:
        mask, value = 0x7F, -value
    value = min(value, _MU_CLIP) + _MU_BIAS
    segment = _segment(value, _MU_SEGMENT_ENDS)
    if segment >= 8:
        return 0x7F ^ mask
    return ((segment << 4) | ((value >> (segment + 1)) & 0x0F)) ^ mask

"""G.711 A-law and mu-law by table. The codes are those of Python's audioop lin2alaw and lin2ulaw.

The dialer wants to know of G.711 but not to encode: numpy, which takes 12 MB, is imported only for encoding.
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

# 33 makes every segment begin at a power of two; 8159 is the end of the last one (ITU-T G.711 table 2a).
_MU_BIAS = 0x21
_MU_CLIP = 8159
_SEGMENT_ENDS = (0x1F, 0x3F, 0x7F, 0xFF, 0x1FF, 0x3FF, 0x7FF, 0xFFF)
_MU_SEGMENT_ENDS = (0x3F, 0x7F, 0xFF, 0x1FF, 0x3FF, 0x7FF, 0xFFF, 0x1FFF)


def decode(codes: bytes, codec: str) -> bytes:
    """16-bit samples, little-endian, of the codes: what is heard of them."""
    lower, upper = _decoding_tables(codec)
    # Two look-ups in C instead of one in Python, and no numpy: the API decodes too.
    samples = bytearray(2 * len(codes))
    samples[::2], samples[1::2] = codes.translate(lower), codes.translate(upper)
    return bytes(samples)


@cache
def _decoding_tables(codec: str) -> tuple[bytes, bytes]:
    """Lower and upper byte of the sample that each code stands for."""
    decode_one: Callable[[int], int] = {"PCMA": _from_alaw, "PCMU": _from_ulaw}[codec]
    samples = b"".join(decode_one(code).to_bytes(2, "little", signed=True) for code in range(256))
    return samples[::2], samples[1::2]


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
        # One less, as audioop has it: A-law has no code for 0, so -1 belongs to the first negative step.
        mask, value = 0x55, -value - 1
    segment = _segment(value, _SEGMENT_ENDS)
    if segment >= 8:
        return 0x7F ^ mask
    # The two lowest segments have steps of one size.
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


def _from_alaw(code: int) -> int:
    """ITU-T G.711 table 1a, the decoder's output value, times 8."""
    code ^= 0x55
    segment, step = code >> 4 & 7, code & 0x0F
    value = (2 * step + 1) << 3 if segment == 0 else (2 * step + 33) << segment + 2
    return value if code & 0x80 else -value


def _from_ulaw(code: int) -> int:
    """ITU-T G.711 table 2a, the decoder's output value, times 4."""
    code ^= 0xFF
    segment, step = code >> 4 & 7, code & 0x0F
    value = ((2 * step + _MU_BIAS) << segment) - _MU_BIAS
    return -4 * value if code & 0x80 else 4 * value

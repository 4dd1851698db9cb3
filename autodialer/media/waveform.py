"""The waveform of a sound, to be drawn: its peaks over time, taken from its A-law codes.

Codes of one sign rise with the level, so that the loudest of many is found without decoding them, and without numpy,
which the API does not load.
"""

from autodialer.media import g711

MOST_PEAKS = 1000
"""More than a page has pixels for."""
_LEVEL = bytes((code ^ 0x55) & 0x7F for code in range(256))
"""Rank of a code by its level, 0 to 127."""
FULL_SCALE = 32768


def peaks(codes: bytes) -> tuple[list[float], int]:
    """The highest amplitude, 0 to 1, of each stretch of a sound, and how many samples a stretch has."""
    stretch = max(1, -(-len(codes) // MOST_PEAKS))
    levels = codes.translate(_LEVEL)
    loudest = [max(levels[start : start + stretch]) for start in range(0, len(levels), stretch)]
    return [_AMPLITUDE[level] for level in loudest], stretch


def _amplitude(level: int) -> float:
    sample = int.from_bytes(g711.decode(bytes([(level | 0x80) ^ 0x55]), "PCMA"), "little", signed=True)
    return round(sample / FULL_SCALE, 4)


_AMPLITUDE = [_amplitude(level) for level in range(128)]

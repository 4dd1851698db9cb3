"""What there is to know of an imported sound: API and dialer have it without the libraries that import sounds."""

from dataclasses import dataclass

DEFAULT_LUFS = -20.0
"""What sounds are brought to."""
FORMATS = "WAV, FLAC, OGG or MP3"
"""What every program can save."""


@dataclass(frozen=True, kw_only=True)
class SoundWarning:
    """Something about a sound that its user may not expect; it was taken anyway."""

    code: str
    """quiet, clipped, noise, long_silence, dc_removed, one_channel or damaged."""
    message: str
    """What is the matter and what can be done, as a sentence."""


@dataclass(frozen=True, kw_only=True)
class SoundInfo:
    """What an imported sound is."""

    duration_s: float
    """Of what is heard."""
    peak_dbfs: float
    """Of what is heard, its highest sample."""
    loudness_lufs: float | None
    """Of what is heard, ITU-R BS.1770-4; None: shorter than 0.4 s."""
    gain_db: float
    """By how much it was turned up, or down (below 0)."""
    sample_rate: int
    """Of the file as it came, Hz; of its first piece if it was joined."""
    channels: int
    """Of the file as it came; of its first piece if it was joined."""
    warnings: tuple[SoundWarning, ...] = ()

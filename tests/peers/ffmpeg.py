"""Sound measured by ffmpeg's EBU R 128 meter (filter ebur128): loudness and true peak."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.peers.requirements import explain_missing, find_program
from tests.timing import at_most

RATE = 48000
"""ITU-R BS.1770 is written for it; at lower rates the filters of meters differ among themselves by half a decibel."""


@dataclass(frozen=True, kw_only=True)
class Loudness:
    """What ffmpeg says of a sound file, in tenths."""

    lufs: float
    """Integrated; -70 where nothing is loud enough to count."""
    true_peak_dbfs: float


def loudness(file: Path) -> Loudness:
    """Integrated loudness and true peak of a mono file of at least 0.4 s."""
    path = find_program("ffmpeg")
    if path is None:
        raise RuntimeError(explain_missing(["ffmpeg"]))
    resampled = f"aresample={RATE}:filter_size=128,ebur128=peak=true"
    # The peak with silence about it, as on the line: cut off hard, the meter's own resampler rings at both ends.
    return Loudness(
        lufs=_figure(r"I:\s+(\S+) LUFS", _summary(path, file, resampled)),
        true_peak_dbfs=_figure(r"Peak:\s+(\S+) dBFS", _summary(path, file, f"apad=pad_dur=0.2,adelay=200,{resampled}")),
    )


def _summary(path: str, file: Path, chain: str) -> str:
    command = [path, "-nostdin", "-hide_banner", "-i", str(file), "-af", chain, "-f", "null", "-"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=at_most(60)).stderr
    return said[said.rindex("Summary:") :]


def _figure(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError(f"ffmpeg does not say {pattern}: {text}")
    return float(found[1])

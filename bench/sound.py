"""Import of sounds by the process that does it: one of ten minutes, and a voice note."""

import resource
from pathlib import Path

from autodialer.media.shell.importing import import_apart
from tests.media.recordings import ffmpeg, speech


def measure(folder: Path) -> dict[str, float]:
    """CPU and memory for ten minutes of stereo MP3 at 44.1 kHz, and CPU for four seconds of Opus."""
    source = speech(folder)
    note, long = folder / "note.ogg", folder / "long.mp3"
    ffmpeg("-stream_loop", "-1", "-i", source, "-t", "4", "-c:a", "libopus", "-ar", "48000", "-ac", "1", note)
    ffmpeg("-stream_loop", "-1", "-i", source, "-t", "600", long)
    note_cpu_s = _import(note)
    cpu_s = _import(long)
    return {
        "sound.note_cpu_s": note_cpu_s,
        "sound.cpu_s": cpu_s,
        "sound.rss_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
    }


def _import(file: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    import_apart(file, file.with_name("heard"))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

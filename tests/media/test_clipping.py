"""Recordings that sox has cut off at the top, as recorders and editors do, and others that only look so."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from autodialer.errors import Invalid
from autodialer.media.clipping import ClippingMeter
from autodialer.media.recording import Recording
from autodialer.media.sound import MOST_CLIPPED, import_sound
from tests.peers.requirements import find_program
from tests.timing import at_most

pytestmark = pytest.mark.peer("sox", "espeak-ng")

Signal = NDArray[np.float64]


def run(program: str, *arguments: str) -> None:
    command = [find_program(program) or program, *arguments]
    subprocess.run(command, check=True, timeout=at_most(60), capture_output=True)


def speech(folder: Path) -> Path:
    file = folder / "speech.wav"
    text = "Good morning. Your appointment is tomorrow at ten. Please bring your papers, and a little patience."
    run("espeak-ng", "-v", "en-us", "-w", str(file), text)
    return file


def music(folder: Path, rate: int = 44100) -> Path:
    """Plucked chords over a bass and noise."""
    file = folder / "music.wav"
    voices = [argument for note in ("E2", "A3", "C4", "E4", "A4") for argument in ("pluck", note)]
    run("sox", "-R", "-n", "-r", str(rate), "-c", "1", str(file), "synth", "6", *voices, "remix", "-", "norm", "-1")
    return file


def share_of(file: Path) -> float:
    blocks = list(Recording(file).blocks())
    meter = ClippingMeter(blocks[0].samples.shape[1], blocks[0].codec)
    for block in blocks:
        meter.add(block.samples)
    return meter.share


def counted(file: Path) -> float:
    """Share of samples in runs of three at the extremes, by hand."""
    samples, _ = soundfile.read(file)
    total = 0
    for top in (samples >= samples.max(), samples <= samples.min()):
        run_length = 0
        for at_top in [*top, False]:
            if not at_top and run_length >= 3:
                total += run_length
            run_length = run_length + 1 if at_top else 0
    return total / len(samples)


CLIPPED = [
    ("speech 12 dB too loud", speech, ["gain", "15"]),
    ("speech 20 dB too loud", speech, ["gain", "23"]),
    ("speech at 48 kHz", speech, ["rate", "48000", "gain", "18"]),
    ("speech at 8 kHz", speech, ["rate", "8000", "gain", "18"]),
    ("music", music, ["gain", "18"]),
    ("a distorted guitar", music, ["gain", "40"]),
    ("turned down by 6 dB afterwards", speech, ["gain", "18", "gain", "-6"]),
    ("turned down by 12 dB and dithered", speech, ["gain", "18", "gain", "-12", "dither"]),
    ("two channels, one clipped", speech, ["gain", "-n", "remix", "1", "1v8"]),
]


@pytest.mark.parametrize(("_name", "source", "effects"), CLIPPED, ids=[row[0] for row in CLIPPED])
def test_what_sox_clips_is_refused(tmp_path: Path, _name: str, source: object, effects: list[str]) -> None:
    assert callable(source)
    run("sox", "-R", str(source(tmp_path)), "-b", "16", str(tmp_path / "loud.wav"), *effects)
    with pytest.raises(Invalid, match=r"^file is clipped \(.*%.*lower level$") as refusal:
        import_sound(tmp_path / "loud.wav", tmp_path / "out" / "sound")
    assert refusal.value.field == "file"
    assert not (tmp_path / "out").exists()


FORMATS = [
    ("wav", ["-b", "8"]),
    ("wav", ["-e", "u-law"]),
    ("wav", ["-e", "a-law"]),
    ("wav", ["-b", "24"]),
    ("flac", []),
]


@pytest.mark.parametrize(("ending", "shape"), FORMATS)
def test_clipping_is_seen_in_every_format_that_keeps_it(tmp_path: Path, ending: str, shape: list[str]) -> None:
    file = tmp_path / f"loud.{ending}"
    run("sox", "-R", "-D", str(speech(tmp_path)), *shape, str(file), "rate", "8000", "gain", "24")
    assert share_of(file) > MOST_CLIPPED


GOOD = [
    ("speech at full scale", speech, ["gain", "-n"]),
    ("music at full scale", music, ["gain", "-n"]),
    ("music by a compressor", music, ["gain", "-n", "-6", "compand", "0.005,0.1", "-60,-60,-20,-8,0,-3", "gain", "-n"]),
    ("speech by sox's limiter", speech, ["gain", "-l", "9", "gain", "-n"]),
    ("music at full scale at 8 kHz", music, ["rate", "8000", "gain", "-n"]),
]


@pytest.mark.parametrize(("_name", "source", "effects"), GOOD, ids=[row[0] for row in GOOD])
def test_what_is_loud_and_whole_is_taken(tmp_path: Path, _name: str, source: object, effects: list[str]) -> None:
    assert callable(source)
    run("sox", "-R", str(source(tmp_path)), "-b", "16", str(tmp_path / "loud.wav"), *effects)
    assert np.abs(soundfile.read(tmp_path / "loud.wav")[0]).max() > 0.99
    import_sound(tmp_path / "loud.wav", tmp_path / "sound")


SMOOTH = [
    (rate, hertz, shape)
    for shape in (["-b", "16"], ["-b", "8"], ["-e", "u-law"], ["-e", "a-law"])
    for rate, hertz in ((48000, 50), (48000, 440), (8000, 25), (8000, 440), (8000, 1000))
]


@pytest.mark.parametrize(("rate", "hertz", "shape"), SMOOTH)
def test_the_crests_of_a_tone_are_not_clipped_however_coarse_the_format(
    tmp_path: Path, rate: int, hertz: int, shape: list[str]
) -> None:
    file = tmp_path / "tone.wav"
    run("sox", "-D", "-n", "-r", str(rate), *shape, str(file), "synth", "2", "sine", str(hertz), "gain", "-0.1")
    assert share_of(file) < MOST_CLIPPED


def test_a_square_wave_below_full_scale_is_meant_to_be_flat(tmp_path: Path) -> None:
    run("sox", "-D", "-n", "-r", "8000", str(tmp_path / "a.wav"), "synth", "1", "square", "400", "gain", "-6")
    import_sound(tmp_path / "a.wav", tmp_path / "sound")


def test_the_share_is_that_of_samples_in_runs_at_the_extremes(tmp_path: Path) -> None:
    file = tmp_path / "loud.wav"
    run("sox", "-R", "-D", str(speech(tmp_path)), "-b", "16", str(file), "gain", "12")
    assert share_of(file) == pytest.approx(counted(file), rel=0.03)


@pytest.mark.parametrize(("clipped", "refused"), [(0.008, False), (0.012, True)])
def test_one_per_cent_is_the_limit(tmp_path: Path, clipped: float, refused: bool) -> None:
    signal = 0.9 * np.sin(2 * np.pi * 90 * np.arange(80_000) / 8000)
    for start in range(100, 80_000, 1000):
        signal[start : start + round(1000 * clipped)] = 1.0
    soundfile.write(tmp_path / "a.wav", signal, 8000)
    assert share_of(tmp_path / "a.wav") == pytest.approx(clipped, abs=0.0005)
    if refused:
        with pytest.raises(Invalid, match="file is clipped"):
            import_sound(tmp_path / "a.wav", tmp_path / "sound")
    else:
        import_sound(tmp_path / "a.wav", tmp_path / "sound")


def test_what_seemed_the_top_until_something_louder_came_does_not_count() -> None:
    meter = ClippingMeter(1, "pcm_s16le")
    ramp = np.concatenate([np.linspace(0, 0.5, 50), np.full(50, 0.5), np.linspace(0.5, 0, 50)]).astype(np.float32)
    meter.add(ramp[:, None])
    assert meter.share == pytest.approx(1 / 3, abs=0.02)
    meter.add(np.linspace(0, 0.9, 100, dtype=np.float32)[:, None])
    assert meter.share == 0


def test_nothing_is_not_clipped() -> None:
    assert ClippingMeter(2, "pcm_s16le").share == 0

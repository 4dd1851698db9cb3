"""Sounds as heard, judged by ffmpeg's EBU R 128 meter and sox, on espeak-ng's speech and sox's sweeps and beeps."""

import re
import subprocess
from pathlib import Path

import pytest

from autodialer.media.sound import SoundInfo, import_sound
from tests.peers import ffmpeg, sox
from tests.peers.requirements import find_program
from tests.timing import at_most

pytestmark = pytest.mark.peer("sox", "ffmpeg", "espeak-ng")

CLOSE = 0.3
"""LU and dB between two meters."""


def make(file: Path, *effects: str, source: Path | None = None, rate: int = 44100) -> Path:
    start = [str(source)] if source else ["-n", "-r", str(rate)]
    command = [find_program("sox") or "sox", "-R", *start, "-b", "16", "-c", "1", str(file), *effects]
    subprocess.run(command, check=True, timeout=at_most(60), capture_output=True)
    return file


def speak(file: Path, text: str, voice: str = "en-us") -> Path:
    subprocess.run(
        [find_program("espeak-ng") or "espeak-ng", "-v", voice, "-w", str(file), text], check=True, timeout=at_most(60)
    )
    return file


def english(folder: Path) -> Path:
    return speak(folder / "en.wav", "Good morning. This is the clinic. Your appointment is tomorrow at ten o'clock.")


def russian(folder: Path) -> Path:
    return speak(folder / "ru.wav", "Здравствуйте! Завтра с девяти до двенадцати не будет воды. Сделайте запас.", "ru")


def quiet(folder: Path) -> Path:
    return make(folder / "quiet.wav", "gain", "-30", source=english(folder))


def noisy(folder: Path) -> Path:
    """Speech with a whistle over it."""
    return make(folder / "noisy.wav", "synth", "sine", "mix", "2500", "gain", "-20", source=english(folder))


def paused(folder: Path) -> Path:
    return make(folder / "paused.wav", "pad", "3", "4", source=russian(folder))


def sweep(folder: Path) -> Path:
    return sox.make_sweep(folder / "sweep.wav", seconds=4, rate=48000, level_dbfs=-3)


def high_sweep(folder: Path) -> Path:
    return sox.make_sweep(folder / "high.wav", seconds=4, low_hz=2000, high_hz=3400, rate=44100, level_dbfs=-30)


def hiss(folder: Path) -> Path:
    return make(folder / "hiss.wav", "synth", "3", "pinknoise", "gain", "-12", "fade", "0.05", "0", "0.05")


SOUNDS = [english, russian, quiet, noisy, paused, sweep, high_sweep, hiss]


@pytest.mark.parametrize("lufs", [-20.0, -26.0])
@pytest.mark.parametrize("source", SOUNDS, ids=lambda source: source.__name__)
def test_ffmpeg_measures_the_loudness_and_true_peak_that_were_promised(
    tmp_path: Path, source: object, lufs: float
) -> None:
    assert callable(source)
    info = import_sound(source(tmp_path), tmp_path / "sound", lufs=lufs)
    judged = ffmpeg.loudness(tmp_path / "sound.wav")
    assert info.loudness_lufs == pytest.approx(judged.lufs, abs=CLOSE)
    assert judged.true_peak_dbfs <= -1 + CLOSE
    if judged.true_peak_dbfs < -1 - CLOSE:
        assert judged.lufs == pytest.approx(lufs, abs=CLOSE)
    else:
        assert judged.lufs <= lufs + CLOSE, "turned down for its peak, not limited"


def test_a_peaky_sound_stays_quieter_and_the_import_says_how_quiet(tmp_path: Path) -> None:
    peaky = make(tmp_path / "peaky.wav", "synth", "2", "sine", "400", "gain", "-40", "pad", "0", "0.02")
    knock = make(tmp_path / "knock.wav", "synth", "0.005", "sine", "1000", "gain", "-3", "pad", "1", "0.5")
    command = [find_program("sox") or "sox", str(knock), str(peaky), str(tmp_path / "both.wav")]
    subprocess.run(command, check=True, timeout=at_most(60))
    info = import_sound(tmp_path / "both.wav", tmp_path / "sound")
    judged = ffmpeg.loudness(tmp_path / "sound.wav")
    assert judged.true_peak_dbfs == pytest.approx(-1, abs=CLOSE)
    assert info.loudness_lufs == pytest.approx(judged.lufs, abs=CLOSE)
    assert judged.lufs < -22


def test_a_beep_of_a_third_of_a_second_is_brought_to_the_peak(tmp_path: Path) -> None:
    for level in ("-30", "-12", "-0.1"):
        beep = make(tmp_path / "beep.wav", "synth", "0.33", "sine", "1000", "gain", level, "fade", "0.01", "0", "0.01")
        info = import_sound(beep, tmp_path / "sound")
        assert info.loudness_lufs is None
        assert ffmpeg.loudness(tmp_path / "sound.wav").true_peak_dbfs == pytest.approx(-1, abs=CLOSE)
        assert sox.measure(tmp_path / "sound.wav").peak_dbfs == pytest.approx(info.peak_dbfs, abs=0.02)


def stats_of(file: Path) -> dict[str, float]:
    """What sox's own `stats` effect says."""
    command = [find_program("sox") or "sox", str(file), "-n", "stats"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=at_most(60)).stderr
    return {name: float(value) for name, value in re.findall(r"^(\w.*?) dB\s+(-?[\d.]+)$", said, re.M)}


def test_a_very_quiet_recording_does_not_become_hiss(tmp_path: Path) -> None:
    faint = make(tmp_path / "faint.wav", "gain", "-54", source=english(tmp_path))
    before = stats_of(faint)
    info = import_sound(faint, tmp_path / "sound")
    assert info.gain_db == 30
    assert info.loudness_lufs is not None and info.loudness_lufs < -40
    assert stats_of(tmp_path / "sound.wav")["RMS lev"] - before["RMS lev"] == pytest.approx(30, abs=1)


@pytest.mark.parametrize(("head", "tail"), [(0, 0), (2, 0), (0, 3), (1.5, 2.5)])
def test_silence_at_the_ends_goes_when_asked_and_stays_when_not(tmp_path: Path, head: float, tail: float) -> None:
    original = make(tmp_path / "padded.wav", "pad", str(head), str(tail), source=english(tmp_path))
    infos: dict[bool, SoundInfo] = {}
    for trim in (False, True):
        infos[trim] = import_sound(original, tmp_path / "sound", trim=trim)
        before, after = sox.silence_at_ends(tmp_path / "sound.wav", threshold_dbfs=-44)
        if trim:
            assert (0.02 if head else 0) <= before <= 0.1 and (0.02 if tail else 0) <= after <= 0.15
        else:
            assert before >= head and after >= tail
    assert infos[False].duration_s - infos[True].duration_s >= head + tail - 0.1
    assert infos[True].loudness_lufs == pytest.approx(infos[False].loudness_lufs, abs=0.2)
    speech_s = sox.measure(tmp_path / "en.wav").duration_s
    assert infos[True].duration_s > speech_s - 0.5


def test_recorded_noise_at_the_ends_is_silence_too_when_it_is_45_db_down(tmp_path: Path) -> None:
    noise = make(tmp_path / "noise.wav", "synth", "2", "whitenoise", "gain", "-60", rate=22050)
    command = [find_program("sox") or "sox", str(noise), str(english(tmp_path)), str(noise), str(tmp_path / "all.wav")]
    subprocess.run(command, check=True, timeout=at_most(60))
    whole = import_sound(tmp_path / "all.wav", tmp_path / "whole").duration_s
    assert whole - import_sound(tmp_path / "all.wav", tmp_path / "sound", trim=True).duration_s > 3.9

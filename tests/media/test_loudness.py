"""Gain, true peak and trimming: what is promised of every sound there may be."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from autodialer.media.loudness import amplitude, decibels, gain_db, loudness_lufs, true_peak
from autodialer.media.sound import TRIM_GUARD, import_sound, trim_silence

Samples = NDArray[np.float32]
RATE = 8000
quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def tone(seconds: float, hertz: float = 440, level: float = 0.5) -> Samples:
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def reference_peak(samples: NDArray[np.floating]) -> float:
    """32 points a sample, far from any that `true_peak` looks at."""
    padded = np.pad(samples.astype(np.float64), 200)
    return decibels(float(np.abs(soxr.resample(padded, RATE, 32 * RATE, "VHQ")).max()))


@st.composite
def sounds(draw: st.DrawFn) -> Samples:
    """Tones, noise, clicks and pauses in a row, at any level from faint to far over full scale."""
    noise = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    parts = [np.zeros(0, np.float32)]
    for _ in range(draw(st.integers(1, 4))):
        length = draw(st.integers(1, 4000))
        level = 10 ** draw(st.floats(-2.5, 0.7))
        kind = draw(st.sampled_from(["tone", "noise", "click", "pause", "square"]))
        time = np.arange(length) / RATE
        wave = np.sin(2 * np.pi * draw(st.floats(20, 3990)) * time + draw(st.floats(0, 6.3)))
        shape = {
            "tone": wave,
            "noise": noise.uniform(-1, 1, length),
            "click": np.eye(1, length, length // 2)[0],
            "pause": np.zeros(length),
            "square": np.sign(wave),
        }[kind]
        parts.append((level * shape).astype(np.float32))
    return np.concatenate([*parts, np.array([0.01], np.float32)])


@quick
@given(samples=sounds(), lufs=st.floats(-40, -10))
def test_no_sound_is_heard_above_minus_1_dbtp_nor_turned_up_by_more_than_30_db(samples: Samples, lufs: float) -> None:
    gain = gain_db(samples, lufs)
    assert gain <= 30
    assert decibels(true_peak(samples)) + gain <= -1 + 1e-6
    # Oversampling four times may miss the very top of what lies next to 4 kHz, by 0.5 dB at worst (BS.1770-4 annex 2).
    assert reference_peak(samples * amplitude(gain)) <= -1 + 0.3


@quick
@given(samples=sounds(), lufs=st.floats(-40, -10))
def test_a_sound_is_as_loud_as_wanted_unless_its_peak_or_the_most_gain_forbids(samples: Samples, lufs: float) -> None:
    gain = gain_db(samples, lufs)
    heard = loudness_lufs(samples * np.float32(amplitude(gain)))
    if heard is None:
        return
    if gain < min(30, -1 - decibels(true_peak(samples))) - 0.01:
        assert heard == pytest.approx(lufs, abs=0.3)
    else:
        assert heard <= lufs + 0.3


@quick
@given(samples=sounds(), head=st.integers(0, 9000), tail=st.integers(0, 9000))
def test_trimming_takes_silence_off_the_ends_and_nothing_else(samples: Samples, head: int, tail: int) -> None:
    padded = np.pad(samples, (head, tail))
    trimmed = trim_silence(padded)
    threshold = np.abs(padded).max() * 10 ** (-45 / 20)
    loud = np.flatnonzero(np.abs(padded) > threshold)
    first, last = max(0, loud[0] - 400), min(len(padded), loud[-1] + 401)
    assert len(trimmed) <= len(padded)
    assert np.array_equal(trimmed, padded[first:last])
    assert np.array_equal(trim_silence(trimmed), trimmed)


def test_trimming_keeps_50_ms_for_soft_beginnings_and_the_pauses_between_words() -> None:
    word, pause = tone(0.5), np.zeros(RATE, np.float32)
    trimmed = trim_silence(np.concatenate([pause, word, pause, word, pause]))
    assert len(trimmed) == pytest.approx(2 * RATE + 2 * TRIM_GUARD, abs=20)


def test_digital_silence_is_nothing_to_trim() -> None:
    assert len(trim_silence(np.zeros(8000, np.float32))) == 8000


@pytest.mark.parametrize("hertz", [1000, 2000, 8000 / 3, 3200, 3600])
def test_the_true_peak_is_the_height_of_the_curve_and_not_of_its_samples(hertz: float) -> None:
    time = np.arange(RATE) / RATE
    for phase in np.linspace(0, np.pi / 2, 7):
        samples = (0.5 * np.hanning(RATE) * np.sin(2 * np.pi * hertz * time + phase)).astype(np.float32)
        assert true_peak(samples) == pytest.approx(0.5, rel=0.012)  # 0.1 dB


def test_a_true_peak_in_another_chunk_than_its_neighbours_is_found() -> None:
    quiet = tone(20, level=0.01)
    for place in (0, 65_535, 65_536, 131_072, len(quiet) - 1):
        loud = quiet.copy()
        loud[place] = 0.7
        assert true_peak(loud) == pytest.approx(0.7, rel=0.03)


def test_ringing_that_is_louder_than_the_samples_is_turned_down_for() -> None:
    steep = np.tile(np.array([1, 1, -1, -1], np.float32), 4000) * np.float32(0.9)  # 2 kHz, its crests between samples
    assert decibels(true_peak(steep)) == pytest.approx(decibels(0.9) + 3, abs=0.3)
    assert gain_db(steep, 0) == pytest.approx(-1 - 3 - decibels(0.9), abs=0.3)


@pytest.mark.parametrize("seconds", [0.01, 0.2, 0.399])
def test_a_beep_too_short_for_loudness_is_brought_to_the_peak(seconds: float) -> None:
    beep = tone(seconds, hertz=1000, level=0.1)
    assert loudness_lufs(beep) is None
    assert gain_db(beep, -20) == pytest.approx(19, abs=0.3)


def test_a_beep_at_the_very_end_of_silence_is_brought_to_the_peak() -> None:
    beep = np.concatenate([np.zeros(3200, np.float32), tone(0.09, hertz=1000, level=0.1)])
    assert gain_db(beep, -20) == pytest.approx(19, abs=0.3)


def test_a_faint_recording_is_turned_up_by_30_db_and_no_more() -> None:
    assert gain_db(tone(2, level=0.002), -20) == 30


def test_a_sound_that_is_right_is_left_alone() -> None:
    right = tone(2, level=0.3)
    right *= np.float32(amplitude(gain_db(right, -20)))
    assert gain_db(right, -20) == 0
    assert gain_db(right, -23) == pytest.approx(-3, abs=0.06)


def test_a_cut_off_last_block_does_not_count() -> None:
    speech_like = np.concatenate([tone(0.5), tone(0.06, level=0.0001)])
    assert loudness_lufs(speech_like) == loudness_lufs(tone(0.5))


def test_the_import_says_what_is_heard(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.concatenate([np.zeros(8000), tone(1), np.zeros(8000)]), RATE)
    whole = import_sound(tmp_path / "a.wav", tmp_path / "whole")
    trimmed = import_sound(tmp_path / "a.wav", tmp_path / "trimmed", trim=True, lufs=-26)
    assert (whole.duration_s, trimmed.duration_s) == (3, pytest.approx(1.1, abs=0.01))
    assert whole.loudness_lufs == pytest.approx(-20, abs=0.05)
    assert trimmed.loudness_lufs == pytest.approx(-26, abs=0.05)
    samples, _ = soundfile.read(tmp_path / "trimmed.wav", dtype="float32")
    assert trimmed.peak_dbfs == pytest.approx(decibels(float(np.abs(samples).max())), abs=0.01)
    assert trimmed.loudness_lufs == pytest.approx(loudness_lufs(samples), abs=0.01)

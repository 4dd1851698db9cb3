"""Sound measured by sox."""

from pathlib import Path

import numpy as np
import pytest

from tests.peers import sox

pytestmark = pytest.mark.peer("sox")


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    return sox.make_sweep(tmp_path / "sweep.wav", seconds=2)


def test_a_generated_sweep_measures_as_it_was_asked_for(sweep: Path) -> None:
    measured = sox.measure(sweep)
    assert (measured.duration_s, measured.sample_rate, measured.channels) == (2.0, 8000, 1)
    assert measured.peak_dbfs == pytest.approx(-6, abs=0.2)
    assert measured.rms_dbfs == pytest.approx(-9, abs=0.2)
    assert min(sox.levels(sweep)) > -12


def test_silence_and_gaps_are_found_where_they_are(sweep: Path, tmp_path: Path) -> None:
    padded = tmp_path / "padded.wav"
    sox._run(str(sweep), str(padded), "pad", "0.5", "0.3@1", "0.25")
    start, end = sox.silence_at_ends(padded)
    assert start == pytest.approx(0.5, abs=0.03)
    assert end == pytest.approx(0.25, abs=0.03)
    assert sox.longest_gap_s(padded) == pytest.approx(0.3, abs=0.05)


def test_a_delayed_recording_is_lined_up_with_its_reference() -> None:
    reference = np.random.default_rng(1).normal(scale=0.1, size=8000)
    delayed = sox.compare_samples(reference, np.concatenate([np.zeros(400), reference * 0.5]))
    assert (delayed.offset_s, delayed.missing_s) == (0.05, 0.0)
    assert delayed.gain_db == pytest.approx(-6.02, abs=0.01)
    assert delayed.snr_db > 100
    cut = sox.compare_samples(reference, reference[800:])
    assert (cut.offset_s, cut.missing_s) == (-0.1, 0.1)


def test_another_sound_does_not_compare(sweep: Path, tmp_path: Path) -> None:
    other = sox.make_sweep(tmp_path / "other.wav", seconds=2, low_hz=3000, high_hz=300)
    assert sox.compare(sweep, other).snr_db < 3


@pytest.mark.parametrize("codec", ["PCMA", "PCMU"])
def test_g711_decoded_by_sox_keeps_the_sound(sweep: Path, tmp_path: Path, codec: sox.Codec) -> None:
    encoded = sox._run("-D", str(sweep), "-t", {"PCMA": "al", "PCMU": "ul"}[codec], "-")
    packets = [encoded[start : start + 160] for start in range(0, len(encoded), 160)]
    decoded = sox.from_g711(packets, codec, tmp_path / "decoded.wav")
    compared = sox.compare(sweep, decoded)
    assert compared.offset_s == 0
    assert compared.snr_db > 36

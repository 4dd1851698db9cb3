"""The waveform of a sound: no more peaks than a page draws, each the highest of its stretch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodialer.media import g711
from autodialer.media.waveform import MOST_PEAKS, peaks


@given(codes=st.binary(max_size=5000), more=st.integers(0, 3))
def test_each_peak_is_the_highest_decoded_sample_of_its_stretch(codes: bytes, more: int) -> None:
    codes = codes * 10**more
    found, stretch = peaks(codes)
    decoded = np.abs(np.frombuffer(g711.decode(codes, "PCMA"), "<i2").astype(int)) / 32768
    wanted = [decoded[start : start + stretch].max() for start in range(0, len(decoded), stretch)]
    assert len(found) <= MOST_PEAKS
    assert found == pytest.approx(wanted, abs=0.0001)


@pytest.mark.parametrize("samples", [1, 999, 1000, 1001, 4_800_000])
def test_there_are_at_most_a_thousand_peaks_and_they_cover_the_sound(samples: int) -> None:
    found, stretch = peaks(bytes([g711.SILENCE["PCMA"]]) * samples)
    assert len(found) <= MOST_PEAKS
    assert (len(found) - 1) * stretch < samples <= len(found) * stretch
    assert max(found) < 0.001

"""Import of sounds: formats, level, limits, and nothing half-written."""

import struct
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from autodialer.errors import Invalid, TooLarge, UnsupportedContent, UserError
from autodialer.media import g711, sound
from autodialer.media.sound import SoundInfo, import_sound

Signal = NDArray[np.float64]


def tone(rate: int, *, seconds: float = 1.0, hertz: float = 440.0, level: float = 0.5) -> Signal:
    return level * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)


def save(path: Path, signal: Any, rate: int, **options: Any) -> Path:
    soundfile.write(path, signal, rate, **options)
    return path


def heard(stem: Path) -> NDArray[np.int16]:
    with wave.open(f"{stem}.wav") as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def gain(info: SoundInfo) -> float:
    return float(10 ** (info.gain_db / 20))


def level_at(samples: NDArray[Any], hertz: float) -> float:
    """Amplitude of one frequency in the middle of a sound, 1 being full scale."""
    middle = samples[len(samples) // 4 : -len(samples) // 4] / 32768
    wave_form = np.exp(-2j * np.pi * hertz * np.arange(len(middle)) / 8000)
    window = np.hanning(len(middle))
    return float(2 * abs(np.sum(middle * wave_form * window)) / np.sum(window))


def files_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


FORMATS = [
    ("wav", 44100, "PCM_16", 1),
    ("wav", 8000, "PCM_16", 1),
    ("wav", 96000, "PCM_24", 2),
    ("wav", 48000, "FLOAT", 2),
    ("wav", 8000, "ULAW", 1),
    ("wav", 11025, "PCM_U8", 1),
    ("wav", 8000, "GSM610", 1),
    ("flac", 48000, "PCM_16", 2),
    ("ogg", 44100, "VORBIS", 2),
    ("ogg", 48000, "OPUS", 1),
    ("mp3", 44100, "MPEG_LAYER_III", 2),
    ("mp3", 16000, "MPEG_LAYER_III", 1),
    ("aiff", 22050, "PCM_16", 1),
]


@pytest.mark.parametrize(("ending", "rate", "subtype", "channels"), FORMATS)
def test_every_format_becomes_8_khz_mono_with_the_tone_that_was_in_it(
    tmp_path: Path, ending: str, rate: int, subtype: str, channels: int
) -> None:
    signal = np.repeat(tone(rate, seconds=2)[:, None], channels, axis=1)
    original = save(tmp_path / f"tone.{ending}", signal, rate, subtype=subtype)
    info = import_sound(original, tmp_path / "out" / "sound")
    samples = heard(tmp_path / "out" / "sound")
    assert (info.sample_rate, info.channels) == (rate, channels)
    assert info.duration_s == len(samples) / 8000 == pytest.approx(2, abs=0.1)
    assert info.loudness_lufs == pytest.approx(-20, abs=0.05)
    assert info.peak_dbfs == pytest.approx(-16, abs=1)
    assert level_at(samples, 440) == pytest.approx(0.5 * gain(info), rel=0.06)
    assert files_of(tmp_path / "out") == ["sound.alaw", "sound.ulaw", "sound.wav"]


def test_the_files_of_codes_are_the_codes_of_the_wav(tmp_path: Path) -> None:
    import_sound(save(tmp_path / "a.flac", tone(44100, level=0.8), 44100), tmp_path / "sound")
    for codec, ending in g711.EXTENSION.items():
        assert (tmp_path / f"sound{ending}").read_bytes() == g711.encode(heard(tmp_path / "sound"), codec)


def test_a_16_bit_file_at_8_khz_that_is_loud_enough_is_heard_bit_for_bit(tmp_path: Path) -> None:
    import_sound(save(tmp_path / "a.wav", tone(44100, level=0.8), 44100), tmp_path / "first")
    info = import_sound(tmp_path / "first.wav", tmp_path / "second")
    assert (tmp_path / "second.wav").read_bytes() == (tmp_path / "first.wav").read_bytes()
    assert info.gain_db == 0


def test_what_8_khz_cannot_carry_does_not_come_back_as_another_tone(tmp_path: Path) -> None:
    signal = tone(44100, hertz=440, level=0.2) + tone(44100, hertz=5000, level=0.6)
    info = import_sound(save(tmp_path / "a.wav", signal, 44100), tmp_path / "sound")
    assert level_at(heard(tmp_path / "sound"), 3000) < 0.0005  # 5000 Hz would fold to 3000
    assert level_at(heard(tmp_path / "sound"), 440) == pytest.approx(0.2 * gain(info), rel=0.01)


def test_a_sound_is_turned_down_as_a_whole_and_not_limited(tmp_path: Path) -> None:
    signal = np.concatenate([tone(8000, level=0.1), tone(8000, level=1.6)])
    info = import_sound(save(tmp_path / "a.wav", signal, 8000, subtype="FLOAT"), tmp_path / "sound")
    assert info.loudness_lufs == pytest.approx(-20, abs=0.05)
    assert heard(tmp_path / "sound").astype(float) == pytest.approx(signal * gain(info) * 32768, abs=3)


def test_channels_are_mixed_evenly(tmp_path: Path) -> None:
    left, right = tone(8000, hertz=500, level=0.6), tone(8000, hertz=900, level=0.2)
    info = import_sound(save(tmp_path / "a.wav", np.stack([left, right], axis=1), 8000), tmp_path / "sound")
    samples = heard(tmp_path / "sound")
    assert level_at(samples, 500) == pytest.approx(0.3 * gain(info), rel=0.02)
    assert level_at(samples, 900) == pytest.approx(0.1 * gain(info), rel=0.02)


def test_the_ending_of_the_name_means_nothing(tmp_path: Path) -> None:
    for name in ("a.raw", "a.txt", "a", "a.mp3"):
        original = tmp_path / name
        save(original, tone(8000), 8000, format="WAV")
        assert import_sound(original, tmp_path / "sound").duration_s == 1.0


def test_numbers_that_are_no_level_do_no_harm(tmp_path: Path) -> None:
    odd = np.array([np.nan, np.inf, -np.inf, 3e38, -3e38, 0.25] * 500, np.float32)
    info = import_sound(
        save(tmp_path / "a.wav", np.stack([odd, odd], axis=1), 8000, subtype="FLOAT"), tmp_path / "sound"
    )
    assert -4 < info.peak_dbfs <= -1.0


def test_three_tenths_of_a_second_are_a_sound(tmp_path: Path) -> None:
    original = save(tmp_path / "a.wav", tone(8000, seconds=0.3), 8000)
    assert import_sound(original, tmp_path / "sound").duration_s == 0.3


def test_an_import_replaces_what_was_there(tmp_path: Path) -> None:
    for seconds in (2.0, 1.0):
        import_sound(save(tmp_path / "a.wav", tone(8000, seconds=seconds), 8000), tmp_path / "sound")
    assert len(heard(tmp_path / "sound")) == (tmp_path / "sound.alaw").stat().st_size == 8000


def bad_file(folder: Path, what: str) -> Path:
    path = folder / f"{what}.wav"
    contents = {
        "empty": b"",
        "text": b"Good evening, this is no sound.\n" * 100,
        "a cut header": b"RIFF\x24\x00\x00\x00WAVEfm",
        "an XLSX": b"PK\x03\x04" + bytes(2000),
        "a picture": b"\x89PNG\r\n\x1a\n" + bytes(2000),
    }
    if what in contents:
        path.write_bytes(contents[what])
    elif what == "no samples":
        save(path, np.zeros(0), 8000)
    elif what == "a click":
        save(path, tone(8000, seconds=0.29), 8000)
    elif what == "all silence":
        save(path, np.zeros(8000), 8000)
    elif what == "near silence":
        save(path, tone(8000, level=0.0005), 8000)
    elif what == "clipped":
        save(path, np.clip(tone(44100, level=1.2), -1, 1), 44100)
    elif what == "100 channels":
        save(path, np.full((8000, 100), 0.5), 8000)
    elif what == "200 Hz":
        save(path, tone(200, hertz=3), 200)
    elif what == "over 10 minutes":
        save(path, np.full(601 * 8000, 100, np.int16), 8000)
    elif what == "over 50 MB":
        with path.open("wb") as file:
            file.truncate(50_000_001)
    elif what == "a FLAC cut short":
        path = save(folder / "a.flac", np.random.default_rng(1).uniform(-0.5, 0.5, 80_000), 8000)
        path.write_bytes(path.read_bytes()[:50_000])
    return path


REFUSED: list[tuple[str, type[UserError], str]] = [
    ("empty", Invalid, "file is empty"),
    ("text", UnsupportedContent, "save it as WAV, FLAC, OGG or MP3"),
    ("a cut header", UnsupportedContent, "save it as"),
    ("an XLSX", UnsupportedContent, "save it as"),
    ("a picture", UnsupportedContent, "save it as"),
    ("no samples", Invalid, "file holds no audio"),
    ("a click", Invalid, "only 0.29 s of sound; upload a recording of 0.3 s or more"),
    ("all silence", Invalid, "only silence"),
    ("near silence", Invalid, "only silence"),
    ("clipped", Invalid, "record it again at a lower level"),
    ("100 channels", UnsupportedContent, "100 channels; save it as mono or stereo"),
    ("200 Hz", UnsupportedContent, "sample rate of 200 Hz"),
    ("over 10 minutes", TooLarge, "longer than 10 minutes"),
    ("over 50 MB", TooLarge, "larger than 50 MB"),
]


@pytest.mark.parametrize(("what", "error", "words"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_is_no_usable_sound_is_refused_by_field_and_remedy(
    tmp_path: Path, what: str, error: type[UserError], words: str
) -> None:
    original = bad_file(tmp_path, what)
    with pytest.raises(UserError) as refusal:
        import_sound(original, tmp_path / "out" / "sound")
    assert type(refusal.value) is error
    assert refusal.value.field == "file"
    assert words in str(refusal.value) and str(refusal.value).startswith("file ")
    assert files_of(tmp_path / "out") == []


def test_a_recording_cut_short_is_refused_or_heard_as_far_as_it_goes(tmp_path: Path) -> None:
    original = bad_file(tmp_path, "a FLAC cut short")
    try:
        info = import_sound(original, tmp_path / "out" / "sound")
    except UnsupportedContent:
        assert files_of(tmp_path / "out") == []
    else:
        assert 0 < info.duration_s < 10


def test_a_wav_whose_header_claims_more_than_there_is_is_heard_as_far_as_it_goes(tmp_path: Path) -> None:
    original = save(tmp_path / "a.wav", tone(8000), 8000)
    data = bytearray(original.read_bytes())
    data[40:44] = struct.pack("<I", 0x7FFFFFFF)  # what a recorder leaves that was switched off
    original.write_bytes(data)
    assert import_sound(original, tmp_path / "sound").duration_s == 1.0


@pytest.mark.slow
def test_ten_minutes_are_taken(tmp_path: Path) -> None:
    original = save(tmp_path / "a.wav", np.tile(tone(8000), 600), 8000)
    assert import_sound(original, tmp_path / "sound").duration_s == 600


def test_a_long_recording_is_decoded_block_by_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound, "BLOCK_SAMPLES", 1000)
    signal = tone(44100, seconds=1.5)
    import_sound(save(tmp_path / "a.wav", signal, 44100), tmp_path / "small")
    monkeypatch.undo()
    import_sound(tmp_path / "a.wav", tmp_path / "large")
    assert np.abs(heard(tmp_path / "small").astype(int) - heard(tmp_path / "large")).max() <= 1


def test_a_write_that_fails_leaves_nothing_and_the_old_sound_untouched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = save(tmp_path / "a.wav", tone(8000), 8000)
    folder = tmp_path / "out"
    import_sound(original, folder / "sound")
    before = {path: path.read_bytes() for path in folder.iterdir()}

    def disk_full(_samples: object, codec: str) -> bytes:
        raise OSError(28, f"no space left for {codec}")

    monkeypatch.setattr(g711, "encode", disk_full)
    with pytest.raises(OSError, match="no space"):
        import_sound(original, folder / "sound")
    assert {path: path.read_bytes() for path in folder.iterdir()} == before

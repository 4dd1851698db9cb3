"""Channels with everything that may be wrong with them: heard as the mono recording would be, measured by sox."""

import re
import subprocess
from pathlib import Path

import pytest

from autodialer.errors import Invalid
from autodialer.media.sound import SoundInfo, import_sound
from tests.media.recordings import run, speech
from tests.peers.requirements import find_program
from tests.timing import at_most

pytestmark = pytest.mark.peer("sox", "ffmpeg", "espeak-ng")

BANDS = ((100, 300), (300, 600), (600, 1200), (1200, 2400), (2400, 3400))
"""Hz."""
CLOSE_DB = 3.0


def stats_of(file: Path, *effects: str) -> dict[str, float]:
    """What sox's own `stats` effect says, in dB."""
    command = [find_program("sox") or "sox", str(file), "-n", *effects, "stats"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=at_most(60)).stderr
    return {name: float(value) for name, value in re.findall(r"^(\w.*?)(?: dB)?\s+(-?[\d.]+)$", said, re.M)}


def bands_of(file: Path) -> list[float]:
    """The level of each band."""
    return [stats_of(file, "sinc", f"{low}-{high}")["RMS lev"] for low, high in BANDS]


def mono(folder: Path, rate: int) -> Path:
    """The reference: speech at -30 dBFS on one channel."""
    file = folder / f"mono-{rate}.wav"
    if not file.exists():
        run("sox", "-R", speech(folder), "-b", "24", file, "remix", "1", "rate", str(rate), "norm", "-30")
    return file


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mixing")


SHIFT = "dcshift"
FAULTS: tuple[tuple[str, list[str], str | None], ...] = (
    # name, sox effects on the mono reference, code of the warning
    ("both the same", ["remix", "1", "1"], None),
    ("right is left upside down", ["remix", "1", "1v-1"], "one_channel"),
    ("right is left upside down and quieter", ["remix", "1", "1v-0.7"], "one_channel"),
    ("left is quieter and upside down", ["remix", "1v-0.5", "1"], "one_channel"),
    ("only the left", ["remix", "1", "0"], "one_channel"),
    ("only the right", ["remix", "0", "1"], "one_channel"),
    ("the right 50 dB down", ["remix", "1", "1v0.003"], "one_channel"),
    ("one of six", ["remix", "0", "0", "1", "0", "0", "0"], "one_channel"),
    ("an offset", [SHIFT, "0.2"], "dc_removed"),
    ("an offset below zero", [SHIFT, "-0.5"], "dc_removed"),
    ("an offset larger than the voice on two channels", ["remix", "1", "1", SHIFT, "0.7"], "dc_removed"),
    ("an offset and upside down", ["remix", "1", "1v-1", SHIFT, "0.3"], "dc_removed"),
)


@pytest.mark.parametrize("rate", [8000, 44100])
@pytest.mark.parametrize(("_name", "effects", "code"), FAULTS, ids=[row[0] for row in FAULTS])
def test_faulty_channels_are_heard_like_the_mono_recording(
    folder: Path, _name: str, effects: list[str], code: str | None, rate: int
) -> None:
    run("sox", "-R", mono(folder, rate), folder / "faulty.wav", *effects)
    check_like_mono(folder, rate, code)


def check_like_mono(folder: Path, rate: int, code: str | None) -> SoundInfo:
    reference = import_sound(mono(folder, rate), folder / "reference")
    info = import_sound(folder / "faulty.wav", folder / "heard")
    assert info.loudness_lufs == pytest.approx(reference.loudness_lufs, abs=CLOSE_DB)
    assert bands_of(folder / "heard.wav") == pytest.approx(bands_of(folder / "reference.wav"), abs=CLOSE_DB)
    assert abs(stats_of(folder / "heard.wav")["DC offset"]) < 0.002
    codes = [warning.code for warning in info.warnings]
    assert code in codes if code else codes == []
    return info


@pytest.mark.parametrize("rate", [8000, 44100])
@pytest.mark.parametrize("samples", [1, 3, 40])
def test_a_channel_that_is_late_does_not_hollow_the_sound_out(folder: Path, rate: int, samples: int) -> None:
    run("sox", "-R", mono(folder, rate), folder / "late.wav", "pad", f"{samples}s")
    run("sox", "-R", "-M", mono(folder, rate), folder / "late.wav", folder / "faulty.wav")
    late_s = samples / rate
    check_like_mono(folder, rate, "one_channel" if late_s >= 1 / 8000 else None)


def test_two_voices_are_both_heard(folder: Path) -> None:
    for voice, hertz in (("left", "500"), ("right", "900")):
        run("sox", "-R", "-r", "16000", "-n", folder / f"{voice}.wav", "synth", "2", "sine", hertz, "gain", "-12")
    run("sox", "-R", "-M", folder / "left.wav", folder / "right.wav", folder / "two.wav")
    info = import_sound(folder / "two.wav", folder / "heard")
    low, high = (
        stats_of(folder / "heard.wav", "sinc", band)["RMS lev"] for band in ("400-600", "800-1000")
    )  # fmt: skip
    assert low == pytest.approx(high, abs=0.5)
    assert info.warnings == ()


def test_an_offset_alone_is_silence(folder: Path) -> None:
    run(
        "sox", "-R", "-r", "8000", "-n", folder / "offset.wav", "synth", "2", "sine", "300", "gain", "-80", SHIFT, "0.5"
    )
    with pytest.raises(Invalid, match="only silence"):
        import_sound(folder / "offset.wav", folder / "sound")


def test_silence_is_trimmed_beside_an_offset(folder: Path) -> None:
    run("sox", "-R", mono(folder, 8000), folder / "padded.wav", "pad", "2", "2", SHIFT, "0.1")
    before = import_sound(mono(folder, 8000), folder / "reference", trim=True)
    after = import_sound(folder / "padded.wav", folder / "heard", trim=True)
    assert after.duration_s == pytest.approx(before.duration_s, abs=0.1)


def test_thuds_do_not_decide_how_loud_a_voice_is(folder: Path) -> None:
    """A gust of 15 Hz at full scale before speech at -30 dBFS."""
    gust = folder / "gust.wav"
    shape = ("-R", "-r", "8000", "-n", "-b", "24", gust)
    run("sox", *shape, "synth", "0.4", "sine", "15", "gain", "-1", "fade", "h", "0.2", "0.4", "0.2")
    run("sox", "-R", gust, mono(folder, 8000), folder / "faulty.wav")
    reference = import_sound(mono(folder, 8000), folder / "reference")
    info = import_sound(folder / "faulty.wav", folder / "heard")
    assert info.loudness_lufs == pytest.approx(reference.loudness_lufs, abs=CLOSE_DB)


# -- warnings


def codes_of(file: Path, stem: Path) -> list[str]:
    info = import_sound(file, stem)
    for warning in info.warnings:
        assert re.fullmatch(r"The |Only the .*", warning.message[:4] if warning.message[0] == "T" else warning.message)
        assert warning.message.endswith(".") and len(warning.message) > 40
    return [warning.code for warning in info.warnings]


WARNED: tuple[tuple[str, list[str], list[str]], ...] = (
    ("as it should be", [], []),
    ("very faint", ["gain", "-25"], ["quiet"]),
    ("one click at full scale", ["click"], ["quiet"]),
    ("cut off in places", ["clip"], ["clipped"]),
    ("in a noisy room", ["noise"], ["noise"]),
    ("in a car", ["brown"], ["noise"]),
    ("three seconds before it", ["pad", "3", "0"], ["long_silence"]),
    ("a pause of six seconds", ["pad", "6@1"], ["long_silence"]),
    ("six seconds behind it", ["pad", "0", "6"], ["long_silence"]),
    ("a second before it", ["pad", "1", "1"], []),
)


@pytest.mark.parametrize(("_name", "what", "wanted"), WARNED, ids=[row[0] for row in WARNED])
def test_a_user_is_warned_of_what_a_callee_would_mind(
    folder: Path, _name: str, what: list[str], wanted: list[str]
) -> None:
    source, file = mono(folder, 16000), folder / "warned.wav"
    match what:
        case ["click"]:
            click = folder / "click.wav"
            run(
                "sox",
                "-R",
                "-n",
                "-r",
                "16000",
                click,
                "synth",
                "0.001",
                "sine",
                "2000",
                "gain",
                "-0.5",
                "pad",
                "1",
                "1",
            )
            run("sox", "-R", "-m", "-v", "0.7", source, "-v", "0.98", click, file)
        case ["clip"]:
            run("sox", "-R", source, "-b", "16", file, "gain", "-n", "5")
        case ["noise"] | ["brown"]:
            kind = "whitenoise" if what == ["noise"] else "brownnoise"
            run(
                "sox",
                "-R",
                "-n",
                "-r",
                "16000",
                folder / "noise.wav",
                "synth",
                "2",
                kind,
                "highpass",
                "200",
                "norm",
                "-38",
            )
            run("sox", "-R", "-m", "-v", "1", source, "-v", "1", folder / "noise.wav", file)
        case _:
            run("sox", "-R", source, file, *what)
    assert codes_of(file, folder / "sound") == wanted


MUSIC = (["pluck", "E2", "pluck", "A3", "pluck", "C4"], ["sine", "440"], ["square", "300"], ["sine", "300-3000"])


@pytest.mark.parametrize("synth", MUSIC, ids=" ".join)
def test_music_and_tones_are_no_noise(folder: Path, synth: list[str]) -> None:
    run(
        "sox",
        "-R",
        "-n",
        "-r",
        "16000",
        "-c",
        "1",
        folder / "music.wav",
        "synth",
        "4",
        *synth,
        "remix",
        "-",
        "norm",
        "-9",
    )
    assert "noise" not in codes_of(folder / "music.wav", folder / "sound")


FLUENT = {
    "en-us": "Sixty-six swift ships set sail for Sussex",
    "en-us+whisper": "Sixty-six swift ships set sail for Sussex",
    "ru": "Шестьдесят шесть судов вышли в море сегодня",
    "de": "Sechsundsechzig schnelle Schiffe segeln nach Sassnitz",
}


@pytest.mark.parametrize("voice", FLUENT)
def test_a_voice_without_a_pause_is_no_noise(folder: Path, voice: str) -> None:
    said = folder / "fluent.wav"
    run("espeak-ng", "-v", voice, "-s", "220", "-w", said, FLUENT[voice])
    assert codes_of(said, folder / "sound") in ([], ["quiet"])

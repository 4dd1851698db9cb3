"""Every container, join and header that people have: heard whole, and as the system's ffmpeg decodes it."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from autodialer.errors import Invalid, TooLarge, UnsupportedContent, UserError
from autodialer.media.sound import SoundInfo, import_sound
from tests.media.recordings import (
    KINDS,
    Kind,
    amr,
    closeness_db,
    cover,
    encode,
    ffmpeg,
    heard_by_ffmpeg,
    id3,
    join,
    speech,
    without_id3,
)

pytestmark = pytest.mark.peer("ffmpeg", "espeak-ng")

LENGTH_S = 0.1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the files that several tests read."""
    return tmp_path_factory.mktemp("recordings")


def heard(stem: Path) -> NDArray[np.float64]:
    samples, rate = soundfile.read(stem.with_suffix(".wav"))
    assert rate == 8000
    return samples


def check(file: Path, wanted: NDArray[np.floating], *, at_least_db: float = 50.0) -> SoundInfo:
    """Import the file; it must be as long and sound as wanted."""
    info = import_sound(file, file.with_name("sound"))
    samples = heard(file.with_name("sound"))
    assert info.duration_s == len(samples) / 8000 == pytest.approx(len(wanted) / 8000, abs=LENGTH_S)
    assert closeness_db(wanted, samples) >= at_least_db
    return info


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_recording_of_every_kind_is_heard_as_ffmpeg_decodes_it(folder: Path, kind: Kind) -> None:
    file = encode(kind, speech(folder), folder)
    info = check(file, heard_by_ffmpeg(file), at_least_db=kind.closeness_db)
    assert "damaged" not in [warning.code for warning in info.warnings]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.joins], ids=lambda kind: kind.name)
def test_joined_recordings_are_heard_to_the_end_of_the_last(folder: Path, kind: Kind) -> None:
    file = encode(kind, speech(folder), folder)
    joined = join(folder / f"joined.{kind.ending}", [file.read_bytes()] * 3)
    info = check(joined, heard_by_ffmpeg(file, times=3), at_least_db=kind.closeness_db)
    assert "damaged" not in [warning.code for warning in info.warnings]


# -- headers that say too much, too little, or nothing


def patched(data: bytes, place: int, value: int, size: int = 4, order: str = "little") -> bytes:
    assert order in ("little", "big")
    return data[:place] + value.to_bytes(size, "little" if order == "little" else "big") + data[place + size :]


def wav_claiming(*, riff: int, data: int) -> Callable[[Path], bytes]:
    """Sizes of the two chunks as recorders leave them that were switched off or wrote into a pipe."""

    def make(folder: Path) -> bytes:
        content = encode(KINDS[0], speech(folder), folder).read_bytes()
        return patched(patched(content, 4, riff), content.index(b"data") + 4, data)

    return make


def kind_named(name: str) -> Kind:
    return next(kind for kind in KINDS if kind.name == name)


def made(name: str, folder: Path) -> bytes:
    return encode(kind_named(name), speech(folder), folder).read_bytes()


def flac_claiming(samples: int) -> Callable[[Path], bytes]:
    """STREAMINFO, RFC 9639 section 8.2: 36 bits of total samples."""

    def make(folder: Path) -> bytes:
        content = made("flac", folder)
        content = patched(content, 21, content[21] & 0xF0 | samples >> 32, 1)
        return patched(content, 22, samples & 0xFFFFFFFF, 4, "big")

    return make


def flac_with_cover(folder: Path) -> bytes:
    """METADATA_BLOCK_PICTURE, RFC 9639 section 8.8."""
    content, image = made("flac", folder), cover(12_000_000)
    kind = b"image/jpeg"
    picture = (3).to_bytes(4, "big") + len(kind).to_bytes(4, "big") + kind + bytes(20) + len(image).to_bytes(4, "big")
    block = bytes([6]) + (len(picture) + len(image)).to_bytes(3, "big") + picture + image
    return content[:42] + block + content[42:]


def mp3_claiming(frames: int) -> Callable[[Path], bytes]:
    """The count of frames in LAME's tag."""

    def make(folder: Path) -> bytes:
        content = made("mp3", folder)
        return patched(content, content.index(b"Info") + 8, frames, 4, "big")

    return make


def mp3_tagged(*frames: tuple[bytes, bytes]) -> Callable[[Path], bytes]:
    return lambda folder: id3(*frames) + without_id3(made("mp3", folder))


def piped(*how: str) -> Callable[[Path], bytes]:
    """What comes out of a pipe, into which no encoder can go back to close its header."""

    def make(folder: Path) -> bytes:
        source = speech(folder).read_bytes()
        return ffmpeg("-i", "-", *how, "-", data=source)

    return make


def with_cover_stream(ending: str) -> Callable[[Path], bytes]:
    def make(folder: Path) -> bytes:
        image, file = folder / "cover.png", folder / f"cover.{ending}"
        ffmpeg("-f", "lavfi", "-i", "testsrc=size=1500x1500", "-frames:v", "1", image)
        attach = ("-map", "0", "-map", "1", "-c:v", "copy", "-disposition:v", "attached_pic")
        ffmpeg("-i", speech(folder), "-i", image, *attach, file)
        return file.read_bytes()

    return make


def video(folder: Path) -> bytes:
    """A clip of a telephone: the announcement is its sound."""
    file = folder / "clip.mp4"
    picture = ("-f", "lavfi", "-i", "testsrc=size=320x240:duration=2")
    ffmpeg(*picture, "-i", speech(folder), "-c:v", "mpeg4", "-shortest", file)
    return file.read_bytes()


HEADERS: tuple[tuple[str, Callable[[Path], bytes], tuple[str, ...]], ...] = (
    ("a WAV that claims nothing", wav_claiming(riff=0, data=0), ()),
    ("a WAV that claims everything", wav_claiming(riff=0xFFFFFFFF, data=0xFFFFFFFF), ()),
    ("a WAV that claims 2 GB", wav_claiming(riff=0x7FFFFFFF, data=0x7FFFFFDB), ()),
    ("a WAV that claims 0.1 s", wav_claiming(riff=17_676, data=17_640), ("-ignore_length", "1")),
    ("a WAV from a pipe", piped("-f", "wav"), ()),
    ("a FLAC that claims 22 hours", flac_claiming(80_000 * 44_100), ()),
    ("a FLAC that claims 0.1 s", flac_claiming(4410), ()),
    ("a FLAC that claims nothing", flac_claiming(0), ()),
    ("a FLAC from a pipe", piped("-f", "flac"), ()),
    ("a FLAC with a cover of 12 MB", flac_with_cover, ()),
    ("an MP3 that claims half a year", mp3_claiming(0x1FFFFFFF), ()),
    ("an MP3 that claims 10 frames", mp3_claiming(10), ()),
    ("an MP3 from a pipe", piped("-f", "mp3"), ()),
    ("an MP3 with a cover of 12 MB", mp3_tagged((b"APIC", b"\0image/jpeg\0\x03\0" + cover(12_000_000))), ("-f", "mp3")),
    ("an MP3 with a Russian title in cp1251", mp3_tagged((b"TIT2", b"\0" + "Объявление".encode("cp1251"))), ()),
    ("an MP3 with a title that is no UTF-16", mp3_tagged((b"TIT2", b"\x01\xff\xfe\x00\xd8")), ()),
    ("an Ogg from a pipe", piped("-c:a", "libvorbis", "-f", "ogg"), ()),
    ("a WebM from a pipe", piped("-c:a", "libopus", "-f", "webm"), ()),
    ("an MP4 from a pipe", piped("-f", "mp4", "-movflags", "frag_keyframe+empty_moov"), ()),
    ("a WMA from a pipe", piped("-c:a", "wmav2", "-f", "asf"), ()),
    ("an AAC from a pipe", piped("-f", "adts"), ()),
    ("an M4A with a cover", with_cover_stream("m4a"), ()),
    ("an MP3 with a cover", with_cover_stream("mp3"), ()),
    ("a clip", video, ()),
    ("AMR of a telephone", lambda _folder: amr(wide=False, seconds=2), ()),
)


@pytest.mark.parametrize(("_name", "make", "options"), HEADERS, ids=[row[0] for row in HEADERS])
def test_the_sound_counts_and_not_what_the_file_says_of_itself(
    folder: Path, _name: str, make: Callable[[Path], bytes], options: tuple[str, ...]
) -> None:
    file = join(folder / "odd", [make(folder)])
    info = check(file, heard_by_ffmpeg(file, *options))
    assert info.duration_s > 1.8
    assert "damaged" not in [warning.code for warning in info.warnings]


# -- joins that are not three times the same


def test_pieces_of_different_rates_and_channels_are_heard_one_after_the_other(folder: Path) -> None:
    for names in (
        ("mp3", "mp3-24", "mp3-mono-64"),
        ("wav", "wav-alaw", "wav-24", "wav-mulaw"),
        ("ogg-vorbis", "ogg-voice-note", "ogg-flac", "ogg-speex"),
        ("flac", "flac-24"),
        ("m4a-aac", "m4a-he", "m4a-alac", "mp4-fragments"),
    ):
        files = [encode(kind_named(name), speech(folder), folder) for name in names]
        joined = join(folder / "joined", [file.read_bytes() for file in files])
        wanted = np.concatenate([heard_by_ffmpeg(file) for file in files])
        check(joined, wanted, at_least_db=15)


def test_joined_amr_is_heard_to_the_end(folder: Path) -> None:
    piece = join(folder / "piece.amr", [amr(wide=False, seconds=1)])
    joined = join(folder / "joined.amr", [piece.read_bytes()] * 3)
    check(joined, heard_by_ffmpeg(piece, times=3))


def test_wide_band_amr_is_heard(folder: Path) -> None:
    """Random parameters rumble, and the rumble is taken out; the rest is the same."""
    file = join(folder / "wide.amr", [amr(wide=True, seconds=2)])
    check(file, heard_by_ffmpeg(file), at_least_db=14)


def test_amr_in_3gp_is_heard(folder: Path) -> None:
    piece = join(folder / "voice.amr", [amr(wide=False, seconds=2)])
    ffmpeg("-i", piece, "-c", "copy", folder / "voice.3gp")
    check(folder / "voice.3gp", heard_by_ffmpeg(folder / "voice.3gp"))


def test_mp3_pieces_with_covers_between_them_are_heard_without_the_pictures(folder: Path) -> None:
    one = without_id3(made("mp3", folder))
    tagged = id3((b"APIC", b"\0image/jpeg\0\x03\0" + cover(300_000)))
    joined = join(folder / "covers.mp3", [tagged + one] * 3)
    check(joined, heard_by_ffmpeg(join(folder / "one.mp3", [one]), times=3))


@pytest.mark.parametrize("kind", ["mp3-vbr", "mp3-mono-64"])
def test_a_long_mp3_without_any_header_is_as_long_as_its_sound(folder: Path, kind: str) -> None:
    """Silence takes few bytes and speech many, so that a length worked out from the first bytes is wrong."""
    source, file = folder / "long.wav", folder / "long.mp3"
    ffmpeg("-i", speech(folder), "-af", "adelay=60s:all=1,apad=pad_dur=60", source)
    ffmpeg("-i", source, *kind_named(kind).how, "-write_xing", "0", "-id3v2_version", "0", file)
    info = check(file, heard_by_ffmpeg(file))
    assert info.duration_s == pytest.approx(122, abs=LENGTH_S)


# -- limits, and what is no sound


def test_more_than_ten_minutes_are_refused_whatever_the_header_says(folder: Path) -> None:
    source = ("-f", "lavfi", "-i", "sine=300:sample_rate=8000:duration=601")
    for ending, place in (("wav", b"data"), ("mp3", b"Info")):
        file = folder / f"long.{ending}"
        ffmpeg(*source, "-ac", "1", file)
        content = file.read_bytes()
        at = content.index(place) + (4 if ending == "wav" else 8)
        file.write_bytes(patched(content, at, 10, 4, "big" if ending == "mp3" else "little"))
        with pytest.raises(TooLarge, match="longer than 10 minutes"):
            import_sound(file, folder / "sound")


@pytest.mark.parametrize(
    "name", ["flac", "mp3", "m4a-aac", "m4a-alac", "ogg-vorbis", "ogg-voice-note", "webm-opus", "wma"]
)
def test_a_hole_in_a_file_is_said_and_the_rest_is_heard(folder: Path, name: str) -> None:
    long = folder / "ten-seconds.wav"
    if not long.exists():
        ffmpeg("-stream_loop", "4", "-i", speech(folder), long)
    content = encode(replace(kind_named(name), name=f"long-{name}"), long, folder).read_bytes()
    middle, size = len(content) // 2, len(content) // 10
    file = join(folder / "hole", [content[:middle], bytes(size), content[middle + size :]])
    info = import_sound(file, folder / "sound")
    assert [warning.code for warning in info.warnings] == ["damaged"]
    assert 4.9 < info.duration_s < 9.6


def test_a_good_piece_behind_a_broken_one_is_heard_whole(folder: Path) -> None:
    good = made("m4a-aac", folder)
    start, size = good.index(b"mdat") + 1000, 12_000
    hole = good[:start] + random.Random(1).randbytes(size) + good[start + size :]
    alone = import_sound(join(folder / "hole.m4a", [hole]), folder / "sound").duration_s
    info = import_sound(join(folder / "both.m4a", [hole, good]), folder / "sound")
    assert info.duration_s == pytest.approx(alone + len(heard_by_ffmpeg(folder / "m4a-aac.m4a")) / 8000, abs=LENGTH_S)
    assert [warning.code for warning in info.warnings] == ["damaged"]


def test_a_piece_without_sound_behind_one_with_it_takes_nothing_away(folder: Path) -> None:
    film = folder / "film.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc=duration=1:size=64x64", film)
    both = join(folder / "both.mp4", [made("mp4-fragments", folder), film.read_bytes()])
    assert import_sound(both, folder / "sound").duration_s == pytest.approx(2, abs=LENGTH_S)


def no_sound(folder: Path, what: str) -> Path:
    """A file that FFmpeg opens, and that is no recording of its own."""
    file = folder / "no-sound"
    secret = encode(KINDS[0], speech(folder), folder)
    contents: dict[str, bytes] = {
        "an HLS playlist": f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{secret}\n#EXT-X-ENDLIST\n".encode(),
        "a list of files": f"ffconcat version 1.0\nfile '{secret}'\n".encode(),
        "a session description": b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        b"m=audio 5004 RTP/AVP 0\r\n",
        "HTML": b"<!DOCTYPE html><html><body>" + b"<p>no sound</p>" * 500 + b"</body></html>",
        "a PDF": b"%PDF-1.7\n" + bytes(range(256)) * 40,
        "a subtitle": b"1\n00:00:01,000 --> 00:00:02,000\nHello\n\n" * 50,
        "an M4A whose end is missing": made("m4a-aac", folder)[:-2000],
    }
    if what in contents:
        return join(file, [contents[what]])
    ending = {"a picture": "png", "an animation": "gif", "a film without sound": "mp4"}[what]
    ffmpeg("-f", "lavfi", "-i", "testsrc=duration=1:size=64x64", *(("-frames:v", "1") if ending == "png" else ()),
           folder / f"picture.{ending}")  # fmt: skip
    return folder / f"picture.{ending}"


NO_SOUND: tuple[tuple[str, type[UserError], str], ...] = (
    ("an HLS playlist", UnsupportedContent, "no sound that can be read"),
    ("a list of files", UnsupportedContent, "no sound that can be read"),
    ("a session description", UnsupportedContent, "no sound that can be read"),
    ("HTML", UnsupportedContent, "no sound that can be read"),
    ("a PDF", UnsupportedContent, "no sound that can be read"),
    ("a subtitle", UnsupportedContent, "no sound that can be read"),
    ("a picture", UnsupportedContent, "no sound that can be read"),
    ("an animation", UnsupportedContent, "no sound that can be read"),
    ("an M4A whose end is missing", UnsupportedContent, "no sound that can be read"),
    ("a film without sound", Invalid, "file holds no audio"),
)


@pytest.mark.parametrize(("what", "error", "words"), NO_SOUND, ids=[row[0] for row in NO_SOUND])
def test_what_is_no_recording_is_refused_and_nothing_that_it_names_is_opened(
    folder: Path, what: str, error: type[UserError], words: str
) -> None:
    with pytest.raises(error, match=words) as refusal:
        import_sound(no_sound(folder, what), folder / "refused" / "sound")
    assert refusal.value.field == "file"
    assert not (folder / "refused").exists()


def broken(content: bytes, dice: random.Random) -> bytes:
    """The file with some bytes changed, most of them in its header, or cut off, or a part of it twice."""
    data = bytearray(content)
    for _ in range(dice.choice((1, 2, 5, 20, 200))):
        place = dice.randrange(min(len(data), dice.choice((100, 1000, len(data)))))
        match dice.choice(["bit", "zero", "ones", "cut", "copy"]):
            case "bit":
                data[place] ^= 1 << dice.randrange(8)
            case "zero":
                data[place : place + 4] = bytes(4)
            case "ones":
                data[place : place + 4] = b"\xff" * 4
            case "cut":
                data = data[: max(place, 50)]
            case "copy":
                start = dice.randrange(len(data))
                data[place:place] = data[start : start + dice.randrange(1000)]
    return bytes(data)


@pytest.mark.parametrize("seed", range(4))
def test_a_broken_file_is_heard_or_refused_and_nothing_else(folder: Path, seed: int) -> None:
    dice = random.Random(seed)
    refused = []
    for _ in range(15):
        file = join(folder / "broken", [broken(made(dice.choice(KINDS).name, folder), dice)])
        try:
            import_sound(file, folder / "sound")
        except UserError as exc:
            refused.append(exc.field)
    assert 0 < len(refused) < 15
    assert set(refused) == {"file"}

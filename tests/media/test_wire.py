"""RTP and sound judged by programs nobody here wrote: tshark's dissectors and statistics, sox's decoder."""

import re
import statistics
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from autodialer.media.shell import SoundFinished
from autodialer.media.sound import import_sound
from tests.media.processes import Callee, Media, callees
from tests.peers import sox
from tests.peers.capture import Capture
from tests.peers.ports import LOCALHOST, free_ports
from tests.peers.requirements import find_program
from tests.timing import at_most

pytestmark = pytest.mark.peer("tshark", "sox")

CODECS = [("PCMA", 8, ".alaw"), ("PCMU", 0, ".ulaw")]
SECONDS = 2.01
"""Ends with half a packet."""


@pytest.fixture
def stem(tmp_path: Path) -> Path:
    """A sweep made by sox and imported by us, about as loud as it came."""
    original = sox.make_sweep(tmp_path / "sweep.wav", seconds=SECONDS, rate=44100)
    import_sound(original, tmp_path / "sound", lufs=-8)
    return tmp_path / "sound"


def play_captured(folder: Path, stem: Path, codec: str, payload_type: int, callee: Callee) -> tuple[Capture, int]:
    """Play the sound once while the wire is captured; the capture and our port."""
    port = free_ports(2, even=True)[0]
    with Capture(folder / "wire.pcap", sip_ports=[], rtp_ports=[port], seconds=30) as wire, Media() as media:
        media.open("a", LOCALHOST, port)
        media.play_to("a", callee.address, stem, codec=codec, payload_type=payload_type)
        media.events.wait(SoundFinished)
    return wire, port


def streams(file: Path, port: int) -> list[dict[str, int]]:
    """tshark's own statistics of the RTP streams from a port: packets and lost."""
    command = [find_program("tshark") or "tshark", "-n", "-q", "-r", str(file), "-d", f"udp.port=={port},rtp"]
    text = subprocess.run(
        [*command, "-z", "rtp,streams"], capture_output=True, check=True, timeout=at_most(60), text=True
    ).stdout
    rows = [line.split() for line in text.splitlines() if re.search(rf"\s{port}\s", line)]
    found = []
    for row in rows:
        at = next(number for number, word in enumerate(row) if word.startswith("0x"))
        payload, packets, lost = row[at + 1], row[at + 2], row[at + 3]
        assert payload in ("g711A", "g711U"), text
        found.append({"packets": int(packets), "lost": int(lost)})
    return found


@pytest.mark.parametrize(("codec", "payload_type", "ending"), CODECS, ids=["PCMA", "PCMU"])
def test_what_tshark_reads_from_the_wire_is_the_encoded_sound_bit_for_bit(
    tmp_path: Path, stem: Path, codec: sox.Codec, payload_type: int, ending: str
) -> None:
    with Callee() as callee:
        wire, port = play_captured(tmp_path, stem, codec, payload_type, callee)
    packets = wire.rtp(source=(LOCALHOST, port), destination=callee.address)
    codes = stem.with_suffix(ending).read_bytes()
    heard = b"".join(packet.payload for packet in packets)
    assert len(packets) == -(-len(codes) // 160)
    assert heard[: len(codes)] == codes
    assert set(heard[len(codes) :]) <= {0xD5, 0xFF}
    assert packets[0].payload == codes[:160] and packets[0].marker
    assert not any(packet.marker for packet in packets[1:])
    assert {(packet.payload_type, packet.ssrc) for packet in packets} == {(payload_type, packets[0].ssrc)}
    for early, late in pairwise(packets):
        assert (late.sequence - early.sequence) % 2**16 == 1
        assert (late.timestamp - early.timestamp) % 2**32 == 160
    assert wire.malformed() == []


@pytest.mark.parametrize(("codec", "payload_type", "ending"), CODECS, ids=["PCMA", "PCMU"])
def test_what_sox_decodes_from_the_wire_is_the_sound_that_was_uploaded(
    tmp_path: Path, stem: Path, codec: sox.Codec, payload_type: int, ending: str
) -> None:
    with Callee() as callee:
        wire, port = play_captured(tmp_path, stem, codec, payload_type, callee)
    payloads = [packet.payload for packet in wire.rtp(source=(LOCALHOST, port))]
    heard = sox.from_g711(payloads, codec, tmp_path / "heard.wav")
    encoded = sox.compare(stem.with_suffix(".wav"), heard)
    assert encoded.snr_db > 36, "what G.711 itself costs"
    assert encoded.offset_s == 0 and encoded.missing_s == 0
    uploaded = sox.compare(tmp_path / "sweep.wav", heard)
    assert uploaded.snr_db > 33
    assert abs(uploaded.offset_s) <= 0.001 and uploaded.missing_s <= 0.001
    assert uploaded.gain_db == pytest.approx(0, abs=1)


def test_tshark_finds_no_loss_and_an_even_pace(tmp_path: Path, stem: Path) -> None:
    with Callee() as callee:
        wire, port = play_captured(tmp_path, stem, "PCMA", 8, callee)
    (stream,) = streams(wire.file, port)
    assert (stream["packets"], stream["lost"]) == (101, 0)
    times = [packet.at for packet in wire.rtp(source=(LOCALHOST, port))]
    gaps = [late - early for early, late in pairwise(times)]
    assert statistics.median(gaps) == pytest.approx(0.02, abs=0.002), (
        "the most of them; single ones may meet a busy machine"
    )


def test_each_of_twenty_calls_is_a_stream_of_its_own(tmp_path: Path, stem: Path) -> None:
    ports = free_ports(40, even=True)
    with (
        callees(20) as everybody,
        Capture(tmp_path / "wire.pcap", sip_ports=[], rtp_ports=[(ports[0], ports[-1])], seconds=30) as wire,
        Media() as media,
    ):
        for number, one in enumerate(everybody):
            media.open(f"call {number}", LOCALHOST, ports[2 * number])
            media.play_to(f"call {number}", one.address, stem)
        media.events.wait(SoundFinished, count=20)
    codes = stem.with_suffix(".alaw").read_bytes()
    packets = wire.rtp()
    for number, one in enumerate(everybody):
        mine = [packet for packet in packets if packet.source == (LOCALHOST, ports[2 * number])]
        assert {packet.destination for packet in mine} == {one.address}
        assert b"".join(packet.payload for packet in mine).startswith(codes)
    assert len({packet.ssrc for packet in packets}) == 20


def test_sox_measures_the_level_and_rate_that_the_import_says(tmp_path: Path) -> None:
    loud = sox.make_sweep(tmp_path / "loud.wav", seconds=2, rate=48000, level_dbfs=0)
    info = import_sound(loud, tmp_path / "sound")
    measured = sox.measure(tmp_path / "sound.wav")
    assert (measured.sample_rate, measured.channels) == (8000, 1)
    assert measured.duration_s == info.duration_s == pytest.approx(2, abs=0.001)
    assert measured.peak_dbfs == pytest.approx(info.peak_dbfs, abs=0.01)
    assert info.gain_db == pytest.approx(info.peak_dbfs, abs=0.2)


@pytest.mark.parametrize("ending", ["flac", "ogg", "wav"])
def test_what_sox_writes_is_imported_and_sounds_the_same_to_sox(tmp_path: Path, ending: str) -> None:
    original = sox.make_sweep(tmp_path / "sweep.wav", seconds=2, rate=44100)
    file = tmp_path / f"original.{ending}"
    subprocess.run([find_program("sox") or "sox", str(original), str(file)], check=True, timeout=at_most(60))
    info = import_sound(file, tmp_path / "sound")
    compared = sox.compare(original, tmp_path / "sound.wav")
    assert compared.snr_db > (15 if ending == "ogg" else 40)
    assert compared.gain_db == pytest.approx(info.gain_db, abs=0.3)

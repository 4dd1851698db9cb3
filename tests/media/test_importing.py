"""Import in a process of its own: the same answers, and nothing stays behind."""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile

from autodialer.errors import Invalid, SoundImportFailed, Unavailable, UnsupportedContent, UserError
from autodialer.media.shell import importing
from autodialer.media.shell.importing import import_apart
from autodialer.media.sound import import_sound
from tests.timing import at_most

pytestmark = pytest.mark.process

LIVES_S = 1.5
"""So long the process is seen to stay while the pipe of its parent is open."""
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tone(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "tone.wav", 0.3 * np.sin(np.arange(16_000) / 3), 8000)
    return tmp_path / "tone.wav"


def test_it_makes_the_same_sound_as_an_import_here(tmp_path: Path, tone: Path) -> None:
    apart = import_apart(tone, tmp_path / "apart", lufs=-23, trim=True)
    assert apart == import_sound(tone, tmp_path / "here", lufs=-23, trim=True)
    for ending in (".wav", ".alaw", ".ulaw"):
        assert (tmp_path / f"apart{ending}").read_bytes() == (tmp_path / f"here{ending}").read_bytes()


def test_a_refusal_comes_back_as_it_was_said(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    with pytest.raises(Invalid, match="file is empty") as refusal:
        import_apart(tmp_path / "empty.wav", tmp_path / "sound")
    assert refusal.value.field == "file"


def in_its_place(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Have another program started: one that fails as decoders and systems do."""
    real = subprocess.Popen

    def start(_command: list[str], **options: Any) -> Any:
        return real([sys.executable, "-c", program], **options)

    monkeypatch.setattr(importing.subprocess, "Popen", start)


def test_a_file_on_which_the_decoder_dies_is_refused(
    tmp_path: Path, tone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_its_place(monkeypatch, f"import os; os.kill(os.getpid(), {signal.SIGSEGV.value})")
    with pytest.raises(UnsupportedContent, match="file breaks the decoder"):
        import_apart(tone, tmp_path / "sound")


@pytest.mark.parametrize("program", ["raise SystemExit(1)", f"import os; os.kill(os.getpid(), {signal.SIGKILL.value})"])
def test_a_process_that_fails_by_itself_does_not_blame_the_file(
    tmp_path: Path, tone: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    in_its_place(monkeypatch, program)
    with pytest.raises(SoundImportFailed):
        import_apart(tone, tmp_path / "sound")


def test_the_process_ends_when_the_one_that_started_it_is_gone(tmp_path: Path) -> None:
    fifo = tmp_path / "never.wav"
    os.mkfifo(fifo)  # opening it waits for a writer who never comes
    job = {"original": str(fifo), "stem": str(tmp_path / "sound"), "lufs": -20, "trim": False}
    # A size makes import_sound open it; a pipe has none, so the wait is put before it.
    program = (
        "import sys, threading; sys.path.insert(0, sys.argv[2]); from autodialer.media.shell import importing as i;"
        "i._answer = lambda job: open(job['original']).read(); i.main()"
    )
    process = subprocess.Popen([sys.executable, "-c", program, json.dumps(job), str(ROOT)], stdin=subprocess.PIPE)
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(LIVES_S)
        assert process.stdin
        process.stdin.close()
        assert process.wait(at_most(10)) == 1
    finally:
        with contextlib.suppress(OSError):
            process.kill()
        process.wait()


def test_who_imports_apart_never_loads_what_decodes_and_measures(tmp_path: Path, tone: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from autodialer.media.shell.importing import import_apart;"
        "print(import_apart(Path(sys.argv[1]), Path(sys.argv[2])).duration_s);"
        "print([name for name in sys.modules if name in ('scipy', 'pyloudnorm', 'numpy', 'av')])"
    )
    command = [sys.executable, "-c", program, str(tone), str(tmp_path / "sound")]
    said = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
        timeout=at_most(60),
    )
    assert said.stdout.split() == [b"2.0", b"[]"]


def in_the_process(monkeypatch: pytest.MonkeyPatch, work: str, **limits: float) -> None:
    """Have the process do something else with the file, under other limits."""
    settings = "".join(f"i.{name} = {value};" for name, value in limits.items())
    program = f"from autodialer.media.shell import importing as i; {settings} i._import = lambda job: {work}; i.main()"
    real = subprocess.Popen

    def start(command: list[str], **options: Any) -> Any:
        return real([sys.executable, "-c", program, command[-1]], **options)

    monkeypatch.setattr(importing.subprocess, "Popen", start)


def test_a_file_that_takes_more_memory_than_any_recording_is_refused(
    tmp_path: Path, tone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_the_process(monkeypatch, "bytearray(2_000_000_000)")
    with pytest.raises(UnsupportedContent, match="file needs more memory than any recording"):
        import_apart(tone, tmp_path / "sound")


def test_a_file_that_takes_more_of_the_processor_than_any_recording_is_refused(
    tmp_path: Path, tone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_the_process(monkeypatch, "[None for _ in iter(int, 1)]", MOST_CPU_S=1)
    with pytest.raises(UnsupportedContent, match="file takes longer to decode than any recording"):
        import_apart(tone, tmp_path / "sound")


def test_a_machine_that_is_too_busy_is_not_the_fault_of_the_file(
    tmp_path: Path, tone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_the_process(monkeypatch, "__import__('time').sleep(600)", LONGEST_S=0.1)
    with pytest.raises(Unavailable, match="too busy to import a sound"):
        import_apart(tone, tmp_path / "sound")


def test_a_table_of_a_million_samples_that_are_not_there_is_refused_within_the_limits(tmp_path: Path) -> None:
    """An MP4 of 40 KB whose sample table says 64 million: FFmpeg makes an index of 1.6 GB of it."""
    source = tmp_path / "tone.wav"
    soundfile.write(source, 0.3 * np.sin(np.arange(16_000) / 3), 8000)
    with av.open(str(source)) as reading, av.open(str(tmp_path / "bomb.m4a"), "w", format="mp4") as writing:
        stream = writing.add_stream("alac", rate=8000, layout="mono")
        for frame in reading.decode(audio=0):
            writing.mux(stream.encode(frame))
        writing.mux(stream.encode(None))
    content = (tmp_path / "bomb.m4a").read_bytes()
    table = content.index(b"stsz") + 8
    bomb = content[:table] + (1000).to_bytes(4, "big") + (1 << 26).to_bytes(4, "big") + content[table + 8 :]
    (tmp_path / "bomb.m4a").write_bytes(bomb)
    with pytest.raises(UserError):
        import_apart(tmp_path / "bomb.m4a", tmp_path / "sound")
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 < importing.MOST_MEMORY

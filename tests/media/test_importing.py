"""Import in a process of its own: the same answers, and nothing stays behind."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from autodialer.errors import Invalid, SoundImportFailed, UnsupportedContent
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


def test_who_imports_apart_never_loads_what_measures_loudness(tmp_path: Path, tone: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from autodialer.media.shell.importing import import_apart;"
        "print(import_apart(Path(sys.argv[1]), Path(sys.argv[2])).duration_s);"
        "print([name for name in sys.modules if name in ('scipy', 'pyloudnorm')])"
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

"""Import of a sound in a process of its own: `python -m autodialer.media.shell.importing`, started by `import_apart`.

What measures loudness takes 80 MB, what decodes an upload may break on it, and both take a processor for seconds: none
of it is to stay in the API or the dialer. The process is told what to do by one JSON object as its argument, and
answers by one on standard output. It ends with the process that started it, and gives way to calls.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from autodialer.errors import Invalid, SoundImportFailed, TooLarge, UnsupportedContent, UserError
from autodialer.media.sound_info import DEFAULT_LUFS, FORMATS, SoundInfo

logger = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[3]
ONE_AT_A_TIME = threading.Lock()
"""Ten minutes of sound take 400 MB while they are imported; further uploads wait."""
LONGEST_S = 60.0
"""Ten minutes of sound take a few seconds; a decoder that does not come back is ended."""
NICENESS = 10
CRASHES = frozenset(
    getattr(signal, name).value
    for name in ("SIGSEGV", "SIGBUS", "SIGABRT", "SIGFPE", "SIGILL")
    if hasattr(signal, name)
)
"""What ends a decoder that trips over a file."""
REFUSALS: dict[str, type[UserError]] = {kind.__name__: kind for kind in (Invalid, TooLarge, UnsupportedContent)}


def import_apart(original: Path, stem: Path, *, lufs: float = DEFAULT_LUFS, trim: bool = False) -> SoundInfo:
    """As `import_sound`, in a process of its own. Raises also SoundImportFailed, when that fails by itself."""
    job = {"original": str(original.absolute()), "stem": str(stem.absolute()), "lufs": lufs, "trim": trim}
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "autodialer.media.shell.importing", json.dumps(job)]
    # One thread for numpy: more of them cost memory and are of no use here.
    environment = {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    with (
        ONE_AT_A_TIME,
        subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment, start_new_session=True) as process,
    ):
        assert process.stdout
        try:
            data = process.stdout.read()
        except BaseException:
            process.kill()
            raise
    return _result(data, process.returncode)


def _result(data: bytes, status: int) -> SoundInfo:
    if -status in CRASHES:
        logger.error("the import of a sound was ended by signal %s", -status)
        raise UnsupportedContent(f"file breaks the decoder; open it in an editor, save it as {FORMATS}", field="file")
    if status:
        raise SoundImportFailed
    answer = json.loads(data)
    if "refused" in answer:
        raise REFUSALS[answer["refused"]](answer["message"], field=answer["field"])
    return SoundInfo(**answer)


def _answer(job: dict[str, Any]) -> dict[str, Any]:
    # Only in the process of its own: who starts that one is spared the libraries.
    from autodialer.media.sound import import_sound

    try:
        info = import_sound(Path(job["original"]), Path(job["stem"]), lufs=job["lufs"], trim=job["trim"])
    except UserError as exc:
        return {"refused": type(exc).__name__, "message": str(exc), "field": exc.field}
    return asdict(info)


def _end_with(parent: BinaryIO) -> None:
    parent.read()
    os._exit(1)


def _end_late() -> None:
    sys.stderr.write(f"the import of a sound took more than {LONGEST_S:.0f} s\n")
    os._exit(1)


def main() -> int:
    """The process."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    threading.Thread(target=_end_with, args=(sys.stdin.buffer,), daemon=True).start()
    timer = threading.Timer(LONGEST_S, _end_late)
    timer.daemon = True
    timer.start()
    sys.stdout.write(json.dumps(_answer(json.loads(sys.argv[1]))))
    sys.stdout.flush()
    # Not by way of the interpreter's end, which waits for the thread that reads.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())

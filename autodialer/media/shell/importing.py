"""Import of a sound in a process of its own: `python -m autodialer.media.shell.importing`, started by `import_apart`.

What measures loudness takes 80 MB, what decodes an upload may break on it, and both take a processor for seconds: none
of it is to stay in the API or the dialer. The process is told what to do by one JSON object as its argument, and
answers by one on standard output. It ends with the process that started it, and gives way to calls. A stranger's file
gets so much memory, processor time and disk and no more.
"""

import contextlib
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

from autodialer.errors import Invalid, SoundImportFailed, TooLarge, Unavailable, UnsupportedContent, UserError
from autodialer.media.sound_info import DEFAULT_LUFS, FORMATS, SoundInfo, SoundWarning

logger = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[3]
LONGEST_S = 120.0
"""Ten minutes of sound take a few seconds; a machine that cannot do it in this time has no room for it now."""
MOST_CPU_S = 45
"""Of the processor: ten minutes of eight channels take 7 s here. What takes longer was made to."""
MOST_MEMORY = 1_200_000_000
"""Bytes of address space: ten minutes of eight channels take 710 MB of it, the libraries included."""
MOST_FILE = 50_000_000
"""Bytes of a file written: ten minutes take 10 MB."""
TOO_LATE = os.EX_TEMPFAIL if hasattr(os, "EX_TEMPFAIL") else 75
"""Exit status: the time is up."""
NICENESS = 10
CRASHES = frozenset(
    getattr(signal, name).value
    for name in ("SIGSEGV", "SIGBUS", "SIGABRT", "SIGFPE", "SIGILL")
    if hasattr(signal, name)
)
"""What ends a decoder that trips over a file."""
SLOW = frozenset(getattr(signal, name).value for name in ("SIGXCPU",) if hasattr(signal, name))
"""What ends a decoder that takes more of the processor than any recording does."""
REFUSALS: dict[str, type[UserError]] = {kind.__name__: kind for kind in (Invalid, TooLarge, UnsupportedContent)}


def import_apart(original: Path, stem: Path, *, lufs: float = DEFAULT_LUFS, trim: bool = False) -> SoundInfo:
    """As `import_sound`, in a process of its own.

    Raises also SoundImportFailed, when that fails by itself, and Unavailable, when the machine is too busy for it.
    """
    job = {"original": str(original.absolute()), "stem": str(stem.absolute()), "lufs": lufs, "trim": trim}
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "autodialer.media.shell.importing", json.dumps(job)]
    # One thread for numpy: more of them cost memory and are of no use here.
    # glibc reserves 64 MB of address space for each arena, which the limit on address space counts.
    environment = {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment, start_new_session=True) as process:
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
    if -status in SLOW:
        logger.error("the import of a sound was ended: it took more than %s s of the processor", MOST_CPU_S)
        raise UnsupportedContent(
            f"file takes longer to decode than any recording; open it in an editor, save it as {FORMATS}", field="file"
        )
    if status == TOO_LATE:
        raise Unavailable("The machine is too busy to import a sound; try again in a minute.")
    if status:
        raise SoundImportFailed
    answer = json.loads(data)
    if "refused" in answer:
        raise REFUSALS[answer["refused"]](answer["message"], field=answer["field"])
    warnings = tuple(SoundWarning(**warning) for warning in answer.pop("warnings"))
    return SoundInfo(**answer, warnings=warnings)


def _import(job: dict[str, Any]) -> dict[str, Any]:
    # Only in the process of its own: who starts that one is spared the libraries.
    from autodialer.media.sound import import_sound

    return asdict(import_sound(Path(job["original"]), Path(job["stem"]), lufs=job["lufs"], trim=job["trim"]))


def _answer(job: dict[str, Any]) -> dict[str, Any]:
    try:
        return _import(job)
    except UserError as exc:
        return _refusal(exc)
    except MemoryError:
        message = f"file needs more memory than any recording; open it in an editor, save it as {FORMATS}"
        return _refusal(UnsupportedContent(message, field="file"))


def _refusal(exc: UserError) -> dict[str, Any]:
    return {"refused": type(exc).__name__, "message": str(exc), "field": exc.field}


def _end_with(parent: BinaryIO) -> None:
    parent.read()
    os._exit(1)


def _end_late() -> None:
    sys.stderr.write(f"the import of a sound took more than {LONGEST_S:.0f} s\n")
    os._exit(TOO_LATE)


def _limit_itself() -> None:
    """Before anything of the file is read. Systems without such limits have the deadline only."""
    try:
        import resource
    except ImportError:
        return
    # A decoder that dies is expected here: its memory must not fill the disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for kind, most in (
        (resource.RLIMIT_AS, MOST_MEMORY),
        (resource.RLIMIT_CPU, MOST_CPU_S),
        (resource.RLIMIT_FSIZE, MOST_FILE),
    ):
        _, hard = resource.getrlimit(kind)
        # macOS has limits that cannot be set.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def main() -> int:
    """The process, which ends here: its standard output holds the answer, its exit status is 0, 1 or TOO_LATE."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    _limit_itself()
    # The end of standard input: nobody waits for the sound any more.
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

"""Import of a file in a process of its own: `python -m autodialer.imports.process`.

Only this process opens what a user uploaded. A file may have been made to hold up a machine, and a million honest rows
keep a processor busy for half a minute; in the API both would hold up every request. The process has a limit of memory
and of CPU time, gives way to calls, and ends with the process that started it.

It is told what to do by one JSON object as its argument. Where a request waits for it (`look`), it tells by lines of
JSON on its standard output what the file is and how the import ended, and learns in between, by a line on its standard
input, what the file is imported into. Otherwise it writes progress and end into the database.
"""

import json
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from autodialer import errors
from autodialer.errors import TooLarge, Unavailable, UserError
from autodialer.imports.columns import Wanted
from autodialer.imports.into_callbase import IntoCallbase
from autodialer.imports.into_dnc import IntoDnc
from autodialer.imports.preview import preview
from autodialer.imports.reading import inspect
from autodialer.imports.running import Destination, import_rows, keep_trying
from autodialer.logs import start_logging
from autodialer.store import Secrets, Store

logger = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
NICENESS = 5
PATIENCE_S = 600.0
"""How long the import waits for a database that is locked or whose disk is full."""
NO_DATABASE = os.EX_TEMPFAIL if hasattr(os, "EX_TEMPFAIL") else 75
"""Exit status: the patience has run out."""
CALLBASE, DNC = "callbase", "dnc"
PREVIEW, LOOK, IMPORT = "preview", "look", "import"
"""Only look; look, then import what a request waits for; import."""
MOST_MEMORY = 1_000_000_000
"""Bytes of address space. A million rows of a workbook take 300 MB, and of a text less."""
MOST_CPU_S = {PREVIEW: 20, LOOK: 30, IMPORT: 1_800}
"""A look at 200 MB of text takes 2 s; two million rows take three minutes."""
LIMIT_SIGNALS = frozenset(-getattr(signal, name) for name in ("SIGABRT", "SIGXCPU", "SIGSEGV") if hasattr(signal, name))
"""Exit statuses of a process that met a limit: a library that got no memory, no CPU time left."""
BEYOND_LIMITS = (
    "file asks for more memory or time than a table needs: it may have a stray cell far below or far to the right of "
    "its rows. Save it as CSV (UTF-8) or copy the rows into a new workbook, then upload it again"
)


@dataclass(frozen=True, kw_only=True)
class ImportJob:
    """What the process is told."""

    task: str = IMPORT
    url: str
    """SQLAlchemy URL of the database."""
    keys: str
    """Folder of the generated keys."""
    into: str
    """callbase or dnc: of what table `key` is."""
    key: int | None
    """None: the request says it once the file has been looked at."""
    file: str
    region: str
    wanted: Mapping[str, Any] = field(default_factory=dict)
    """What the user says of the table; the fields of `Wanted`."""
    log: str = "INFO"
    log_format: str = "text"
    """As the API logs. Told, because a `.env` file is not in this process's environment."""


def start_import(job: ImportJob) -> subprocess.Popen[bytes]:
    """The process at work. An import ends with 0 when the destination says how it ended, or is gone."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "autodialer.imports.process", json.dumps(asdict(job))]
    environment = {**os.environ, "PYTHONPATH": path}
    output = None if job.task == IMPORT else subprocess.PIPE
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, env=environment, start_new_session=True)


def destination(store: Store, into: str, key: int) -> Destination:
    """What a callbase's or a DNC import's key stands for."""
    return IntoDnc(store, key) if into == DNC else IntoCallbase(store, key)


def run(job: ImportJob, *, patience_s: float = PATIENCE_S, busy_timeout_s: float = 10.0) -> None:
    """Import the file; what is wrong with it is kept with the destination. Raises Unavailable."""
    assert job.key is not None
    store = Store(job.url, secrets=Secrets(Path(job.keys)), busy_timeout_s=busy_timeout_s)
    into = destination(store, job.into, job.key)
    try:
        import_rows(into, inspect(Path(job.file), job.region, Wanted(**job.wanted)), patience_s=patience_s)
    except UserError as exc:
        _fail(into, str(exc), patience_s)
    except MemoryError:
        _fail(into, BEYOND_LIMITS, patience_s)
    finally:
        store.close()


def look(job: ImportJob, told: "queue.SimpleQueue[bytes]", *, busy_timeout_s: float = 10.0) -> None:
    """Say what the file is; once told into what, import it and say that this is done. Raises UserError, Unavailable."""
    plan = inspect(Path(job.file), job.region, Wanted(**job.wanted))
    _tell({"taken": plan.taken(), "rows": plan.rows})
    key = json.loads(told.get())
    store = Store(job.url, secrets=Secrets(Path(job.keys)), busy_timeout_s=busy_timeout_s)
    try:
        import_rows(destination(store, job.into, key), plan)
    finally:
        store.close()
    _tell({})


def error_of(told: Mapping[str, Any]) -> UserError | Unavailable:
    """The exception that the process has told of."""
    kind = getattr(errors, told["kind"])
    made: UserError | Unavailable = (
        kind(told["message"], field=told["field"], details=told["details"])
        if issubclass(kind, UserError)
        else kind(told["message"])
    )
    return made


def _error(exc: UserError | Unavailable) -> dict[str, Any]:
    said = {"field": exc.field, "details": exc.details} if isinstance(exc, UserError) else {}
    return {"error": {"kind": type(exc).__name__, "message": str(exc), **said}}


def _tell(message: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _fail(into: Destination, error: str, patience_s: float) -> None:
    try:
        keep_trying(lambda: into.fail(error), for_s=patience_s)
    except UserError as exc:
        # Deleted meanwhile: nobody is left to be told.
        logger.info("the import ended: %s", exc)


def _listen(parent: BinaryIO, told: "queue.SimpleQueue[bytes]") -> None:
    for line in parent:
        told.put(line)
    os._exit(1)


def _limit(task: str) -> None:
    """Bounds that the operating system holds, whatever library decodes the file. Windows has none of them."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_CPU_S[task], MOST_CPU_S[task] + 5))
    # A library that gets no memory may abort: without this, the dump of a gigabyte would fill the disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    except (ValueError, OSError):
        logger.debug("this system limits no address space")


def _work(job: ImportJob, told: "queue.SimpleQueue[bytes]") -> int:
    try:
        if job.task == IMPORT:
            run(job)
        elif job.task == LOOK:
            look(job, told)
        else:
            _tell(preview(Path(job.file), job.region, Wanted(**job.wanted)))
    except MemoryError:
        _tell(_error(TooLarge(BEYOND_LIMITS, field="file")))
    except (UserError, Unavailable) as exc:
        if job.task == IMPORT:
            logger.error("the import gave up: the database has refused for %.0f s", PATIENCE_S)
            return NO_DATABASE
        _tell(_error(exc))
    except Exception:
        logger.exception("the import failed")
        return 1
    return 0


def main() -> int:
    """The process; its exit status."""
    job = ImportJob(**json.loads(sys.argv[1]))
    start_logging(job.log, "import", job.log_format)
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    _limit(job.task)
    told: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, told), daemon=True).start()
    status = _work(job, told)
    sys.stderr.flush()
    # Not by way of the interpreter's end, which waits for the thread that reads.
    os._exit(status)


if __name__ == "__main__":
    sys.exit(main())

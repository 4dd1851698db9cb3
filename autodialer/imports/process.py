"""Import of a large file in a process of its own: `python -m autodialer.imports.process`.

A million rows keep a processor busy for half a minute; in the API they would hold up every request, and its memory
would stay large for good. The process is told what to do by one JSON object as its argument, writes its progress and
its end into the database, ends with the process that started it, and gives way to calls.
"""

import json
import logging
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from autodialer.errors import Unavailable, UserError
from autodialer.imports.into_callbase import IntoCallbase
from autodialer.imports.into_dnc import IntoDnc
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


@dataclass(frozen=True, kw_only=True)
class ImportJob:
    """What the process is told."""

    url: str
    """SQLAlchemy URL of the database."""
    keys: str
    """Folder of the generated keys."""
    into: str
    """callbase or dnc: of what table `key` is."""
    key: int
    file: str


def start_import(job: ImportJob) -> subprocess.Popen[bytes]:
    """The process at work. It ends with 0 when the destination says how the import ended, or is gone."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "autodialer.imports.process", json.dumps(vars(job))]
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, start_new_session=True)


def destination(store: Store, into: str, key: int) -> Destination:
    """What a callbase's or a DNC import's key stands for."""
    return IntoDnc(store, key) if into == DNC else IntoCallbase(store, key)


def run(job: ImportJob, *, patience_s: float = PATIENCE_S, busy_timeout_s: float = 10.0) -> None:
    """Import the file; what is wrong with it is kept with the destination. Raises Unavailable."""
    store = Store(job.url, secrets=Secrets(Path(job.keys)), busy_timeout_s=busy_timeout_s)
    into = destination(store, job.into, job.key)
    try:
        import_rows(into, inspect(Path(job.file)), patience_s=patience_s)
    except UserError as exc:
        _fail(into, str(exc), patience_s)
    finally:
        store.close()


def _fail(into: Destination, error: str, patience_s: float) -> None:
    try:
        keep_trying(lambda: into.fail(error), for_s=patience_s)
    except UserError as exc:
        # Deleted meanwhile: nobody is left to be told.
        logger.info("the import ended: %s", exc)


def _end_with(parent: BinaryIO) -> None:
    parent.read()
    os._exit(1)


def main() -> int:
    """The process; its exit status."""
    start_logging(os.environ.get("DIALER_LOG", "INFO"), "import")
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    threading.Thread(target=_end_with, args=(sys.stdin.buffer,), daemon=True).start()
    status = 0
    try:
        run(ImportJob(**json.loads(sys.argv[1])))
    except Unavailable:
        logger.error("the import gave up: the database has refused for %.0f s", PATIENCE_S)
        status = NO_DATABASE
    except Exception:
        logger.exception("the import failed")
        status = 1
    sys.stderr.flush()
    # Not by way of the interpreter's end, which waits for the thread that reads.
    os._exit(status)


if __name__ == "__main__":
    sys.exit(main())

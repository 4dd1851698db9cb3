"""Import of a large callbase in a process of its own: `python -m autodialer.campaign.import_process`.

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

from autodialer.campaign.importer import import_callbase, inspect
from autodialer.errors import UserError
from autodialer.store import Secrets, Store

logger = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
NICENESS = 5


@dataclass(frozen=True, kw_only=True)
class ImportJob:
    """What the process is told."""

    url: str
    """SQLAlchemy URL of the database."""
    keys: str
    """Folder of the generated keys."""
    callbase_key: int
    file: str


def start_import(job: ImportJob) -> subprocess.Popen[bytes]:
    """The process at work. It ends with 0 when the callbase says how the import ended, or is gone."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "autodialer.campaign.import_process", json.dumps(vars(job))]
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, start_new_session=True)


def run(job: ImportJob) -> None:
    """Import the file; what a user did wrong is kept with the callbase."""
    store = Store(job.url, secrets=Secrets(Path(job.keys)))
    try:
        callbase = store.callbases.by_key(job.callbase_key)
        try:
            plan = inspect(Path(job.file))
        except UserError as exc:
            store.callbases.fail(callbase.key, str(exc))
            raise
        import_callbase(store, callbase, plan, keep_failed=True)
    except UserError as exc:
        # Deleted meanwhile, or refused: then the callbase says why.
        logger.info("import of callbase %s ended: %s", job.callbase_key, exc)
    finally:
        store.close()


def _end_with(parent: BinaryIO) -> None:
    parent.read()
    os._exit(1)


def main() -> int:
    """The process; its exit status."""
    form = "%(asctime)s %(levelname)-7s import %(message)s"
    logging.basicConfig(level=os.environ.get("DIALER_LOG", "INFO"), format=form)
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    threading.Thread(target=_end_with, args=(sys.stdin.buffer,), daemon=True).start()
    status = 0
    try:
        run(ImportJob(**json.loads(sys.argv[1])))
    except Exception:
        logger.exception("the import failed")
        status = 1
    sys.stderr.flush()
    # Not by way of the interpreter's end, which waits for the thread that reads.
    os._exit(status)


if __name__ == "__main__":
    sys.exit(main())

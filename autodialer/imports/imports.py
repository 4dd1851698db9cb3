"""Imports of uploaded files: small ones at once, large ones after the upload has been answered."""

import logging
import math
import queue
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from autodialer.config import Settings
from autodialer.errors import Unavailable, UserError
from autodialer.imports.process import CALLBASE, DNC, NO_DATABASE, ImportJob, destination, start_import
from autodialer.imports.reading import ImportPlan, inspect
from autodialer.imports.running import Destination, import_rows, keep_trying
from autodialer.model import Callbase
from autodialer.store import DncImport, Store

logger = logging.getLogger(__name__)

ROWS_AT_ONCE = 10_000
"""A file of more rows is imported in the background."""
SERVICE_STOPPED = "The service stopped during the import; upload the file again."
BROKEN = "The import failed inside the service, whose log says why; upload the file again."
OUT_OF_REACH = (
    "The database could not be written for ten minutes: it is locked, or its disk is full. "
    "Have this put right, then upload the file again."
)

Made = TypeVar("Made", Callbase, DncImport)


@dataclass(frozen=True, kw_only=True)
class _Waiting:
    """A large file whose turn has not come."""

    into: str
    key: int
    file: Path


class Imports:
    """Imports files into callbases and DNC lists. Large ones run one at a time, each in a process.

    Deleting a callbase or a DNC import ends its import at the next batch.
    """

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._stopping = threading.Event()
        self._work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._worker: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def import_file(self, file: Path, make_callbase: Callable[[], Callbase]) -> Callbase:
        """Look at the file, make the callbase, fill it; it is still `importing` when there are many rows.

        The file is removed in the end. Raises UserError or Unavailable; then nothing is stored.
        """
        return self._import(CALLBASE, file, make_callbase)

    def import_dnc_file(self, file: Path, make_import: Callable[[], DncImport]) -> DncImport:
        """The same for numbers that are not to be called.

        Raises UserError or Unavailable; then there is no import, but what it had entered stays on the list.
        """
        return self._import(DNC, file, make_import)

    def fail_unfinished(self) -> int:
        """Imports that died with an earlier service have failed; how many. Raises Unavailable.

        Only for a service that knows to be the only one on the data folder: those of another would end too.
        """
        return self._store.callbases.fail_unfinished() + self._store.dnc_imports.fail_unfinished()

    def stop(self) -> None:
        """End all imports; their destinations are `failed` and say why."""
        self._stopping.set()
        process = self._process
        if process is not None:
            process.terminate()
        if self._worker is not None:
            self._work.put(lambda: None)
            self._worker.join(10)

    def _import(self, into: str, file: Path, make: Callable[[], Made]) -> Made:
        in_background = False
        try:
            plan = inspect(file)
            made = make()
            if plan.rows > ROWS_AT_ONCE:
                self._later(partial(self._run, _Waiting(into=into, key=made.key, file=file)))
                in_background = True
            else:
                self._import_now(destination(self._store, into, made.key), plan)
        finally:
            if not in_background:
                file.unlink(missing_ok=True)
        return made

    def _import_now(self, into: Destination, plan: ImportPlan) -> None:
        try:
            import_rows(into, plan)
        except BaseException:
            self._discard(into)
            raise

    def _discard(self, into: Destination) -> None:
        try:
            into.discard()
        except Unavailable:
            # The client is told to try again, so that what is left of this try must go once the database is back.
            self._later(partial(self._persist, into.discard))

    def _later(self, step: Callable[[], None]) -> None:
        self._work.put(step)
        with self._starting:
            if self._worker is None:
                self._worker = threading.Thread(target=self._work_through, name="imports", daemon=True)
                self._worker.start()

    def _work_through(self) -> None:
        while not (self._stopping.is_set() and self._work.empty()):
            self._work.get()()

    def _run(self, waiting: _Waiting) -> None:
        error: str | None = BROKEN
        try:
            error = SERVICE_STOPPED if self._stopping.is_set() else self._in_process(waiting)
        except Exception:
            logger.exception("the import into %s %s failed", waiting.into, waiting.key)
        try:
            if error is not None:
                into = destination(self._store, waiting.into, waiting.key)
                self._persist(partial(into.fail, error))
        finally:
            waiting.file.unlink(missing_ok=True)

    def _in_process(self, waiting: _Waiting) -> str | None:
        """Why it failed; None: the destination says how it ended."""
        job = ImportJob(
            url=self._settings.url,
            keys=str(self._settings.keys.absolute()),
            into=waiting.into,
            key=waiting.key,
            file=str(waiting.file.absolute()),
        )
        with start_import(job) as process:
            self._process = process
            # `stop` may have come before there was a process to end.
            if self._stopping.is_set():
                process.terminate()
            status = process.wait()
            self._process = None
        if status == 0:
            return None
        logger.error("the import into %s %s ended with status %s", waiting.into, waiting.key, status)
        if self._stopping.is_set():
            return SERVICE_STOPPED
        return OUT_OF_REACH if status == NO_DATABASE else BROKEN

    def _persist(self, step: Callable[[], None]) -> None:
        """Do it once the database lets it; when the service stops before, its next start does (`fail_unfinished`)."""
        try:
            keep_trying(step, for_s=math.inf, going_on=lambda: not self._stopping.is_set(), sleep=self._stopping.wait)
        except UserError as exc:
            logger.info("an import ended: %s", exc)
        except Exception:
            logger.exception("the end of an import could not be written")

"""Imports of uploaded files: small ones at once, large ones after the upload has been answered."""

import logging
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from autodialer.campaign.import_process import ImportJob, start_import
from autodialer.campaign.importer import ImportPlan, import_callbase, inspect
from autodialer.config import Settings
from autodialer.errors import UserError
from autodialer.model import Callbase
from autodialer.store import Store

logger = logging.getLogger(__name__)

ROWS_AT_ONCE = 10_000
"""A file of more rows is imported in the background."""
STOPPED = "The service stopped during the import; upload the file again."
BROKEN = "The import failed inside the service, whose log says why; upload the file again."


class Imports:
    """Background imports run one at a time, in processes. Deleting a callbase ends its import at the next batch."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._one_at_a_time = threading.Lock()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._process: subprocess.Popen[bytes] | None = None

    def import_file(self, file: Path, make_callbase: Callable[[], Callbase]) -> Callbase:
        """Look at the file, make the callbase, fill it; it is still `importing` when there are many rows.

        The file is removed in the end. Raises UserError; then nothing is stored.
        """
        in_background = False
        try:
            plan = inspect(file)
            callbase = make_callbase()
            if plan.rows > ROWS_AT_ONCE:
                self._start(callbase, file)
                in_background = True
            else:
                self._import_now(callbase, plan)
        finally:
            if not in_background:
                file.unlink(missing_ok=True)
        return callbase

    def stop(self) -> None:
        """End all imports; their callbases are `failed` and say why."""
        self._stopping.set()
        process = self._process
        if process is not None:
            process.terminate()
        for thread in self._threads:
            thread.join(10)

    def _import_now(self, callbase: Callbase, plan: ImportPlan) -> None:
        try:
            import_callbase(self._store, callbase, plan)
        except BaseException:
            self._store.callbases.discard(callbase.key)
            raise

    def _start(self, callbase: Callbase, file: Path) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=self._run, args=(callbase, file), name=f"import {callbase.id}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run(self, callbase: Callbase, file: Path) -> None:
        try:
            with self._one_at_a_time:
                status = self._work(callbase, file)
            if status:
                self._fail(callbase, STOPPED if self._stopping.is_set() else BROKEN)
        except Exception:
            logger.exception("import of callbase %s failed", callbase.id)
            self._fail(callbase, BROKEN)
        finally:
            file.unlink(missing_ok=True)

    def _work(self, callbase: Callbase, file: Path) -> int:
        """The exit status of the process that does it; 0: the callbase says how it ended."""
        job = ImportJob(
            url=self._settings.url,
            keys=str(self._settings.keys.absolute()),
            callbase_key=callbase.key,
            file=str(file.absolute()),
        )
        with start_import(job) as process:
            self._process = process
            # `stop` may have come before there was a process to end.
            if self._stopping.is_set():
                process.terminate()
            status = process.wait()
            self._process = None
        if status:
            logger.error("the import of callbase %s ended with status %s", callbase.id, status)
        return status

    def _fail(self, callbase: Callbase, error: str) -> None:
        try:
            self._store.callbases.fail(callbase.key, error)
        except UserError as exc:
            logger.info("import of callbase %s ended: %s", callbase.id, exc)

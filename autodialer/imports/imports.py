"""Imports of uploaded files: small ones at once, large ones after the upload has been answered."""

import contextlib
import logging
import math
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from autodialer.config import Settings
from autodialer.errors import Unavailable, UserError
from autodialer.imports.apart import LookApart, preview_apart
from autodialer.imports.columns import Wanted
from autodialer.imports.import_turns import ImportTurns
from autodialer.imports.process import (
    BEYOND_LIMITS,
    CALLBASE,
    DNC,
    IMPORT,
    LIMIT_SIGNALS,
    LOOK,
    NO_DATABASE,
    ImportJob,
    destination,
    start_import,
)
from autodialer.imports.running import Destination, keep_trying
from autodialer.model import Callbase
from autodialer.seats import Seats
from autodialer.store import DncImport, Store

logger = logging.getLogger(__name__)

ROWS_AT_ONCE = 10_000
"""A file of more rows is imported in the background."""
LOOKS_AT_ONCE = 3
"""Of the API's threads: so many may wait for the import process; ..."""
LOOKS_OF_A_USER = 2
"""... and so many for files of one user, so that one who sends hostile files leaves a seat to the others."""
SERVICE_STOPPED = "The service stopped during the import; upload the file again."
BROKEN = "The import failed inside the service, whose log says why; upload the file again."
OUT_OF_REACH = (
    "The database could not be written for ten minutes: it is locked, or its disk is full. "
    "Have this put right, then upload the file again."
)

Made = TypeVar("Made", Callbase, DncImport)


@dataclass(frozen=True, kw_only=True)
class Uploaded:
    """A file to be imported, and what its user says of it."""

    file: Path
    user_key: int
    region: str
    wanted: Wanted = field(default_factory=Wanted)


@dataclass(frozen=True, kw_only=True)
class _Waiting:
    """A large file whose turn has not come."""

    into: str
    key: int
    uploaded: Uploaded


class Imports:
    """Imports files into callbases and DNC lists. Every file is opened in the import process only.

    Deleting a callbase or a DNC import ends its import at the next batch.
    """

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._stopping = threading.Event()
        self._seats = Seats(
            most=LOOKS_AT_ONCE,
            most_a_user=LOOKS_OF_A_USER,
            yours=f"{LOOKS_OF_A_USER} of your files are being read already; send this one again in a moment.",
            others="Files of other users are being read; send this one again in a moment.",
        )
        self._turns = ImportTurns()
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._tally: Counter[tuple[str, str]] = Counter()
        self._tallying = threading.Lock()

    @property
    def tally(self) -> dict[tuple[str, str], int]:
        """(callbase or dnc, imported or duplicate or rejected) -> rows of imports that ended since the start."""
        with self._tallying:
            return dict(self._tally)

    def preview(self, uploaded: Uploaded) -> dict[str, Any]:
        """What the file would be taken for; nothing is stored, and the file is removed.

        Raises UserError, Unavailable.
        """
        try:
            with self._seats.taken(uploaded.user_key):
                return preview_apart(self._job(CALLBASE, None, uploaded))
        finally:
            uploaded.file.unlink(missing_ok=True)

    def import_file(self, uploaded: Uploaded, make_callbase: Callable[[Mapping[str, Any]], Callbase]) -> Callbase:
        """Look at the file, make the callbase, fill it; it is still `importing` when there are many rows.

        `make_callbase` is told how the file is read (see `ImportPlan.taken`). The file is removed in the end. Raises
        UserError or Unavailable; then nothing is stored.
        """
        return self._import(CALLBASE, uploaded, make_callbase)

    def import_dnc_file(self, uploaded: Uploaded, make_import: Callable[[Mapping[str, Any]], DncImport]) -> DncImport:
        """The same for numbers that are not to be called.

        Raises UserError or Unavailable; then there is no import, but what it had entered stays on the list.
        """
        return self._import(DNC, uploaded, make_import)

    def fail_unfinished(self) -> int:
        """Imports that died with an earlier service have failed; how many. Raises Unavailable.

        Only for a service that knows to be the only one on the data folder: those of another would end too.
        """
        return self._store.callbases.fail_unfinished() + self._store.dnc_imports.fail_unfinished()

    def stop(self) -> None:
        """End all imports; their destinations are `failed` and say why."""
        self._stopping.set()
        for process in list(self._processes):
            process.terminate()
        self._turns.stop()

    def _import(self, into: str, uploaded: Uploaded, make: Callable[[Mapping[str, Any]], Made]) -> Made:
        in_background = False
        try:
            self._turns.check_room(uploaded.user_key)
            with self._seats.taken(uploaded.user_key), LookApart(self._job(into, None, uploaded, LOOK)) as process:
                looked = process.looked()
                made = make(looked.taken)
                if looked.rows > ROWS_AT_ONCE:
                    step = partial(self._run, _Waiting(into=into, key=made.key, uploaded=uploaded))
                    self._turns.add(uploaded.user_key, step)
                    in_background = True
                else:
                    self._import_now(into, made.key, uploaded, process)
        finally:
            if not in_background:
                uploaded.file.unlink(missing_ok=True)
        return made

    def _import_now(self, into: str, key: int, uploaded: Uploaded, process: LookApart) -> None:
        try:
            process.import_into(key)
        except BaseException:
            self._discard(destination(self._store, into, key), uploaded.user_key)
            raise
        self._count(into, key)

    def _discard(self, into: Destination, user_key: int) -> None:
        try:
            into.discard()
        except Unavailable:
            # The client is told to try again, so that what is left of this try must go once the database is back.
            self._turns.add(user_key, partial(self._persist, into.discard))

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
            waiting.uploaded.file.unlink(missing_ok=True)

    def _in_process(self, waiting: _Waiting) -> str | None:
        """Why it failed; None: the destination says how it ended."""
        with start_import(self._job(waiting.into, waiting.key, waiting.uploaded)) as process:
            self._processes.add(process)
            # `stop` may have come before there was a process to end.
            if self._stopping.is_set():
                process.terminate()
            status = process.wait()
            self._processes.discard(process)
        if status == 0:
            self._count(waiting.into, waiting.key)
            return None
        logger.error("the import into %s %s ended with status %s", waiting.into, waiting.key, status)
        if self._stopping.is_set():
            return SERVICE_STOPPED
        return OUT_OF_REACH if status == NO_DATABASE else BEYOND_LIMITS if status in LIMIT_SIGNALS else BROKEN

    def _count(self, into: str, key: int) -> None:
        """For the metrics. A failure here fails nothing: the import has been made, counted or not."""
        with contextlib.suppress(UserError, Unavailable):
            made = self._store.dnc_imports.by_key(key) if into == DNC else self._store.callbases.by_key(key)
            with self._tallying:
                self._tally[into, "imported"] += made.imported
                self._tally[into, "duplicate"] += made.duplicates
                self._tally[into, "rejected"] += made.rejected

    def _job(self, into: str, key: int | None, uploaded: Uploaded, task: str = IMPORT) -> ImportJob:
        return ImportJob(
            task=task,
            url=self._settings.url,
            keys=str(self._settings.keys.absolute()),
            into=into,
            key=key,
            file=str(uploaded.file.absolute()),
            region=uploaded.region,
            wanted=asdict(uploaded.wanted),
            log=self._settings.log,
            log_format=self._settings.log_format,
        )

    def _persist(self, step: Callable[[], None]) -> None:
        """Do it once the database lets it; when the service stops before, its next start does (`fail_unfinished`)."""
        try:
            keep_trying(step, for_s=math.inf, going_on=lambda: not self._stopping.is_set(), sleep=self._stopping.wait)
        except UserError as exc:
            logger.info("an import ended: %s", exc)
        except Exception:
            logger.exception("the end of an import could not be written")

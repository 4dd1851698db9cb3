"""Import of numbers that are not to be called: small files at once, large ones after the upload has been answered."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from autodialer.campaign.importer import ImportPlan, inspect
from autodialer.campaign.numbers import normalise
from autodialer.errors import DialerError, Invalid, UserError
from autodialer.store import DncImport, RejectedRow, Store
from autodialer.store.setup.dnc_imports import STOPPED

logger = logging.getLogger(__name__)

ROWS_AT_ONCE = 10_000
"""A file of more rows is imported in the background."""
BATCH_ROWS = 500
PAUSE_S = 0.002
"""Between two batches, so that the dialer's claims never wait long for the database."""
LONGEST_VALUE = 500
BROKEN = "The import failed inside the service, whose log says why; upload the file again."
NOBODY = "file holds no phone number of region {region}; check the region and that one column holds the numbers"

NumberedRow = tuple[int, list[str]]


class _Stopped(DialerError):
    """The service ends."""


class DncImporter:
    """Reads uploaded files into the list. Background imports run one at a time; deleting one ends it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._one_at_a_time = threading.Lock()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def import_file(self, file: Path, make_import: Callable[[], DncImport]) -> DncImport:
        """Look at the file, make the import, read it; it is still `importing` when there are many rows.

        The file is removed in the end. Raises UserError; then there is no import.
        """
        in_background = False
        try:
            plan = inspect(file)
            into = make_import()
            if plan.rows > ROWS_AT_ONCE:
                self._start(into, plan, file)
                in_background = True
            else:
                self._import_now(into, plan)
        finally:
            if not in_background:
                file.unlink(missing_ok=True)
        return into

    def stop(self) -> None:
        """End all imports; they are `failed` and say why."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(10)

    def _import_now(self, into: DncImport, plan: ImportPlan) -> None:
        try:
            read_into_list(self._store, into, plan, go_on=lambda: None)
        except BaseException:
            self._store.dnc_imports.discard(into.id)
            raise

    def _start(self, into: DncImport, plan: ImportPlan, file: Path) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=self._run, args=(into, plan, file), name=f"import {into.id}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run(self, into: DncImport, plan: ImportPlan, file: Path) -> None:
        try:
            with self._one_at_a_time:
                self._check()
                read_into_list(self._store, into, plan, go_on=self._check)
        except (UserError, _Stopped) as exc:
            self._fail(into, str(exc) if isinstance(exc, UserError) else STOPPED)
        except Exception:
            logger.exception("DNC import %s failed", into.id)
            self._fail(into, BROKEN)
        finally:
            file.unlink(missing_ok=True)

    def _fail(self, into: DncImport, error: str) -> None:
        try:
            self._store.dnc_imports.fail(into, error)
        except UserError as exc:
            logger.info("DNC import %s ended: %s", into.id, exc)

    def _check(self) -> None:
        if self._stopping.is_set():
            raise _Stopped


def read_into_list(store: Store, into: DncImport, plan: ImportPlan, *, go_on: Callable[[], None]) -> None:
    """Read the file row by row into the list of its owner; `go_on` is asked before each batch and may raise.

    Raises Invalid (field `file`) when no row holds a number, Conflict when the import was deleted meanwhile.
    """
    done = usable = 0
    rows = ((number, row) for number, row in enumerate(plan.table.rows(), 1) if any(row))
    wanted = islice(rows, 1, None) if plan.columns.has_header else rows
    for batch in _batches(wanted):
        go_on()
        numbers, rejected = _sort_out(batch, plan.columns.number, into.region)
        done, usable = done + len(batch), usable + len(numbers)
        store.dnc_imports.add_batch(into, numbers, rejected, rows=done)
        time.sleep(PAUSE_S)
    if not usable:
        raise Invalid(NOBODY.format(region=into.region), field="file")
    store.dnc_imports.finish(into)


def _batches(rows: Iterator[NumberedRow]) -> Iterator[list[NumberedRow]]:
    while batch := list(islice(rows, BATCH_ROWS)):
        yield batch


def _sort_out(batch: Sequence[NumberedRow], column: int, region: str) -> tuple[list[str], list[RejectedRow]]:
    """The numbers, and the rows that hold none."""
    numbers, rejected = [], []
    for number, row in batch:
        text = row[column].replace("\x00", "")[:LONGEST_VALUE] if column < len(row) else ""
        try:
            numbers.append(normalise(text, region).number)
        except Invalid as exc:
            rejected.append(RejectedRow(row=number, value=text, reason=str(exc)))
    return numbers, rejected

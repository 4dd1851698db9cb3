"""A look at an upload, and the import of a small one, in the import process, while the request waits."""

import json
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from autodialer.errors import TooLarge, Unavailable
from autodialer.imports.process import BEYOND_LIMITS, PREVIEW, ImportJob, error_of, start_import

logger = logging.getLogger(__name__)

DEADLINE_S = 60.0
"""Of a look, and of the import of a small file: also when the machine is busy with calls."""


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What the file turned out to be."""

    taken: Mapping[str, Any]
    """What the user is told of it: see `ImportPlan.taken`."""
    rows: int
    """About how many."""


class LookApart:
    """The process while a request waits for it. A context manager, which ends it."""

    def __init__(self, job: ImportJob) -> None:
        self._process = start_import(job)
        self._late = False
        self._timer = threading.Timer(DEADLINE_S, self._end_late)
        self._timer.daemon = True
        self._timer.start()

    def looked(self) -> Looked:
        """Wait for what the file is. Raises UserError, and Unavailable when the process failed by itself."""
        told = self._answer()
        return Looked(taken=told["taken"], rows=told["rows"])

    def import_into(self, key: int) -> None:
        """Import the file into the destination with this key, and wait. Raises UserError, Unavailable."""
        assert self._process.stdin
        try:
            self._process.stdin.write(b"%d\n" % key)
            self._process.stdin.flush()
        except OSError:
            pass  # it is dead, and what it left unsaid says why
        self._answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self._process.kill()
        # Closes the pipes, too.
        self._process.__exit__(None, None, None)

    def answer(self) -> Any:
        """The next thing that it tells. Raises as `looked`."""
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            status = self._process.wait()
            # Below 0: ended by a signal, be it the limit of CPU time, no more memory, or our own deadline.
            if self._late or status < 0:
                logger.warning("an upload was beyond the limits of the import process (status %s)", status)
                raise TooLarge(BEYOND_LIMITS, field="file")
            logger.error("a look at an upload ended with status %s", status)
            raise Unavailable("The file could not be looked at inside the service, whose log says why; try again.")
        told = json.loads(line)
        if "error" in told:
            raise error_of(told["error"])
        return told

    def _end_late(self) -> None:
        self._late = True
        self._process.kill()


def preview_apart(job: ImportJob) -> dict[str, Any]:
    """What a file would be taken for. Raises as `LookApart.looked`."""
    with LookApart(replace(job, task=PREVIEW)) as process:
        told: dict[str, Any] = process.answer()
        return told

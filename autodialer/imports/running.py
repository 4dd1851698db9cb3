"""One import from the first row to the last: the same steps whatever the file is imported into."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from autodialer.errors import Unavailable
from autodialer.imports.judge import NumberedRow
from autodialer.imports.reading import ImportPlan

logger = logging.getLogger(__name__)

BETWEEN_BATCHES_S = 0.002
"""Between two batches, so that the dialer's claims never wait long for the database."""
RETRY_S = 1.0

Answer = TypeVar("Answer")


class Destination(Protocol):
    """What a file is imported into. Every method may raise Unavailable."""

    def begin(self) -> None:
        """Read what the import needs to know. Raises NotFound when the destination has been deleted."""

    def take(self, batch: Sequence[NumberedRow], plan: ImportPlan) -> Callable[[], None]:
        """Understand some rows. The answer writes them in one transaction.

        It raises Conflict when the destination has been deleted meanwhile, which ends the import.
        """

    def rows_done(self) -> int:
        """Rows that have been written. Raises NotFound."""

    def finish(self) -> None:
        """All rows are written. Raises Invalid (field `file`) when hardly any was of use, Conflict as `take`."""

    def fail(self, error: str) -> None:
        """End with a sentence for a person. Raises Conflict when it has ended already. May be repeated."""

    def discard(self) -> None:
        """As if there had been no import. May be repeated."""


def import_rows(
    into: Destination,
    plan: ImportPlan,
    *,
    patience_s: float = 0.0,
    on_progress: Callable[[int], None] | None = None,
) -> None:
    """Read the file into its destination.

    Raises UserError, after which the caller decides whether it has failed or never was, and Unavailable when the
    database has refused for `patience_s`.
    """
    keep_trying(into.begin, for_s=patience_s)
    done = 0
    for batch in plan.batches():
        write = into.take(batch, plan)
        done += len(batch)
        _write(into, write, done, patience_s)
        if on_progress:
            on_progress(done)
        time.sleep(BETWEEN_BATCHES_S)
    keep_trying(into.finish, for_s=patience_s)


def keep_trying(
    action: Callable[[], Answer],
    *,
    for_s: float,
    going_on: Callable[[], bool] = lambda: True,
    sleep: Callable[[float], object] = time.sleep,
) -> Answer:
    """Do it as soon as the database lets it. Raises Unavailable after `for_s`, or once it is not `going_on`."""
    deadline = time.monotonic() + for_s
    while True:
        try:
            return action()
        except Unavailable:
            if time.monotonic() >= deadline or not going_on():
                raise
            logger.warning("the import waits for the database")
        sleep(RETRY_S)


def _write(into: Destination, write: Callable[[], None], done: int, patience_s: float) -> None:
    """Write a batch once, although the answer to a commit may have been lost."""
    tried = False

    def write_once() -> None:
        nonlocal tried
        if not tried or into.rows_done() < done:
            tried = True
            write()

    keep_trying(write_once, for_s=patience_s)

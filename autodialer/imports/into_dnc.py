"""Rows of a table into a list of numbers that are not to be called (DNC)."""

from collections.abc import Callable, Sequence
from functools import partial

from autodialer.campaign.numbers import numbers_to_block
from autodialer.errors import Invalid, NotFound
from autodialer.imports.columns import TableColumns
from autodialer.imports.judge import NumberedRow
from autodialer.imports.reading import ROWS_A_BATCH, ImportPlan, cell_of
from autodialer.store import DncImport, RejectedRow, Store

LONGEST_CELL = 10_000
NO_NUMBER = (
    "file holds no phone number of region {region} ({shown}); check the region, or say with columns which one holds "
    "the numbers, then upload it again"
)
EXAMPLES = 3


class IntoDnc:
    """The list of the import's owner. A Destination. What was written stays on the list however the import ends."""

    def __init__(self, store: Store, key: int) -> None:
        self._store = store
        self._key = key
        self._done = 0
        self._usable = 0
        self._examples: list[RejectedRow] = []

    def begin(self) -> None:
        """See Destination."""
        self._import = self._read()

    def take(self, batch: Sequence[NumberedRow], plan: ImportPlan) -> Callable[[], None]:
        """See Destination."""
        numbers: list[str] = []
        rejected: list[RejectedRow] = []
        for number, row in batch:
            for index, text in _phone_cells(row, plan.columns):
                try:
                    numbers += numbers_to_block(text, self._import.region)
                except Invalid as exc:
                    rejected.append(
                        RejectedRow(
                            row=number,
                            value=cell_of([text], 0) or "",
                            reason=str(exc),
                            column=plan.columns.name_of(index),
                        )
                    )
        before, self._done = self._done, self._done + len(batch)
        self._usable += len(numbers)
        self._examples += rejected[: EXAMPLES - len(self._examples)]
        return partial(self._write, numbers, rejected, before=before, done=self._done)

    def _write(self, numbers: Sequence[str], rejected: Sequence[RejectedRow], *, before: int, done: int) -> None:
        # A row may hold many numbers. It counts as done with the last of them: to enter the others twice is harmless.
        most = max(len(numbers), len(rejected))
        for start in range(0, max(most, 1), ROWS_A_BATCH):
            end = start + ROWS_A_BATCH
            rows = done if end >= most else before
            self._store.dnc_imports.add_batch(self._import, numbers[start:end], rejected[start:end], rows=rows)

    def rows_done(self) -> int:
        """See Destination."""
        return self._read().rows_done

    def finish(self) -> None:
        """See Destination."""
        if not self._usable:
            shown = "; ".join(one.shown() for one in self._examples)
            raise Invalid(NO_NUMBER.format(region=self._import.region, shown=shown), field="file")
        self._store.dnc_imports.finish(self._import)

    def fail(self, error: str) -> None:
        """See Destination."""
        self._store.dnc_imports.fail(self._read(), error)

    def discard(self) -> None:
        """See Destination."""
        try:
            self._store.dnc_imports.discard(self._read().id)
        except NotFound:
            pass

    def _read(self) -> DncImport:
        return self._store.dnc_imports.by_key(self._key)


def _phone_cells(row: Sequence[str], columns: TableColumns) -> list[tuple[int, str]]:
    """The cells that should hold phone numbers; the empty first one when all are empty, for the row to be told."""
    # Longer than a cell that is stored: with its end a number would be lost, and its owner called.
    cells = [(place, row[place][:LONGEST_CELL]) for place in columns.phones if place < len(row) and row[place]]
    return cells or [(columns.number, "")]

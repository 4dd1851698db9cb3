"""Rows of a table into a list of numbers that are not to be called (DNC)."""

from collections.abc import Callable, Sequence
from functools import partial

from autodialer.campaign.numbers import normalise
from autodialer.errors import Invalid, NotFound
from autodialer.imports.reading import ImportPlan, NumberedRow, cell_of
from autodialer.store import DncImport, RejectedRow, Store

NOBODY = "file holds no phone number of region {region}; check the region and that one column holds the numbers"


class IntoDnc:
    """The list of the import's owner. A Destination. What was written stays on the list however the import ends."""

    def __init__(self, store: Store, key: int) -> None:
        self._store = store
        self._key = key
        self._done = 0
        self._usable = 0

    def begin(self) -> None:
        """See Destination."""
        self._import = self._read()

    def take(self, batch: Sequence[NumberedRow], plan: ImportPlan) -> Callable[[], None]:
        """See Destination."""
        numbers: list[str] = []
        rejected: list[RejectedRow] = []
        for number, row in batch:
            text = cell_of(row, plan.columns.number) or ""
            try:
                numbers.append(normalise(text, self._import.region).number)
            except Invalid as exc:
                rejected.append(RejectedRow(row=number, value=text, reason=str(exc)))
        self._done += len(batch)
        self._usable += len(numbers)
        return partial(self._store.dnc_imports.add_batch, self._import, numbers, rejected, rows=self._done)

    def rows_done(self) -> int:
        """See Destination."""
        return self._read().rows_done

    def finish(self) -> None:
        """See Destination."""
        if not self._usable:
            raise Invalid(NOBODY.format(region=self._import.region), field="file")
        self._store.dnc_imports.finish(self._import)

    def fail(self, error: str) -> None:
        """See Destination."""
        self._store.dnc_imports.fail(self._read(), error)

    def discard(self) -> None:
        """See Destination."""
        try:
            self._store.dnc_imports.delete(self._read().id, None)
        except NotFound:
            pass

    def _read(self) -> DncImport:
        return self._store.dnc_imports.by_key(self._key)

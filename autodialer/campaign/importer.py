"""Import of a callbase: each row of an uploaded table becomes a subscriber, a duplicate, or a rejected row."""

import time
import zoneinfo
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import islice
from pathlib import Path

from autodialer.campaign.columns import Columns, find_columns
from autodialer.campaign.numbers import normalise
from autodialer.campaign.table_file import SAMPLE_ROWS, TableFile, open_table
from autodialer.campaign.zones import ZoneFinder
from autodialer.errors import Invalid, UserError
from autodialer.model import Callbase
from autodialer.store import NewSubscriber, RejectedRow, Store

BATCH_ROWS = 500
PAUSE_S = 0.002
"""Between two batches, so that the dialer's claims never wait long for the database."""
LONGEST_TEXT = 500
JUDGED_ROWS = 10
"""A table of at least so many rows ..."""
LEAST_USABLE_SHARE = 0.1
"""... of which less than this share can be dialled is a mistake (wrong region, wrong column), not a callbase."""
EXAMPLES = 5


@dataclass(frozen=True, kw_only=True)
class ImportPlan:
    """A file that has been looked at: it is a table, and some column holds numbers."""

    table: TableFile
    columns: Columns

    @property
    def rows(self) -> int:
        """Rows at most, for choosing between waiting and working in the background."""
        return self.table.lines


@dataclass(kw_only=True)
class _Progress:
    rows: int = 0
    usable: int = 0
    examples: list[RejectedRow] = field(default_factory=list)


def inspect(path: Path) -> ImportPlan:
    """Look at an uploaded file before anything is stored.

    Raises Invalid, UnsupportedContent or TooLarge, all naming the field `file` and the remedy.
    """
    table = open_table(path)
    sample = list(islice((row for row in table.rows() if any(row)), SAMPLE_ROWS))
    return ImportPlan(table=table, columns=find_columns(sample))


def import_callbase(
    store: Store,
    callbase: Callbase,
    plan: ImportPlan,
    *,
    on_progress: Callable[[int], None] | None = None,
    keep_failed: bool = False,
) -> Callbase:
    """Read the file into `callbase`, which is in state `importing`; it is `ready` afterwards.

    Raises Invalid (field `file`) when hardly any row can be dialled: then nothing of the callbase is kept, or with
    `keep_failed` it stays as `failed` and says why (its user has been given its id already).
    """
    progress = _Progress()
    zones = ZoneFinder(store.numbering_plan.zones())
    try:
        for batch in _batches(_numbered_rows(plan)):
            _store_batch(store, callbase, plan, zones, batch, progress)
            if on_progress:
                on_progress(progress.rows)
            time.sleep(PAUSE_S)
        _judge(progress, callbase.region)
    except UserError as exc:
        if keep_failed:
            store.callbases.fail(callbase.key, str(exc))
        else:
            store.callbases.discard(callbase.key)
        raise
    return store.callbases.finish(callbase.key, rows=progress.rows)


def _numbered_rows(plan: ImportPlan) -> Iterator[tuple[int, list[str]]]:
    """Rows that hold anything, with their number in the file (from 1), without the header."""
    rows = ((number, row) for number, row in enumerate(plan.table.rows(), 1) if any(row))
    return islice(rows, 1, None) if plan.columns.has_header else rows


def _batches(rows: Iterator[tuple[int, list[str]]]) -> Iterator[list[tuple[int, list[str]]]]:
    while batch := list(islice(rows, BATCH_ROWS)):
        yield batch


def _store_batch(
    store: Store,
    callbase: Callbase,
    plan: ImportPlan,
    zones: ZoneFinder,
    batch: Sequence[tuple[int, list[str]]],
    progress: _Progress,
) -> None:
    good: list[NewSubscriber] = []
    bad: list[RejectedRow] = []
    for number, row in batch:
        try:
            good.append(_in_zone(_subscriber(row, plan.columns, callbase.region), zones))
        except Invalid as exc:
            bad.append(RejectedRow(row=number, value=_cell(row, plan.columns.number) or "", reason=str(exc)))
    progress.rows += len(batch)
    rows = max(plan.rows, progress.rows)
    store.callbases.add_batch(callbase.key, good, bad, rows=rows, rows_done=progress.rows)
    progress.usable += len(good)
    progress.examples += bad[: EXAMPLES - len(progress.examples)]


def _in_zone(subscriber: NewSubscriber, zones: ZoneFinder) -> NewSubscriber:
    """With the time zone that the number tells, unless the file names one."""
    found = zones.find(subscriber.number) if subscriber.timezone is None else None
    if found is None:
        return subscriber
    return replace(subscriber, number_zone=found.zone, number_zone_by=found.by)


def _subscriber(row: Sequence[str], columns: Columns, region: str) -> NewSubscriber:
    number = normalise(_cell(row, columns.number) or "", region)
    timezone = _cell(row, columns.timezone)
    if timezone is not None and timezone not in _timezones():
        raise Invalid(f"unknown time zone {timezone!r}; write it like Europe/Moscow", field="timezone")
    extra = {name: text for index, name in columns.extra if (text := _cell(row, index))}
    if number.flag:
        extra["flag"] = number.flag
    second_number = None
    if second := _cell(row, columns.second_number):
        # A bad one costs the row nothing but itself: who has a good first number is called.
        try:
            second_number = normalise(second, region).number
        except Invalid as exc:
            extra["second_number"], extra["flag"] = second, f"second number: {exc}"
    return NewSubscriber(
        number=number.number,
        second_number=None if second_number == number.number else second_number,
        name=_cell(row, columns.name),
        comment=_cell(row, columns.comment),
        timezone=timezone,
        extra=extra,
    )


@cache
def _timezones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def _cell(row: Sequence[str], index: int | None) -> str | None:
    if index is None or index >= len(row) or not row[index]:
        return None
    return row[index].replace("\x00", "")[:LONGEST_TEXT]


def _judge(progress: _Progress, region: str) -> None:
    few = progress.rows >= JUDGED_ROWS and progress.usable < progress.rows * LEAST_USABLE_SHARE
    if progress.usable and not few:
        return
    message = (
        f"file has {progress.rows} rows, but only {progress.usable} hold a phone number of region {region}; "
        "check the region and that one column holds the numbers, then upload it again"
    )
    details = [{"row": row.row, "value": row.value, "reason": row.reason} for row in progress.examples]
    raise Invalid(message, field="file", details=details)

"""Rows of a table into a callbase: each becomes a subscriber, a duplicate, or a rejected row."""

import zoneinfo
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

from autodialer.campaign.two_numbers import numbers_of
from autodialer.campaign.zones import ZoneFinder
from autodialer.errors import Invalid
from autodialer.imports.columns import SECOND, TIMEZONE, TableColumns
from autodialer.imports.judge import NumberedRow
from autodialer.imports.reading import ImportPlan, cell_of
from autodialer.store import NewSubscriber, RejectedRow, Store

JUDGED_ROWS = 10
"""A table of at least this many rows ..."""
LEAST_USABLE_SHARE = 0.1
"""... of which less than this share can be dialled is a mistake (wrong region, wrong column), not a callbase."""
EXAMPLES = 5


class IntoCallbase:
    """The callbase, which is in state `importing`. A Destination."""

    def __init__(self, store: Store, key: int) -> None:
        self._store = store
        self._key = key
        self._region = ""
        self._zones = ZoneFinder()
        self._rows = 0
        self._usable = 0
        self._examples: list[RejectedRow] = []

    def begin(self) -> None:
        """See Destination."""
        self._region = self._store.callbases.by_key(self._key).region
        self._zones = ZoneFinder(self._store.numbering_plan.zones())

    def take(self, batch: Sequence[NumberedRow], plan: ImportPlan) -> Callable[[], None]:
        """See Destination."""
        good: list[NewSubscriber] = []
        bad: list[RejectedRow] = []
        for number, row in batch:
            try:
                good.append(in_zone(_subscriber(row, plan.columns, self._region), self._zones))
            except Invalid as exc:
                bad.append(_rejected(number, row, plan.columns, exc))
        self._rows += len(batch)
        self._usable += len(good)
        self._examples += bad[: EXAMPLES - len(self._examples)]
        rows = max(plan.rows, self._rows)
        return partial(self._store.callbases.add_batch, self._key, good, bad, rows=rows, rows_done=self._rows)

    def rows_done(self) -> int:
        """See Destination."""
        return self._store.callbases.by_key(self._key).rows_done

    def finish(self) -> None:
        """See Destination. Campaigns dial the callbase from now on."""
        self._judge()
        self._store.callbases.finish(self._key, rows=self._rows)

    def fail(self, error: str) -> None:
        """See Destination. It stays as `failed` and says why: its user has been given its id already."""
        self._store.callbases.fail(self._key, error)

    def discard(self) -> None:
        """See Destination."""
        self._store.callbases.discard(self._key)

    def _judge(self) -> None:
        few = self._rows >= JUDGED_ROWS and self._usable < self._rows * LEAST_USABLE_SHARE
        if self._usable and not few:
            return
        shown = "; ".join(one.shown() for one in self._examples[:2])
        message = (
            f"file has {self._rows} rows, but only {self._usable} hold a phone number of region {self._region} "
            f"({shown}); check the region, or say with columns which one holds the numbers, then upload it again"
        )
        details = [
            {"row": row.row, "column": row.column, "value": row.value, "reason": row.reason} for row in self._examples
        ]
        raise Invalid(message, field="file", details=details)


def _rejected(number: int, row: Sequence[str], columns: TableColumns, exc: Invalid) -> RejectedRow:
    index = columns.timezone if exc.field == TIMEZONE else columns.number
    if exc.field == SECOND:
        index = columns.second_number
    return RejectedRow(row=number, value=cell_of(row, index) or "", reason=str(exc), column=columns.name_of(index))


def _subscriber(row: Sequence[str], columns: TableColumns, region: str) -> NewSubscriber:
    person = Person(
        number=cell_of(row, columns.number),
        second_number=cell_of(row, columns.second_number),
        name=cell_of(row, columns.name),
        comment=cell_of(row, columns.comment),
        timezone=cell_of(row, columns.timezone),
        consent_source=cell_of(row, columns.consent_source),
        consent_at=cell_of(row, columns.consent_at),
        consent_text=cell_of(row, columns.consent_text),
        extra={name: text for index, name in columns.extra if (text := cell_of(row, index))},
    )
    return subscriber_of(person, region)


@dataclass(frozen=True, kw_only=True)
class Person:
    """What a row of a table, or of a request, says of a person."""

    number: str | None
    second_number: str | None
    name: str | None
    comment: str | None
    timezone: str | None
    consent_source: str | None
    consent_at: str | None
    consent_text: str | None
    extra: Mapping[str, str]


def subscriber_of(person: Person, region: str) -> NewSubscriber:
    """The one way in for people by the dozen. Raises Invalid with the field at fault."""
    numbers = numbers_of(person.number, person.second_number, region)
    if person.timezone is not None and person.timezone not in _timezones():
        raise Invalid("unknown time zone; write it like Europe/Moscow", field=TIMEZONE)
    extra = person.extra
    return NewSubscriber(
        number=numbers.number.number,
        second_number=numbers.second,
        name=person.name,
        comment=person.comment,
        timezone=person.timezone,
        consent_source=person.consent_source,
        consent_at=person.consent_at,
        consent_text=person.consent_text,
        doubt=numbers.number.doubt,
        destination=numbers.number.destination,
        extra={**extra, **numbers.kept} if numbers.kept else extra,
    )


def in_zone(subscriber: NewSubscriber, zones: ZoneFinder) -> NewSubscriber:
    """With the time zone that the number tells, unless one was named."""
    found = zones.find(subscriber.number) if subscriber.timezone is None else None
    if found is None:
        return subscriber
    return replace(subscriber, number_zone=found.zone, number_zone_by=found.by)


@cache
def _timezones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())

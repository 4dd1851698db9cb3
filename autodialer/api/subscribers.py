"""Subscribers one by one: found over all callbases, read, changed, deleted."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, ValidationError

from autodialer.api.context import Context
from autodialer.api.filters import number_wanted
from autodialer.api.present import Json, page, values_of
from autodialer.campaign.checks import check_second_number, check_timezone
from autodialer.campaign.numbers import check_region, normalise
from autodialer.campaign.two_numbers import FIRST, FLAG, SECOND, numbers_of
from autodialer.campaign.zones import ZoneFinder
from autodialer.errors import Invalid
from autodialer.imports.into_callbase import Person, in_zone, subscriber_of
from autodialer.model import CONSENT, Callbase, Subscriber
from autodialer.store import BATCH_ROWS, PAUSE_S, NewSubscriber
from autodialer.web.caller import Caller
from autodialer.web.fields import Fields
from autodialer.web.request import PageWanted

NUMBERS = frozenset({"number", "second_number"})
SHOWN = 200
"""Characters of what was rejected that the answer repeats."""
SAID = ("number", "second_number", "name", "comment", "timezone", *CONSENT)


class OneSubscriber(Fields):
    """A subscriber that is added to a callbase."""

    number: str
    second_number: str | None = None
    name: str | None = None
    comment: str | None = None
    timezone: str | None = None
    consent_source: str | None = None
    consent_at: str | None = None
    consent_text: str | None = None
    extra: Mapping[str, str] = Field(default_factory=dict)


class SubscriberChange(Fields):
    """What is changed of a subscriber; what is not sent stays, and null clears."""

    number: str = ""
    second_number: str | None = None
    name: str | None = None
    comment: str | None = None
    timezone: str | None = None
    consent_source: str | None = None
    consent_at: str | None = None
    consent_text: str | None = None
    extra: Mapping[str, str] = Field(default_factory=dict)


class PersonWanted(Fields):
    """Which person is looked for over all callbases."""

    number: str | None = None
    """First or second number; None: everybody."""
    region: str | None = None
    """Country of a number written without one."""


Short = Annotated[str, Field(max_length=500)]


class OneOfMany(Fields):
    """A person in a list of numbers."""

    number: Annotated[str, Field(max_length=64)] | None = None
    second_number: Annotated[str, Field(max_length=64)] | None = None
    name: Short | None = None
    comment: Short | None = None
    timezone: Annotated[str, Field(max_length=64)] | None = None
    consent_source: Short | None = None
    consent_at: Annotated[str, Field(max_length=100)] | None = None
    consent_text: Annotated[str, Field(max_length=2000)] | None = None
    extra: Annotated[Mapping[Short, Short], Field(max_length=50)] = Field(default_factory=dict)


class ManyNumbers(Fields):
    """Numbers for a campaign."""

    numbers: Sequence[Any]
    """A text, or the fields of OneOfMany."""
    region: str | None = None
    """None: the region of the campaign's callbase."""


class Subscribers:
    """The operations on subscribers, whichever callbase they stand in."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.store

    def find(self, caller: Caller, fields: PersonWanted, wanted: PageWanted) -> Json:
        """The subscribers with a number, or all of them. Raises Invalid."""
        if fields.number is None:
            found = self._store.subscribers.page_of_all(caller.owner_key, limit=wanted.limit, after=wanted.after)
        else:
            number = number_wanted(fields.number, fields.region)
            found = self._store.subscribers.by_number(number, caller.owner_key, limit=wanted.limit, after=wanted.after)
        callbases = self._store.subscribers.callbase_ids({person.callbase_key for person in found[0]})
        return page(found, lambda person: present_found(person, callbases[person.callbase_key]))

    def read(self, caller: Caller, subscriber_id: UUID) -> Json:
        """One subscriber. Raises NotFound."""
        person, callbase = self._store.subscribers.with_callbase(subscriber_id, caller.owner_key)
        return present_found(person, callbase.id)

    def change(self, caller: Caller, subscriber_id: UUID, fields: SubscriberChange) -> Json:
        """Change what is given; a running campaign goes by it at once. Raises NotFound, Invalid, Conflict."""
        zones = ZoneFinder(self._store.numbering_plan.zones())

        def changes_of(present: Subscriber, callbase: Callbase) -> Mapping[str, Any]:
            return _changes(present, fields, callbase.region, zones)

        with self._store.transaction():
            self._store.subscribers.change(subscriber_id, caller.owner_key, changes_of)
            self._context.record(caller, "subscribers.change", subscriber_id, fields=sorted(fields.given))
        return self.read(caller, subscriber_id)

    def delete(self, caller: Caller, subscriber_id: UUID) -> None:
        """The person is not called any more. Raises NotFound, Conflict."""
        with self._store.transaction():
            under_way = self._store.subscribers.delete(subscriber_id, caller.owner_key)
            self._context.record(caller, "subscribers.delete", subscriber_id, under_way=under_way)

    def add_many(self, caller: Caller, campaign_id: UUID, fields: ManyNumbers) -> Json:
        """Numbers to a campaign's callbase, 500 a transaction. Raises NotFound, Invalid, Conflict.

        It takes no Idempotency-Key: no callbase has a number twice, so that a request that is sent again, also after a
        first try that was cut short, adds what is missing and counts the others as duplicates.
        """
        campaign = self._store.campaigns.get(campaign_id, caller.owner_key)
        region = self._store.callbases.by_key(campaign.callbase_key).region
        region = check_region(fields.region) if fields.region is not None else region
        good, rejected = self._read_many(fields.numbers, region)
        imported = 0
        for start in range(0, max(1, len(good)), BATCH_ROWS):
            with self._store.transaction():
                batch = good[start : start + BATCH_ROWS]
                imported += self._store.campaigns.add_subscribers(campaign_id, caller.owner_key, batch)
                if start == 0:
                    self._context.record(caller, "campaigns.add_subscribers", campaign_id, numbers=len(good))
            if start:
                time.sleep(PAUSE_S)
        return {
            "campaign_id": str(campaign_id),
            "imported": imported,
            "duplicates": len(good) - imported,
            "rejected": len(rejected),
            "rejected_numbers": rejected,
        }

    def _read_many(self, sent: Sequence[Any], region: str) -> tuple[list[NewSubscriber], list[Json]]:
        """As an import reads rows: what can be called, and what cannot, with the reasons."""
        zones = ZoneFinder(self._store.numbering_plan.zones())
        good, rejected = [], []
        for place, item in enumerate(sent, start=1):
            try:
                good.append(in_zone(subscriber_of(_person_of(item), region), zones))
            except Invalid as exc:
                rejected.append({"place": place, "value": _shown(item), "field": exc.field, "reason": str(exc)})
        return good, rejected


def _person_of(item: Any) -> Person:
    if isinstance(item, str):
        item = {"number": item}
    if not isinstance(item, dict):
        raise Invalid('takes a number as text, or an object such as {"number": "+79161234567", "name": "Anna"}')
    try:
        read = OneOfMany.model_validate(item)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise Invalid(f"{field}: {first['msg']}", field=field) from exc
    cells = {name: text.strip() or None if (text := getattr(read, name)) else None for name in SAID}
    return Person(**cells, extra=read.extra)


def _shown(item: Any) -> str:
    text = item.get("number") if isinstance(item, dict) and isinstance(item.get("number"), str) else item
    return (text if isinstance(text, str) else json.dumps(text, ensure_ascii=False))[:SHOWN]


def new_subscriber(fields: OneSubscriber, region: str, zones: ZoneFinder) -> NewSubscriber:
    """As a row of an import that was understood. Raises Invalid that names the field."""
    # Each by itself first: of a file a bad number costs the row nothing, but here it was said in so many words.
    normalise(fields.number, region)
    check_second_number(fields.second_number, region, fields.number)
    numbers = numbers_of(fields.number, fields.second_number, region)
    number = numbers.number
    found = zones.find(number.number)
    return NewSubscriber(
        number=number.number,
        number_zone=found.zone if found else None,
        number_zone_by=found.by if found else None,
        second_number=numbers.second,
        name=fields.name,
        comment=fields.comment,
        timezone=check_timezone(fields.timezone),
        consent_source=fields.consent_source,
        consent_at=fields.consent_at,
        consent_text=fields.consent_text,
        doubt=number.doubt,
        destination=number.destination,
        extra={**fields.extra, **numbers.kept},
    )


def _changes(present: Subscriber, fields: SubscriberChange, region: str, zones: ZoneFinder) -> Mapping[str, Any]:
    """The columns that change, and their values. Raises Invalid that names the field."""
    given = dict(fields.given)
    if "timezone" in given:
        given["timezone"] = check_timezone(fields.timezone)
    if not given.keys() & NUMBERS:
        # The number is not read again: the rules by which it came in may have been others.
        return given
    if not given.get("number", present.number).strip():
        raise Invalid("number is needed; delete the subscriber to have nobody called.", field="number")
    extra = given.get("extra", present.extra)
    if "extra" not in given and extra.keys() & {FIRST, SECOND}:
        # What an import has kept of the numbers that are replaced now.
        extra = {name: text for name, text in extra.items() if name not in (FIRST, SECOND, FLAG)}
    whole = {**values_of(present, SAID), **given, "extra": extra}
    return vars(new_subscriber(OneSubscriber(**whole), region, zones))


def present_subscriber(value: Subscriber) -> Json:
    """A subscriber."""
    names = ("number", "second_number", "doubt", "name", "comment", "timezone", *CONSENT)
    return {"id": str(value.id), **values_of(value, names), "extra": dict(value.extra)}


def present_found(value: Subscriber, callbase_id: UUID) -> Json:
    """A subscriber, and where it stands."""
    return {**present_subscriber(value), "callbase_id": str(callbase_id)}

"""Subscribers one by one: found over all callbases, read, changed, deleted."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic import Field

from autodialer.api.context import Context
from autodialer.api.filters import number_wanted
from autodialer.api.present import Json, page, values_of
from autodialer.campaign.checks import check_second_number, check_timezone
from autodialer.campaign.numbers import normalise
from autodialer.campaign.two_numbers import FIRST, FLAG, SECOND, numbers_of
from autodialer.campaign.zones import ZoneFinder
from autodialer.errors import Invalid
from autodialer.model import CONSENT, Callbase, Subscriber
from autodialer.store import NewSubscriber
from autodialer.web.caller import Caller
from autodialer.web.fields import Fields
from autodialer.web.request import PageWanted

NUMBERS = frozenset({"number", "second_number"})
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

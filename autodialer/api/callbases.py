"""Callbases: uploaded lists of subscribers, the subscribers, and the rows that were not imported."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic import Field

from autodialer.api.context import Context
from autodialer.api.present import Json, page, reading, rejected_row, time, values_of
from autodialer.api.uploaded_tables import RejectedFilter, TableFields, uploaded
from autodialer.campaign.checks import check_second_number, check_timezone
from autodialer.campaign.numbers import check_region, normalise
from autodialer.campaign.two_numbers import numbers_of
from autodialer.campaign.zones import ZoneFinder
from autodialer.imports.imports import Imports
from autodialer.model import Callbase, Subscriber
from autodialer.store import NewSubscriber
from autodialer.web.caller import Caller
from autodialer.web.fields import Fields
from autodialer.web.request import PageWanted
from autodialer.web.uploads import Upload


class NewCallbase(TableFields):
    """What is said of an uploaded list."""

    name: str | None = None
    """None: the file's."""
    timezone: str | None = None


class OneSubscriber(Fields):
    """A subscriber that is added to a callbase."""

    number: str
    second_number: str | None = None
    name: str | None = None
    comment: str | None = None
    timezone: str | None = None
    extra: Mapping[str, str] = Field(default_factory=dict)


class SubscriberFilter(Fields):
    """Which subscribers are listed."""

    doubtful: bool = False
    """Only those whose number is possible, but not valid."""


class Callbases:
    """The operations on callbases."""

    def __init__(self, context: Context, imports: Imports) -> None:
        self._context = context
        self._store = context.store
        self._imports = imports

    def list(self, caller: Caller, wanted: PageWanted) -> Json:
        """The callbases of the caller."""
        return page(
            self._store.callbases.page(caller.owner_key, limit=wanted.limit, after=wanted.after), present_callbase
        )

    def create(self, caller: Caller, upload: Upload, fields: NewCallbase, once: str | None) -> Json:
        """Import a file of numbers. A large one is still `importing` when this returns.

        The callbase is stored, with its audit row and key, before its file is read: the import itself takes many
        transactions. A file that is refused takes all three away again.
        """
        name = upload.named(fields.name)
        region, timezone = check_region(fields.region), check_timezone(fields.timezone)
        wanted = fields.wanted()
        with self._context.once.attempt(
            caller, "create_callbase", once, f"{fields.asked()} {upload.digest}"
        ) as attempt:

            def make(taken: Mapping[str, Any]) -> Callbase:
                with self._store.transaction():
                    callbase = self._store.callbases.create(
                        caller.user.key, name=name, region=region, timezone=timezone, reading=taken
                    )
                    self._context.record(caller, "callbases.create", callbase.id, name=name, file=upload.filename)
                    attempt.remember(callbase.id)
                return callbase

            if attempt.object_id is None:
                self._imports.import_file(uploaded(caller, upload, region, wanted), make)
            return self.read(caller, attempt.made)

    def preview(self, caller: Caller, upload: Upload, fields: TableFields) -> Json:
        """What a file would be taken for; nothing is stored. Raises Invalid, UnsupportedContent, TooLarge."""
        region, wanted = check_region(fields.region), fields.wanted()
        return self._imports.preview(uploaded(caller, upload, region, wanted))

    def read(self, caller: Caller, callbase_id: UUID) -> Json:
        """One callbase."""
        return present_callbase(self._store.callbases.get(callbase_id, caller.owner_key))

    def delete(self, caller: Caller, callbase_id: UUID) -> None:
        """With its subscribers; an import of it ends. Raises Conflict while a campaign needs it."""
        with self._store.transaction():
            self._store.callbases.delete(callbase_id, caller.owner_key)
            self._context.record(caller, "callbases.delete", callbase_id)

    def list_subscribers(self, caller: Caller, callbase_id: UUID, fields: SubscriberFilter, wanted: PageWanted) -> Json:
        """The subscribers of a callbase."""
        found = self._store.subscribers.page(
            callbase_id,
            caller.owner_key,
            only_doubtful=fields.doubtful,
            limit=wanted.limit,
            after=wanted.after,
        )
        return page(found, present_subscriber)

    def create_subscriber(self, caller: Caller, callbase_id: UUID, fields: OneSubscriber, once: str | None) -> Json:
        """Add one; a running campaign calls it too. Raises Invalid, Conflict."""
        callbase = self._store.callbases.get(callbase_id, caller.owner_key)
        asked = f"{callbase_id} {fields.asked()}"
        with self._context.once.attempt(caller, "create_subscriber", once, asked) as attempt:
            if attempt.object_id is None:
                new = self._subscriber_of(fields, callbase.region)
                with self._store.transaction():
                    subscriber = self._store.subscribers.add(callbase_id, caller.owner_key, new)
                    self._context.record(caller, "subscribers.create", subscriber.id, callbase_id=str(callbase_id))
                    attempt.remember(subscriber.id)
            return present_subscriber(self._store.subscribers.by_id(attempt.made, caller.owner_key))

    def list_rejected(self, caller: Caller, callbase_id: UUID, fields: RejectedFilter, wanted: PageWanted) -> Json:
        """The rows that were not imported, or their reasons."""
        if fields.group:
            return page((self._store.callbases.rejected_by_reason(callbase_id, caller.owner_key), None), rejected_row)
        found = self._store.callbases.rejected(callbase_id, caller.owner_key, limit=wanted.limit, after=wanted.after)
        return page(found, rejected_row)

    def _subscriber_of(self, fields: OneSubscriber, region: str) -> NewSubscriber:
        # Each by itself first: of a file a bad number costs the row nothing, but here it was said in so many words.
        normalise(fields.number, region)
        check_second_number(fields.second_number, region, fields.number)
        numbers = numbers_of(fields.number, fields.second_number, region)
        number = numbers.number
        found = ZoneFinder(self._store.numbering_plan.zones()).find(number.number)
        return NewSubscriber(
            number=number.number,
            number_zone=found.zone if found else None,
            number_zone_by=found.by if found else None,
            second_number=numbers.second,
            name=fields.name,
            comment=fields.comment,
            timezone=check_timezone(fields.timezone),
            doubt=number.doubt,
            destination=number.destination,
            extra={**fields.extra, **numbers.kept},
        )


def present_callbase(value: Callbase) -> Json:
    """A callbase with the counts of its import."""
    counts = ("rows", "rows_done", "imported", "duplicates", "rejected", "doubtful")
    return {
        "id": str(value.id),
        **values_of(value, ("name", "region", "timezone", "state", *counts, "error")),
        **reading(value.reading),
        "created_at": time(value.created_at),
    }


def present_subscriber(value: Subscriber) -> Json:
    """A subscriber."""
    names = ("number", "second_number", "doubt", "name", "comment", "timezone")
    return {"id": str(value.id), **values_of(value, names), "extra": dict(value.extra)}

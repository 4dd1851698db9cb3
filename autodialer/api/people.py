"""What people who are called may ask for: not to be called (DNC), and to be forgotten."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from autodialer.api.context import Context
from autodialer.api.present import Json, page, reading, rejected_row, time, values_of
from autodialer.api.uploaded_tables import RejectedFilter, TableFields, uploaded
from autodialer.campaign.numbers import NO_REGION, RAW, check_region, normalise, numbers_to_block
from autodialer.errors import Forbidden, Invalid
from autodialer.imports.imports import Imports
from autodialer.store import DncEntry, DncImport, Erasure
from autodialer.web.caller import Caller
from autodialer.web.fields import Fields
from autodialer.web.request import PageWanted
from autodialer.web.uploads import Upload

OWN, ALL = "own", "all"
READY_WITH_REJECTS = "ready_with_rejects"
"""State of an import that is over and has rows which it could not read: the people in them may still be called."""


class DncScope(Fields):
    """Which entries are listed."""

    scope: str = OWN
    """own or all."""


class DncChange(Fields):
    """What is said of a number that is not to be called."""

    region: str | None = None
    """Country of a number without one, or raw; None: the number has its own."""
    comment: str | None = None
    scope: str = OWN


class NewDncImport(TableFields):
    """What is said of an uploaded file of such numbers."""

    scope: str = OWN


class Erase(Fields):
    """How far a person is forgotten."""

    all_callbases: bool = True
    dnc: bool = False
    """Whether the number is not to be called again either."""


class People:
    """The operations."""

    def __init__(self, context: Context, imports: Imports) -> None:
        self._context = context
        self._store = context.store
        self._imports = imports

    def list_dnc(self, caller: Caller, fields: DncScope, wanted: PageWanted) -> Json:
        """The caller's own entries (all users' for an admin), or with scope `all` those that hold for everybody."""
        found = self._store.dnc.page(
            caller.owner_key, for_everybody=fields.scope == ALL, limit=wanted.limit, after=wanted.after
        )
        return page(found, present_dnc_entry)

    def read_dnc_entry(self, caller: Caller, number: str) -> Json:
        """The entry that keeps a number from being dialled for the caller. Raises NotFound."""
        return present_dnc_entry(self._store.dnc.get(caller.owner_key, _as_written(number)))

    def put_dnc_entry(self, caller: Caller, number: str, fields: DncChange) -> Json:
        """Enter a number, or change its entry. Raises Invalid, Forbidden."""
        said: dict[str, Any] = {}
        if "comment" in fields.given:
            said["comment"] = fields.comment
        if "scope" in fields.given:
            said["for_everybody"] = _for_everybody(caller, fields.scope)
        with self._store.transaction():
            # A doubtful number is kept off in both readings; the answer is the first.
            entries = [self._store.dnc.put(caller.user.key, one, **said) for one in _numbers(number, fields.region)]
            for entry in entries:
                self._record_number(caller, "dnc.put", entry.number)
        return present_dnc_entry(entries[0])

    def delete_dnc_entry(self, caller: Caller, number: str) -> None:
        """Take a number off the caller's list; an admin takes it off everybody's. Raises NotFound, Forbidden."""
        written = _as_written(number)
        with self._store.transaction():
            self._store.dnc.remove(caller.owner_key, written)
            self._record_number(caller, "dnc.delete", written)

    def import_dnc(self, caller: Caller, upload: Upload, fields: NewDncImport, once: str | None) -> Json:
        """Import a file of numbers. A large one is still `importing` when this returns."""
        region = check_region(fields.region)
        for_everybody = _for_everybody(caller, fields.scope)
        wanted = fields.wanted()
        with self._context.once.attempt(caller, "import_dnc", once, f"{fields.asked()} {upload.digest}") as attempt:

            def make(taken: Mapping[str, Any]) -> DncImport:
                with self._store.transaction():
                    made = self._store.dnc_imports.create(
                        caller.user.key,
                        file=upload.filename,
                        region=region,
                        for_everybody=for_everybody,
                        reading=taken,
                    )
                    self._context.record(caller, "dnc.import", made.id, file=upload.filename)
                    attempt.remember(made.id)
                return made

            if attempt.object_id is None:
                self._imports.import_dnc_file(uploaded(caller, upload, region, wanted), make)
            return self.read_dnc_import(caller, attempt.made)

    def list_dnc_imports(self, caller: Caller, wanted: PageWanted) -> Json:
        """The imports of the caller."""
        found = self._store.dnc_imports.page(caller.owner_key, limit=wanted.limit, after=wanted.after)
        return page(found, present_dnc_import)

    def read_dnc_import(self, caller: Caller, import_id: UUID) -> Json:
        """One import."""
        return present_dnc_import(self._store.dnc_imports.get(import_id, caller.owner_key))

    def delete_dnc_import(self, caller: Caller, import_id: UUID) -> None:
        """End it and forget its rejected rows; the numbers it brought stay on the list."""
        with self._store.transaction():
            self._store.dnc_imports.delete(import_id, caller.owner_key)
            self._context.record(caller, "dnc.delete_import", import_id)

    def list_dnc_rejected(self, caller: Caller, import_id: UUID, fields: RejectedFilter, wanted: PageWanted) -> Json:
        """The rows that hold no number, or their reasons."""
        if fields.group:
            return page((self._store.dnc_imports.rejected_by_reason(import_id, caller.owner_key), None), rejected_row)
        found = self._store.dnc_imports.rejected(import_id, caller.owner_key, limit=wanted.limit, after=wanted.after)
        return page(found, rejected_row)

    def erase_subscriber(self, caller: Caller, subscriber_id: UUID, fields: Erase) -> Json:
        """Forget the person behind a subscriber. Raises NotFound."""
        erased = self._store.erasing.erase(
            subscriber_id,
            caller.owner_key,
            all_callbases=fields.all_callbases,
            dnc_too=fields.dnc,
            record=lambda: self._context.record(
                caller, "subscribers.erase", subscriber_id, all_callbases=fields.all_callbases, dnc=fields.dnc
            ),
        )
        return present_erasure(erased)

    def _record_number(self, caller: Caller, action: str, number: str) -> None:
        self._store.audit.append(
            caller.user.key, action, object_kind="dnc", details={"number": number}, address=caller.address
        )


def _numbers(text: str, region: str | None) -> Sequence[str]:
    """What is entered: E.164, or as written for region `raw`. Raises Invalid."""
    if region is None and not text.strip().startswith("+"):
        raise Invalid(
            "number takes + and the country code; without them say the region, or raw to have it dialled as written.",
            field="number",
        )
    region = check_region(region) if region is not None else NO_REGION
    number = normalise(text, region)
    return [number.number] if number.doubt is None else numbers_to_block(text, region)


def _as_written(text: str) -> str:
    """What is looked for. Raises Invalid."""
    return normalise(text, NO_REGION if text.strip().startswith("+") else RAW).number


def _for_everybody(caller: Caller, scope: str) -> bool:
    if scope == ALL and not caller.is_admin:
        raise Forbidden("Only an administrator keeps numbers off for everybody; leave scope out.")
    return scope == ALL


def present_dnc_entry(value: DncEntry) -> Json:
    """A number that is not dialled."""
    return {
        **values_of(value, ("number", "source", "comment")),
        "scope": present_scope(for_everybody=value.for_everybody),
        "created_at": time(value.created_at),
    }


def present_dnc_import(value: DncImport) -> Json:
    """An uploaded file of such numbers, with its counts."""
    names = ("file", "region", "state", "rows", "rows_done", "imported", "duplicates", "rejected", "error")
    with_rejects = value.state == "ready" and value.rejected
    return {
        "id": str(value.id),
        "scope": present_scope(for_everybody=value.for_everybody),
        **values_of(value, names),
        **({"state": READY_WITH_REJECTS} if with_rejects else {}),
        **reading(value.reading),
        "created_at": time(value.created_at),
    }


def present_scope(*, for_everybody: bool) -> str:
    """Whose campaigns an entry holds for."""
    return ALL if for_everybody else OWN


def present_erasure(value: Erasure) -> Json:
    """What was erased."""
    return values_of(value, ("subscribers", "calls", "traces", "jobs_cancelled", "under_way"))

"""What the people who are called may ask for: not to be called (DNC), and to be forgotten."""

from uuid import UUID

from autodialer.api.operations.base import Json, Operations
from autodialer.campaign.checks import NO_REGION
from autodialer.campaign.numbers import RAW, check_region, normalise
from autodialer.clock import Clock
from autodialer.config import Settings
from autodialer.errors import Forbidden, Invalid
from autodialer.imports.imports import Imports
from autodialer.model import Role
from autodialer.store import Store
from autodialer.web import present, present_people
from autodialer.web.caller import Caller
from autodialer.web.uploads import Upload


class PeopleOperations(Operations):
    """One method an operation."""

    def __init__(self, settings: Settings, store: Store, clock: Clock | None = None) -> None:
        super().__init__(settings, store, clock)
        self._imports = Imports(settings, store)

    # -- DNC

    def list_dnc(self, caller: Caller, scope: str, limit: int, after: str | None) -> Json:
        """The caller's own entries (all users' for an admin), or with scope `all` those that hold for everybody."""
        found = self._store.dnc.page(
            caller.owner_key, for_everybody=scope == present_people.ALL, limit=limit, after=after
        )
        return present.page(found, present_people.dnc_entry)

    def read_dnc_entry(self, caller: Caller, number: str) -> Json:
        """The entry that keeps a number from being dialled for the caller. Raises NotFound."""
        return present_people.dnc_entry(self._store.dnc.get(caller.owner_key, _as_written(number)))

    def put_dnc_entry(self, caller: Caller, number: str, fields: Json) -> Json:
        """Enter a number, or change its entry. Raises Invalid, Forbidden."""
        said = {name: fields[name] for name in ("comment",) if name in fields}
        if "scope" in fields:
            said["for_everybody"] = _for_everybody(caller, fields["scope"])
        entry = self._store.dnc.put(caller.user.key, _number(number, fields.get("region")), **said)
        self._audit_number(caller, "dnc.put", entry.number)
        return present_people.dnc_entry(entry)

    def delete_dnc_entry(self, caller: Caller, number: str) -> None:
        """Take a number off the caller's list; an admin takes it off everybody's. Raises NotFound, Forbidden."""
        written = _as_written(number)
        self._store.dnc.remove(caller.owner_key, written)
        self._audit_number(caller, "dnc.delete", written)

    def import_dnc(self, caller: Caller, upload: Upload, fields: Json, once: str | None) -> Json:
        """Import a file of numbers. A large one is still `importing` when this returns."""
        region = check_region(fields["region"])
        for_everybody = _for_everybody(caller, fields.get("scope") or present_people.OWN)

        def create() -> UUID:
            made = self._imports.import_dnc_file(
                upload.take(),
                lambda: self._store.dnc_imports.create(
                    caller.user.key, file=upload.filename, region=region, for_everybody=for_everybody
                ),
            )
            self._audit(caller, "dnc.import", made.id, file=upload.filename)
            return made.id

        asked = {"region": region, "for_everybody": for_everybody, "file": upload.digest}
        return self.read_dnc_import(caller, self._once(caller, "import_dnc", once, asked, create))

    def list_dnc_imports(self, caller: Caller, limit: int, after: str | None) -> Json:
        """The imports of the caller."""
        found = self._store.dnc_imports.page(caller.owner_key, limit=limit, after=after)
        return present.page(found, present_people.dnc_import)

    def read_dnc_import(self, caller: Caller, import_id: UUID) -> Json:
        """One import."""
        return present_people.dnc_import(self._store.dnc_imports.get(import_id, caller.owner_key))

    def delete_dnc_import(self, caller: Caller, import_id: UUID) -> None:
        """End it and forget its rejected rows; the numbers it brought stay on the list."""
        self._store.dnc_imports.delete(import_id, caller.owner_key)
        self._audit(caller, "dnc.delete_import", import_id)

    def list_dnc_rejected(self, caller: Caller, import_id: UUID, limit: int, after: str | None) -> Json:
        """The rows that hold no number."""
        found = self._store.dnc_imports.rejected(import_id, caller.owner_key, limit=limit, after=after)
        return present.page(found, present.rejected_row)

    # -- erasing

    def erase_subscriber(self, caller: Caller, subscriber_id: UUID, *, all_callbases: bool, dnc: bool) -> Json:
        """Forget the person behind a subscriber. Raises NotFound."""
        erased = self._store.erasing.erase(subscriber_id, caller.owner_key, all_callbases=all_callbases, dnc_too=dnc)
        self._audit(caller, "subscribers.erase", subscriber_id, all_callbases=all_callbases, dnc=dnc)
        return present_people.erasure(erased)

    # -- parts of the above

    def _audit_number(self, caller: Caller, action: str, number: str) -> None:
        self._store.audit.append(
            caller.user.key, action, object_kind="dnc", details={"number": number}, address=caller.address
        )


def _number(text: str, region: str | None) -> str:
    """What is entered: E.164, or as written for region `raw`. Raises Invalid."""
    if region is None and not text.strip().startswith("+"):
        raise Invalid(
            "number takes + and the country code; without them say the region, or raw for one that is dialled as"
            " written.",
            field="number",
        )
    return normalise(text, check_region(region) if region is not None else NO_REGION).number


def _as_written(text: str) -> str:
    """What is looked for. Raises Invalid."""
    return normalise(text, NO_REGION if text.strip().startswith("+") else RAW).number


def _for_everybody(caller: Caller, scope: str) -> bool:
    if scope == present_people.ALL and caller.user.role is not Role.ADMIN:
        raise Forbidden("Only an administrator keeps numbers off for everybody; leave scope out.")
    return scope == present_people.ALL

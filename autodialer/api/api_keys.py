"""API keys: made by a user who has logged in, for the user's own programs."""

from datetime import datetime
from uuid import UUID

from autodialer.api.calling_hours import moment_of
from autodialer.api.context import Context
from autodialer.api.present import Json, page, time
from autodialer.errors import Invalid
from autodialer.model import SCOPES_OF, Scope
from autodialer.model.rights import in_words
from autodialer.store.accounts.api_keys import ApiKey
from autodialer.web.caller import Caller
from autodialer.web.fields import Fields
from autodialer.web.request import PageWanted


class NewApiKey(Fields):
    """A key to be made."""

    name: str
    scopes: tuple[Scope, ...]
    expires_at: str | None = None
    """None: it does not run out."""


class ApiKeys:
    """The operations on API keys."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.store

    def list(self, caller: Caller, wanted: PageWanted) -> Json:
        """The keys of the caller; an admin's list has everybody's."""
        return page(self._store.api_keys.page(_owner(caller), limit=wanted.limit, after=wanted.after), present_key)

    def create(self, caller: Caller, fields: NewApiKey, once: str | None) -> Json:
        """A key, shown this once: the answer to a repeated request has none. Raises Invalid, Conflict."""
        with self._context.once.attempt(caller, "create_api_key", once, fields.asked()) as attempt:
            if attempt.object_id is not None:
                return {**self.read(caller, attempt.made), "key": None}
            scopes, expires_at = self._scopes_of(caller, fields), self._end_of(fields)
            with self._store.transaction():
                made, text = self._store.api_keys.create(
                    caller.user.key, name=fields.name, scopes=scopes, expires_at=expires_at
                )
                self._context.record(
                    caller, "api_keys.create", made.id, name=made.name, prefix=made.prefix, scopes=in_words(scopes)
                )
                attempt.remember(made.id)
            # Not read again: a fault now would lose the key, which nobody can get a second time.
            return {**present_key(made), "key": text}

    def read(self, caller: Caller, key_id: UUID) -> Json:
        """One key, without its text."""
        return present_key(self._store.api_keys.get(key_id, _owner(caller)))

    def revoke(self, caller: Caller, key_id: UUID) -> None:
        """End a key at once. Raises NotFound."""
        with self._store.transaction():
            gone = self._store.api_keys.revoke(key_id, _owner(caller))
            self._context.record(caller, "api_keys.revoke", key_id, prefix=gone.prefix, login=gone.login)

    def _scopes_of(self, caller: Caller, fields: NewApiKey) -> frozenset[Scope]:
        scopes, allowed = frozenset(fields.scopes), frozenset(SCOPES_OF[caller.user.role])
        if not scopes <= allowed:
            raise Invalid(f"scopes: your role allows {in_words(allowed)!r}, no more.", field="scopes")
        return scopes

    def _end_of(self, fields: NewApiKey) -> datetime | None:
        if fields.expires_at is None:
            return None
        moment = moment_of(fields.expires_at, "expires_at")
        if moment <= self._context.clock.utcnow():
            raise Invalid(
                "expires_at takes a time to come; leave it out for a key that does not run out.", field="expires_at"
            )
        return moment


def _owner(caller: Caller) -> int | None:
    """Not `owner_key`: an operator works with the objects of its user, not with that user's keys."""
    return None if caller.is_admin else caller.user.key


def present_key(value: ApiKey) -> Json:
    """A key, without its text."""
    return {
        "id": str(value.id),
        "user_id": str(value.user_id),
        "login": value.login,
        "name": value.name,
        "prefix": value.prefix,
        "scopes": [scope.value for scope in Scope if scope in value.scopes],
        "created_at": time(value.created_at),
        "expires_at": time(value.expires_at),
        "last_used_at": time(value.last_used_at),
    }

"""Sessions: where a user is logged in, and ending one log-in without the others."""

from uuid import UUID

from autodialer.api.context import Context
from autodialer.api.present import Json, page, time
from autodialer.store.accounts.sessions import Session
from autodialer.web.caller import Caller
from autodialer.web.request import PageWanted


class Sessions:
    """The operations on sessions."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.store

    def list_own(self, caller: Caller, wanted: PageWanted) -> Json:
        """Those of the caller."""
        return self._list(caller, caller.user.key, wanted)

    def end_own(self, caller: Caller, session_id: UUID) -> None:
        """One of the caller's, the one of this request too. Raises NotFound."""
        self._end(caller, caller.user.key, session_id, caller.user.login)

    def list(self, caller: Caller, user_id: UUID, wanted: PageWanted) -> Json:
        """Those of a user. Raises NotFound."""
        return self._list(caller, self._store.users.by_id(user_id).key, wanted)

    def end(self, caller: Caller, user_id: UUID, session_id: UUID) -> None:
        """One of a user's. Raises NotFound."""
        user = self._store.users.by_id(user_id)
        self._end(caller, user.key, session_id, user.login)

    def _list(self, caller: Caller, user_key: int, wanted: PageWanted) -> Json:
        found = self._store.sessions.page(user_key, limit=wanted.limit, after=wanted.after)
        return page(found, lambda session: present_session(session, current=caller.family_id))

    def _end(self, caller: Caller, user_key: int, session_id: UUID, login: str) -> None:
        with self._store.transaction():
            self._store.sessions.end(session_id, user_key)
            self._context.record(caller, "sessions.end", session_id, login=login)


def present_session(value: Session, *, current: UUID | None) -> Json:
    """A session; `current` is the one of the request."""
    return {
        "id": str(value.id),
        "current": value.id == current,
        "since": time(value.created_at),
        "last_used_at": time(value.last_used_at),
        "expires_at": time(value.expires_at),
        "address": value.address,
        "client": value.program,
    }

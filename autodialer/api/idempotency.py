"""Idempotency-Key: a creating request that is repeated, after a lost answer or a second click, makes one object."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from autodialer.errors import Unavailable
from autodialer.store import Store
from autodialer.web.caller import Caller

STRIPES = 64


@dataclass(kw_only=True)
class Attempt:
    """One request that is to make an object."""

    store: Store
    user_key: int
    operation: str
    key: str | None
    """The client's Idempotency-Key."""
    fingerprint: str
    object_id: UUID | None = None
    """What the request made, this time or before; None: nothing yet, so that it is still to be made."""

    @property
    def made(self) -> UUID:
        """What the request made."""
        if self.object_id is None:
            raise RuntimeError(f"{self.operation} made nothing")
        return self.object_id

    def remember(self, object_id: UUID) -> None:
        """Called in the transaction that makes the object."""
        if self.key is not None:
            first = self.store.idempotency.remember(
                self.key, self.user_key, self.operation, object_id, fingerprint=self.fingerprint
            )
            if first != object_id:
                # Another process was quicker; this exception undoes what was made here.
                raise Unavailable("The same request is being answered already; send it again in a moment.")
        self.object_id = object_id


class Once:
    """Makes objects at most once a key. Two requests with one key that arrive together wait for each other."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._locks = [threading.Lock() for _ in range(STRIPES)]

    @contextmanager
    def attempt(self, caller: Caller, operation: str, key: str | None, asked: str) -> Iterator[Attempt]:
        """`asked` is the content of the request. Raises Conflict when the first request with this key asked for
        something else.

        What takes long (a name looked up, a password hashed, a sound read) is done before the transaction that makes
        object, audit row and key; hence the locks here, which let other requests pass.
        """
        fingerprint = self._store.idempotency.fingerprint(asked)
        attempt = Attempt(
            store=self._store, user_key=caller.user.key, operation=operation, key=key, fingerprint=fingerprint
        )
        if key is None:
            yield attempt
            return
        with self._locks[hash((attempt.user_key, operation, key)) % STRIPES]:
            attempt.object_id = self._store.idempotency.look_up(
                key, attempt.user_key, operation, fingerprint=fingerprint
            )
            yield attempt

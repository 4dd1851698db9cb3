"""Idempotency-Key: a creating request that is repeated, after a lost answer or a second click, makes one object."""

import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from autodialer.store import Store
from autodialer.web.caller import Caller

STRIPES = 64


class Once:
    """Makes objects at most once a key. Two requests with one key that arrive together wait for each other."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._locks = [threading.Lock() for _ in range(STRIPES)]

    def make(
        self, caller: Caller, operation: str, key: str | None, asked: Mapping[str, Any], create: Callable[[], UUID]
    ) -> UUID:
        """The id of what `create` made, now or for the first request with this key.

        Raises Conflict when that request asked for something else.
        """
        if key is None:
            return create()
        fingerprint = hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()
        user_key = caller.user.key
        with self._locks[hash((user_key, operation, key)) % STRIPES]:
            found = self._store.idempotency.look_up(key, user_key, operation, fingerprint=fingerprint)
            if found is not None:
                return found
            return self._store.idempotency.remember(key, user_key, operation, create(), fingerprint=fingerprint)

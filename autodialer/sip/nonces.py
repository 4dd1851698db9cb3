"""The challenges that a trunk's servers have set: how often each nonce was used, and which to begin a request with.

A server may take a nonce count that it has seen before for a replay (RFC 7616 section 3.4), whichever call, phone or
registration it comes from: so the counts belong to the trunk. A request that begins with the nonce that its server
asked for last need not be challenged (RFC 3261 section 22.2).
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeVar

from autodialer.sip.digest import Challenge

NONCES_KEPT = 1024
"""Nonces with a count that is remembered: a server that sets a fresh nonce each time never comes back to one so old."""
SPACES_KEPT = 32
"""Servers and realms of a trunk that requests begin with credentials for."""

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

Space = tuple[str, str]
"""The header we answer in, and the realm: an answer is valid for these two (RFC 3261 section 22.1)."""


@dataclass(eq=False, kw_only=True, slots=True)
class Nonce:
    """A nonce with the words of its challenge, which requests of any thread may use."""

    challenge: Challenge
    cnonce: str
    """The same for as long as the nonce is used: a -sess algorithm hashes it into its key (RFC 7616 section 3.4.2)."""
    used: int = 0
    """Requests that it was counted for. Changed by `Nonces` alone."""


class Nonces:
    """What one trunk knows of its servers' nonces. Any number of threads may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_word: OrderedDict[tuple[Space, str], Nonce] = OrderedDict()
        self._latest: OrderedDict[tuple[str, Space], Nonce] = OrderedDict()
        """By the host that asked."""
        self._takes_ahead: dict[str, bool] = {}
        """Host -> whether it takes a nonce that it did not ask for in this very call; absent: not known yet."""

    def learn(self, host: str, space: Space, challenge: Challenge, cnonce: str) -> Nonce:
        """The nonce of a challenge that came from `host`; a nonce that was known goes on counting.

        `cnonce` is for a new one.
        """
        with self._lock:
            nonce = self._by_word.get((space, challenge.nonce))
            # With another algorithm it is still the same nonce: nc counts all requests sent with its value (RFC 7616
            # section 3.4).
            if nonce is None or nonce.challenge.algorithm_text != challenge.algorithm_text:
                used = nonce.used if nonce is not None else 0
                nonce = Nonce(challenge=challenge, cnonce=cnonce, used=used)
            _keep(self._by_word, (space, challenge.nonce), nonce, NONCES_KEPT)
            _keep(self._latest, (host, space), nonce, SPACES_KEPT)
            return nonce

    def count(self, nonce: Nonce) -> int:
        """The count of one more request with this nonce, from 1; no two requests get the same."""
        with self._lock:
            nonce.used += 1
            return nonce.used

    def ahead(self, host: str) -> dict[Space, Nonce]:
        """What a request to `host` may begin with."""
        with self._lock:
            if not self._takes_ahead.get(host, True):
                return {}
            return {space: nonce for (asked_by, space), nonce in self._latest.items() if asked_by == host}

    def takes_ahead(self, host: str) -> bool | None:
        """Whether `host` takes a nonce that it did not ask for in this very call; None: not known yet."""
        return self._takes_ahead.get(host)

    def learn_ahead(self, host: str, *, taken: bool) -> None:
        """`host` took such a request, or refused it for good."""
        with self._lock:
            # The first word counts: a server that took such a request once means something else by a later 403.
            self._takes_ahead.setdefault(host, taken)


def _keep(kept: OrderedDict[_Key, _Value], key: _Key, value: _Value, most: int) -> None:
    """Put it in as the newest, and let the oldest go."""
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > most:
        kept.popitem(last=False)

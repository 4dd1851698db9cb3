"""GET of a single object: its entity tag, and the answer kept for as long as nothing has been committed.

A client that polls asks for the same object again and again, and most of the time goes into what comes out as before:
statements, values, JSON. No answer is ever stale: the database says whether any process has committed anything since.
The guard stands outside, and looks up the rights of the caller for every request.
"""

import hashlib
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

import bottle
from bottle import request, response

from autodialer.clock import Clock
from autodialer.store import Store
from autodialer.web.caller import Caller
from autodialer.web.routing import Route

JSON = "application/json"
KEPT_S = 1.0
"""How long at most: some answers say what holds by the clock, such as how long a campaign will take."""
MOST = 512
MOST_BYTES = 16_384
"""Of one answer; a longer one is not kept."""

_TAG = re.compile(r'(?:W/)?("[^"]*")')


@dataclass(frozen=True, kw_only=True)
class _Kept:
    version: Hashable
    made_at: float
    """Of the monotonic clock."""
    data: bytes = field(repr=False)
    tag: str


class KeptAnswers:
    """The latest answers, by what was asked and who asked."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()

    def answer(self, key: Hashable, make: Callable[[], Any]) -> tuple[Any, str | None]:
        """The body for `key`, from `make` unless it is known, and its entity tag; None: `make` did not answer JSON."""
        # Before anything is read: a commit in between makes what is kept count as old, never as new.
        version, now = self._store.version(), self._clock.monotonic()
        with self._lock:
            found = self._kept.get(key)
        if found is not None and found.version == version and now - found.made_at < KEPT_S:
            return found.data, found.tag
        made = make()
        if not isinstance(made, str):
            return made, None
        data = made.encode()
        found = _Kept(version=version, made_at=now, data=data, tag=entity_tag(data))
        if len(data) <= MOST_BYTES:
            self._keep(key, found)
        return data, found.tag

    def _keep(self, key: Hashable, answer: _Kept) -> None:
        with self._lock:
            self._kept[key] = answer
            self._kept.move_to_end(key)
            if len(self._kept) > MOST:
                self._kept.popitem(last=False)


class KeptPlugin:
    """Within the guard, which it never saves anybody, and around the contract, which has judged what is kept."""

    name = "kept"
    api = 2

    def __init__(self, answers: KeptAnswers) -> None:
        self._answers = answers

    def apply(self, callback: Callable[..., Any], route: bottle.Route) -> Callable[..., Any]:
        """Bottle's hook."""
        line: Route[Any] | None = getattr(route.callback, "route", None)
        if line is None or not line.is_single_object:
            return callback

        def kept(*args: Any, **kwargs: Any) -> Any:
            body, tag = self._answers.answer(_asked(), lambda: callback(*args, **kwargs))
            if tag is None:
                return body
            response.content_type = JSON
            response.set_header("ETag", tag)
            if is_known(tag, request.environ.get("HTTP_IF_NONE_MATCH", "")):
                response.status = 304
                return b""
            return body

        return kept


def _asked() -> Hashable:
    caller: Caller = request.caller
    environ = request.environ
    return caller.user.key, caller.user.role, caller.scopes, environ["PATH_INFO"], environ.get("QUERY_STRING", "")


def entity_tag(data: bytes) -> str:
    """A strong one: of the bytes themselves."""
    return f'"{hashlib.blake2b(data, digest_size=12).hexdigest()}"'


def is_known(tag: str, if_none_match: str) -> bool:
    """Whether the client has it already (RFC 9110 section 13.1.2, compared weakly)."""
    return if_none_match.strip() == "*" or tag in _TAG.findall(if_none_match)

"""Looks up host names that peers write into their messages, beside the threads that serve calls, and within a bound."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from autodialer.errors import HostUnresolved
from autodialer.phone.resolver import Resolver
from autodialer.sip.hop import UDP, Hop

logger = logging.getLogger(__name__)

BOUND_S = 3.0
"""How long a callee who has picked up is let wait for a name server."""
LONGEST_KEPT_S = 300.0
"""What was found is not believed for longer, whatever its TTL says."""
FAILURE_KEPT_S = 5.0
"""A name that was not found is not asked for again by each call."""
LOOKUPS_TOGETHER = 4
"""Threads, for the calls of all phones."""
MOST_ASKED = 64
"""Names that are being looked up: peers choose them, and no peer may fill the memory."""
MOST_KEPT = 1000
"""Names whose answers are remembered."""
MEDIA_PORT = 1
"""Any port: a name with one has addresses and no SRV (RFC 3263 section 4.2)."""

Found = Callable[[Hop | None, str], object]
"""Takes the hop, or None and why the name leads nowhere, in a sentence for a person."""
_Asked = tuple[str, int | None, str, int]


class NameFinder:
    """One for all phones. Any number of threads may use it."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._lock = threading.Lock()
        self._workers: ThreadPoolExecutor | None = None
        self._waiting: dict[_Asked, list[Found]] = {}
        self._known: dict[_Asked, tuple[float, Hop | None, str]] = {}
        """Until when it holds, and what was told."""
        self._closed = False

    def find_address(self, host: str, family: int, then: Found) -> None:
        """The address of a name, IPv4 or IPv6 as `family` says, as that of a hop without a meaning of its port."""
        self.find(host, MEDIA_PORT, UDP, family, then)

    def find(self, host: str, port: int | None, transport: str, family: int, then: Found) -> None:
        """Where `host` is (RFC 3263). `then` is called at once when that is known, else later in another thread."""
        asked = (host.lower(), port, transport, family)
        now = time.monotonic()
        with self._lock:
            until, hop, why = self._known.get(asked, (0.0, None, ""))
            known = now < until
            if not known and asked in self._waiting:
                self._waiting[asked].append(then)
                return
            if not known and (self._closed or len(self._waiting) >= MOST_ASKED):
                known, why = True, f"too many names are being looked up to find {host}"
            if not known:
                self._waiting[asked] = [then]
                self._workers = self._workers or ThreadPoolExecutor(LOOKUPS_TOGETHER, thread_name_prefix="names")
                self._workers.submit(self._look_up, asked)
                return
        # Outside of the lock: what it does may ask for another name.
        then(hop, why)

    def _look_up(self, asked: _Asked) -> None:
        hop, why, holds_s = None, "", FAILURE_KEPT_S
        try:
            host, port, transport, family = asked
            located = self._resolver.locate(host, port, transport, families=(family,))
            # A TTL of 0 would have every call ask, and wait.
            hop, holds_s = located.targets[0], min(max(located.ttl_s, FAILURE_KEPT_S), LONGEST_KEPT_S)
        except HostUnresolved as exc:
            why = str(exc)
        except Exception:
            # The calls that wait must hear of it.
            logger.exception("looking up %s failed", asked[0])
            why = f"looking up {asked[0]} failed; the log of the dialer says why"
        with self._lock:
            if len(self._known) >= MOST_KEPT:
                # Peers choose the names, so the memory is bounded; what is still wanted is looked up again.
                self._known.clear()
            self._known[asked] = (time.monotonic() + holds_s, hop, why)
            waiting = self._waiting.pop(asked)
        for then in waiting:
            then(hop, why)

    def close(self) -> None:
        """Look nothing up any more. Does not wait."""
        with self._lock:
            self._closed = True
            workers = self._workers
        if workers is not None:
            workers.shutdown(wait=False, cancel_futures=True)

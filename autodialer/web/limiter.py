"""Slows password guessing: after some failures for one login from one address, each next one costs a longer wait."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

from autodialer.clock import Clock
from autodialer.errors import TooManyRequests

FREE_FAILURES = 5
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 300.0
FORGOTTEN_S = 3600.0
MOST_KEPT = 10_000


@dataclass(kw_only=True)
class _Failures:
    count: int = 0
    last_at: float = 0.0
    blocked_until: float = 0.0


class GuessLimiter:
    """Counts failures in memory, of the latest logins and addresses only."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: OrderedDict[tuple[str, str], _Failures] = OrderedDict()

    def check(self, login: str, address: str | None) -> None:
        """Raises TooManyRequests while this login may not be tried from this address."""
        now = self._clock.monotonic()
        with self._lock:
            failures = self._failures.get(_key(login, address))
            wait_s = failures.blocked_until - now if failures else 0.0
        if wait_s > 0:
            seconds = int(wait_s) + 1
            message = f"Too many wrong passwords for this login; wait {seconds} s and try again."
            raise TooManyRequests(message, details=[{"retry_after_s": seconds}])

    def failed(self, login: str, address: str | None) -> None:
        """A wrong password."""
        now = self._clock.monotonic()
        with self._lock:
            failures = self._failures.pop(_key(login, address), None)
            if failures is None or now - failures.last_at > FORGOTTEN_S:
                failures = _Failures()
            failures.count += 1
            failures.last_at = now
            if failures.count >= FREE_FAILURES:
                exponent = min(failures.count - FREE_FAILURES, 20)
                failures.blocked_until = now + min(FIRST_WAIT_S * 2**exponent, LONGEST_WAIT_S)
            self._failures[_key(login, address)] = failures
            while len(self._failures) > MOST_KEPT:
                self._failures.popitem(last=False)

    def succeeded(self, login: str, address: str | None) -> None:
        """The right password: the failures are forgotten."""
        with self._lock:
            self._failures.pop(_key(login, address), None)


def _key(login: str, address: str | None) -> tuple[str, str]:
    return login.strip().casefold()[:64], address or ""

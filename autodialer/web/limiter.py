"""Slows password guessing: after some failures, each next one costs a longer wait.

Failures are counted three ways: for a login from an address, for an address whatever the login, for a login whatever
the address. The last one only ever costs a short wait: otherwise a stranger could lock an owner out.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass

from autodialer.clock import Clock
from autodialer.errors import TooManyRequests

FREE_FAILURES = 5
FREE_OF_ADDRESS = 20
"""Behind one address there may be an office, whose people mistype each for themselves."""
FREE_OF_LOGIN = 20
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 300.0
LONGEST_OF_LOGIN_S = 5.0
FORGOTTEN_S = 3600.0
MOST_KEPT = 10_000


@dataclass(kw_only=True)
class _Failures:
    count: int = 0
    last_at: float = 0.0
    blocked_until: float = 0.0


@dataclass(frozen=True, kw_only=True)
class _Brake:
    """One way of counting."""

    free: int
    """Failures that cost nothing."""
    longest_wait_s: float


_PAIR = _Brake(free=FREE_FAILURES, longest_wait_s=LONGEST_WAIT_S)
_ADDRESS = _Brake(free=FREE_OF_ADDRESS, longest_wait_s=LONGEST_WAIT_S)
_LOGIN = _Brake(free=FREE_OF_LOGIN, longest_wait_s=LONGEST_OF_LOGIN_S)
_Key = tuple[_Brake, str, str]


class GuessLimiter:
    """Counts failures in memory, of the latest logins and addresses only."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: OrderedDict[_Key, _Failures] = OrderedDict()

    def check(self, login: str, address: str | None) -> None:
        """Raises TooManyRequests while this login may not be tried from this address."""
        now = self._clock.monotonic()
        with self._lock:
            known = [self._failures[key] for key in _keys(login, address) if key in self._failures]
        wait_s = max((failures.blocked_until - now for failures in known), default=0.0)
        if wait_s > 0:
            seconds = int(wait_s) + 1
            message = f"Too many wrong passwords; wait {seconds} s and try again."
            raise TooManyRequests(message, details=[{"retry_after_s": seconds}])

    def failed(self, login: str, address: str | None) -> None:
        """A wrong password."""
        now = self._clock.monotonic()
        with self._lock:
            for key in _keys(login, address):
                self._count(key, now)
            while len(self._failures) > MOST_KEPT:
                self._failures.popitem(last=False)

    def succeeded(self, login: str, address: str | None) -> None:
        """The right password: the failures of this login are forgotten, those of the address with other logins stay.

        Otherwise a guesser with an account of its own would log in now and then to guess on.
        """
        with self._lock:
            for key in _keys(login, address):
                if key[0] is not _ADDRESS:
                    self._failures.pop(key, None)

    def _count(self, key: _Key, now: float) -> None:
        failures = self._failures.pop(key, None)
        if failures is None or now - failures.last_at > FORGOTTEN_S:
            failures = _Failures()
        failures.count += 1
        failures.last_at = now
        brake = key[0]
        if failures.count >= brake.free:
            exponent = min(failures.count - brake.free, 20)
            failures.blocked_until = now + min(FIRST_WAIT_S * 2**exponent, brake.longest_wait_s)
        self._failures[key] = failures


def _keys(login: str, address: str | None) -> tuple[_Key, ...]:
    name, place = login.strip().casefold()[:64], address or ""
    return (_PAIR, name, place), (_ADDRESS, "", place), (_LOGIN, name, "")

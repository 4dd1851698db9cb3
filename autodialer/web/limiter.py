"""Slows password guessing: by login and address together, by address, and by login.

An address is its network here. After some failures for one login from one address each next one costs a longer wait.
Beside that, one address may fail at any logins only so often, and one login from any addresses: these two let a failure
go every few seconds.
"""

import threading
import unicodedata
from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

from autodialer.clock import Clock
from autodialer.errors import TooManyRequests

FREE_FAILURES = 5
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 300.0
FREE_BESIDE = 20
"""Failures of an address, and of a login, before these are braked too: an office behind one address makes mistakes."""
LEAK_S = 10.0
"""The time after which an address, and a login, has one failure less."""
MOST_OVER = 3
"""So many failures beyond the free ones are counted: nobody waits for an address or a login over 40 s."""
FORGOTTEN_S = 3600.0
MOST_KEPT = 10_000


@dataclass(kw_only=True)
class _Failures:
    count: int = 0
    last_at: float = 0.0
    blocked_until: float = 0.0


@dataclass(kw_only=True)
class _Leaking:
    level: float = 0.0
    at: float = 0.0

    def level_at(self, now: float) -> float:
        return max(0.0, self.level - (now - self.at) / LEAK_S)

    def wait_s(self, now: float) -> float:
        return max(0.0, (self.level_at(now) - FREE_BESIDE + 1) * LEAK_S)

    def add(self, now: float) -> None:
        self.level, self.at = min(self.level_at(now) + 1, FREE_BESIDE + MOST_OVER), now


class GuessLimiter:
    """Counts failures in memory, of the latest logins and addresses only."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: OrderedDict[tuple[str, str], _Failures] = OrderedDict()
        self._of_address: OrderedDict[str, _Leaking] = OrderedDict()
        self._of_login: OrderedDict[str, _Leaking] = OrderedDict()

    def check(self, login: str, address: str | None) -> None:
        """Raises TooManyRequests while this login may not be tried from this address."""
        now = self._clock.monotonic()
        key = _key(login, address)
        with self._lock:
            failures = self._failures.get(key)
            waits = [failures.blocked_until - now if failures else 0.0]
            waits.append(self._of_address.get(key[1], _Leaking()).wait_s(now))
            # What others did to the login never holds up the first try from an address: it may come from the login's
            # owner, and guessers elsewhere could keep the owner out for ever.
            if failures:
                waits.append(self._of_login.get(key[0], _Leaking()).wait_s(now))
        wait_s = max(waits)
        if wait_s > 0:
            seconds = int(wait_s) + 1
            message = f"Too many wrong passwords; wait {seconds} s and try again."
            raise TooManyRequests(message, details=[{"retry_after_s": seconds}])

    def failed(self, login: str, address: str | None) -> None:
        """A wrong password."""
        now = self._clock.monotonic()
        key = _key(login, address)
        with self._lock:
            failures = self._failures.pop(key, None)
            if failures is None or now - failures.last_at > FORGOTTEN_S:
                failures = _Failures()
            failures.count += 1
            failures.last_at = now
            if failures.count >= FREE_FAILURES:
                exponent = min(failures.count - FREE_FAILURES, 20)
                failures.blocked_until = now + min(FIRST_WAIT_S * 2**exponent, LONGEST_WAIT_S)
            self._failures[key] = failures
            while len(self._failures) > MOST_KEPT:
                self._failures.popitem(last=False)
            if key[1]:
                _count(self._of_address, key[1], now)
            _count(self._of_login, key[0], now)

    def succeeded(self, login: str, address: str | None) -> None:
        """The right password: the failures of this login from this address are forgotten.

        Those of the address stay: a guesser may have an account too.
        """
        with self._lock:
            self._failures.pop(_key(login, address), None)


def _count(counted: OrderedDict[str, _Leaking], name: str, now: float) -> None:
    leaking = counted.pop(name, None) or _Leaking(at=now)
    leaking.add(now)
    counted[name] = leaking
    while len(counted) > MOST_KEPT:
        counted.popitem(last=False)


def _key(login: str, address: str | None) -> tuple[str, str]:
    # The spelling that the login is looked up by, and its capitals: other spellings of it are no fresh start.
    return unicodedata.normalize("NFC", login.strip()).casefold()[:64], network_of(address)


def network_of(address: str | None) -> str:
    """The network that one customer of a provider has: /24 of IPv4, /64 of IPv6. Addresses in it change at will."""
    try:
        host = ip_address(address or "")
    except ValueError:
        return ""
    if isinstance(host, IPv6Address) and host.ipv4_mapped:
        host = host.ipv4_mapped
    return str(ip_network((host, 24 if host.version == 4 else 64), strict=False))

"""The second step of logging in: a code, after the password was right."""

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from secrets import token_urlsafe

from autodialer.clock import Clock
from autodialer.errors import NotFound
from autodialer.model import User
from autodialer.store import Store
from autodialer.store.accounts.second_factors import CodeVerdict
from autodialer.web.limiter import GuessLimiter

VALID_S = 300.0
"""How long a person may look for the telephone."""
MOST_WRONG = 5
"""Wrong codes, after which the password has to be sent again."""
MOST_WAITING = 10_000


@dataclass(kw_only=True)
class _Waiting:
    user_key: int
    password_mark: bytes
    """Of the password that was right: another one since, and this log-in is over."""
    scope: str
    """As it was asked for."""
    until: float
    """On the monotonic clock."""
    wrong: int = 0


@dataclass(frozen=True, kw_only=True)
class Completed:
    """What came of a token and a code."""

    verdict: CodeVerdict | None
    """None: there is no such token, or it is too old; the user begins again."""
    user: User | None = None
    scope: str = ""


class SecondStep:
    """Log-ins that wait for their code. In memory: after a restart people send their passwords again."""

    def __init__(self, store: Store, limiter: GuessLimiter, clock: Clock) -> None:
        self._store = store
        self._limiter = limiter
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: OrderedDict[bytes, _Waiting] = OrderedDict()

    def begin(self, user: User, scope: str) -> str:
        """The password was right: a token to send together with the code."""
        token = token_urlsafe(32)
        waiting = _Waiting(
            user_key=user.key,
            password_mark=self._mark(user.key),
            scope=scope,
            until=self._clock.monotonic() + VALID_S,
        )
        with self._lock:
            self._waiting[_hash(token)] = waiting
            while len(self._waiting) > MOST_WAITING:
                self._waiting.popitem(last=False)
        return token

    def complete(self, token: str, code: str, address: str | None) -> Completed:
        """Use a token and a code up. A wrong code leaves the token for a few more. Raises TooManyRequests."""
        name = _hash(token)
        with self._lock:
            # Taken out while it is looked at: of two requests at the same moment one finds it.
            waiting = self._waiting.pop(name, None)
        if waiting is None or waiting.until <= self._clock.monotonic():
            return Completed(verdict=None)
        try:
            user = self._store.users.by_key(waiting.user_key)
        except NotFound:
            return Completed(verdict=None)
        if self._mark(user.key) != waiting.password_mark:
            return Completed(verdict=None)
        verdict: CodeVerdict | None = None
        try:
            verdict = self.judge(user, code, address)
        finally:
            # Also where a brake or a busy database kept it from being judged.
            waiting.wrong += verdict is CodeVerdict.WRONG
            if verdict in (None, CodeVerdict.WRONG) and waiting.wrong < MOST_WRONG:
                with self._lock:
                    self._waiting[name] = waiting
        return Completed(verdict=verdict, user=user, scope=waiting.scope)

    def judge(self, user: User, code: str, address: str | None) -> CodeVerdict:
        """Use a code up; wrong ones count as wrong passwords do. Raises TooManyRequests."""
        self._limiter.check(user.login, address)
        verdict = self._store.second_factors.use(user.key, code)
        if verdict is CodeVerdict.RIGHT:
            self._limiter.succeeded(user.login, address)
        elif verdict is not CodeVerdict.NO_FACTOR:
            self._limiter.failed(user.login, address)
            self._store.audit.append_refusal(user.login[:64], address)
        return verdict

    def _mark(self, user_key: int) -> bytes:
        return hashlib.sha256((self._store.users.password_hash_of(user_key) or "").encode()).digest()


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()

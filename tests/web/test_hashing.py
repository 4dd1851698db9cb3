"""Passwords are hashed by few threads at once, so that guessers cannot keep all of the API busy."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from autodialer.errors import Unavailable
from autodialer.store import Secrets
from autodialer.store.sql import secrets
from autodialer.store.sql.secrets import HASHED_AT_ONCE, MOST_WAITING
from tests.peers.ports import wait_until
from tests.timing import at_most


class HeldHasher(PasswordHasher):
    """Hashes once it is let; counts those that hash at the same time."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.let = threading.Event()
        self.let.set()
        self.now = self.most = 0
        self._lock = threading.Lock()

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        """As argon2 does, when `let` is set."""
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.let.wait(at_most(20))
        try:
            return super().hash(password, salt=salt)
        finally:
            with self._lock:
                self.now -= 1


def test_two_hash_at_once_two_wait_and_the_others_are_told_to_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "LONGEST_TURN_S", 20.0)
    hasher = HeldHasher()
    made = Secrets(tmp_path, hasher=hasher)
    hasher.let.clear()
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(made.hash_password, "a password") for _ in range(8)]
        wait_until(
            lambda: sum(each.done() for each in asked) == 8 - HASHED_AT_ONCE - MOST_WAITING and hasher.now > 1,
            what="the refusals",
        )
        hasher.let.set()
        refused = [each for each in asked if each.exception(20) is not None]
    assert len(refused) == 8 - HASHED_AT_ONCE - MOST_WAITING
    assert all(isinstance(each.exception(), Unavailable) for each in refused)
    assert hasher.most == HASHED_AT_ONCE
    assert made.hash_password("afterwards")


def test_a_turn_is_not_waited_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "LONGEST_TURN_S", 0.05)
    hasher = HeldHasher()
    made = Secrets(tmp_path, hasher=hasher)
    hasher.let.clear()
    with ThreadPoolExecutor(HASHED_AT_ONCE) as pool:
        asked = [pool.submit(made.hash_password, "a password") for _ in range(HASHED_AT_ONCE)]
        wait_until(lambda: hasher.now == HASHED_AT_ONCE, what="all turns to be taken")
        with pytest.raises(Unavailable):
            made.password_fits(None, "a password")
        hasher.let.set()
        assert all(each.result(at_most(20)) for each in asked)

"""Passwords are hashed a few at a time."""

import threading
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from autodialer.errors import Unavailable
from autodialer.store.sql import secrets
from autodialer.store.sql.secrets import HASHES_AT_ONCE, Secrets


class SlowHasher(PasswordHasher):
    """Takes until it is let go; counts how many it is asked at once."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.go_on = threading.Event()
        self.go_on.set()
        self.entered = threading.Semaphore(0)

    def verify(self, hashed: str | bytes, password: str | bytes) -> bool:
        self.entered.release()
        assert self.go_on.wait(10)
        return super().verify(hashed, password)


def test_more_than_a_few_wait_shortly_and_are_then_told_to_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "LONGEST_WAIT_S", 0.05)
    hasher = SlowHasher()
    vault = Secrets(tmp_path, hasher=hasher)
    stored = vault.hash_password("long enough")
    hasher.go_on.clear()
    busy = [threading.Thread(target=vault.password_fits, args=(stored, "wrong")) for _ in range(HASHES_AT_ONCE)]
    for thread in busy:
        thread.start()
    for _ in busy:
        assert hasher.entered.acquire(timeout=10)
    with pytest.raises(Unavailable) as refused:
        vault.password_fits(stored, "long enough")
    assert refused.value.details == [{"retry_after_s": 1}]
    hasher.go_on.set()
    for thread in busy:
        thread.join()
    assert vault.password_fits(stored, "long enough")

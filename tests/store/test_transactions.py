"""One write transaction within another of the same thread."""

import threading

import pytest

from autodialer.errors import Conflict, NotFound
from autodialer.store import Store


def test_what_is_written_within_a_transaction_is_there_together_or_not_at_all(store: Store) -> None:
    def fail_halfway() -> None:
        with store.transaction():
            store.users.create(login="anna", password=None)
            assert store.users.by_login("anna") is not None, "the same thread sees what it wrote"
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert store.users.by_login("anna") is None
    with store.transaction():
        store.users.create(login="anna", password=None)
        store.audit.append(None, "users.create")
    assert store.users.by_login("anna") is not None


def test_a_part_that_fails_is_undone_alone_where_the_whole_goes_on(store: Store) -> None:
    with store.transaction():
        kept = store.users.create(login="anna", password=None)
        with pytest.raises(Conflict):
            store.users.create(login="anna", password=None)
        with pytest.raises(NotFound):
            store.users.set_password(kept.key + 1, "long enough")
    assert [user.login for user in store.users.page()[0]] == ["anna"]


def test_other_threads_see_nothing_before_the_commit_and_write_after_it(store: Store) -> None:
    seen: list[bool] = []

    def look() -> None:
        seen.append(store.users.by_login("anna") is None)
        store.users.create(login="boris", password=None)
        seen.append(store.users.by_login("anna") is not None)

    other = threading.Thread(target=look)
    with store.transaction():
        store.users.create(login="anna", password=None)
        other.start()
        while not seen:
            pass
    other.join()
    assert seen == [True, True]

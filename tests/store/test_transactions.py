"""One write transaction within another of the same thread."""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from autodialer.errors import Conflict, NotFound
from autodialer.store import NewSubscriber, Secrets, Store
from tests.store.world import StandingClock


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


def levels_of(store: Store, deeds: Iterable[Callable[[], object]]) -> list[int]:
    """What `synchronous` each deed's transaction had: 1 NORMAL, 2 FULL."""
    found: list[int] = []

    def look(connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection
        found.append(driver.execute("PRAGMA synchronous").fetchone()[0])

    event.listen(store._database._engine, "commit", look)
    for deed in deeds:
        deed()
    event.remove(store._database._engine, "commit", look)
    return found


def test_only_what_must_survive_a_power_loss_waits_for_the_disk(store_url: str, secrets: Secrets) -> None:
    dialers = Store(store_url, secrets=secrets, synchronous="FULL")

    def say_something_live() -> None:
        with dialers.transaction(durable=False):
            dialers.live.heartbeat("dialer-1", 1)

    deeds = [
        lambda: dialers.users.create(login="anna", password=None),
        say_something_live,
        lambda: dialers.live.heartbeat("dialer-1", 1),
        lambda: dialers.users.create(login="boris", password=None),
        lambda: dialers.commands.take([1]),
    ]
    assert levels_of(dialers, deeds) == [2, 1, 1, 2, 1]
    dialers.close()


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.slow
def test_checkpoints_that_are_made_apart_are_made_by_no_commit(
    store_url: str, secrets: Secrets, clock: StandingClock, *, apart: bool
) -> None:
    made = Store(store_url, secrets=secrets, clock=clock, checkpoints_apart=apart)
    path = Path(store_url.removeprefix("sqlite:///"))
    owner = made.users.create(login="anna", password=None)
    before = path.stat().st_size
    for name in range(40):
        callbase = made.callbases.create(owner.key, name=str(name), region="GB")
        made.callbases.add_rows(callbase.key, [NewSubscriber(number=f"{i:0200}") for i in range(500)])
    grown = path.stat().st_size > before
    assert grown is not apart
    made.checkpoint()
    assert path.stat().st_size > before
    made.close()

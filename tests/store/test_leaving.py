"""What deleted users leave behind, by the batch."""

from collections.abc import Callable

import pytest
from sqlalchemy import event, func, select

from autodialer import housekeeping as housekeeping_module
from autodialer.config import Settings
from autodialer.housekeeping import Housekeeping
from autodialer.model import Disposition
from autodialer.store import BATCH_ROWS
from autodialer.store.accounts.tables import token_families, users
from autodialer.store.calls.tables import calls
from autodialer.store.forget.leaving import Objects
from autodialer.store.setup.tables import callbases, dnc, subscribers
from tests.peers.ports import wait_until
from tests.store.world import EXHAUSTED, World, number

COUNT = 2 * BATCH_ROWS + 200


def big(world: World) -> None:
    """A user with many of everything that can be many; no call goes on."""
    campaign = world.running(COUNT)
    while jobs := world.claim(campaign, BATCH_ROWS):
        world.record(*[world.result(job, Disposition.BUSY, EXHAUSTED) for job in jobs])
    world.store.queue.finish_campaigns(world.clock.utcnow())
    for index in range(COUNT):
        world.store.dnc.add(world.user.key, number(index), for_everybody=index % 3 == 0)
        world.store.tokens.new_family(world.user.key)


def count(world: World, table: object) -> int:
    with world.store._database.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()  # type: ignore[arg-type]


def is_done(world: World) -> bool:
    with world.store._database.read() as connection:
        return connection.execute(select(users.c.key).where(users.c.leaves.is_not(None))).first() is None


def leave(world: World, objects: Objects) -> None:
    world.store.leaving.delete(world.user.id, objects=objects, heir_id=world.other.id, by="admin")


@pytest.fixture
def changed(world: World) -> Callable[[], int]:
    """The most rows that a statement has changed since it was asked last."""
    found = [0]

    def note(_connection: object, cursor: object, *_: object) -> None:
        found.append(getattr(cursor, "rowcount", 0))

    def most() -> int:
        highest = max(found)
        found[:] = [0]
        return highest

    event.listen(world.store._database._engine, "after_cursor_execute", note)
    return most


@pytest.mark.parametrize("objects", Objects)
def test_no_statement_changes_more_than_a_batch_however_much_is_left(
    world: World, changed: Callable[[], int], objects: Objects
) -> None:
    big(world)
    changed()
    leave(world, objects)
    assert changed() <= BATCH_ROWS
    while world.store.callbases.clear_some() or world.store.leaving.clear_some():
        assert changed() <= BATCH_ROWS
    assert is_done(world)
    is_given = objects is Objects.GIVE
    entries, _ = world.store.dnc.page(world.other.key, limit=1000)
    assert len(entries) == (1000 if is_given else COUNT / 3)
    assert count(world, dnc) == (COUNT if is_given else COUNT / 3)
    assert count(world, calls) == (COUNT if is_given else 0)
    assert count(world, token_families) == 0
    living, _ = world.store.callbases.page(world.other.key)
    assert len(living) == (1 if is_given else 0)
    with world.store._database.read() as connection:
        named = select(func.count()).select_from(subscribers).where(subscribers.c.number.is_not(None))
        assert connection.execute(named).scalar_one() == (COUNT if is_given else 0)
        marked = select(func.count()).select_from(callbases).where(callbases.c.deleted_at.is_not(None))
        assert connection.execute(marked).scalar_one() == (0 if is_given else 1)


def test_two_that_give_the_same_numbers_lose_none(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Housekeeping and a request may find the same rows; the second of the two moves nothing."""
    for index in range(10):
        world.store.dnc.add(world.user.key, number(index))
    leave(world, Objects.GIVE)
    write, between = world.store._database.write, []

    def write_after_another(**options: bool) -> object:
        if not between:
            between.append(True)
            world.store.leaving.clear_some()
        return write(**options)

    monkeypatch.setattr(world.store._database, "write", write_after_another)
    while world.store.leaving.clear_some():
        pass
    entries, _ = world.store.dnc.page(world.other.key)
    assert [entry.number for entry in entries] == [number(index) for index in range(10)]


def test_housekeeping_clears_away_what_a_deleted_user_has_left(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping_module, "LOOK_S", 0.01)
    world.callbase(5)
    leave(world, Objects.DELETE)
    housekeeping = Housekeeping(Settings(), world.store)
    housekeeping.start()
    wait_until(lambda: is_done(world) and count(world, subscribers) == 0, what="the last row of the user")
    housekeeping.stop()

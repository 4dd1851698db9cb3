"""What the API asks of the dialer is done once, whatever the database does meanwhile."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from autodialer.config import Settings
from autodialer.dialing.commands import CommandRunner
from autodialer.errors import Unavailable
from autodialer.store import Store
from tests.databases import cheap_secrets, make_database
from tests.store.world import NOW, StandingClock, World


class Phones:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.hung_up: list[object] = []
        self.traced: list[object] = []

    def hang_up(self, reference: object, why: str) -> None:
        assert why.endswith(".")
        self.hung_up.append(reference)

    def show_trace(self, call_id: object) -> None:
        self.traced.append(call_id)


class FailingAt:
    """A store whose commands, or checks, refuse so many times."""

    def __init__(self, store: Store, *, takes: int = 0, checks: int = 0) -> None:
        self._store = store
        self.left = {"take": takes, "asked": checks}
        self.commands = SimpleNamespace(
            new=store.commands.new, take=self._refuse("take", store.commands.take), reply=store.commands.reply
        )
        self.checks = SimpleNamespace(asked=self._refuse("asked", store.checks.asked), record=store.checks.record)
        self.trunks = store.trunks

    def _refuse(self, name: str, then: Any) -> Any:
        def call(*args: Any) -> Any:
            if self.left[name]:
                self.left[name] -= 1
                raise Unavailable
            return then(*args)

        return call


@pytest.fixture
def woken() -> list[int]:
    return []


@pytest.fixture
def world(settings: Settings) -> Iterator[World]:
    make_database(settings.url)
    clock = StandingClock(NOW)
    store = Store(settings.url, secrets=cheap_secrets(settings.keys), clock=clock)
    yield World(store, clock)
    store.close()


def test_a_command_that_meets_a_locked_database_loses_none_behind_it(world: World, woken: list[int]) -> None:
    [job] = world.claim(world.running(1))
    store, phones = FailingAt(world.store, checks=1), Phones()
    started: list[object] = []
    checks = SimpleNamespace(start=lambda trunk, number, record: started.append(trunk.key))
    commands = CommandRunner(store, phones, checks, woken.append)  # type: ignore[arg-type]
    world.store.commands.add("trace_call", call_id=job.call_id)
    world.store.commands.add("check_trunk", call_id=world.store.checks.ask(world.trunk.key, None))
    world.store.commands.add("hangup_call", call_id=job.call_id)
    with pytest.raises(Unavailable):
        commands.obey_new([job])
    assert (phones.traced, started, phones.hung_up) == ([job.call_id], [], [])
    commands.obey_new([job])
    assert (phones.traced, started, phones.hung_up) == ([job.call_id], [world.trunk.key], [job.call_id])
    assert commands.has_hung_up(job.call_id)
    assert world.store.commands.new() == []


def test_a_trunk_that_was_deleted_before_its_check_is_not_checked(world: World, woken: list[int]) -> None:
    started: list[object] = []
    checks = SimpleNamespace(start=lambda trunk, number, record: started.append(trunk.key))
    commands = CommandRunner(world.store, Phones(), checks, woken.append)  # type: ignore[arg-type]
    check_id = world.store.checks.ask(world.trunk.key, None)
    world.store.commands.add("check_trunk", call_id=check_id)
    world.store.trunks.delete(world.trunk.id, None)
    commands.obey_new([])
    assert started == []
    result = world.store.checks.result(check_id)
    assert result is not None
    assert "deleted" in result["verdict"]


def test_a_command_is_not_obeyed_twice_because_the_database_took_no_note(world: World, woken: list[int]) -> None:
    store, phones = FailingAt(world.store, takes=2), Phones()
    commands = CommandRunner(store, phones, SimpleNamespace(), woken.append)  # type: ignore[arg-type]
    world.store.commands.add("wake_trunk", trunk_key=world.trunk.key)
    for _ in range(2):
        with pytest.raises(Unavailable):
            commands.obey_new([])
    assert woken == [world.trunk.key]
    commands.obey_new([])
    commands.obey_new([])
    assert woken == [world.trunk.key]


def test_a_command_that_meets_an_error_of_ours_is_obeyed_once_and_keeps_none_behind_it_back(
    world: World, woken: list[int]
) -> None:
    """A dialer that ended by it would meet it again at each start."""

    def wake(key: int) -> None:
        woken.append(key)
        raise RuntimeError("nobody expected this")

    phones = Phones()
    commands = CommandRunner(world.store, phones, SimpleNamespace(), wake)  # type: ignore[arg-type]
    [job] = world.claim(world.running(1))
    world.store.commands.add("wake_trunk", trunk_key=world.trunk.key)
    world.store.commands.add("hangup_call", call_id=job.call_id)
    for _ in range(2):
        commands.obey_new([job])
    assert (woken, phones.hung_up) == ([world.trunk.key], [job.call_id])
    assert world.store.commands.new() == []

"""Refused log-ins in the audit: a guesser fills no disk, and what strangers typed is not kept for ever."""

from autodialer.config import Settings
from autodialer.housekeeping import Housekeeping
from tests.store.world import StandingClock, World


def refusals(world: World) -> list[tuple[str, str | None, int]]:
    entries = world.store.audit.page()[0]
    return [(entry.details["login"], entry.address, entry.times) for entry in entries if entry.action == "auth.refused"]


def test_refused_log_ins_of_a_login_from_an_address_are_one_row_an_hour(world: World, clock: StandingClock) -> None:
    for _ in range(1000):
        world.store.audit.append_refusal("olga", "192.0.2.1")
    world.store.audit.append_refusal("olga", "192.0.2.2")
    world.store.audit.append_refusal("pavel", "192.0.2.1")
    world.store.audit.append_refusal("olga", None)
    clock.move(hours=1)
    world.store.audit.append_refusal("olga", "192.0.2.1")
    assert refusals(world) == [
        ("olga", "192.0.2.1", 1),
        ("olga", None, 1),
        ("pavel", "192.0.2.1", 1),
        ("olga", "192.0.2.2", 1),
        ("olga", "192.0.2.1", 1000),
    ]


def test_a_login_with_spaces_is_not_taken_for_another_address_and_login(world: World) -> None:
    world.store.audit.append_refusal("b c", "a")
    world.store.audit.append_refusal("c", "a b")
    assert len(refusals(world)) == 2


def test_the_entry_has_the_time_of_the_last_refusal(world: World, clock: StandingClock) -> None:
    world.store.audit.append_refusal("olga", "192.0.2.1")
    last = clock.move(minutes=30)
    world.store.audit.append_refusal("olga", "192.0.2.1")
    assert world.store.audit.page()[0][0].at == last


def test_what_is_old_is_deleted_refusals_alone_or_everything(world: World, clock: StandingClock) -> None:
    for index in range(1100):
        world.store.audit.append_refusal(f"guess{index}", "192.0.2.1")
    world.store.audit.append(world.user.key, "trunks.create")
    now = clock.move(days=91)
    world.store.audit.append_refusal("late", "192.0.2.1")
    world.store.audit.append(world.user.key, "trunks.change")
    assert world.store.audit.forget(clock.move(days=-90), refusals_only=True) == 1100
    assert [entry.action for entry in world.store.audit.page()[0]] == ["trunks.change", "auth.refused", "trunks.create"]
    assert world.store.audit.forget(now, refusals_only=False) == 1
    assert [entry.action for entry in world.store.audit.page()[0]] == ["trunks.change", "auth.refused"]


def test_housekeeping_forgets_refusals_after_90_days_and_the_rest_only_when_the_settings_say_so(
    world: World, clock: StandingClock
) -> None:
    world.store.audit.append_refusal("olga", "192.0.2.1")
    world.store.audit.append(world.user.key, "trunks.create")
    clock.move(days=89)
    Housekeeping(Settings(), world.store, clock).forget()
    assert len(world.store.audit.page()[0]) == 2
    clock.move(days=2)
    Housekeeping(Settings(), world.store, clock).forget()
    assert [entry.action for entry in world.store.audit.page()[0]] == ["trunks.create"]
    Housekeeping(Settings(audit_days=92), world.store, clock).forget()
    assert len(world.store.audit.page()[0]) == 1
    Housekeeping(Settings(audit_days=90), world.store, clock).forget()
    assert world.store.audit.page()[0] == []

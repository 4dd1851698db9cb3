"""The numbering plan in the store: for each code the file imported last counts, all of it or nothing."""

from datetime import timedelta

import pytest

from autodialer.errors import Conflict
from autodialer.store import BATCH_ROWS, NumberRange, PlanFile, Store, ZoneRange
from autodialer.store.setup import numbering_plan as module
from tests.store.world import NOW, StandingClock

OMSK, MOSCOW = "Asia/Omsk", "Europe/Moscow"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_S", 0.0)


def allotted(code: int, first: int, last: int, zone: str | None = MOSCOW) -> NumberRange:
    return NumberRange(code=code, first=first, last=last, operator="Т2", region="somewhere", zone=zone)


def rows(store: Store) -> int:
    with store._database.read() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM numbering_ranges").scalar_one())


def test_a_fresh_database_has_no_plan(store: Store) -> None:
    assert store.numbering_plan.zones() == []
    assert store.numbering_plan.files() == []


def test_the_ranges_of_a_file_are_read_back_as_whole_national_numbers_in_rising_order(store: Store) -> None:
    store.numbering_plan.take("DEF.csv", [allotted(916, 5, 9_999_999), allotted(913, 0, 4_999_999, OMSK)])
    assert store.numbering_plan.zones() == [
        ZoneRange(9130000000, 9134999999, OMSK),
        ZoneRange(9160000005, 9169999999, MOSCOW),
    ]


def test_neighbours_of_one_zone_are_one_range_and_gaps_stay(store: Store) -> None:
    parts = [allotted(900, 0, 9), allotted(900, 10, 19), allotted(900, 21, 29), allotted(900, 30, 39, OMSK)]
    store.numbering_plan.take("DEF.csv", [*parts, allotted(900, 9_999_990, 9_999_999), allotted(901, 0, 9)])
    assert store.numbering_plan.zones() == [
        ZoneRange(9000000000, 9000000019, MOSCOW),
        ZoneRange(9000000021, 9000000029, MOSCOW),
        ZoneRange(9000000030, 9000000039, OMSK),
        ZoneRange(9009999990, 9010000009, MOSCOW),
    ]


def test_a_range_without_a_zone_is_kept_but_tells_nothing(store: Store) -> None:
    store.numbering_plan.take("DEF.csv", [allotted(900, 0, 9), allotted(900, 10, 19, None), allotted(900, 20, 29)])
    assert store.numbering_plan.zones() == [
        ZoneRange(9000000000, 9000000009, MOSCOW),
        ZoneRange(9000000020, 9000000029, MOSCOW),
    ]
    assert rows(store) == 3


def test_a_later_file_replaces_the_codes_that_it_has_and_no_others(store: Store, clock: StandingClock) -> None:
    store.numbering_plan.take("old.csv", [allotted(900, 0, 99), allotted(901, 0, 99), allotted(900, 200, 299)])
    clock.now = NOW + timedelta(days=1)
    store.numbering_plan.take("new.csv", [allotted(900, 0, 49, OMSK)])
    assert store.numbering_plan.zones() == [
        ZoneRange(9000000000, 9000000049, OMSK),
        ZoneRange(9010000000, 9010000099, MOSCOW),
    ]
    assert store.numbering_plan.files() == [
        PlanFile(file="old.csv", imported_at=NOW, codes=1),
        PlanFile(file="new.csv", imported_at=NOW + timedelta(days=1), codes=1),
    ]
    assert rows(store) == 2


def test_a_file_of_which_nothing_counts_any_more_is_forgotten(store: Store) -> None:
    store.numbering_plan.take("old.csv", [allotted(900, 0, 99)])
    store.numbering_plan.take("new.csv", [allotted(900, 0, 99)])
    assert [part.file for part in store.numbering_plan.files()] == ["new.csv"]


def test_many_ranges_are_replaced_whole(store: Store) -> None:
    old = [allotted(900 + code, first, first) for code in range(3) for first in range(0, 2 * BATCH_ROWS, 2)]
    store.numbering_plan.take("old.csv", old)
    assert len(store.numbering_plan.zones()) == rows(store) == 3 * BATCH_ROWS
    store.numbering_plan.take("new.csv", [allotted(900 + code, 0, 9_999_999, OMSK) for code in range(3)])
    assert store.numbering_plan.zones() == [ZoneRange(9000000000, 9029999999, OMSK)]
    assert rows(store) == 3


def test_an_import_cut_short_changes_nothing_and_the_next_one_clears_it_away(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.numbering_plan.take("old.csv", [allotted(900, 0, 99)])

    def killed(_pause_s: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module.time, "sleep", killed)
        with pytest.raises(KeyboardInterrupt):
            store.numbering_plan.take("new.csv", [allotted(900, 0, 49, OMSK), allotted(901, 0, 9, OMSK)])
    assert store.numbering_plan.zones() == [ZoneRange(9000000000, 9000000099, MOSCOW)]
    assert [part.file for part in store.numbering_plan.files()] == ["old.csv"]
    assert rows(store) == 3
    store.numbering_plan.take("other.csv", [allotted(999, 0, 9)])
    assert [part.file for part in store.numbering_plan.files()] == ["old.csv", "other.csv"]
    assert rows(store) == 2


def test_of_two_imports_at_once_the_one_that_was_disturbed_says_so_and_changes_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = iter([lambda: store.numbering_plan.take("b.csv", [allotted(900, 0, 9, OMSK)])])

    def other_import(_pause_s: float) -> None:
        next(pauses, lambda: None)()

    monkeypatch.setattr(module.time, "sleep", other_import)
    with pytest.raises(Conflict, match="import this one again"):
        store.numbering_plan.take("a.csv", [allotted(900, number, number) for number in range(BATCH_ROWS + 1)])
    assert store.numbering_plan.zones() == [ZoneRange(9000000000, 9000000009, OMSK)]
    assert [part.file for part in store.numbering_plan.files()] == ["b.csv"]

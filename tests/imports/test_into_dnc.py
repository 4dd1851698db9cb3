"""A stop list blocks everyone in it."""

from pathlib import Path
from typing import Any

import pytest

from autodialer.config import Settings
from autodialer.errors import Invalid
from autodialer.imports.columns import Wanted
from autodialer.imports.imports import Imports, Uploaded
from autodialer.store import DncImport, Store
from tests.imports.here import import_here


@pytest.fixture(autouse=True)
def _imported_here(monkeypatch: pytest.MonkeyPatch) -> None:
    import_here(monkeypatch)


@pytest.fixture
def owner(store: Store) -> int:
    return store.users.create(login="vera", password=None).key


def imported(settings: Settings, store: Store, owner: int, file: Path, text: str, **wanted: Any) -> DncImport:
    file.write_text(text)
    imports = Imports(settings, store)
    uploaded = Uploaded(file=file, user_key=owner, region="RU", wanted=Wanted(**wanted))
    made = imports.import_dnc_file(
        uploaded, lambda taken: store.dnc_imports.create(owner, file="stop.csv", region="RU", reading=taken)
    )
    return store.dnc_imports.by_key(made.key)


def test_every_number_of_a_cell_and_of_every_phone_column_is_blocked(
    settings: Settings, store: Store, owner: int, tmp_path: Path
) -> None:
    text = (
        "phone\tname\tphone 2\n8 916 000-00-01, 8 916 000-00-02\tAnna\t89160000003\n"
        "+7 916 000-00-04 доб. 5\tBoris\t\n\tVera\t89160000005\n89160000006\tGleb\tнет\n\tDina\t\n"
    )
    done = imported(settings, store, owner, tmp_path / "stop.csv", text)
    assert [entry.number for entry in store.dnc.page(owner)[0]] == [f"+7916000000{last}" for last in range(1, 7)]
    rejected, _ = store.dnc_imports.rejected(done.id, owner)
    assert [(row.row, row.value) for row in rejected] == [(5, "нет"), (6, "")]
    assert (done.rows, done.rows_done, done.imported, done.rejected) == (5, 5, 6, 2)


@pytest.mark.slow
def test_rows_of_many_numbers_are_entered_whole(settings: Settings, store: Store, owner: int, tmp_path: Path) -> None:
    rows = ["; ".join(f"+7916{row:04d}{number:03d}" for number in range(90)) for row in range(200)]
    text = "phone\tname\n" + "".join(f"{row}\tx\n" for row in rows)
    done = imported(settings, store, owner, tmp_path / "stop.csv", text)
    assert (done.state, done.rows_done, done.imported, done.rejected) == ("ready", 200, 18_000, 0)


def test_a_list_without_a_number_is_refused_with_rows_of_it(
    settings: Settings, store: Store, owner: int, tmp_path: Path
) -> None:

    with pytest.raises(Invalid, match=r"no phone number of region RU \(row 2, column 'phone', '112': too short"):
        imported(settings, store, owner, tmp_path / "stop.csv", "phone\n112\n113\n", columns={"number": "phone"})


def test_every_column_of_phones_is_blocked_also_those_that_were_not_named(
    settings: Settings, store: Store, owner: int, tmp_path: Path
) -> None:
    text = "Моб. тел.;Дом. тел.;Раб. тел.;Договор\n89160000001;84951230001;84951230002;9160000009\n"
    imported(settings, store, owner, tmp_path / "stop.csv", text, columns={"number": "Моб. тел."})
    assert {entry.number for entry in store.dnc.page(owner)[0]} == {"+79160000001", "+74951230001", "+74951230002"}


def test_a_doubtful_number_is_blocked_in_every_reading(
    settings: Settings, store: Store, owner: int, tmp_path: Path
) -> None:
    text = "phone\n89160000001\n89160000002\n00375290000001\n"
    imported(settings, store, owner, tmp_path / "stop.csv", text)
    assert {"+375290000001", "+79160000001"} <= {entry.number for entry in store.dnc.page(owner)[0]}

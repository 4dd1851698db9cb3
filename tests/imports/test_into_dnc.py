"""A stop list blocks everyone in it."""

from pathlib import Path

import pytest

from autodialer.config import Settings
from autodialer.imports.imports import Imports, Uploaded
from autodialer.store import DncImport, Store
from tests.imports.here import import_here


@pytest.fixture(autouse=True)
def _imported_here(monkeypatch: pytest.MonkeyPatch) -> None:
    import_here(monkeypatch)


@pytest.fixture
def owner(store: Store) -> int:
    return store.users.create(login="vera", password=None).key


def imported(settings: Settings, store: Store, owner: int, file: Path, text: str) -> DncImport:
    file.write_text(text)
    imports = Imports(settings, store)
    uploaded = Uploaded(file=file, user_key=owner, region="RU")
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


def test_rows_of_many_numbers_are_entered_whole(settings: Settings, store: Store, owner: int, tmp_path: Path) -> None:
    rows = ["; ".join(f"+7916{row:04d}{number:03d}" for number in range(90)) for row in range(200)]
    text = "phone\tname\n" + "".join(f"{row}\tx\n" for row in rows)
    done = imported(settings, store, owner, tmp_path / "stop.csv", text)
    assert (done.state, done.rows_done, done.imported, done.rejected) == ("ready", 200, 18_000, 0)

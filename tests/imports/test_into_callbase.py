"""A callbase from an uploaded table: who becomes a subscriber, who is a duplicate, who is rejected and why."""

from pathlib import Path

import pytest

from autodialer.campaign.numbers import DOUBT
from autodialer.config import Settings
from autodialer.errors import Invalid, NotFound
from autodialer.imports.imports import Imports, Uploaded
from autodialer.imports.into_callbase import IntoCallbase
from autodialer.imports.reading import inspect
from autodialer.imports.running import import_rows
from autodialer.model import Callbase
from autodialer.store import Store
from tests.imports.here import import_here


@pytest.fixture(autouse=True)
def _imported_here(monkeypatch: pytest.MonkeyPatch) -> None:
    import_here(monkeypatch)


@pytest.fixture
def owner(store: Store) -> int:
    return store.users.create(login="anna", password=None).key


def imported(store: Store, owner: int, file: Path, content: str, region: str = "RU") -> Callbase:
    file.write_text(content)
    plan = inspect(file, region)
    callbase = store.callbases.create(owner, name="patients", region=region)
    import_rows(IntoCallbase(store, callbase.key), plan)
    return store.callbases.by_key(callbase.key)


def test_rows_become_subscribers_duplicates_once_and_rejected_rows_with_reasons(
    store: Store, owner: int, tmp_path: Path
) -> None:
    text = (
        "name;phone;comment;timezone;flat\nАнна;8 916 123-45-67;first;Europe/Moscow;5\n;;;;\n"
        "Boris;+7 916 123 45 67;the same;;\nVera;112;;;\nGleb;7,91612E+10;;;\nDina;89161234568;;Mars/Olympus;\n"
        "Egor;9161234569;;;7\n"
    )
    callbase = imported(store, owner, tmp_path / "base.csv", text)
    assert (callbase.state, callbase.rows, callbase.imported) == ("ready", 6, 2)
    assert (callbase.duplicates, callbase.rejected) == (1, 3)
    subscribers, _ = store.subscribers.page(callbase.id, owner, limit=10, after=None)
    assert [(s.number, s.name, s.comment, s.timezone, s.extra) for s in subscribers] == [
        ("+79161234567", "Анна", "first", "Europe/Moscow", {"flat": "5"}),
        ("+79161234569", "Egor", None, None, {"flat": "7"}),
    ]
    rejected, _ = store.callbases.rejected(callbase.id, owner, limit=10, after=None)
    assert [(row.row, row.value) for row in rejected] == [(5, "112"), (6, "7,91612E+10"), (7, "Mars/Olympus")]
    assert "too short" in rejected[0].reason
    assert "scientific" in rejected[1].reason
    assert "unknown time zone" in rejected[2].reason


def test_a_table_of_which_hardly_a_row_can_be_dialled_is_refused_and_nothing_is_kept(
    settings: Settings, store: Store, owner: int, tmp_path: Path
) -> None:
    rows = ["number"] + ["89161234567"] * 100 + [f"flat {number}" for number in range(1_999)]
    file = tmp_path / "base.csv"
    file.write_text("\n".join(rows))
    uploaded = Uploaded(file=file, user_key=owner, region="RU")
    with pytest.raises(
        Invalid, match=r"only 100 hold a phone number of region RU .*row 102, column 'number'"
    ) as caught:
        Imports(settings, store).import_file(
            uploaded, lambda taken: store.callbases.create(owner, name="flats", region="RU", reading=taken)
        )
    assert not file.exists()
    assert caught.value.field == "file"
    assert len(caught.value.details) == 5
    callbases, _ = store.callbases.page(owner, limit=10, after=None)
    assert callbases == []


def test_one_bad_row_in_a_short_list_is_only_rejected(store: Store, owner: int, tmp_path: Path) -> None:
    assert imported(store, owner, tmp_path / "base.txt", "89161234567\nno number\n").rejected == 1


def test_a_raw_callbase_keeps_extensions_as_written(store: Store, owner: int, tmp_path: Path) -> None:
    callbase = imported(store, owner, tmp_path / "base.txt", "101\n*43#\n2 02\n", region="raw")
    assert callbase.rejected == 1, "2 and 02, or 202? nobody knows"
    subscribers, _ = store.subscribers.page(callbase.id, owner, limit=10, after=None)
    assert [subscriber.number for subscriber in subscribers] == ["101", "*43#"]


def test_an_unassigned_number_is_imported_as_doubtful_and_counted(store: Store, owner: int, tmp_path: Path) -> None:
    callbase = imported(store, owner, tmp_path / "base.txt", "8 916 000-00-01\n+7 000 000-00-01\n")
    (_, *subscribers), _ = store.subscribers.page(callbase.id, owner, limit=10, after=None)
    assert (subscribers[0].doubt, subscribers[0].extra) == (DOUBT, {})
    assert (callbase.imported, callbase.doubtful) == (2, 1)


def test_more_than_one_batch_is_imported_whole(store: Store, owner: int, tmp_path: Path) -> None:
    told: list[int] = []
    file = tmp_path / "base.csv"
    file.write_text("\n".join(f"+7916{number:07d}" for number in range(1, 1202)))
    callbase = store.callbases.create(owner, name="b", region="RU")
    import_rows(IntoCallbase(store, callbase.key), inspect(file, "RU"), on_progress=told.append)
    done = store.callbases.by_key(callbase.key)
    assert (done.rows, done.rows_done, done.imported) == (1201, 1201, 1201)
    assert told == [500, 1000, 1201]


def test_a_stranger_does_not_see_the_callbase(store: Store, owner: int, tmp_path: Path) -> None:
    callbase = imported(store, owner, tmp_path / "base.txt", "89161234567\n")
    stranger = store.users.create(login="boris", password=None).key
    with pytest.raises(NotFound):
        store.callbases.get(callbase.id, stranger)


def test_a_second_number_is_taken_and_a_bad_one_costs_the_row_nothing(store: Store, owner: int, tmp_path: Path) -> None:
    text = (
        "phone;name;phone 2\n89161234567;Anna;8 (916) 765-43-21\n89161234568;Boris;112\n"
        "89161234569;Vera;+7 916 123-45-69\n89161234560;Gleb;\n"
    )
    callbase = imported(store, owner, tmp_path / "base.csv", text)
    assert (callbase.imported, callbase.rejected) == (4, 0)
    people, _ = store.subscribers.page(callbase.id, owner, limit=10, after=None)
    assert [person.second_number for person in people] == ["+79167654321", None, None, None]
    assert people[1].extra["second_number"] == "112"
    assert people[1].extra["flag"].startswith("second number: ")
    assert people[2].extra == {}, "the same number twice is one number"

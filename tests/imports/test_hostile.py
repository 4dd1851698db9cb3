"""Files that were made to hold up a machine: the import process meets its limits, and the API does not."""

import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import openpyxl
import pytest

from autodialer import seats
from autodialer.config import Settings
from autodialer.errors import TooLarge, TooManyRequests, Unavailable, UserError
from autodialer.imports import apart, import_turns, process
from autodialer.imports.apart import LookApart, preview_apart
from autodialer.imports.cells import LONGEST_ROW
from autodialer.imports.import_turns import ImportTurns
from autodialer.imports.process import CALLBASE, LOOK, ImportJob
from autodialer.seats import Seats
from autodialer.store import Store
from tests.timing import at_most

PEOPLE = [["Телефон", "Имя"], ["89160000001", "Анна"]]


def book(path: Path, change: Callable[[str, bytes], bytes]) -> None:
    """A workbook of which the parts were changed by hand."""
    made = openpyxl.Workbook()
    assert made.active is not None
    for row in PEOPLE:
        made.active.append(row)
    made.save(path.with_suffix(".plain"))
    with zipfile.ZipFile(path.with_suffix(".plain")) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))


def with_rows(xml: bytes) -> Callable[[str, bytes], bytes]:
    """More rows at the end of the sheet."""
    return lambda name, part: part.replace(b"</sheetData>", xml + b"</sheetData>") if "sheet1" in name else part


def far_row(path: Path) -> None:
    book(path, with_rows(b'<row r="1048576000"><c r="A1048576000"><v>1</v></c></row>'))


def far_corner(path: Path) -> None:
    book(path, with_rows(b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'))


def endless_strings(path: Path) -> None:
    book(path, lambda name, part: part + b" " * 300_000_000 if "sharedStrings" in name or "sheet1" in name else part)


def many_strings(path: Path) -> None:
    row = b'<row><c t="inlineStr"><is><t>%s</t></is></c></row>' % (b"8" * 40)
    book(path, with_rows(row * 1_100_000))


def one_line(path: Path) -> None:
    path.write_bytes(b"8916" * 8_000_000)


def one_cell(path: Path) -> None:
    path.write_bytes(b'phone\n"' + b"8916\n" * 8_000_000)


def many_columns(path: Path) -> None:
    path.write_bytes(b"phone\n" + b"89160000001;" * 20_000 + b"\n")


def many_rows(path: Path) -> None:
    path.write_bytes(b"\n" * 40_000_000)


HOSTILE = (far_row, far_corner, endless_strings, many_strings, one_line, one_cell, many_columns, many_rows)


def job_of(settings: Settings, file: Path) -> ImportJob:
    keys = str(settings.keys)
    return ImportJob(
        task=LOOK, url=settings.url, keys=keys, into=CALLBASE, key=None, file=str(file), region="RU", wanted={}
    )


@pytest.mark.loopback
@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__)
def test_a_hostile_file_is_refused_within_the_limits_of_the_process(
    settings: Settings, tmp_path: Path, make: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "upload"
    make(file)
    ended: list[subprocess.Popen[bytes]] = []
    start = apart.start_import
    monkeypatch.setattr(apart, "start_import", lambda job: ended.append(start(job)) or ended[-1])
    for ask in (preview_apart, lambda job: LookApart(job).looked()):
        try:
            said = ask(job_of(settings, file))
        except UserError as exc:
            said = {"problem": str(exc), "field": exc.field}
        assert isinstance(said, dict), "taken for a table"
        assert said.get("field", "file") == "file"
        assert 20 < len(said["problem"]) < 600
    for one in ended:
        one.kill()
        one.__exit__(None, None, None)


@pytest.mark.loopback
@pytest.mark.parametrize("blank", [b'<row r="%d"><c r="A%d" s="1"/></row>', b'<row r="%d" spans="1:900" ht="12"/>'])
def test_a_million_rows_that_are_only_formatted_are_no_rows(settings: Settings, tmp_path: Path, blank: bytes) -> None:
    file = tmp_path / "upload"
    book(file, with_rows(b"".join(blank.replace(b"%d", b"%d" % row) for row in range(3, 1_048_576))))
    with LookApart(job_of(settings, file)) as process_:
        assert process_.looked().rows == 2


@contextmanager
def hanging(monkeypatch: pytest.MonkeyPatch, deadline_s: float) -> Iterator[None]:
    """Processes that never say anything."""
    forever = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    pipe = subprocess.PIPE
    monkeypatch.setattr(apart, "start_import", lambda _job: subprocess.Popen(forever, stdin=pipe, stdout=pipe))
    monkeypatch.setattr(apart, "DEADLINE_S", deadline_s)
    yield


@pytest.mark.loopback
def test_a_file_that_is_read_for_too_long_is_refused(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hanging(monkeypatch, 0.2), pytest.raises(TooLarge, match="more memory or time"):
        preview_apart(job_of(settings, tmp_path / "upload"))


@pytest.mark.loopback
def test_a_process_that_breaks_by_itself_is_no_fault_of_the_file(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = [sys.executable, "-c", "raise SystemExit(1)"]
    pipe = subprocess.PIPE
    monkeypatch.setattr(apart, "start_import", lambda _job: subprocess.Popen(broken, stdin=pipe, stdout=pipe))
    with pytest.raises(Unavailable):
        preview_apart(job_of(settings, tmp_path / "upload"))


@pytest.mark.loopback
def test_a_small_file_is_imported_by_the_process_that_looked_at_it(
    settings: Settings, store: Store, tmp_path: Path
) -> None:
    owner = store.users.create(login="vera", password=None).key
    file = tmp_path / "upload"
    file.write_text("Телефон;Имя\n89160000001;Анна\nнет;Вера\n")
    with LookApart(job_of(settings, file)) as process_:
        looked = process_.looked()
        callbase = store.callbases.create(owner, name="b", region="RU", reading=looked.taken)
        process_.import_into(callbase.key)
    done = store.callbases.by_key(callbase.key)
    assert (done.state, done.imported, done.rejected, done.reading["columns"]["number"]) == ("ready", 1, 1, "Телефон")


def test_a_user_has_so_many_seats_and_leaves_the_others_theirs() -> None:
    room = Seats(most=3, most_a_user=2, yours="yours", others="others")
    with room.taken(1), room.taken(1):
        with pytest.raises(TooManyRequests) as refused, room.taken(1):
            pass
        assert refused.value.details == [{"retry_after_s": seats.RETRY_S}]
        with room.taken(2), pytest.raises(Unavailable), room.taken(3):
            pass
        with room.taken(3):
            pass
    with room.taken(1), room.taken(1):
        pass


@pytest.mark.process
def test_users_take_turns_and_none_has_two_imports_at_once() -> None:
    done: list[str] = []
    go, both = threading.Event(), threading.Barrier(3)

    def step(name: str, *, waits: bool = False) -> Callable[[], None]:
        def do() -> None:
            if waits:
                both.wait(at_most(10))
                go.wait(at_most(10))
            done.append(name)

        return do

    line = ImportTurns(at_once=2)
    line.add(1, step("anna 1", waits=True))
    line.add(2, step("boris 1", waits=True))
    both.wait(at_most(10))
    for number in (2, 3, 4):
        line.add(1, step(f"anna {number}"))
    line.add(3, step("vera 1"))
    go.set()
    line.stop(at_most(10))
    assert sorted(done) == sorted(["anna 1", "boris 1", "anna 2", "anna 3", "anna 4", "vera 1"])
    assert [name for name in done if name.startswith("anna")] == ["anna 1", "anna 2", "anna 3", "anna 4"]


@pytest.mark.process
def test_one_users_endless_import_does_not_hold_anothers() -> None:
    stuck, others = threading.Event(), threading.Event()
    line = ImportTurns(at_once=2)
    try:
        for _ in range(3):
            line.add(1, lambda: (stuck.wait(at_most(60)), None)[1])
        line.add(2, others.set)
        assert others.wait(at_most(10))
    finally:
        stuck.set()
        line.stop(at_most(10))


@pytest.mark.process
def test_a_user_may_have_only_so_many_files_waiting() -> None:
    stuck = threading.Event()
    line = ImportTurns(at_once=1, most_waiting=2)
    try:
        begun = threading.Event()
        line.add(1, lambda: (begun.set(), stuck.wait(at_most(60)), None)[2])
        assert begun.wait(at_most(10))
        for _ in range(2):
            line.check_room(1)
            line.add(1, lambda: None)
        with pytest.raises(TooManyRequests) as refused:
            line.check_room(1)
        assert refused.value.details == [{"retry_after_s": import_turns.RETRY_S}]
        line.check_room(2)
    finally:
        stuck.set()
        line.stop(at_most(10))


def test_the_limits_leave_room_for_an_honest_file() -> None:
    assert process.MOST_MEMORY >= 500_000_000
    assert LONGEST_ROW >= 100_000

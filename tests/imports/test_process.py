"""Imports of large files in their process: what is left of an import that ends early."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import openpyxl
import pytest

from autodialer.config import Settings
from autodialer.imports import imports as imports_module
from autodialer.imports.imports import BROKEN, OUT_OF_REACH, SERVICE_STOPPED, Imports, Uploaded
from autodialer.imports.process import CALLBASE, DNC, NO_DATABASE, ImportJob, start_import
from autodialer.model import Callbase
from autodialer.store import DncImport, Store
from tests.peers.ports import wait_until
from tests.timing import at_most

pytestmark = pytest.mark.loopback
LONG = 300_000


@pytest.fixture
def owner(store: Store) -> int:
    return store.users.create(login="vera", password=None).key


@pytest.fixture
def imports(settings: Settings, store: Store) -> Iterator[Imports]:
    made = Imports(settings, store)
    yield made
    made.stop()


def csv_of(folder: Path, rows: int) -> Path:
    """So many different numbers, every tenth twice, every twentieth none."""
    file = folder / "upload-base.csv"
    with file.open("w") as text:
        text.write("phone;name\n")
        for row in range(rows):
            text.write("112;nobody\n" if row % 20 == 19 else f"8916{row - (row % 10 == 9):07d};Subscriber {row}\n")
    return file


def uploaded(owner: int, file: Path) -> Uploaded:
    return Uploaded(file=file, user_key=owner, region="RU")


def new_callbase(store: Store, owner: int, name: str) -> Callable[[object], Callbase]:
    return lambda _taken: store.callbases.create(owner, name=name, region="RU")


def new_dnc_import(store: Store, owner: int) -> Callable[[object], DncImport]:
    return lambda _taken: store.dnc_imports.create(owner, file="stop.csv", region="RU")


def job_of(settings: Settings, callbase: Callbase, file: Path) -> ImportJob:
    keys = str(settings.keys)
    return ImportJob(url=settings.url, keys=keys, into=CALLBASE, key=callbase.key, file=str(file), region="RU")


def begin(imports: Imports, store: Store, owner: int, file: Path) -> Callbase:
    """The callbase whose import is under way in its process and has brought some rows."""
    callbase = imports.import_file(uploaded(owner, file), new_callbase(store, owner, "b"))
    wait_until(lambda: store.callbases.by_key(callbase.key).rows_done > 0, what="the first rows", timeout_s=60)
    return callbase


def process_of(imports: Imports) -> int:
    [process] = imports._processes
    return process.pid


def wait_gone(pid: int) -> None:
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), what="the end of the import's process", timeout_s=30)


def rows_of(store: Store, callbase: Callbase) -> int:
    with store._database.read() as connection:
        counted = connection.exec_driver_sql(f"SELECT count(*) FROM subscribers WHERE callbase_key = {callbase.key}")
        return int(counted.scalar_one())


def test_a_long_file_is_imported_whole_and_tells_how_far_it_is(
    imports: Imports, store: Store, owner: int, tmp_path: Path
) -> None:
    file = csv_of(tmp_path, 30_000)
    callbase = begin(imports, store, owner, file)
    seen = []
    while (now := store.callbases.by_key(callbase.key)).state == "importing":
        seen.append((now.rows_done, now.rows))
        time.sleep(0.02)
    assert seen == sorted(seen)
    assert all(done <= rows and 29_999 <= rows <= 30_002 for done, rows in seen)
    assert (now.state, now.rows, now.rows_done, now.imported) == ("ready", 30_000, 30_000, 27_000)
    assert (now.duplicates, now.rejected) == (1_500, 1_500)
    wait_until(lambda: not file.exists(), what="the file's removal")


def test_a_duplicate_is_found_a_whole_file_away(imports: Imports, store: Store, owner: int, tmp_path: Path) -> None:
    file = csv_of(tmp_path, 20_000)
    with file.open("a") as text:
        text.write("+7 916 000-00-00;once more\n")
    callbase = begin(imports, store, owner, file)
    wait_until(lambda: store.callbases.by_key(callbase.key).state == "ready", what="the import", timeout_s=60)
    assert store.callbases.by_key(callbase.key).duplicates == 1_001
    [first], _ = store.subscribers.page(callbase.id, owner, limit=1)
    assert (first.number, first.name) == ("+79160000000", "Subscriber 0")


def test_a_long_workbook_is_imported_whole(imports: Imports, store: Store, owner: int, tmp_path: Path) -> None:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet()
    for row in range(25_000):
        sheet.append([79160000000 + row, f"Subscriber {row}"])
    book.save(tmp_path / "upload-base.xlsx")
    callbase = begin(imports, store, owner, tmp_path / "upload-base.xlsx")
    wait_until(lambda: store.callbases.by_key(callbase.key).state == "ready", what="the import", timeout_s=120)
    assert store.callbases.by_key(callbase.key).imported == 25_000


def test_an_import_that_is_killed_has_failed_and_leaves_only_that(
    imports: Imports, store: Store, owner: int, tmp_path: Path
) -> None:
    file = csv_of(tmp_path, LONG)
    callbase = begin(imports, store, owner, file)
    os.kill(process_of(imports), signal.SIGKILL)
    wait_until(lambda: not file.exists(), what="the file's removal", timeout_s=60)
    failed = store.callbases.by_key(callbase.key)
    assert (failed.state, failed.error, failed.imported) == ("failed", BROKEN, 0)
    assert rows_of(store, callbase) == 0


def test_deleting_a_callbase_ends_its_import_and_leaves_nothing(
    imports: Imports, store: Store, owner: int, tmp_path: Path
) -> None:
    file = csv_of(tmp_path, LONG)
    callbase = begin(imports, store, owner, file)
    pid = process_of(imports)
    store.callbases.delete(callbase.id, owner)
    wait_gone(pid)
    wait_until(lambda: not file.exists(), what="the file's removal")
    store.callbases.purge_deleted()
    assert rows_of(store, callbase) == 0
    with store._database.read() as connection:
        left = "SELECT (SELECT count(*) FROM callbases) + (SELECT count(*) FROM rejected_rows)"
        assert connection.exec_driver_sql(left).scalar_one() == 0


def test_stopping_the_service_ends_an_import_that_says_so(
    imports: Imports, store: Store, owner: int, tmp_path: Path
) -> None:
    file = csv_of(tmp_path, LONG)
    callbase = begin(imports, store, owner, file)
    pid = process_of(imports)
    imports.stop()
    wait_gone(pid)
    wait_until(lambda: not file.exists(), what="the file's removal", timeout_s=60)
    failed = store.callbases.by_key(callbase.key)
    assert (failed.state, failed.error) == ("failed", SERVICE_STOPPED)
    assert rows_of(store, callbase) == 0


def test_an_import_waits_for_the_one_before_and_is_not_begun_once_the_service_stops(
    imports: Imports, store: Store, owner: int, tmp_path: Path
) -> None:
    first = begin(imports, store, owner, csv_of(tmp_path, LONG))
    (tmp_path / "other").mkdir()
    second = imports.import_file(
        uploaded(owner, csv_of(tmp_path / "other", 15_000)),
        new_callbase(store, owner, "second"),
    )
    assert store.callbases.by_key(second.key).rows_done == 0
    imports.stop()
    for callbase in (first, second):
        wait_until(lambda key=callbase.key: store.callbases.by_key(key).state == "failed", what="the end", timeout_s=60)
    assert rows_of(store, second) == 0


def test_an_import_ends_with_the_service_that_began_it(
    settings: Settings, store: Store, owner: int, tmp_path: Path
) -> None:
    file = csv_of(tmp_path, LONG)
    callbase = store.callbases.create(owner, name="b", region="RU")
    job = job_of(settings, callbase, file)
    code = (
        "import time; from autodialer.imports.process import ImportJob, start_import;"
        f"print(start_import({job!r}).pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        wait_until(lambda: store.callbases.by_key(callbase.key).rows_done > 0, what="the first rows", timeout_s=60)
        parent.kill()
    wait_gone(pid)
    assert store.callbases.fail_unfinished() == 1
    store.callbases.purge_deleted()
    assert (store.callbases.by_key(callbase.key).state, rows_of(store, callbase)) == ("failed", 0)


def test_a_file_that_is_no_table_after_all_fails_with_its_reason(
    settings: Settings, store: Store, owner: int, tmp_path: Path
) -> None:
    file = tmp_path / "base.csv"
    file.write_bytes(b"name;city\nnobody;Omsk\n")
    callbase = store.callbases.create(owner, name="b", region="RU")
    job = job_of(settings, callbase, file)
    with start_import(job) as process:
        assert process.wait(at_most(60)) == 0
    failed = store.callbases.by_key(callbase.key)
    assert failed.state == "failed"
    assert "no column that clearly holds phone numbers" in str(failed.error) or "several columns" in str(failed.error)


def test_an_import_that_breaks_inside_says_so(
    imports: Imports, store: Store, owner: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = csv_of(tmp_path, 15_000)
    monkeypatch.setattr(imports_module, "start_import", lambda _job: 1 / 0)
    callbase = imports.import_file(uploaded(owner, file), new_callbase(store, owner, "b"))
    wait_until(lambda: not file.exists(), what="the file's removal")
    assert (store.callbases.by_key(callbase.key).state, store.callbases.by_key(callbase.key).error) == (
        "failed",
        BROKEN,
    )


def begin_dnc(imports: Imports, store: Store, owner: int, file: Path) -> DncImport:
    """The DNC import that is under way in its process and has entered some numbers."""
    made = imports.import_dnc_file(uploaded(owner, file), new_dnc_import(store, owner))
    wait_until(lambda: store.dnc_imports.by_key(made.key).rows_done > 0, what="the first rows", timeout_s=60)
    return made


def test_a_long_list_of_numbers_not_to_be_called_is_read_in_the_process(
    imports: Imports, store: Store, owner: int, tmp_path: Path
) -> None:
    file = csv_of(tmp_path, 20_000)
    made = begin_dnc(imports, store, owner, file)
    process_of(imports)
    wait_until(lambda: store.dnc_imports.by_key(made.key).state == "ready", what="the import", timeout_s=60)
    done = store.dnc_imports.by_key(made.key)
    assert (done.rows, done.imported, done.duplicates, done.rejected) == (20_000, 18_000, 1_000, 1_000)
    wait_until(lambda: not file.exists(), what="the file's removal")


def test_a_killed_import_of_numbers_not_to_be_called_has_failed_and_keeps_what_it_entered(
    imports: Imports, store: Store, owner: int, tmp_path: Path
) -> None:
    file = csv_of(tmp_path, LONG)
    made = begin_dnc(imports, store, owner, file)
    os.kill(process_of(imports), signal.SIGKILL)
    wait_until(lambda: not file.exists(), what="the file's removal", timeout_s=60)
    failed = store.dnc_imports.by_key(made.key)
    assert (failed.state, failed.error) == ("failed", BROKEN)
    assert failed.imported > 0
    assert store.dnc.page(owner, limit=1)[0] != []


def test_deleting_an_import_of_numbers_not_to_be_called_ends_it(
    imports: Imports, store: Store, owner: int, tmp_path: Path
) -> None:
    file = csv_of(tmp_path, LONG)
    made = begin_dnc(imports, store, owner, file)
    pid = process_of(imports)
    store.dnc_imports.delete(made.id, owner)
    wait_gone(pid)
    wait_until(lambda: not file.exists(), what="the file's removal")
    assert store.dnc_imports.page(None)[0] == []


def test_callbases_and_numbers_not_to_be_called_wait_in_one_queue_and_fail_alike_when_the_service_stops(
    imports: Imports, store: Store, owner: int, tmp_path: Path
) -> None:
    first = begin(imports, store, owner, csv_of(tmp_path, LONG))
    (tmp_path / "other").mkdir()
    second = imports.import_dnc_file(
        uploaded(owner, csv_of(tmp_path / "other", 15_000)),
        new_dnc_import(store, owner),
    )
    assert store.dnc_imports.by_key(second.key).rows_done == 0
    imports.stop()
    ended = (store.callbases.by_key(first.key), store.dnc_imports.by_key(second.key))
    assert [(one.state, one.error) for one in ended] == [("failed", SERVICE_STOPPED)] * 2


def test_an_import_waits_for_the_killed_one_before_it_and_is_then_done(
    imports: Imports, store: Store, owner: int, tmp_path: Path
) -> None:
    first = begin(imports, store, owner, csv_of(tmp_path, LONG))
    (tmp_path / "other").mkdir()
    second = imports.import_file(
        uploaded(owner, csv_of(tmp_path / "other", 12_000)),
        new_callbase(store, owner, "second"),
    )
    os.kill(process_of(imports), signal.SIGKILL)
    wait_until(lambda: store.callbases.by_key(second.key).state == "ready", what="the second", timeout_s=60)
    assert store.callbases.by_key(first.key).state == "failed"


@pytest.mark.parametrize("into", [CALLBASE, DNC])
def test_an_import_that_the_database_refused_for_too_long_has_failed_with_that_reason(
    imports: Imports, store: Store, owner: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, into: str
) -> None:
    given_up = [sys.executable, "-c", f"raise SystemExit({NO_DATABASE})"]
    monkeypatch.setattr(imports_module, "start_import", lambda _job: subprocess.Popen(given_up))
    file = csv_of(tmp_path, 15_000)
    made: Callbase | DncImport
    if into == CALLBASE:
        made = imports.import_file(uploaded(owner, file), new_callbase(store, owner, "b"))
    else:
        made = imports.import_dnc_file(uploaded(owner, file), new_dnc_import(store, owner))
    wait_until(lambda: not file.exists(), what="the file's removal")
    failed = store.callbases.by_key(made.key) if into == CALLBASE else store.dnc_imports.by_key(made.key)
    assert (failed.state, failed.error) == ("failed", OUT_OF_REACH)

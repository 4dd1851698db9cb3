"""An import whose database goes away: it waits and goes on, or it has failed; it is never `importing` for good."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from autodialer.config import Settings
from autodialer.errors import TooLarge, Unavailable
from autodialer.imports import imports as imports_module
from autodialer.imports import running, table_file
from autodialer.imports.imports import BROKEN, Imports, Uploaded
from autodialer.imports.into_callbase import IntoCallbase
from autodialer.imports.into_dnc import IntoDnc
from autodialer.imports.process import CALLBASE, DNC, ImportJob, run
from autodialer.imports.reading import inspect
from autodialer.imports.running import Destination, import_rows, keep_trying
from autodialer.store import Store
from tests.databases import cheap_secrets
from tests.imports.here import import_here
from tests.peers.ports import wait_until
from tests.timing import at_most

ROWS = 1_200


@pytest.fixture(autouse=True)
def _retries_come_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "RETRY_S", 0.05)
    import_here(monkeypatch)


@pytest.fixture
def hasty(settings: Settings, store: Store) -> Iterator[Store]:
    """A store on the same database, which waits for a lock a tenth of a second only."""
    del store  # has made the database
    opened = Store(settings.url, secrets=cheap_secrets(settings.keys), busy_timeout_s=0.1)
    yield opened
    opened.close()


@pytest.fixture
def owner(store: Store) -> int:
    return store.users.create(login="vera", password=None).key


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """So many different numbers and one row that holds none."""
    path = tmp_path / "upload-base.csv"
    path.write_text("phone\n112\n" + "".join(f"8916{row:07d}\n" for row in range(ROWS)))
    return path


@contextmanager
def database_away(settings: Settings) -> Iterator[None]:
    """Another program holds the write lock."""
    other = sqlite3.connect(settings.url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def made(store: Store, owner: int, into: str) -> tuple[int, Callable[[], Any]]:
    """A new destination: its key, and how to read it."""
    if into == CALLBASE:
        key = store.callbases.create(owner, name="b", region="RU").key
        return key, lambda: store.callbases.by_key(key)
    key = store.dnc_imports.create(owner, file="stop.csv", region="RU").key
    return key, lambda: store.dnc_imports.by_key(key)


def upload(imports: Imports, into: str, file: Path, make: Callable[[], Any]) -> None:
    uploaded = Uploaded(file=file, user_key=1, region="RU")
    (imports.import_file if into == CALLBASE else imports.import_dnc_file)(uploaded, lambda _taken: make())


def job_of(settings: Settings, into: str, key: int, file: Path) -> ImportJob:
    return ImportJob(url=settings.url, keys=str(settings.keys), into=into, key=key, file=str(file), region="RU")


@pytest.mark.process
@pytest.mark.parametrize("into", [CALLBASE, DNC])
def test_an_import_goes_on_when_the_database_is_back(
    settings: Settings, store: Store, owner: int, file: Path, into: str
) -> None:
    key, read = made(store, owner, into)
    importing = threading.Thread(
        target=run,
        args=(job_of(settings, into, key, file),),
        kwargs={"patience_s": 30.0, "busy_timeout_s": 0.05},
    )
    with database_away(settings):
        importing.start()
        time.sleep(0.5)
        assert (read().state, read().rows_done) == ("importing", 0)
    importing.join(at_most(30))
    assert (read().state, read().imported, read().rejected) == ("ready", ROWS, 1)


@pytest.mark.parametrize("into", [CALLBASE, DNC])
def test_a_database_that_stays_away_is_no_fault_of_the_file(
    settings: Settings, store: Store, owner: int, file: Path, into: str
) -> None:
    key, read = made(store, owner, into)
    with database_away(settings), pytest.raises(Unavailable):
        run(job_of(settings, into, key, file), patience_s=0.2, busy_timeout_s=0.05)
    assert (read().state, read().error) == ("importing", None), "its parent says why it failed"


@pytest.mark.process
@pytest.mark.parametrize("into", [CALLBASE, DNC])
def test_the_end_of_a_broken_import_is_told_once_the_database_is_back(
    settings: Settings, hasty: Store, owner: int, file: Path, into: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports_module, "start_import", lambda _job: 1 / 0)
    monkeypatch.setattr(imports_module, "ROWS_AT_ONCE", 10)
    imports = Imports(settings, hasty)
    _, read = made(hasty, owner, into)
    try:
        with database_away(settings):
            upload(imports, into, file, read)
            time.sleep(0.4)
            assert read().state == "importing"
        wait_until(lambda: read().state == "failed", what="the end", timeout_s=10)
        assert read().error == BROKEN
    finally:
        imports.stop()


@pytest.mark.parametrize("into", [CALLBASE, DNC])
@pytest.mark.slow
def test_nothing_is_left_of_a_small_import_that_the_database_refused(
    settings: Settings, hasty: Store, owner: int, file: Path, into: str
) -> None:
    imports = Imports(settings, hasty)
    _, read = made(hasty, owner, into)
    try:
        with database_away(settings), pytest.raises(Unavailable):
            upload(imports, into, file, read)

        def is_gone() -> bool:
            pages = (hasty.callbases.page(owner)[0], hasty.dnc_imports.page(owner)[0])
            return pages == ([], [])

        wait_until(is_gone, what="the end of what was left", timeout_s=10)
        assert not file.exists()
    finally:
        imports.stop()


@pytest.mark.parametrize("into", [CALLBASE, DNC])
def test_a_batch_whose_commit_was_not_answered_is_not_counted_twice(
    store: Store, owner: int, file: Path, into: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    room: Any = store.callbases if into == CALLBASE else store.dnc_imports
    add_batch, answers = room.add_batch, iter([False, True, False, True])

    def answers_get_lost(*args: Any, **kw: Any) -> None:
        add_batch(*args, **kw)
        if not next(answers, True):
            raise Unavailable

    monkeypatch.setattr(room, "add_batch", answers_get_lost)
    key, read = made(store, owner, into)
    destination: Destination = IntoCallbase(store, key) if into == CALLBASE else IntoDnc(store, key)
    import_rows(destination, inspect(file, "RU"), patience_s=10.0)
    done = read()
    assert (done.state, done.rows, done.imported, done.duplicates, done.rejected) == ("ready", ROWS + 1, ROWS, 0, 1)


def test_waiting_for_the_database_ends_with_the_service() -> None:
    def refused() -> None:
        raise Unavailable

    with pytest.raises(Unavailable):
        keep_trying(refused, for_s=3600, going_on=lambda: False)


@pytest.mark.parametrize("into", [CALLBASE, DNC])
def test_the_rows_that_are_read_count_and_not_what_a_look_at_the_file_said(
    settings: Settings, store: Store, owner: int, file: Path, into: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_file, "MAX_ROWS", 1_000)
    # A quote in the file: its lines need not be rows, so that only reading tells.
    file.write_text(file.read_text().replace("112", '"112"'))
    key, read = made(store, owner, into)
    run(job_of(settings, into, key, file))
    assert read().state == "failed"
    assert "more than 1000 rows" in read().error


def test_a_text_with_carriage_returns_only_is_as_long_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "old-mac.txt"
    file.write_bytes(b"".join(b"8916%07d\r" % row for row in range(50)))
    assert inspect(file, "RU").rows >= 50
    assert len(list(inspect(file, "RU").numbered_rows())) == 50
    monkeypatch.setattr(table_file, "MAX_ROWS", 40)
    with pytest.raises(TooLarge, match="at most 40"):
        inspect(file, "RU")

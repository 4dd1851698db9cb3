"""`python main.py restore FILE`: a backup, or a database that was kept before a migration, put in place."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

from sqlalchemy.engine import make_url

from autodialer.clock import Clock
from autodialer.commands.accounts import say
from autodialer.commands.archive import DATABASE, KEYS, SOUNDS, is_bare_database, unpack
from autodialer.config import Settings, sqlite_url
from autodialer.errors import Conflict, Invalid, NotFound
from autodialer.store import Secrets, Settled, Store, check_whole, copy_database, migrate
from autodialer.supervisor import RESTORING, DataFolderLock

BESIDE = ("", "-wal", "-shm", "-journal")
KEPT = "before-restore"
"""Begins the name of the folder with what was in place before."""


def run_restore(settings: Settings, file: str, *, force: bool, clock: Clock | None = None) -> int:
    """Put the backup in place of what is there, and say what that means; the exit status.

    Raises AlreadyRunning while a service works on the data folder, Conflict when there is something in place and not
    `force`, Invalid or NotFound for the file, SettingsError for a database that cannot be used. All of them before
    anything has been changed.
    """
    source, clock = Path(file).absolute(), clock or Clock()
    if not source.is_file():
        raise NotFound(f"There is no file {source}.")
    place = _Place(settings)
    with _alone(settings):
        if place.is_taken and not force:
            raise Conflict(
                f"There is a service's data in {settings.data.resolve()} already. With --force it is moved aside into "
                f"a folder {KEPT}-..., and the backup takes its place."
            )
        draft = settings.data.resolve() / f".restore-{token_hex(4)}"
        draft.mkdir(mode=0o700)
        try:
            made_at, settled = _prepare(source, draft, settings, clock)
            aside = place.swap(draft, clock.utcnow())
        except OSError as exc:
            raise Invalid(f"{source} cannot be restored to {settings.data} ({exc.strerror or exc}).") from exc
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    _tell(source, made_at, settled, aside)
    return 0


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Raises AlreadyRunning. An earlier restore that was cut short is no obstacle: this one brings it to its end."""
    with ExitStack() as stack:
        for program in ("dialer", "API"):
            stack.enter_context(DataFolderLock(settings.data, program, for_restore=True).held())
        yield


def _prepare(source: Path, draft: Path, settings: Settings, clock: Clock) -> tuple[datetime, Settled]:
    """What is to be put in place, in `draft`, brought to this version and with nothing going on by itself."""
    database = draft / DATABASE
    if is_bare_database(source):
        made_at = datetime.fromtimestamp(source.stat().st_mtime, UTC)
        copy_database(source, database)
    else:
        made_at = unpack(source, draft).time
        check_whole(database)
    # What is in place stays there for a bare database: the keys that its secrets were written with.
    keys = draft / KEYS if (draft / KEYS).is_dir() else settings.keys
    url = sqlite_url(database)
    migrate(url)
    with closing(Store(url, secrets=Secrets(keys), clock=clock)) as store:
        return made_at, store.restored.settle(made_at)


class _Place:
    """Where database, keys and sounds belong."""

    def __init__(self, settings: Settings) -> None:
        self._data = settings.data.resolve()
        self._database = Path(make_url(settings.url).database or "").resolve()

    @property
    def is_taken(self) -> bool:
        """Whether anything is there that a service would miss."""
        return self._database.exists() or any((self._data / name).exists() for name in (KEYS, SOUNDS))

    def swap(self, draft: Path, now: datetime) -> Sequence[Path]:
        """Move what is there aside and the draft in; the folders with what was there.

        While it goes on a file says so, at which no service starts: it would find no database, and make an empty one.
        Cut short, it is brought to its end by another restore. Raises OSError.
        """
        marker = self._data / RESTORING
        marker.touch(mode=0o600)
        name = f"{KEPT}-{now:%Y%m%dT%H%M%SZ}-{token_hex(2)}"
        aside: set[Path] = set()
        for room in (KEYS, SOUNDS):
            if (draft / room).is_dir():
                _move_aside(self._data / room, name, aside)
                (draft / room).rename(self._data / room)
        for ending in BESIDE:
            _move_aside(self._database.with_name(self._database.name + ending), name, aside)
        self._database.parent.mkdir(parents=True, exist_ok=True)
        # Not by renaming alone: DIALER_DATABASE_URL may name another disk.
        copy_database(draft / DATABASE, self._database)
        for folder in {self._data, self._database.parent}:
            _flush(folder)
        marker.unlink()
        return sorted(aside)


def _move_aside(path: Path, name: str, aside: set[Path]) -> None:
    if path.exists():
        folder = path.parent / name
        folder.mkdir(mode=0o700, exist_ok=True)
        path.rename(folder / path.name)
        aside.add(folder)


def _flush(folder: Path) -> None:
    if os.name != "posix":
        return  # only POSIX opens a folder
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _tell(source: Path, made_at: datetime, settled: Settled, aside: Sequence[Path]) -> None:
    say(f"{source} is restored: the state of {made_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC.")
    for folder in aside:
        say(f"What was in place before is in {folder}; delete it once nobody needs it.")
    if settled.cut_off:
        say(
            f"{settled.cut_off} calls were under way at that moment. The service records them as interrupted when it "
            "starts; their people are called again only by campaigns with a retry rule for `interrupted`."
        )
    if settled.paused:
        say("Calls that were made after that moment are not known any more: PEOPLE CALLED SINCE WOULD BE CALLED AGAIN.")
        say(f"So the campaigns that ran are paused: {', '.join(repr(name) for name in settled.paused)}.")
        say(
            "Before you resume one: compare it with the provider's call records, or put the numbers that have been "
            "called since on the DNC list (POST /srv1/dnc/import)."
        )
    if settled.sample_calls:
        say(f"{settled.sample_calls} sample calls that waited then are not made.")
    if settled.api_keys:
        say(f"{settled.api_keys} API keys are good again, with any revoked since then: look at GET /srv1/api-keys.")
    if settled.sessions:
        say("All sessions have ended: everybody logs in again. Passwords are those of that moment.")

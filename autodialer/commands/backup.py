"""`python main.py backup FILE`: the database, the sounds and the keys in one file, while the service runs."""

import os
import shutil
from pathlib import Path
from secrets import token_hex

from sqlalchemy.engine import make_url

from autodialer.clock import Clock
from autodialer.commands.accounts import say
from autodialer.commands.archive import DATABASE, FORMAT, KEYS, SOUNDS, About, new_archive
from autodialer.config import Settings
from autodialer.errors import Invalid, NotFound
from autodialer.store import copy_database

NICENESS = 10
"""Calls that are up go before."""


def run_backup(settings: Settings, file: str, clock: Clock | None = None) -> int:
    """Write the backup and say what is in it; the exit status.

    Raises NotFound without a database, Invalid for a place that cannot be written, Conflict for a file that is there
    already, SettingsError or Unavailable as `copy_database`.
    """
    target, database = Path(file).absolute(), Path(make_url(settings.url).database or "").resolve()
    if not database.is_file():
        raise NotFound(f"There is no database at {database}; DIALER_DATA names the folder of the service.")
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    made_at = (clock or Clock()).utcnow()
    draft = target.with_name(f".{target.name}.{token_hex(4)}.db")
    sounds = keys = 0
    try:
        with new_archive(target, About(format=FORMAT, made_at=made_at.isoformat())) as archive:
            copy_database(database, draft)
            archive.add(draft, DATABASE)
            for path in _files(settings.keys):
                archive.add(path, f"{KEYS}/{path.relative_to(settings.keys).as_posix()}")
                keys += 1
            for path in _files(settings.sounds):
                try:
                    archive.add(path, f"{SOUNDS}/{path.relative_to(settings.sounds).as_posix()}")
                except FileNotFoundError:
                    continue  # deleted since the folder was read
                sounds += 1
    except OSError as exc:
        raise _cannot(target, exc) from exc
    finally:
        draft.unlink(missing_ok=True)
    size_mb = max(1, round(target.stat().st_size / 1e6))
    say(f"{target} is made ({size_mb} MB): the database of {made_at:%Y-%m-%d %H:%M:%S} UTC,")
    say(f"{sounds} files of sounds and {keys} of keys. It gives the passwords of the trunks away: keep it safe.")
    say("The settings (.env, the variables of the unit) are not in it. `python main.py restore` puts it back.")
    return 0


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _cannot(target: Path, exc: OSError) -> Invalid:
    folder = target.parent
    if not folder.is_dir():
        return Invalid(f"There is no folder {folder}; make it, or name another file.")
    free_mb = shutil.disk_usage(folder).free // 1_000_000
    what = exc.strerror or str(exc)
    return Invalid(f"{target} cannot be written ({what}; {free_mb} MB are free there); there is no backup.")

"""Files that hold a key: made once on first use, and readable for the service's system user only."""

import logging
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from secrets import token_hex

from autodialer.errors import SettingsError

logger = logging.getLogger(__name__)

OTHERS = 0o077
"""The rights of the group and of everyone else."""


def read_key_file(path: Path, make: Callable[[], bytes]) -> bytes:
    """What is in the file, which is made from `make` if it is missing; processes that start together read the same.

    Rights of other users are taken away. Raises SettingsError where that is not possible or the file cannot be read.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        _create(path, make())
    for each in (path.parent, path):
        _close_to_others(each)
    try:
        return path.read_bytes()
    except OSError as exc:
        raise SettingsError(
            f"{path} cannot be read ({exc.strerror}); give it to the user that the service runs as."
        ) from exc


def _close_to_others(path: Path) -> None:
    mode = path.stat().st_mode
    if os.name != "posix" or not mode & OTHERS:
        return
    try:
        path.chmod(mode & ~OTHERS & 0o7777)
    except OSError as exc:
        raise SettingsError(
            f"Other users of this machine may read {path}, and this user may not change that:"
            f" give it to the user that the service runs as, then `chmod go= {path}`."
        ) from exc
    logger.warning(
        "other users of this machine could read %s; now they cannot. If someone may have copied it, change the"
        " passwords of the trunks",
        path,
    )


def replace_key_file(path: Path, content: bytes, made_at: datetime) -> None:
    """Put a new key in the file's place; a reader gets the old one or the new one whole. `made_at` is its time there.

    Raises OSError.
    """
    draft = _write_draft(path, content)
    os.utime(draft, (made_at.timestamp(),) * 2)
    draft.replace(path)


def _create(path: Path, content: bytes) -> None:
    # Written in full under another name, then linked, not renamed: nobody ever reads half a key, and of two processes
    # that start at once the first one's key stays.
    draft = _write_draft(path, content)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _write_draft(path: Path, content: bytes) -> Path:
    draft = path.with_name(f"{path.name}.{os.getpid()}.{token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        # On the disk before anything is encrypted by it: a power loss must not leave passwords without their key.
        os.fsync(file.fileno())
    return draft

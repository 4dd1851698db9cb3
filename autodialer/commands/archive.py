"""The file of a backup: a tar with the database, the sounds and the keys, and at its end the checksums of all."""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from typing import IO, Any

from autodialer.errors import Conflict, Invalid

FORMAT = 1
ABOUT, DATABASE, SUMS = "backup.json", "db.sqlite3", "checksums.json"
"""First, any, and last member. A file that was cut short has no checksums."""
KEYS, SOUNDS = "keys", "sounds"
MOST_ABOUT = 1_000_000
MOST_SUMS = 100_000_000
"""Bytes."""
PIECE = 1_000_000
SQLITE = b"SQLite format 3\x00"
"""How a bare database begins, for example a copy that was kept before a migration."""


@dataclass(frozen=True, kw_only=True)
class About:
    """What a backup says about its making."""

    format: int
    made_at: str
    """RFC 3339, UTC: before the copy of the database began, so that every call it has not is later."""

    @property
    def time(self) -> datetime:
        """`made_at` as a time. Raises ValueError."""
        return datetime.fromisoformat(self.made_at)


class ArchiveWriter:
    """Puts files into a backup; made by `new_archive`."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self.sums: dict[str, str] = {}

    def add(self, path: Path, name: str) -> None:
        """Add a file under this name. Raises OSError. A file that shrinks meanwhile spoils the archive."""
        with path.open("rb") as file:
            member = tarfile.TarInfo(name)
            member.size, member.mode = os.fstat(file.fileno()).st_size, 0o600
            hashing = _Hashing(file)
            self._archive.addfile(member, hashing)
        self.sums[name] = hashing.hash.hexdigest()

    def add_json(self, value: Mapping[str, Any], name: str) -> None:
        """Add a JSON object."""
        data = json.dumps(value, indent=1).encode()
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(data), 0o600
        self._archive.addfile(member, io.BytesIO(data))


class _Hashing(io.RawIOBase):
    """A file that is hashed as it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.hash.update(data)
        return data


@contextmanager
def new_archive(file: Path, about: About) -> Iterator[ArchiveWriter]:
    """Write a backup, readable by its owner only; packed if the name ends with .gz or .tgz.

    It gets its name at the end, once it is on the disk. Raises Conflict when there is a file of that name; whatever is
    raised, no part of a backup is left.
    """
    _refuse_existing(file)
    draft = file.with_name(f".{file.name}.{token_hex(4)}.part")
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as out:
            packed = file.name.endswith((".gz", ".tgz"))
            # The least of gzip's levels: it packs nearly as well and takes a third of the processor, beside live calls.
            options: dict[str, Any] = {"mode": "w:gz", "compresslevel": 1} if packed else {"mode": "w"}
            with tarfile.open(fileobj=out, **options) as archive:
                writer = ArchiveWriter(archive)
                writer.add_json(asdict(about), ABOUT)
                yield writer
                writer.add_json(writer.sums, SUMS)
            out.flush()
            os.fsync(out.fileno())
        _name(draft, file)
    finally:
        draft.unlink(missing_ok=True)


def _name(draft: Path, file: Path) -> None:
    """Not by renaming, which would replace a file that came meanwhile; but some file systems cannot link."""
    try:
        os.link(draft, file)
    except FileExistsError:
        _refuse_existing(file)
    except OSError:
        _refuse_existing(file)
        draft.rename(file)


def _refuse_existing(file: Path) -> None:
    if file.exists():
        raise Conflict(f"{file} is there already; a backup replaces nothing, so give it another name.")


def unpack(file: Path, folder: Path) -> About:
    """Put what is in a backup into the empty folder; says what it is.

    Raises Invalid, which says what is wrong, when the file is no backup, or not a whole one.
    """
    try:
        with tarfile.open(file, "r:*") as archive:
            return _unpack(archive, file, folder)
    except (tarfile.TarError, EOFError, ValueError, KeyError, TypeError) as exc:
        raise Invalid(f"{file} is not a whole backup ({exc}); use another one.") from exc


def _unpack(archive: tarfile.TarFile, file: Path, folder: Path) -> About:
    first = archive.next()
    if first is None or first.name != ABOUT:
        raise ValueError("it does not begin as one")
    about = About(**json.loads(_read(archive, first, MOST_ABOUT)))
    if about.format != FORMAT:
        raise Invalid(f"{file} was made by a newer version of this service; restore it with that one.")
    _ = about.time
    sums: dict[str, str] = {}
    while (member := archive.next()) is not None and member.name != SUMS:
        # A person who may write the file could have put in `../../.ssh/authorized_keys`, or a link.
        if not member.isreg() or not _has_place(member.name) or member.name in sums:
            raise ValueError(f"{member.name!r} has no place in one")
        sums[member.name] = _extract(archive, member, folder / member.name)
    if member is None or json.loads(_read(archive, member, MOST_SUMS)) != sums or DATABASE not in sums:
        raise ValueError("it was cut short or changed")
    return about


def _has_place(name: str) -> bool:
    room, *parts = name.split("/")
    if not parts:
        return room == DATABASE
    return room in (KEYS, SOUNDS) and not any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts)


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, to: Path) -> str:
    to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = archive.extractfile(member)
    assert found is not None
    found_hash = hashlib.sha256()
    with os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        while piece := found.read(PIECE):
            found_hash.update(piece)
            out.write(piece)
        out.flush()
        os.fsync(out.fileno())
    return found_hash.hexdigest()


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo, most: int) -> bytes:
    found = archive.extractfile(member) if member.isreg() and member.size <= most else None
    if found is None:
        raise ValueError(f"{member.name!r} is not what it should be")
    return found.read()


def is_bare_database(file: Path) -> bool:
    """Whether it is a database by itself. Raises OSError."""
    with file.open("rb") as opened:
        return opened.read(len(SQLITE)) == SQLITE

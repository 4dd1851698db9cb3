"""A prototype's database found in place of ours: ours is made beside it, then takes its place; the old file is kept.

Killed at any moment, either the old file is in its place, and the next start begins again, or ours is, with everything
in it, and the old file is under its other name.
"""

import filecmp
import logging
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path

from sqlalchemy.engine import make_url

from autodialer.campaign.numbers import RAW
from autodialer.campaign.zones import ZoneFinder
from autodialer.config import Settings, sqlite_url
from autodialer.errors import Invalid, SettingsError, Unavailable
from autodialer.model import Callbase, Role, User
from autodialer.store import BATCH_ROWS, DEFAULT_ADMIN_LOGIN, NewSubscriber, RejectedRow, Secrets, Store, migrate
from autodialer.store.accounts.users import fold_login
from autodialer.store.migrations.prototype import holds_prototype
from autodialer.takeover.judging import OldUser, judge_subscriber, judge_user
from autodialer.takeover.old_database import CALLBASE, USERS, OldDatabase, Values, held

logger = logging.getLogger(__name__)

CALLBASE_NAME = "prototype"
KEPT = "-prototype"
"""In the name of the old file, before its ending."""
BESIDE = ("", "-wal", "-shm", "-journal")
MOST_DIGITS = 10
"""Of a row number, which our table keeps as an integer of 32 bits elsewhere than in SQLite."""
SHOWN = 10
"""Names in one sentence; the audit has all."""


@dataclass(kw_only=True)
class Takeover:
    """What was taken over."""

    kept: Path
    """The old file."""
    users: int = 0
    refused: list[str] = field(default_factory=list)
    """Sentences: which users were not taken over, and why."""
    notes: list[str] = field(default_factory=list)
    """Sentences: what a person should know or do."""
    callbase: Callbase | None = None
    """None: the old table had no rows."""
    admin: str = DEFAULT_ADMIN_LOGIN
    """Login of the administrator, who owns the callbase."""
    admin_password: str | None = field(default=None, repr=False)
    """Of an administrator who was made up, because no user of the prototype had the login; to be shown once."""

    def sentences(self) -> Iterator[str]:
        """All of it but the password, for the log and for a person."""
        yield f"The prototype's database was taken over: {self.users} users, {self._subscribers()}."
        yield (
            f"The old file is kept as {self.kept}. It holds passwords in clear text: delete it once nobody needs it."
        )
        yield f"The administrator is {self.admin}; PUT /srv1/users/{{id}} gives others the role."
        if self.refused:
            yield f"Not taken over: {_some(self.refused)}. Add them by POST /srv1/users."
        yield from self.notes

    def _subscribers(self) -> str:
        if self.callbase is None:
            return "no subscribers"
        made = self.callbase
        told = f"{made.imported} subscribers as the callbase {CALLBASE_NAME!r} of {self.admin}"
        told += f" ({made.duplicates} duplicates" + f", {made.rejected} rejected"
        return told + (f": see GET /srv1/callbases/{made.id}/rejected)" if made.rejected else ")")


def take_over(settings: Settings) -> Takeover | None:
    """Take a prototype's database over, if its file is in place of ours; None: it is not.

    Only for a service that has the data folder to itself. Raises Unavailable when the file is in use, SettingsError
    when it is damaged or cannot be moved; then nothing has been changed.
    """
    path = Path(make_url(settings.url).database or "").resolve()
    try:
        if not holds_prototype(path):
            return None
        logger.info("%s is a database of the prototype and is taken over", path)
        with held(path) as old:
            return _replace(path, old, settings)
    except sqlite3.OperationalError as exc:
        raise Unavailable(f"{path} cannot be read now ({exc}); stop what uses it, then start again.") from exc
    except OSError as exc:
        raise SettingsError(
            f"The prototype's database {path} cannot be taken over: {exc.strerror or exc}. Give this user the right "
            "to write to its folder, or make room there, then start again. Nothing has been changed."
        ) from exc


def _replace(path: Path, old: OldDatabase, settings: Settings) -> Takeover:
    draft = path.with_name(f"{path.name}.draft")
    _remove(draft)
    try:
        done = _fill(draft, old, settings, kept=path)
        _check_whole(draft)
        _flush(draft)
        done.kept = _keep(path)
        # Until here the old file is in its place, from here on ours is: there is no moment without either.
        os.replace(draft, path)
    except BaseException:
        _remove(draft)
        raise
    _flush(path.parent)
    for sentence in done.sentences():
        logger.info("%s", sentence)
    return done


def _fill(draft: Path, old: OldDatabase, settings: Settings, *, kept: Path) -> Takeover:
    url = sqlite_url(draft)
    migrate(url)
    done = Takeover(kept=kept)
    with closing(Store(url, secrets=Secrets(settings.keys), synchronous="FULL")) as store:
        if missing := old.missing():
            done.notes.append(f"The old file has no {', '.join(missing)}: what belongs there is missing.")
        admin = _take_users(store, old, settings, done)
        done.callbase = _take_subscribers(store, old, admin)
        if old.odd_texts:
            done.notes.append(
                f"Texts that were not UTF-8 and were read as Windows-1251: {old.odd_texts}. Look at them."
            )
        details = {"users": done.users, "not_taken_over": len(done.refused)}
        store.audit.append(admin.key, "prototype.taken_over", details=details)
    return done


def _take_users(store: Store, old: OldDatabase, settings: Settings, done: Takeover) -> User:
    """All users; the administrator."""
    done.admin = fold_login(settings.admin_login or DEFAULT_ADMIN_LOGIN)
    taken: dict[str, OldUser] = {}
    for number, row in old.rows(USERS):
        try:
            user = judge_user(row, set(taken))
        except Invalid as exc:
            _refuse_user(store, number, row, str(exc), done)
            continue
        taken[user.login] = user
        role = Role.ADMIN if user.login == done.admin else Role.USER
        store.users.create(login=user.login, password=user.password, name=user.name, role=role, comment=user.comment)
    done.users = len(taken)
    _note_passwords(list(taken.values()), done)
    done.admin_password = store.users.ensure_admin(settings.admin_login, settings.admin_password)
    admin = store.users.by_login(done.admin)
    assert admin is not None
    return admin


def _refuse_user(store: Store, number: int, row: Values, reason: str, done: Takeover) -> None:
    done.refused.append(f"user {row['uid'] or f'in row {number}'} ({row['login'] or 'no login'}): {reason}")
    details = {"uid": row["uid"], "row": number, "login": row["login"], "name": row["name"], "reason": reason}
    store.audit.append(None, "prototype.user_refused", details=details)


def _note_passwords(users: list[OldUser], done: Takeover) -> None:
    set_one = "`python main.py set-password LOGIN` sets one"
    for sentence, which in (
        (
            f"No log-in, because the old file has no password that can be sent ({set_one})",
            lambda user: not user.password,
        ),
        (f"Perhaps digests instead of passwords; if the log-in fails, {set_one}", lambda user: user.looks_digested),
        ("Passwords under 8 characters, to be changed", lambda user: user.is_weak),
    ):
        if found := [user.login for user in users if which(user)]:
            done.notes.append(f"{sentence}: {_some(found)}.")


def _take_subscribers(store: Store, old: OldDatabase, admin: User) -> Callbase | None:
    zones = ZoneFinder(store.numbering_plan.zones())
    callbase: Callbase | None = None
    rows, done = old.rows(CALLBASE), 0
    while batch := list(islice(rows, BATCH_ROWS)):
        callbase = callbase or store.callbases.create(admin.key, name=CALLBASE_NAME, region=RAW)
        good, bad = _judged(batch, zones)
        done += len(batch)
        store.callbases.add_batch(callbase.key, good, bad, rows=done, rows_done=done)
    return store.callbases.finish(callbase.key, rows=done) if callbase else None


def _judged(batch: list[tuple[int, Values]], zones: ZoneFinder) -> tuple[list[NewSubscriber], list[RejectedRow]]:
    good: list[NewSubscriber] = []
    bad: list[RejectedRow] = []
    for number, row in batch:
        try:
            good.append(judge_subscriber(row, zones))
        except Invalid as exc:
            bad.append(RejectedRow(row=_row_number(row["cid"], number), value=row["number"] or "", reason=str(exc)))
    return good, bad


def _row_number(cid: str | None, number: int) -> int:
    """The id in the old file, by which a person finds the row there; else its place."""
    return int(cid) if cid and cid.isascii() and cid.isdecimal() and len(cid) < MOST_DIGITS else number


def _keep(path: Path) -> Path:
    """Give the old file its other name as well. A takeover that was cut short may have done so already."""
    for number in count(1):
        kept = path.with_name(f"{path.stem}{KEPT}{f'-{number}' if number > 1 else ''}{path.suffix}")
        if kept.exists() and (kept.samefile(path) or filecmp.cmp(kept, path, shallow=False)):
            break
        try:
            os.link(path, kept)
        except FileExistsError:
            continue
        except OSError:
            # A file system without hard links.
            _copy(path, kept)
        break
    os.chmod(kept, 0o600)
    _flush(kept.parent)
    return kept


def _copy(path: Path, kept: Path) -> None:
    part = kept.with_name(f"{kept.name}.part")
    shutil.copyfile(path, part)
    _flush(part)
    os.replace(part, kept)


def _check_whole(draft: Path) -> None:
    """SQLite leaves its WAL behind when it cannot write that into the file, on a full disk for one."""
    wal = draft.with_name(f"{draft.name}-wal")
    if wal.exists() and wal.stat().st_size:
        raise Unavailable(f"{draft} cannot be written whole; make room on its disk, then start again.")


def _flush(path: Path) -> None:
    if os.name != "posix" and path.is_dir():
        return  # only POSIX opens a folder
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(draft: Path) -> None:
    for ending in BESIDE:
        draft.with_name(draft.name + ending).unlink(missing_ok=True)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more

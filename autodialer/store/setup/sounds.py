"""Sounds: what is known of them; the audio itself is in files."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypedDict, Unpack
from uuid import UUID

from sqlalchemy import insert, select, update

from autodialer.clock import Clock
from autodialer.errors import NotFound
from autodialer.model import Sound
from autodialer.store.campaigns.usage import refuse_while_in_use
from autodialer.store.setup.tables import sounds
from autodialer.store.sql.column_types import new_id
from autodialer.store.sql.engine import AnyRow, Database
from autodialer.store.sql.filtering import ALL, Narrowed, narrow
from autodialer.store.sql.owned import fetch_owned, not_deleted, owned_by
from autodialer.store.sql.paging import DEFAULT_LIMIT, Page, fetch_page

NO_WARNINGS: Mapping[str, str] = MappingProxyType({})


class Recording(TypedDict):
    """What is known of a recording; the meanings are those of autodialer.model.Sound."""

    duration_s: float
    peak_dbfs: float
    loudness_lufs: float | None
    gain_db: float | None
    sample_rate: int
    channels: int
    warnings: Mapping[str, str]
    path: str
    original_path: str


class Sounds:
    """The sounds."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create(
        self,
        owner_key: int,
        *,
        name: str,
        duration_s: float,
        peak_dbfs: float,
        loudness_lufs: float | None,
        gain_db: float | None = None,
        sample_rate: int,
        channels: int,
        path: str,
        original_path: str,
        warnings: Mapping[str, str] = NO_WARNINGS,
        sound_id: UUID | None = None,
    ) -> Sound:
        """A new sound whose files are in place; both paths are relative to the data folder.

        `sound_id` is the id that its files were named by (`new_id()`), None to have one made.
        """
        values = {
            "id": sound_id or new_id(),
            "owner_key": owner_key,
            "name": name,
            "duration_s": duration_s,
            "peak_dbfs": peak_dbfs,
            "loudness_lufs": loudness_lufs,
            "gain_db": gain_db,
            "sample_rate": sample_rate,
            "channels": channels,
            "path": path,
            "original_path": original_path,
            "warnings": warnings,
            "created_at": self._clock.utcnow(),
        }
        with self._database.write() as connection:
            return sound_from(connection.execute(insert(sounds).values(values).returning(*sounds.c)).one())

    def get(self, sound_id: UUID, owner_key: int | None) -> Sound:
        """Raises NotFound."""
        with self._database.read() as connection:
            return sound_from(fetch_owned(connection, sounds, sound_id, owner_key))

    def by_key(self, key: int) -> Sound:
        """A deleted one too. Raises NotFound."""
        found = self.by_keys([key])
        if not found:
            raise NotFound
        return found[key]

    def by_keys(self, keys: Iterable[int]) -> dict[int, Sound]:
        """Deleted ones too."""
        with self._database.read() as connection:
            rows = connection.execute(select(sounds).where(sounds.c.key.in_(list(keys)))).all()
        return {row.key: sound_from(row) for row in rows}

    def by_name(self, owner_key: int, name: str) -> Sound | None:
        """The newest sound of this user with the name; None without such a sound."""
        query = select(sounds).where(sounds.c.owner_key == owner_key, sounds.c.name == name, not_deleted(sounds))
        with self._database.read() as connection:
            row = connection.execute(query.order_by(sounds.c.key.desc()).limit(1)).one_or_none()
        return sound_from(row) if row is not None else None

    def page(
        self, owner_key: int | None, wanted: Narrowed = ALL, *, limit: int = DEFAULT_LIMIT, after: str | None = None
    ) -> Page[Sound]:
        """The sounds a user sees."""
        query = owned_by(select(sounds).where(not_deleted(sounds)), sounds, owner_key)
        query = narrow(query, sounds, wanted)
        with self._database.read() as connection:
            return fetch_page(connection, query, sounds.c.key, sound_from, limit=limit, after=after)

    def rename(self, sound_id: UUID, owner_key: int | None, name: str) -> Sound:
        """Give it another name. Raises NotFound."""
        return self._update(sound_id, owner_key, {"name": name})[1]

    def replace(self, sound_id: UUID, owner_key: int | None, **recording: Unpack[Recording]) -> tuple[Sound, Sound]:
        """Have another recording in its place, whose files are there; what it was, and what it is. Raises NotFound.

        Calls that begin afterwards play it. The files of the one before are the caller's to leave until no call can
        play them any more.
        """
        return self._update(sound_id, owner_key, dict(recording))

    def paths(self) -> set[str]:
        """The paths of all sounds that are not deleted."""
        with self._database.read() as connection:
            return set(connection.execute(select(sounds.c.path).where(not_deleted(sounds))).scalars())

    def _update(self, sound_id: UUID, owner_key: int | None, values: dict[str, Any]) -> tuple[Sound, Sound]:
        with self._database.write() as connection:
            row = fetch_owned(connection, sounds, sound_id, owner_key)
            changed = update(sounds).where(sounds.c.key == row.key).values(values).returning(*sounds.c)
            return sound_from(row), sound_from(connection.execute(changed).one())

    def delete(self, sound_id: UUID, owner_key: int | None) -> Sound:
        """It disappears; its files are the caller's to remove. Raises NotFound, Conflict."""
        with self._database.write() as connection:
            row = fetch_owned(connection, sounds, sound_id, owner_key)
            refuse_while_in_use(connection, sounds, row.key)
            connection.execute(update(sounds).where(sounds.c.key == row.key).values(deleted_at=self._clock.utcnow()))
        return sound_from(row)


def sound_from(row: AnyRow) -> Sound:
    """The value of a row of `sounds`."""
    return Sound(
        key=row.key,
        id=row.id,
        owner_key=row.owner_key,
        name=row.name,
        duration_s=row.duration_s,
        peak_dbfs=row.peak_dbfs,
        loudness_lufs=row.loudness_lufs,
        gain_db=row.gain_db,
        sample_rate=row.sample_rate,
        channels=row.channels,
        path=row.path,
        original_path=row.original_path,
        warnings=row.warnings,
        created_at=row.created_at,
    )

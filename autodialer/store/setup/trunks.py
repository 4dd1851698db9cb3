"""Trunks; their passwords are encrypted at rest."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, insert, select, update

from autodialer.clock import Clock
from autodialer.errors import NotFound, SettingsError
from autodialer.model import TRUNK_SETTINGS, ShownNumber, Trunk, TrunkSettings
from autodialer.store.campaigns.usage import needs_trunk, refuse_while_in_use
from autodialer.store.setup.tables import trunks
from autodialer.store.sql.column_types import EPOCH, new_id
from autodialer.store.sql.engine import AnyRow, Database
from autodialer.store.sql.filtering import ALL, Narrowed, narrow
from autodialer.store.sql.owned import fetch_owned, not_deleted, owned_by
from autodialer.store.sql.paging import DEFAULT_LIMIT, Page, fetch_page
from autodialer.store.sql.secrets import Secrets

_FIELDS = tuple(each.name for each in dataclasses.fields(Trunk) if each.name not in ("problem", "deleted"))
"""Each is a column of that name; what is wrong with a trunk is found when its row is read."""
_BY_KEYS = select(trunks).where(trunks.c.key.in_(bindparam("keys", expanding=True)))
UNREADABLE = (
    "The password of this trunk cannot be read: the key in the data folder is not the one it was stored with."
    " Enter the password again, or bring the key back."
)


def trunk_of(settings: TrunkSettings) -> Trunk:
    """The trunk that these settings would make, stored nowhere."""
    return Trunk(key=0, id=new_id(), owner_key=0, created_at=EPOCH, **_values(settings))


def _values(settings: TrunkSettings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in TRUNK_SETTINGS}


class Trunks:
    """The trunks."""

    def __init__(self, database: Database, secrets: Secrets, clock: Clock) -> None:
        self._database = database
        self._secrets = secrets
        self._clock = clock

    def create(self, owner_key: int, settings: TrunkSettings, *, hidden: bool = False) -> Trunk:
        """A new trunk with these settings."""
        trunk_id = new_id()
        values = self._to_columns(_values(settings), trunk_id)
        values |= {"id": trunk_id, "owner_key": owner_key, "hidden": hidden, "created_at": self._clock.utcnow()}
        with self._database.write() as connection:
            row = connection.execute(insert(trunks).values(values).returning(*trunks.c)).one()
        return self._trunk_from(row)

    def get(self, trunk_id: UUID, owner_key: int | None) -> Trunk:
        """Raises NotFound."""
        with self._database.read() as connection:
            return self._trunk_from(fetch_owned(connection, trunks, trunk_id, owner_key))

    def find_hidden(self, owner_key: int, settings: TrunkSettings) -> Trunk | None:
        """The hidden trunk of this user with the same host, port and login; None without such a trunk."""
        same = [trunks.c[name] == getattr(settings, name) for name in ("host", "port", "username")]
        query = select(trunks).where(trunks.c.owner_key == owner_key, trunks.c.hidden, not_deleted(trunks), *same)
        with self._database.read() as connection:
            row = connection.execute(query.order_by(trunks.c.key).limit(1)).one_or_none()
        return self._trunk_from(row) if row is not None else None

    def unneeded_hidden(self, owner_key: int, *, limit: int) -> list[Trunk]:
        """Some trunks of the user that no list shows and no campaign needs any more."""
        query = select(trunks).where(
            trunks.c.owner_key == owner_key, trunks.c.hidden, not_deleted(trunks), ~needs_trunk(trunks.c.key)
        )
        with self._database.read() as connection:
            return [self._trunk_from(row) for row in connection.execute(query.limit(limit))]

    def keys_to_register(self) -> set[int]:
        """Trunks that are to be registered whether anything is dialled over them or not."""
        query = select(trunks.c.key).where(trunks.c.register, not_deleted(trunks))
        with self._database.read() as connection:
            return set(connection.execute(query).scalars())

    def by_key(self, key: int) -> Trunk:
        """A deleted one too. Raises NotFound."""
        found = self.by_keys([key])
        if not found:
            raise NotFound
        return found[key]

    def by_keys(self, keys: Iterable[int]) -> dict[int, Trunk]:
        """Deleted ones too: a call may still be under way on it."""
        with self._database.read() as connection:
            rows = connection.execute(_BY_KEYS, {"keys": list(keys)}).all()
        return {row.key: self._trunk_from(row) for row in rows}

    def shown_numbers(self, keys: Iterable[int]) -> dict[int, tuple[str, Sequence[ShownNumber]]]:
        """Trunk -> its name, and the numbers that its provider lets it show; only trunks with such numbers."""
        query = select(trunks.c.key, trunks.c.name, trunks.c.caller_ids).where(
            trunks.c.key.in_(list(keys)), trunks.c.caller_ids.is_not(None)
        )
        with self._database.read() as connection:
            return {row.key: (row.name, row.caller_ids) for row in connection.execute(query)}

    def page(
        self, owner_key: int | None, wanted: Narrowed = ALL, *, limit: int = DEFAULT_LIMIT, after: str | None = None
    ) -> Page[Trunk]:
        """The trunks a user sees."""
        query = owned_by(select(trunks).where(not_deleted(trunks), ~trunks.c.hidden), trunks, owner_key)
        query = narrow(query, trunks, wanted)
        with self._database.read() as connection:
            return fetch_page(connection, query, trunks.c.key, self._trunk_from, limit=limit, after=after)

    def update(self, trunk_id: UUID, owner_key: int | None, settings: TrunkSettings) -> Trunk:
        """Take over these settings; calls under way keep what they began with. Raises NotFound."""
        with self._database.write() as connection:
            row = fetch_owned(connection, trunks, trunk_id, owner_key)
            before, after = _values(self._trunk_from(row)), _values(settings)
            # Only what differs: a password that cannot be read now must not be overwritten by the one it seems to be.
            changed = {name: value for name, value in after.items() if value != before[name]}
            if changed:
                values = self._to_columns(changed, trunk_id)
                connection.execute(update(trunks).where(trunks.c.key == row.key).values(values))
            return self._trunk_from(connection.execute(select(trunks).where(trunks.c.key == row.key)).one())

    def delete(self, trunk_id: UUID, owner_key: int | None) -> None:
        """It disappears with its password; calls that went through it keep its name. Raises NotFound, Conflict."""
        with self._database.write() as connection:
            row = fetch_owned(connection, trunks, trunk_id, owner_key)
            refuse_while_in_use(connection, trunks, row.key)
            gone = {"deleted_at": self._clock.utcnow(), "password": None}
            connection.execute(update(trunks).where(trunks.c.key == row.key).values(gone))

    def _to_columns(self, fields: Mapping[str, Any], trunk_id: UUID) -> dict[str, Any]:
        values = dict(fields)
        if "password" in values:
            values["password"] = self._secrets.encrypt(values["password"] or "", context=trunk_id.bytes)
        for name in ("codecs", "allowed_countries", "allowed_special"):
            if values.get(name) is not None:
                values[name] = ",".join(values[name])
        if "extra_headers" in values:
            values["extra_headers"] = "\n".join(values["extra_headers"])
        return values

    def _trunk_from(self, row: AnyRow) -> Trunk:
        values = {name: row._mapping[name] for name in _FIELDS}
        values["password"], values["problem"] = self._password(row)
        values["codecs"] = tuple(row.codecs.split(","))
        listed = row.allowed_countries
        values["allowed_countries"] = None if listed is None else tuple(filter(None, listed.split(",")))
        values["allowed_special"] = tuple(filter(None, row.allowed_special.split(",")))
        values["deleted"] = row.deleted_at is not None
        # Without its password it could only fail to register; what it had was taken back when it was deleted.
        values["register"] = row.register and not values["deleted"]
        values["extra_headers"] = tuple(row.extra_headers.splitlines())
        return Trunk(**values)

    def _password(self, row: AnyRow) -> tuple[str, str | None]:
        """The password, and why it is missing: an unreadable password is this trunk's problem, not all the others'."""
        try:
            return self._secrets.decrypt(row.password, context=row.id.bytes), None
        except SettingsError:
            return "", UNREADABLE

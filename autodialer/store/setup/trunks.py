"""Trunks; their passwords are encrypted at rest."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict, Unpack
from uuid import UUID

from sqlalchemy import bindparam, insert, select, update

from autodialer.clock import Clock
from autodialer.errors import NotFound, SettingsError
from autodialer.model import Trunk
from autodialer.store.setup.tables import trunks
from autodialer.store.sql.column_types import EPOCH, new_id
from autodialer.store.sql.engine import AnyRow, Database
from autodialer.store.sql.owned import fetch_owned, not_deleted, owned_by, refuse_while_in_use
from autodialer.store.sql.paging import DEFAULT_LIMIT, Page, fetch_page
from autodialer.store.sql.secrets import Secrets


class TrunkFields(TypedDict, total=False):
    """What a user says of a trunk; the meanings are those of autodialer.model.Trunk."""

    name: str
    host: str
    port: int | None
    transport: str
    username: str
    password: str
    auth_username: str | None
    domain: str | None
    caller_id: str | None
    number_format: str
    max_channels: int
    cps: float
    codecs: Sequence[str]
    ca_file: str | None
    outbound_proxy: str | None
    register: bool
    caller_id_header: str
    media_ports: str
    symmetric_rtp: bool
    stun_server: str | None
    price_per_min: float | None


DEFAULTS: TrunkFields = {
    "port": None,
    "transport": "udp",
    "username": "",
    "password": "",
    "auth_username": None,
    "domain": None,
    "caller_id": None,
    "number_format": "{e164}",
    "max_channels": 10,
    "cps": 1.0,
    "codecs": ("PCMA", "PCMU"),
    "ca_file": None,
    "outbound_proxy": None,
    "register": False,
    "caller_id_header": "from",
    "media_ports": "per_call",
    "symmetric_rtp": True,
    "stun_server": None,
    "price_per_min": None,
}
"""Everything but name and host has one."""
_BY_KEYS = select(trunks).where(trunks.c.key.in_(bindparam("keys", expanding=True)))
UNREADABLE = (
    "The password of this trunk cannot be read: the key in the data folder is not the one it was stored with."
    " Enter the password again, or bring the key back."
)


def trunk_of(fields: Mapping[str, Any]) -> Trunk:
    """The trunk that these fields would make, stored nowhere."""
    values = {**DEFAULTS, **fields}
    return Trunk(key=0, id=new_id(), owner_key=0, created_at=EPOCH, **{**values, "codecs": tuple(values["codecs"])})


class Trunks:
    """The trunks."""

    def __init__(self, database: Database, secrets: Secrets, clock: Clock) -> None:
        self._database = database
        self._secrets = secrets
        self._clock = clock

    def create(self, owner_key: int, *, hidden: bool = False, **fields: Unpack[TrunkFields]) -> Trunk:
        """A new trunk; `name` and `host` must be given."""
        trunk_id = new_id()
        values = self._to_columns({**DEFAULTS, **fields}, trunk_id)
        values |= {"id": trunk_id, "owner_key": owner_key, "hidden": hidden, "created_at": self._clock.utcnow()}
        with self._database.write() as connection:
            row = connection.execute(insert(trunks).values(values).returning(*trunks.c)).one()
        return self._trunk_from(row)

    def get(self, trunk_id: UUID, owner_key: int | None) -> Trunk:
        """Raises NotFound."""
        with self._database.read() as connection:
            return self._trunk_from(fetch_owned(connection, trunks, trunk_id, owner_key))

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

    def page(self, owner_key: int | None, *, limit: int = DEFAULT_LIMIT, after: str | None = None) -> Page[Trunk]:
        """The trunks a user sees."""
        query = owned_by(select(trunks).where(not_deleted(trunks), ~trunks.c.hidden), trunks, owner_key)
        with self._database.read() as connection:
            return fetch_page(connection, query, trunks.c.key, self._trunk_from, limit=limit, after=after)

    def update(self, trunk_id: UUID, owner_key: int | None, **fields: Unpack[TrunkFields]) -> Trunk:
        """Change what is given; calls under way keep what they began with. Raises NotFound."""
        with self._database.write() as connection:
            row = fetch_owned(connection, trunks, trunk_id, owner_key)
            if fields:
                values = self._to_columns(fields, trunk_id)
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
        if "codecs" in values:
            values["codecs"] = ",".join(values["codecs"])
        return values

    def _trunk_from(self, row: AnyRow) -> Trunk:
        password, problem = self._password(row)
        return Trunk(
            key=row.key,
            id=row.id,
            owner_key=row.owner_key,
            name=row.name,
            host=row.host,
            port=row.port,
            transport=row.transport,
            username=row.username,
            password=password,
            problem=problem,
            auth_username=row.auth_username,
            domain=row.domain,
            caller_id=row.caller_id,
            number_format=row.number_format,
            max_channels=row.max_channels,
            cps=row.cps,
            codecs=tuple(row.codecs.split(",")),
            ca_file=row.ca_file,
            outbound_proxy=row.outbound_proxy,
            register=row.register,
            caller_id_header=row.caller_id_header,
            media_ports=row.media_ports,
            symmetric_rtp=row.symmetric_rtp,
            price_per_min=row.price_per_min,
            stun_server=row.stun_server,
            hidden=row.hidden,
            created_at=row.created_at,
        )

    def _password(self, row: AnyRow) -> tuple[str, str | None]:
        """And why there is none: a password that cannot be read is this trunk's problem, not that of all the others."""
        try:
            return self._secrets.decrypt(row.password, context=row.id.bytes), None
        except SettingsError:
            return "", UNREADABLE

"""Files of numbers that are not to be called: how far each import is, and the rows that were not understood."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, insert, select, update

from autodialer.clock import Clock
from autodialer.errors import Conflict, NotFound
from autodialer.store.accounts.idempotency import forget_making, making_of
from autodialer.store.accounts.tables import idempotency_keys
from autodialer.store.setup.callbases import RejectedRow, by_reason
from autodialer.store.setup.dnc import row_of
from autodialer.store.setup.tables import dnc, dnc_imports, dnc_rejected_rows
from autodialer.store.sql.batches import BATCH_ROWS
from autodialer.store.sql.column_types import new_id
from autodialer.store.sql.engine import AnyRow, Database, insert_into
from autodialer.store.sql.owned import owned_by
from autodialer.store.sql.paging import DEFAULT_LIMIT, Page, fetch_page
from autodialer.store.sql.transitions import CallbaseState, is_one_of

SERVICE_STOPPED = "The service stopped during the import; upload the file again. What was imported stays on the list."
IMPORT_OVER = "The import was deleted, or has ended."


@dataclass(frozen=True, kw_only=True)
class DncImport:
    """One uploaded file. What it brought is on the list from the moment its rows are done."""

    key: int
    id: UUID
    owner_key: int
    file: str
    """Its name; the entries' source is `import:` and this."""
    region: str
    for_everybody: bool
    state: str
    """importing, ready or failed."""
    rows: int
    rows_done: int
    imported: int
    duplicates: int
    """On the list already, or twice in the file."""
    rejected: int
    error: str | None
    created_at: datetime
    reading: Mapping[str, Any]
    """How the file was read, as of a callbase; empty: before that was kept."""


class DncImports:
    """The imports."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create(
        self,
        owner_key: int,
        *,
        file: str,
        region: str,
        for_everybody: bool = False,
        reading: Mapping[str, Any] | None = None,
    ) -> DncImport:
        """A new import in state `importing`; `reading` is how its file is read."""
        values: dict[str, Any] = {"id": new_id(), "owner_key": owner_key, "file": file, "region": region}
        values |= {"for_everybody": for_everybody, "created_at": self._clock.utcnow(), "reading": reading}
        with self._database.write() as connection:
            made = insert(dnc_imports).values(values).returning(*dnc_imports.c)
            return _import_from(connection.execute(made).one())

    def get(self, import_id: UUID, owner_key: int | None) -> DncImport:
        """Raises NotFound."""
        with self._database.read() as connection:
            return _import_from(_fetch(connection, import_id, owner_key))

    def by_key(self, key: int) -> DncImport:
        """Raises NotFound."""
        with self._database.read() as connection:
            row = connection.execute(select(dnc_imports).where(dnc_imports.c.key == key)).one_or_none()
        if row is None:
            raise NotFound
        return _import_from(row)

    def page(self, owner_key: int | None, *, limit: int = DEFAULT_LIMIT, after: str | None = None) -> Page[DncImport]:
        """The imports of a user; everybody's for an admin."""
        with self._database.read() as connection:
            query = owned_by(select(dnc_imports), dnc_imports, owner_key)
            return fetch_page(connection, query, dnc_imports.c.key, _import_from, limit=limit, after=after)

    def with_rejects(self, owner_key: int, *, limit: int) -> list[DncImport]:
        """The last imports that hold for this user's campaigns and have rows which could not be read."""
        holds = (dnc_imports.c.owner_key == owner_key) | dnc_imports.c.for_everybody
        query = select(dnc_imports).where(holds, dnc_imports.c.rejected > 0).order_by(dnc_imports.c.key.desc())
        over = is_one_of(dnc_imports.c.state, CallbaseState.READY)
        with self._database.read() as connection:
            return [_import_from(row) for row in connection.execute(query.where(over).limit(limit))]

    def add_batch(self, into: DncImport, numbers: Sequence[str], rejected: Sequence[RejectedRow], *, rows: int) -> None:
        """Enter at most 500 numbers, and keep the rows that were none; `rows` are done by now.

        Raises Conflict when the import has been deleted meanwhile, which ends it.
        """
        if max(len(numbers), len(rejected)) > BATCH_ROWS:
            raise ValueError(f"at most {BATCH_ROWS} rows a transaction")
        source, now = f"import:{into.file}", self._clock.utcnow()
        entries = [
            row_of(into.owner_key, number, source=source, at=now, for_everybody=into.for_everybody)
            for number in numbers
        ]
        told = [{"import_key": into.key, **row.as_row()} for row in rejected]
        with self._database.write() as connection:
            statement = insert_into(self._database.dialect, dnc).on_conflict_do_nothing()
            new = connection.execute(statement, entries).rowcount if entries else 0
            counts = {
                "imported": dnc_imports.c.imported + new,
                "duplicates": dnc_imports.c.duplicates + len(entries) - new,
                "rejected": dnc_imports.c.rejected + len(told),
            }
            _change(connection, into.key, {**counts, "rows": rows, "rows_done": rows})
            if told:
                connection.execute(insert(dnc_rejected_rows), told)

    def finish(self, into: DncImport) -> None:
        """All rows are done. Raises Conflict as `add_batch`."""
        with self._database.write() as connection:
            _change(connection, into.key, {"state": CallbaseState.READY.value})

    def fail(self, into: DncImport, error: str) -> None:
        """It ends here; what it has brought stays. Raises Conflict as `add_batch`."""
        with self._database.write() as connection:
            _change(connection, into.key, {"state": CallbaseState.FAILED.value, "error": error})

    def fail_unfinished(self) -> int:
        """At the start of the process that imports: imports that died with the one before have failed; how many."""
        failed = update(dnc_imports).where(is_one_of(dnc_imports.c.state, CallbaseState.IMPORTING))
        with self._database.write() as connection:
            return connection.execute(failed.values(state=CallbaseState.FAILED.value, error=SERVICE_STOPPED)).rowcount

    def delete(self, import_id: UUID, owner_key: int | None) -> None:
        """Forget an import with its rejected rows, and end it; the numbers that it brought stay. Raises NotFound.

        Its idempotency key goes with it, so that the same file sent again is read again.
        """
        with self._database.write() as connection:
            key = _fetch(connection, import_id, owner_key).key
            connection.execute(delete(dnc_rejected_rows).where(dnc_rejected_rows.c.import_key == key))
            connection.execute(delete(idempotency_keys).where(idempotency_keys.c.response_id == import_id))
            connection.execute(delete(dnc_imports).where(dnc_imports.c.key == key))

    def discard(self, import_id: UUID) -> None:
        """As if it had never been uploaded, but for the numbers it has brought; for a file that is refused after all.

        Raises NotFound.
        """
        with self._database.read() as connection:
            audit_keys = making_of(connection, import_id)
        with self._database.write() as connection:
            forget_making(connection, import_id, audit_keys)
            self.delete(import_id, None)

    def rejected(
        self, import_id: UUID, owner_key: int | None, *, limit: int = DEFAULT_LIMIT, after: str | None = None
    ) -> Page[RejectedRow]:
        """The rows that were not understood, in the order of the file. Raises NotFound."""
        with self._database.read() as connection:
            key = _fetch(connection, import_id, owner_key).key
            query = select(dnc_rejected_rows).where(dnc_rejected_rows.c.import_key == key)
            return fetch_page(connection, query, dnc_rejected_rows.c.key, _rejected_from, limit=limit, after=after)

    def rejected_by_reason(self, import_id: UUID, owner_key: int | None) -> list[RejectedRow]:
        """As of a callbase. Raises NotFound."""
        with self._database.read() as connection:
            key = _fetch(connection, import_id, owner_key).key
            return by_reason(connection, dnc_rejected_rows, dnc_rejected_rows.c.import_key == key)


def _fetch(connection: Connection, import_id: UUID, owner_key: int | None) -> AnyRow:
    query = owned_by(select(dnc_imports).where(dnc_imports.c.id == import_id), dnc_imports, owner_key)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound
    return row


def _change(connection: Connection, key: int, values: Mapping[str, Any]) -> None:
    under_way = (dnc_imports.c.key == key) & is_one_of(dnc_imports.c.state, CallbaseState.IMPORTING)
    if connection.execute(update(dnc_imports).where(under_way).values(values)).rowcount == 0:
        raise Conflict(IMPORT_OVER)


def _import_from(row: AnyRow) -> DncImport:
    return DncImport(**row._asdict())


def _rejected_from(row: AnyRow) -> RejectedRow:
    return RejectedRow(row=row.row, value=row.value, reason=row.reason, column=row.column_name)

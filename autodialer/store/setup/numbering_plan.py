"""The numbering plan of Russia: files of it are imported one by one, and for each code the last one counts."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Delete, and_, delete, func, insert, or_, select

from autodialer.clock import Clock
from autodialer.errors import Conflict
from autodialer.store.setup.tables import numbering_codes, numbering_files, numbering_ranges
from autodialer.store.sql.batches import BATCH_ROWS, PAUSE_S
from autodialer.store.sql.engine import Database, insert_into

NUMBERS_OF_A_CODE = 10_000_000
DISTURBED = "Another file of the numbering plan was imported at the same time; import this one again."

_counts = and_(
    numbering_codes.c.file_key == numbering_ranges.c.file_key, numbering_codes.c.code == numbering_ranges.c.code
)


@dataclass(frozen=True, kw_only=True)
class NumberRange:
    """Numbers that were allotted to one operator in one region."""

    code: int
    """First three digits of the national number."""
    first: int
    """Of the seven digits behind the code."""
    last: int
    operator: str
    region: str
    """As the file spells it."""
    zone: str | None
    """IANA name; None: the region is unknown or has several."""


class ZoneRange(NamedTuple):
    """Neighbouring numbers of one time zone."""

    first: int
    """National number of ten digits."""
    last: int
    zone: str


@dataclass(frozen=True, kw_only=True)
class PlanFile:
    """An imported file of which something still counts."""

    file: str
    imported_at: datetime
    codes: int
    """How many codes the plan has from it."""


class NumberingPlan:
    """The plan."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def take(self, file: str, ranges: Sequence[NumberRange]) -> None:
        """From now on the ranges count for their codes; other codes stay as they are.

        All codes change at once, at the end. Raises Conflict when another file came in between.
        """
        key = self._write(file, ranges)
        codes = [{"code": code, "file_key": key} for code in sorted({part.code for part in ranges})]
        statement = insert_into(self._database.dialect, numbering_codes)
        statement = statement.on_conflict_do_update(
            index_elements=["code"], set_={"file_key": statement.excluded.file_key}
        )
        with self._database.write() as connection:
            written = select(func.count()).where(numbering_ranges.c.file_key == key)
            if connection.execute(written).scalar_one() != len(ranges):
                raise Conflict(DISTURBED)
            if codes:
                connection.execute(statement, codes)
        self._clear()

    def zones(self) -> list[ZoneRange]:
        """All numbers whose zone the plan knows, in rising order; neighbours of one zone are one."""
        table = numbering_ranges
        query = (
            select(table.c.code, table.c.first, table.c.last, table.c.zone)
            .join(numbering_codes, _counts)
            .where(table.c.zone.is_not(None))
            .order_by(table.c.code, table.c.first)
        )
        found: list[ZoneRange] = []
        with self._database.read() as connection:
            for code, first, last, zone in connection.execute(query):
                start, end = code * NUMBERS_OF_A_CODE + first, code * NUMBERS_OF_A_CODE + last
                if found and found[-1].zone == zone and found[-1].last + 1 == start:
                    start = found.pop().first
                found.append(ZoneRange(start, end, zone))
        return found

    def files(self) -> list[PlanFile]:
        """What the plan is made of, in the order of the imports."""
        query = (
            select(numbering_files.c.file, numbering_files.c.imported_at, func.count().label("codes"))
            .join(numbering_codes)
            .group_by(numbering_files.c.key, numbering_files.c.file, numbering_files.c.imported_at)
            .order_by(numbering_files.c.key)
        )
        with self._database.read() as connection:
            return [PlanFile(**row._asdict()) for row in connection.execute(query)]

    def _write(self, file: str, ranges: Sequence[NumberRange]) -> int:
        """Rows that nobody reads yet."""
        with self._database.write() as connection:
            made = insert(numbering_files).values(file=file, imported_at=self._clock.utcnow())
            key = int(connection.execute(made.returning(numbering_files.c.key)).scalar_one())
        for start in range(0, len(ranges), BATCH_ROWS):
            rows = [{"file_key": key, **vars(part)} for part in ranges[start : start + BATCH_ROWS]]
            with self._database.write() as connection:
                if connection.execute(select(numbering_files).where(numbering_files.c.key == key)).first() is None:
                    raise Conflict(DISTURBED)
                connection.execute(insert(numbering_ranges), rows)
            time.sleep(PAUSE_S)
        return key

    def _clear(self) -> None:
        """Remove what no longer counts, also what a broken import left behind."""
        table = numbering_ranges
        stale = select(table.c.file_key, table.c.code).distinct().outerjoin(numbering_codes, _counts)
        with self._database.read() as connection:
            pairs = connection.execute(stale.where(numbering_codes.c.code.is_(None))).all()
        for file_key, code in pairs:
            of_pair = and_(table.c.file_key == file_key, table.c.code == code)
            some = select(table.c.first).where(of_pair).limit(BATCH_ROWS).scalar_subquery()
            self._delete_all(delete(table).where(of_pair, table.c.first.in_(some)))
        needed = or_(
            numbering_files.c.key.in_(select(numbering_codes.c.file_key)),
            select(table.c.code).where(table.c.file_key == numbering_files.c.key).exists(),
        )
        with self._database.write() as connection:
            connection.execute(delete(numbering_files).where(~needed))

    def _delete_all(self, some: Delete) -> None:
        while True:
            with self._database.write() as connection:
                deleted = connection.execute(some).rowcount
            if deleted < BATCH_ROWS:
                return
            time.sleep(PAUSE_S)

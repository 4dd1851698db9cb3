"""Statements that are compiled once for the driver."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from autodialer.store.queue.tables import call_jobs
from autodialer.store.sql.column_types import new_id
from autodialer.store.sql.prepared import Compiled, Prepared
from tests.store.world import World

AT = datetime(2026, 3, 2, 9, 0, 0, 125000, tzinfo=UTC)
MOVE = (
    update(call_jobs)
    .where(call_jobs.c.key == bindparam("of_job"))
    .values(state="queued", call_id=bindparam("id"), not_before=bindparam("due"))
)
ROW = {"of_job": 7, "id": UUID(int=5), "due": AT}
TURNED = {"of_job": 7, "id": UUID(int=5).bytes, "due": 1772442000125, "state": "queued"}


def test_a_row_is_turned_as_its_columns_ask_and_put_in_the_order_of_the_text() -> None:
    made = Compiled(MOVE, None, sqlite.dialect(paramstyle="qmark"))
    assert made.text.count("?") == 4
    assert [bytes(value) if isinstance(value, memoryview) else value for value in made.parameters(ROW)] == [
        TURNED["id"],
        TURNED["state"],
        TURNED["due"],
        TURNED["of_job"],
    ]


def test_a_driver_that_takes_parameters_by_name_gets_names() -> None:
    made = Compiled(MOVE, None, postgresql.dialect())
    assert made.parameters(ROW) == TURNED
    assert all(f"%({name})s" in made.text for name in TURNED)


def test_a_row_without_one_of_the_parameters_is_refused() -> None:
    made = Compiled(MOVE, None, sqlite.dialect(paramstyle="qmark"))
    with pytest.raises(KeyError, match="due"):
        made.parameters({"of_job": 7, "id": UUID(int=5)})


def test_many_rows_change_each_by_its_own_parameters(world: World) -> None:
    jobs = world.claim(world.running(3))
    move = Prepared(MOVE)
    ids = {job.key: new_id() for job in jobs}
    with world.store._database.write() as connection:
        move.execute(connection, [{"of_job": key, "id": call_id, "due": AT} for key, call_id in ids.items()])
        rows = connection.execute(select(call_jobs.c.key, call_jobs.c.call_id, call_jobs.c.not_before)).all()
    assert {row.key: row.call_id for row in rows} == ids
    assert {row.not_before for row in rows} == {AT}

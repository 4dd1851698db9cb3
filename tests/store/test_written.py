"""What the database writes is what the values themselves look like."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, create_engine, insert, select

from autodialer.api.present import time
from autodialer.store.sql.column_types import JsonObject, PublicId, UtcTime
from autodialer.store.sql.written import written

METADATA = MetaData()
TABLE = Table(
    "some",
    METADATA,
    Column("key", Integer, primary_key=True),
    Column("id", PublicId),
    Column("at", UtcTime),
    Column("extra", JsonObject),
)
LATEST = 4_102_444_800_000
"""2100, in milliseconds."""


@given(
    st.lists(
        st.tuples(st.none() | st.uuids(), st.none() | st.integers(-LATEST, LATEST)),
        min_size=1,
        max_size=30,
    )
)
def test_ids_and_times_are_written_as_the_api_shows_them(rows: list[tuple[UUID | None, int | None]]) -> None:
    engine = create_engine("sqlite://")
    METADATA.create_all(engine)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    values = [
        {"id": one, "at": None if ms is None else epoch + timedelta(milliseconds=ms), "extra": {"a": "b"}}
        for one, ms in rows
    ]
    with engine.begin() as connection:
        connection.execute(insert(TABLE), values)
        found = connection.execute(select(*map(written, TABLE.c)).order_by(TABLE.c.key)).all()
        plain = connection.execute(select(TABLE.c.id, TABLE.c.at).order_by(TABLE.c.key)).all()
    engine.dispose()
    shown = [(value["id"] and str(value["id"]), time(value["at"]), '{"a":"b"}') for value in values]  # type: ignore[arg-type]
    assert [tuple(row)[1:] for row in found] == shown
    assert [tuple(row) for row in plain] == [(value["id"], value["at"]) for value in values]

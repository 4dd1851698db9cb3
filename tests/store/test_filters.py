"""How lists are looked for: by an index, whatever they are narrowed down by."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event

from autodialer.store import CallsWanted, Narrowed
from tests.store.world import NOW, World

SPAN = Narrowed(since=NOW, until=NOW)
PART = Narrowed(part="x")
BIG = ("calls", "subscribers", "audit", "call_jobs", "campaign_subscribers")
"""Tables that may have a million rows."""


@contextmanager
def statements(world: World) -> Iterator[list[tuple[str, Any]]]:
    """What is asked of the database meanwhile."""
    found: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT"):
            found.append((statement, parameters))

    engine = world.store._database._engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", note)


def walks(world: World, ask: Callable[[World], object]) -> list[str]:
    """The steps in which a whole big table is read, not in the order of its key and up to a limit."""
    with statements(world) as asked:
        ask(world)
    assert asked
    found = []
    with world.store._database.read() as connection:
        for statement, parameters in asked:
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters):
                if re.match(rf"SCAN ({'|'.join(BIG)})\b(?! USING)", row[3]):
                    found.append(f"{row[3]}: {statement}")
    return found


def calls(wanted: CallsWanted) -> Callable[[World], object]:
    return lambda world: world.store.calls.page_of_owner(world.user.key, wanted=wanted)


LISTS: dict[str, Callable[[World], object]] = {
    "calls": calls(CallsWanted()),
    "calls by number": calls(CallsWanted(number="+79160000001")),
    "calls by time": calls(CallsWanted(narrowed=SPAN)),
    "calls by part": calls(CallsWanted(narrowed=PART)),
    "calls by disposition": calls(CallsWanted(dispositions=["busy", "failed"])),
    "everybody's calls": lambda world: world.store.calls.page_of_owner(None),
    "calls of a campaign by number": lambda world: world.store.calls.page(1, wanted=CallsWanted(number="+7916")),
    "calls of a campaign by time": lambda world: world.store.calls.page(1, wanted=CallsWanted(narrowed=SPAN)),
    "calls of a campaign by disposition": lambda world: world.store.calls.page(
        1, wanted=CallsWanted(dispositions=["busy"])
    ),
    "a person": lambda world: world.store.subscribers.by_number("+79160000001", world.user.key),
    "a person among everybody's": lambda world: world.store.subscribers.by_number("+79160000001", None),
    "audit of a user": lambda world: world.store.audit.page(login="admin"),
    "audit of an action": lambda world: world.store.audit.page(action="campaigns.start"),
    "audit of a time": lambda world: world.store.audit.page(SPAN),
}


@pytest.mark.parametrize("name", LISTS)
def test_no_list_reads_a_big_table_through(world: World, name: str) -> None:
    assert walks(world, LISTS[name]) == []


def test_subscribers_of_a_callbase_are_found_by_their_number_with_an_index(world: World) -> None:
    callbase = world.callbase(3)
    for more in ({}, {"number": "+79160000001"}, {"part": "x"}):
        assert walks(world, lambda w, more=more: w.store.subscribers.page(callbase.id, w.user.key, **more)) == []  # type: ignore[misc]

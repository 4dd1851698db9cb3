"""Traces on their way to the database: once a second, and never in the way of a call."""

import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from autodialer.phone.trace import CallTrace
from autodialer.phone.trace_outbox import MOST_WAITING, PRUNE_S, REFUSED_PAUSE_S, TraceOutbox
from autodialer.store import Store, new_id
from tests.databases import cheap_secrets, make_database


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path / 'db.sqlite3'}"
    make_database(url)
    opened = Store(url, secrets=cheap_secrets(tmp_path / "keys"), busy_timeout_s=0.02)
    yield opened
    opened.close()


def put(outbox: TraceOutbox, count: int = 1) -> list[CallTrace]:
    made = [CallTrace(call_id=new_id(), packed=b"%d" % number) for number in range(count)]
    for trace in made:
        outbox.put(trace)
    return made


def kept(store: Store, made: list[CallTrace]) -> int:
    return sum(store.traces.read(trace.call_id) is not None for trace in made)


def test_traces_are_written_at_most_once_a_second(store: Store) -> None:
    outbox = TraceOutbox(store.traces, keep=100, days=7)
    first = put(outbox, 3)
    outbox.write_due(50.0)
    second = put(outbox, 2)
    outbox.write_due(50.9)
    assert (kept(store, first), kept(store, second)) == (3, 0)
    outbox.write_due(51.0)
    assert kept(store, second) == 2


def test_the_last_are_written_without_waiting(store: Store) -> None:
    outbox = TraceOutbox(store.traces, keep=100, days=7)
    outbox.write_due(50.0)
    made = put(outbox)
    outbox.write_last()
    assert kept(store, made) == 1


def test_a_locked_database_costs_the_traces_of_that_time_and_says_how_many(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = TraceOutbox(store.traces, keep=100, days=7)
    other = sqlite3.connect(tmp_path / "db.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    lost = put(outbox, 3)
    with caplog.at_level(logging.WARNING, "autodialer.phone.trace_outbox"):
        outbox.write_due(50.0)
    assert "messages of 3 calls could not be kept, 3 in all" in caplog.text
    late = put(outbox)
    outbox.write_due(50.0 + REFUSED_PAUSE_S / 2)
    outbox.write_last()
    other.execute("ROLLBACK")
    other.close()
    assert outbox.dropped == 4
    good = put(outbox)
    outbox.write_due(50.0 + REFUSED_PAUSE_S)
    assert (kept(store, lost), kept(store, late), kept(store, good)) == (0, 0, 1)


def test_no_more_wait_than_fit(store: Store) -> None:
    outbox = TraceOutbox(store.traces, keep=10 * MOST_WAITING, days=7)
    made = put(outbox, MOST_WAITING + 5)
    outbox.write_due(50.0)
    assert (kept(store, made), outbox.dropped) == (MOST_WAITING, 5)


def test_what_is_kept_is_bounded_also_where_no_call_is_made(store: Store) -> None:
    made = put(earlier := TraceOutbox(store.traces, keep=5000, days=7), 1500)
    earlier.write_last()
    outbox = TraceOutbox(store.traces, keep=10, days=7)
    outbox.write_due(50.0)
    assert kept(store, made) == 500
    outbox.write_due(51.0)
    assert kept(store, made) == 10
    lowered = TraceOutbox(store.traces, keep=0, days=7)
    lowered.write_due(50.0)
    assert kept(store, made) == 0
    again = put(earlier, 1)
    earlier.write_last()
    lowered.write_due(50.0 + PRUNE_S - 1)
    assert kept(store, again) == 1
    lowered.write_due(50.0 + PRUNE_S)
    assert kept(store, again) == 0

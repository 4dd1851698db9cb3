"""Traces in the store: written in batches, the latest win, bounded by number and by age."""

from datetime import timedelta
from uuid import UUID

import pytest

from autodialer.store import Secrets, Store, new_id
from autodialer.store.calls import traces
from tests.store.world import StandingClock

WEEK = timedelta(days=7)


def some(count: int) -> dict[UUID, bytes]:
    return {new_id(): b"packed %d" % number for number in range(count)}


def kept(store: Store, batch: dict[UUID, bytes]) -> list[bytes]:
    return [found.packed for call_id in batch if (found := store.traces.read(call_id)) is not None]


def test_a_trace_is_read_as_it_was_written_also_by_another_store(
    store: Store, store_url: str, secrets: Secrets, clock: StandingClock
) -> None:
    batch = some(3)
    assert not store.traces.write(batch, keep=100, longest=WEEK)
    other = Store(store_url, secrets=secrets)
    call_id, packed = next(iter(batch.items()))
    assert other.traces.read(call_id) == traces.KeptTrace(packed=packed, written_at=clock.now)
    assert other.traces.read(new_id()) is None
    other.close()


def test_a_later_trace_of_a_call_replaces_the_earlier_one(store: Store, clock: StandingClock) -> None:
    batch = some(2)
    store.traces.write(batch, keep=100, longest=WEEK)
    first, second = batch
    later = clock.move(seconds=5)
    store.traces.write({first: b"more"}, keep=100, longest=WEEK)
    assert store.traces.read(first) == traces.KeptTrace(packed=b"more", written_at=later)
    assert kept(store, {second: b""}) == [batch[second]]


def test_only_so_many_are_kept_the_latest(store: Store) -> None:
    batches = [some(7) for _ in range(5)]
    for batch in batches:
        assert not store.traces.write(batch, keep=10, longest=WEEK)
    assert [len(kept(store, batch)) for batch in batches] == [0, 0, 0, 3, 7]
    assert kept(store, batches[3]) == list(batches[3].values())[4:]


def test_old_ones_go_also_when_nothing_is_written(store: Store, clock: StandingClock) -> None:
    old, young = some(3), some(2)
    store.traces.write(old, keep=100, longest=WEEK)
    clock.move(days=6)
    store.traces.write(young, keep=100, longest=WEEK)
    assert len(kept(store, old)) == 3
    clock.move(days=1, seconds=1)
    store.traces.write({}, keep=100, longest=WEEK)
    assert (len(kept(store, old)), len(kept(store, young))) == (0, 2)


def test_a_trace_written_anew_is_as_young_as_its_last_writing(store: Store, clock: StandingClock) -> None:
    batch = some(1)
    store.traces.write(batch, keep=100, longest=WEEK)
    clock.move(days=6)
    store.traces.write(batch, keep=100, longest=WEEK)
    clock.move(days=6)
    store.traces.write({}, keep=100, longest=WEEK)
    assert len(kept(store, batch)) == 1


def test_none_is_kept_where_none_is_wanted(store: Store) -> None:
    batch = some(5)
    store.traces.write(batch, keep=100, longest=WEEK)
    assert not store.traces.write({}, keep=0, longest=WEEK)
    assert kept(store, batch) == []


@pytest.mark.slow
def test_a_lowered_bound_is_reached_in_steps_and_more_than_a_transaction_holds_is_written_at_once(store: Store) -> None:
    batch = some(traces.PRUNED_ROWS * 2 + 10)
    assert not store.traces.write(batch, keep=len(batch), longest=WEEK)
    assert len(kept(store, batch)) == len(batch)
    assert store.traces.write({}, keep=10, longest=WEEK)
    assert len(kept(store, batch)) == traces.PRUNED_ROWS + 10
    assert store.traces.write({}, keep=10, longest=WEEK)
    assert not store.traces.write({}, keep=10, longest=WEEK)
    assert kept(store, batch) == list(batch.values())[-10:]

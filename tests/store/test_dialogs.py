"""Dialogs of answered calls: in the commit that comes before the ACK, out in the commit of the outcome."""

from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from autodialer.campaign.admission import admit
from autodialer.model import ClaimedJob, Disposition
from autodialer.store import CutOff, KeptDialog
from tests.store.world import EXHAUSTED, NOW, World


def dialog_of(world: World, job: ClaimedJob, text: str = "dialog") -> KeptDialog:
    return KeptDialog(call_id=job.call_id, trunk_key=world.trunk.key, dialog=text)


def keep(world: World, *kept: KeptDialog) -> None:
    world.store.queue.record_and_claim([], [], "dialer-1", NOW, admit, answered=kept)


def test_a_dialog_is_kept_until_the_outcome_of_its_call(world: World) -> None:
    first, second = world.claim(world.running(2))
    keep(world, dialog_of(world, first), dialog_of(world, second))
    assert world.store.dialogs.all() == [dialog_of(world, first), dialog_of(world, second)]
    world.record(world.result(first, Disposition.ANSWERED, answered_at=NOW))
    assert world.store.dialogs.all() == [dialog_of(world, second)]


def test_a_dialog_that_moves_is_written_anew(world: World) -> None:
    (job,) = world.claim(world.running(1))
    keep(world, dialog_of(world, job))
    keep(world, dialog_of(world, job, "elsewhere"))
    assert world.store.dialogs.all() == [dialog_of(world, job, "elsewhere")]


def test_what_a_dead_dialer_left_stays_until_it_is_hung_up(world: World) -> None:
    (job,) = world.claim(world.running(1))
    keep(world, dialog_of(world, job))
    assert world.store.queue.recover(None, NOW, lambda *_: EXHAUSTED) == 1
    assert world.store.dialogs.all() == [dialog_of(world, job)]
    world.store.dialogs.forget([job.call_id])
    assert world.store.dialogs.all() == []


def test_calls_that_were_cut_off_lately_are_found_by_trunk(world: World) -> None:
    jobs = world.claim(world.running(3))
    world.record(world.result(jobs[0], Disposition.BUSY))
    world.store.queue.recover(None, NOW, lambda *_: EXHAUSTED)
    found = world.store.dialogs.cut_off_since(NOW - timedelta(seconds=1))
    cut_off = {CutOff(call_id=job.call_id, number=job.number, caller_id=None) for job in jobs[1:]}
    assert {key: set(calls) for key, calls in found.items()} == {world.trunk.key: cut_off}
    assert world.store.dialogs.cut_off_since(NOW + timedelta(seconds=1)) == {}


def test_nothing_of_the_tick_is_kept_when_a_part_of_it_fails(world: World) -> None:
    (job,) = world.claim(world.running(1))
    stray = KeptDialog(call_id=job.call_id, trunk_key=987654, dialog="x")
    with pytest.raises(IntegrityError):
        world.store.queue.record_and_claim(
            [world.result(job, Disposition.BUSY)], [], "dialer-1", NOW, admit, answered=[stray]
        )
    assert world.store.queue.recover(None, NOW, lambda *_: EXHAUSTED) == 1

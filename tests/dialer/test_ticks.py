"""What one tick of the dialer may do, however much there is to do."""

from collections.abc import Iterator

import pytest

from autodialer.model import Campaign, Disposition, TrunkSettings
from autodialer.store import NewSubscriber
from dialer import ENQUEUED_BATCHES, ENQUEUED_ROWS
from tests.dialer.machine import TICK_S, Air, DialingMachine


class Steps(DialingMachine):
    """The real dialer and store, moved by hand."""

    def judge(self, air: Air, campaign: Campaign) -> None:
        """Any call may be placed."""

    def note_end(self, air: Air, disposition: Disposition, *, heard: bool) -> None:
        """Nothing to note."""


@pytest.fixture
def steps() -> Iterator[Steps]:
    machine = Steps()
    machine.open()
    yield machine
    machine.store.close()


def test_a_tick_makes_jobs_of_some_rows_only_and_the_next_ones_go_on(steps: Steps) -> None:
    settings = TrunkSettings(name="t", host="127.0.0.1", cps=50.0, max_channels=1)
    trunk = steps.store.trunks.create(steps.owner, settings)
    campaigns = []
    for first in range(0, 4000, 500):
        rows = [NewSubscriber(number=f"+4420794{first + index:05}") for index in range(500)]
        campaigns.append(steps.start_callbase(rows, [trunk.key], max_attempts=1))
    made = 0
    for _ in range(20):
        before = queued(steps)
        steps.clock.elapsed_s += TICK_S
        steps.dialer.step()
        made = queued(steps) - before
        assert made <= ENQUEUED_ROWS * ENQUEUED_BATCHES
    assert queued(steps) >= len(campaigns) * ENQUEUED_ROWS // 2, "every campaign has its stock"
    assert made == 0, "and nothing more is made than is needed"


def queued(steps: Steps) -> int:
    """Jobs that were made so far."""
    with steps.store._database.read() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM call_jobs").scalar_one())

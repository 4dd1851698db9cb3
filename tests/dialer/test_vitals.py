"""What the dialer counts is what happened, and no peer can make it endless."""

import dataclasses
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from autodialer.dialing.vitals import MOST_TRUNKS, OTHER, Vitals
from autodialer.model import CallOutcome, Campaign, Disposition, MediaState, TrunkSettings
from autodialer.store import Busy, NewSubscriber
from tests.dialer.machine import Air, DialingMachine

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ENDED = CallOutcome(disposition=Disposition.BUSY, sip_code=486, invited_at=NOW, ended_at=NOW)


class Steps(DialingMachine):
    """Steps by hand; nobody is judged."""

    def note_end(self, air: Air, disposition: Disposition, *, heard: bool) -> None:
        """Nothing is judged."""

    def judge(self, air: Air, campaign: Campaign) -> None:
        """Nothing is judged."""


@pytest.fixture
def steps() -> Iterator[Steps]:
    """Nobody has been called."""
    made = Steps()
    made.open()
    yield made
    made.teardown()


def test_the_heartbeat_says_what_became_of_calls(steps: Steps) -> None:
    settings = TrunkSettings(name="t", host="127.0.0.1", cps=50.0, max_channels=9)
    trunk = steps.store.trunks.create(steps.owner, settings)
    rows = [NewSubscriber(number=f"+4420794600{number:02}") for number in range(3)]
    steps.start_callbase(rows, [trunk.key])
    steps.tick(100)
    up = steps.calls_up()
    steps.end(up[0], Disposition.BUSY, 0.0)
    steps.tick(100)
    seen = steps.store.live.dialer()
    assert seen is not None
    vitals = seen.vitals
    assert vitals["ended"] == [[str(trunk.id), "busy", 1]]
    assert vitals["started"] - 1 == vitals["active_calls"] == len(steps.calls_up()) > 0
    assert sum(vitals["ticks"]["counts"]) >= 100
    assert vitals["database"]["transactions"] > 0


def test_no_number_of_trunks_or_codes_makes_endless_labels(steps: Steps) -> None:
    trunk = steps.store.trunks.create(steps.owner, TrunkSettings(name="t", host="127.0.0.1"))
    vitals = Vitals()
    for _ in range(3 * MOST_TRUNKS):
        vitals.ended(dataclasses.replace(trunk, id=uuid.uuid4()), ENDED)
    for code in range(-5, 5000):
        vitals.ended(None, dataclasses.replace(ENDED, sip_code=code))
    told = vitals.as_json(active_calls=0, media=MediaState.RUNNING, pacing={}, busy=Busy())
    assert len({name for name, _, _ in told["ended"]}) == MOST_TRUNKS + 1
    assert sum(count for _, _, count in told["ended"]) == 3 * MOST_TRUNKS + 5005
    assert len(told["sip_codes"]) == 601 and told["sip_codes"][OTHER] == 5005 - 600

"""An error of ours that meets one call at its start: that call ends and says so, everything else goes on."""

from collections.abc import Iterator

import pytest

from autodialer.campaign.retry import ERROR_DELAY_S, ERRORS_FORGIVEN
from autodialer.model import Campaign, CampaignState, Cause, Disposition, TrunkSettings
from autodialer.store import NewSubscriber
from tests.dialer.machine import Air, DialingMachine

NUMBERS = ["+442079460001", "+442079460002"]


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
    machine.teardown()


def start(steps: Steps) -> Campaign:
    """A campaign on a trunk with one channel, so that a channel which is not given back shows."""
    settings = TrunkSettings(name="t", host="127.0.0.1", cps=50.0, max_channels=1)
    trunk = steps.store.trunks.create(steps.owner, settings)
    return steps.start_callbase([NewSubscriber(number=number) for number in NUMBERS], [trunk.key], max_attempts=1)


def test_a_phone_that_raises_what_nobody_expected_costs_one_call_and_no_attempt(
    steps: Steps, caplog: pytest.LogCaptureFixture
) -> None:
    campaign = start(steps)
    steps.phones.errors_left = 1
    steps.tick(20)
    steps.look()
    [broken], _ = steps.store.calls.page(campaign.key)
    assert broken.outcome is not None
    assert (broken.outcome.disposition, broken.outcome.cause) == (Disposition.FAILED, Cause.INTERNAL_ERROR)
    assert "An error in the dialer itself" in (broken.outcome.message or "")
    assert str(broken.id) in caplog.text and "nobody expected this" in caplog.text
    assert [air.number for air in steps.calls_up()] == [NUMBERS[1]], "the channel came back for the other number"
    steps.end(steps.calls_up()[0], Disposition.ANSWERED, 4.0)
    steps.clock.elapsed_s += ERROR_DELAY_S
    steps.tick(20)
    assert [air.number for air in steps.calls_up()] == [NUMBERS[0]], "a person with one attempt is called anyway"
    record = steps.store.calls.get(steps.calls_up()[0].call_id, None)
    assert record.attempt == 1


def test_a_dialer_that_fails_at_every_call_does_not_dial_for_ever(steps: Steps) -> None:
    campaign = start(steps)
    steps.phones.errors_left = 1000
    for _ in range(30):
        steps.clock.elapsed_s += ERROR_DELAY_S
        steps.tick(10)
    calls, _ = steps.store.calls.page(campaign.key)
    assert len(calls) == len(NUMBERS) * (ERRORS_FORGIVEN + 1)
    assert steps.store.campaigns.by_key(campaign.key).state is CampaignState.FINISHED
    assert steps.store.waiting_lists.reasons(campaign.key) == {("exhausted", "internal_error"): len(NUMBERS)}
    assert steps.store.campaigns.progress(campaign.key).counts.exhausted == len(NUMBERS)

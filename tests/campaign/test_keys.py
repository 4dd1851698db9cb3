"""What the keys of one call do."""

import pytest

from autodialer.campaign.checks import transfer_number
from autodialer.campaign.keys import MOST_RESULTS, KeyPad, check_change, check_keys
from autodialer.errors import Conflict, Invalid
from autodialer.model import (
    CampaignState,
    JobState,
    KeyAction,
    KeyEffect,
    KeyResult,
    NextStep,
    SubscriberState,
)

KEYS = {"1": KeyAction.CONFIRM, "9": KeyAction.OPT_OUT, "0": KeyAction.REPEAT, "5": KeyAction.TRANSFER}
RETRY = NextStep(job_state=JobState.QUEUED, subscriber_state=SubscriberState.IN_PROGRESS, rule="short")


def pressed(pad: KeyPad, digits: str) -> list[KeyAction | None]:
    return [pad.press(digit, 1.5) for digit in digits]


def effects(pad: KeyPad) -> list[tuple[str, KeyEffect]]:
    return [(result.digit, result.effect) for result in pad.results]


def test_the_first_confirmation_counts_and_the_second_is_written_down_as_such() -> None:
    pad = KeyPad(KEYS)
    assert pressed(pad, "11") == [KeyAction.CONFIRM, None]
    assert effects(pad) == [("1", KeyEffect.DONE), ("1", KeyEffect.AGAIN)]


def test_two_keys_that_confirm_count_once_together() -> None:
    pad = KeyPad({"1": KeyAction.CONFIRM, "2": KeyAction.CONFIRM})
    assert pressed(pad, "12") == [KeyAction.CONFIRM, None]


def test_a_key_without_a_meaning_does_nothing_and_is_no_result() -> None:
    pad = KeyPad(KEYS)
    assert pressed(pad, "78*A") == [None] * 4
    assert pad.results == ()
    assert pressed(KeyPad({}), "1") == [None]


def test_a_repeat_works_each_time() -> None:
    pad = KeyPad(KEYS)
    assert pressed(pad, "000") == [KeyAction.REPEAT] * 3


def test_during_a_transfer_only_confirming_and_opting_out_work() -> None:
    pad = KeyPad(KEYS)
    assert pressed(pad, "5501") == [KeyAction.TRANSFER, None, None, KeyAction.CONFIRM]
    assert [effect for _, effect in effects(pad)] == [
        KeyEffect.UNKNOWN,
        KeyEffect.IGNORED,
        KeyEffect.IGNORED,
        KeyEffect.DONE,
    ]
    assert pressed(pad, "9") == [KeyAction.OPT_OUT]


def test_a_refused_transfer_is_written_down_with_its_code_and_can_be_tried_again() -> None:
    pad = KeyPad(KEYS)
    pad.press("5", 2.0)
    pad.transfer_ended(KeyEffect.REFUSED, 603)
    assert pad.results == (
        KeyResult(digit="5", action=KeyAction.TRANSFER, at_s=2.0, effect=KeyEffect.REFUSED, code=603),
    )
    assert pressed(pad, "05") == [KeyAction.REPEAT, KeyAction.TRANSFER]
    pad.transfer_ended(KeyEffect.ACCEPTED, 200)
    pad.transfer_ended(KeyEffect.REFUSED, 500)  # nothing is under way now
    assert [effect for _, effect in effects(pad)] == [KeyEffect.REFUSED, KeyEffect.DONE, KeyEffect.ACCEPTED]
    assert pressed(pad, "05") == [None, None]


def test_after_opting_out_no_key_does_anything_and_nobody_calls_again() -> None:
    pad = KeyPad(KEYS)
    assert pad.step_after(RETRY) is RETRY
    assert pressed(pad, "9019") == [KeyAction.OPT_OUT, None, None, None]
    assert pad.opted_out
    step = pad.step_after(RETRY)
    assert (step.job_state, step.subscriber_state, step.rule) == (JobState.DONE, SubscriberState.REACHED, "opt_out")


def test_a_stuttering_gateway_fills_no_memory_and_keeps_nobody_from_opting_out() -> None:
    pad = KeyPad(KEYS)
    pressed(pad, "0" * 500)
    assert len(pad.results) == MOST_RESULTS
    assert pressed(pad, "9") == [KeyAction.OPT_OUT]


@pytest.mark.parametrize(
    ("keys", "transfer_to", "field"),
    [
        ({"A": "confirm"}, None, "keys"),
        ({"12": "confirm"}, None, "keys"),
        ({"": "confirm"}, None, "keys"),
        ({"1": "sing"}, None, "keys"),
        ({"5": "transfer"}, None, "transfer_to"),
        ({"5": "transfer"}, "", "transfer_to"),
    ],
)
def test_keys_that_mean_nothing_are_refused_by_name(keys: dict[str, str], transfer_to: str | None, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_keys(keys, transfer_to)
    assert caught.value.field == field


def test_every_key_of_a_phone_can_have_a_meaning() -> None:
    assert len(check_keys(dict.fromkeys("0123456789*#", "transfer"), "+74951234567")) == 12


@pytest.mark.parametrize(
    ("text", "number"),
    [(" +7 495 123-45-67", "+74951234567"), ("301", "301"), ("*72#", "*72#")],
)
def test_a_number_to_transfer_to_is_kept_in_its_stored_spelling(text: str, number: str) -> None:
    assert transfer_number(text) == number


@pytest.mark.parametrize("text", ["+7", "8 (495) 1", "sip:boss@host", "+7495<>", "\r\nVia: x"])
def test_what_is_no_number_is_refused_by_the_name_of_its_field(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        transfer_number(text)
    assert caught.value.field == "transfer_to"


def test_a_key_keeps_its_meaning_once_the_campaign_has_begun() -> None:
    present, more = {"1": KeyAction.CONFIRM}, {"1": KeyAction.CONFIRM, "9": KeyAction.OPT_OUT}
    check_change(CampaignState.RUNNING, present, more)
    check_change(CampaignState.DRAFT, more, {})
    for wanted in ({}, {"1": KeyAction.REPEAT}):
        with pytest.raises(Conflict):
            check_change(CampaignState.PAUSED, present, wanted)

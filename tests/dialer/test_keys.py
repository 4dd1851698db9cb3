"""Keys that callees press in the calls of whole campaigns: what they do at once, and what is written down of them."""

import sqlite3
import statistics
from pathlib import Path

import pytest

from autodialer.campaign.admission import admit
from autodialer.campaign.keys import KeyPad
from autodialer.clock import Clock
from autodialer.dialing.destinations import Destinations
from autodialer.dialing.keys import Keys
from autodialer.errors import Unavailable
from autodialer.model import (
    CallRecord,
    Campaign,
    ClaimRequest,
    DigitTime,
    DigitVia,
    EndedBy,
    KeyAction,
    KeyEffect,
    RetryRule,
)
from autodialer.phone.hang_up import HangUp
from autodialer.phone.plan import CallEvent
from autodialer.phone.pool import PhonePool
from autodialer.store import KeyFigures, Store
from tests.databases import cheap_secrets
from tests.dialer.world import World
from tests.peers import transfer_gateways as gateways
from tests.peers.baresip import Baresip
from tests.peers.capture import Capture
from tests.peers.fixtures import StartCapture
from tests.peers.ports import LOCALHOST, free_port, wait_until
from tests.peers.sipp import SippGateway

pytestmark = [pytest.mark.loopback]

KEYS = {"1": KeyAction.CONFIRM, "9": KeyAction.OPT_OUT, "0": KeyAction.REPEAT, "5": KeyAction.TRANSFER}
NUMBER = "70000000001"


def record_of(world: World, campaign: Campaign) -> CallRecord:
    ((record,),) = world.records(campaign).values()
    return record


def effects(record: CallRecord) -> list[tuple[str, KeyEffect, int | None]]:
    return [(result.digit, result.effect, result.code) for result in record.key_results]


@pytest.mark.peer("baresip")
def test_a_callee_who_presses_nine_is_hung_up_and_called_by_no_campaign_of_that_owner_again(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data", sound_s=8.0)
    short = {"short": RetryRule(after_s=0, times=3)}
    with Baresip(folder=tmp_path, user=NUMBER, limit_s=200) as callee:
        rules = {"keys": KEYS, "transfer_to": "301", "min_played_s": 7.0}
        campaign = world.campaign(callee.address, [NUMBER], retry=short, **rules)  # type: ignore[arg-type]
        with world.dialer():
            callee.wait_established(timeout_s=40)
            callee.press("9")
            callee.wait_closed(timeout_s=30)
            world.wait_finished(campaign, timeout_s=60)
            second = world.campaign(callee.address, [NUMBER])
            world.wait_finished(second, timeout_s=60)
        assert callee.established == 1
    record = record_of(world, campaign)
    assert record.outcome
    assert (record.outcome.ended_by, record.outcome.digits) == (EndedBy.US, "9")
    assert record.outcome.billsec_s < 4
    assert (effects(record), record.next_rule, record.next_at) == ([("9", KeyEffect.DONE, None)], "opt_out", None)
    assert record.key_results[0].at_s <= record.outcome.billsec_s
    (entry,), _ = world.store.dnc.page(world.owner)
    assert (entry.number, entry.source) == (NUMBER, f"opt_out:{record.id}")
    assert world.records(second) == {}
    assert world.store.campaigns.progress(second.key).counts.excluded == 1
    assert world.store.campaigns.progress(campaign.key).counts.reached == 1
    assert world.store.calls.keys(campaign.key) == {
        "9": KeyFigures(action=KeyAction.OPT_OUT, calls=1, effects={KeyEffect.DONE: 1})
    }


@pytest.mark.peer("baresip")
def test_keys_pressed_as_telephone_events_confirm_once_repeat_and_otherwise_do_nothing(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data", sound_s=2.0)
    with Baresip(folder=tmp_path, user=NUMBER, limit_s=200) as callee:
        campaign = world.campaign(callee.address, [NUMBER], keys=KEYS, transfer_to="301", key_wait_s=1.0)
        with world.dialer():
            callee.wait_established(timeout_s=40)
            callee.press("17")
            callee.press("1")
            callee.press("0")
            world.wait_finished(campaign, timeout_s=60)
        callee.wait_closed(timeout_s=30)
        (packets,) = callee.received_packets
    record = record_of(world, campaign)
    assert record.outcome
    assert record.outcome.digits == "1710"
    assert effects(record) == [("1", KeyEffect.DONE, None), ("1", KeyEffect.AGAIN, None), ("0", KeyEffect.DONE, None)]
    assert (record.outcome.played_s, record.outcome.played_share) == (2.0, 1.0)
    assert packets > 130
    assert record.outcome.rtp is not None and record.outcome.rtp.sent == packets
    figures = world.store.calls.keys(campaign.key)
    assert {digit: (key.action, key.calls) for digit, key in figures.items()} == {
        "0": (KeyAction.REPEAT, 1),
        "1": (KeyAction.CONFIRM, 1),
    }
    assert world.store.dnc.page(world.owner)[0] == []


@pytest.mark.peer("baresip")
@pytest.mark.parametrize("after", ["continue", "hang_up"])
def test_a_transfer_to_where_the_trunk_may_not_call_any_more_is_refused_when_the_key_is_pressed(
    tmp_path: Path, after: str
) -> None:
    world = World.make(tmp_path / "data", sound_s=3.0)
    rules = {"keys": KEYS, "transfer_to": "+77011234567", "key_wait_s": 0.0, "after_failed_transfer": after}
    with Baresip(folder=tmp_path, user=NUMBER, limit_s=200) as callee:
        only_russia = {"allowed_countries": ("RU",)}
        campaign = world.campaign(callee.address, [NUMBER], trunk_settings=only_russia, **rules)  # type: ignore[arg-type]
        with world.dialer() as dialer:
            callee.wait_established(timeout_s=40)
            callee.press("5")
            world.wait_finished(campaign, timeout_s=60)
        assert "trunk provider calls RU only; add KZ to its allowed_countries" in dialer.log.read_text()
    record = record_of(world, campaign)
    assert effects(record) == [("5", KeyEffect.REFUSED, None)]
    assert record.outcome and record.outcome.played_share is not None
    assert (record.outcome.played_share == 1.0) is (after == "continue")


@pytest.mark.peer("sipp")
@pytest.mark.parametrize(("status", "effect"), [("200 OK", KeyEffect.ACCEPTED), ("486 Busy Here", KeyEffect.REFUSED)])
def test_a_key_transfers_to_the_number_as_the_trunk_wants_it(tmp_path: Path, status: str, effect: KeyEffect) -> None:
    world = World.make(tmp_path / "data", sound_s=2.0)
    with SippGateway(gateways.presses_to_transfer("5", status=status), calls=1, timeout_s=90) as gateway:
        rules = {"keys": KEYS, "transfer_to": "+74951234567", "key_wait_s": 0.0}
        campaign = world.campaign(gateway.address, [NUMBER], number_format="8{national}", **rules)  # type: ignore[arg-type]
        with world.dialer():
            world.wait_finished(campaign, timeout_s=60)
        gateway.expect_success(timeout_s=10)
        (refer,) = [message for message in gateway.messages if message.start_line.startswith("REFER")]
    assert refer.header("Refer-To") == "<sip:84951234567@127.0.0.1>"
    record = record_of(world, campaign)
    assert record.outcome
    assert effects(record) == [("5", effect, int(status[:3]))]
    assert record.next_rule == "answered"
    assert record.outcome.played_share == 1.0 if effect is KeyEffect.REFUSED else record.outcome.played_share < 0.7
    assert world.store.calls.keys(campaign.key)["5"].effects == {effect: 1}


@pytest.mark.peer("sipp")
def test_a_transfer_that_comes_to_nothing_ends_the_call_where_the_campaign_says_so(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data", sound_s=20.0)
    with SippGateway(gateways.presses_to_transfer("5", status="486 Busy Here"), calls=1, timeout_s=90) as gateway:
        rules = {"keys": KEYS, "transfer_to": "+74951234567", "after_failed_transfer": "hang_up"}
        campaign = world.campaign(gateway.address, [NUMBER], **rules)  # type: ignore[arg-type]
        with world.dialer():
            world.wait_finished(campaign, timeout_s=60)
        gateway.expect_success(timeout_s=10)
    record = record_of(world, campaign)
    assert record.outcome and record.outcome.message == HangUp.TRANSFER_FAILED
    assert effects(record) == [("5", KeyEffect.REFUSED, 486)]


@pytest.mark.peer("sipp", "tshark")
def test_we_hang_up_within_100_ms_of_an_opt_out_which_is_on_the_list_by_then(
    tmp_path: Path, capture_wire: StartCapture
) -> None:
    world = World.make(tmp_path / "data", sound_s=10.0)
    numbers = [f"7000000001{number}" for number in range(5)]
    with SippGateway(gateways.presses("9"), calls=5, timeout_s=120) as gateway:
        wire: Capture = capture_wire(gateway.address[1])
        campaign = world.campaign(gateway.address, numbers, cps=2, keys={"9": KeyAction.OPT_OUT})
        with world.dialer():
            wait_until(lambda: gateway.count("BYE") >= 1, what="the first BYE", timeout_s=40)
            assert world.store.dnc.page(world.owner)[0] != []
            world.wait_finished(campaign, timeout_s=60)
        gateway.expect_success(timeout_s=10)
        sip = wire.sip()
    asked = {each.header("Call-ID"): each.at for each in sip if each.start_line.startswith("INFO")}
    ended = {each.header("Call-ID"): each.at for each in sip if each.start_line.startswith("BYE")}
    assert len(asked) == 5
    outcomes = [call.outcome for calls in world.records(campaign).values() for call in calls]
    assert {outcome.message for outcome in outcomes if outcome} == {HangUp.OPTED_OUT}
    reactions = [ended[call_id] - at for call_id, at in asked.items()]
    assert statistics.median(reactions) <= 0.1, reactions
    assert sorted(entry.number for entry in world.store.dnc.page(world.owner)[0]) == numbers
    assert wire.malformed() == []


@pytest.mark.peer("sipp")
def test_an_opt_out_outlives_a_dialer_that_is_killed_at_once(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data", sound_s=10.0)
    interrupted = {"interrupted": RetryRule(after_s=0, times=3)}
    with SippGateway(gateways.presses("9"), calls=10, timeout_s=120) as gateway:
        keys = {"9": KeyAction.OPT_OUT}
        campaign = world.campaign(gateway.address, [NUMBER], retry=interrupted, keys=keys)
        with world.dialer() as dialer:
            wait_until(lambda: world.store.dnc.page(world.owner)[0] != [], what="the entry", timeout_s=40, poll_s=0.005)
            dialer.kill_all(processes=2)
        with world.dialer():
            world.wait_finished(campaign, timeout_s=60)
        assert gateway.invites_by_number == {NUMBER: 1}
    assert len(world.records(campaign)[NUMBER]) == 1
    counts = world.store.campaigns.progress(campaign.key).counts
    # Reached, or cut off: then the callee is on the list, and had picked up.
    assert sorted((counts.reached, counts.excluded, counts.exhausted)) == [0, 0, 1]


def test_an_opt_out_that_the_database_does_not_take_is_entered_before_anything_else_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    world = World.make(folder)
    impatient = Store(world.settings.url, secrets=cheap_secrets(world.settings.keys), busy_timeout_s=0.05)
    phones = PhonePool(sip_address=None, sip_port=5060, rtp_ports=(33000, 33010), clock=Clock())
    keys = Keys(impatient, phones, Destinations(impatient))
    campaign = world.campaign((LOCALHOST, free_port()), [NUMBER], keys=KEYS, transfer_to="301")
    world.store.queue.enqueue_due(Clock().utcnow())
    request = ClaimRequest(campaign_key=campaign.key, trunk_key=campaign.trunk_keys[0], limit=1)
    (job,) = world.store.queue.claim([request], "test", Clock().utcnow(), admit)
    pressed = CallEvent(reference=job.call_id, pressed=DigitTime(digit="9", at_s=1.0, via=DigitVia.RTP))
    other = sqlite3.connect(folder / "db.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    keys.take(pressed, KeyPad(campaign.keys), job, campaign, None)
    with pytest.raises(Unavailable):
        keys.write_opt_outs()
    other.execute("ROLLBACK")
    other.close()
    keys.write_opt_outs()
    keys.write_opt_outs()
    (entry,), _ = world.store.dnc.page(world.owner)
    assert (entry.number, entry.source) == (NUMBER, f"opt_out:{job.call_id}")

"""Why a campaign does not dial, and when it will be over."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from autodialer.campaign.admission import admit
from autodialer.clock import Clock
from autodialer.config import Settings
from autodialer.model import (
    Campaign,
    CampaignLimit,
    CampaignState,
    CampaignStatus,
    ClaimRequest,
    Disposition,
    People,
    TrunkSettings,
    TrunkStatus,
)
from autodialer.report import explain
from autodialer.store import NewSubscriber, Store
from tests.databases import cheap_secrets, make_database
from tests.web.dialing import DONE, EXHAUSTED, again, answered, claim, failed, record

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class At(Clock):
    """Stands at NOW."""

    def utcnow(self) -> datetime:
        return NOW


@pytest.fixture
def store(settings: Settings):  # type: ignore[no-untyped-def]
    make_database(settings.url)
    opened = Store(settings.url, secrets=cheap_secrets(settings.keys), clock=At())
    yield opened
    opened.close()


@pytest.fixture
def campaign(store: Store) -> Campaign:
    """A campaign of two numbers on two trunks, running under a live dialer."""
    owner = store.users.create(login="anna", password=None).key
    trunks = [
        store.trunks.create(owner, TrunkSettings(name=name, host="127.0.0.1")).key for name in ("first", "second")
    ]
    sound = store.sounds.create(
        owner,
        name="s",
        duration_s=10,
        peak_dbfs=-1,
        loudness_lufs=None,
        sample_rate=8000,
        channels=1,
        path="sounds/s.wav",
        original_path="sounds/s.original",
    )
    callbase = store.callbases.create(owner, name="c", region="RU")
    numbers = [NewSubscriber(number=f"+7916000000{index}") for index in range(2)]
    store.callbases.add_rows(callbase.key, numbers)
    store.callbases.finish(callbase.key, rows=2)
    made = store.campaigns.create(owner, name="x", trunk_keys=trunks, sound_key=sound.key, callbase_key=callbase.key)
    store.live.heartbeat("test", 1)
    return store.campaigns.start(made.id, None)


def codes(store: Store, campaign: Campaign) -> tuple[bool, list[str]]:
    why = explain(store, store.campaigns.by_key(campaign.key), NOW)
    assert all(reason.message.endswith(".") for reason in why.reasons)
    return why.dialing, [reason.code for reason in why.reasons]


def rest(store: Store, key: int, until: datetime | None) -> None:
    status = TrunkStatus(trunk_key=key, breaker_state="resting", breaker_until=until, breaker_cause="It refuses us.")
    store.live.write_trunks([status])


def test_a_campaign_that_dials_has_no_reason_not_to(store: Store, campaign: Campaign) -> None:
    assert codes(store, campaign) == (True, [])


def test_a_state_other_than_running_is_the_only_reason(store: Store, campaign: Campaign) -> None:
    store.campaigns.pause(campaign.id, None)
    assert codes(store, campaign) == (False, ["paused"])
    store.campaigns.stop(campaign.id, None, hangup=False)
    assert codes(store, campaign) == (False, ["stopped"])
    assert [
        explain(store, replace(campaign, state=state), NOW).reasons[0].code
        for state in CampaignState
        if state != "running"
    ] == [
        "draft",
        "paused",
        "finished",
        "stopped",
    ]


def test_without_a_dialer_nothing_dials(store: Store, campaign: Campaign) -> None:
    store.live.goodbye("test")
    assert codes(store, campaign) == (False, ["dialer_down"])


def test_one_resting_trunk_is_told_and_two_stop_the_campaign(store: Store, campaign: Campaign) -> None:
    first, second = campaign.trunk_keys
    rest(store, first, NOW + timedelta(seconds=30))
    assert codes(store, campaign) == (True, ["trunk_resting"])
    rest(store, second, NOW + timedelta(seconds=60))
    why = explain(store, campaign, NOW)
    assert not why.dialing
    assert [reason.until for reason in why.reasons] == [NOW + timedelta(seconds=30), NOW + timedelta(seconds=60)]
    assert "first" in why.reasons[0].message
    assert "It refuses us." in why.reasons[0].message


def test_a_rest_that_is_over_is_no_reason_and_a_probe_is_told(store: Store, campaign: Campaign) -> None:
    rest(store, campaign.trunk_keys[0], NOW)
    assert codes(store, campaign) == (True, [])
    store.live.write_trunks([TrunkStatus(trunk_key=campaign.trunk_keys[0], breaker_state="probing")])
    assert codes(store, campaign) == (True, ["trunk_probing"])


def test_when_all_wait_for_a_retry_the_next_one_is_told(store: Store, campaign: Campaign) -> None:
    jobs = claim(store, NOW)
    assert codes(store, campaign) == (True, ["all_in_progress"])
    for index, job in enumerate(jobs):
        step = again(NOW + timedelta(seconds=300 + index))
        record(store, NOW, job, failed(NOW, Disposition.BUSY, 486), step)
    why = explain(store, campaign, NOW)
    assert not why.dialing
    assert [(reason.code, reason.until) for reason in why.reasons] == [
        ("waiting_for_retry", NOW + timedelta(seconds=300))
    ]


def test_what_is_waited_for_is_told_by_rule_with_the_number_of_those_who_wait(store: Store, campaign: Campaign) -> None:
    first, second = claim(store, NOW)
    record(store, NOW, first, failed(NOW, Disposition.BUSY, 486), again(NOW + timedelta(seconds=300)))
    [only_active] = explain(store, campaign, NOW).reasons[-1:]
    record(store, NOW, second, failed(NOW, Disposition.BUSY, 486), again(NOW + timedelta(seconds=900)))
    [reason] = explain(store, campaign, NOW).reasons
    assert reason.message == "All that are left (2) wait for their next attempt: 2 busy."
    assert only_active.code == "waiting_for_retry"


def test_numbers_that_wait_for_a_cap_are_told_with_when_it_lets_them(store: Store, campaign: Campaign) -> None:
    store.campaigns.update(campaign.id, None, cap_day=1)
    for job in claim(store, NOW):
        record(store, NOW, job, failed(NOW, Disposition.BUSY, 486), again(NOW + timedelta(seconds=300)))
    why = explain(store, campaign, NOW)
    [reason] = why.reasons
    assert (why.dialing, reason.code, reason.until) == (False, "waiting_for_cap", NOW + timedelta(days=1))
    assert reason.message.endswith(" allow: 2 cap_day.")


def test_numbers_that_were_never_called_here_may_wait_for_a_cap_too(store: Store, campaign: Campaign) -> None:
    for job in claim(store, NOW):
        record(store, NOW, job, failed(NOW, Disposition.REJECTED, 603), EXHAUSTED)
    store.queue.finish_campaigns(NOW)
    copy = store.campaigns.clone(campaign.id, None, only=People.ALL)
    store.campaigns.update(copy.id, None, cap_week=1)
    store.campaigns.start(copy.id, None)
    assert claim(store, NOW) == []
    assert codes(store, copy) == (False, ["waiting_for_cap"])


@pytest.mark.slow
def test_a_finished_campaign_tells_what_became_of_whom(store: Store, campaign: Campaign) -> None:
    store.dnc.add(campaign.owner_key, "+79160000000")
    [job] = claim(store, NOW)
    record(store, NOW, job, failed(NOW, Disposition.REJECTED, 603), EXHAUSTED)
    store.queue.finish_campaigns(NOW)
    [reason] = explain(store, store.campaigns.by_key(campaign.key), NOW).reasons
    ends = "Of 2: 0 reached; exhausted: 1 busy; excluded: 1 dnc."
    assert (reason.code, reason.message) == ("finished", f"Every subscriber has been dealt with. {ends}")


def test_a_campaign_that_its_end_cut_off_says_how_many_were_never_called(store: Store, campaign: Campaign) -> None:
    store.campaigns.update(campaign.id, None, ends_at=NOW + timedelta(seconds=10))
    [job] = claim(store, NOW, limit=1)
    record(store, NOW, job, failed(NOW, Disposition.REJECTED, 603), EXHAUSTED)
    assert store.queue.cancel_some(NOW + timedelta(seconds=10))
    store.queue.end_overdue(NOW + timedelta(seconds=10))
    [reason] = explain(store, store.campaigns.by_key(campaign.key), NOW).reasons
    ends = "Of 2: 0 reached; exhausted: 1 busy; 1 never called."
    assert (reason.code, reason.message) == ("finished", f"Its end, ends_at, came first. {ends}")


@pytest.mark.parametrize(
    ("limit", "code"),
    [
        (CampaignLimit.CAMPAIGN_CHANNELS, "channels_busy"),
        (CampaignLimit.TRUNK_CHANNELS, "trunk_channels_busy"),
        (CampaignLimit.CAMPAIGN_CPS, "cps_reached"),
        (CampaignLimit.TRUNK_CPS, "trunk_cps_reached"),
        (CampaignLimit.TRUNK_IN_DOUBT, "trunk_in_doubt"),
    ],
)
def test_what_holds_a_campaign_that_dials_is_told(
    store: Store, campaign: Campaign, limit: CampaignLimit, code: str
) -> None:
    until = NOW + timedelta(seconds=20)
    store.live.write_campaigns([CampaignStatus(campaign_key=campaign.key, limited_by=limit, until=until)])
    why = explain(store, campaign, NOW)
    assert why.dialing
    assert [(reason.code, reason.until) for reason in why.reasons] == [(code, until)]


def test_where_nobody_is_due_no_rate_is_to_blame(store: Store, campaign: Campaign) -> None:
    for job in claim(store, NOW):
        record(store, NOW, job, failed(NOW, Disposition.BUSY, 486), again(NOW + timedelta(seconds=300)))
    store.live.write_campaigns([CampaignStatus(campaign_key=campaign.key, limited_by=CampaignLimit.CAMPAIGN_CPS)])
    assert codes(store, campaign) == (False, ["waiting_for_retry"])
    store.live.write_campaigns([CampaignStatus(campaign_key=campaign.key, limited_by=CampaignLimit.WINDOW_CLOSED)])
    assert codes(store, campaign) == (False, ["waiting_for_retry", "window_closed"])


@pytest.mark.parametrize(
    ("limit", "code"),
    [
        (CampaignLimit.WINDOW_CLOSED, "window_closed"),
        (CampaignLimit.BEFORE_START, "not_started_yet"),
        (CampaignLimit.AFTER_END, "ended"),
    ],
)
def test_hours_that_let_nobody_be_called_are_the_reason(
    store: Store, campaign: Campaign, limit: CampaignLimit, code: str
) -> None:
    until = NOW + timedelta(hours=3)
    store.live.write_campaigns([CampaignStatus(campaign_key=campaign.key, limited_by=limit, until=until)])
    why = explain(store, campaign, NOW)
    assert not why.dialing
    assert [(reason.code, reason.until) for reason in why.reasons] == [(code, until)]


def test_who_paused_a_campaign_is_told(store: Store, campaign: Campaign) -> None:
    store.campaigns.pause(campaign.id, None, by="anna")
    (reason,) = explain(store, store.campaigns.by_key(campaign.key), NOW).reasons
    assert reason.code == "paused"
    assert "anna" in reason.message
    assert "2026-03-01 12:00:00 UTC" in reason.message


def test_a_callbase_that_is_not_ready_or_empty_is_told(store: Store, campaign: Campaign) -> None:
    owner = campaign.owner_key
    rules = {"trunk_keys": list(campaign.trunk_keys), "sound_key": campaign.sound_key}
    callbase = store.callbases.create(owner, name="slow", region="RU")
    other = store.campaigns.create(owner, name="y", callbase_key=callbase.key, **rules)  # type: ignore[arg-type]
    store.campaigns.start(other.id, None)
    store.callbases.progress(callbase.key, rows=500, rows_done=500)
    assert codes(store, other) == (False, ["callbase_importing"])
    store.callbases.finish(callbase.key, rows=500)
    assert codes(store, other) == (False, ["callbase_empty"])


def test_a_finished_call_is_counted(store: Store, campaign: Campaign) -> None:
    record(store, NOW, claim(store, NOW, limit=1)[0], answered(NOW), DONE)
    assert store.campaigns.progress(campaign.key).counts.reached == 1
    assert store.calls.report(campaign.key).answered == 1


def test_a_sound_whose_files_are_gone_is_the_reason(store: Store, campaign: Campaign) -> None:
    why = explain(store, campaign, NOW, sound_there=False)
    assert (why.dialing, [reason.code for reason in why.reasons]) == (False, ["sound_missing"])


def test_waits_for_a_window_are_told_as_such(store: Store, campaign: Campaign) -> None:
    store.queue.enqueue_due(NOW)
    opens_at = NOW + timedelta(hours=9)
    shut = {"open_zones": frozenset[str](), "zones_open_at": {"": opens_at, "Europe/Moscow": opens_at}}
    request = ClaimRequest(campaign_key=campaign.key, trunk_key=campaign.trunk_keys[0], limit=10, **shut)  # type: ignore[arg-type]
    assert store.queue.claim([request], "test", NOW, admit) == []
    [reason] = explain(store, campaign, NOW).reasons
    assert (reason.code, reason.until) == ("waiting_for_window", opens_at)
    assert reason.message == "2 subscribers wait until their calling window opens."


def test_who_waits_for_the_trunk_is_told_also_when_its_time_has_come(store: Store, campaign: Campaign) -> None:
    first, second = claim(store, NOW)
    step = replace(again(NOW), rule="trunk", counts_as_attempt=False, uses_budget=False)
    for job in (first, second):
        record(store, NOW, job, failed(NOW, Disposition.CONGESTION, 503), step)
    why = explain(store, campaign, NOW)
    [reason] = why.reasons
    assert (why.dialing, reason.code) == (True, "waiting_for_trunk")
    assert reason.message.startswith("2 subscribers wait for the trunk")
    assert codes_later(store, campaign) == ["waiting_for_trunk"]


def codes_later(store: Store, campaign: Campaign) -> list[str]:
    return [reason.code for reason in explain(store, campaign, NOW + timedelta(hours=1)).reasons]


def test_the_limit_that_holds_a_campaign_is_named_with_where_it_is_set(store: Store, campaign: Campaign) -> None:
    def told(limit: CampaignLimit) -> str:
        store.live.write_campaigns([CampaignStatus(campaign_key=campaign.key, limited_by=limit)])
        [reason] = explain(store, store.campaigns.by_key(campaign.key), NOW).reasons
        return reason.message

    assert "10 of first, 10 of second" in told(CampaignLimit.TRUNK_CHANNELS)
    assert "1 a second by first" in told(CampaignLimit.TRUNK_CPS)
    assert told(CampaignLimit.TRUNK_CPS).endswith("The limit is cps of the trunk.")
    store.campaigns.update(campaign.id, None, cps=2.5, max_channels=7)
    assert (
        told(CampaignLimit.CAMPAIGN_CPS) == "The campaign starts 2.5 calls a second. The limit is cps of the campaign."
    )
    assert "All 7 channels of the campaign" in told(CampaignLimit.CAMPAIGN_CHANNELS)
    assert told(CampaignLimit.CAMPAIGN_CHANNELS).endswith("The limit is max_channels of the campaign.")

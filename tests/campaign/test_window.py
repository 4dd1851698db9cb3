"""Calling windows, by the clock on the subscriber's wall."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodialer.campaign.window import EVERY_DAY, Window

WORKDAYS = frozenset(range(5))


def at(text: str, zone: str = "UTC", *, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)


def window(hours: str, **more: object) -> Window:
    start, _, end = hours.partition("-")
    return Window(start=time.fromisoformat(start), end=time.fromisoformat(end), **more)  # type: ignore[arg-type]


OPEN = [
    # window, zone, local time, open
    ("09:00-18:00", "Europe/Moscow", "2026-03-02T09:00", True),
    ("09:00-18:00", "Europe/Moscow", "2026-03-02T08:59:59", False),
    ("09:00-18:00", "Europe/Moscow", "2026-03-02T17:59:59", True),
    ("09:00-18:00", "Europe/Moscow", "2026-03-02T18:00", False),
    ("22:00-06:00", "Europe/Moscow", "2026-03-02T23:00", True),
    ("22:00-06:00", "Europe/Moscow", "2026-03-03T05:59", True),
    ("22:00-06:00", "Europe/Moscow", "2026-03-03T06:00", False),
    ("00:00-00:00", "Asia/Tehran", "2026-03-02T00:00", True),
    ("00:00-00:00", "Asia/Tehran", "2026-03-02T23:59:59", True),
]


@pytest.mark.parametrize(("hours", "zone", "local", "expected"), OPEN)
def test_a_window_is_open_from_its_start_until_just_before_its_end(
    hours: str, zone: str, local: str, expected: bool
) -> None:
    assert window(hours).is_open(at(local, zone), ZoneInfo(zone)) is expected


def test_an_overnight_window_belongs_to_the_day_on_which_it_starts() -> None:
    zone, night = ZoneInfo("Europe/Berlin"), window("22:00-06:00", days=WORKDAYS)
    assert night.is_open(at("2026-03-07T05:00", "Europe/Berlin"), zone), "Saturday morning, begun on Friday"
    assert not night.is_open(at("2026-03-07T23:00", "Europe/Berlin"), zone), "Saturday evening"
    assert not night.is_open(at("2026-03-09T05:00", "Europe/Berlin"), zone), "Monday morning, begun on Sunday"


def test_a_holiday_is_closed_and_the_night_that_began_before_it_goes_on() -> None:
    zone = ZoneInfo("Europe/Berlin")
    holidays = frozenset({date(2026, 5, 1)})
    assert not window("09:00-18:00", holidays=holidays).is_open(at("2026-05-01T10:00", "Europe/Berlin"), zone)
    night = window("22:00-06:00", holidays=holidays)
    assert night.is_open(at("2026-05-01T05:00", "Europe/Berlin"), zone)
    assert not night.is_open(at("2026-05-01T23:00", "Europe/Berlin"), zone)
    assert not night.is_open(at("2026-05-02T05:00", "Europe/Berlin"), zone)


NEXT = [
    # window, more, zone, local now, opens
    ("09:00-18:00", {}, "Europe/Moscow", "2026-03-02T08:00", "2026-03-02T06:00+00:00"),
    ("09:00-18:00", {}, "Europe/Moscow", "2026-03-02T18:00", "2026-03-03T06:00+00:00"),
    ("09:00-18:00", {"days": WORKDAYS}, "Europe/Moscow", "2026-03-06T18:00", "2026-03-09T06:00+00:00"),
    # Berlin: 2026-03-29 02:00 -> 03:00, 2026-10-25 03:00 -> 02:00.
    ("02:30-05:00", {}, "Europe/Berlin", "2026-03-29T01:00", "2026-03-29T01:00+00:00"),
    ("02:30-05:00", {}, "Europe/Berlin", "2026-10-25T01:00", "2026-10-25T00:30+00:00"),
    # New York: 2026-03-08 02:00 -> 03:00, 2026-11-01 02:00 -> 01:00.
    ("02:15-02:45", {}, "America/New_York", "2026-03-08T00:30", "2026-03-09T06:15+00:00"),
    ("01:30-04:00", {}, "America/New_York", "2026-11-01T00:30", "2026-11-01T05:30+00:00"),
    # Lord Howe: half an hour, 2026-10-04 02:00 -> 02:30.
    ("02:10-08:00", {}, "Australia/Lord_Howe", "2026-10-04T01:00", "2026-10-03T15:30+00:00"),
    ("09:00-18:00", {}, "Asia/Tehran", "2026-03-22T01:00", "2026-03-22T05:30+00:00"),
]


@pytest.mark.parametrize(("hours", "more", "zone", "local", "opens"), NEXT)
def test_a_window_opens_next_when_the_wall_clock_first_comes_to_its_hours(
    hours: str, more: dict[str, object], zone: str, local: str, opens: str
) -> None:
    found = window(hours, **more).opens_at(at(local, zone), ZoneInfo(zone))
    assert found == datetime.fromisoformat(opens)


def test_an_hour_that_comes_twice_is_open_both_times_and_the_end_in_it_closes_twice() -> None:
    zone, early = ZoneInfo("Europe/Berlin"), window("01:00-02:30")
    first, second = at("2026-10-25T02:10", "Europe/Berlin"), at("2026-10-25T02:10", "Europe/Berlin", fold=1)
    assert early.is_open(first, zone)
    assert early.is_open(second, zone)
    assert early.closes_at(first, zone) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert early.opens_at(at("2026-10-25T02:40", "Europe/Berlin"), zone) == datetime(2026, 10, 25, 1, 0, tzinfo=UTC)
    assert early.closes_at(second, zone) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


def test_a_call_is_allowed_only_if_the_window_stays_open_for_it() -> None:
    zone, day = ZoneInfo("UTC"), window("09:00-18:00")
    assert day.allows(at("2026-03-02T17:59:20"), zone, for_s=40)
    assert not day.allows(at("2026-03-02T17:59:21"), zone, for_s=40)
    assert day.next_allowed(at("2026-03-02T17:59:21"), zone, for_s=40) == at("2026-03-03T09:00")
    assert window("00:00-00:00").allows(at("2026-03-02T23:59:59"), zone, for_s=3600)


def test_a_window_that_never_opens_or_is_too_short_for_a_call_is_known_as_such() -> None:
    zone = ZoneInfo("UTC")
    assert window("09:00-18:00", days=frozenset()).opens_at(at("2026-03-02T10:00"), zone) is None
    assert window("09:00-09:01").next_allowed(at("2026-03-02T10:00"), zone, for_s=120) is None
    assert window("00:00-00:00").closes_at(at("2026-03-02T10:00"), zone) is None


ZONES = ["Europe/Berlin", "America/New_York", "Asia/Tehran", "Australia/Lord_Howe", "America/Havana", "Africa/Cairo"]
CLOCKS = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 59]))
MOMENTS = st.integers(0, 2 * 366 * 24 * 3600).map(lambda s: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=s))
WINDOWS = st.builds(
    Window,
    start=CLOCKS,
    end=CLOCKS,
    days=st.frozensets(st.integers(0, 6), min_size=1),
    holidays=st.frozensets(st.dates(date(2026, 1, 1), date(2027, 12, 31)), max_size=3),
)


@given(window=WINDOWS, moment=MOMENTS, zone=st.sampled_from(ZONES))
def test_it_opens_and_closes_at_the_first_moment_that_is_so(window: Window, moment: datetime, zone: str) -> None:
    clock = ZoneInfo(zone)
    for change, becomes in ((window.opens_at(moment, clock), True), (window.closes_at(moment, clock), False)):
        if change is None:
            assert not becomes, "some weekday is open"
            continue
        assert window.is_open(change, clock) is becomes
        if change > moment:
            assert window.is_open(change - timedelta(microseconds=1), clock) is not becomes
            for step in range(1, 40):
                assert window.is_open(moment + (change - moment) * step / 40, clock) is not becomes


@given(window=WINDOWS, moment=MOMENTS, zone=st.sampled_from(ZONES), for_s=st.integers(1, 7200))
def test_whatever_is_allowed_is_open_throughout(window: Window, moment: datetime, zone: str, for_s: int) -> None:
    found = window.next_allowed(moment, ZoneInfo(zone), for_s=for_s)
    if found is not None:
        assert found >= moment
        for step in range(20):
            assert window.is_open(found + timedelta(seconds=for_s * step / 20), ZoneInfo(zone))


def test_every_day_is_the_default() -> None:
    assert window("09:00-18:00").days == EVERY_DAY

"""The days of a caller ID, and the note on a bad one."""

from datetime import UTC, datetime, timedelta

import pytest

from autodialer.campaign.answer_rates import local_day
from autodialer.campaign.caller_id_health import CallerIdDay, health
from autodialer.store import CallerIdQuarter

FIRST = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def quarter(day: int, calls: int, answered: int, *, caller_id: str = "100", **counts: int) -> CallerIdQuarter:
    known = {"early_hang_ups": 0, "sip_603": 0, "sip_607": 0, "sip_608": 0, **counts}
    at = FIRST + timedelta(days=day)
    return CallerIdQuarter(caller_id=caller_id, at=at, calls=calls, answered=answered, **known)


def day_of(moment: datetime) -> str:
    return local_day(moment, "UTC")


def test_quarters_become_days_of_each_caller_id() -> None:
    found = health(
        [quarter(0, 5, 2, sip_603=1), quarter(0, 7, 3, early_hang_ups=2, sip_608=1), quarter(1, 1, 0, caller_id="")],
        day_of,
    )
    assert [(each.caller_id, list(each.days)) for each in found] == [
        (
            "100",
            [CallerIdDay(day="2026-03-02", calls=12, answered=5, early_hang_ups=2, sip_603=1, sip_607=0, sip_608=1)],
        ),
        ("", [CallerIdDay(day="2026-03-03", calls=1, answered=0, early_hang_ups=0, sip_603=0, sip_607=0, sip_608=0)]),
    ]


@pytest.mark.parametrize(
    ("calls", "answered", "others", "is_noted"),
    [
        (200, 20, (200, 80), True),
        (200, 60, (200, 80), False),  # 30 % is not far under 40 %
        (49, 0, (200, 80), False),  # too few calls of the day
        (200, 20, (99, 40), False),  # too few of the others
        (60, 12, (200, 80), True),
        (50, 11, (200, 80), False),  # of 50, 11 may be chance
        (500, 0, (500, 0), False),  # a number that was never answered has not become worse
    ],
)
def test_a_day_far_under_the_average_of_the_others_is_noted(
    calls: int, answered: int, others: tuple[int, int], is_noted: bool
) -> None:
    [found] = health([quarter(0, *others), quarter(1, calls, answered)], day_of)
    assert (found.days[1].note is not None) == is_noted
    if is_noted:
        assert f"Only {answered / calls:.0%} were answered, against 40%" in (found.days[1].note or "")


def test_days_before_the_period_count_in_the_average_and_are_not_shown() -> None:
    quarters = [quarter(-3, 300, 150), quarter(-1, 100, 50, caller_id="200"), quarter(0, 100, 10)]
    [found] = health(quarters, day_of, since=FIRST)
    assert (found.caller_id, [day.day for day in found.days]) == ("100", ["2026-03-02"])
    assert "against 50%" in (found.days[0].note or "")


def test_another_caller_ids_days_are_not_an_average_of_this_one() -> None:
    found = health([quarter(0, 300, 150), quarter(0, 300, 30, caller_id="200")], day_of)
    assert [day.note for each in found for day in each.days] == [None, None]

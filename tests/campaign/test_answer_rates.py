"""Answer rates by local hour, and the hours that they propose."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodialer.campaign.answer_rates import ENOUGH_CALLS, HourCell, ProposedHours, by_local_hour, local_day, propose
from autodialer.model import WEEKDAYS
from autodialer.store import Quarter

MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def quarter(zone: str, at: datetime, calls: int = 1, answered: int = 0) -> Quarter:
    return Quarter(zone=zone, at=at, calls=calls, answered=answered)


def cell(weekday: str | None, hour: int, calls: int, answered: int) -> HourCell:
    return HourCell(weekday=weekday, hour=hour, calls=calls, answered=answered)


@pytest.mark.parametrize(
    ("zone", "at", "weekday", "hour"),
    [
        ("Europe/Moscow", MONDAY, "mon", 12),
        ("Asia/Kamchatka", MONDAY + timedelta(hours=4), "tue", 1),
        # A quarter belongs to one hour of every zone, also of those that are not whole hours away.
        ("Asia/Kathmandu", MONDAY, "mon", 14),
        ("Asia/Kathmandu", MONDAY + timedelta(minutes=15), "mon", 15),
        ("Asia/Kolkata", MONDAY + timedelta(minutes=30), "mon", 15),
        # Summer time began on 29 March 2026 in Berlin, after 8 March in New York.
        ("Europe/Berlin", datetime(2026, 3, 28, 9, 0, tzinfo=UTC), "sat", 10),
        ("Europe/Berlin", datetime(2026, 3, 30, 9, 0, tzinfo=UTC), "mon", 11),
        ("America/New_York", MONDAY, "mon", 4),
        ("", MONDAY, "mon", 9),
    ],
)
def test_a_call_counts_in_the_hour_of_the_person_called(zone: str, at: datetime, weekday: str, hour: int) -> None:
    found = by_local_hour([quarter(zone, at, 3, 2)], "UTC")
    assert found.cells == [cell(weekday, hour, 3, 2)]
    assert (found.by_own_zone, found.by_fallback) == ((3, 0) if zone else (0, 3))


def test_the_four_quarters_of_an_hour_are_added_up() -> None:
    quarters = [quarter("", MONDAY + timedelta(minutes=15 * n), 10, n) for n in range(8)]
    assert by_local_hour(quarters, "UTC").cells == [cell("mon", 9, 40, 6), cell("mon", 10, 40, 22)]


def test_days_are_those_of_the_zone() -> None:
    late = datetime(2026, 3, 2, 22, 0, tzinfo=UTC)
    assert (local_day(late, "UTC"), local_day(late, "Europe/Moscow")) == ("2026-03-02", "2026-03-03")


def test_hours_that_stand_out_are_proposed_the_best_first_and_joined() -> None:
    cells = [cell("mon", hour, 200, answered) for hour, answered in ((9, 40), (10, 40), (17, 110), (18, 110), (19, 40))]
    cells += [cell("sat", 11, 200, 150)]
    found = propose(cells)
    assert found.enough
    assert found.hours == [
        ProposedHours(weekday="sat", start=11, end=12, calls=200, rate=0.75),
        ProposedHours(weekday="mon", start=17, end=19, calls=400, rate=0.55),
    ]
    assert found.calls == 1200
    assert "41%" in found.message


def test_where_weekdays_have_too_few_calls_the_hours_of_all_days_are_compared() -> None:
    cells = [cell(day, hour, 40, answered) for day in WEEKDAYS[:5] for hour, answered in ((9, 8), (14, 8), (18, 28))]
    assert propose(cells).hours == [ProposedHours(weekday=None, start=18, end=19, calls=200, rate=0.7)]


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ([], "0 calls, 0 of them in the fullest hour"),
        ([cell("mon", 9, 49, 49), cell("mon", 10, 49, 1)], "98 calls, 49 of them in the fullest hour"),
        ([cell("mon", 9, 5000, 4000)], "5000 calls, 5000 of them in the fullest hour"),
    ],
    ids=["no calls", "few calls", "one hour alone"],
)
def test_too_few_calls_are_told_with_their_number_and_nothing_is_proposed(cells: list[HourCell], said: str) -> None:
    found = propose(cells)
    assert (found.enough, list(found.hours)) == (False, [])
    assert said in found.message


def test_an_hour_that_chance_alone_may_have_made_better_is_not_proposed() -> None:
    found = propose([cell("mon", 9, ENOUGH_CALLS, 20), cell("mon", 10, ENOUGH_CALLS, 25)])
    assert (found.enough, list(found.hours)) == (True, [])
    assert found.message == "No hour stands out from the average of 45%."


@given(
    st.dictionaries(
        st.tuples(st.sampled_from(WEEKDAYS), st.integers(0, 23)),
        st.tuples(st.integers(1, 400), st.floats(0, 1)),
        max_size=40,
    )
)
def test_every_proposed_hour_has_enough_calls_and_is_above_the_average(
    hours: dict[tuple[str, int], tuple[int, float]],
) -> None:
    ordered = sorted(hours.items(), key=lambda item: (WEEKDAYS.index(item[0][0]), item[0][1]))
    cells = [cell(day, hour, calls, int(calls * share)) for (day, hour), (calls, share) in ordered]
    found = propose(cells)
    assert found.calls == sum(each.calls for each in cells)
    for span in found.hours:
        inside = [each for each in cells if span.weekday in (None, each.weekday)]
        inside = [each for each in inside if span.start <= each.hour < span.end]
        assert span.calls >= ENOUGH_CALLS * (span.end - span.start)
        assert span.rate == pytest.approx(sum(each.answered for each in inside) / sum(each.calls for each in inside))

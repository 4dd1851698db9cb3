"""How many packets left after a call had ended."""

from autodialer.media.departures import PERIODS_KEPT, Departures


def sending(departures: Departures, slot: int, times: range, *, period_s: float = 0.02) -> None:
    for number in times:
        departures.sent(slot, number * period_s)


def test_packets_after_the_end_are_counted_and_those_before_it_are_not() -> None:
    departures = Departures(4)
    departures.join("call", 2)
    sending(departures, 2, range(100))
    assert departures.forget("call", 50 * 0.02) == 49


def test_a_session_that_had_stopped_before_the_end_sent_nothing_late() -> None:
    departures = Departures(4)
    departures.join("call", 0)
    sending(departures, 0, range(10))
    departures.leave("call")
    sending(departures, 0, range(10, 20))
    assert departures.forget("call", 10 * 0.02) == 0


def test_what_others_of_the_slot_sent_before_it_joined_does_not_count() -> None:
    departures = Departures(1)
    sending(departures, 0, range(10))
    departures.join("call", 0)
    sending(departures, 0, range(10, 13))
    assert departures.forget("call", 0.0) == 3


def test_a_session_that_changed_its_slot_is_counted_in_both() -> None:
    departures = Departures(2)
    departures.join("call", 0)
    sending(departures, 0, range(10))
    departures.leave("call")
    departures.join("call", 1)
    sending(departures, 1, range(20, 25))
    assert departures.forget("call", 7 * 0.02) == 2 + 5


def test_a_long_call_keeps_only_its_latest_times() -> None:
    departures = Departures(1)
    departures.join("call", 0)
    sending(departures, 0, range(10 * PERIODS_KEPT))
    assert departures.forget("call", -1.0) == PERIODS_KEPT


def test_a_session_that_never_sent_left_nothing_late_and_is_forgotten() -> None:
    departures = Departures(1)
    assert departures.forget("call", 0.0) == 0
    departures.join("call", 0)
    sending(departures, 0, range(3))
    assert departures.forget("call", 0.0) == 2
    assert departures.forget("call", 0.0) == 0

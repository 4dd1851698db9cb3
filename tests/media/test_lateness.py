"""How late packets left is counted by slots and by packets."""

from autodialer.histogram import Histogram, histogram_of
from autodialer.media.lateness import LATE_S, Lateness


def test_late_packets_are_counted_with_the_slot_that_carried_them() -> None:
    lateness = Lateness()
    for late_s, packets in ((0.0, 10), (LATE_S, 20), (LATE_S + 0.001, 40), (0.5, 80), (9.0, 0)):
        lateness.add(late_s, packets)
    told = lateness.as_json()
    assert (told["packets"], told["late"]) == (150, 120)
    assert sum(told["slots"]["counts"]) == 4, "a slot without packets is no slot"


def test_a_histogram_says_how_many_were_at_most_each_bound() -> None:
    found = Histogram([0.1, 1.0])
    for value in (0.05, 0.1, 0.2, 5.0):
        found.add(value)
    assert found.cumulative() == [("0.1", 2), ("1.0", 3), ("+Inf", 4)]
    read = histogram_of(found.as_json())
    assert read is not None and read.cumulative() == found.cumulative() and read.total == 5.35

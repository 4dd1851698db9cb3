"""Presses told by telephone-events, by INFO, and by both."""

import pytest

from autodialer.model import DigitTime, DigitVia
from autodialer.phone.keys import PressedKeys

RTP, INFO = DigitVia.RTP, DigitVia.INFO
Told = tuple[str, float, DigitVia, float]
"""Digit, time, way, duration."""

CASES: list[tuple[str, list[Told], str]] = [
    ("by RTP alone", [("5", 1.0, RTP, 0.0), ("5", 1.3, RTP, 0.0)], "55"),
    ("by INFO alone", [("5", 1.0, INFO, 0.1), ("5", 1.3, INFO, 0.1)], "55"),
    ("both ways, RTP first", [("5", 1.0, RTP, 0.0), ("5", 1.16, INFO, 0.16)], "5"),
    ("both ways, INFO first", [("5", 1.0, INFO, 0.25), ("5", 1.02, RTP, 0.0)], "5"),
    (
        "one key twice, both ways",
        [("5", 1.0, RTP, 0.0), ("5", 1.1, INFO, 0.1), ("5", 1.3, RTP, 0.0), ("5", 1.4, INFO, 0.1)],
        "55",
    ),
    (
        "one key twice, both INFOs late",
        [("5", 1.0, RTP, 0.0), ("5", 1.3, RTP, 0.0), ("5", 1.9, INFO, 0.1), ("5", 1.9, INFO, 0.1)],
        "55",
    ),
    ("a long press, whose INFO comes at its end", [("1", 1.0, RTP, 0.0), ("1", 7.0, INFO, 6.0)], "1"),
    ("one press lost by RTP", [("1", 1.0, RTP, 0.0), ("1", 1.1, INFO, 0.1), ("2", 2.0, INFO, 0.1)], "12"),
    ("other keys at a time", [("1", 1.0, RTP, 0.0), ("2", 1.1, INFO, 0.1)], "12"),
    ("the same key much later the other way", [("1", 1.0, RTP, 0.0), ("1", 9.0, INFO, 0.1)], "11"),
]  # fmt: skip


@pytest.mark.parametrize(("told", "digits"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_each_press_counts_once_whichever_way_it_was_told(told: list[Told], digits: str) -> None:
    keys = PressedKeys()
    new = [digit for digit, at, via, duration_s in told if keys.take(digit, at, via, duration_s=duration_s)]
    assert "".join(new) == digits
    assert "".join(press.digit for press in keys.times(0.0)) == digits


def test_a_press_has_its_time_after_the_answer_and_the_way_that_was_first() -> None:
    keys = PressedKeys()
    keys.take("5", 101.234, RTP)
    keys.take("5", 101.4, INFO, duration_s=0.16)
    keys.take("#", 99.9, INFO)
    assert keys.times(100.0) == (
        DigitTime(digit="5", at_s=1.23, via=RTP),
        DigitTime(digit="#", at_s=0.0, via=INFO),
    )

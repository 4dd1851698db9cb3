"""CPS and channels."""

import pytest

from autodialer.campaign.pacing import Channels, TokenBucket


def calls_started(bucket: TokenBucket, *, seconds: float, step_s: float, start: float = 0.0) -> int:
    total = 0
    for step in range(round(seconds / step_s) + 1):
        ready = bucket.available(start + step * step_s)
        bucket.take(ready)
        total += ready
    return total


@pytest.mark.parametrize(("cps", "expected"), [(1.0, 11), (20.0, 201), (0.5, 6), (200.0, 2001)])
def test_ten_seconds_bring_ten_times_the_rate(cps: float, expected: int) -> None:
    assert calls_started(TokenBucket(cps=cps), seconds=10, step_s=0.02) == pytest.approx(expected, abs=2)


def test_an_idle_minute_saves_up_no_burst() -> None:
    bucket = TokenBucket(cps=1.0)
    bucket.take(bucket.available(0.0))
    assert bucket.available(60.0) == 1


def test_a_lowered_rate_takes_effect_at_once() -> None:
    bucket = TokenBucket(cps=100.0)
    calls_started(bucket, seconds=1, step_s=0.02)
    bucket.set_rate(1.0)
    assert calls_started(bucket, seconds=10, step_s=0.02, start=1.0) <= 11


def test_the_wait_until_the_next_call_is_told() -> None:
    bucket = TokenBucket(cps=0.5)
    bucket.take(bucket.available(0.0))
    assert bucket.wait_s() == pytest.approx(2.0)


def test_a_channel_is_freed_once_however_often_it_is_released() -> None:
    channels = Channels(limit=2)
    channels.hold("a")
    channels.hold("b")
    assert channels.free == 0
    channels.release("a")
    channels.release("a")
    assert channels.free == 1


def test_a_limit_below_what_is_in_use_frees_nothing() -> None:
    channels = Channels(limit=2)
    channels.hold("a")
    channels.hold("b")
    channels.limit = 1
    assert channels.free == 0

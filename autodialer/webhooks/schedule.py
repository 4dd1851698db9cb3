"""When a failed delivery is tried again, and when it no longer is."""

from datetime import datetime, timedelta

WAITS_S = (5, 30, 120, 600, 1800, 3600, 7200, 14_400, 28_800)
"""Between an attempt and the next; the last one repeats."""
GIVEN_UP_AFTER = timedelta(hours=24)
"""Of the first attempt. A webhook to which nothing got through for so long is switched off."""
LONGEST_ASKED_S = 3600.0
"""How far a receiver may put us off with Retry-After."""


def next_attempt(
    *, attempts: int, first_at: datetime, now: datetime, jitter: float, asked_s: float | None = None
) -> datetime | None:
    """When to try again after so many attempts, the last of them now; None: never, its time is over.

    `jitter` from 0 to 1 spreads what failed together over a tenth of the wait. `asked_s` is the receiver's Retry-After.
    """
    over_at = first_at + GIVEN_UP_AFTER
    if now >= over_at:
        return None
    wait_s = float(WAITS_S[min(attempts, len(WAITS_S)) - 1]) * (1.0 + 0.1 * jitter)
    if asked_s is not None:
        wait_s = max(wait_s, min(asked_s, LONGEST_ASKED_S))
    # The last attempt is made when the time is over, rather than some hours before.
    return min(now + timedelta(seconds=wait_s), over_at)
